//! The same lab gives the same event log natively and in WebAssembly: both builds of this test compare the log with
//! the fingerprints in `log_hash.txt`.
//!
//! When a change of the engine is meant to change the log, run the native test, check the difference by other means
//! (the recordings), and put the fingerprints that it prints into the file.

mod common;

use common::Fingerprint;
use std::fmt::Write;
use workshop::Setting;

fn fingerprints() -> String {
    let mut out = String::new();
    for lab in workshop::labs() {
        for switch in &lab.switches {
            for value in switch.values() {
                let setting = Setting::from_iter([(switch.name.to_owned(), value.to_owned())]);
                let Ok(run) = lab.run(&setting) else { continue };
                let mut f = Fingerprint::EMPTY;
                let log = run.run.world.log();
                let _ = write!(f, "{log:?}");
                let _ =
                    writeln!(out, "{} {}={value} {} events {:016x}", lab.name, switch.name, log.len(), f.0);
            }
        }
    }
    out
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn the_log_is_the_same_everywhere() {
    assert_eq!(fingerprints(), include_str!("log_hash.txt"));
}
