//! CoreDNS from its Corefile and the cluster's objects: what each plugin knows, as plain tables (`sim::programs::dns_server`).

use cluster::Objects;
use cluster::corefile::{Corefile, Plugin, Server};
use cluster::object::{ClusterIp, Endpoint, Protocol, Service};
use packet::{DnsData, DnsName, DnsRecord, dns_type};
use sim::programs::dns_server::{Forward, ServerBlock, Table, ptr, servers_of};
use sim::programs::http_server::{Page, Site};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// The plugins, and what may stand in their blocks: what is obeyed here, and what changes no answer.
const PLUGINS: [(&str, &[&str]); 11] = [
    ("health", &["lameduck"]),
    ("ready", &[]),
    ("prometheus", &[]),
    ("reload", &[]),
    ("errors", &[]),
    ("log", &[]),
    ("loadbalance", &[]),
    ("loop", &[]),
    ("cache", &["disable"]),
    ("forward", &["except", "max_concurrent", "policy sequential"]),
    ("kubernetes", &["pods", "fallthrough", "ttl", "endpoint", "tls", "kubeconfig", "upstream"]),
];
/// `ttl` of the plugin kubernetes, unless the Corefile says otherwise.
const TTL: u32 = 5;
/// What the plugin cache keeps an answer for at most, if nothing is said (plugin/cache).
const CACHE: u32 = 3600;

/// The server blocks for a port. `resolv_conf` is the text of the pod's own /etc/resolv.conf, for `forward . /etc/resolv.conf`.
///
/// # Errors
/// Names a plugin or an option that is not modelled.
pub fn blocks(
    corefile: &Corefile,
    port: u16,
    objects: &Objects,
    resolv_conf: &str,
) -> Result<Vec<ServerBlock>, String> {
    let on_port = |s: &&Server| s.zones.iter().any(|(_, p)| *p == port);
    corefile.servers.iter().filter(on_port).map(|s| block(s, objects, resolv_conf)).collect()
}

/// What the plugins health and ready answer by HTTP, and where: `OK`, to whom asks for their page (plugin/health, plugin/ready).
pub fn sites(corefile: &Corefile) -> Vec<Site> {
    const PAGES: [(&str, &str, u16); 2] = [("health", "/health", 8080), ("ready", "/ready", 8181)];
    let site = |plugin: &Plugin| {
        let (_, path, port) = PAGES.into_iter().find(|(name, ..)| *name == plugin.name)?;
        let (host, own) = plugin.args.first().map_or(("", ""), |a| a.rsplit_once(':').unwrap_or((a, "")));
        let bind = (host.parse().unwrap_or(Ipv4Addr::UNSPECIFIED), own.parse().unwrap_or(port));
        let pages = vec![Page::ok(path, "text/plain; charset=utf-8", "OK".to_owned())];
        Some(Site { bind, pages, otherwise: Page::go_not_found() })
    };
    let mut all: Vec<Site> = Vec::new();
    for site in corefile.servers.iter().flat_map(|s| &s.plugins).filter_map(site) {
        if all.iter().all(|known| known.bind != site.bind) {
            all.push(site);
        }
    }
    all
}

/// A zone without the dot at its end.
fn zone(text: &str) -> String {
    text.trim_end_matches('.').to_owned()
}

fn block(server: &Server, objects: &Objects, resolv_conf: &str) -> Result<ServerBlock, String> {
    for plugin in &server.plugins {
        known(plugin).map_err(|why| format!("line {} of the Corefile: {why}", plugin.line))?;
    }
    let has = |name| server.plugin(name).is_some();
    let mut tables = Vec::new();
    if let Some(plugin) = server.plugin("kubernetes") {
        let ttl = plugin.option("ttl").and_then(|o| o.first()?.parse().ok()).unwrap_or(TTL);
        let zones: Vec<String> = server.kubernetes_zones().into_iter().map(zone).collect();
        let pods = plugin.option("pods").and_then(|o| o.first()).map_or("disabled", String::as_str);
        if !matches!(pods, "disabled" | "insecure") {
            return Err(format!(
                "pods {pods} of CoreDNS's plugin kubernetes is not modelled; disabled and insecure are"
            ));
        }
        let fallthrough = match plugin.option("fallthrough") {
            None => Vec::new(),
            Some([]) => zones.clone(),
            Some(some) => some.iter().map(|z| zone(z)).collect(),
        };
        let records = records(objects, &zones, ttl);
        tables.push(Rc::new(Table { zones, records, pods_insecure: pods == "insecure", fallthrough, ttl }));
    }
    let mut forward = Vec::new();
    for plugin in &server.plugins {
        let Some((of, targets)) = plugin.forward() else { continue };
        let mut to = Vec::new();
        for target in targets {
            let found = upstream(target, resolv_conf);
            to.extend(found.map_err(|why| format!("line {} of the Corefile: {why}", plugin.line))?);
        }
        let except = plugin.option("except").unwrap_or_default().iter().map(|z| zone(z)).collect();
        forward.push(Forward { zone: zone(of), except, to });
    }
    let cache = server.plugin("cache").map(|p| p.args.first().and_then(|a| a.parse().ok()).unwrap_or(CACHE));
    Ok(ServerBlock {
        zones: server.zones.iter().map(|(z, _)| zone(z)).collect(),
        errors: has("errors"),
        log: has("log"),
        loadbalance: has("loadbalance"),
        cache,
        uncached: uncached(server),
        tables,
        detects_loop: has("loop"),
        forward,
    })
}

/// What is not obeyed is refused.
fn known(plugin: &Plugin) -> Result<(), String> {
    let Some((name, options)) = PLUGINS.iter().find(|(name, _)| *name == plugin.name) else {
        let all: Vec<&str> = PLUGINS.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "CoreDNS's plugin {} is not modelled; these are: {}",
            plugin.name,
            all.join(", ")
        ));
    };
    for line in &plugin.block {
        let fits = |o: &&str| *o == line.join(" ") || line.first().is_some_and(|word| word == o);
        if !options.iter().any(fits) {
            let all = if options.is_empty() { "nothing".to_owned() } else { options.join(", ") };
            let other = line.join(" ");
            return Err(format!("{other} of CoreDNS's plugin {name} is not modelled; expected {all}"));
        }
    }
    Ok(())
}

/// `disable success|denial [ZONE...]` of the plugin cache: refusals or answers, and the zones for which they are not kept.
fn uncached(server: &Server) -> Vec<(bool, String)> {
    let lines = server.plugin("cache").into_iter().flat_map(|p| &p.block);
    let all = lines.filter_map(|line| match line.as_slice() {
        [_, what, zones @ ..] => Some((what == "denial", zones)),
        _ => None,
    });
    all.flat_map(|(denial, zones)| match zones {
        [] => vec![(denial, String::new())],
        _ => zones.iter().map(|z| (denial, zone(z))).collect(),
    })
    .collect()
}

/// An address with or without its port, or a file like /etc/resolv.conf.
fn upstream(target: &str, resolv_conf: &str) -> Result<Vec<(Ipv4Addr, u16)>, String> {
    if target.starts_with('/') {
        return Ok(servers_of(resolv_conf));
    }
    let plain = target.strip_prefix("dns://").unwrap_or(target);
    let (addr, port) = plain.split_once(':').unwrap_or((plain, "53"));
    match (addr.parse(), port.parse()) {
        (Ok(addr), Ok(port)) => Ok(vec![(addr, port)]),
        _ => Err(format!("{target:?}: expected an address to forward to, or /etc/resolv.conf")),
    }
}

struct Records {
    all: Vec<DnsRecord>,
    ttl: u32,
    reverse: bool,
}

impl Records {
    fn push(&mut self, name: &str, kind: u16, data: DnsData) {
        let name = DnsName::new(name);
        self.all.extend(name.map(|name| DnsRecord { name, kind, class: 1, ttl: self.ttl, data }));
    }

    /// An address, and its name.
    fn address(&mut self, name: &str, address: IpAddr, named: bool) {
        match address {
            IpAddr::V4(v4) => self.push(name, dns_type::A, DnsData::A(v4)),
            IpAddr::V6(v6) => self.push(name, dns_type::AAAA, DnsData::Aaaa(v6)),
        }
        if let (IpAddr::V4(v4), true, true, Some(owner)) = (address, named, self.reverse, DnsName::new(name))
        {
            self.all.extend(ptr(v4, &owner, self.ttl));
        }
    }

    fn srv(&mut self, service: &str, port: (&str, Protocol, u16), targets: &[String]) {
        let (name, protocol, number) = port;
        if name.is_empty() {
            return;
        }
        let weight = 100 / u16::try_from(targets.len().max(1)).unwrap_or(100);
        let owner = format!("_{name}._{}.{service}", protocol.name().to_ascii_lowercase());
        for target in targets {
            if let Some(target) = DnsName::new(target) {
                self.push(&owner, dns_type::SRV, DnsData::Srv(0, weight, number, target));
            }
        }
    }
}

/// The names of Services (the DNS specification of Kubernetes, version 1.1.0).
fn records(objects: &Objects, zones: &[String], ttl: u32) -> Vec<DnsRecord> {
    let reverse = zones.iter().any(|z| z == "in-addr.arpa" || z.ends_with(".in-addr.arpa"));
    let mut out = Records { all: Vec::new(), ttl, reverse };
    for zone in zones.iter().filter(|z| !z.ends_with(".arpa") && *z != "arpa") {
        out.push(&format!("dns-version.{zone}"), dns_type::TXT, DnsData::Txt(vec![b"1.1.0".to_vec()]));
        for ((namespace, name), service) in &objects.services {
            let full = format!("{name}.{namespace}.svc.{zone}");
            match &service.cluster_ip {
                ClusterIp::Addresses(addresses) => {
                    addresses.iter().for_each(|a| out.address(&full, *a, true));
                    for p in &service.ports {
                        out.srv(&full, (&p.name, p.protocol, p.port), std::slice::from_ref(&full));
                    }
                }
                ClusterIp::None => headless(objects, service, &full, &mut out),
                ClusterIp::Unset => {
                    let named = Some(&service.external_name).filter(|name| !name.is_empty());
                    if let Some(target) = named.and_then(|name| DnsName::new(name)) {
                        out.push(&full, dns_type::CNAME, DnsData::Name(target));
                    }
                }
            }
        }
    }
    out.all
}

/// A headless Service has its endpoints' addresses; each endpoint has a name made of its address.
fn headless(objects: &Objects, service: &Service, full: &str, out: &mut Records) {
    let meta = &service.metadata;
    let slices = objects.endpoint_slices.values();
    let own = slices.filter(|s| s.service == meta.name && s.metadata.namespace == meta.namespace);
    for slice in own {
        let ready = |e: &&Endpoint| e.ready || service.publish_not_ready;
        let mut targets = Vec::new();
        for address in slice.endpoints.iter().filter(ready).filter_map(|e| e.address) {
            let target = format!("{}.{full}", address.to_string().replace(['.', ':'], "-"));
            out.address(full, address, false);
            out.address(&target, address, true);
            targets.push(target);
        }
        for port in &slice.ports {
            if let Some(number) = port.port {
                out.srv(full, (&port.name, port.protocol, number), &targets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::blocks;
    use crate::kube;
    use cluster::corefile::Corefile;

    const OBJECTS: &str = "
kind: Service
metadata: {name: kubernetes}
spec: {clusterIP: 10.32.0.1, ports: [{name: https, port: 443}]}
---
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: db-1, namespace: data, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.5]}, {addresses: [10.244.1.6], conditions: {ready: false}}]
ports: [{name: sql, port: 5432}]
";

    fn names(corefile: &str) -> Vec<String> {
        let corefile = Corefile::read(corefile).unwrap();
        let blocks =
            blocks(&corefile, 53, &kube::objects(OBJECTS).unwrap(), "nameserver 10.0.0.53\n").unwrap();
        let records = blocks.iter().flat_map(|b| &b.tables).flat_map(|t| &t.records);
        records.map(|r| format!("{} {}", r.name.as_str(), r.kind)).collect()
    }

    #[test]
    fn services_have_names() {
        let all = names(".:53 {\n kubernetes cluster.local in-addr.arpa\n}\n");
        for name in [
            "kubernetes.default.svc.cluster.local 1",
            "1.0.32.10.in-addr.arpa 12",
            "_https._tcp.kubernetes.default.svc.cluster.local 33",
            "db.data.svc.cluster.local 1",
            "10-244-1-5.db.data.svc.cluster.local 1",
            "_sql._tcp.db.data.svc.cluster.local 33",
        ] {
            assert!(all.iter().any(|n| n == name), "{name}: {all:?}");
        }
        assert!(!all.iter().any(|n| n.contains("10-244-1-6")), "an endpoint that is not ready");
    }

    #[test]
    fn forward_is_told_by_address_or_by_file() {
        let objects = kube::objects(OBJECTS).unwrap();
        for (to, address) in [("169.254.169.254", "169.254.169.254:53"), ("/etc/resolv.conf", "10.0.0.53:53")]
        {
            let corefile = Corefile::read(&format!(".:53 {{\n forward . {to}\n}}\n")).unwrap();
            let blocks = blocks(&corefile, 53, &objects, "nameserver 10.0.0.53\n").unwrap();
            let (a, port) = blocks[0].forward[0].to[0];
            assert_eq!(format!("{a}:{port}"), address);
        }
    }

    /// A plugin or an option that is not obeyed is named with its line.
    #[test]
    fn what_is_not_modelled_is_refused_with_its_line() {
        for (line, said) in [
            ("rewrite name a b", "CoreDNS's plugin rewrite is not modelled; these are: health, ready"),
            ("hosts {\n 1.2.3.4 a\n}", "CoreDNS's plugin hosts is not modelled"),
            ("forwad . 1.1.1.1", "CoreDNS's plugin forwad is not modelled"),
            (
                "forward . 1.1.1.1 {\n force_tcp\n}",
                "force_tcp of CoreDNS's plugin forward is not modelled; expected except",
            ),
            ("forward . 1.1.1.1 {\n policy round_robin\n}", "policy round_robin of CoreDNS's plugin forward"),
            (
                "kubernetes a {\n namespaces b\n}",
                "namespaces b of CoreDNS's plugin kubernetes is not modelled",
            ),
            ("loop {\n x\n}", "x of CoreDNS's plugin loop is not modelled; expected nothing"),
            ("forward . nosuchhost", "\"nosuchhost\": expected an address to forward to"),
        ] {
            let corefile = Corefile::read(&format!(".:53 {{\n errors\n {line}\n}}\n")).unwrap();
            let error = blocks(&corefile, 53, &kube::objects(OBJECTS).unwrap(), "").unwrap_err();
            assert!(error.starts_with(&format!("line 3 of the Corefile: {said}")), "{error}");
        }
    }
}
