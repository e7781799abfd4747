//! A table of nf_tables as text, in the words of man nft: chains with their rules, sets, maps and their elements.
//!
//! What is printed is the state after a sync, sorted as knftables' `Dump` sorts it: chains, sets and maps by name, then rules,
//! then elements. A chain's rules and a set's elements keep the order in which they were added.

use super::config::Family;
use core::fmt::{self, Write};
use std::collections::BTreeMap;

/// The name of the table, in either family.
const TABLE: &str = "kube-proxy";

/// The family as rules name it.
pub(super) fn ip(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// The type of a family's addresses.
fn address_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    }
}

/// A chain while it is written.
pub(super) struct Chain {
    ip: &'static str,
    name: String,
    /// What stands behind the name: hook and priority, or a comment.
    block: &'static str,
    rules: String,
}

impl Chain {
    /// A chain without rules.
    pub fn new(family: Family, name: &str, block: &'static str) -> Chain {
        Chain { ip: ip(family), name: name.to_owned(), block, rules: String::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a rule.
    pub fn rule(&mut self, rule: fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = writeln!(self.rules, "add rule {} {TABLE} {} {rule}", self.ip, self.name);
    }
}

/// The set and the maps in which each Service has elements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Container {
    /// Cluster IPs.
    ClusterIps,
    /// Load balancer addresses with source ranges.
    FirewallIps,
    /// Node ports that are refused.
    NoEndpointNodePorts,
    /// Addresses that are refused.
    NoEndpointServices,
    /// Where an address leads.
    ServiceIps,
    /// Where a node port leads.
    ServiceNodePorts,
}

impl Container {
    /// The maps, sorted by name.
    const MAPS: [Container; 5] = [
        Container::FirewallIps,
        Container::NoEndpointNodePorts,
        Container::NoEndpointServices,
        Container::ServiceIps,
        Container::ServiceNodePorts,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Container::ClusterIps => "cluster-ips",
            Container::FirewallIps => "firewall-ips",
            Container::NoEndpointNodePorts => "no-endpoint-nodeports",
            Container::NoEndpointServices => "no-endpoint-services",
            Container::ServiceIps => "service-ips",
            Container::ServiceNodePorts => "service-nodeports",
        }
    }

    fn comment(self) -> &'static str {
        match self {
            Container::ClusterIps => "Active ClusterIPs",
            Container::FirewallIps => "destinations that are subject to LoadBalancerSourceRanges",
            Container::NoEndpointNodePorts => {
                "vmap to drop or reject packets to service nodeports with no endpoints"
            }
            Container::NoEndpointServices => "vmap to drop or reject packets to services with no endpoints",
            Container::ServiceIps => "ClusterIP, ExternalIP and LoadBalancer IP traffic",
            Container::ServiceNodePorts => "NodePort traffic",
        }
    }

    /// Its keys have no address.
    fn has_ports_only(self) -> bool {
        matches!(self, Container::NoEndpointNodePorts | Container::ServiceNodePorts)
    }
}

#[derive(Clone, Debug)]
struct Element {
    /// The order in which elements were added.
    place: u64,
    /// The sync that last asked for it.
    sync: u64,
    comment: String,
    verdict: String,
}

/// The elements of the containers, which stay from one sync to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Elements {
    sync: u64,
    next: u64,
    by_container: [BTreeMap<String, Element>; 6],
}

impl Elements {
    /// A sync begins: what it does not ask for will go.
    pub fn begin(&mut self) {
        self.sync += 1;
    }

    /// Asks for an element (`ensureElem`). One that is there stays where it is; with another verdict it is deleted and added
    /// anew, at the end.
    pub fn ensure(&mut self, container: Container, key: String, comment: &str, verdict: &str) {
        let sync = self.sync;
        let elements = &mut self.by_container[container as usize];
        if let Some(known) = elements.get_mut(&key).filter(|e| e.verdict == verdict) {
            known.sync = sync;
            return;
        }
        let (comment, verdict) = (comment.to_owned(), verdict.to_owned());
        elements.insert(key, Element { place: self.next, sync, comment, verdict });
        self.next += 1;
    }

    /// A sync ends (`cleanupLeftoverKeys`).
    pub fn end(&mut self) {
        let sync = self.sync;
        for elements in &mut self.by_container {
            elements.retain(|_, e| e.sync == sync);
        }
    }

    fn print(&self, ip: &str, container: Container, out: &mut String) {
        let elements = &self.by_container[container as usize];
        let mut sorted: Vec<(&String, &Element)> = elements.iter().collect();
        sorted.sort_unstable_by_key(|(_, e)| e.place);
        for (key, e) in sorted {
            let _ = write!(out, "add element {ip} {TABLE} {} {{ {key}", container.name());
            if !e.comment.is_empty() {
                let _ = write!(out, " comment \"{}\"", e.comment);
            }
            if !e.verdict.is_empty() {
                let _ = write!(out, " : {}", e.verdict);
            }
            out.push_str(" }\n");
        }
    }
}

/// The whole table.
pub(super) struct Table<'t> {
    pub family: Family,
    pub chains: Vec<Chain>,
    pub elements: &'t Elements,
    /// The addresses where node ports answer; None if every address does.
    pub node_port_ips: Option<Vec<String>>,
    /// Seconds of affinity by the name of the set that remembers an endpoint's clients.
    pub affinity_sets: &'t BTreeMap<String, u32>,
}

impl Table<'_> {
    /// The table as text that `nft -f` reads.
    pub fn print(mut self) -> String {
        self.chains.sort_by(|a, b| a.name.cmp(&b.name));
        let ip = ip(self.family);
        let mut out = format!("add table {ip} {TABLE} {{ comment \"rules for kube-proxy\" ; }}\n");
        for chain in &self.chains {
            for part in ["add chain ", ip, " ", TABLE, " ", &chain.name, chain.block, "\n"] {
                out.push_str(part);
            }
        }
        self.print_sets(&mut out);
        for chain in &self.chains {
            out.push_str(&chain.rules);
        }
        self.elements.print(ip, Container::ClusterIps, &mut out);
        for address in self.node_port_ips.iter().flatten() {
            let _ = writeln!(out, "add element {ip} {TABLE} nodeport-ips {{ {address} }}");
        }
        for map in Container::MAPS {
            self.elements.print(ip, map, &mut out);
        }
        out
    }

    fn print_sets(&self, out: &mut String) {
        let (ip, address) = (ip(self.family), address_type(self.family));
        for (name, seconds) in self.affinity_sets {
            let _ = writeln!(
                out,
                "add set {ip} {TABLE} {name} {{ type {address} ; flags dynamic,timeout ; timeout {seconds}s ; }}"
            );
        }
        let mut set = |what: &str, name: &str, key: &str, comment: &str| {
            let _ =
                writeln!(out, "add {what} {ip} {TABLE} {name} {{ type {key} ; comment \"{comment}\" ; }}");
        };
        let clusters = Container::ClusterIps;
        set("set", clusters.name(), address, clusters.comment());
        if self.node_port_ips.is_some() {
            set("set", "nodeport-ips", address, "IPs that accept NodePort traffic");
        }
        let port = "inet_proto . inet_service : verdict";
        let socket = format!("{address} . {port}");
        for map in Container::MAPS {
            let key = if map.has_ports_only() { port } else { &socket };
            set("map", map.name(), key, map.comment());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Container, Elements};

    fn printed(elements: &Elements) -> String {
        let mut out = String::new();
        elements.print("ip", Container::ServiceIps, &mut out);
        out.replace("add element ip kube-proxy service-ips ", "")
    }

    #[test]
    fn elements_keep_their_place_while_they_do_not_change() {
        let mut elements = Elements::default();
        let mut sync = |wanted: &[(&str, &str)]| {
            elements.begin();
            for (key, verdict) in wanted {
                elements.ensure(Container::ServiceIps, (*key).to_owned(), "", verdict);
            }
            elements.end();
            printed(&elements)
        };
        assert_eq!(sync(&[("b", "x"), ("a", "x"), ("c", "x")]), "{ b : x }\n{ a : x }\n{ c : x }\n");
        assert_eq!(sync(&[("a", "y"), ("c", "x"), ("b", "x")]), "{ b : x }\n{ c : x }\n{ a : y }\n");
        assert_eq!(sync(&[("d", "x"), ("a", "y")]), "{ a : y }\n{ d : x }\n");
    }
}
