//! Mode ipvs (pkg/proxy/ipvs/proxier.go): virtual servers, ipsets, addresses of kube-ipvs0, and iptables rules that look into
//! the sets.

use super::config::{Config, Family};
use super::endpoints::{EndpointInfo, socket, usable};
use super::ipset::{Set, Sets};
use super::ipvs_rules;
use super::service_port::ServicePortInfo;
use super::tracker::{Cache, Delta, Port, PortKey, Ports};
use super::virtual_server::{Address, VirtualServer, VirtualServers};
use crate::object::{Objects, Protocol};
use sorted::Map;
use std::net::IpAddr;

/// What is on the node after a sync, or what a sync hands to the tools, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpvsText {
    /// What `iptables-restore --noflush --counters` gets.
    pub iptables: String,
    /// The sets, as `ipset save` prints them; of a later sync what `ipset restore` gets to bring them up to date.
    pub ipset: String,
    /// The virtual servers, as `ipvsadm -S -n` prints them; of a later sync the options of the `ipvsadm` commands that bring
    /// them up to date.
    pub virtual_servers: String,
    /// The addresses of kube-ipvs0, one a line; of a later sync `add ADDRESS` and `del ADDRESS`.
    pub dummy_addresses: String,
}

/// What a Service port asks for.
#[derive(Clone, Debug, Default)]
struct Asked {
    entries: Vec<(Set, String)>,
    servers: Vec<(Address, VirtualServer)>,
    bound: Vec<String>,
    out_filter: Vec<OutFilter>,
}

/// What kube-proxy remembers from one sync to the next.
#[derive(Clone, Debug)]
pub(super) struct Ipvs {
    pub family: Family,
    ports: Map<PortKey, Asked>,
    pub sets: Sets,
    servers: VirtualServers,
    /// There was a sync.
    synced: bool,
}

/// A load balancer's address that the node may not use.
#[derive(Clone, Debug)]
pub(super) struct OutFilter {
    pub ip: IpAddr,
    pub protocol: Protocol,
    pub port: u16,
}

/// What is on a node after the first sync.
pub fn sync(config: &Config, family: Family, objects: &Objects) -> IpvsText {
    let ports = Ports::all(config, family, &Cache::of(objects));
    Ipvs::new(family).sync(config, &ports, None)
}

impl Ipvs {
    /// A node where no kube-proxy was.
    pub fn new(family: Family) -> Ipvs {
        Ipvs {
            family,
            ports: Map::new(),
            sets: Sets::new(family),
            servers: VirtualServers::default(),
            synced: false,
        }
    }

    /// One sync: what brings the node up to date, or without a `delta` everything that must be there.
    pub fn sync(&mut self, config: &Config, ports: &Ports, delta: Option<&Delta>) -> IpvsText {
        let writer = Writer {
            config,
            family: self.family,
            node_port_ips: config
                .node_port_ips(self.family)
                .into_iter()
                .filter(|ip| !ip.is_loopback())
                .collect(),
        };
        match delta.filter(|_| self.synced) {
            None => {
                *self = Ipvs::new(self.family);
                for (key, port) in &ports.ports {
                    self.ask(key.clone(), writer.asked(port));
                }
            }
            Some(delta) => {
                for key in delta.old.keys() {
                    self.withdraw(key);
                }
                for key in &delta.new {
                    if let Some(port) = ports.ports.get(key) {
                        self.ask(key.clone(), writer.asked(port));
                    }
                }
            }
        }
        self.synced = true;
        IpvsText {
            iptables: ipvs_rules::write(config, self),
            ipset: self.sets.update(),
            dummy_addresses: self.servers.update_addresses(),
            virtual_servers: self.servers.update(&config.ipvs_scheduler),
        }
    }

    /// What is on the node after the last sync.
    pub fn text(&self, config: &Config) -> IpvsText {
        IpvsText {
            iptables: ipvs_rules::write(config, self),
            ipset: self.sets.print(),
            dummy_addresses: self.servers.print_addresses(),
            virtual_servers: self.servers.print(&config.ipvs_scheduler),
        }
    }

    /// The rules against the node's own use of load balancers' addresses.
    pub fn out_filter(&self) -> impl Iterator<Item = &OutFilter> {
        self.ports.values().flat_map(|p| &p.out_filter)
    }

    fn ask(&mut self, key: PortKey, mut asked: Asked) {
        for (set, entry) in &asked.entries {
            self.sets.add(*set, entry.clone());
        }
        for ip in &asked.bound {
            if self.servers.bind(ip) {
                self.sets.add(Set::IpvsIps, ip.clone());
            }
        }
        for (address, server) in &mut asked.servers {
            // Only the address is needed to withdraw it.
            let server = core::mem::take(server);
            self.servers.ask(&key, address.clone(), server);
        }
        self.ports.insert(key, asked);
    }

    fn withdraw(&mut self, key: &PortKey) {
        let Some(asked) = self.ports.remove(key) else { return };
        for (set, entry) in &asked.entries {
            self.sets.remove(*set, entry);
        }
        for ip in &asked.bound {
            if self.servers.unbind(ip) {
                self.sets.remove(Set::IpvsIps, ip);
            }
        }
        for (address, _) in &asked.servers {
            self.servers.withdraw(key, address);
        }
    }
}

/// What is the same for every Service port.
struct Writer<'c> {
    config: &'c Config,
    family: Family,
    /// Where node ports answer.
    node_port_ips: Vec<IpAddr>,
}

/// `ADDRESS,PROTOCOL:PORT`, as entries of sets have it.
fn entry(ip: &str, protocol: Protocol, port: u16) -> String {
    [ip, ",", protocol.name(), ":", &port.to_string()].concat()
}

impl Writer<'_> {
    fn asked(&self, port: &Port) -> Asked {
        let mut asked = Asked::default();
        let (info, all) = (&port.info, &port.endpoints);
        let protocol = info.protocol;
        // An endpoint that reaches itself through a Service must be masqueraded, whatever its state.
        for e in all.iter().filter(|e| e.local) {
            let own = [&entry(e.host(), protocol, e.port), ",", e.host()].concat();
            asked.entries.push((Set::LoopBack, own));
        }
        let usable = usable(self.config, info, all);
        let of_policy = |local: bool| match local && !usable.local.is_empty() {
            true => &usable.local,
            // With the policy Local and no local endpoint, traffic goes to any endpoint after all.
            false => &usable.cluster,
        };
        let (internal, external) =
            (of_policy(info.internal_policy_local), of_policy(info.external_policy_local));

        let cluster_ip = info.cluster_ip.to_string();
        asked.entries.push((Set::ClusterIp, entry(&cluster_ip, protocol, info.port)));
        asked.serve(info, info.cluster_ip, info.port, internal);
        self.bind(&mut asked, info.cluster_ip);

        for ip in &info.external_ips {
            let set = if info.external_policy_local { Set::ExternalIpLocal } else { Set::ExternalIp };
            asked.entries.push((set, entry(&ip.to_string(), protocol, info.port)));
            asked.serve(info, *ip, info.port, external);
            self.bind(&mut asked, *ip);
        }
        for ip in &info.load_balancer_vips {
            self.load_balancer(&mut asked, info, *ip);
            asked.serve(info, *ip, info.port, external);
            self.bind(&mut asked, *ip);
        }
        if info.node_port != 0 {
            // Without an address for node ports, the rest of the Service port is left out too.
            if self.node_port_ips.is_empty() {
                return asked;
            }
            self.node_port(&mut asked, info);
            for ip in &self.node_port_ips {
                asked.serve(info, *ip, info.node_port, external);
            }
        }
        if info.health_check_node_port != 0 {
            asked.entries.push((Set::HealthCheckNodePort, info.health_check_node_port.to_string()));
        }
        asked
    }

    fn load_balancer(&self, asked: &mut Asked, info: &ServicePortInfo, ip: IpAddr) {
        let protocol = info.protocol;
        let own = entry(&ip.to_string(), protocol, info.port);
        let mut add = |set: Set, entry: String| asked.entries.push((set, entry));
        add(Set::LoadBalancer, own.clone());
        if info.external_policy_local {
            add(Set::LoadBalancerLocal, own.clone());
        }
        if info.source_ranges.is_empty() {
            return;
        }
        add(Set::LoadBalancerFw, own.clone());
        for range in &info.source_ranges {
            add(Set::LoadBalancerSourceCidr, format!("{own},{range}"));
        }
        let node_ip = self.family.first(&self.config.node_ips);
        if node_ip.is_some_and(|node| info.source_ranges.iter().any(|r| r.contains(&node))) {
            add(Set::LoadBalancerSourceIp, format!("{own},{ip}"));
        } else {
            asked.out_filter.push(OutFilter { ip, protocol, port: info.port });
        }
    }

    fn node_port(&self, asked: &mut Asked, info: &ServicePortInfo) {
        let (any, local) = match info.protocol {
            Protocol::Tcp => (Set::NodePortTcp, Set::NodePortLocalTcp),
            Protocol::Udp => (Set::NodePortUdp, Set::NodePortLocalUdp),
            Protocol::Sctp => (Set::NodePortSctp, Set::NodePortLocalSctp),
        };
        // ipset has no bitmap for SCTP ports: the set holds addresses too.
        let entries: Vec<String> = match info.protocol {
            Protocol::Sctp => {
                self.node_port_ips.iter().map(|ip| format!("{ip},sctp:{}", info.node_port)).collect()
            }
            _ => vec![info.node_port.to_string()],
        };
        for entry in entries {
            if info.external_policy_local {
                asked.entries.push((local, entry.clone()));
            }
            asked.entries.push((any, entry));
        }
    }

    /// Puts an address on kube-ipvs0, unless the node has it anyway.
    fn bind(&self, asked: &mut Asked, ip: IpAddr) {
        if !self.config.interface_ips.contains(&ip) {
            asked.bound.push(ip.to_string());
        }
    }
}

impl Asked {
    fn serve(&mut self, info: &ServicePortInfo, ip: IpAddr, port: u16, endpoints: &[&EndpointInfo]) {
        let servers = endpoints.iter().map(|e| e.text.clone()).collect();
        let server = VirtualServer { persistence: info.affinity_seconds, servers };
        self.servers.push(((socket(ip, port), info.protocol), server));
    }
}
