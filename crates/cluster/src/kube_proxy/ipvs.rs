//! Mode ipvs (pkg/proxy/ipvs/proxier.go): virtual servers, ipsets, addresses of kube-ipvs0, and iptables rules that look into
//! the sets. Every sync writes everything; nothing depends on what was there before.

use super::config::{Config, Family};
use super::endpoints::{ByService, EndpointInfo, usable};
use super::ipset::{Set, Sets};
use super::ipvs_rules;
use super::service_port::{ServicePortInfo, service_ports};
use crate::object::{Objects, Protocol};
use litemap::LiteMap;
use std::net::IpAddr;

/// What a sync leaves on the node, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpvsText {
    /// What `iptables-restore --noflush --counters` gets.
    pub iptables: String,
    /// The sets, as `ipset save` prints them.
    pub ipset: String,
    /// The virtual servers, as `ipvsadm -S -n` prints them.
    pub virtual_servers: String,
    /// The addresses of kube-ipvs0, one a line.
    pub dummy_addresses: String,
}

/// A virtual server.
struct VirtualServer {
    protocol: Protocol,
    persistence: Option<u32>,
    /// The real servers, sorted.
    servers: LiteMap<String, ()>,
}

/// What a sync collects.
pub(super) struct Node<'c> {
    config: &'c Config,
    pub family: Family,
    pub sets: Sets,
    /// Rules against the node's own use of a load balancer's address.
    pub out_filter: Vec<OutFilter>,
    /// By `address:port` and protocol.
    virtual_servers: LiteMap<(String, Protocol), VirtualServer>,
    /// Addresses to put on kube-ipvs0.
    bound: LiteMap<String, ()>,
    /// Where node ports answer.
    node_port_ips: Vec<IpAddr>,
}

/// A load balancer's address that the node may not use.
pub(super) struct OutFilter {
    pub ip: IpAddr,
    pub protocol: Protocol,
    pub port: u16,
}

/// One sync.
pub fn sync(config: &Config, family: Family, objects: &Objects) -> IpvsText {
    let by_service = ByService::new(config, family, objects);
    let mut node = Node {
        config,
        family,
        sets: Sets::new(family),
        out_filter: Vec::new(),
        virtual_servers: LiteMap::new(),
        bound: LiteMap::new(),
        node_port_ips: config.node_port_ips(family).into_iter().filter(|ip| !ip.is_loopback()).collect(),
    };
    for info in service_ports(config, family, objects).values() {
        node.service(info, &by_service.of(config, info));
    }
    let bound: Vec<String> = node.bound.keys().cloned().collect();
    let mut text = IpvsText::default();
    for ip in bound {
        text.dummy_addresses.push_str(&ip);
        text.dummy_addresses.push('\n');
        node.sets.add(Set::IpvsIps, ip);
    }
    text.iptables = ipvs_rules::write(config, &node);
    text.ipset = node.sets.print();
    text.virtual_servers = node.print_virtual_servers();
    text
}

fn socket(ip: IpAddr, port: u16) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}

impl Node<'_> {
    fn service(&mut self, info: &ServicePortInfo, all: &[EndpointInfo]) {
        let protocol = info.protocol;
        // An endpoint that reaches itself through a Service must be masqueraded, whatever its state.
        for e in all.iter().filter(|e| e.local) {
            self.sets.add(Set::LoopBack, format!("{},{protocol}:{},{}", e.ip, e.port, e.ip));
        }
        let usable = usable(self.config, info, all);
        let of_policy = |local: bool| match local && !usable.local.is_empty() {
            true => &usable.local,
            // With the policy Local and no local endpoint, traffic goes to any endpoint after all.
            false => &usable.cluster,
        };
        let (internal, external) =
            (of_policy(info.internal_policy_local), of_policy(info.external_policy_local));

        self.sets.add(Set::ClusterIp, format!("{},{protocol}:{}", info.cluster_ip, info.port));
        self.serve(info, info.cluster_ip, info.port, internal);
        self.bind(info.cluster_ip);

        for ip in &info.external_ips {
            let set = if info.external_policy_local { Set::ExternalIpLocal } else { Set::ExternalIp };
            self.sets.add(set, format!("{ip},{protocol}:{}", info.port));
            self.serve(info, *ip, info.port, external);
            self.bind(*ip);
        }
        for ip in &info.load_balancer_vips {
            self.load_balancer(info, *ip);
            self.serve(info, *ip, info.port, external);
            self.bind(*ip);
        }
        if info.node_port != 0 {
            // Without an address for node ports, the rest of the Service port is left out too.
            if self.node_port_ips.is_empty() {
                return;
            }
            self.node_port(info);
            for ip in self.node_port_ips.clone() {
                self.serve(info, ip, info.node_port, external);
            }
        }
        if info.health_check_node_port != 0 {
            self.sets.add(Set::HealthCheckNodePort, info.health_check_node_port.to_string());
        }
    }

    fn load_balancer(&mut self, info: &ServicePortInfo, ip: IpAddr) {
        let protocol = info.protocol;
        let entry = format!("{ip},{protocol}:{}", info.port);
        self.sets.add(Set::LoadBalancer, entry.clone());
        if info.external_policy_local {
            self.sets.add(Set::LoadBalancerLocal, entry.clone());
        }
        if info.source_ranges.is_empty() {
            return;
        }
        self.sets.add(Set::LoadBalancerFw, entry.clone());
        for range in &info.source_ranges {
            self.sets.add(Set::LoadBalancerSourceCidr, format!("{entry},{range}"));
        }
        let node_ip = self.family.first(&self.config.node_ips);
        if node_ip.is_some_and(|node| info.source_ranges.iter().any(|r| r.contains(&node))) {
            self.sets.add(Set::LoadBalancerSourceIp, format!("{entry},{ip}"));
        } else {
            self.out_filter.push(OutFilter { ip, protocol, port: info.port });
        }
    }

    fn node_port(&mut self, info: &ServicePortInfo) {
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
                self.sets.add(local, entry.clone());
            }
            self.sets.add(any, entry);
        }
    }

    fn serve(&mut self, info: &ServicePortInfo, ip: IpAddr, port: u16, endpoints: &[EndpointInfo]) {
        let mut servers = LiteMap::new();
        for e in endpoints {
            servers.insert(e.text.clone(), ());
        }
        let (protocol, persistence) = (info.protocol, info.affinity_seconds);
        let server = VirtualServer { protocol, persistence, servers };
        self.virtual_servers.insert((socket(ip, port), protocol), server);
    }

    /// Puts an address on kube-ipvs0, unless the node has it anyway.
    fn bind(&mut self, ip: IpAddr) {
        if !self.config.interface_ips.contains(&ip) {
            self.bound.insert(ip.to_string(), ());
        }
    }

    fn print_virtual_servers(&self) -> String {
        let mut out = String::new();
        let scheduler = &self.config.ipvs_scheduler;
        for ((address, _), server) in self.virtual_servers.iter() {
            let service = match server.protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            out.push_str(&format!("-A {service} {address} -s {scheduler}"));
            if let Some(seconds) = server.persistence {
                out.push_str(&format!(" -p {seconds}"));
            }
            // Maglev hashing looks at ports only with this flag.
            out.push_str(if scheduler == "mh" { " -b mh-port\n" } else { "\n" });
            for real in server.servers.keys() {
                out.push_str(&format!("-a {service} {address} -r {real} -m -w 1\n"));
            }
        }
        out
    }
}
