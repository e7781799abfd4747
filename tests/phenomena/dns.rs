//! Five seconds for a name: the queries for A and AAAA leave one socket at once, each is sent to another endpoint, and only one of them
//! comes through (k8s#56903, weave#3287).

use super::{engine, fact, read};
use serde_json::{Value, json};

fn scenario() -> Value {
    read("phenomena/dns.json")
}

#[test]
fn one_of_two_queries_is_answered_within_five_seconds() {
    let record = engine(&scenario());
    fact!(record, record.answers(1), 1);
}

#[test]
fn the_other_is_counted_as_insert_failed_and_drop() {
    let record = engine(&scenario());
    fact!(record, record.counter(2, "insert_failed"), 1);
    fact!(record, record.counter(2, "drop"), 1);
}

#[test]
fn it_is_lost_behind_postrouting_of_the_node() {
    let record = engine(&scenario());
    fact!(record, record.wire(1, "node", "eth0", "in").len(), 2);
    fact!(record, record.wire(1, "node", "eth1", "out").len(), 1);
}

#[test]
fn the_queries_that_are_sent_again_are_both_answered() {
    let record = engine(&scenario());
    fact!(record, record.answers(3), 2);
    fact!(record, record.counter(4, "insert_failed"), 1);
}

#[test]
fn since_5_6_both_are_answered_at_once() {
    let mut scenario = scenario();
    for version in ["5.15", "6.1", "6.18"] {
        scenario["hosts"]["node"]["kernel"] = json!(version);
        let record = engine(&scenario);
        fact!(record, (version, record.answers(1)), (version, 2));
        fact!(record, record.counter(2, "insert_failed"), 0);
        fact!(record, record.counter(2, "clash_resolve"), 1);
    }
}

#[test]
fn conntrack_s_has_a_column_for_clashes_since_5_10() {
    let mut scenario = scenario();
    for (version, has) in [("4.19", false), ("5.15", true)] {
        scenario["hosts"]["node"]["kernel"] = json!(version);
        let record = engine(&scenario);
        // One line a processor.
        let lines = record.stdout(2);
        fact!(record, lines.len(), 2);
        assert!(lines.iter().all(|l| l.contains("clash_resolve=") == has), "{version}: {lines:?}");
    }
}

/// How many answers each client had, and which counters moved.
type End = (Vec<usize>, Vec<(&'static str, u64)>);

/// What every order of the queries comes to.
fn every(scenario: &Value) -> Vec<End> {
    let explored = nflab::race::explore(scenario).unwrap();
    let mut all: Vec<_> = explored.into_iter().map(|e| (e.outcome.answers, e.outcome.counters)).collect();
    all.sort();
    all.dedup();
    all
}

/// The queries alone, from these ports.
fn queries(ports: [u16; 2]) -> Value {
    let mut scenario = scenario();
    let query = |port: u16| json!({ "do": "udp", "host": "client", "src": format!("10.0.0.2:{port}"), "dst": "10.96.0.10:53" });
    let clients: Vec<Value> = match ports {
        // One socket.
        [a, b] if a == b => {
            let mut both = query(a);
            both["count"] = json!(2);
            vec![both]
        }
        both => both.map(query).to_vec(),
    };
    scenario["stimuli"] = json!([scenario["stimuli"][0], { "do": "together", "clients": clients }]);
    scenario
}

#[test]
fn whether_one_is_lost_depends_on_who_is_first() {
    assert_eq!(
        every(&queries([5000, 5000])),
        [(vec![1], vec![("insert_failed", 1), ("drop", 1)]), (vec![2], vec![])]
    );
}

#[test]
fn single_request_reopen_loses_none_as_each_query_has_a_socket_of_its_own() {
    assert_eq!(every(&queries([5000, 5001])), [(vec![1, 1], vec![])]);
}

#[test]
fn notrack_loses_none_as_there_is_no_entry() {
    // As NodeLocal DNSCache does it, with the servers' own address.
    let mut scenario = queries([5000, 5000]);
    let rules = "*raw\n-A PREROUTING -p udp -m udp --dport 53 -j NOTRACK\n-A PREROUTING -p udp -m udp --sport 53 -j NOTRACK\nCOMMIT\n";
    scenario["hosts"]["node"]["iptables"] = json!(rules);
    scenario["stimuli"][1]["clients"][0]["dst"] = json!("10.1.0.3:53");
    assert_eq!(every(&scenario), [(vec![2], vec![])]);
}
