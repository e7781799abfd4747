//! The iptables rules of mode ipvs (pkg/proxy/ipvs/proxier.go, `writeIptablesRules`).

use super::config::Config;
use super::ipset::{Set, Sets};
use super::ipvs::Node;
use super::text::{Comment, FORWARD, MARK_MASQ, POSTROUTING, PROXY_FIREWALL, SERVICES, Table};

pub(super) const NODE_PORT: &str = "KUBE-NODE-PORT";
const LOAD_BALANCER: &str = "KUBE-LOAD-BALANCER";
const SOURCE_RANGES: &str = "KUBE-SOURCE-RANGES-FIREWALL";
pub(super) const IPVS_FILTER: &str = "KUBE-IPVS-FILTER";
pub(super) const IPVS_OUT_FILTER: &str = "KUBE-IPVS-OUT-FILTER";

pub(super) const NAT_CHAINS: [&str; 5] = [SERVICES, POSTROUTING, NODE_PORT, LOAD_BALANCER, MARK_MASQ];
pub(super) const FILTER_CHAINS: [&str; 6] =
    [FORWARD, NODE_PORT, PROXY_FIREWALL, SOURCE_RANGES, IPVS_FILTER, IPVS_OUT_FILTER];

/// A rule that is there while its set has entries: set, chain, protocol, what of the packet is looked up, target.
type SetRule = (Set, &'static str, Option<&'static str>, &'static str, &'static str);

const NAT_RULES: [SetRule; 9] = [
    (Set::LoopBack, POSTROUTING, None, "dst,dst,src", "MASQUERADE"),
    (Set::LoadBalancer, SERVICES, None, "dst,dst", LOAD_BALANCER),
    (Set::LoadBalancerLocal, LOAD_BALANCER, None, "dst,dst", "RETURN"),
    (Set::NodePortLocalTcp, NODE_PORT, Some("tcp"), "dst", "RETURN"),
    (Set::NodePortTcp, NODE_PORT, Some("tcp"), "dst", MARK_MASQ),
    (Set::NodePortLocalUdp, NODE_PORT, Some("udp"), "dst", "RETURN"),
    (Set::NodePortUdp, NODE_PORT, Some("udp"), "dst", MARK_MASQ),
    (Set::NodePortLocalSctp, NODE_PORT, Some("sctp"), "dst,dst", "RETURN"),
    (Set::NodePortSctp, NODE_PORT, Some("sctp"), "dst,dst", MARK_MASQ),
];

const FILTER_RULES: [SetRule; 3] = [
    (Set::LoadBalancerFw, PROXY_FIREWALL, None, "dst,dst", SOURCE_RANGES),
    (Set::LoadBalancerSourceCidr, SOURCE_RANGES, None, "dst,dst,src", "RETURN"),
    (Set::LoadBalancerSourceIp, SOURCE_RANGES, None, "dst,dst,src", "RETURN"),
];

/// Words that are joined into a rule.
fn matches<'n>(name: &'n str, dimensions: &'n str) -> [&'n str; 5] {
    ["-m", "set", "--match-set", name, dimensions]
}

fn set_rules(table: &mut Table, sets: &Sets, rules: &[SetRule]) {
    for (set, chain, protocol, dimensions, target) in rules {
        if sets.is_empty(*set) {
            continue;
        }
        let comment = Comment::new(&[Sets::comment(*set)]);
        let name = sets.name(*set);
        let protocol: Vec<&str> = protocol.iter().flat_map(|p| ["-p", p]).collect();
        table.rule(chain, &[&protocol, &comment.words(), &matches(&name, dimensions), &["-j", target]]);
    }
}

/// The text for iptables-restore.
pub(super) fn write(config: &Config, node: &Node<'_>) -> String {
    let (mut nat, mut filter) = (Table::default(), Table::default());
    for chain in NAT_CHAINS {
        nat.chain(chain);
    }
    for chain in FILTER_CHAINS {
        filter.chain(chain);
    }
    let loopback = if node.family == super::Family::V4 { "127.0.0.0/8" } else { "::1/128" };
    nat.rule(SERVICES, &[&["-s", loopback, "-j", "RETURN"]]);
    set_rules(&mut nat, &node.sets, &NAT_RULES);
    set_rules(&mut filter, &node.sets, &FILTER_RULES);
    cluster_ips(config, node, &mut nat);
    external_ips(node, &mut nat);
    nat.rule(SERVICES, &[&["-m", "addrtype", "--dst-type", "LOCAL", "-j", NODE_PORT]]);
    nat.rule(LOAD_BALANCER, &[&["-j", MARK_MASQ]]);
    for set in [Set::ClusterIp, Set::LoadBalancer] {
        if !node.sets.is_empty(set) {
            nat.rule(SERVICES, &[&matches(&node.sets.name(set), "dst,dst"), &["-j", "ACCEPT"]]);
        }
    }
    filter.rule(SOURCE_RANGES, &[&["-j", "DROP"]]);
    filter_rules(config, node, &mut filter);
    masquerade(config, &mut nat);
    let mut text = String::new();
    nat.print("nat", &mut text);
    filter.print("filter", &mut text);
    text
}

/// Which traffic to cluster IPs is masqueraded.
fn cluster_ips(config: &Config, node: &Node<'_>, nat: &mut Table) {
    if node.sets.is_empty(Set::ClusterIp) {
        return;
    }
    let comment = Comment::new(&[Sets::comment(Set::ClusterIp)]);
    let name = node.sets.name(Set::ClusterIp);
    let local = config.local_traffic(node.family).filter(|_| !config.masquerade_all);
    let others = local.as_ref().map(super::config::LocalTraffic::others);
    let others: &[&str] = others.as_ref().map_or(&[], |o| o.as_slice());
    // Without a way to see local pods only what comes from a cluster IP itself is masqueraded.
    let dimensions = if config.masquerade_all || local.is_some() { "dst,dst" } else { "src,dst" };
    nat.rule(SERVICES, &[&comment.words(), &matches(&name, dimensions), others, &["-j", MARK_MASQ]]);
}

fn external_ips(node: &Node<'_>, nat: &mut Table) {
    for (set, masquerades) in [(Set::ExternalIp, true), (Set::ExternalIpLocal, false)] {
        if node.sets.is_empty(set) {
            continue;
        }
        let comment = Comment::new(&[Sets::comment(set)]);
        let name = node.sets.name(set);
        let found = matches(&name, "dst,dst");
        if masquerades {
            nat.rule(SERVICES, &[&comment.words(), &found, &["-j", MARK_MASQ]]);
        }
        // From outside only: neither from a bridge, which a container would be behind, nor from the node itself.
        let outside = ["-m", "physdev", "!", "--physdev-is-in", "-m", "addrtype", "!", "--src-type", "LOCAL"];
        nat.rule(SERVICES, &[&comment.words(), &found, &outside, &["-j", "ACCEPT"]]);
        let own = ["-m", "addrtype", "--dst-type", "LOCAL", "-j", "ACCEPT"];
        nat.rule(SERVICES, &[&comment.words(), &found, &own]);
    }
}

fn filter_rules(config: &Config, node: &Node<'_>, filter: &mut Table) {
    for f in &node.out_filter {
        let vip = ["-s", &f.ip, "-m", "ipvs", "--vaddr", &f.ip, "--vproto", &f.protocol, "--vport", &f.port];
        filter.rule(IPVS_OUT_FILTER, &[&vip, &["-j", "DROP"]]);
    }
    let mark = config.mark();
    let masked = format!("{mark}/{mark}");
    let rules = Comment::new(&["kubernetes forwarding rules"]);
    filter.rule(FORWARD, &[&rules.words(), &["-m", "mark", "--mark", &masked, "-j", "ACCEPT"]]);
    let replies = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
    filter.rule(FORWARD, &[&Comment::new(&["kubernetes forwarding conntrack rule"]).words(), &replies]);
    let set = Set::HealthCheckNodePort;
    let found = node.sets.name(set);
    let comment = Comment::new(&[Sets::comment(set)]);
    filter.rule(NODE_PORT, &[&comment.words(), &matches(&found, "dst"), &["-j", "ACCEPT"]]);
    for (set, dimensions) in [
        (Set::LoadBalancer, "dst,dst"),
        (Set::ClusterIp, "dst,dst"),
        (Set::ExternalIp, "dst,dst"),
        (Set::ExternalIpLocal, "dst,dst"),
        (Set::HealthCheckNodePort, "dst"),
    ] {
        filter.rule(IPVS_FILTER, &[&matches(&node.sets.name(set), dimensions), &["-j", "RETURN"]]);
    }
    let ours = node.sets.name(Set::IpvsIps);
    let new = ["-m", "conntrack", "--ctstate", "NEW"];
    filter.rule(IPVS_FILTER, &[&new, &matches(&ours, "dst"), &["-j", "REJECT"]]);
}

fn masquerade(config: &Config, nat: &mut Table) {
    let mark = config.mark();
    let masked = format!("{mark}/{mark}");
    nat.rule(POSTROUTING, &[&["-m", "mark", "!", "--mark", &masked, "-j", "RETURN"]]);
    nat.rule(POSTROUTING, &[&["-j", "MARK", "--xor-mark", &mark]]);
    let comment = Comment::new(&["kubernetes service traffic requiring SNAT"]);
    let fully: &[&str] = if config.random_fully { &["--random-fully"] } else { &[] };
    nat.rule(POSTROUTING, &[&comment.words(), &["-j", "MASQUERADE"], fully]);
    nat.rule(MARK_MASQ, &[&["-j", "MARK", "--or-mark", &mark]]);
}
