//! Random sets of ipset, random rules that look into them and change them, and packets: what the real kernel's sets and
//! counters were afterwards (Linux 6.18), and what the engine's are.
//!
//! `data/sets` has a scenario a line, compressed, and what its last three commands printed: `ipset save`, `ipset list -t`,
//! `iptables-save -c -t mangle`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use flate2::read::GzDecoder;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Seconds that have passed meanwhile are no difference: a time counts in steps of 50.
fn steps(line: &str) -> String {
    let mut before = "";
    let words = line.split(' ').map(|word| match std::mem::replace(&mut before, word) {
        "timeout" => word.parse::<u32>().map_or(word.to_owned(), |n| n.div_ceil(50).to_string()),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn lines(said: &Value) -> Vec<String> {
    let lines = said.as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.filter(|l| !l.starts_with('#')).map(steps).collect()
}

#[test]
fn sets_and_counters_are_the_kernels_after_random_packets() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sets/random-60.jsonl.gz");
    let cases = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    let mut number = 0;
    for line in cases {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let name = &case["scenario"]["name"];
        let engine = nflab::replay(&case["scenario"]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let said = case["said"].as_array().unwrap();
        let done = engine["steps"].as_array().unwrap();
        for (kernel, step) in said.iter().zip(&done[done.len() - said.len()..]) {
            assert_eq!(
                lines(kernel),
                lines(&step["outcome"]["stdout"]),
                "{name} {}",
                step["stimulus"]["argv"]
            );
        }
        number += 1;
    }
    assert_eq!(number, 60);
}

const WORDS: [&str; 60] = [
    "create",
    "add",
    "add",
    "add",
    "del",
    "test",
    "destroy",
    "list",
    "save",
    "restore",
    "flush",
    "rename",
    "swap",
    "-exist",
    "-o",
    "xml",
    "-n",
    "-t",
    "-s",
    "-q",
    "A",
    "B",
    "C",
    "D",
    "hash:ip",
    "hash:net",
    "hash:ip,port",
    "hash:ip,port,net",
    "bitmap:port",
    "list:set",
    "range",
    "0-65535",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "netmask",
    "bitmask",
    "32",
    "0",
    "timeout",
    "counters",
    "comment",
    "skbinfo",
    "maxelem",
    "hashsize",
    "initval",
    "4294967295",
    "size",
    "1.2.3.4",
    "0.0.0.0-255.255.255.255",
    "1.2.3.4,tcp:0-65535",
    "1.2.3.0/24,physdev:",
    "255.255.255.255,255:0,0.0.0.1/1",
    "before",
    "after",
    "nomatch",
    "wildcard",
    "packets",
    "skbmark",
    "0x1/",
    ":",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Nothing panics and nothing is passed over in silence, whatever is typed about sets of several types.
    #[test]
    fn any_words_are_done_or_refused(lines in vec(vec(0..WORDS.len(), 1..8), 1..20)) {
        let create = "create A hash:ip,port timeout 5\ncreate B hash:net,iface counters\n\
                      create C bitmap:ip range 10.0.0.0/16\ncreate D list:set\nadd D A\n";
        let mut stimuli = vec![json!({"do": "cmd", "host": "h", "argv": ["ipset", "restore"], "stdin": create})];
        for line in &lines {
            let mut argv = vec!["ipset"];
            argv.extend(line.iter().map(|n| WORDS[*n]));
            stimuli.push(json!({"do": "cmd", "host": "h", "argv": argv, "stdin": argv[1..].join(" ")}));
        }
        let scenario = json!({"name": "words", "title": "", "hosts": {"h": {}}, "links": [], "stimuli": stimuli});
        let done = nflab::replay(&scenario).unwrap_or_else(|e| panic!("{e}"));
        for step in done["steps"].as_array().into_iter().flatten() {
            let (outcome, argv) = (&step["outcome"], step["stimulus"]["argv"].to_string());
            let silent = outcome["stderr"].as_array().is_none_or(Vec::is_empty);
            prop_assert!(outcome["rc"] == 0 || !silent || argv.contains("-q"), "{argv} {outcome}");
        }
    }
}
