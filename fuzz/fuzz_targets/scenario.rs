//! A scenario as a file: it runs or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(document) = serde_json::from_slice(data) else { return };
    let _ = nflab::replay(&document);
    let _ = nflab::replay_case(&document);
});
