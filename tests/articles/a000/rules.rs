//! What kube-proxy leaves on the node in mode ipvs: virtual servers, rules, sets, and where IPVS stands among them.

use super::{CIDR, CLIENT, ETHERNET, NODE, OTHER_NODE, VETH, nodes, objects, tftp};
use crate::{capture, netns, shell, words};
use cluster::kube_proxy::{Config, Family, ipvs};
use cluster::object::TrafficPolicy;
use kernel::event::{RuleOutcome, What};
use kernel::netfilter::hook::{HookFn, HookPoint, InetHook};
use kernel::netfilter::xtables::TableId;
use sim::{Run, World};
use userland::iptables::print_rule;
use workshop::kube::Mode;
use workshop::{LabRun, kube, query};

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
metadata: {name: tftp-server-2, namespace: default, labels: {kubernetes.io/service-name: tftp-server}}
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
    let text = ipvs(&Config::default(), Family::V4, &objects(""));
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

/// hash:ip,port,ip, revision 5, one reference, seven members: each local endpoint with itself, three ports of each of CoreDNS's pods
/// and the TFTP server. The article's kernel reports
/// 688 bytes; this is Linux 6.18's figure.
#[test]
fn kube_loop_back_has_each_local_endpoint_with_itself() {
    let list = shell(&tftp(&[]).run, NODE, "ipset -L KUBE-LOOP-BACK");
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
    let mut world = tftp(&[]).run.world;
    let node = world.host_by_name(NODE).unwrap();
    let test = |entry: &str, world: &mut World| {
        let argv = words(&format!("ipset test KUBE-LOOP-BACK {entry}"));
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
        let at = ns.hooks().at(HookPoint { family: packet::Family::V4, hook });
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
