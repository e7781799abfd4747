//! What four articles about Kubernetes networking observed, seen here. Each test names the observation.
//!
//! 000: "Exposing TFTP Server as Kubernetes Service, Part 10"; 001: "Kubernetes service iptables magic"; 003: "My Kubernetes
//! Networking Journey, Part 2". Those of 002 (the reply that takes a short cut over the bridge) are in `lab.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Family, Mode, iptables_jumps};
use kernel::event::{RuleOutcome, TapDir, What};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::{LoadedTable, TableId};
use kernel::{Netns, PacketId};
use packet::Ip;
use std::net::{IpAddr, Ipv4Addr};
use userland::iptables::{TableStore, iptables, iptables_restore, print_rule};
use workshop::{LabRun, Setting, query};

// ---------------------------------------------------------------------- 000: TFTP through IPVS

const NODE: &str = "learn-k8s-2";

/// The article's cluster: IPVS, Linux 3.10, natOutgoing; `changes` are positions of switches.
fn tftp(changes: &[(&str, &str)]) -> LabRun {
    let setting = changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    workshop::lab("tftp-ipvs").unwrap().run(&Setting::from_iter(setting)).unwrap()
}

fn netns<'a>(run: &'a LabRun, name: &str) -> &'a Netns {
    let world = &run.run.world;
    world.host(world.host_by_name(name).unwrap()).unwrap()
}

/// What a capture on a device of a box shows: direction and packet.
fn capture<'a>(run: &'a LabRun, host: &str, dev: &str) -> Vec<(TapDir, PacketId, &'a Ip)> {
    let id = run.run.world.host_by_name(host).unwrap();
    let dev_is = |d| netns(run, host).dev_name(d) == dev;
    query::entries(&run.run)
        .filter(|(_, e)| e.host == id)
        .filter_map(|(_, e)| match e.what()? {
            What::Tap { dev, dir, frame, .. } if dev_is(*dev) => Some((*dir, e.packet?, frame.ip()?)),
            _ => None,
        })
        .collect()
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 100, 197));
const NODE_ADDR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 100, 208));
const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 29, 77));

#[test]
fn a000_the_transfer_times_out() {
    assert_eq!(tftp(&[]).stimuli[0].outcome, "transfer timed out");
}

#[test]
fn a000_the_pod_is_asked_by_the_node_and_its_data_is_answered_by_port_unreachable() {
    let run = tftp(&[]);
    let seen = capture(&run, "tftpd", "eth0");
    let line = |n: usize| {
        let (dir, _, ip): (TapDir, PacketId, &Ip) = seen[n];
        (dir, ip.src, ip.dst, ip.ports().map(|(_, to)| to), ip.icmp().map(|i| (i.kind, i.code)))
    };
    assert_eq!(line(0), (TapDir::In, NODE_ADDR, POD, Some(69), None));
    let (dir, from, to, port, _) = line(1);
    assert_eq!((dir, from, to), (TapDir::Out, POD, NODE_ADDR));
    assert_ne!(port, Some(69));
    let (dir, from, to, _, icmp) = line(2);
    assert_eq!((dir, from, to, icmp), (TapDir::In, NODE_ADDR, POD, Some((3, 3))));
}

#[test]
fn a000_the_nodes_ethernet_shows_requests_and_no_response() {
    let run = tftp(&[]);
    let seen = capture(&run, NODE, "eth0");
    assert!(!seen.is_empty());
    for (dir, _, ip) in seen {
        assert_eq!((dir, ip.src, ip.dst), (TapDir::In, CLIENT, NODE_ADDR));
    }
}

#[test]
fn a000_the_virtual_servers_are_the_same_for_local_and_cluster() {
    let list = |policy| {
        let run = tftp(&[("externalTrafficPolicy", policy), ("nf_nat_tftp", "off")]);
        let ipvs = &netns(&run, NODE).ipvs;
        let text = userland::ipvsadm::print_list(ipvs, run.run.world.now());
        // The counts of connections are a matter of what was sent.
        text.lines().map(|l| l.split_whitespace().take(4).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert!(list("Cluster").contains(&"-> 192.168.29.77:69 Masq 1".to_owned()), "{:?}", list("Cluster"));
    assert_eq!(list("Local"), list("Cluster"));
}

/// The rules of table nat that the first request matches on the node, each as `CHAIN: target part`.
fn matched_in_nat(run: &LabRun) -> Vec<String> {
    let id = run.run.world.host_by_name(NODE).unwrap();
    let request = capture(run, NODE, "eth0")[0].1;
    let table = netns(run, NODE).table(TableId::Nat).unwrap();
    query::entries(&run.run)
        .filter(|(_, e)| e.host == id && e.packet == Some(request))
        .filter_map(|(_, e)| match e.what()? {
            What::Rule(step) if step.table == TableId::Nat => match &step.outcome {
                RuleOutcome::Match { rule, .. } => {
                    let text = print_rule(&table.rules, rule);
                    text.split_once("-j ").map(|(_, target)| format!("{}: {target}", step.chain))
                }
                _ => None,
            },
            _ => None,
        })
        .collect()
}

#[test]
fn a000_the_request_is_marked_in_kube_node_port_and_masqueraded_in_kube_postrouting() {
    let expected = [
        "PREROUTING: KUBE-SERVICES",
        "KUBE-SERVICES: KUBE-NODE-PORT",
        "KUBE-NODE-PORT: KUBE-MARK-MASQ",
        "KUBE-MARK-MASQ: MARK --set-xmark 0x4000/0x4000",
        "POSTROUTING: KUBE-POSTROUTING",
        "KUBE-POSTROUTING: MARK --set-xmark 0x4000/0x0",
        "KUBE-POSTROUTING: MASQUERADE --random-fully",
    ];
    let matched = matched_in_nat(&tftp(&[]));
    let kube: Vec<&String> = matched.iter().filter(|m| m.contains("KUBE")).collect();
    assert_eq!(kube, expected, "{matched:?}");
}

#[test]
fn a000_with_local_the_request_is_not_marked() {
    let matched = matched_in_nat(&tftp(&[("externalTrafficPolicy", "Local")]));
    assert!(matched.contains(&"KUBE-NODE-PORT: RETURN".to_owned()), "{matched:?}");
    assert!(!matched.iter().any(|m| m.contains("MASQ")), "{matched:?}");
}

/// What `ipset -L SET` prints on the node.
fn ipset(run: &LabRun, name: &str) -> Vec<String> {
    let ns = netns(run, NODE);
    let set = ns.ipsets.get(name).unwrap();
    userland::ipset::list_set(set, ns.set_references(name), false, ns.era(), run.run.world.now())
}

#[test]
fn a000_kube_node_port_udp_is_a_bitmap_with_one_member() {
    let list = ipset(&tftp(&[]), "KUBE-NODE-PORT-UDP");
    assert_eq!(list[..2], ["Name: KUBE-NODE-PORT-UDP", "Type: bitmap:port"]);
    assert!(list[3].starts_with("Header: range 0-65535"), "{list:?}");
    assert_eq!(list[5..], ["References: 1", "Number of entries: 1", "Members:", "69"]);
}

#[test]
fn a000_kube_loop_back_has_the_pod_with_itself() {
    let list = ipset(&tftp(&[]), "KUBE-LOOP-BACK");
    assert_eq!(list[..2], ["Name: KUBE-LOOP-BACK", "Type: hash:ip,port,ip"]);
    assert!(list[3].starts_with("Header: family inet hashsize 1024 maxelem 65536"), "{list:?}");
    assert_eq!(list[5], "References: 1");
    assert!(list.contains(&"192.168.29.77,udp:69,192.168.29.77".to_owned()), "{list:?}");
}

#[test]
fn a000_the_request_goes_by_input_and_output_to_postrouting() {
    let run = tftp(&[]);
    let id = run.run.world.host_by_name(NODE).unwrap();
    let request = capture(&run, NODE, "eth0")[0].1;
    let hooks: Vec<InetHook> = query::entries(&run.run)
        .filter(|(_, e)| e.host == id && e.packet == Some(request))
        .filter_map(|(_, e)| match e.what()? {
            What::Hook(ctx) => Some(ctx.hook),
            _ => None,
        })
        .collect();
    use InetHook::{LocalIn, LocalOut, PostRouting, PreRouting};
    assert_eq!(hooks, [PreRouting, LocalIn, LocalOut, PostRouting]);
}

#[test]
fn a000_with_both_modules_2016_bytes_arrive() {
    let run = tftp(&[("nf_conntrack_tftp", "on"), ("nf_nat_tftp", "on")]);
    assert!(run.stimuli[0].outcome.contains("2016"), "{}", run.stimuli[0].outcome);
    assert!(run.goals.iter().all(|g| g.reached));
}

// ---------------------------------------------------------------------- 001: a Service in minikube

/// Tables as commands load them.
#[derive(Default)]
struct Store(Vec<(TableId, LoadedTable)>);

impl TableStore for Store {
    fn get(&self, table: TableId) -> Option<&LoadedTable> {
        self.0.iter().find(|(t, _)| *t == table).map(|(_, loaded)| loaded)
    }

    fn replace(&mut self, table: TableId, loaded: LoadedTable) {
        self.0.retain(|(t, _)| *t != table);
        self.0.push((table, loaded));
    }
}

/// What the kube-proxy of a case, in mode iptables, has loaded after its last sync.
struct Loaded(Store);

impl Loaded {
    fn new(yaml: &str) -> Loaded {
        let case = Case::read(yaml).unwrap_or_else(|e| panic!("{e}"));
        let mut store = Store::default();
        for line in iptables_jumps(&case.config, Family::V4).lines() {
            // A comment is the only word in quotes.
            let parts = line.split('"').enumerate();
            let argv: Vec<&str> = parts
                .flat_map(|(i, p)| if i % 2 == 0 { p.split_whitespace().collect() } else { vec![p] })
                .collect();
            let out = iptables(&mut store, &[&["iptables"][..], &argv[..]].concat());
            // A chain that is there already is as good.
            assert!(out.stderr.is_empty() || argv.contains(&"-N"), "{line}: {}", out.stderr);
        }
        let text = case.record(Some(Mode::Iptables)).unwrap().pop().unwrap().text;
        let out = iptables_restore(&mut store, &["iptables-restore", "--noflush"], &text);
        assert_eq!(out.stderr, "");
        Loaded(store)
    }

    /// `iptables -t nat ARGS`.
    fn nat(&mut self, args: &[&str]) -> Vec<String> {
        let out = iptables(&mut self.0, &[&["iptables", "-t", "nat"][..], args].concat());
        assert_eq!(out.stderr, "");
        out.stdout.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// `iptables -t nat -L CHAIN` without the line of column heads.
    fn list(&mut self, chain: &str) -> Vec<String> {
        let mut lines = self.nat(&["-L", chain]);
        lines.remove(1);
        lines
    }
}

const MINIKUBE: &str = include_str!("../data/articles/minikube.yaml");
const POD_ALONE: &str = "
---
kind: Pod
metadata: {name: another.example.com, namespace: default}
spec: {nodeName: minikube}
status: {podIP: 172.17.0.7, podIPs: [{ip: 172.17.0.7}]}
";

#[test]
fn a001_a_pod_alone_changes_nothing_in_nat() {
    let save = |yaml: &str| Loaded::new(yaml).nat(&["-S"]);
    assert_eq!(save(&format!("{MINIKUBE}{POD_ALONE}")), save(MINIKUBE));
}

#[test]
fn a001_kube_services_leads_to_each_service_and_to_the_node_ports_last() {
    assert_eq!(
        Loaded::new(MINIKUBE).list("KUBE-SERVICES"),
        [
            "Chain KUBE-SERVICES (2 references)",
            "KUBE-SVC-YLBSDKPE6MPDDRVY tcp -- anywhere 10.106.133.16 /* default/helloworld-service: cluster IP */ tcp dpt:31001",
            "KUBE-SVC-NPX46M4PTMTKRN6Y tcp -- anywhere 10.96.0.1 /* default/kubernetes:https cluster IP */ tcp dpt:https",
            "KUBE-SVC-2QFLXPI3464HMUTA tcp -- anywhere 10.96.215.164 /* kube-system/default-http-backend: cluster IP */ tcp dpt:http",
            "KUBE-SVC-TCOU7JCQXEZGVUNU udp -- anywhere 10.96.0.10 /* kube-system/kube-dns:dns cluster IP */ udp dpt:domain",
            "KUBE-SVC-ERIFXISQEP7F7OF4 tcp -- anywhere 10.96.0.10 /* kube-system/kube-dns:dns-tcp cluster IP */ tcp dpt:domain",
            "KUBE-SVC-XGLOHA7QRQ3V22RZ tcp -- anywhere 10.96.72.101 /* kube-system/kubernetes-dashboard: cluster IP */ tcp dpt:http",
            "KUBE-NODEPORTS all -- anywhere anywhere /* kubernetes service nodeports; NOTE: this must be the last rule in this chain */ \
             ADDRTYPE match dst-type LOCAL",
        ]
    );
}

#[test]
fn a001_the_service_chain_leads_to_the_endpoint_and_has_two_references() {
    assert_eq!(
        Loaded::new(MINIKUBE).list("KUBE-SVC-YLBSDKPE6MPDDRVY"),
        [
            "Chain KUBE-SVC-YLBSDKPE6MPDDRVY (2 references)",
            "KUBE-SEP-32ZXKBHCWGUC5KVE all -- anywhere anywhere /* default/helloworld-service: */",
        ]
    );
}

#[test]
fn a001_the_endpoint_chain_marks_the_pods_own_packets_and_then_translates() {
    assert_eq!(
        Loaded::new(MINIKUBE).list("KUBE-SEP-32ZXKBHCWGUC5KVE"),
        [
            "Chain KUBE-SEP-32ZXKBHCWGUC5KVE (1 references)",
            "KUBE-MARK-MASQ all -- 172.17.0.6 anywhere /* default/helloworld-service: */",
            "DNAT tcp -- anywhere anywhere /* default/helloworld-service: */ tcp to:172.17.0.6:3000",
        ]
    );
}

#[test]
fn a001_each_node_port_is_marked_and_then_sent_to_its_service() {
    assert_eq!(
        Loaded::new(MINIKUBE).list("KUBE-NODEPORTS"),
        [
            "Chain KUBE-NODEPORTS (1 references)",
            "KUBE-MARK-MASQ tcp -- anywhere anywhere /* default/helloworld-service: */ tcp dpt:31382",
            "KUBE-SVC-YLBSDKPE6MPDDRVY tcp -- anywhere anywhere /* default/helloworld-service: */ tcp dpt:31382",
            "KUBE-MARK-MASQ tcp -- anywhere anywhere /* kube-system/default-http-backend: */ tcp dpt:30001",
            "KUBE-SVC-2QFLXPI3464HMUTA tcp -- anywhere anywhere /* kube-system/default-http-backend: */ tcp dpt:30001",
            "KUBE-MARK-MASQ tcp -- anywhere anywhere /* kube-system/kubernetes-dashboard: */ tcp dpt:30000",
            "KUBE-SVC-XGLOHA7QRQ3V22RZ tcp -- anywhere anywhere /* kube-system/kubernetes-dashboard: */ tcp dpt:30000",
        ]
    );
}

#[test]
fn a001_kube_mark_masq_has_nine_references() {
    let list = Loaded::new(MINIKUBE).list("KUBE-MARK-MASQ");
    assert_eq!(list, ["Chain KUBE-MARK-MASQ (9 references)", "MARK all -- anywhere anywhere MARK or 0x4000"]);
}

// ---------------------------------------------------------------------- 003: chains of a Service

const OCTOPUS: &str = include_str!("../data/articles/octopus.yaml");

#[test]
fn a003_kube_services_is_entered_from_prerouting_and_from_output() {
    for chain in ["PREROUTING", "OUTPUT"] {
        let rules = Loaded::new(OCTOPUS).nat(&["-S", chain]);
        let jump =
            format!(r#"-A {chain} -m comment --comment "kubernetes service portals" -j KUBE-SERVICES"#);
        assert!(rules.contains(&jump), "{rules:?}");
    }
}

#[test]
fn a003_kube_postrouting_returns_what_is_not_marked_clears_the_mark_and_masquerades() {
    let rules = Loaded::new(OCTOPUS).nat(&["-S", "KUBE-POSTROUTING"]);
    assert_eq!(
        rules[1..],
        [
            "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
            "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
            r#"-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully"#,
        ]
    );
}

#[test]
fn a003_kube_mark_masq_sets_bit_14() {
    let rules = Loaded::new(OCTOPUS).nat(&["-S", "KUBE-MARK-MASQ"]);
    assert_eq!(rules[1..], ["-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"]);
}

#[test]
fn a003_half_of_the_connections_go_to_each_endpoint() {
    let rules = Loaded::new(OCTOPUS).nat(&["-S", "KUBE-SVC-A5DEC2RXT22GYINZ"]);
    let [first, second] = &rules[1..] else { panic!("{rules:?}") };
    assert!(first.contains("-m statistic --mode random --probability 0.50000000000"), "{first}");
    // The article prints the digit 0 where base32 has the letter O.
    assert!(first.ends_with("-j KUBE-SEP-F73MGWMXW3QO5EYA"), "{first}");
    assert!(!second.contains("statistic") && second.ends_with("-j KUBE-SEP-F6GCOKQ4JCB6DUYR"), "{second}");
}

#[test]
fn a003_each_endpoint_chain_marks_its_own_pod_and_translates_to_it() {
    for (chain, pod) in
        [("KUBE-SEP-F73MGWMXW3QO5EYA", "10.179.18.29"), ("KUBE-SEP-F6GCOKQ4JCB6DUYR", "10.179.18.8")]
    {
        let rules = Loaded::new(OCTOPUS).nat(&["-S", chain]);
        let [mark, dnat] = &rules[1..] else { panic!("{rules:?}") };
        assert!(mark.contains(&format!("-s {pod}/32 ")) && mark.ends_with("-j KUBE-MARK-MASQ"), "{mark}");
        assert!(dnat.ends_with(&format!("-j DNAT --to-destination {pod}:8080")), "{dnat}");
    }
}
#[test]
fn scratch() {
    for v in ["off", "on"] {
        let run = workshop::lab("same-node-clusterip")
            .unwrap()
            .run(&Setting::from_iter([("br_netfilter".to_owned(), v.to_owned())]))
            .unwrap();
        for l in sim::view::capture(&run.run.world) {
            if l.noise {
                continue;
            }
            println!("{} {}", run.run.world.host(l.host).unwrap().name, l.line());
        }
        let mut w = run.run.world.clone();
        let id = w.host_by_name("worker-2").unwrap();
        for c in [
            "ip addr show",
            "sysctl net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-filter-vlan-tagged",
            "iptables -t nat -S POSTROUTING",
            "conntrack -L",
        ] {
            let argv: Vec<String> = c.split(' ').map(str::to_owned).collect();
            println!("$ {c}\n{:#?}", sim::operator::command(&mut w, id, &argv, None));
        }
    }
    let run = tftp(&[]);
    for l in sim::view::capture(&run.run.world) {
        if l.noise {
            continue;
        }
        println!("{} {}", run.run.world.host(l.host).unwrap().name, l.line());
    }
    let mut w = run.run.world.clone();
    let id = w.host_by_name(NODE).unwrap();
    for c in ["iptables -t nat -S", "ipset list", "conntrack -L", "ipvsadm -Ln", "modprobe -v nf_nat_tftp"] {
        let argv: Vec<String> = c.split(' ').map(str::to_owned).collect();
        println!("$ {c}\n{:#?}", sim::operator::command(&mut w, id, &argv, None));
    }
}
