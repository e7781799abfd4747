//! The table of mode nftables, in the words of man nft: what it holds besides the rules, and how it is printed.
//!
//! What is printed is the state after a sync, sorted as knftables' `Dump` sorts it: chains, sets and maps by name, then rules,
//! then elements. A chain's rules and a set's elements keep the order in which they were added.

use super::config::Family;
use core::fmt::Write;
use sorted::Map;

/// The name of the table, in either family.
pub(super) const TABLE: &str = "kube-proxy";

/// The family as rules name it.
pub(super) fn ip(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// The type of a family's addresses.
pub(super) fn address_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    }
}

/// The set and the maps in which each Service has elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// All, in the order in which elements that nothing needs are deleted.
    pub const ALL: [Container; 6] = [
        Container::ClusterIps,
        Container::ServiceIps,
        Container::FirewallIps,
        Container::NoEndpointServices,
        Container::NoEndpointNodePorts,
        Container::ServiceNodePorts,
    ];

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

    /// `add set ...` or `add map ...`
    pub fn declaration(self, family: Family) -> String {
        let address = address_type(family);
        let port = "inet_proto . inet_service : verdict";
        let (what, key) = match self {
            Container::ClusterIps => ("set", address.to_owned()),
            Container::NoEndpointNodePorts | Container::ServiceNodePorts => ("map", port.to_owned()),
            _ => ("map", format!("{address} . {port}")),
        };
        let (ip, name, comment) = (ip(family), self.name(), self.comment());
        format!("add {what} {ip} {TABLE} {name} {{ type {key} ; comment \"{comment}\" ; }}\n")
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
}

/// An element that a Service port asks for.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub container: Container,
    pub key: String,
    /// Empty if there is none; so is the verdict.
    pub comment: String,
    pub verdict: String,
}

#[derive(Clone, Debug)]
struct Element {
    /// The order in which elements were added.
    place: u64,
    /// How many Service ports ask for it.
    claims: u32,
    comment: String,
    verdict: String,
}

/// The elements of the containers, which stay from one sync to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Elements {
    next: u64,
    by_container: [Map<String, Element>; 6],
    /// Elements that lost a claim.
    left: Vec<(Container, String)>,
}

impl Elements {
    fn get(&self, claim: &Claim) -> Option<&Element> {
        self.by_container.get(claim.container as usize).and_then(|all| all.get(&claim.key))
    }

    /// Takes the elements that there are for those of a container. Nobody asks for them yet.
    pub fn read(&mut self, container: Container, found: impl Iterator<Item = (String, String, String)>) {
        let mut all = Map::new();
        for (key, comment, verdict) in found {
            let known = self.by_container[container as usize].get(&key);
            let (place, claims) = known.map_or((self.next, 0), |e| (e.place, e.claims));
            self.next += u64::from(known.is_none());
            self.left.push((container, key.clone()));
            all.insert(key, Element { place, claims, comment, verdict });
        }
        self.by_container[container as usize] = all;
    }

    /// Another Service port asks for the same key with another verdict. That makes the element go to and fro in every sync.
    pub fn is_contested(&self, claim: &Claim) -> bool {
        self.get(claim).is_some_and(|e| e.claims > 0 && e.verdict != claim.verdict)
    }

    /// A Service port does not ask for an element any more.
    pub fn release(&mut self, claim: &Claim) {
        let all = &mut self.by_container[claim.container as usize];
        if let Some(element) = all.get_mut(&claim.key) {
            element.claims = element.claims.saturating_sub(1);
            if element.claims == 0 {
                self.left.push((claim.container, claim.key.clone()));
            }
        }
    }

    /// A Service port asks for an element (`ensureElem`). One that is there stays where it is; with another verdict it is
    /// deleted and added anew, at the end. Writes what has to be done.
    pub fn ensure(&mut self, family: Family, claim: &Claim, out: &mut String) {
        let Claim { container, key, comment, verdict } = claim;
        let place = self.next;
        let all = &mut self.by_container[*container as usize];
        if let Some(known) = all.get_mut(key) {
            known.claims += 1;
            if known.verdict == *verdict {
                return;
            }
            delete_element(family, *container, key, out);
            (known.place, known.comment, known.verdict) = (place, comment.clone(), verdict.clone());
        } else {
            let (comment, verdict) = (comment.clone(), verdict.clone());
            all.insert(key.clone(), Element { place, claims: 1, comment, verdict });
        }
        self.next += 1;
        add_element(family, claim, out);
    }

    /// A sync ends (`cleanupLeftoverKeys`): elements that nobody asks for go.
    pub fn end(&mut self, family: Family, out: &mut String) {
        let mut left = core::mem::take(&mut self.left);
        sorted::sort(&mut left);
        left.dedup();
        for container in Container::ALL {
            for (_, key) in left.iter().filter(|(c, _)| *c == container) {
                let all = &mut self.by_container[container as usize];
                if all.get(key).is_some_and(|e| e.claims == 0) {
                    all.remove(key);
                    delete_element(family, container, key, out);
                }
            }
        }
    }

    fn print(&self, family: Family, container: Container, out: &mut String) {
        let elements = &self.by_container[container as usize];
        let mut sorted: Vec<(&String, &Element)> = elements.iter().collect();
        sorted::sort_by_key(&mut sorted, |(_, e)| e.place);
        for (key, e) in sorted {
            let (key, comment, verdict) = (key.clone(), e.comment.clone(), e.verdict.clone());
            add_element(family, &Claim { container, key, comment, verdict }, out);
        }
    }
}

fn add_element(family: Family, claim: &Claim, out: &mut String) {
    let Claim { container, key, comment, verdict } = claim;
    for part in ["add element ", ip(family), " ", TABLE, " ", container.name(), " { ", key] {
        out.push_str(part);
    }
    if !comment.is_empty() {
        // A String takes everything.
        let _ = write!(out, " comment \"{comment}\"");
    }
    if !verdict.is_empty() {
        let _ = write!(out, " : {verdict}");
    }
    out.push_str(" }\n");
}

fn delete_element(family: Family, container: Container, key: &str, out: &mut String) {
    let _ = writeln!(out, "delete element {} {TABLE} {} {{ {key} }}", ip(family), container.name());
}

/// `add set ...` of the clients of an endpoint, who are remembered for so many seconds.
pub(super) fn affinity_set(family: Family, name: &str, seconds: u32, out: &mut String) {
    let (ip, address) = (ip(family), address_type(family));
    let _ = writeln!(
        out,
        "add set {ip} {TABLE} {name} {{ type {address} ; flags dynamic,timeout ; timeout {seconds}s ; }}"
    );
}

/// The set of addresses where node ports answer.
pub(super) fn node_port_set(family: Family) -> String {
    let (ip, address) = (ip(family), address_type(family));
    format!(
        "add set {ip} {TABLE} nodeport-ips {{ type {address} ; comment \"IPs that accept NodePort traffic\" ; }}\n"
    )
}

/// The whole table.
pub(super) struct Table<'t> {
    pub family: Family,
    /// What makes chains and rules: `add chain` and `add rule` lines; others are passed over.
    pub rules: &'t str,
    pub elements: &'t Elements,
    /// The addresses where node ports answer; None if every address does.
    pub node_port_ips: Option<Vec<String>>,
    /// Seconds of affinity by the name of the set that remembers an endpoint's clients.
    pub affinity_sets: &'t Map<String, u32>,
}

impl Table<'_> {
    /// The table as text that `nft -f` reads.
    pub fn print(&self) -> String {
        let ip = ip(self.family);
        let add_chain = format!("add chain {ip} {TABLE} ");
        let add_rule = format!("add rule {ip} {TABLE} ");
        // What stands behind a chain's name (hook and priority, or a comment), and its rules.
        let mut chains: Map<&str, (&str, Vec<&str>)> = Map::new();
        for line in self.rules.lines() {
            if let Some(chain) = line.strip_prefix(&add_chain) {
                let (name, block) = chain.split_once(' ').unwrap_or((chain, ""));
                chains.entry(name).or_default().0 = block;
            } else if let Some(rule) = line.strip_prefix(&add_rule) {
                let name = rule.split(' ').next().unwrap_or("");
                chains.entry(name).or_default().1.push(line);
            }
        }
        let mut out = String::with_capacity(self.rules.len() * 2);
        let _ = writeln!(out, "add table {ip} {TABLE} {{ comment \"rules for kube-proxy\" ; }}");
        for (name, (block, _)) in &chains {
            for part in [add_chain.as_str(), *name, if block.is_empty() { "" } else { " " }, block, "\n"] {
                out.push_str(part);
            }
        }
        for (name, seconds) in self.affinity_sets {
            affinity_set(self.family, name, *seconds, &mut out);
        }
        out.push_str(&Container::ClusterIps.declaration(self.family));
        if self.node_port_ips.is_some() {
            out.push_str(&node_port_set(self.family));
        }
        for map in Container::MAPS {
            out.push_str(&map.declaration(self.family));
        }
        for rule in chains.values().flat_map(|(_, rules)| rules) {
            out.push_str(rule);
            out.push('\n');
        }
        self.elements.print(self.family, Container::ClusterIps, &mut out);
        for address in self.node_port_ips.iter().flatten() {
            let _ = writeln!(out, "add element {ip} {TABLE} nodeport-ips {{ {address} }}");
        }
        for map in Container::MAPS {
            self.elements.print(self.family, map, &mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Container, Elements};
    use crate::kube_proxy::Family;

    fn claims(wanted: &[(&str, &str)]) -> Vec<Claim> {
        let claim = |(key, verdict): &(&str, &str)| Claim {
            container: Container::ServiceIps,
            key: (*key).to_owned(),
            comment: String::new(),
            verdict: (*verdict).to_owned(),
        };
        wanted.iter().map(claim).collect()
    }

    #[test]
    fn elements_keep_their_place_while_they_do_not_change() {
        let mut elements = Elements::default();
        let mut old = Vec::new();
        let mut sync = |wanted: &[(&str, &str)]| {
            let mut tx = String::new();
            old.iter().for_each(|claim| elements.release(claim));
            old = claims(wanted);
            old.iter().for_each(|claim| elements.ensure(Family::V4, claim, &mut tx));
            elements.end(Family::V4, &mut tx);
            let mut out = String::new();
            elements.print(Family::V4, Container::ServiceIps, &mut out);
            (
                out.replace("add element ip kube-proxy service-ips ", ""),
                tx.replace("element ip kube-proxy service-ips ", ""),
            )
        };
        let (state, _) = sync(&[("b", "x"), ("a", "x"), ("c", "x")]);
        assert_eq!(state, "{ b : x }\n{ a : x }\n{ c : x }\n");
        let (state, tx) = sync(&[("a", "y"), ("c", "x"), ("b", "x")]);
        assert_eq!(state, "{ b : x }\n{ c : x }\n{ a : y }\n");
        assert_eq!(tx, "delete { a }\nadd { a : y }\n");
        let (state, tx) = sync(&[("d", "x"), ("a", "y")]);
        assert_eq!(state, "{ a : y }\n{ d : x }\n");
        assert_eq!(tx, "add { d : x }\ndelete { b }\ndelete { c }\n");
    }
}
