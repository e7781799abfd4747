//! Links: the same moment and the same zoom level in a fresh browser, after a reload, and on the way back.

use crate::harness::{Page, visit};
use crate::visitor::choose;
use serde_json::json;

/// The box whose capture is shown.
const CAPTURED: &str = ".tools select[aria-label='Box']";

/// Chooses what is called so.
fn choose_text(page: &Page, css: &str, text: &str) {
    page.wait(css);
    page.eval_with(
        "const s = document.querySelector(arguments[0]); s.value = [...s.options].find(o => o.text == arguments[1]).value; \
         s.dispatchEvent(new Event('change', {bubbles: true}))",
        &json!([css, text]),
    );
}

fn chosen(page: &Page, css: &str) -> String {
    let script = "return document.querySelector(arguments[0]).selectedOptions[0].text";
    page.eval_with(script, &json!([css])).as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn wait_level(page: &Page, wanted: &str) {
    page.wait_until(&format!("the level {wanted}"), || {
        page.attribute("#map", "data-level").as_deref() == Some(wanted)
    });
}

#[track_caller]
fn wait_address(page: &Page, part: &str) {
    page.wait_until(&format!("{part} in the address"), || page.url().contains(part));
}

#[test]
fn a_link_keeps_the_level_and_the_hook() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/same-node-clusterip/44/worker-2?at=FORWARD");
        wait_level(page, "hook");
        page.wait_text(".crumbs", "FORWARD");
        let place = page.text("#position");
        // Somebody else opens what is in the address.
        page.press("ArrowRight");
        page.press("ArrowLeft");
        wait_address(page, "at=FORWARD");
        let link = page.url().split_once('#').unwrap().1.to_owned();
        page.open_fresh("#v1/dns-race");
        wait_level(page, "cluster");
        page.open_fresh(&format!("#{link}"));
        wait_level(page, "hook");
        page.wait_text(".crumbs", "FORWARD");
        assert_eq!(page.text("#position"), place);
        page.reload();
        wait_level(page, "hook");
        page.wait_text(".crumbs", "worker-2");
    });
}

#[test]
fn back_and_forward_go_through_the_levels() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/same-node-clusterip/44");
        page.click("#level-node");
        wait_address(page, "at=node");
        page.click("#level-hook");
        wait_address(page, "at=hook");
        page.eval("history.back()");
        wait_level(page, "node");
        page.eval("history.back()");
        wait_level(page, "cluster");
        page.eval("history.forward()");
        wait_level(page, "node");
    });
}

/// `?lab=` opens a page; from its first change on the fragment says what is shown, and the way back leads to what was opened.
#[test]
fn a_page_that_was_opened_by_a_query_keeps_what_is_done_with_it() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("?lab=rp-filter");
        page.click("#switch-route-present");
        wait_address(page, "set=route=present");
        let route = |page: &Page| {
            page.wait("#switch-route-present");
            page.eval("return document.querySelector('#switch-route-present').checked")
        };
        page.eval("history.back()");
        page.wait_until("the run before", || route(page) == false);
        page.eval("history.forward()");
        page.wait_until("the run again", || route(page) == true);
        page.reload();
        page.wait("#scrubber");
        assert_eq!(route(page), true);
    });
}

#[test]
fn a_link_keeps_the_table_and_the_filters() {
    visit(|page| {
        page.set_size(1440, 1000);
        page.open_fresh("#v1/etp-local/60");
        choose_text(page, CAPTURED, "node-1");
        page.enter(".filterbox", "tcp.flags.syn == 1");
        page.click("#filters-open");
        choose(page, "#filter-only", "verdicts");
        wait_address(page, "only=verdicts");
        wait_address(page, "frames=tcp.flags.syn");
        page.click("#tab-Conntrack");
        wait_address(page, "tab=Conntrack");
        let link = page.url().split_once('#').unwrap().1.to_owned();
        page.open_fresh("#v1/dns-race");
        page.open_fresh(&format!("#{link}"));
        page.wait("#tab-Conntrack[aria-selected='true']");
        assert_eq!(page.eval("return document.querySelector('#filter-only').value"), "verdicts");
        page.click("#tab-Capture");
        page.wait(".filterbox");
        assert_eq!(page.eval("return document.querySelector('.filterbox').value"), "tcp.flags.syn == 1");
        assert_eq!(chosen(page, CAPTURED), "node-1");
    });
}

#[test]
fn a_link_that_was_cut_off_says_so() {
    visit(|page| {
        page.open_fresh("#v1/etp-local?do=setup+node-1+iptables+-A+INPUT+-j+DROP;garbage");
        page.wait_text(".trouble", "mail or chat may have cut it off");
    });
}

/// Boxes have other numbers where another one is gone.
#[test]
fn the_box_of_the_capture_stays_when_another_one_is_deleted() {
    visit(|page| {
        page.set_size(1440, 1000);
        page.open_fresh("#v1/etp-local/60");
        choose_text(page, CAPTURED, "web-3");
        wait_address(page, "cap=web-3");
        page.press("`");
        choose_text(page, "#command-at", "at setup");
        page.enter("#command-line", "kubectl delete pod web-1");
        page.click("#command-run");
        wait_address(page, "delete+pod+web-1");
        assert_eq!(chosen(page, CAPTURED), "web-3");
    });
}
