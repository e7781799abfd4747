//! CoreDNS in a cluster: the server of a Corefile, with what the plugin `kubernetes` knows of the objects.

use cluster::corefile::{Corefile, Server};
use cluster::object::{ClusterIp, EndpointSlice, Service};
use cluster::{Objects, object::NamespacedName};
use packet::{DnsData, DnsName, DnsRecord, dns_type};
use sim::programs::dns_server::{DnsServer, Forward, ServerBlock, Table, ptr, servers_of};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// What `kubernetes` says if no `ttl` is given.
const TTL: u32 = 5;
/// The version of the specification that names follow (`dns-version`).
const SCHEMA: &str = "1.1.0";

/// Plugins that change nothing that a client sees.
const SILENT: &[&str] = &["health", "ready", "prometheus", "reload", "lameduck"];

/// The server of a Corefile on all addresses of a box, on the port of its first block. `resolv_conf` is the box's file, for
/// `forward . /etc/resolv.conf`.
///
/// # Errors
/// Names a plugin or an argument that is not modelled.
pub fn coredns(corefile: &Corefile, objects: &Objects, resolv_conf: &str) -> Result<DnsServer, String> {
    let port = corefile.servers.first().and_then(|s| s.zones.first()).map_or(53, |(_, port)| *port);
    let other = corefile.servers.iter().flat_map(|s| &s.zones).find(|(_, p)| *p != port);
    if let Some((zone, other)) = other {
        return Err(format!("{zone}:{other}: several ports in one Corefile are not modelled"));
    }
    let blocks = corefile.servers.iter().map(|s| block(s, objects, resolv_conf)).collect::<Result<_, _>>()?;
    Ok(DnsServer::new((Ipv4Addr::UNSPECIFIED, port), blocks))
}

/// The name of a zone without the dots around it.
fn zone(text: &str) -> String {
    text.trim_matches('.').to_owned()
}

fn block(server: &Server, objects: &Objects, resolv_conf: &str) -> Result<ServerBlock, String> {
    let mut block =
        ServerBlock { zones: server.zones.iter().map(|(z, _)| zone(z)).collect(), ..ServerBlock::default() };
    for plugin in &server.plugins {
        match plugin.name.as_str() {
            "errors" => block.errors = true,
            "log" => block.log = true,
            "loadbalance" => block.loadbalance = true,
            "loop" => block.detects_loop = true,
            "cache" => {
                let seconds = plugin.args.first().map_or(Ok(3600), |n| n.parse());
                block.cache =
                    Some(seconds.map_err(|_| format!("cache {}: expected seconds", plugin.args.join(" ")))?);
            }
            "kubernetes" => {
                let zones = server.kubernetes_zones().into_iter().map(zone).collect();
                let number = |words: &[String]| words.first().and_then(|n| n.parse().ok());
                let ttl = plugin.option("ttl").and_then(number).unwrap_or(TTL);
                let mut table = kubernetes(objects, zones, ttl);
                table.pods_insecure = plugin.option("pods").is_some_and(|words| words == ["insecure"]);
                table.fallthrough = match plugin.option("fallthrough") {
                    None => Vec::new(),
                    Some([]) => vec![String::new()],
                    Some(zones) => zones.iter().map(|z| zone(z)).collect(),
                };
                block.tables.push(Rc::new(table));
            }
            "forward" => {
                let Some((of, to)) = server.forward() else {
                    return Err("forward: expected a zone and where to".to_owned());
                };
                block.forward = Some(Forward { zone: zone(of), to: upstreams(to, resolv_conf)? });
            }
            name if SILENT.contains(&name) => {}
            name => return Err(format!("the plugin {name:?} of CoreDNS is not modelled")),
        }
    }
    Ok(block)
}

/// Where `forward` sends: addresses with or without a port, or the servers of a file.
fn upstreams(to: &[String], resolv_conf: &str) -> Result<Vec<(Ipv4Addr, u16)>, String> {
    let mut out = Vec::new();
    for word in to {
        let bare = word.strip_prefix("dns://").unwrap_or(word);
        let (addr, port) = bare.split_once(':').map_or((bare, Some(53)), |(a, p)| (a, p.parse().ok()));
        match (addr.parse(), port) {
            _ if word.starts_with('/') => out.extend(servers_of(resolv_conf)),
            (Ok(addr), Some(port)) => out.push((addr, port)),
            _ => {
                return Err(format!(
                    "forward to {word:?} is not modelled; expected an IPv4 address or a file"
                ));
            }
        }
    }
    Ok(out)
}

/// The records that the plugin `kubernetes` answers with (github.com/kubernetes/dns, specification.md), IPv4 only.
pub fn kubernetes(objects: &Objects, zones: Vec<String>, ttl: u32) -> Table {
    let mut table = Table { zones, ttl, ..Table::default() };
    let forward: Vec<String> = table.zones.iter().filter(|z| !z.ends_with(".arpa")).cloned().collect();
    for zone in &forward {
        table.add(
            &format!("dns-version.{zone}"),
            dns_type::TXT,
            DnsData::Txt(vec![SCHEMA.as_bytes().to_vec()]),
        );
        for (name, service) in objects.services.iter() {
            service_records(&mut table, objects, zone, name, service);
        }
    }
    table
}

/// Adding to a table.
trait Add {
    fn add(&mut self, name: &str, kind: u16, data: DnsData);
    /// `name` has this address, and the address that name.
    fn address(&mut self, name: &str, addr: Ipv4Addr, backwards: bool);
    fn srv(&mut self, owner: &str, weight: usize, port: u16, target: &str);
}

impl Add for Table {
    fn add(&mut self, name: &str, kind: u16, data: DnsData) {
        if let Some(name) = DnsName::new(name) {
            self.records.push(DnsRecord { name, kind, class: 1, ttl: self.ttl, data });
        }
    }

    fn address(&mut self, name: &str, addr: Ipv4Addr, backwards: bool) {
        self.add(name, dns_type::A, DnsData::A(addr));
        if let Some(name) = DnsName::new(name).filter(|_| backwards) {
            self.records.extend(ptr(addr, &name, self.ttl));
        }
    }

    fn srv(&mut self, owner: &str, weight: usize, port: u16, target: &str) {
        if let Some(target) = DnsName::new(target) {
            let weight = u16::try_from(100 / weight.max(1)).unwrap_or(1).max(1);
            self.add(owner, dns_type::SRV, DnsData::Srv(0, weight, port, target));
        }
    }
}

fn service_records(
    table: &mut Table,
    objects: &Objects,
    zone: &str,
    key: &NamespacedName,
    service: &Service,
) {
    let name = format!("{}.{}.svc.{zone}", service.metadata.name, service.metadata.namespace);
    let v4 = |addr: &IpAddr| match addr {
        IpAddr::V4(a) => Some(*a),
        IpAddr::V6(_) => None,
    };
    match &service.cluster_ip {
        ClusterIp::Unset => {}
        ClusterIp::Addresses(all) => {
            for addr in all.iter().filter_map(v4) {
                table.address(&name, addr, true);
            }
            for port in &service.ports {
                let proto = port.protocol.to_string().to_lowercase();
                table.srv(&name, 1, port.port, &name);
                if !port.name.is_empty() {
                    table.srv(&format!("_{}._{proto}.{name}", port.name), 1, port.port, &name);
                }
            }
        }
        ClusterIp::None => {
            let slices = objects.endpoint_slices.iter().map(|(_, s)| s);
            for slice in slices.filter(|s| s.metadata.namespace == key.0 && s.service == key.1) {
                headless(table, &name, service, slice);
            }
        }
    }
}

/// A Service without an address: its endpoints are found by its name.
fn headless(table: &mut Table, name: &str, service: &Service, slice: &EndpointSlice) {
    let ready = slice.endpoints.iter().filter(|e| e.ready || service.publish_not_ready);
    let addrs: Vec<Ipv4Addr> = ready
        .filter_map(|e| match e.address {
            Some(IpAddr::V4(a)) => Some(a),
            _ => None,
        })
        .collect();
    for addr in &addrs {
        let own = format!("{}.{name}", addr.to_string().replace('.', "-"));
        table.address(name, *addr, false);
        table.address(&own, *addr, true);
        for port in &slice.ports {
            let Some(number) = port.port else { continue };
            let proto = port.protocol.to_string().to_lowercase();
            table.srv(name, addrs.len(), number, &own);
            if !port.name.is_empty() {
                table.srv(&format!("_{}._{proto}.{name}", port.name), addrs.len(), number, &own);
            }
        }
    }
}

/// The resolv.conf that kubelet gives a pod with `dnsPolicy: ClusterFirst` (pkg/kubelet/network/dns); `more` are the domains
/// of the node's own file.
pub fn resolv_conf(namespace: &str, zone: &str, server: Ipv4Addr, more: &[&str]) -> String {
    let mut search = format!("{namespace}.svc.{zone} svc.{zone} {zone}");
    for domain in more {
        search += &format!(" {domain}");
    }
    format!("search {search}\nnameserver {server}\noptions ndots:5\n")
}
