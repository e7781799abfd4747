//! A load test gives the same figures natively and in WebAssembly: both builds of this test compare its report with the
//! fingerprints in `load_hash.txt`. When a change is meant to change them, the native test prints the new ones.

mod common;

use common::Fingerprint;
use std::fmt::Write;
use workshop::load::{Setting, run};

fn fingerprints() -> String {
    let mut out = String::new();
    for n in [1, 2, 7, 9] {
        let setting = Setting { scale: 100, seconds: 20, ..Setting::iteration(n).unwrap_or_default() };
        let Ok(report) = run(&setting) else { continue };
        let mut f = Fingerprint::EMPTY;
        let _ = write!(f, "{report:?}");
        let _ = writeln!(out, "{n} packets {} {:016x}", report.packets, f.0);
    }
    out
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn the_figures_are_the_same_everywhere() {
    assert_eq!(fingerprints(), include_str!("load_hash.txt"));
}
