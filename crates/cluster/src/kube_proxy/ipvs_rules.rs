//! The iptables rules of mode ipvs (pkg/proxy/ipvs/proxier.go, `writeIptablesRules`).

use super::config::{Config, Family, LocalTraffic};
use super::ipset::{Set, Sets};
use super::ipvs::{Ipvs, OutFilter};
use super::text::{
    Comment, DST_LOCAL, FORWARD, FROM_OUTSIDE, MARK_MASQ, POSTROUTING, PROXY_FIREWALL, REPLIES, SERVICES,
    Table,
};

pub(super) const NODE_PORT: &str = "KUBE-NODE-PORT";
const LOAD_BALANCER: &str = "KUBE-LOAD-BALANCER";
const SOURCE_RANGES: &str = "KUBE-SOURCE-RANGES-FIREWALL";
pub(super) const IPVS_FILTER: &str = "KUBE-IPVS-FILTER";
pub(super) const IPVS_OUT_FILTER: &str = "KUBE-IPVS-OUT-FILTER";

pub(super) const NAT_CHAINS: [&str; 5] = [SERVICES, POSTROUTING, NODE_PORT, LOAD_BALANCER, MARK_MASQ];
pub(super) const FILTER_CHAINS: [&str; 6] =
    [FORWARD, NODE_PORT, PROXY_FIREWALL, SOURCE_RANGES, IPVS_FILTER, IPVS_OUT_FILTER];

/// A rule that is there while its set has entries: set, chain, protocol, what of the packet is looked up, target.
type SetRule = (Set, &'static str, &'static str, &'static str, &'static str);

const NAT_RULES: [SetRule; 9] = [
    (Set::LoopBack, POSTROUTING, "", "dst,dst,src", "MASQUERADE"),
    (Set::LoadBalancer, SERVICES, "", "dst,dst", LOAD_BALANCER),
    (Set::LoadBalancerLocal, LOAD_BALANCER, "", "dst,dst", "RETURN"),
    (Set::NodePortLocalTcp, NODE_PORT, "-p tcp ", "dst", "RETURN"),
    (Set::NodePortTcp, NODE_PORT, "-p tcp ", "dst", MARK_MASQ),
    (Set::NodePortLocalUdp, NODE_PORT, "-p udp ", "dst", "RETURN"),
    (Set::NodePortUdp, NODE_PORT, "-p udp ", "dst", MARK_MASQ),
    (Set::NodePortLocalSctp, NODE_PORT, "-p sctp ", "dst,dst", "RETURN"),
    (Set::NodePortSctp, NODE_PORT, "-p sctp ", "dst,dst", MARK_MASQ),
];

const FILTER_RULES: [SetRule; 3] = [
    (Set::LoadBalancerFw, PROXY_FIREWALL, "", "dst,dst", SOURCE_RANGES),
    (Set::LoadBalancerSourceCidr, SOURCE_RANGES, "", "dst,dst,src", "RETURN"),
    (Set::LoadBalancerSourceIp, SOURCE_RANGES, "", "dst,dst,src", "RETURN"),
];

fn set_rules(table: &mut Table, sets: &Sets, rules: &[SetRule]) {
    for (set, chain, protocol, dimensions, target) in rules {
        if sets.is_empty(*set) {
            continue;
        }
        let (comment, name) = (Comment(Sets::comment(*set)), sets.name(*set));
        table.rule(format_args!(
            "-A {chain} {protocol}{comment} -m set --match-set {name} {dimensions} -j {target}"
        ));
    }
}

/// The text for iptables-restore.
pub(super) fn write(config: &Config, node: &Ipvs) -> String {
    let (mut nat, mut filter) = (Table::default(), Table::default());
    for chain in NAT_CHAINS {
        nat.chain(chain);
    }
    for chain in FILTER_CHAINS {
        filter.chain(chain);
    }
    let loopback = if node.family == Family::V4 { "127.0.0.0/8" } else { "::1/128" };
    nat.rule(format_args!("-A {SERVICES} -s {loopback} -j RETURN"));
    set_rules(&mut nat, &node.sets, &NAT_RULES);
    set_rules(&mut filter, &node.sets, &FILTER_RULES);
    cluster_ips(config, node, &mut nat);
    external_ips(node, &mut nat);
    nat.rule(format_args!("-A {SERVICES} {DST_LOCAL} -j {NODE_PORT}"));
    nat.rule(format_args!("-A {LOAD_BALANCER} -j {MARK_MASQ}"));
    for set in [Set::ClusterIp, Set::LoadBalancer] {
        if !node.sets.is_empty(set) {
            let name = node.sets.name(set);
            nat.rule(format_args!("-A {SERVICES} -m set --match-set {name} dst,dst -j ACCEPT"));
        }
    }
    filter.rule(format_args!("-A {SOURCE_RANGES} -j DROP"));
    filter_rules(config, node, &mut filter);
    masquerade(config, &mut nat);
    let mut text = String::new();
    nat.print("nat", &mut text);
    filter.print("filter", &mut text);
    text
}

/// Which traffic to cluster IPs is masqueraded.
fn cluster_ips(config: &Config, node: &Ipvs, nat: &mut Table) {
    if node.sets.is_empty(Set::ClusterIp) {
        return;
    }
    let (comment, name) = (Comment(Sets::comment(Set::ClusterIp)), node.sets.name(Set::ClusterIp));
    let found = format!("-A {SERVICES} {comment} -m set --match-set {name}");
    match config.local_traffic(node.family) {
        _ if config.masquerade_all => nat.rule(format_args!("{found} dst,dst -j {MARK_MASQ}")),
        Some(LocalTraffic { others, .. }) => {
            nat.rule(format_args!("{found} dst,dst {others} -j {MARK_MASQ}"));
        }
        // Without a way to see local pods only what comes from a cluster IP itself is masqueraded.
        None => nat.rule(format_args!("{found} src,dst -j {MARK_MASQ}")),
    }
}

fn external_ips(node: &Ipvs, nat: &mut Table) {
    for (set, masquerades) in [(Set::ExternalIp, true), (Set::ExternalIpLocal, false)] {
        if node.sets.is_empty(set) {
            continue;
        }
        let (comment, name) = (Comment(Sets::comment(set)), node.sets.name(set));
        let found = format!("-A {SERVICES} {comment} -m set --match-set {name} dst,dst");
        if masquerades {
            nat.rule(format_args!("{found} -j {MARK_MASQ}"));
        }
        nat.rule(format_args!("{found} {FROM_OUTSIDE} -j ACCEPT"));
        nat.rule(format_args!("{found} {DST_LOCAL} -j ACCEPT"));
    }
}

fn filter_rules(config: &Config, node: &Ipvs, filter: &mut Table) {
    for OutFilter { ip, protocol, port } in node.out_filter() {
        filter.rule(format_args!(
            "-A {IPVS_OUT_FILTER} -s {ip} -m ipvs --vaddr {ip} --vproto {protocol} --vport {port} -j DROP"
        ));
    }
    let mark = config.mark();
    let rules = Comment("kubernetes forwarding rules");
    filter.rule(format_args!("-A {FORWARD} {rules} -m mark --mark {mark}/{mark} -j ACCEPT"));
    let rule = Comment("kubernetes forwarding conntrack rule");
    filter.rule(format_args!("-A {FORWARD} {rule} {REPLIES} -j ACCEPT"));
    let health = Set::HealthCheckNodePort;
    let (comment, name) = (Comment(Sets::comment(health)), node.sets.name(health));
    filter.rule(format_args!("-A {NODE_PORT} {comment} -m set --match-set {name} dst -j ACCEPT"));
    for (set, dimensions) in [
        (Set::LoadBalancer, "dst,dst"),
        (Set::ClusterIp, "dst,dst"),
        (Set::ExternalIp, "dst,dst"),
        (Set::ExternalIpLocal, "dst,dst"),
        (health, "dst"),
    ] {
        let name = node.sets.name(set);
        filter.rule(format_args!("-A {IPVS_FILTER} -m set --match-set {name} {dimensions} -j RETURN"));
    }
    let ours = node.sets.name(Set::IpvsIps);
    filter.rule(format_args!(
        "-A {IPVS_FILTER} -m conntrack --ctstate NEW -m set --match-set {ours} dst -j REJECT"
    ));
}

fn masquerade(config: &Config, nat: &mut Table) {
    let mark = config.mark();
    let comment = Comment("kubernetes service traffic requiring SNAT");
    let fully = if config.random_fully { " --random-fully" } else { "" };
    nat.rule(format_args!("-A {POSTROUTING} -m mark ! --mark {mark}/{mark} -j RETURN"));
    nat.rule(format_args!("-A {POSTROUTING} -j MARK --xor-mark {mark}"));
    nat.rule(format_args!("-A {POSTROUTING} {comment} -j MASQUERADE{fully}"));
    nat.rule(format_args!("-A {MARK_MASQ} -j MARK --or-mark {mark}"));
}
