//! A rollout in mode ipvs: connections that end gracefully, ports that are used again, servers that are gone (k8s#81775, #71358). What
//! Linux 6.1 does is in the transcript V6b; `tests/ipvs` holds the engine against it.

use super::{Record, engine, fact};
use serde_json::{Value, json};

/// A client, a node with a virtual server and two pods. What is done is a list of lines: `client PROTO PORT` asks the virtual server from
/// that port, `wait SECONDS`, and all others are commands on the node.
fn run(lines: &[&str]) -> Record {
    let mut stimuli: Vec<Value> = [
        "sysctl -w net.ipv4.vs.conntrack=0",
        "ipvsadm -A -t 10.96.0.10:80 -s rr",
        "ipvsadm -a -t 10.96.0.10:80 -r 10.244.3.2:8080 -m",
        "ipvsadm -A -t 10.96.0.10:81 -s rr",
        "ipvsadm -a -t 10.96.0.10:81 -r 10.244.3.2:8081 -m",
        "ipvsadm -A -u 10.96.0.10:53 -s rr",
        "ipvsadm -a -u 10.96.0.10:53 -r 10.244.3.2:53 -m",
    ]
    .map(command)
    .to_vec();
    stimuli.extend(lines.iter().map(|line| stimulus(line)));
    let pod = |net: u8| {
        json!({ "addrs": { "eth0": [format!("10.244.{net}.2/24")] }, "routes": [format!("default via 10.244.{net}.1")],
            "servers": [{ "proto": "udp", "bind": "0.0.0.0:53" }, { "proto": "tcp", "bind": "0.0.0.0:8080", "close": "server" },
                { "proto": "tcp", "bind": "0.0.0.0:8081" }] })
    };
    engine(&json!({
        "name": "ipvs", "settle_ms": 5,
        "hosts": {
            "client": { "addrs": { "eth0": ["10.0.0.2/24"] }, "routes": ["default via 10.0.0.1"] },
            "node": { "kernel": "6.1", "addrs": { "eth0": ["10.0.0.1/24"], "vb": ["10.244.3.1/24"], "vc": ["10.244.4.1/24"] },
                "ip": ["link add kube-ipvs0 type dummy", "addr add 10.96.0.10/32 dev kube-ipvs0"],
                "sysctl": { "net.ipv4.ip_forward": 1 } },
            "pod-b": pod(3), "pod-c": pod(4)
        },
        "links": [
            { "type": "veth", "a": "client:eth0", "b": "node:eth0" },
            { "type": "veth", "a": "pod-b:eth0", "b": "node:vb" },
            { "type": "veth", "a": "pod-c:eth0", "b": "node:vc" }
        ],
        "stimuli": stimuli
    }))
}

/// How many things are done before the lines.
const BEFORE: usize = 7;

fn command(line: &str) -> Value {
    json!({ "do": "cmd", "host": "node", "argv": line.split(' ').collect::<Vec<_>>() })
}

fn stimulus(line: &str) -> Value {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["wait", seconds] => json!({ "do": "sleep", "ms": seconds.parse::<u64>().unwrap() * 1000 }),
        ["client", "tcp", port] => json!({ "do": "tcp", "host": "client", "src": format!("10.0.0.2:{port}"),
            "dst": "10.96.0.10:80", "close": "server", "timeout_ms": 500 }),
        ["client", "hold", port] => json!({ "do": "tcp", "host": "client", "src": format!("10.0.0.2:{port}"),
            "dst": "10.96.0.10:81", "hold": true, "timeout_ms": 500 }),
        ["client", "more"] => json!({ "do": "tcpsend", "id": 0, "data": "more", "timeout_ms": 500 }),
        ["client", "udp", port] => {
            json!({ "do": "udp", "host": "client", "src": format!("10.0.0.2:{port}"), "dst": "10.96.0.10:53" })
        }
        _ => command(line),
    }
}

/// Which pod answered a line; "" if none did.
fn pod(record: &Record, line: usize) -> String {
    let outcome = record.outcome(BEFORE + line);
    let text = outcome["reply"].as_str().or(outcome["result"][0]["text"].as_str()).unwrap_or_default();
    text.split(' ').next().filter(|w| w.starts_with("pod")).unwrap_or_default().to_owned()
}

/// pod-c takes over from pod-b, which ends gracefully: no new connections, but what it has.
const ROLLOUT: [&str; 4] = [
    "ipvsadm -a -t 10.96.0.10:80 -r 10.244.4.2:8080 -m",
    "ipvsadm -e -t 10.96.0.10:80 -r 10.244.3.2:8080 -m -w 0",
    "ipvsadm -a -u 10.96.0.10:53 -r 10.244.4.2:53 -m",
    "ipvsadm -e -u 10.96.0.10:53 -r 10.244.3.2:53 -m -w 0",
];

fn with_rollout(before: &[&'static str], after: &[&'static str]) -> Record {
    run(&[before, &ROLLOUT, after].concat())
}

#[test]
fn the_timeouts_are_900_120_300() {
    let record = run(&["ipvsadm -l --timeout"]);
    fact!(record, record.stdout(BEFORE), ["Timeout (tcp tcpfin udp): 900 120 300"]);
}

#[test]
fn a_weight_of_0_keeps_flows_and_takes_no_new_ones() {
    let record = with_rollout(&["client udp 4000"], &["client udp 4000", "client udp 4001"]);
    fact!(record, [pod(&record, 0), pod(&record, 5), pod(&record, 6)], ["pod-b", "pod-b", "pod-c"]);
}

#[test]
fn conn_reuse_mode_0_sends_a_port_that_is_used_again_to_the_old_server() {
    let record =
        with_rollout(&["sysctl -w net.ipv4.vs.conn_reuse_mode=0", "client tcp 4000"], &["client tcp 4000"]);
    fact!(record, [pod(&record, 1), pod(&record, 6)], ["pod-b", "pod-b"]);
}

#[test]
fn conn_reuse_mode_1_sends_it_to_the_new_one() {
    let record =
        with_rollout(&["sysctl -w net.ipv4.vs.conn_reuse_mode=1", "client tcp 4000"], &["client tcp 4000"]);
    fact!(record, [pod(&record, 1), pod(&record, 6)], ["pod-b", "pod-c"]);
}

#[test]
fn with_mode_0_and_the_old_pod_gone_the_client_hangs() {
    let gone = "ip route replace blackhole 10.244.3.2/32";
    let record = with_rollout(
        &["sysctl -w net.ipv4.vs.conn_reuse_mode=0", "client tcp 4000"],
        &[gone, "client tcp 4000", "client tcp 4001"],
    );
    assert_ne!(record.outcome(BEFORE + 7)["connect"], "ok");
    fact!(record, pod(&record, 8), "pod-c");
}

/// The server goes, not only its weight.
const DELETE: &str = "ipvsadm -d -u 10.96.0.10:53 -r 10.244.3.2:53";

#[test]
fn expire_nodest_conn_0_drops_what_a_deleted_server_had() {
    let record = with_rollout(
        &["sysctl -w net.ipv4.vs.expire_nodest_conn=0", "client udp 4000"],
        &[DELETE, "client udp 4000"],
    );
    fact!(record, record.outcome(BEFORE + 7)["result"], "timeout");
}

#[test]
fn it_is_dropped_until_the_connection_expires() {
    let record = with_rollout(
        &["sysctl -w net.ipv4.vs.expire_nodest_conn=0", "client udp 4000"],
        &[DELETE, "wait 290", "client udp 4000", "wait 11", "client udp 4000"],
    );
    fact!(record, [pod(&record, 8), pod(&record, 10)], ["", "pod-c"]);
}

#[test]
fn expire_nodest_conn_1_sends_the_next_packet_to_another_server() {
    let record = with_rollout(
        &["sysctl -w net.ipv4.vs.expire_nodest_conn=1", "client udp 4000"],
        &[DELETE, "client udp 4000"],
    );
    fact!(record, pod(&record, 7), "pod-c");
}

#[test]
fn an_established_connection_is_a_black_hole_for_fifteen_minutes() {
    let record = with_rollout(
        &["client hold 4000"],
        &[
            "ipvsadm -d -t 10.96.0.10:81 -r 10.244.3.2:8081",
            "client more",
            "ipvsadm -Lnc",
            "wait 900",
            "ipvsadm -Lnc",
        ],
    );
    fact!(record, record.outcome(BEFORE + 6)["reply"], "timeout");
    let listed = |line: usize| {
        let lines = record.stdout(BEFORE + line);
        lines
            .into_iter()
            .find(|l| l.starts_with("TCP"))
            .map(|l| l.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
    };
    let first = listed(7).unwrap();
    assert!(first.starts_with("TCP 14:") || first.starts_with("TCP 15:"), "{first}");
    assert!(first.ends_with("ESTABLISHED"), "{first}");
    fact!(record, listed(9), None);
}
