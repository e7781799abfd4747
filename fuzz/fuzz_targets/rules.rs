//! Text of iptables-restore: it is loaded or refused; what iptables-save prints of it is read back as the same; packets walk it.
#![no_main]

use fuzz::{cmd, printed, some_packets, world};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut stimuli = vec![cmd(&["iptables-restore"], Some(text)), cmd(&["iptables-save"], None)];
    stimuli.extend(some_packets());
    stimuli.push(cmd(&["iptables", "-L", "-v", "-n"], None));
    let record = nflab::replay(&world(stimuli)).expect("the world itself is fine");
    let Some((saved, _)) = printed(&record, 1) else { return };
    let again = vec![cmd(&["iptables-restore"], Some(&saved)), cmd(&["iptables-save"], None)];
    let record = nflab::replay(&world(again)).expect("the world itself is fine");
    let (back, _) = printed(&record, 1).expect("iptables-save prints");
    assert_eq!(back, saved, "what iptables-save prints is read back as the same");
});
