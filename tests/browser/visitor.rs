//! What visitors do and see on the page again and again.

use crate::harness::Page;
use serde_json::{Value, json};

/// No page scrolls sideways.
#[track_caller]
pub fn fits(page: &Page) {
    let wide =
        page.eval("return document.documentElement.scrollWidth > document.documentElement.clientWidth");
    assert_eq!(wide, false, "the page is wider than its window at {}", page.url());
}

/// Whether an element is there and to be seen, wherever the page is scrolled to.
pub fn is_shown(page: &Page, css: &str) -> bool {
    page.eval_with("return !!document.querySelector(arguments[0])?.checkVisibility()", &json!([css])) == true
}

/// Where the cursor stands and how many steps there are.
#[track_caller]
pub fn position(page: &Page) -> (usize, usize) {
    let text = page.text("#position");
    let (at, of) = text.split_once(" / ").unwrap();
    (at.parse().unwrap(), of.parse().unwrap())
}

/// Chooses a value of a list, or puts one into a field as a whole.
#[track_caller]
pub fn choose(page: &Page, css: &str, value: &str) {
    page.wait(css);
    page.eval_with(
        "const s = document.querySelector(arguments[0]); s.value = arguments[1]; \
         s.dispatchEvent(new Event('change', {bubbles: true}))",
        &json!([css, value]),
    );
}

/// Types a command into the line, and runs it.
#[track_caller]
pub fn command(page: &Page, line: &str) {
    page.enter("#command-line", line);
    page.press("Enter");
}

/// Drops a file on the page.
#[track_caller]
pub fn drop_file(page: &Page, name: &str, text: &str) {
    page.wait("#open-file");
    page.eval_with(
        "const files = new DataTransfer(); files.items.add(new File([arguments[1]], arguments[0])); \
         dispatchEvent(new DragEvent('drop', {dataTransfer: files, cancelable: true}))",
        &json!([name, text]),
    );
}

/// The text of the file that this makes the page save.
#[track_caller]
pub fn saved(page: &Page, save: impl FnOnce()) -> String {
    page.eval(
        "window.saved = null; const old = URL.createObjectURL; \
         URL.createObjectURL = b => { b.text().then(t => { window.saved = t }); return old(b) }",
    );
    save();
    let mut text = Value::Null;
    page.wait_until("the file", || {
        text = page.eval("return window.saved");
        text.is_string()
    });
    text.as_str().unwrap().to_owned()
}
