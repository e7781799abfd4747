//! IPVS at its hooks: the order of tables that a Linux 6.1 showed for the same packets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod era;
mod facts;
mod lab;
mod modules;
mod more;
mod sched;
mod text;
mod tftp;
mod v1;
mod v5;
mod walk;

use serde_json::Value;

fn scenario() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/ipvs/nodeport.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn record() -> Value {
    nflab::replay(&scenario()).unwrap()
}

/// Hook and table of each step, runs of the same written once; conntrack's probe left out.
fn tables(record: &Value, step: usize, packet: usize) -> String {
    let steps = record["steps"][step]["ns"]["node1"]["trace"][packet]["steps"].as_array().unwrap();
    let words = steps.iter().filter(|s| s["kind"] != "ctstate");
    let mut all: Vec<String> =
        words.map(|s| format!("{} {}", s["hook"].as_str().unwrap(), s["table"].as_str().unwrap())).collect();
    all.dedup();
    all.join(", ")
}

fn reply(record: &Value, step: usize) -> &str {
    let outcome = &record["steps"][step]["outcome"];
    outcome["result"][0]["text"].as_str().or(outcome["reply"].as_str()).unwrap()
}

const NODEPORT: usize = 4;
const FROM_NODE: usize = 5;
const NOT_TRACKED: usize = 9;

#[test]
fn a_request_from_outside_meets_input_output_and_postrouting_and_never_forward() {
    let expected = "PREROUTING raw, PREROUTING mangle, PREROUTING nat, INPUT mangle, INPUT filter, INPUT security, \
                    OUTPUT raw, OUTPUT mangle, OUTPUT filter, OUTPUT security, POSTROUTING mangle, POSTROUTING nat";
    let record = record();
    assert_eq!(tables(&record, NODEPORT, 0), expected);
    assert_eq!(reply(&record, NODEPORT), "podb saw 10.244.1.1:4007 hello");
}

#[test]
fn an_answer_is_forwarded_from_the_pod_and_leaves_from_the_virtual_server() {
    let record = record();
    let expected = "PREROUTING raw, PREROUTING mangle, FORWARD mangle, FORWARD filter, FORWARD security, \
                    POSTROUTING mangle";
    assert_eq!(tables(&record, NODEPORT, 1), expected);
    let steps = record["steps"][NODEPORT]["ns"]["node1"]["trace"][1]["steps"].as_array().unwrap();
    let seen: Vec<_> = steps.iter().filter_map(|s| Some((s["hook"].as_str()?, s["pkt"].as_str()?))).collect();
    assert_eq!(
        seen,
        [
            ("FORWARD", "udp 10.244.1.11:8080>192.168.1.100:4007 len=30"),
            ("POSTROUTING", "udp 192.168.1.11:30080>192.168.1.100:4007 len=30"),
        ]
    );
}

#[test]
fn a_request_of_the_node_itself_meets_output_twice_and_comes_from_the_virtual_address() {
    let record = record();
    let expected = "OUTPUT raw, OUTPUT mangle, OUTPUT nat, OUTPUT raw, OUTPUT mangle, OUTPUT filter, OUTPUT security, \
                    POSTROUTING mangle, POSTROUTING nat";
    assert_eq!(tables(&record, FROM_NODE, 0), expected);
    assert!(reply(&record, FROM_NODE).starts_with("podb saw 10.96.0.10:"), "{}", reply(&record, FROM_NODE));
}

#[test]
fn without_vs_conntrack_the_packet_is_untracked_and_not_masqueraded() {
    let record = record();
    let expected = "PREROUTING raw, PREROUTING mangle, PREROUTING nat, INPUT mangle, INPUT filter, INPUT security, \
                    OUTPUT raw, OUTPUT mangle, OUTPUT filter, OUTPUT security, POSTROUTING mangle";
    assert_eq!(tables(&record, NOT_TRACKED, 0), expected);
    assert_eq!(reply(&record, NOT_TRACKED), "podb saw 192.168.1.100:4010 hello");
    assert_eq!(record["final"]["node1"]["conntrack"].as_array().unwrap().len(), 2);
}

#[test]
fn ipvsadm_lists_servers_and_connections() {
    let record = record();
    let list = &record["steps"][6]["outcome"]["stdout"];
    let lines: Vec<&str> = list.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(
        lines,
        [
            "IP Virtual Server version 1.2.1 (size=4096)",
            "Prot LocalAddress:Port Scheduler Flags",
            "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
            "TCP  10.96.0.10:80 rr",
            "  -> 10.244.1.11:8080             Masq    1      0          1         ",
            "UDP  192.168.1.11:30080 rr",
            "  -> 10.244.1.11:8080             Masq    1      0          1         ",
        ]
    );
    let conns = record["steps"][7]["outcome"]["stdout"].as_array().unwrap();
    let udp = conns.iter().filter_map(Value::as_str).find(|l| l.starts_with("UDP")).unwrap();
    assert!(udp.contains("192.168.1.100:4007") && udp.ends_with("10.244.1.11:8080"), "{udp}");
}

/// The options of `-m ipvs`, one rule each in mangle POSTROUTING; which of them match a packet of the request to the node
/// port (true) or of its answer. From xt_ipvs.c; no recording has the match.
#[test]
fn the_match_ipvs_knows_a_connection_by_its_packets_to_the_real_server() {
    let options = [
        ("--ipvs", true, true),
        ("! --ipvs", false, false),
        ("--vproto udp", true, false),
        ("! --vproto tcp", true, false),
        ("--vproto tcp", false, false),
        ("--vaddr 192.168.1.11", true, false),
        ("--vaddr 192.168.1.99/24", true, false),
        ("! --vaddr 192.168.1.11", false, false),
        ("--vport 30080", true, false),
        ("--vport 8080", false, false),
        ("--vdir ORIGINAL", true, false),
        ("--vdir REPLY", false, false),
        ("--vmethod MASQ", true, false),
        ("! --vmethod MASQ", false, false),
        ("--vmethod GATE", false, false),
        ("--vportctl 21", false, false),
        ("! --vportctl 21", true, false),
        ("--vaddr 192.168.1.11 --vport 30080 --vproto udp", true, false),
    ];
    let rules: String = options
        .iter()
        .map(|(o, ..)| format!("-A POSTROUTING -m ipvs {o} -m length ! --length 0\n"))
        .collect();
    let mut scenario = scenario();
    let text = scenario["hosts"]["node1"]["iptables"].as_str().unwrap().to_owned();
    scenario["hosts"]["node1"]["iptables"] = format!("{text}*mangle\n{rules}COMMIT\n").into();
    let record = nflab::replay(&scenario).unwrap();
    for packet in 0..2 {
        let steps = record["steps"][NODEPORT]["ns"]["node1"]["trace"][packet]["steps"].as_array().unwrap();
        let hit =
            |n: usize| steps.iter().any(|s| s["hook"] == "POSTROUTING" && s["kind"] == "rule" && s["n"] == n);
        for (n, (option, request, answer)) in (1..).zip(options) {
            assert_eq!(hit(n), [request, answer][packet], "{option}, packet {packet}");
        }
    }
}
