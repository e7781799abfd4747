//! Two masqueraded connections choose the same port before either is in the table (k8s#76699, ip-masq-agent#51).

use super::{engine, fact, read};
use serde_json::{Value, json};

/// Two clients that connect at the same time from the same port, in this order of processors, on that kernel.
fn scenario(options: &str, order: &[usize]) -> Value {
    let mut scenario = read("race/masquerade-tcp.json");
    scenario["hosts"]["r"]["iptables"] =
        json!(format!("*nat\n-A POSTROUTING -o r3 -j MASQUERADE{options}\nCOMMIT\n"));
    // Somebody answers this time.
    for host in ["c1", "c2", "s"] {
        scenario["hosts"][host].as_object_mut().unwrap().remove("iptables");
    }
    scenario["hosts"]["s"]["servers"] = json!([{ "proto": "tcp", "bind": "0.0.0.0:80" }]);
    let client = |host: &str, src: &str| json!({ "do": "tcp", "host": host, "src": format!("{src}:5000"), "dst": "10.0.3.2:80", "timeout_ms": 5000 });
    scenario["stimuli"] = json!([
        { "do": "hold", "host": "r", "packets": { "proto": "tcp", "dport": 80 }, "order": order },
        { "do": "together", "clients": [client("c1", "10.0.1.2"), client("c2", "10.0.2.2")] },
        { "do": "cmd", "host": "r", "argv": ["conntrack", "-S"] }
    ]);
    scenario
}

/// Both choose their port before either is confirmed.
const AT_ONCE: [usize; 8] = [0, 1, 0, 1, 0, 1, 0, 1];
/// One after the other.
const IN_TURN: [usize; 8] = [0, 0, 0, 0, 1, 1, 1, 1];

#[test]
fn the_second_syn_is_dropped_and_counted() {
    let record = engine(&scenario("", &AT_ONCE));
    fact!(record, record.counter(2, "insert_failed"), 1);
    fact!(record, record.counter(2, "drop"), 1);
}

#[test]
fn both_connect_as_the_syn_is_sent_again() {
    let record = engine(&scenario("", &AT_ONCE));
    let clients = record.outcome(1)["clients"].as_array().unwrap();
    for client in clients {
        fact!(record, client["connect"], "ok");
    }
    let syns = |host: &str| record.wire(1, host, "e0", "out").iter().filter(|p| p.ends_with("[S]")).count();
    fact!(record, (syns("c1"), syns("c2")), (1, 2));
}

#[test]
fn the_second_one_loses_a_second() {
    // It has no connection within 900 milliseconds.
    let mut scenario = scenario("", &AT_ONCE);
    for client in 0..2 {
        scenario["stimuli"][1]["clients"][client]["timeout_ms"] = json!(900);
    }
    let record = engine(&scenario);
    let clients = &record.outcome(1)["clients"];
    fact!(record, (&clients[0]["connect"], &clients[1]["connect"]), (&json!("ok"), &json!("timeout")));
}

#[test]
fn the_server_sees_two_ports_then() {
    let record = engine(&scenario("", &AT_ONCE));
    let app = record.json["steps"][1]["ns"]["s"]["app"].as_array().unwrap();
    let mut from: Vec<&str> = app.iter().filter_map(|a| a["accept"].as_str()).collect();
    from.sort_unstable();
    from.dedup();
    fact!(record, from.len(), 2);
    assert!(from.contains(&"10.0.3.1:5000"));
}

#[test]
fn one_after_the_other_loses_nothing() {
    let record = engine(&scenario("", &IN_TURN));
    fact!(record, record.counter(2, "insert_failed"), 0);
}

#[test]
fn random_fully_loses_nothing_unless_two_draws_meet() {
    let record = engine(&scenario(" --random-fully", &AT_ONCE));
    fact!(record, record.counter(2, "insert_failed"), 0);
}

#[test]
fn random_fully_within_one_port_is_no_cure() {
    let mut scenario = scenario("", &AT_ONCE);
    scenario["hosts"]["r"]["iptables"] =
        json!("*nat\n-A POSTROUTING -o r3 -p tcp -j MASQUERADE --to-ports 6000 --random-fully\nCOMMIT\n");
    let record = engine(&scenario);
    fact!(record, record.counter(2, "insert_failed"), 1);
}
