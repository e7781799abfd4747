//! Random sets of ipset, random rules that look into them and change them, and packets: what the real kernel's sets and
//! counters were afterwards (Linux 6.18), and what the engine's are.
//!
//! `data/sets` has a scenario a line, compressed, and what its last three commands printed: `ipset save`, `ipset list -t`,
//! `iptables-save -c -t mangle`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use flate2::read::GzDecoder;
use serde_json::Value;
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
