//! What mode nftables makes before any Service (pkg/proxy/nftables/proxier.go, `setupNFTables`).

use super::config::{Config, DetectLocal, Family, NodePortAddresses};
use super::nft_table::{Container, TABLE, ip, node_port_set};
use core::fmt::Write;
use ipnet::IpNet;

/// The chain that marks packets to masquerade.
pub(super) const MARK_MASQ: &str = "mark-for-masquerade";
/// What is looked up in the maps whose keys are an address, a protocol and a port; the family comes before.
const SOCKET: &str = "daddr . meta l4proto . th dport vmap";

/// Base chains: name, type, hook, priority. The filter chains come after DNAT, whose addresses the maps do not have, but for
/// the firewall: it must see the load balancer's address. Packets without endpoints are not translated.
const BASE_CHAINS: [(&str, &str, &str, i32); 8] = [
    ("filter-prerouting-pre-dnat", "filter", "prerouting", -110),
    ("filter-output-pre-dnat", "filter", "output", -110),
    ("filter-input", "filter", "input", 0),
    ("filter-forward", "filter", "forward", 0),
    ("filter-output", "filter", "output", 0),
    ("nat-prerouting", "nat", "prerouting", -100),
    ("nat-output", "nat", "output", -100),
    ("nat-postrouting", "nat", "postrouting", 100),
];

/// Chains that base chains jump to, for which packets.
const JUMPS: [(&str, &[&str], &str); 6] = [
    ("nodeport-endpoints-check", &["filter-input"], "ct state new jump"),
    ("service-endpoints-check", &["filter-input", "filter-forward", "filter-output"], "ct state new jump"),
    ("firewall-check", &["filter-prerouting-pre-dnat", "filter-output-pre-dnat"], "ct state new jump"),
    ("services", &["nat-output", "nat-prerouting"], "jump"),
    ("masquerading", &["nat-postrouting"], "jump"),
    ("cluster-ips-check", &["filter-forward", "filter-output"], "ct state new jump"),
];

/// How packets of this node's pods are told apart (pkg/proxy/util/localdetector.go).
pub(super) struct LocalTraffic {
    /// Matches packets of local pods.
    pub local: String,
    /// Matches all other packets.
    pub others: String,
}

/// How to see packets of local pods. None if there is no way.
pub(super) fn local_traffic(config: &Config, family: Family) -> Option<LocalTraffic> {
    let (what, whose) = match &config.detect_local {
        DetectLocal::ClusterCidr => (format!("{} saddr", ip(family)), config.cluster_cidr(family)?),
        DetectLocal::None => return None,
        DetectLocal::BridgeInterface(name) => ("iifname".to_owned(), name.clone()),
        DetectLocal::InterfaceNamePrefix(prefix) => ("iifname".to_owned(), format!("{prefix}*")),
    };
    Some(LocalTraffic { local: format!("{what} {whose}"), others: format!("{what} != {whose}") })
}

/// The addresses where node ports answer; None if all do. Not given, they are the node's own (cmd/kube-proxy/app/server.go),
/// and loopback is never one.
pub(super) fn node_port_ips(config: &Config, family: Family) -> Option<Vec<String>> {
    let primary;
    let config = match config.node_port_addresses {
        NodePortAddresses::Default => {
            primary = Config { node_port_addresses: NodePortAddresses::Primary, ..config.clone() };
            &primary
        }
        _ => config,
    };
    let ips = || config.node_port_ips(family).into_iter().filter(|ip| !ip.is_loopback());
    (!config.node_ports_everywhere(family)).then(|| ips().map(|ip| ip.to_string()).collect())
}

/// The lines of a transaction.
struct Lines {
    ip: &'static str,
    text: String,
}

impl Lines {
    fn add(&mut self, what: &str, name: &str, rest: &str) {
        let Lines { ip, text } = self;
        let blank = if rest.is_empty() { "" } else { " " };
        // A String takes everything.
        let _ = writeln!(text, "{what} {ip} {TABLE} {name}{blank}{rest}");
    }

    fn chain(&mut self, name: &str, block: &str) {
        self.add("add chain", name, block);
        self.add("flush chain", name, "");
    }

    fn rule(&mut self, chain: &str, rule: &str) {
        self.add("add rule", chain, rule);
    }
}

/// What a full sync begins with. `first`: base chains of an earlier kube-proxy may have other priorities, so they go before.
pub(super) fn setup(config: &Config, service_cidrs: &[IpNet], family: Family, first: bool) -> String {
    let ip = ip(family);
    let mut lines = Lines { ip, text: String::new() };
    let _ = writeln!(lines.text, "add table {ip} {TABLE} {{ comment \"rules for kube-proxy\" ; }}");
    for (name, ..) in BASE_CHAINS.iter().filter(|_| first) {
        lines.add("add chain", name, "");
        lines.add("delete chain", name, "");
    }
    for (name, kind, hook, priority) in BASE_CHAINS {
        lines.chain(name, &format!("{{ type {kind} hook {hook} priority {priority} ; }}"));
    }
    for (name, from, how) in JUMPS {
        lines.chain(name, "");
        for base in from {
            lines.rule(base, &format!("{how} {name}"));
        }
    }
    let mark = config.mark();
    lines.chain(MARK_MASQ, "");
    lines.rule(MARK_MASQ, &format!("mark set mark or {mark}"));
    lines.rule("masquerading", &format!("mark and {mark} == 0 return"));
    lines.rule("masquerading", &format!("mark set mark xor {mark}"));
    // `--random-fully` depends on iptables; nf_tables always can.
    lines.rule("masquerading", "masquerade fully-random");
    cluster_ips(&mut lines, service_cidrs, family);

    let not_loopback = match family {
        Family::V4 => "ip daddr != 127.0.0.0/8",
        Family::V6 => "ip6 daddr != ::1",
    };
    lines.text.push_str(&node_port_set(family));
    let (to_node, to_node_filter) = match node_port_ips(config, family) {
        None => {
            lines.add("delete set", "nodeport-ips", "");
            (format!("fib daddr type local {not_loopback}"), not_loopback.to_owned())
        }
        Some(addresses) => {
            lines.add("flush set", "nodeport-ips", "");
            for address in addresses {
                lines.add("add element", "nodeport-ips", &format!("{{ {address} }}"));
            }
            (format!("{ip} daddr @nodeport-ips"), format!("{ip} daddr @nodeport-ips"))
        }
    };
    let declare = |lines: &mut Lines, map: Container| {
        lines.text.push_str(&map.declaration(family));
        map.name()
    };
    let node_port = "meta l4proto . th dport vmap";
    let services = declare(&mut lines, Container::NoEndpointServices);
    let node_ports = declare(&mut lines, Container::NoEndpointNodePorts);
    lines
        .chain("reject-chain", "{ comment \"helper for @no-endpoint-services / @no-endpoint-nodeports\" ; }");
    lines.rule("reject-chain", "reject");
    lines.rule("service-endpoints-check", &format!("{ip} {SOCKET} @{services}"));
    lines.rule("nodeport-endpoints-check", &format!("{to_node_filter} {node_port} @{node_ports}"));
    let firewall = declare(&mut lines, Container::FirewallIps);
    lines.rule("firewall-check", &format!("{ip} {SOCKET} @{firewall}"));
    let services = declare(&mut lines, Container::ServiceIps);
    let node_ports = declare(&mut lines, Container::ServiceNodePorts);
    lines.rule("services", &format!("{ip} {SOCKET} @{services}"));
    lines.rule("services", &format!("{to_node} {node_port} @{node_ports}"));
    lines.text
}

/// What becomes of traffic to cluster IPs that no Service has taken.
fn cluster_ips(lines: &mut Lines, service_cidrs: &[IpNet], family: Family) {
    let (ip, check) = (lines.ip, "cluster-ips-check");
    lines.text.push_str(&Container::ClusterIps.declaration(family));
    let why = "comment \"Reject traffic to invalid ports of ClusterIPs\"";
    lines.rule(check, &format!("{ip} daddr @cluster-ips reject {why}"));
    let cidrs: Vec<String> =
        service_cidrs.iter().filter(|c| family.has(c.addr())).map(ToString::to_string).collect();
    if !cidrs.is_empty() {
        let (cidrs, why) = (cidrs.join(","), "comment \"Drop traffic to unallocated ClusterIPs\"");
        lines.rule(check, &format!("{ip} daddr {{ {cidrs} }} drop {why}"));
    }
}
