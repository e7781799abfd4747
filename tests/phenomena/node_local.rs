//! NodeLocal DNSCache: a device with the cluster DNS address and 169.254.20.10, and rules that keep its packets out of conntrack
//! (kubernetes/dns#389, Azure/AgentBaker#9207).

use super::{each, engine, fact, read};
use serde_json::json;

const SERVICE: usize = 0;
const OWN: usize = 1;
const TABLE: usize = 2;

#[test]
fn the_cache_answers_at_both_addresses() {
    for record in each("S17-nodelocaldns") {
        fact!(record, [record.answered(SERVICE), record.answered(OWN)], ["node", "node"]);
    }
}

#[test]
fn its_packets_leave_no_rows() {
    for record in each("S17-nodelocaldns") {
        fact!(record, record.rows(TABLE).len(), 0);
    }
}

#[test]
fn without_notrack_the_services_rule_takes_the_query() {
    for record in each("S17-nodelocaldns-tracked") {
        fact!(record, [record.answered(SERVICE), record.answered(OWN)], ["pod-b", "node"]);
        fact!(record, record.rows(TABLE).len(), 2);
    }
}

#[test]
fn a_stateful_policy_drops_untracked_packets() {
    for record in each("S17-nodelocaldns-stateful") {
        fact!(record, record.outcome(SERVICE)["result"], "timeout");
        fact!(record, record.outcome(OWN)["result"], "timeout");
    }
}

#[test]
fn the_caches_own_accept_rules_come_before_it() {
    for record in each("S17-nodelocaldns-accept") {
        fact!(record, [record.answered(SERVICE), record.answered(OWN)], ["node", "node"]);
        fact!(record, record.rows(TABLE).len(), 0);
    }
}

#[test]
fn notrack_in_one_direction_only_makes_an_entry_for_each_answer() {
    for record in each("S17-nodelocaldns-oneway") {
        fact!(record, [record.answered(SERVICE), record.answered(OWN)], ["node", "node"]);
        let rows = record.rows(TABLE);
        fact!(record, rows.len(), 2);
        for row in rows {
            // The answer is the first packet that conntrack sees, and nothing answers it.
            fact!(record, row["orig"]["sport"], 53);
            assert!(!row["status"].as_array().unwrap().iter().any(|s| s == "SEEN_REPLY"));
        }
    }
}

#[test]
fn a_dummy_device_does_as_well() {
    // As the daemon makes it; the recording's kernel has no such type.
    let mut scenario = read("kernel/scenarios/S17-nodelocaldns.json");
    scenario["hosts"]["node"]["addrs"].as_object_mut().unwrap().remove("nodelocaldns");
    let made = [
        "link add nodelocaldns type dummy",
        "link set nodelocaldns up",
        "addr add 169.254.20.10/32 dev nodelocaldns",
        "addr add 10.96.0.10/32 dev nodelocaldns",
    ];
    scenario["hosts"]["node"]["ip"] = json!(made);
    scenario["links"].as_array_mut().unwrap().retain(|l| l["a"] != "node:nodelocaldns");
    let record = engine(&scenario);
    fact!(record, [record.answered(SERVICE), record.answered(OWN)], ["node", "node"]);
    fact!(record, record.rows(TABLE).len(), 0);
}
