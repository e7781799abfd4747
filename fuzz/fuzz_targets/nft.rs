//! Text for `nft -f -`: what is listed is read back as the same, and packets meet it.
#![no_main]

use fuzz::{cmd, printed, some_packets, world};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let list = || cmd(&["nft", "-s", "list", "ruleset"], None);
    let mut stimuli = vec![cmd(&["nft", "-f", "-"], Some(text)), list()];
    stimuli.extend(some_packets());
    stimuli.push(list());
    let record = nflab::replay(&world(stimuli)).expect("the world itself is fine");
    let Some((listed, 0)) = printed(&record, 1) else { return };
    let again = vec![cmd(&["nft", "-f", "-"], Some(&listed)), list()];
    let record = nflab::replay(&world(again)).expect("the world itself is fine");
    if let Some((_, 0)) = printed(&record, 0) {
        assert_eq!(printed(&record, 1), Some((listed, 0)));
    }
});
