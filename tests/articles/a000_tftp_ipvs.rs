//! 000: a TFTP server behind NodePort 69, kube-proxy in mode ipvs.

use crate::{capture, netns, shell};
use cluster::Objects;
use cluster::kube_proxy::{Mode, Version};
use cluster::object::TrafficPolicy;
use kernel::event::{CtStep, RuleOutcome, TapDir, What};
use kernel::netfilter::hook::{HookFn, HookPoint, InetHook};
use kernel::netfilter::xtables::TableId;
use kernel::{Era, Modules, PacketId};
use packet::{Family, Ip};
use sim::{Run, Scenario};
use std::net::{IpAddr, Ipv4Addr};
use userland::iptables::print_rule;
use workshop::kube::{self, Cni, Kube};
use workshop::{LabRun, query};

const NODE: &str = "learn-k8s-2";
const OTHER_NODE: &str = "learn-k8s-1";
/// The pod's veth on the node; the article's is called calic0bf1043683.
const VETH: &str = "cali-tftpd";
/// The node's Ethernet; the article's is called ens160.
const ETHERNET: &str = "eth0";
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 100, 197));
const NODE_ADDR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 100, 208));
const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 29, 77));

const BOTH_MODULES: [(&str, &str); 2] = [("nf_conntrack_tftp", "on"), ("nf_nat_tftp", "on")];

/// The article's cluster: IPVS, Linux 3.10, natOutgoing; `changes` are positions of switches.
fn tftp(changes: &[(&str, &str)]) -> LabRun {
    crate::lab("tftp-ipvs", changes)
}

/// What the article's cluster has beside the TFTP server: two pods of CoreDNS on the same node.
const COREDNS: &str = "
---
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10]
  ports:
    - {name: dns, protocol: UDP, port: 53}
    - {name: dns-tcp, protocol: TCP, port: 53}
    - {name: metrics, protocol: TCP, port: 9153}
---
kind: EndpointSlice
metadata: {name: kube-dns-1, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints:
  - {addresses: [192.168.29.75], nodeName: learn-k8s-2}
  - {addresses: [192.168.29.76], nodeName: learn-k8s-2}
ports:
  - {name: dns, protocol: UDP, port: 53}
  - {name: dns-tcp, protocol: TCP, port: 53}
  - {name: metrics, protocol: TCP, port: 9153}
";

/// The article's objects, and `more`.
fn objects(more: &str) -> Objects {
    let own = include_str!("../../crates/workshop/src/labs/tftp_ipvs/cluster.yaml");
    kube::objects(&format!("{own}{more}")).unwrap()
}

/// Nodes with what kube-proxy makes of these objects. Nothing is sent.
fn nodes(objects: Objects, mode: Mode, cluster_cidr: Option<&str>) -> Run {
    let kube = Kube {
        objects,
        mode,
        version: Version::default(),
        era: Era::V3_10,
        modules: Modules::default(),
        cni: Cni::Calico,
        cluster_cidr: cluster_cidr.map(|c| c.parse().unwrap()),
        nat_outgoing: true,
        hairpin: false,
        tftp_rule: None,
        gateway: Ipv4Addr::new(10, 10, 100, 1),
        outside: Vec::new(),
    };
    let boxes = kube.boxes().unwrap();
    Scenario { hosts: boxes.hosts, links: boxes.links, stimuli: Vec::new(), settle_ms: 40 }.run().unwrap()
}

const CIDR: Option<&str> = Some("192.168.0.0/16");

// ---------------------------------------------------------------------- the failure

/// The client is 10.10.100.197, the node 10.10.100.208, the pod 192.168.29.77:69; NodePort and target port are 69.
#[test]
fn the_node_port_is_69_and_leads_to_the_pod() {
    let run = tftp(&[]);
    let list = shell(&run.run, NODE, "ipvsadm -Ln");
    let at = list.iter().position(|l| l.starts_with("UDP  10.10.100.208:69 ")).unwrap();
    assert!(list[at + 1].contains("192.168.29.77:69"), "{list:?}");
    assert_eq!(capture(&run.run, NODE, ETHERNET)[0].2.src, CLIENT);
}

/// The kernel is RHEL 7's 3.10.
#[test]
fn the_nodes_run_linux_3_10() {
    let run = tftp(&[]);
    assert_eq!(netns(&run.run, NODE).era().release(), "3.10.0-1062.1.2.el7.x86_64");
}

/// The tool says that the transfer timed out.
#[test]
fn the_transfer_times_out() {
    assert_eq!(tftp(&[]).stimuli[0].outcome, "Transfer timed out.");
}

/// On the pod's veth: the request comes from the node (SNAT), the data is answered by ICMP port unreachable.
#[test]
fn the_pod_is_asked_by_the_node_and_its_data_is_answered_by_port_unreachable() {
    let run = tftp(&[]);
    let seen = capture(&run.run, NODE, VETH);
    let line = |n: usize| {
        let (dir, _, ip): (TapDir, PacketId, &Ip) = seen[n];
        (dir, ip.src, ip.dst, ip.ports().map(|(_, to)| to), ip.icmp().map(|i| (i.kind, i.code)))
    };
    assert_eq!(line(0), (TapDir::Out, NODE_ADDR, POD, Some(69), None));
    let (dir, from, to, port, _) = line(1);
    assert_eq!((dir, from, to), (TapDir::In, POD, NODE_ADDR));
    assert_ne!(port, Some(69));
    let (dir, from, to, _, icmp) = line(2);
    assert_eq!((dir, from, to, icmp), (TapDir::Out, NODE_ADDR, POD, Some((3, 3))));
}

/// tcpdump prints "10.10.100.208 udp port N unreachable", where N is the port that masquerading chose.
#[test]
fn the_unreachable_port_is_the_masqueraded_one() {
    let run = tftp(&[]);
    let masqueraded = capture(&run.run, NODE, VETH)[0].2.ports().unwrap().0;
    assert_ne!(masqueraded, 27661, "the client's own port");
    let node = run.run.world.host_by_name(NODE).unwrap();
    let lines = sim::view::capture(&run.run.world);
    let icmp = lines.iter().find(|l| l.host == node && l.text.contains("ICMP")).unwrap();
    let expected =
        format!("10.10.100.208 > 192.168.29.77: ICMP 10.10.100.208 udp port {masqueraded} unreachable");
    assert!(icmp.text.contains(&expected), "{}", icmp.text);
}

/// ... because neither a socket nor a conntrack entry of the node waits for data from a new port.
#[test]
fn the_data_begins_a_flow_that_conntrack_does_not_know() {
    let run = tftp(&[]);
    let node = run.run.world.host_by_name(NODE).unwrap();
    let data = capture(&run.run, NODE, VETH)[1].1;
    let mut steps = query::entries(&run.run).filter_map(|(_, e)| match e.what()? {
        What::Conntrack { step, .. } if e.host == node && e.packet == Some(data) => Some(*step),
        _ => None,
    });
    assert_eq!(steps.next(), Some(CtStep::New));
}

/// The capture on the node's Ethernet has one packet, the request. (The client here asks again every five seconds.)
#[test]
fn the_nodes_ethernet_shows_one_packet_until_the_client_asks_again() {
    let run = tftp(&[]);
    let node = run.run.world.host_by_name(NODE).unwrap();
    let lines = sim::view::capture(&run.run.world);
    let lines = lines.iter().filter(|l| l.host == node && l.dev == ETHERNET && !l.noise);
    let first: Vec<&str> = lines.filter(|l| l.time.as_str() < "00:00:05").map(|l| l.text.as_str()).collect();
    assert!(
        first.len() == 1 && first[0].contains("10.10.100.197.27661 > 10.10.100.208.69: UDP"),
        "{first:?}"
    );
}

#[test]
fn the_nodes_ethernet_never_shows_a_response() {
    let run = tftp(&[]);
    let seen = capture(&run.run, NODE, ETHERNET);
    assert!(!seen.is_empty());
    for (dir, _, ip) in seen {
        assert_eq!((dir, ip.src, ip.dst), (TapDir::In, CLIENT, NODE_ADDR));
    }
}

/// Mode iptables shows the same symptoms.
#[test]
fn mode_iptables_fails_in_the_same_way() {
    let run = tftp(&[("mode", "iptables")]);
    assert_eq!(run.stimuli[0].outcome, "Transfer timed out.");
    let icmp = capture(&run.run, NODE, VETH)[2].2;
    assert_eq!((icmp.src, icmp.icmp().map(|i| (i.kind, i.code))), (NODE_ADDR, Some((3, 3))));
}

// ---------------------------------------------------------------------- virtual servers

/// `ipvsadm -Ln` without the counts of connections, which are a matter of what was sent.
fn virtual_servers(run: &Run, node: &str) -> Vec<String> {
    let list = shell(run, node, "ipvsadm -Ln");
    list.iter().map(|l| l.split_whitespace().take(4).collect::<Vec<_>>().join(" ")).collect()
}

/// The node that has the endpoint lists the same under Local and Cluster.
#[test]
fn the_virtual_servers_are_the_same_for_local_and_cluster() {
    let list = |policy| virtual_servers(&tftp(&[("externalTrafficPolicy", policy)]).run, NODE);
    assert!(list("Cluster").contains(&"-> 192.168.29.77:69 Masq 1".to_owned()), "{:?}", list("Cluster"));
    assert_eq!(list("Local"), list("Cluster"));
}

/// Where another node has an endpoint too, the lists differ.
#[test]
fn with_an_endpoint_on_each_node_local_lists_only_its_own() {
    let second = "
---
kind: EndpointSlice
metadata: {name: tftp-server-service-2, namespace: default, labels: {kubernetes.io/service-name: tftp-server-service}}
addressType: IPv4
endpoints:
  - {addresses: [192.168.154.10], nodeName: learn-k8s-1}
ports:
  - {name: tftp, protocol: UDP, port: 69}
";
    let of_node_port = |policy| {
        let mut objects = objects(second);
        kube::set_external_traffic_policy(&mut objects, policy);
        let list = virtual_servers(&nodes(objects, Mode::Ipvs, CIDR), NODE);
        let own = list.iter().skip_while(|l| !l.starts_with("UDP 10.10.100.208:69")).skip(1);
        own.take_while(|l| l.starts_with("->")).cloned().collect::<Vec<_>>()
    };
    let both = ["-> 192.168.29.77:69 Masq 1", "-> 192.168.154.10:69 Masq 1"];
    assert_eq!(of_node_port(TrafficPolicy::Cluster), both);
    assert_eq!(of_node_port(TrafficPolicy::Local), both[..1]);
}

/// A node without an endpoint lists everybody's under Local too: since 1.21 kube-proxy lets its own pods through, and what
/// comes from outside gets no usable answer (syncEndpoint, pkg/proxy/ipvs/proxier.go).
#[test]
fn a_node_without_an_endpoint_lists_that_of_the_other_under_both_policies() {
    let list = |policy| virtual_servers(&tftp(&[("externalTrafficPolicy", policy)]).run, OTHER_NODE);
    assert!(list("Local").contains(&"-> 192.168.29.77:69 Masq 1".to_owned()), "{:?}", list("Local"));
    assert_eq!(list("Local"), list("Cluster"));
}

// ---------------------------------------------------------------------- iptables

/// The rules of table nat that the first request matches on the node, each as `CHAIN: target part`, with its number.
fn matched_in_nat(run: &LabRun) -> Vec<(u32, String)> {
    let id = run.run.world.host_by_name(NODE).unwrap();
    let request = capture(&run.run, NODE, ETHERNET)[0].1;
    let table = netns(&run.run, NODE).table(TableId::Nat).unwrap();
    query::entries(&run.run)
        .filter(|(_, e)| e.host == id && e.packet == Some(request))
        .filter_map(|(_, e)| match e.what()? {
            What::Rule(step) if step.table == TableId::Nat => match &step.outcome {
                RuleOutcome::Match { rule, .. } => {
                    let text = print_rule(&table.rules, rule);
                    text.split_once("-j ").map(|(_, target)| (step.n, format!("{}: {target}", step.chain)))
                }
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// PREROUTING, KUBE-SERVICES, KUBE-NODE-PORT (its only rule), KUBE-MARK-MASQ; KUBE-POSTROUTING: neither rule 1 (hairpin) nor
/// rule 2 (not marked), rule 3 clears the mark, rule 4 masquerades. The article's kube-proxy had no rule for 127.0.0.0/8 yet:
/// there the jump to KUBE-NODE-PORT is the second rule of KUBE-SERVICES, here the third.
#[test]
fn the_request_is_marked_in_kube_node_port_and_masqueraded_by_the_fourth_rule_of_kube_postrouting() {
    let expected = [
        (1, "PREROUTING: KUBE-SERVICES"),
        (3, "KUBE-SERVICES: KUBE-NODE-PORT"),
        (1, "KUBE-NODE-PORT: KUBE-MARK-MASQ"),
        (1, "KUBE-MARK-MASQ: MARK --set-xmark 0x4000/0x4000"),
        (1, "POSTROUTING: KUBE-POSTROUTING"),
        (3, "KUBE-POSTROUTING: MARK --set-xmark 0x4000/0x0"),
        (4, "KUBE-POSTROUTING: MASQUERADE --random-fully"),
    ];
    let matched = matched_in_nat(&tftp(&[]));
    let kube = matched.iter().filter(|(_, m)| m.contains("KUBE")).map(|(n, m)| (*n, m.as_str()));
    assert_eq!(kube.collect::<Vec<_>>(), expected, "{matched:?}");
}

#[test]
fn kube_postrouting_has_four_rules_and_the_first_is_for_hairpin() {
    let rules = shell(&tftp(&[]).run, NODE, "iptables -t nat -S KUBE-POSTROUTING");
    let hairpin = "-m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE";
    assert!(rules.len() == 5 && rules[1].ends_with(hairpin), "{rules:?}");
    assert_eq!(rules[2], "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN");
}

/// kube-proxy clears the mark by xor; iptables prints that as a set-xmark with no mask.
#[test]
fn the_mark_is_cleared_by_xor() {
    let text = cluster::kube_proxy::ipvs(
        &cluster::kube_proxy::Config::default(),
        cluster::kube_proxy::Family::V4,
        &objects(""),
    );
    assert!(
        text.iptables.contains("-A KUBE-POSTROUTING -j MARK --xor-mark 0x00004000\n"),
        "{}",
        text.iptables
    );
    let rules = shell(&tftp(&[]).run, NODE, "iptables -t nat -S KUBE-POSTROUTING");
    assert_eq!(rules[3], "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0");
}

/// KUBE-NODE-PORT has one rule, which looks into KUBE-NODE-PORT-UDP.
#[test]
fn kube_node_port_has_one_rule() {
    let rules = shell(&tftp(&[]).run, NODE, "iptables -t nat -S KUBE-NODE-PORT");
    let lookup = "-m set --match-set KUBE-NODE-PORT-UDP dst -j KUBE-MARK-MASQ";
    assert!(rules.len() == 2 && rules[1].ends_with(lookup), "{rules:?}");
}

/// With Local, a RETURN precedes the mark.
#[test]
fn with_local_a_return_precedes_the_mark_in_kube_node_port() {
    let run = tftp(&[("externalTrafficPolicy", "Local")]);
    let rules = shell(&run.run, NODE, "iptables -t nat -S KUBE-NODE-PORT");
    assert!(rules[1].ends_with("-m set --match-set KUBE-NODE-PORT-LOCAL-UDP dst -j RETURN"), "{rules:?}");
    assert!(rules[2].ends_with("-m set --match-set KUBE-NODE-PORT-UDP dst -j KUBE-MARK-MASQ"), "{rules:?}");
}

#[test]
fn with_local_the_request_is_not_marked() {
    let matched: Vec<String> = matched_in_nat(&tftp(&[("externalTrafficPolicy", "Local")]))
        .into_iter()
        .map(|(_, rule)| rule)
        .collect();
    assert!(matched.contains(&"KUBE-NODE-PORT: RETURN".to_owned()), "{matched:?}");
    assert!(!matched.iter().any(|m| m.contains("MASQ")), "{matched:?}");
}

/// With Local the pod sees the client's own address.
#[test]
fn with_local_the_pod_sees_the_client() {
    let run = tftp(&[("externalTrafficPolicy", "Local")]);
    assert_eq!(capture(&run.run, NODE, VETH)[0].2.src, CLIENT);
}

/// The order in KUBE-SERVICES: cluster IPs, external IPs, addresses of the node; ACCEPT for cluster IPs comes last.
#[test]
fn kube_services_asks_for_cluster_ips_then_external_ips_then_node_ports() {
    let external = "
---
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.98.36.80
  clusterIPs: [10.98.36.80]
  externalIPs: [10.10.100.250]
  ports:
    - {name: web, protocol: TCP, port: 80}
---
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints:
  - {addresses: [192.168.29.80], nodeName: learn-k8s-2}
ports:
  - {name: web, protocol: TCP, port: 80}
";
    let run = nodes(objects(external), Mode::Ipvs, CIDR);
    let rules = shell(&run, NODE, "iptables -t nat -S KUBE-SERVICES");
    let order = [
        "KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ",
        "KUBE-EXTERNAL-IP dst,dst -j KUBE-MARK-MASQ",
        "--dst-type LOCAL -j KUBE-NODE-PORT",
        "KUBE-CLUSTER-IP dst,dst -j ACCEPT",
    ];
    let places = order.map(|end| rules.iter().position(|r| r.ends_with(end)).expect(end));
    assert!(places.is_sorted(), "{rules:?}");
    assert_eq!(places[3] + 1, rules.len());
}

/// Who is not a pod is masqueraded on the way to a cluster IP; without a way to tell pods, only what comes from a cluster IP.
#[test]
fn the_rule_for_cluster_ips_depends_on_how_pods_are_told() {
    for (cidr, rule) in [
        (CIDR, "! -s 192.168.0.0/16 ~ -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ"),
        (None, " ~ -m set --match-set KUBE-CLUSTER-IP src,dst -j KUBE-MARK-MASQ"),
    ] {
        let rules = shell(&nodes(objects(""), Mode::Ipvs, cidr), NODE, "iptables -t nat -S KUBE-SERVICES");
        let (begin, end) = rule.split_once('~').unwrap();
        let wanted = |r: &&String| r.contains(begin.trim_end()) && r.ends_with(end);
        assert_eq!(rules.iter().filter(wanted).count(), 1, "{cidr:?}: {rules:?}");
    }
}

// ---------------------------------------------------------------------- sets

/// bitmap:port, revision 3, range 0-65535, one reference, one member. The article's kernel reports 8300 bytes of memory; this
/// is Linux 6.18's figure for the same 8192 bytes of bits.
#[test]
fn kube_node_port_udp_is_a_bitmap_with_one_member() {
    assert_eq!(
        shell(&tftp(&[]).run, NODE, "ipset -L KUBE-NODE-PORT-UDP"),
        [
            "Name: KUBE-NODE-PORT-UDP",
            "Type: bitmap:port",
            "Revision: 3",
            "Header: range 0-65535",
            "Size in memory: 8264",
            "References: 1",
            "Number of entries: 1",
            "Members:",
            "69",
        ]
    );
}

/// hash:ip,port,ip, revision 5, one reference, seven members: each local endpoint with itself. The article's kernel reports
/// 688 bytes; this is Linux 6.18's figure.
#[test]
fn kube_loop_back_has_each_local_endpoint_with_itself() {
    let list = shell(&nodes(objects(COREDNS), Mode::Ipvs, CIDR), NODE, "ipset -L KUBE-LOOP-BACK");
    let head = [
        "Name: KUBE-LOOP-BACK",
        "Type: hash:ip,port,ip",
        "Revision: 5",
        "Header: family inet hashsize 1024 maxelem 65536",
        "Size in memory: 600",
        "References: 1",
        "Number of entries: 7",
        "Members:",
    ];
    assert_eq!(list[..8], head);
    // The kernel lists them by hash; here they are sorted.
    let mut members = list[8..].to_vec();
    members.sort();
    assert_eq!(
        members,
        [
            "192.168.29.75,tcp:53,192.168.29.75",
            "192.168.29.75,tcp:9153,192.168.29.75",
            "192.168.29.75,udp:53,192.168.29.75",
            "192.168.29.76,tcp:53,192.168.29.76",
            "192.168.29.76,tcp:9153,192.168.29.76",
            "192.168.29.76,udp:53,192.168.29.76",
            "192.168.29.77,udp:69,192.168.29.77",
        ]
    );
}

/// The request is not for a member of KUBE-LOOP-BACK: its source is not the pod.
#[test]
fn the_request_does_not_match_kube_loop_back() {
    let mut world = nodes(objects(COREDNS), Mode::Ipvs, CIDR).world;
    let node = world.host_by_name(NODE).unwrap();
    let test = |entry: &str, world: &mut sim::World| {
        let argv = crate::words(&format!("ipset test KUBE-LOOP-BACK {entry}"));
        sim::operator::command(world, node, &argv, None).unwrap().status
    };
    assert_eq!(test("192.168.29.77,udp:69,10.10.100.197", &mut world), 1);
    assert_eq!(test("192.168.29.77,udp:69,192.168.29.77", &mut world), 0);
}

// ---------------------------------------------------------------------- the hooks

#[test]
fn the_request_goes_by_input_and_output_to_postrouting() {
    let run = tftp(&[]);
    let id = run.run.world.host_by_name(NODE).unwrap();
    let request = capture(&run.run, NODE, ETHERNET)[0].1;
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

/// IPVS stands at INPUT 98 and 99, OUTPUT -99 and -98, FORWARD 100: answers before requests. (What it has at FORWARD 99 is for
/// ICMP errors, which it does not translate here.)
#[test]
fn ipvs_stands_just_before_nat_at_input_and_just_after_it_at_output() {
    let run = tftp(&[]);
    let ns = netns(&run.run, NODE);
    let ipvs = |hook| -> Vec<(i32, HookFn)> {
        let at = ns.hooks().at(HookPoint { family: Family::V4, hook });
        at.filter(|o| matches!(o.func, HookFn::IpvsIn | HookFn::IpvsOut))
            .map(|o| (o.priority, o.func))
            .collect()
    };
    use HookFn::{IpvsIn, IpvsOut};
    assert_eq!(ipvs(InetHook::LocalIn), [(98, IpvsOut), (99, IpvsIn)]);
    assert_eq!(ipvs(InetHook::LocalOut), [(-99, IpvsOut), (-98, IpvsIn)]);
    assert_eq!(ipvs(InetHook::Forward), [(100, IpvsOut)]);
    assert_eq!(ipvs(InetHook::PreRouting), []);
    assert_eq!(ipvs(InetHook::PostRouting), []);
}

// ---------------------------------------------------------------------- the cure

/// `modprobe -v` prints an insmod for each module.
#[test]
fn modprobe_says_which_files_it_inserts() {
    let run = tftp(&[]);
    let mut world = run.run.world.clone();
    let node = world.host_by_name(NODE).unwrap();
    for module in ["nf_conntrack_tftp", "nf_nat_tftp"] {
        let mut modprobe = || {
            let argv = crate::words(&format!("modprobe -v {module}"));
            sim::operator::command(&mut world, node, &argv, None).unwrap().stdout
        };
        let file = format!("/lib/modules/3.10.0-1062.1.2.el7.x86_64/kernel/net/netfilter/{module}.ko.xz");
        assert_eq!(modprobe(), [format!("insmod {file} ")]);
        assert_eq!(modprobe(), Vec::<String>::new(), "it is there already");
    }
}

/// The NAT half needs the other one: modprobe brings it along, and does not take it away from under it.
#[test]
fn nf_nat_tftp_needs_nf_conntrack_tftp() {
    let run = tftp(&[]);
    let mut world = run.run.world.clone();
    let node = world.host_by_name(NODE).unwrap();
    let mut modprobe = |args: &str| {
        let argv = crate::words(&format!("modprobe {args}"));
        sim::operator::command(&mut world, node, &argv, None).unwrap()
    };
    assert_eq!(modprobe("-v nf_nat_tftp").stdout.len(), 2);
    let refused = modprobe("-r nf_conntrack_tftp");
    assert_eq!(refused.stderr, ["modprobe: FATAL: Module nf_conntrack_tftp is in use by: nf_nat_tftp"]);
    assert_eq!(modprobe("-v -r nf_nat_tftp").stdout, ["rmmod nf_nat_tftp"]);
    assert_eq!(modprobe("-r nf_conntrack_tftp").status, 0);
}

/// With both modules, and nothing else on this kernel, 2016 bytes arrive.
#[test]
fn with_both_modules_2016_bytes_arrive() {
    let run = tftp(&BOTH_MODULES);
    assert_eq!(run.stimuli[0].outcome, "Received 2016 bytes");
    assert!(run.goals.iter().all(|g| g.reached));
}

/// Later kernels assign no helper by themselves: there a CT rule is needed too (the lab makes it, without it nothing helps).
#[test]
fn only_old_kernels_assign_the_helper_by_themselves() {
    for (kernel, automatic) in [("3.10", true), ("4.19", false), ("6.18", false)] {
        let run = tftp(&[&BOTH_MODULES[..], &[("kernel", kernel)]].concat());
        let rules = shell(&run.run, NODE, "iptables -t raw -S PREROUTING");
        let has_rule = rules.iter().any(|r| r.ends_with("-j CT --helper tftp"));
        assert_eq!((has_rule, run.goals[0].reached), (!automatic, true), "{kernel}: {rules:?}");
    }
}

/// IPVS still depends on iptables; only the number of rules does not grow with the Services.
#[test]
fn in_mode_ipvs_the_number_of_rules_does_not_grow_with_the_services() {
    let many = |n: u8| {
        let one = |i: u8| {
            format!(
                "
---
kind: Service
metadata: {{name: s{i}, namespace: default}}
spec:
  clusterIP: 10.98.37.{i}
  clusterIPs: [10.98.37.{i}]
  ports:
    - {{name: web, protocol: TCP, port: 80}}
---
kind: EndpointSlice
metadata: {{name: s{i}-1, namespace: default, labels: {{kubernetes.io/service-name: s{i}}}}}
addressType: IPv4
endpoints:
  - {{addresses: [192.168.29.{i}], nodeName: learn-k8s-2}}
ports:
  - {{name: web, protocol: TCP, port: 80}}
"
            )
        };
        (100..100 + n).map(one).collect::<String>()
    };
    let rules = |mode, n| {
        let list = shell(&nodes(objects(&many(n)), mode, CIDR), NODE, "iptables -t nat -S");
        list.iter().filter(|l| l.starts_with("-A KUBE")).count()
    };
    assert_eq!(rules(Mode::Ipvs, 2), rules(Mode::Ipvs, 20));
    assert!(rules(Mode::Ipvs, 2) > 0, "it still depends on iptables");
    // For each Service: KUBE-SERVICES, KUBE-SVC (mark, jump), KUBE-SEP (mark, DNAT).
    assert_eq!(rules(Mode::Iptables, 20) - rules(Mode::Iptables, 2), 18 * 5);
}

// ---------------------------------------------------------------------- Local is not "no NAT"

/// With Local and no masquerade by the CNI the data leaves with the pod's own source, 192.168.29.77:47624, and fails.
#[test]
fn with_local_alone_the_data_comes_from_the_pod_and_is_of_no_use() {
    let run = tftp(&[("externalTrafficPolicy", "Local"), ("natOutgoing", "off")]);
    let data =
        capture(&run.run, "client", "eth0").into_iter().find(|(dir, ..)| *dir == TapDir::In).unwrap().2;
    assert_eq!((data.src, data.ports().map(|(from, _)| from)), (POD, Some(47624)));
    assert_eq!(run.stimuli[0].outcome, "Transfer timed out.");
}

/// It works on Calico because natOutgoing masquerades what pods send outside.
#[test]
fn with_local_and_nat_outgoing_the_data_comes_from_the_node_and_arrives() {
    let run = tftp(&[("externalTrafficPolicy", "Local"), ("natOutgoing", "on")]);
    let data =
        capture(&run.run, "client", "eth0").into_iter().find(|(dir, ..)| *dir == TapDir::In).unwrap().2;
    assert_eq!(data.src, NODE_ADDR);
    assert_eq!(run.stimuli[0].outcome, "Received 2016 bytes");
}
