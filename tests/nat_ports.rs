//! Ports that NAT draws at random cannot be those of a recording. What holds for every one of them: it lies in the class of
//! the port that it replaces, and nobody else has it. Both are asked of the recordings, too, so that the question is the
//! right one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use std::path::Path;

fn read(name: &str, what: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kernel/drawn");
    let text = std::fs::read_to_string(folder.join(format!("{name}.{what}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn list(v: &Value) -> impl Iterator<Item = &Value> {
    v.as_array().into_iter().flatten()
}

fn class(port: u64) -> std::ops::RangeInclusive<u64> {
    match port {
        0..512 => 1..=511,
        512..1024 => 600..=1023,
        _ => 1024..=65535,
    }
}

/// The ports of the router's new flows: the client's own and the translated one.
fn ports(record: &Value) -> Vec<(u64, u64)> {
    let mut taken: Vec<Value> = Vec::new();
    let mut out = Vec::new();
    for event in list(&record["steps"]).flat_map(|s| list(&s["ns"]["router"]["ct"])) {
        if event["ev"] != "NEW" {
            continue;
        }
        assert!(!taken.contains(&event["reply"]), "two flows with the same answers: {}", event["reply"]);
        taken.push(event["reply"].clone());
        let (own, new) =
            (event["orig"]["sport"].as_u64().unwrap(), event["reply"]["dport"].as_u64().unwrap());
        assert!(class(own).contains(&new), "{own} became {new}");
        out.push((own, new));
    }
    out
}

/// Which of the flows, in order, have another port; the same ones in the recording and here.
fn moved(name: &str) -> Vec<bool> {
    let engine = nflab::replay(&read(name, "scenario")).unwrap_or_else(|e| panic!("{name}: {e}"));
    let of = |record: &Value| ports(record).iter().map(|(own, new)| own != new).collect::<Vec<_>>();
    let moved = of(&engine);
    assert_eq!(moved, of(&read(name, "record")), "{name}");
    moved
}

#[test]
fn only_the_second_of_two_flows_moves() {
    assert_eq!(moved("S9-clash-masq"), [false, true, false, true, false, true, false, true]);
}

#[test]
fn random_fully_moves_every_flow() {
    assert_eq!(moved("S9-clash-masq-random-fully"), [true; 8]);
}

#[test]
fn a_flow_that_no_rule_touches_moves_out_of_the_way_of_another() {
    assert_eq!(moved("S14-null-binding"), [false, true, false, true, false, true]);
}
