//! Packets that stop on their way until they are released.

use nflab::replay;
use serde_json::{Value, json};
use std::path::Path;

/// The masqueraded connections of `data/race`, with other stimuli.
fn run(stimuli: Value) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/race/masquerade-tcp.json");
    let mut scenario: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    scenario["stimuli"] = stimuli;
    replay(&scenario).unwrap()
}

fn syn(host: &str, src: &str) -> Value {
    json!({ "do": "raw", "host": host, "pkt":
        { "proto": "tcp", "src": src, "dst": "10.0.3.2", "sport": 5000, "dport": 80, "flags": "S", "seq": 1000 } })
}

fn first() -> Value {
    syn("c1", "10.0.1.2")
}

fn second() -> Value {
    syn("c2", "10.0.2.2")
}

fn hold(at: &[&str]) -> Value {
    json!({ "do": "hold", "host": "r", "packets": { "proto": "tcp" }, "at": at })
}

fn release(cpu: usize) -> Value {
    json!({ "do": "release", "host": "r", "cpu": cpu })
}

fn cmd(words: &str) -> Value {
    json!({ "do": "cmd", "host": "r", "argv": words.split(' ').collect::<Vec<_>>() })
}

fn stdout(record: &Value, step: usize) -> Vec<&str> {
    let lines = record["steps"][step]["outcome"]["stdout"].as_array().unwrap();
    lines.iter().filter_map(Value::as_str).collect()
}

/// How many frames the server saw during a step.
fn arrived(record: &Value, step: usize) -> usize {
    let wire = record["steps"][step]["ns"]["s"]["wire"].as_array();
    wire.into_iter().flatten().filter(|w| w["dir"] == "in").count()
}

#[test]
fn a_held_packet_has_not_arrived_and_has_no_row() {
    let record =
        run(json!([hold(&["confirm"]), first(), cmd("conntrack -L"), release(0), cmd("conntrack -L")]));
    assert_eq!(arrived(&record, 1), 0);
    assert_eq!(stdout(&record, 2).len(), 0);
    assert_eq!(arrived(&record, 3), 1);
    assert_eq!(stdout(&record, 4).len(), 1);
}

#[test]
fn the_one_that_is_released_first_keeps_its_port() {
    for (order, loser) in [([0, 1], 1), ([1, 0], 0)] {
        let record = run(json!([
            hold(&["confirm"]),
            first(),
            second(),
            release(order[0]),
            release(order[1]),
            cmd("conntrack -S")
        ]));
        assert_eq!((arrived(&record, 3), arrived(&record, 4)), (1, 0), "{order:?}");
        let stats = stdout(&record, 5);
        for (cpu, line) in stats.iter().enumerate() {
            let lost = u8::from(cpu == loser);
            assert!(line.starts_with(&format!("cpu={cpu}   \t")), "{line}");
            assert!(line.contains(&format!("insert_failed={lost} drop={lost} ")), "{line}");
        }
        assert_eq!(stats.len(), 2);
    }
}

#[test]
fn a_packet_that_stops_before_nat_sees_the_other_ones_port() {
    let record =
        run(json!([hold(&["port"]), first(), second(), release(1), release(0), cmd("conntrack -L")]));
    assert_eq!((arrived(&record, 3), arrived(&record, 4)), (1, 1));
    let rows = stdout(&record, 5);
    // The second one, which went on first, has kept its port.
    let of = |src: &str| {
        rows.iter().find(|r| r.contains(&format!("src={src}"))).unwrap().ends_with("dport=5000 mark=0 use=1")
    };
    assert!(of("10.0.2.2") && !of("10.0.1.2"), "{rows:#?}");
}

#[test]
fn a_packet_stops_at_each_of_its_stops() {
    let record = run(json!([hold(&[]), first(), release(0), release(0), release(0), release(0), release(0)]));
    let arrived: Vec<usize> = (1..6).map(|step| arrived(&record, step)).collect();
    assert_eq!(arrived, [0, 0, 0, 0, 1]);
    assert_eq!(record["steps"][6]["outcome"]["refused"], "no packet waits on CPU 0");
}

#[test]
fn an_entry_waits_as_long_as_its_packet() {
    let wait = json!({ "do": "sleep", "ms": 60_000 });
    // The second connection makes conntrack look for entries to free.
    let record = run(json!([
        hold(&["confirm"]),
        first(),
        wait,
        json!({ "do": "raw", "host": "c2", "pkt": { "proto": "udp", "src": "10.0.2.2", "dst": "10.0.3.2", "sport": 1, "dport": 2 } }),
        release(0),
        cmd("conntrack -L")
    ]));
    assert_eq!(arrived(&record, 4), 1);
    assert_eq!(stdout(&record, 5).iter().filter(|r| r.contains("src=10.0.1.2")).count(), 1);
}

#[test]
fn other_packets_pass_the_held_one() {
    let record = run(json!([
        json!({ "do": "hold", "host": "r", "packets": { "src": "10.0.1.2" }, "count": 1 }),
        first(),
        second()
    ]));
    assert_eq!((arrived(&record, 1), arrived(&record, 2)), (0, 1));
}

#[test]
fn the_third_packet_is_not_held() {
    let record = run(json!([hold(&["confirm"]), first(), second(), syn("c1", "10.0.1.3")]));
    assert_eq!((arrived(&record, 2), arrived(&record, 3)), (0, 1));
}

#[test]
fn rules_may_change_while_a_packet_is_held() {
    let rules = "*mangle\n-A POSTROUTING -j DROP\nCOMMIT\n*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n";
    let record = run(json!([
        hold(&["entry"]),
        first(),
        json!({ "do": "restore", "host": "r", "iptables": rules, "noflush": true }),
        release(0)
    ]));
    // It meets the new rule, in a table that was not there when it stopped.
    assert_eq!(arrived(&record, 3), 0);
    assert_eq!(record["final"]["r"]["conntrack"], json!([]));
}

#[test]
fn packets_overtake_each_other_in_the_queue_of_a_device() {
    let record =
        run(json!([hold(&["transmit"]), first(), second(), cmd("conntrack -L"), release(1), release(0)]));
    // Both have their entries, and nobody has seen them on the link.
    assert_eq!((arrived(&record, 1), arrived(&record, 2)), (0, 0));
    assert_eq!(stdout(&record, 3).len(), 2);
    assert_eq!((arrived(&record, 4), arrived(&record, 5)), (1, 1));
}

#[test]
fn a_held_run_ends_in_the_same_state_without_a_log() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/race/masquerade-tcp.json");
    let mut document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for order in [[0, 1, 0, 1, 0, 1, 0, 1], [1, 0, 0, 0, 0, 1, 1, 1]] {
        document["stimuli"][0]["order"] = json!(order);
        let scenario = nflab::scenario::parse(&document).unwrap();
        let state = |run: sim::Run| {
            let id = run.world.host_by_name("r").unwrap();
            let (now, ct) = (run.world.now(), &run.world.host(id).unwrap().ct);
            (now, ct.rows(now), ct.stats_by_cpu())
        };
        assert_eq!(state(scenario.run().unwrap()), state(scenario.run_quiet().unwrap()));
    }
}

#[test]
fn a_release_without_a_processor_ends_the_hold() {
    let all = json!({ "do": "release", "host": "r" });
    let record = run(json!([hold(&[]), first(), second(), all, syn("c1", "10.0.1.3")]));
    assert_eq!((arrived(&record, 3), arrived(&record, 4)), (2, 1));
}

#[test]
fn a_race_to_which_nobody_comes_goes_on_alone() {
    let mut alone = hold(&[]);
    alone["order"] = json!([1, 0]);
    let record = run(json!([alone, first()]));
    assert_eq!(arrived(&record, 1), 1);
}

#[test]
fn a_wrong_hold_says_what_was_expected() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/race/masquerade-tcp.json");
    let good: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (key, value, says) in [
        (
            "at",
            json!(["nat"]),
            r#"stimuli[0].at[0]: expected one of lookup, entry, port, confirm, transmit, found "nat""#,
        ),
        (
            "packets",
            json!({ "port": 1 }),
            r#"stimuli[0].packets: expected proto, src, dst, sport or dport, found "port""#,
        ),
        (
            "packets",
            json!({ "proto": "ip" }),
            r#"stimuli[0].packets.proto: expected tcp, udp, icmp or a number, found "ip""#,
        ),
        ("order", json!([-1]), "stimuli[0].order[0]: expected a number that fits, found -1"),
    ] {
        let mut scenario = good.clone();
        scenario["stimuli"][0][key] = value;
        assert_eq!(replay(&scenario).unwrap_err(), says);
    }
    let mut nothing = good;
    nothing["stimuli"] = json!([]);
    let says = nflab::race::explore(&nothing).unwrap_err();
    assert_eq!(says, "stimuli: expected a hold, whose packets can go on in more than one order");
}
