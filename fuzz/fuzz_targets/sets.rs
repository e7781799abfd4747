//! Text of ipset restore: it is loaded or refused; what ipset save prints is read back as the same; rules ask the sets.
#![no_main]

use fuzz::{cmd, printed, some_packets, world};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const WAYS: [&str; 8] = ["src", "dst", "src,src", "src,dst", "dst,dst", "dst,src", "src,src,src", "dst,dst,src"];

/// A rule for each set of the text, each way that fits.
fn rules(text: &str) -> Vec<Value> {
    let names = text.lines().filter_map(|l| l.split_whitespace().skip_while(|w| *w != "create" && *w != "-N").nth(1));
    let names = names.take(4);
    names.flat_map(|name| {
        WAYS.iter().map(move |way| cmd(&["iptables", "-t", "raw", "-A", "PREROUTING", "-m", "set", "--match-set", name, way], None))
    }).collect()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut stimuli = vec![cmd(&["ipset", "restore"], Some(text)), cmd(&["ipset", "save"], None)];
    stimuli.extend(rules(text));
    stimuli.extend(some_packets());
    stimuli.push(cmd(&["ipset", "list"], None));
    let record = nflab::replay(&world(stimuli)).expect("the world itself is fine");
    let Some((saved, _)) = printed(&record, 1) else { return };
    // Time passes while a set with a time-out is saved and read.
    if saved.contains(" timeout ") {
        return;
    }
    let again = vec![cmd(&["ipset", "restore"], Some(&saved)), cmd(&["ipset", "save"], None)];
    let record = nflab::replay(&world(again)).expect("the world itself is fine");
    let (back, _) = printed(&record, 1).expect("ipset save prints");
    assert_eq!(back, saved, "what ipset save prints is read back as the same");
});
