//! Random rules and packets with the real kernel's answers (Linux 6.18), replayed by the engine.
//!
//! `data/cases` has the lines of the generator, compressed. Cases in which the kernel drew a port are not compared.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use tests::facets::case_difference;

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cases").join(file);
    let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    let cases = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    cases.filter(|c| c["random_port"] == false).collect()
}

fn all_agree(cases: &[Value]) {
    for kernel in cases {
        let number = &kernel["case"];
        let engine = nflab::replay_case(kernel).unwrap_or_else(|e| panic!("case {number}: {e}"));
        if let Some(what) = case_difference(kernel, &engine) {
            panic!("case {number}, {what}");
        }
    }
}

#[test]
fn random_cases_go_as_in_the_kernel() {
    let cases = cases("seed1-1500.jsonl.gz");
    assert_eq!(cases.len(), 1488);
    all_agree(&cases);
}

/// The lines of a case's rules that the real iptables-nft-restore refuses, by case.
fn refused(file: &str) -> BTreeMap<i64, Vec<i64>> {
    let gz = &include_bytes!("data/iptables-nft/refused-cases.jsonl.gz")[..];
    let lines = BufReader::new(GzDecoder::new(gz)).lines();
    let all = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let of_file = all.filter(|c| file == format!("{}.jsonl.gz", c["file"].as_str().unwrap()));
    of_file
        .map(|c| {
            let lines = c["lines"].as_array().unwrap().iter().filter_map(Value::as_i64).collect();
            (c["case"].as_i64().unwrap(), lines)
        })
        .collect()
}

/// The same rules in tables of nf_tables: other walks, and the same packets. What iptables-nft refuses is refused at the same line.
fn go_the_same_by_iptables_nft(file: &str) {
    let mut refused = refused(file);
    for kernel in cases(file) {
        let number = kernel["case"].as_i64().unwrap();
        let mut by_nft = kernel.clone();
        by_nft["backend"] = "nft".into();
        let engine = match (nflab::replay_case(&by_nft), refused.remove(&number)) {
            (Ok(engine), None) => engine,
            (Err(why), Some(lines)) => {
                let at = lines.iter().any(|n| why.contains(&format!("line {n}:")));
                assert!(at, "{file}, case {number}: refused in lines {lines:?}, here: {why}");
                continue;
            }
            (done, lines) => panic!("{file}, case {number}: refused {lines:?}, here {:?}", done.err()),
        };
        let without_walks = |case: &Value| {
            let mut case = case.clone();
            for step in case["steps"].as_array_mut().into_iter().flatten() {
                step["trace"] = Value::Null;
            }
            case
        };
        let differs = case_difference(&without_walks(&kernel), &without_walks(&engine));
        // Table security of iptables-nft comes after nat (150, not 50), which puts the address on the list.
        if (file, number) == ("recent-60.jsonl.gz", 38) {
            assert!(differs.is_some());
            continue;
        }
        if let Some(what) = differs {
            panic!("{file}, case {number}, {what}");
        }
    }
    assert!(refused.is_empty(), "{file}: {refused:?}");
}

#[test]
fn random_cases_go_the_same_by_iptables_nft() {
    go_the_same_by_iptables_nft("seed1-1500.jsonl.gz");
}

#[test]
fn random_matches_go_the_same_by_iptables_nft() {
    go_the_same_by_iptables_nft("matches-m5-300.jsonl.gz");
}

#[test]
fn random_cases_of_nat_and_zones_go_the_same_by_iptables_nft() {
    go_the_same_by_iptables_nft("nat-300.jsonl.gz");
}

#[test]
fn random_cases_of_one_match_or_helper_go_the_same_by_iptables_nft() {
    for file in ["recent-60", "ftp-60", "tftp-60", "zones-60", "ranges-60"] {
        go_the_same_by_iptables_nft(&format!("{file}.jsonl.gz"));
    }
}

/// From another seed.
#[test]
fn more_random_cases_go_as_in_the_kernel() {
    let cases = cases("seed60002-900.jsonl.gz");
    assert_eq!(cases.len(), 897);
    all_agree(&cases);
}

/// Made by `fuzz/matches.py`.
#[test]
fn random_matches_go_as_in_the_kernel() {
    let cases = cases("matches-m5-300.jsonl.gz");
    assert_eq!(cases.len(), 298);
    all_agree(&cases);
}

/// Made by `fuzz/nft.py`: tables of nf_tables, alone and between those of iptables; counters of all rules are compared too.
#[test]
fn random_tables_of_nftables_go_as_in_the_kernel() {
    let cases = cases("nft-250.jsonl.gz");
    assert_eq!(cases.len(), 249);
    assert!(cases.iter().all(|c| c["said"].as_array().is_some_and(|said| said.len() > 30)));
    all_agree(&cases);
}

/// Made by `fuzz/nat.py`. Ranges of addresses and ports, shifted ports, NETMAP, zones, TTL, shifts of CONNMARK.
#[test]
fn random_cases_of_nat_and_zones_go_as_in_the_kernel() {
    let cases = cases("nat-300.jsonl.gz");
    assert_eq!(cases.len(), 300);
    all_agree(&cases);
}

/// Made by `fuzz/ftp.py`. FTP's helper: announcements whole, in pieces, repeated and wrong, and the data connections that follow.
#[test]
fn random_ftp_goes_as_in_the_kernel() {
    let cases = cases("ftp-60.jsonl.gz");
    assert_eq!(cases.len(), 60);
    all_agree(&cases);
}

/// Made by `fuzz/fragments.py`. Fragments in order, reversed, overlapping, missing, through conntrack, NAT and the bridge.
#[test]
fn random_fragments_go_as_in_the_kernel() {
    let cases = cases("fragments-60.jsonl.gz");
    assert_eq!(cases.len(), 60);
    all_agree(&cases);
}

/// Made by `fuzz/recent.py`. `-m recent` with seconds, hit counts, masks and full lists.
#[test]
fn random_lists_of_recent_go_as_in_the_kernel() {
    let cases = cases("recent-60.jsonl.gz");
    assert_eq!(cases.len(), 60);
    all_agree(&cases);
}

/// Made by `fuzz/limit.py`. `-m limit` while time passes.
#[test]
fn random_limits_go_as_in_the_kernel() {
    let cases = cases("limit-60.jsonl.gz");
    assert_eq!(cases.len(), 60);
    all_agree(&cases);
}

/// Made by `fuzz/zones.py`. The same tuples in several zones, zones of one direction, NAT in them.
#[test]
fn random_zones_go_as_in_the_kernel() {
    let cases = cases("zones-60.jsonl.gz");
    assert_eq!(cases.len(), 60);
    all_agree(&cases);
}

/// Made by `fuzz/ranges.py`. Ranges of addresses and ports that run out.
#[test]
fn random_ranges_go_as_in_the_kernel() {
    let cases = cases("ranges-60.jsonl.gz");
    assert_eq!(cases.len(), 60);
    all_agree(&cases);
}

/// Made by `fuzz/tftp.py`. TFTP's helper: requests again, answers from new ports, announcements that meet.
#[test]
fn random_tftp_goes_as_in_the_kernel() {
    let cases = cases("tftp-60.jsonl.gz");
    assert_eq!(cases.len(), 60);
    all_agree(&cases);
}

/// Made by `fuzz/off.py`. Namespaces where nothing asks for conntrack, or where every packet is exempt.
#[test]
fn random_cases_without_conntrack_go_as_in_the_kernel() {
    let cases = cases("off-60.jsonl.gz");
    assert_eq!(cases.len(), 60);
    all_agree(&cases);
}

#[test]
fn a_case_that_cannot_be_used_is_refused_with_its_reason() {
    let refused = |text: &str| nflab::replay_case(&serde_json::from_str(text).unwrap()).unwrap_err();
    assert_eq!(refused("{}"), "expected steps, a list");
    assert_eq!(refused(r#"{"steps": []}"#), "expected rules, a text");
    let step = r#"{"rules": "", "steps": [{"from": "x", "pkt": {}}]}"#;
    assert_eq!(refused(step), "there is no box \"x\"");
    let rules = refused(r#"{"rules": "*filter\n-A INPUT -m foo\nCOMMIT\n", "steps": []}"#);
    assert!(rules.contains("line 2") && rules.contains("unknown match \"foo\""), "{rules}");
}
