//! Command lines of every program that is modelled, one a line; packets in between.
#![no_main]

use fuzz::{cmd, some_packets, world};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut stimuli = Vec::new();
    for line in text.lines().take(20) {
        let argv: Vec<&str> = line.split_whitespace().collect();
        if !argv.is_empty() {
            stimuli.push(cmd(&argv, None));
        }
    }
    stimuli.extend(some_packets());
    nflab::replay(&world(stimuli)).expect("the world itself is fine");
});
