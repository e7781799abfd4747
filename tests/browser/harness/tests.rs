//! The harness does what it says, on a small page of its own.

use super::{Page, visit_folder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

fn fixture(scenario: impl FnOnce(&Page)) {
    visit_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/fixture"), "/", scenario);
}

/// What a scenario that has to fail says.
fn failure(scenario: impl FnOnce(&Page)) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| fixture(scenario))).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn a_visitor_clicks_types_and_waits() {
    fixture(|page| {
        page.click("#count");
        page.click("#count");
        page.wait_text("#count", "2");
        assert_eq!(page.count("button"), 2);

        page.hover("#over");
        page.wait_text("#over", "The mouse is here");

        page.enter("#name", "you");
        page.click("#later");
        page.wait(".added");
        page.wait_gone("#later");
        assert_eq!(page.text(".added"), "Hello you");
        assert_eq!(page.attribute(".added", "class").as_deref(), Some("added"));
        assert_eq!(page.attribute(".added", "title"), None);

        page.reload();
        assert_eq!(page.text("#count"), "0");
    });
}

#[test]
fn keys_have_names_and_modifiers() {
    fixture(|page| {
        for key in ["Escape", "ArrowLeft", "x", "Shift+Tab", "+"] {
            page.press(key);
        }
        page.wait_text("#keys", "Escape ArrowLeft x Shift+Tab Shift++");
    });
}

#[test]
fn an_error_on_the_console_fails_the_test() {
    let message = failure(|page| drop(page.eval("console.error('a mistake')")));
    assert!(message.contains("errors on the console") && message.contains("a mistake"), "{message}");
}

#[test]
fn a_request_to_another_origin_fails_the_test() {
    let message = failure(|page| {
        page.eval("return fetch('http://127.0.0.1:9/elsewhere').catch(() => 0)");
        page.expect_console_error("elsewhere");
    });
    assert!(message.contains("requests that leave") && message.contains(":9/elsewhere"), "{message}");
}
