//! Which connections kube-proxy makes the kernel forget (pkg/proxy/conntrack/cleanup.go; before 1.31 pkg/proxy/iptables,
//! `deleteEndpointConnections`). UDP has no end of a connection: while a client goes on sending, its entry leads it to an
//! endpoint that may not be there any more.

use super::config::{Config, Family};
use super::tracker::{Delta, Port, PortKey, Ports};
use crate::object::Protocol;
use core::fmt;
use sorted::{Map, Set};
use std::net::IpAddr;

/// An entry of the conntrack table, as far as the decision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConntrackEntry {
    /// The transport protocol; None is another one.
    pub protocol: Option<Protocol>,
    /// Where the first packet was sent: `dst` and `dport` of the original direction.
    pub original_dst: (IpAddr, u16),
    /// Who answers: `src` and `sport` of the reply direction.
    pub reply_src: (IpAddr, u16),
}

/// What a sync does to the conntrack table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Nothing.
    Nothing,
    /// `conntrack` is run, once for each: before 1.32.
    Commands(Vec<ClearEntries>),
    /// The whole table is read and held against the endpoints: since 1.32.
    Reconcile(Reconcile),
}

impl Cleanup {
    /// Whether an entry goes. Entries of the other family are not asked for.
    pub fn deletes(&self, entry: &ConntrackEntry) -> bool {
        match self {
            Cleanup::Nothing => false,
            Cleanup::Commands(all) => all.iter().any(|c| c.deletes(entry)),
            Cleanup::Reconcile(reconcile) => reconcile.deletes(entry),
        }
    }
}

/// One run of `conntrack -D`. It prints as its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClearEntries {
    /// The family of the entries.
    pub family: Family,
    /// What was addressed.
    pub to: Addressed,
    /// `--dst-nat`: whom it was translated to; None is whatever.
    pub dst_nat: Option<IpAddr>,
}

/// What the first packet was addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Addressed {
    /// `--orig-dst`: an address.
    Ip(IpAddr),
    /// `--dport`: a port of any address.
    Port(u16),
}

impl ClearEntries {
    /// Whether the command deletes an entry.
    pub fn deletes(&self, entry: &ConntrackEntry) -> bool {
        let (ip, port) = entry.original_dst;
        entry.protocol == Some(Protocol::Udp)
            && self.family.has(ip)
            && match self.to {
                Addressed::Ip(wanted) => wanted == ip,
                Addressed::Port(wanted) => wanted == port,
            }
            // conntrack asks whether the entry is translated at all.
            && self.dst_nat.is_none_or(|to| to == entry.reply_src.0 && entry.reply_src != entry.original_dst)
    }
}

impl fmt::Display for ClearEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("conntrack -D")?;
        match (self.to, self.dst_nat) {
            (Addressed::Ip(ip), None) => write!(f, " --orig-dst {ip} -p udp")?,
            (Addressed::Ip(ip), Some(to)) => write!(f, " --orig-dst {ip} --dst-nat {to} -p udp")?,
            (Addressed::Port(port), None) => write!(f, " -p udp --dport {port}")?,
            (Addressed::Port(port), Some(to)) => write!(f, " -p udp --dport {port} --dst-nat {to}")?,
        }
        if self.family == Family::V6 { f.write_str(" -f ipv6") } else { Ok(()) }
    }
}

/// The UDP Services that have a serving endpoint, and the addresses of these. Policies, hints and the end of endpoints do not
/// count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconcile {
    /// By address and port: cluster IPs, external IPs and load balancers' addresses.
    pub services: Map<(IpAddr, u16), Set<IpAddr>>,
    /// By node port.
    pub node_ports: Map<u16, Set<IpAddr>>,
}

impl Reconcile {
    /// An entry goes if it leads to something else than a serving endpoint of its Service.
    pub fn deletes(&self, entry: &ConntrackEntry) -> bool {
        let lost =
            |endpoints: Option<&Set<IpAddr>>| endpoints.is_some_and(|all| !all.contains(&entry.reply_src.0));
        entry.protocol == Some(Protocol::Udp)
            && (lost(self.services.get(&entry.original_dst))
                || lost(self.node_ports.get(&entry.original_dst.1)))
    }
}

/// What a sync that changed `delta` does. Without one every Service port is new.
pub(super) fn cleanup(config: &Config, family: Family, ports: &Ports, delta: Option<&Delta>) -> Cleanup {
    let udp = |key: &&PortKey| key.1 == Protocol::Udp;
    let new: Vec<&PortKey> = match delta {
        Some(delta) => delta.new.iter().filter(udp).collect(),
        None => ports.ports.keys().filter(udp).collect(),
    };
    let none = Map::new();
    let old = delta.map_or(&none, |d| &d.old);
    if config.features().conntrack_reconcile {
        let touched = !new.is_empty() || old.keys().any(|key| udp(&key));
        return if touched { Cleanup::Reconcile(reconcile(ports)) } else { Cleanup::Nothing };
    }
    let serves = if config.features().terminating_endpoints {
        |e: &super::endpoints::EndpointInfo| e.serving
    } else {
        |e: &super::endpoints::EndpointInfo| e.ready
    };
    let mut all = Set::new();
    let mut clear = |to: Addressed, dst_nat: Option<IpAddr>| {
        all.insert(ClearEntries { family, to, dst_nat });
    };
    // Ports that are gone: the address may belong to somebody else next.
    for (key, port) in old.iter().filter(|(key, _)| udp(key)) {
        if !ports.ports.contains_key(key) {
            clear(Addressed::Ip(port.info.cluster_ip), None);
        }
    }
    for key in new {
        let (Some(port), was) = (ports.ports.get(key), old.get(key)) else { continue };
        let has = |p: &Port| p.endpoints.iter().any(serves);
        // Without endpoints packets were refused, and entries of that lead nowhere.
        if has(port) && !was.is_some_and(has) {
            addresses(port).for_each(|ip| clear(Addressed::Ip(ip), None));
            if port.info.node_port != 0 {
                clear(Addressed::Port(port.info.node_port), None);
            }
        }
        let gone = was
            .into_iter()
            .flat_map(|was| &was.endpoints)
            .filter(|e| serves(e) && !port.endpoints.iter().any(|now| now.text == e.text && serves(now)));
        let by_port_alone = port.info.node_port != 0 && config.features().conntrack_port_or_ip;
        for e in gone {
            for ip in addresses(port).skip(usize::from(by_port_alone)) {
                clear(Addressed::Ip(ip), Some(e.ip));
            }
            if port.info.node_port != 0 {
                clear(Addressed::Port(port.info.node_port), Some(e.ip));
            }
        }
    }
    if all.is_empty() { Cleanup::Nothing } else { Cleanup::Commands(all.into_iter().collect()) }
}

/// Where a Service port answers, but for node ports: first the cluster IP.
fn addresses(port: &Port) -> impl Iterator<Item = IpAddr> {
    let outside = port.info.external_ips.iter().chain(&port.info.load_balancer_vips).copied();
    core::iter::once(port.info.cluster_ip).chain(outside)
}

fn reconcile(ports: &Ports) -> Reconcile {
    let mut all = Reconcile::default();
    for port in ports.ports.values().filter(|p| p.info.protocol == Protocol::Udp) {
        let serving: Set<IpAddr> = port.endpoints.iter().filter(|e| e.serving).map(|e| e.ip).collect();
        if serving.is_empty() {
            continue;
        }
        for ip in addresses(port) {
            all.services.insert((ip, port.info.port), serving.clone());
        }
        if port.info.node_port != 0 {
            all.node_ports.insert(port.info.node_port, serving);
        }
    }
    all
}
