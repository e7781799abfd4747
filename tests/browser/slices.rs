//! A long run is done in slices: meanwhile the page is used, and the run can be stopped.

use crate::harness::{Page, visit};
use serde_json::Value;

/// Does `begin`, and whenever the note says that a run goes on, `during` with the note. What that gives is given back
/// when the note is gone.
fn while_going(page: &Page, begin: &str, during: &str) -> Value {
    page.eval(&format!(
        "return new Promise(done => {{
           const seen = {{slices: 0}};
           const during = note => {{ {during} }};
           const watch = new MutationObserver(() => {{
             const note = document.querySelector('.going');
             if (note) {{
               seen.slices = Math.max(seen.slices, Number(note.dataset.slices ?? 1));
               during(note);
             }} else if (seen.slices) {{
               watch.disconnect();
               done(seen);
             }}
           }});
           watch.observe(document.body, {{childList: true, subtree: true, attributes: true, characterData: true}});
           {begin}
         }})"
    ))
}

/// Another lab, whose run is long.
const OPEN: &str = "location.hash = '#v1/many-rules'";

#[test]
fn keys_are_heard_while_a_long_run_goes_on() {
    visit(|page| {
        page.open_fresh("#v1/hooks-and-chains");
        let seen = while_going(
            page,
            OPEN,
            "const at = () => document.getElementById('position').textContent;
             if (!seen.before) {
               seen.before = at();
               const key = {key: 'ArrowRight', bubbles: true, cancelable: true};
               document.getElementById('lab').dispatchEvent(new KeyboardEvent('keydown', key));
             } else if (!seen.after && at() !== seen.before) {
               seen.after = at();
             }",
        );
        assert!(seen["slices"].as_u64().unwrap() > 1, "{seen}");
        assert!(seen["after"].is_string(), "the key moved nothing before the run was over: {seen}");
        page.wait_text(".lesson", "100,000 rules");
        assert!(
            page.url().ends_with("#v1/many-rules") || page.url().contains("#v1/many-rules/"),
            "{}",
            page.url()
        );
    });
}

#[test]
fn a_long_run_is_stopped_and_nothing_has_changed() {
    visit(|page| {
        page.open_fresh("#v1/hooks-and-chains");
        page.press("ArrowRight");
        let (position, prose) = (page.text("#position"), page.text("#lesson"));
        while_going(page, OPEN, "document.getElementById('stop-run').click()");
        page.wait_until("the address of what is shown", || page.url().contains("#v1/hooks-and-chains"));
        assert_eq!((page.text("#position"), page.text("#lesson")), (position, prose));
    });
}

/// The script that types these lines one after the other and runs each.
fn typed_lines(lines: &[&str]) -> String {
    format!(
        "const line = document.getElementById('command-line');
         for (const text of {lines:?}) {{
           line.value = text;
           line.dispatchEvent(new Event('input', {{bubbles: true}}));
           document.getElementById('command-run').click();
         }}"
    )
}

#[test]
fn an_edit_that_takes_long_is_stopped_or_taken_over() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/many-rules");
        page.wait("#command-line");
        let line = &typed_lines(&["client: ping -c 1 10.0.0.1"]);
        // What was typed stays in the line, and there is nothing to be undone.
        while_going(page, line, "document.getElementById('stop-run').click()");
        let typed = "return document.getElementById('command-line').value";
        assert_eq!(page.eval(typed), "client: ping -c 1 10.0.0.1");
        assert_eq!(page.attribute("#undo", "disabled").as_deref(), Some("true"));

        let seen = while_going(page, line, "");
        assert!(seen["slices"].as_u64().unwrap() > 1, "{seen}");
        page.wait_until("the line to be empty", || page.eval(typed) == "");
        page.wait_until("an edit that can be undone", || page.attribute("#undo", "disabled").is_none());
        page.wait_until("the link", || page.url().contains("do=end+client+ping"));
    });
}

#[test]
fn two_edits_while_a_run_goes_on_are_one() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/many-rules");
        page.wait("#command-line");
        let send = &typed_lines(&["client: ping -c 1 10.0.0.1", "router: ip addr"]);
        while_going(page, send, "");
        page.wait_until("both in the link", || {
            page.url().contains("do=end+client+ping") && page.url().contains("end+router+ip+addr")
        });
        page.click("#undo");
        page.wait_until("neither in the link", || !page.url().contains("do="));
    });
}
