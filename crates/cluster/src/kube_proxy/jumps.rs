//! The jumps from the kernel's chains to kube-proxy's (pkg/proxy/iptables/proxier.go `iptablesJumpChains`,
//! pkg/proxy/ipvs/proxier.go `iptablesJumpChain`). They are made by iptables commands of their own before the first restore.

use super::config::{Config, Family};
use super::ipvs_rules::{
    FILTER_CHAINS, IPVS_FILTER, IPVS_OUT_FILTER, NAT_CHAINS, NODE_PORT as IPVS_NODE_PORT,
};
use super::text::{
    Comment, EXTERNAL_SERVICES, FIREWALL, FORWARD, MARK_DROP, NODEPORTS, POSTROUTING, PROXY_FIREWALL,
    SERVICES,
};
use super::version::Layout;

/// A jump: table, chain, from where, only for new connections, comment.
type Jump = (&'static str, &'static str, &'static str, bool, &'static str);

const PORTALS: &str = "kubernetes service portals";
const EXTERNAL: &str = "kubernetes externally-visible service portals";
const LOAD_BALANCER: &str = "kubernetes load balancer firewall";
const KUBE_PROXY: &str = "kube-proxy firewall rules";
const ACCESS: &str = "kubernetes ipvs access filter";

/// What a jump of mode iptables depends on.
#[derive(Clone, Copy)]
enum When {
    Always,
    NotFlat,
    HealthCheck,
    PolicyChains,
    NoPolicyChains,
    /// KUBE-FIREWALL guards the loopback addresses: releases differ in where its jumps stand.
    GuardEarly,
    GuardLate,
}

const IPTABLES: [(When, Jump); 17] = [
    (When::Always, ("filter", EXTERNAL_SERVICES, "INPUT", true, EXTERNAL)),
    (When::NotFlat, ("filter", EXTERNAL_SERVICES, "FORWARD", true, EXTERNAL)),
    (When::HealthCheck, ("filter", NODEPORTS, "INPUT", false, "kubernetes health check service ports")),
    (When::Always, ("filter", SERVICES, "FORWARD", true, PORTALS)),
    (When::Always, ("filter", SERVICES, "OUTPUT", true, PORTALS)),
    (When::Always, ("filter", FORWARD, "FORWARD", false, "kubernetes forwarding rules")),
    (When::PolicyChains, ("filter", PROXY_FIREWALL, "INPUT", true, LOAD_BALANCER)),
    (When::PolicyChains, ("filter", PROXY_FIREWALL, "OUTPUT", true, LOAD_BALANCER)),
    (When::PolicyChains, ("filter", PROXY_FIREWALL, "FORWARD", true, LOAD_BALANCER)),
    (When::Always, ("nat", SERVICES, "OUTPUT", false, PORTALS)),
    (When::Always, ("nat", SERVICES, "PREROUTING", false, PORTALS)),
    (When::GuardEarly, ("filter", FIREWALL, "INPUT", false, "")),
    (When::GuardEarly, ("filter", FIREWALL, "OUTPUT", false, "")),
    (When::Always, ("nat", POSTROUTING, "POSTROUTING", false, "kubernetes postrouting rules")),
    (When::GuardLate, ("filter", FIREWALL, "INPUT", false, "")),
    (When::GuardLate, ("filter", FIREWALL, "OUTPUT", false, "")),
    // No jump: the kubelet fills it. kube-proxy only makes sure that it is there to jump to.
    (When::NoPolicyChains, ("nat", MARK_DROP, "", false, "")),
];

/// What kube-proxy in mode iptables makes besides its syncs' text, for `iptables-restore --noflush`: KUBE-PROXY-CANARY, an empty chain in
/// three tables by whose absence it sees that somebody has flushed the rules (pkg/util/iptables, `Monitor`); empty before 1.16.
pub fn iptables_canary(config: &Config) -> String {
    if !config.features().proxy_canary {
        return String::new();
    }
    let table = |table: &str| format!("*{table}\n:KUBE-PROXY-CANARY - [0:0]\nCOMMIT\n");
    ["mangle", "nat", "filter"].map(table).concat()
}

/// The jumps of mode ipvs.
const IPVS: [Jump; 9] = [
    ("nat", SERVICES, "OUTPUT", false, PORTALS),
    ("nat", SERVICES, "PREROUTING", false, PORTALS),
    ("nat", POSTROUTING, "POSTROUTING", false, "kubernetes postrouting rules"),
    ("filter", FORWARD, "FORWARD", false, "kubernetes forwarding rules"),
    ("filter", IPVS_NODE_PORT, "INPUT", false, "kubernetes health check rules"),
    ("filter", PROXY_FIREWALL, "INPUT", false, KUBE_PROXY),
    ("filter", PROXY_FIREWALL, "FORWARD", false, KUBE_PROXY),
    ("filter", IPVS_FILTER, "INPUT", false, ACCESS),
    ("filter", IPVS_OUT_FILTER, "OUTPUT", false, ACCESS),
];

/// `iptables` arguments, one command a line: `-t TABLE -N CHAIN` and `-t TABLE -I CHAIN ...`. Each `-I` puts its rule before
/// those that are there.
pub fn iptables_jumps(config: &Config, family: Family) -> String {
    let features = config.features();
    let policy_chains = features.layout == Layout::PolicyChains;
    let guards = features.localhost_node_ports && config.node_ports_on_loopback(family);
    let wanted = |when: When| match when {
        When::Always => true,
        When::NotFlat => features.layout != Layout::Flat,
        When::HealthCheck => features.accepts_health_check,
        When::PolicyChains => policy_chains,
        When::NoPolicyChains => !policy_chains,
        When::GuardEarly => guards && features.early_firewall_jump,
        When::GuardLate => guards && !features.early_firewall_jump,
    };
    let mut out = String::new();
    for (_, jump) in IPTABLES.iter().filter(|(when, _)| wanted(*when)) {
        make(&mut out, jump.0, jump.1);
        insert(&mut out, jump);
    }
    out
}

/// The same for mode ipvs: all chains first, then the jumps.
pub fn ipvs_jumps() -> String {
    let mut out = String::new();
    for chain in NAT_CHAINS {
        make(&mut out, "nat", chain);
    }
    for chain in FILTER_CHAINS {
        make(&mut out, "filter", chain);
    }
    for jump in &IPVS {
        insert(&mut out, jump);
    }
    out
}

fn make(out: &mut String, table: &str, chain: &str) {
    for part in ["-t ", table, " -N ", chain, "\n"] {
        out.push_str(part);
    }
}

fn insert(out: &mut String, (table, chain, from, only_new, comment): &Jump) {
    if from.is_empty() {
        return;
    }
    let new = if *only_new { "-m conntrack --ctstate NEW " } else { "" };
    let comment = if comment.is_empty() { String::new() } else { format!("{} ", Comment(comment)) };
    out.push_str(&format!("-t {table} -I {from} {new}{comment}-j {chain}\n"));
}

#[cfg(test)]
mod tests {
    use super::iptables_canary;
    use crate::kube_proxy::{Config, Version};

    #[test]
    fn the_canary_came_between_1_14_and_1_16() {
        for (version, tables) in
            [(Version::V1_10, 0), (Version::V1_17, 3), (Version::V1_23, 3), (Version::V1_35, 3)]
        {
            let text = iptables_canary(&Config { version, ..Config::default() });
            assert_eq!(text.matches(":KUBE-PROXY-CANARY - [0:0]\n").count(), tables, "{version}");
        }
    }
}
