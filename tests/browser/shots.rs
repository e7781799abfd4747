//! Pictures of every lab at four sizes in both themes, to be looked at: `cargo xtask shots`. They are in `<target>/screenshots/labs/`.

use crate::harness::{DARK, Page, visit};
use serde_json::Value;

/// Widths and heights: a phone, a tablet, a laptop, a large screen.
const SIZES: [(u32, u32); 4] = [(390, 844), (768, 1024), (1280, 800), (1920, 1080)];

/// The pictures.
#[test]
#[ignore = "draws pictures: cargo xtask shots"]
fn every_lab() {
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        let labs = page.eval("return [...document.querySelectorAll('.lab option')].map(o => o.value)");
        for lab in labs.as_array().unwrap().iter().filter_map(Value::as_str) {
            for dark in [false, true] {
                page.emulate(if dark { &[DARK] } else { &[] });
                for (width, height) in SIZES {
                    page.set_size(width, height);
                    page.open_fresh(&format!("#v1/{lab}"));
                    page.wait("#lab");
                    let theme = if dark { "dark" } else { "light" };
                    let file = page.screenshot(&format!("labs/{lab}-{width}-{theme}"));
                    println!("{}", file.display());
                }
            }
        }
    });
}

/// A phone that is small, one that is not, a laptop.
const FEW: [(u32, u32); 3] = [(320, 640), (390, 844), (1280, 800)];

/// Pictures at three sizes in both themes.
fn pictures(page: &Page, name: &str, open: impl Fn()) {
    for dark in [false, true] {
        page.emulate(if dark { &[DARK] } else { &[] });
        for (width, height) in FEW {
            page.set_size(width, height);
            open();
            let theme = if dark { "dark" } else { "light" };
            let file = page.screenshot(&format!("courses/{name}-{width}-{theme}"));
            println!("{}", file.display());
        }
    }
}

/// The same of courses, of an exercise, and of what is said when progress is not kept.
#[test]
#[ignore = "draws pictures: cargo xtask shots"]
fn courses_and_exercises() {
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        let shows = |link: &str, css: &str| {
            page.open_fresh(link);
            page.wait(css);
        };
        pictures(page, "overview", || shows("#v1/courses", "#course-title"));
        pictures(page, "trainer", || shows("#v1/trainer", "#step-code"));
        let lesson = || page.eval("document.querySelector('nav.bottom button').click()");
        pictures(page, "exercise", || {
            shows("#v1/no-forwarding", "#exercise-title");
            lesson();
        });
        pictures(page, "embed", || shows("?embed#v1/no-forwarding", ".task"));
        pictures(page, "embed-switches", || shows("?embed#v1/five-seconds", ".task"));
        let full = "let t = 'x'.repeat(1 << 20), n = 0; while (t) { try { localStorage.setItem('fill-' + n++, t) } \
                    catch { t = t.slice(0, t.length / 2 | 0) } }";
        page.eval(full);
        pictures(page, "unkept", || {
            shows("#v1/no-route", "#progress-trouble");
            lesson();
        });
    });
}
