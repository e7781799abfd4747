//! Courses as people walk them: by keys alone, and by touch alone. And what becomes of the progress.

use crate::harness::{Page, visit};
use crate::visitor::{choose, command, fits, saved};
use serde_json::{Value, json};

// ---------------------------------------------------------------------- by keys

/// Presses Tab until the focus is on an element that fits.
#[track_caller]
fn tab_to(page: &Page, css: &str) {
    page.wait(css);
    let is =
        || page.eval_with("return !!document.activeElement?.matches(arguments[0])", &json!([css])) == true;
    for _ in 0..120 {
        if is() {
            return;
        }
        page.press("Tab");
    }
    let there = page.eval("return document.activeElement?.outerHTML.slice(0, 200)");
    panic!("Tab does not come to {css}; the focus is on {there}");
}

/// Goes to a control and presses Enter there.
#[track_caller]
fn enter_at(page: &Page, css: &str) {
    tab_to(page, css);
    page.press("Enter");
}

/// Types a text, key by key.
fn type_keys(page: &Page, text: &str) {
    for c in text.chars() {
        page.press(&c.to_string());
    }
}

/// Types a command on the box that the line names already, and leaves the line again.
fn command_by_keys(page: &Page, line: &str) {
    page.press("`");
    page.wait_until("the line to have the focus", || {
        page.eval("return document.activeElement.id") == "command-line"
    });
    type_keys(page, line);
    page.press("Enter");
    page.wait_text(".lesson .did", line);
    // Out of the line, so that letters are keys again.
    page.press("Tab");
    page.press("1");
}

#[track_caller]
fn title_is(page: &Page, title: &str) {
    page.wait_text("#exercise-title", title);
    page.wait_until("the title to have the focus", || {
        page.eval("return document.activeElement.id") == "exercise-title"
    });
}

#[test]
fn a_course_by_keys_alone() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("");
        enter_at(page, "#courses-button");
        page.wait_text("#course-title", "Courses");
        enter_at(page, "#course-article-same-node > summary");
        page.wait("#course-article-same-node[open]");
        enter_at(page, "#begin-article-same-node");

        title_is(page, "Same node, same bridge, no answer");
        enter_at(page, "#question-0-1");
        page.wait_text(".question [role=status]", "straight from port to port");
        // Who looks has done nothing yet, and is told so.
        command_by_keys(page, "bridge link");
        page.wait_text(".lesson .did", "you looked");
        command_by_keys(page, "modprobe br_netfilter");
        page.wait_text("#verdict", "Solved with one command, which is par.");
        enter_at(page, "#go-on");

        title_is(page, "The module is there");
        // A hint, and a wrong turn, as people take them.
        enter_at(page, "#hint");
        page.wait(".lesson .hints li");
        command_by_keys(page, "sysctl -w net.bridge.bridge-nf-call-iptables=1");
        page.wait_text("#verdict", "Solved with one command");
        enter_at(page, "#go-on");

        title_is(page, "Names of the world outside");
        // The ConfigMap is long: it is opened, changed and applied where objects are.
        enter_at(page, "#drawer-cluster");
        enter_at(page, "#edit-ConfigMap-coredns");
        tab_to(page, "#yaml-text");
        put_before(page, "loadbalance");
        type_keys(page, "forward . 169.254.169.254");
        page.press("Enter");
        type_keys(page, "    ");
        enter_at(page, "#yaml-apply");
        page.wait_text("#verdict", "Solved with one command");
        page.wait_text(".lesson", "This was the last exercise of the course.");

        page.press("1");
        enter_at(page, "#to-courses");
        page.wait_text("#course-article-same-node > summary", "3 of 3");
    });
}

/// The caret goes before a word of the field that has the focus: Home, and the arrows.
fn put_before(page: &Page, word: &str) {
    let at = page.eval_with(
        "const f = document.activeElement; const at = f.value.indexOf(arguments[0]); \
         return at < 0 ? null : f.value.slice(0, at).split('\\n').length - 1",
        &json!([word]),
    );
    let line = at.as_u64().unwrap_or_else(|| panic!("{word} is not in the field"));
    page.press("Control+Home");
    for _ in 0..line {
        page.press("ArrowDown");
    }
    // From the line's end back to where the word begins.
    page.press("End");
    for _ in 0..word.len() {
        page.press("ArrowLeft");
    }
}

// ---------------------------------------------------------------------- by touch

/// The screen of a telephone, which has no mouse.
fn telephone(page: &Page) {
    let metrics = json!({"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true});
    page.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    page.devtools("Emulation.setTouchEmulationEnabled", &json!({"enabled": true, "maxTouchPoints": 1}));
}

/// Touches the middle of an element, having scrolled it into sight.
#[track_caller]
fn tap(page: &Page, css: &str) {
    page.wait(css);
    let place = || {
        page.eval_with(
            "const e = document.querySelector(arguments[0]); if (!e) return null; \
             e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); \
             const [x, y] = [r.x + Math.min(r.width / 2, 150), r.y + r.height / 2]; \
             const hit = document.elementFromPoint(x, y); \
             return hit && (e === hit || e.contains(hit)) && r.width >= 24 && r.height >= 24 ? [x, y] : null",
            &json!([css]),
        )
    };
    let mut at = Value::Null;
    page.wait_until(&format!("{css} to be where a finger reaches it"), || {
        at = place();
        !at.is_null()
    });
    let point = json!([{"x": at[0], "y": at[1]}]);
    page.devtools("Input.dispatchTouchEvent", &json!({"type": "touchStart", "touchPoints": point}));
    page.devtools("Input.dispatchTouchEvent", &json!({"type": "touchEnd", "touchPoints": []}));
}

fn pane(page: &Page, name: &str) {
    let n = ["Lesson", "Map", "Journey", "Tables"].iter().position(|p| *p == name).unwrap() + 1;
    tap(page, &format!("nav.bottom button:nth-child({n})"));
}

/// Types a command as the keyboard on the glass does.
fn command_by_touch(page: &Page, line: &str) {
    pane(page, "Map");
    tap(page, "#command-line");
    page.wait_until("the line to have the focus", || {
        page.eval("return document.activeElement.id") == "command-line"
    });
    page.devtools("Input.insertText", &json!({"text": line}));
    tap(page, "#command-run");
    page.wait_until("the line to be empty", || {
        page.eval("return document.getElementById('command-line').value") == ""
    });
    pane(page, "Lesson");
}

/// Solves the exercise of this title by one command, and goes on.
#[track_caller]
fn solve_by_touch(page: &Page, title: &str, line: &str) {
    page.wait_text("#exercise-title", title);
    command_by_touch(page, line);
    page.wait_text("#verdict", "Solved with one command");
    fits(page);
    tap(page, "#go-on");
}

#[test]
fn a_course_by_touch_alone() {
    visit(|page| {
        telephone(page);
        page.open_fresh("");
        tap(page, "#courses-button");
        page.wait_text("#course-title", "Courses");
        fits(page);
        tap(page, "#course-article-load > summary");
        tap(page, "#begin-article-load");

        // What only asks: the lesson is what one sees first.
        page.wait_text("#exercise-title", "Who has to go?");
        fits(page);
        tap(page, "#question-0-1");
        page.wait_text(".question [role=status]", "Not so.");
        tap(page, "#question-0-0");
        page.wait_text("#verdict", "All answered.");
        tap(page, "#go-on");

        for (title, line) in [
            ("No room for one more", "sysctl -w net.netfilter.nf_conntrack_max=100"),
            ("Expectation table full", "sysctl -w net.netfilter.nf_conntrack_expect_max=100"),
            ("To speed things up", "iptables -t raw -I PREROUTING -d 10.96.0.0/12 -j ACCEPT"),
        ] {
            solve_by_touch(page, title, line);
        }

        page.wait_text("#exercise-title", "The name server that conntrack never sees");
        tap(page, "#question-0-1");
        page.wait_text(".question [role=status]", "What raw has said NOTRACK to");
        command_by_touch(page, "iptables -I INPUT -p udp --dport 53 -j ACCEPT");
        page.wait_text("#verdict", "Solved with one command");
        page.wait_text(".lesson", "This was the last exercise of the course.");
        fits(page);
        tap(page, "#to-courses");
        page.wait_text("#course-article-load > summary", "5 of 5");
        fits(page);
    });
}

// ---------------------------------------------------------------------- progress

const HEAD: &str = "netfilter-lab progress 1";

/// Puts a text where the browser keeps the progress, and comes anew.
fn kept(page: &Page, text: &str) {
    page.eval_with("localStorage.setItem('progress', arguments[0])", &json!([text]));
    page.open_fresh("#v1/courses");
    page.wait_text("#course-title", "Courses");
}

fn stored(page: &Page, key: &str) -> String {
    page.eval_with("return localStorage.getItem(arguments[0]) ?? ''", &json!([key]))
        .as_str()
        .unwrap()
        .to_owned()
}

/// Solves an exercise.
fn solve(page: &Page) {
    page.open_fresh("#v1/no-forwarding");
    page.wait_text("#exercise-title", "The node that keeps everything");
    command(page, "sysctl -w net.ipv4.ip_forward=1");
    page.wait_text("#verdict", "Solved with one command");
}

#[test]
fn progress_is_there_after_a_reload() {
    visit(|page| {
        solve(page);
        page.wait_until("it to be kept", || {
            stored(page, "progress").contains("exercise no-forwarding solved")
        });
        page.reload();
        page.wait("#to-courses");
        page.click("#to-courses");
        page.wait_text("#course-netfilter > summary", "1 of 38");
        page.wait_text("#progress-code", "nl2-netfilter-");
        // Reset, after it has been asked once more.
        page.click("#forget");
        page.click("#forget-yes");
        page.wait_text("#course-netfilter > summary", "0 of 38");
        page.reload();
        page.wait_text("#course-netfilter > summary", "0 of 38");
    });
}

#[test]
fn progress_of_another_version_is_kept() {
    visit(|page| {
        // Names that this version does not know, and a word that it does not know.
        let text = format!(
            "{HEAD}\nname Ada\nstars 5\nexercise no-route solved moves=1\nexercise gone-since solved moves=2\n\
             exercise no-forwarding solved moves=1 stars=3\n"
        );
        kept(page, &text);
        page.wait_text("#course-netfilter > summary", "2 of 38");
        assert_eq!(page.count("#progress-trouble"), 0);
        solve(page);
        page.wait_until("all of it to be kept", || {
            let text = stored(page, "progress");
            ["gone-since solved moves=2", "stars 5", "moves=1 stars=3", "name Ada"]
                .iter()
                .all(|w| text.contains(w))
        });
    });
}

#[test]
fn a_full_storage_is_told_and_nothing_is_lost() {
    visit(|page| {
        kept(page, &format!("{HEAD}\nexercise no-route solved moves=1\n"));
        let full = page.eval(
            "let text = 'x'.repeat(1 << 20), n = 0; \
             while (text) { try { localStorage.setItem('fill-' + n++, text) } catch { text = text.slice(0, text.length / 2 | 0) } } \
             try { localStorage.setItem('one', 'more'); return false } catch { return true }",
        );
        assert_eq!(full, true);
        solve(page);
        // It is said where one is.
        page.wait_text("#progress-trouble", "its storage is full");
        // What was kept before is still kept, and what was done now is on the page and in the code.
        assert!(stored(page, "progress").contains("no-route solved"));
        page.click("#to-courses");
        page.wait_text("#course-netfilter > summary", "2 of 38");
        page.wait_text("#progress-trouble", "Nothing is lost as long as this page stays open");
        // As soon as there is room it is kept.
        page.eval("Object.keys(localStorage).filter(k => k.startsWith('fill')).forEach(k => localStorage.removeItem(k))");
        page.click("#keep-again");
        page.wait_gone("#progress-trouble");
        assert!(stored(page, "progress").contains("no-forwarding solved"));
    });
}

#[test]
fn a_damaged_entry_is_told_and_put_aside() {
    visit(|page| {
        let bad = format!(
            "{HEAD}\nexercise no-route solved moves=1\nexercise no-forw\u{1}\u{fffd}ding so!ved\n{{\"x\":\n"
        );
        page.eval("localStorage.setItem('theme', 'dark')");
        kept(page, &bad);
        page.wait_text("#progress-trouble", "could not be read");
        page.wait_text("#course-netfilter > summary", "1 of 38");
        assert_eq!(stored(page, "progress-damaged"), bad);
        assert_eq!(stored(page, "theme"), "dark");
        // The bad text can be had.
        assert_eq!(saved(page, || page.click("#save-damaged")), bad);
        page.reload();
        page.wait_text("#course-netfilter > summary", "1 of 38");
        assert_eq!(page.count("#progress-trouble"), 0);
    });
}

// ---------------------------------------------------------------------- everybody to one step

#[test]
fn a_code_brings_everybody_to_one_step() {
    visit(|page| {
        page.set_size(320, 640);
        page.open_fresh("#v1/trainer");
        page.wait("#step-code");
        let wide = "const p = document.querySelector('.course-page'); return p.scrollWidth > p.clientWidth";
        assert_eq!(page.eval(wide), false, "the trainer's page scrolls sideways");
        choose(page, "#bring-to", "7");
        page.wait_text(".agenda .point:nth-of-type(8) h5", " 8. ");
        page.wait_until("the code of the eighth step", || {
            page.text(".agenda .point:nth-of-type(8) h5").ends_with(&page.text("#step-code"))
        });
        let code = page.text("#step-code");

        // Somebody else, who has solved one of those before it.
        kept(page, &format!("{HEAD}\nname Ada\nexercise no-forwarding solved moves=1\n"));
        let enter = |code: &str| {
            page.enter("#step-code-typed", code);
            page.press("Enter");
        };
        let (last, wrong) = (code.chars().last().unwrap(), if code.ends_with('0') { "1" } else { "0" });
        enter(&format!("{}{wrong}", code.trim_end_matches(last)));
        page.wait_text("#step-code-wrong", "a letter is wrong");
        enter("hello");
        page.wait_text("#step-code-wrong", "a letter is wrong");
        enter(&code.to_lowercase());
        page.wait_text("#exercise-number", "8 of 38");
        page.click("#to-courses");
        page.wait_text("#course-netfilter > summary", "1 of 38");
        assert_eq!(page.text("#step-code-wrong"), "");
        let stages = page.eval("return [...document.querySelectorAll('#course-netfilter .course-stage')].slice(0, 9).map(e => e.textContent)");
        let here = "brought here, not solved";
        assert_eq!(
            stages,
            json!([here, "solved at par", here, here, here, here, here, "opened", "not opened"])
        );
        // In an exercise the same field is folded.
        page.open_fresh("#v1/no-forwarding");
        page.eval("[...document.querySelectorAll('nav.bottom button')].find(b => b.textContent === 'Lesson').click()");
        page.click("#bring summary");
        enter("hello");
        page.wait_text("#step-code-wrong", "a letter is wrong");
        enter(&code);
        page.wait_text("#exercise-number", "8 of 38");
        page.click("#to-courses");
        // The trainer sees the same in the code.
        let progress = page.text("#progress-code");
        page.click("#to-trainer");
        page.enter("#codes", &progress);
        page.wait_text(".grid tbody th", "Ada");
        assert_eq!(page.count(&format!(".grid td[title='{here}']")), 6);
        assert_eq!(page.text(".grid tbody td"), "1");
    });
}
