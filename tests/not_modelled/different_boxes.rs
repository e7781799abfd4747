//! "Different from Linux": what tools show of a box, other kernels, clusters. Each test says what Linux does.

use crate::{Pair, printed};
use serde_json::json;
use sim::StepOutcome;

/// Linux gives each device that is up an address of fe80::/10, and `lo` ::1.
#[test]
fn no_device_has_an_ipv6_address() {
    assert!(printed("ip addr show").iter().all(|l| !l.contains("inet6")));
}

/// On Linux a device counts from the moment on at which it was made.
#[test]
fn devices_count_since_the_log_begins() {
    let mut pair = Pair::new();
    pair.udp(5000, 9);
    let mut world = pair.run().0.world;
    let host = world.host_by_name("a").unwrap();
    let argv = ["ip", "-s", "link", "show", "eth0"].map(str::to_owned);
    let mut sent = |forget: bool| {
        if forget {
            world.forget_log();
        }
        let out = sim::operator::command(&mut world, host, &argv, None).unwrap();
        out.stdout[5].split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!([false, true].map(&mut sent), ["1", "0"]);
}

/// On Linux the port is disabled, and nothing comes to it.
#[test]
fn bridges_use_ports_without_carrier() {
    let mut pair = Pair::new();
    for line in [
        "ip link add br9 type bridge",
        "ip link set br9 up",
        "ip link set eth0 master br9",
        "ip addr flush dev eth0",
        "ip addr add 10.0.0.1/24 dev br9",
    ] {
        pair.cmd(line);
    }
    pair.cmd_in("b", "ip link set eth0 down");
    pair.udp(5000, 9);
    let dump = pair.cmd("tcpdump -nn -t -i eth0 arp");
    let lines = pair.run().printed(dump);
    assert!(lines[0].starts_with("ARP, Request who-has 10.0.0.2 "), "{lines:?}");
}

/// On Linux its queue drops the packet.
#[test]
fn captures_see_what_a_device_without_carrier_sends() {
    let mut pair = Pair::new();
    pair.cmd_in("b", "ip link set eth0 down");
    pair.udp(5000, 9);
    let dump = pair.cmd("tcpdump -nn -t -i eth0");
    let lines = pair.run().printed(dump);
    assert!(lines[0].starts_with("IP 10.0.0.1.5000 > 10.0.0.2.9: "), "{lines:?}");
}

/// The real tool sets names and addresses off by escape sequences.
#[test]
fn nothing_is_coloured() {
    assert_eq!(printed("ip -c addr"), printed("ip addr"));
}

/// On Linux a queueing discipline can be chosen (`tc`), and a real Ethernet has one.
#[test]
fn every_queue_is_noqueue() {
    let lines = printed("ip link show eth0");
    assert!(lines[0].contains(" qdisc noqueue "), "{lines:?}");
}

/// Linux 5.4 knows no `allmulti`, `tso_max_size` and `gro_max_size`; the timer that clears the database runs.
#[test]
fn details_of_devices_are_those_of_6_18() {
    let mut pair = Pair::new();
    pair.set("a", "kernel", json!("4.19"));
    pair.cmd("ip link add br9 type bridge");
    pair.cmd("ip -d link show br9");
    let run = pair.run().0;
    let StepOutcome::Command(out) = &run.steps[1].outcome else { panic!("{:?}", run.steps) };
    assert!(out.stdout[1].contains(" allmulti 0 "), "{out:?}");
    assert!(out.stdout[2].contains(" gc_timer    0.00 "), "{out:?}");
}

/// Linux numbers the namespaces that a namespace has links to in the order in which they were asked for.
#[test]
fn link_netnsid_follows_the_devices() {
    let mut pair = Pair::new();
    pair.document["hosts"]["c"] = json!({});
    let links = json!([
        { "type": "veth", "a": "c:eth0", "b": "a:eth1" },
        { "type": "veth", "a": "a:eth0", "b": "b:eth0" },
    ]);
    pair.document["links"] = links;
    let show = pair.cmd("ip link show");
    let lines = pair.run().printed(show);
    let ids: Vec<&str> =
        lines.iter().filter_map(|l| l.rsplit_once("link-netnsid ").map(|(_, id)| id)).collect();
    assert_eq!(ids, ["0", "1"]);
}

/// A computer's Ethernet has no other end that its kernel knows.
#[test]
fn ethernets_are_veths() {
    let lines = printed("ip link show eth0");
    assert!(lines[0].starts_with("2: eth0@if2: "), "{lines:?}");
}

/// tftp-hpa prints the seconds as well: `Received 522 bytes in 0.1 seconds`.
#[test]
fn tftp_does_not_say_how_long_it_took() {
    let mut pair = Pair::new();
    pair.set("b", "servers", json!([{ "proto": "udp", "bind": "0.0.0.0:69", "mode": "tftp" }]));
    let get = pair.then(json!({ "do": "tftp", "host": "a", "dst": "10.0.0.2:69", "file": "f-522" }));
    let done = pair.run();
    let alerts = format!("{:?}", sim::view::steps(&done.0.world));
    assert!(
        alerts.contains("Received 522 bytes") && !alerts.contains("Received 522 bytes in"),
        "{get} {alerts}"
    );
}

/// `nf_conntrack_sctp_timeout_heartbeat_acked` was there until 6.0 (net/netfilter/nf_conntrack_standalone.c).
#[test]
fn eras_differ_in_what_is_listed_only() {
    for kernel in ["3.10", "5.15"] {
        let mut pair = Pair::new();
        pair.set("a", "kernel", json!(kernel));
        let get = pair.cmd("sysctl net.netfilter.nf_conntrack_sctp_timeout_heartbeat_acked");
        assert_eq!(pair.run().printed(get).last().unwrap(), "[rc=1]", "{kernel}");
    }
}

/// A container runtime draws the id of a sandbox at random, and the plugin's chain has a hash of it.
#[test]
fn ids_of_containers_follow_from_the_pod() {
    let id = cluster::cni::container_id("default", "web");
    assert_eq!(id, cluster::cni::container_id("default", "web"));
    assert_eq!(cluster::cni::chain_name("cbr0", &id), "CNI-76111baea4ad72da20878eb8");
}
