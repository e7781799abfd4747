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

/// `iptables` arguments, one command a line: `-t TABLE -N CHAIN` and `-t TABLE -I CHAIN ...`. Each `-I` puts its rule before
/// those that are there.
pub fn iptables_jumps(config: &Config, family: Family) -> String {
    let features = config.features();
    let policy_chains = features.layout == Layout::PolicyChains;
    let flat = features.layout == Layout::Flat;
    let guards = features.localhost_node_ports && config.node_ports_on_loopback(family);
    let early = guards && features.early_firewall_jump;
    let input = ("filter", FIREWALL, "INPUT", false, "");
    let output = ("filter", FIREWALL, "OUTPUT", false, "");
    let jumps: [(bool, Jump); 17] = [
        (true, ("filter", EXTERNAL_SERVICES, "INPUT", true, EXTERNAL)),
        (!flat, ("filter", EXTERNAL_SERVICES, "FORWARD", true, EXTERNAL)),
        (
            features.accepts_health_check,
            ("filter", NODEPORTS, "INPUT", false, "kubernetes health check service ports"),
        ),
        (true, ("filter", SERVICES, "FORWARD", true, PORTALS)),
        (true, ("filter", SERVICES, "OUTPUT", true, PORTALS)),
        (true, ("filter", FORWARD, "FORWARD", false, "kubernetes forwarding rules")),
        (policy_chains, ("filter", PROXY_FIREWALL, "INPUT", true, LOAD_BALANCER)),
        (policy_chains, ("filter", PROXY_FIREWALL, "OUTPUT", true, LOAD_BALANCER)),
        (policy_chains, ("filter", PROXY_FIREWALL, "FORWARD", true, LOAD_BALANCER)),
        (true, ("nat", SERVICES, "OUTPUT", false, PORTALS)),
        (true, ("nat", SERVICES, "PREROUTING", false, PORTALS)),
        (early, input),
        (early, output),
        (true, ("nat", POSTROUTING, "POSTROUTING", false, "kubernetes postrouting rules")),
        (guards && !early, input),
        (guards && !early, output),
        // No jump: the kubelet fills it. kube-proxy only makes sure that it is there to jump to.
        (!policy_chains, ("nat", MARK_DROP, "", false, "")),
    ];
    let mut out = String::new();
    for (_, jump) in jumps.iter().filter(|(wanted, _)| *wanted) {
        make(&mut out, jump.0, jump.1);
        insert(&mut out, jump);
    }
    out
}

/// The same for mode ipvs: all chains first, then the jumps.
pub fn ipvs_jumps() -> String {
    const JUMPS: [Jump; 9] = [
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
    let mut out = String::new();
    for chain in NAT_CHAINS {
        make(&mut out, "nat", chain);
    }
    for chain in FILTER_CHAINS {
        make(&mut out, "filter", chain);
    }
    for jump in &JUMPS {
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
