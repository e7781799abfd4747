//! A load test between two machines: what comes of shortcuts is what comes of whole ways.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::netfilter::conntrack::Limits;
use kernel::{Era, Instant};
use sim::load::{Cost, LoadRun, LoadSpec};
use sim::{HostSpec, LinkSpec, Scenario};
use std::net::Ipv4Addr;
use std::time::Duration;
use userland::ip::parse_ip;

fn host(name: &str, lines: &[&str]) -> HostSpec {
    let ip = |line: &&str| parse_ip(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap().command;
    // Of this era, conntrack runs only where rules ask for it.
    HostSpec {
        name: name.to_owned(),
        ip: lines.iter().map(ip).collect(),
        era: Era::V4_19,
        ..HostSpec::default()
    }
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// A client, a node that forwards, and a pod with the server, on boxes of which these commands have been run too.
fn spec(node: &[&str], pod: &[&str], server: Ipv4Addr) -> LoadSpec {
    let end = |host: &str, dev: &str| (host.to_owned(), dev.to_owned());
    let cable = |a, b| LinkSpec::Veth { a, b, a_mac: None, b_mac: None };
    let client = [&format!("ip addr add {CLIENT}/24 dev eth0"), "ip route add default via 10.0.0.2"];
    let node = [&["ip addr add 10.0.0.2/24 dev eth0", "ip addr add 10.1.0.1/24 dev eth1"], node].concat();
    let pod = [&["ip addr add 10.1.0.2/24 dev eth0"], pod].concat();
    let forwards = HostSpec { sysctl: vec![("net.ipv4.ip_forward".to_owned(), 1)], ..host("node", &node) };
    LoadSpec {
        scenario: Scenario {
            hosts: vec![host("client", &client), forwards, host("pod", &pod)],
            links: vec![
                cable(end("client", "eth0"), end("node", "eth0")),
                cable(end("node", "eth1"), end("pod", "eth0")),
            ],
            ..Scenario::default()
        },
        client: "client".to_owned(),
        sources: vec![CLIENT],
        clients: 10,
        ports: (20_000, 29_999),
        target: (server, 69),
        file: 2000,
        again: Duration::from_secs(5),
        patience: Duration::from_secs(20),
        node: "node".to_owned(),
        servers: vec![("pod".to_owned(), (server, 69))],
        limits: Limits::default(),
        cpus: 2,
        cost: Cost {
            path: 1000,
            conntrack: 100,
            tables: 100,
            new_conntrack: 100,
            new_tables: 100,
            link: 10,
            slowness: 100,
            turn: 10_000,
            scale: 10,
        },
        seconds: 2,
        seed: 1,
    }
}

/// Files that come, packets that are sent, and ways that are noted.
fn files(spec: &LoadSpec, shortcuts: bool) -> (u64, u64, usize) {
    let mut run = LoadRun::new(spec).unwrap();
    if !shortcuts {
        run.go_whole_ways();
    }
    run.advance(Instant(u64::MAX));
    let noted = run.world().hosts().iter().map(|ns| ns.ways_noted()).sum();
    (run.samples().iter().map(|s| s.done).sum(), run.packets(), noted)
}

#[test]
fn a_plain_flow_takes_its_shortcut() {
    let spec = spec(&[], &["ip route add default via 10.1.0.1"], Ipv4Addr::new(10, 1, 0, 2));
    let (done, packets, noted) = files(&spec, true);
    assert!(done > 100, "{done}");
    // From socket to wire, through the node, from wire to socket; there and back.
    assert!(noted >= 6, "{noted}");
    assert_eq!(files(&spec, false), (done, packets, 0));
}

#[test]
fn what_goes_through_a_tunnel_is_wrapped_each_time() {
    let vx = |n: u8| {
        let (own, other) = (n, 3 - n);
        let dev = if n == 1 { "eth1" } else { "eth0" };
        [
            format!("ip link add vx type vxlan id 7 local 10.1.0.{own} remote 10.1.0.{other} dev {dev}"),
            "ip link set vx up".to_owned(),
            format!("ip addr add 172.16.0.{n}/24 dev vx"),
            "ip route add 10.0.0.0/24 via 172.16.0.1".to_owned(),
        ]
    };
    let [node, pod] = [vx(1), vx(2)];
    let node: Vec<&str> = node[..3].iter().map(String::as_str).collect();
    let pod: Vec<&str> = pod.iter().map(String::as_str).collect();
    let spec = spec(&node, &pod, Ipv4Addr::new(172, 16, 0, 2));
    let (done, packets, _) = files(&spec, true);
    assert!(done > 100, "{done}");
    assert_eq!(files(&spec, false), (done, packets, 0));
}

#[test]
fn what_is_typed_meanwhile_counts_for_the_next_packet() {
    let spec = spec(&[], &["ip route add default via 10.1.0.1"], Ipv4Addr::new(10, 1, 0, 2));
    let mut run = LoadRun::new(&spec).unwrap();
    run.advance(Instant(1_000_000));
    let node = run.boxes()[0];
    let argv = "iptables -I FORWARD -j DROP".split(' ').map(str::to_owned).collect::<Vec<_>>();
    let before = run.packets();
    assert!(before > 100 && run.command(node, &argv).unwrap().status == 0);
    run.advance(Instant(u64::MAX));
    // What was under way, and what is sent again.
    assert!(run.packets() - before < 100, "{before} {}", run.packets());
}

/// The pod's conntrack forgets each flow between two packets of it, as ten clients wait for a slow server: the node knows the way, the pod
/// has to be asked anew.
#[test]
fn what_the_second_box_does_not_know_goes_the_whole_way_there() {
    let mut spec = spec(&[], &["ip route add default via 10.1.0.1"], Ipv4Addr::new(10, 1, 0, 2));
    let rules = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
        -A INPUT -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n";
    spec.scenario.hosts[1].iptables = Some(rules.replace("INPUT -m", "FORWARD -m"));
    spec.scenario.hosts[2].iptables = Some(rules.to_owned());
    for (name, seconds) in [("udp_timeout", 1), ("udp_timeout_stream", 1)] {
        spec.scenario.hosts[2].sysctl.push((format!("net.netfilter.nf_conntrack_{name}"), seconds));
    }
    spec.cost.turn = 200_000_000;
    spec.cost.scale = 1;
    spec.seconds = 100;
    let state = |shortcuts: bool| {
        let mut run = LoadRun::new(&spec).unwrap();
        if !shortcuts {
            run.go_whole_ways();
        }
        run.advance(Instant(u64::MAX));
        let noted: usize = run.world().hosts().iter().map(|ns| ns.ways_noted()).sum();
        let work: Vec<_> = run.world().hosts().iter().map(|ns| ns.ct.work()).collect();
        (run.samples().to_vec(), run.packets(), work, noted)
    };
    let (short, whole) = (state(true), state(false));
    // In the pod an entry is made for each packet or two, in the node one for a file's flow.
    let [_, node, pod] = short.2[..] else { panic!("three boxes") };
    assert!(short.3 > 0 && pod.made > 3 * node.made && node.made > 10, "{node:?} {pod:?}");
    assert_eq!((short.0, short.1, short.2), (whole.0, whole.1, whole.2));
}

/// Some rules of the node ask for ports, others do not: flows between the same two addresses go different ways.
#[test]
fn flows_whose_ports_a_rule_asks_for_are_not_taken_for_alike() {
    let mut spec = spec(&[], &["ip route add default via 10.1.0.1"], Ipv4Addr::new(10, 1, 0, 2));
    let many = (0..10).map(|n| format!("-A ODD -p udp --sport {} -j RETURN\n", 20_001 + 20 * n));
    spec.scenario.hosts[1].iptables = Some(format!(
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:ODD - [0:0]\n\
         -A FORWARD -m state --state NEW -p udp --dport 69\n\
         -A FORWARD -s {CLIENT} -p udp --sport 20000:20100 -j ODD\n\
         -A FORWARD -p udp --dport 20050:20070 -j ACCEPT\n\
         -A FORWARD -m state --state ESTABLISHED -j ACCEPT\n{}COMMIT\n",
        many.collect::<String>()
    ));
    let counted = |shortcuts: bool| {
        let mut run = LoadRun::new(&spec).unwrap();
        if !shortcuts {
            run.go_whole_ways();
        }
        run.advance(Instant(u64::MAX));
        let argv = ["iptables-save", "-c"].map(str::to_owned);
        let saved = run.command(run.boxes()[0], &argv).unwrap().stdout;
        let rules: Vec<_> = saved.into_iter().filter(|line| !line.starts_with('#')).collect();
        (run.packets(), rules)
    };
    let (short, whole) = (counted(true), counted(false));
    let passed = |rule: &str| whole.1.iter().any(|l| l.contains(rule) && !l.starts_with("[0:0]"));
    assert!(passed("--dport 20050:20070 -j ACCEPT") && passed("--sport 20041 -j RETURN"), "{:?}", whole.1);
    assert_eq!(short, whole);
}

/// A source NAT to one address: the ends of flows differ behind the node, and answers come to that address.
#[test]
fn translated_flows_are_alike_too() {
    let mut spec = spec(&[], &[], Ipv4Addr::new(10, 1, 0, 2));
    let node = &mut spec.scenario.hosts[1];
    (node.modules.nf_conntrack_tftp, node.modules.nf_nat_tftp) = (true, true);
    node.sysctl.push(("net.netfilter.nf_conntrack_helper".to_owned(), 1));
    let nat = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
        -A POSTROUTING -o eth1 -j MASQUERADE --random-fully\nCOMMIT\n";
    node.iptables = Some(nat.to_owned());
    let state = |shortcuts: bool| {
        let mut run = LoadRun::new(&spec).unwrap();
        if !shortcuts {
            run.go_whole_ways();
        }
        run.advance(Instant(u64::MAX));
        let node = &run.world().hosts()[1];
        let entries = node.ct.rows(run.world().now());
        (run.samples().to_vec(), run.packets(), entries)
    };
    let (short, whole) = (state(true), state(false));
    assert!(short.1 > 1000 && short.2.len() > 100, "{} {}", short.1, short.2.len());
    assert_eq!(short, whole);
}
