//! Packets of the real kernel that waited for a neighbour with an entry of conntrack that was not in the table yet (`S16-clash-*`
//! in `data/kernel`; `records.rs` replays them whole). Here the counters of `conntrack -S` are compared, summed up over the
//! processors.

use serde_json::Value;
use std::path::Path;

fn read(folder: &str, name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kernel").join(folder);
    let text = std::fs::read_to_string(path.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What each `conntrack -S` and `conntrack -C` of a record said, without what is 0.
fn counters(record: &Value) -> Vec<Vec<(String, u64)>> {
    let mut out = Vec::new();
    for step in record["steps"].as_array().unwrap() {
        let argv: Vec<&str> =
            step["stimulus"]["argv"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !matches!(argv[..], ["conntrack", "-S" | "-C"]) {
            continue;
        }
        let mut sums: Vec<(String, u64)> = Vec::new();
        for line in step["outcome"]["stdout"].as_array().unwrap().iter().filter_map(Value::as_str) {
            for word in line.split_whitespace() {
                let (key, value) = word.split_once('=').unwrap_or(("count", word));
                let value: u64 = value.parse().unwrap();
                match sums.iter_mut().find(|(k, _)| k == key) {
                    _ if key == "cpu" || value == 0 => {}
                    Some((_, sum)) => *sum += value,
                    None => sums.push((key.to_owned(), value)),
                }
            }
        }
        sums.sort();
        out.push(sums);
    }
    out
}

/// The counters at the end of the recording, which are the engine's, too, all the way.
fn last(name: &str) -> Vec<(String, u64)> {
    let engine = nflab::replay(&read("scenarios", name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let real = counters(&read("records", name));
    assert_eq!(counters(&engine), real, "{name}");
    let stats = real.iter().rev().find(|sums| sums.iter().any(|(k, _)| k == "invalid")).unwrap().clone();
    // Two packets of each recording only tell the bridge where its hosts are.
    stats.into_iter().filter(|(k, _)| k != "invalid").collect()
}

fn counts(name: &str, expected: &[(&str, u64)]) {
    let found = last(name);
    let found: Vec<(&str, u64)> = found.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn datagrams_for_two_endpoints_are_a_clash_that_costs_nothing() {
    counts("S16-clash-two", &[("clash_resolve", 1)]);
    counts("S16-clash-two-reversed", &[("clash_resolve", 1)]);
}

#[test]
fn datagrams_for_one_endpoint_share_an_entry() {
    counts("S16-clash-same", &[("clash_resolve", 1)]);
}

#[test]
fn the_second_syn_is_lost() {
    counts("S16-clash-tcp", &[("drop", 1), ("insert_failed", 1)]);
}

#[test]
fn the_second_echo_request_is_lost() {
    counts("S16-clash-icmp", &[("drop", 1), ("insert_failed", 1)]);
}

#[test]
fn gre_and_unknown_protocols_share_entries() {
    counts("S16-clash-other", &[("clash_resolve", 2)]);
}

#[test]
fn a_third_datagram_shares_whichever_entry_is_like_its_own() {
    counts("S16-clash-three-bcb", &[("clash_resolve", 2)]);
    counts("S16-clash-three-bcc", &[("clash_resolve", 2)]);
}

#[test]
fn nat_does_not_look_for_another_port_for_the_same_flow() {
    counts("S16-clash-masquerade", &[("clash_resolve", 1)]);
    counts("S16-clash-masquerade-two", &[("clash_resolve", 1)]);
}

#[test]
fn nat_looks_for_another_port_for_another_flow() {
    // Once before the null binding, once for the port itself.
    counts("S16-clash-services", &[("found", 2)]);
}

#[test]
fn what_waits_is_not_flushed() {
    counts("S16-clash-flush", &[("clash_resolve", 1)]);
}
