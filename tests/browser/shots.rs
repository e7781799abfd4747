//! Pictures of every lab at four sizes in both themes, to be looked at: `cargo xtask shots`. They are in `<target>/screenshots/labs/`.

use crate::harness::{DARK, visit};
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
