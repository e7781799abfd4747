//! "Different from Linux": tunnels. Each test says what Linux does.

use crate::{Done, Pair};
use kernel::event::What;
use serde_json::json;

/// Two boxes with a vxlan device each, 172.16.0.1 and .2; what they send goes to the other.
fn vxlan() -> Pair {
    let mut pair = Pair::new();
    for (host, own, other, n) in [("a", "10.0.0.1", "10.0.0.2", 1), ("b", "10.0.0.2", "10.0.0.1", 2)] {
        let link = format!(
            "link add vx address 0e:00:00:00:00:0{n} type vxlan id 7 local {own} remote {other} dev eth0"
        );
        let ip = [link, "link set vx up".to_owned(), format!("addr add 172.16.0.{n}/24 dev vx")];
        pair.set(host, "ip", json!(ip));
    }
    pair
}

/// Outer packets that `a` sends by its uplink in a step.
fn outer(done: &Done, step: usize) -> Vec<packet::Ip> {
    let out = |e: &sim::Entry| match e.what()? {
        What::Tunnel { step: kernel::event::TunnelStep::Encapsulated { after, .. }, .. } => {
            after.ip().cloned()
        }
        _ => None,
    };
    done.entries("a", step).filter_map(out).collect()
}

/// Linux draws the number of a connected socket anew for each (`sk_set_txhash`), and mixes a secret into others.
#[test]
fn the_outer_port_of_vxlan_follows_from_the_flow() {
    let ports = |sport: u16| {
        let mut pair = vxlan();
        let step = pair.udp_to(sport, "172.16.0.2:9");
        let done = pair.run();
        // ARP is a flow of its own.
        outer(&done, step).last().and_then(packet::Ip::ports).unwrap().0
    };
    assert_eq!(ports(5000), ports(5000));
    assert_ne!(ports(5000), ports(5001));
}

#[test]
fn what_vxlan_learned_does_not_age() {
    let mut pair = vxlan();
    pair.udp_to(5000, "172.16.0.2:9");
    pair.sleep(400_000);
    let show = pair.cmd("bridge fdb show dev vx");
    let entry = "0e:00:00:00:00:02 dst 10.0.0.2 self ";
    assert!(pair.run().printed(show).iter().any(|l| l == entry));
}

/// `ipip_err` notes that fewer bytes fit.
#[test]
fn errors_about_outer_packets_go_no_further() {
    let mut pair = Pair::new();
    pair.set(
        "a",
        "ip",
        json!([
            "link add t type ipip local 10.0.0.1 remote 10.0.0.2",
            "link set t up",
            "addr add 172.16.0.1/24 dev t",
        ]),
    );
    let inner =
        json!({ "proto": 4, "src": "10.0.0.1", "dst": "10.0.0.2", "payload": "x".repeat(40), "full": true });
    let error = json!({ "proto": "icmp", "src": "10.0.0.2", "dst": "10.0.0.1", "type": 3, "code": 4, "rest": 1000, "inner": inner });
    pair.frame("b", error);
    let get = pair.cmd("ip route get 172.16.0.2");
    assert!(!pair.run().printed(get).concat().contains("mtu"));
}

/// With the module ipip Linux answers port unreachable (recorded: V-ipip-other-end).
#[test]
fn without_an_ipip_device_its_protocol_is_unknown() {
    let code = |with_device: bool| {
        let mut pair = Pair::new();
        if with_device {
            pair.set("b", "ip", json!(["link add t type ipip remote 10.0.0.9", "link set t up"]));
        }
        let payload = "x".repeat(40);
        let step =
            pair.frame("a", json!({ "proto": 4, "src": "10.0.0.1", "dst": "10.0.0.2", "payload": payload }));
        let done = pair.run();
        let answer = |e: &sim::Entry| match e.what()? {
            What::Created { frame, .. } => frame.ip()?.icmp().map(|i| (i.kind, i.code)),
            _ => None,
        };
        done.entries("b", step).find_map(answer)
    };
    assert_eq!((code(false), code(true)), (Some((3, 2)), Some((3, 3))));
}
