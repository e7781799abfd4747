//! The chains, rules and elements of one Service port in mode nftables (pkg/proxy/nftables/proxier.go, `syncProxyRules`).

use super::config::{Config, Family};
use super::endpoints::{EndpointInfo, Usable, usable};
use super::names::nft_name;
use super::nft_setup::{LocalTraffic, MARK_MASQ, local_traffic};
use super::nft_table::{Claim, Container, TABLE, affinity_set, ip};
use super::service_port::ServicePortInfo;
use super::tracker::Port;
use std::net::IpAddr;

/// What is in the table for a Service port.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// It must be written anew.
    pub dirty: bool,
    /// What the names of its endpoints end in: they have a chain, and with affinity a set.
    endpoints: Vec<String>,
    /// Seconds of affinity.
    pub affinity: Option<u32>,
    /// Its other chains.
    chains: Vec<String>,
    /// The elements that it asks for.
    pub elements: Vec<Claim>,
}

impl Written {
    /// Of a Service port that is to be written.
    pub fn dirty() -> Written {
        Written { dirty: true, ..Written::default() }
    }

    /// The names of all its chains.
    pub fn chains(&self) -> impl Iterator<Item = String> {
        let endpoints = self.endpoints.iter().map(|end| ["endpoint-", end].concat());
        endpoints.chain(self.chains.iter().cloned())
    }

    /// The names of its sets of clients.
    pub fn affinity_sets(&self) -> impl Iterator<Item = String> {
        let with = self.endpoints.iter().filter(|_| self.affinity.is_some());
        with.map(|end| ["affinity-", end].concat())
    }
}

/// Asks for an element, and writes what has to be done for it.
type Ensure<'f> = &'f mut dyn FnMut(&Claim, &mut String);

/// What is the same for every Service port.
pub(super) struct Writer<'c> {
    config: &'c Config,
    family: Family,
    ip: &'static str,
    /// `add rule ip kube-proxy `
    add_rule: String,
    add_chain: String,
    flush_chain: String,
    local: Option<LocalTraffic>,
    node_ip: Option<IpAddr>,
}

/// One Service port while it is written.
struct Subject<'s> {
    info: &'s ServicePortInfo,
    protocol: &'static str,
    usable: &'s Usable<'s>,
    /// There is an endpoint for traffic to the cluster IP.
    internal: bool,
    /// There is an endpoint for traffic from outside.
    external: bool,
    /// The chains for the policies Cluster and Local, and of traffic from outside. They may not be there.
    service: String,
    local: String,
    ext: String,
    /// The chain of a load balancer's source ranges. It needs no endpoint.
    firewall: Option<String>,
    /// What the names of the reachable endpoints end in.
    ends: Vec<String>,
}

impl Subject<'_> {
    /// The chain for a traffic policy.
    fn policy_chain(&self, local: bool) -> &str {
        if local { &self.local } else { &self.service }
    }

    /// The ends of some of the reachable endpoints' names. Both lists are sorted.
    fn ends(&self, list: &[&EndpointInfo]) -> Vec<&str> {
        let all = self.usable.reachable.iter().zip(&self.ends);
        let mut list = list.iter().peekable();
        let mut found = Vec::with_capacity(list.len());
        for (e, end) in all {
            if list.next_if(|wanted| wanted.text == e.text).is_some() {
                found.push(end.as_str());
            }
        }
        found
    }

    fn socket(&self, ip: &str) -> String {
        [ip, " . ", self.protocol, " . ", &self.info.port.to_string()].concat()
    }

    /// Why traffic is refused.
    fn refusal(&self) -> &'static str {
        if self.usable.any { "drop" } else { "goto reject-chain" }
    }
}

fn push(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
    out.push('\n');
}

impl<'c> Writer<'c> {
    pub fn new(config: &'c Config, family: Family) -> Writer<'c> {
        let ip = ip(family);
        Writer {
            config,
            family,
            ip,
            add_rule: format!("add rule {ip} {TABLE} "),
            add_chain: format!("add chain {ip} {TABLE} "),
            flush_chain: format!("flush chain {ip} {TABLE} "),
            local: local_traffic(config, family),
            node_ip: family.first(&config.node_ips),
        }
    }

    /// Writes a Service port.
    pub fn write(&self, port: &Port, ensure: Ensure<'_>, out: &mut String) -> Written {
        let info = &port.info;
        let usable = usable(self.config, info, &port.endpoints);
        let protocol = info.protocol.name();
        let (namespace, name) = &info.service;
        let full = [namespace, "/", name, "/", protocol, "/", &info.port_name].concat();
        let end = |e: &&EndpointInfo| {
            // A colon cannot be in a name.
            match e.ip {
                IpAddr::V4(_) => {
                    nft_name(&[&full, "__", e.host(), "/", &e.text[e.host().len() + 1..]].concat())
                }
                IpAddr::V6(_) => nft_name(&format!("{full}__{}/{}", e.host().replace(':', "."), e.port)),
            }
        };
        let base = nft_name(&full);
        let served = |local: bool| usable.any && !(local && usable.local.is_empty());
        let fenced = !info.load_balancer_vips.is_empty() && !info.source_ranges.is_empty();
        let s = Subject {
            info,
            protocol,
            internal: served(info.internal_policy_local),
            external: served(info.external_policy_local),
            service: ["service-", &base].concat(),
            local: ["local-", &base].concat(),
            ext: ["external-", &base].concat(),
            firewall: fenced.then(|| ["firewall-", &base].concat()),
            ends: usable.reachable.iter().map(end).collect(),
            usable: &usable,
        };
        let mut written = Written { affinity: info.affinity_seconds, ..Written::dirty() };
        let has_ext = usable.any && info.externally_accessible();
        let has = |local: bool| match local {
            true => info.uses_local_endpoints() && !usable.local.is_empty(),
            false => info.uses_cluster_endpoints() && !usable.cluster.is_empty(),
        };
        for end in &s.ends {
            push(out, &[&self.add_chain, "endpoint-", end]);
            push(out, &[&self.flush_chain, "endpoint-", end]);
        }
        for (name, wanted) in [(&s.service, has(false)), (&s.local, has(true)), (&s.ext, has_ext)] {
            if wanted {
                self.chain(name, &mut written, out);
            }
        }
        self.dispatch(&s, &mut written, ensure, out);

        if s.internal {
            self.masquerade_cluster_ip(&s, out);
        }
        if has_ext {
            self.external(&s, out);
        }
        if let Some(name) = &s.firewall {
            self.firewall(&s, name, out);
        }
        if let Some(seconds) = info.affinity_seconds {
            for end in &s.ends {
                affinity_set(self.family, &["affinity-", end].concat(), seconds, out);
            }
        }
        if has(false) {
            self.balance(&s, &s.service, &s.ends(&usable.cluster), out);
        }
        if has(true) {
            self.balance(&s, &s.local, &s.ends(&usable.local), out);
        }
        for (e, end) in usable.reachable.iter().zip(&s.ends) {
            self.endpoint(&s, e, end, out);
        }
        written.endpoints = s.ends;
        written
    }

    fn chain(&self, name: &str, written: &mut Written, out: &mut String) {
        push(out, &[&self.add_chain, name]);
        push(out, &[&self.flush_chain, name]);
        written.chains.push(name.to_owned());
    }

    fn rule(&self, chain: &str, rule: &[&str], out: &mut String) {
        for part in [&self.add_rule, chain, " "].iter().chain(rule) {
            out.push_str(part);
        }
        out.push('\n');
    }

    /// The elements that lead to the Service port's chains, or refuse its traffic.
    fn dispatch(&self, s: &Subject<'_>, written: &mut Written, ensure: Ensure<'_>, out: &mut String) {
        let any = s.usable.any;
        let to = |chain: &str| ["goto ", chain].concat();
        let mut claims = Vec::new();
        let mut ask =
            |container: Container, key: String, comment: &str, verdict: String, out: &mut String| {
                let claim = Claim { container, key, comment: comment.to_owned(), verdict };
                ensure(&claim, out);
                claims.push(claim);
            };
        let (name, refusal) = (&s.info.name, || s.refusal().to_owned());
        let cluster_ip = s.info.cluster_ip.to_string();
        let key = s.socket(&cluster_ip);
        ask(Container::ClusterIps, cluster_ip, "", String::new(), out);
        if s.internal {
            let chain = s.policy_chain(s.info.internal_policy_local);
            ask(Container::ServiceIps, key, "", to(chain), out);
        } else {
            ask(Container::NoEndpointServices, key, name, refusal(), out);
        }
        // There is a chain even without endpoints for traffic from outside: the node's own traffic may go on.
        for ip in &s.info.external_ips {
            let key = s.socket(&ip.to_string());
            if any {
                ask(Container::ServiceIps, key.clone(), "", to(&s.ext), out);
            }
            if !s.external {
                ask(Container::NoEndpointServices, key, name, refusal(), out);
            }
        }
        if let Some(firewall) = &s.firewall {
            self.chain(firewall, written, out);
        }
        for ip in &s.info.load_balancer_vips {
            let key = s.socket(&ip.to_string());
            if any {
                ask(Container::ServiceIps, key.clone(), "", to(&s.ext), out);
            }
            if let Some(firewall) = &s.firewall {
                ask(Container::FirewallIps, key, "", to(firewall), out);
            }
        }
        for ip in s.info.load_balancer_vips.iter().filter(|_| !s.external) {
            ask(Container::NoEndpointServices, s.socket(&ip.to_string()), name, refusal(), out);
        }
        if s.info.node_port != 0 {
            let key = format!("{} . {}", s.protocol, s.info.node_port);
            if any {
                ask(Container::ServiceNodePorts, key.clone(), "", to(&s.ext), out);
            }
            if !s.external {
                ask(Container::NoEndpointNodePorts, key, name, refusal(), out);
            }
        }
        written.elements = claims;
    }

    /// Traffic to the cluster IP that is not a local pod's must come back through this node.
    fn masquerade_cluster_ip(&self, s: &Subject<'_>, out: &mut String) {
        let chain = s.policy_chain(s.info.internal_policy_local);
        let cluster_ip = s.info.cluster_ip.to_string();
        if self.config.masquerade_all {
            self.rule(chain, &[self.ip, " daddr ", &cluster_ip, " jump ", MARK_MASQ], out);
        } else if let Some(LocalTraffic { others, .. }) = &self.local {
            self.rule(chain, &[self.ip, " daddr ", &cluster_ip, " ", others, " jump ", MARK_MASQ], out);
        }
    }

    /// The chain of traffic from outside.
    fn external(&self, s: &Subject<'_>, out: &mut String) {
        if s.info.external_policy_local {
            let any = &s.service;
            if let Some(LocalTraffic { local, .. }) = &self.local {
                let why = " comment \"short-circuit pod traffic\"";
                self.rule(&s.ext, &[local, " goto ", any, why], out);
            }
            let own = "fib saddr type local";
            let why = " comment \"masquerade local traffic\"";
            self.rule(&s.ext, &[own, " jump ", MARK_MASQ, why], out);
            let why = " comment \"short-circuit local traffic\"";
            self.rule(&s.ext, &[own, " goto ", any, why], out);
        } else {
            self.rule(&s.ext, &["jump ", MARK_MASQ], out);
        }
        if s.external {
            self.rule(&s.ext, &["goto ", s.policy_chain(s.info.external_policy_local)], out);
        }
    }

    /// Drops what comes from outside a load balancer's source ranges.
    fn firewall(&self, s: &Subject<'_>, name: &str, out: &mut String) {
        let ranges = &s.info.source_ranges;
        let mut sources: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        // Some load balancers leave the packet as it is: then the node's own traffic has the VIP as its source.
        if self.node_ip.is_some_and(|ip| ranges.iter().any(|r| r.contains(&ip))) {
            sources.extend(s.info.load_balancer_vips.iter().map(ToString::to_string));
        }
        self.rule(name, &[self.ip, " saddr != { ", &sources.join(" , "), " } drop"], out);
    }

    /// Chooses among endpoints: first the one that the client had before, then by chance.
    fn balance(&self, s: &Subject<'_>, chain: &str, ends: &[&str], out: &mut String) {
        for end in ends.iter().filter(|_| s.info.affinity_seconds.is_some()) {
            self.rule(chain, &[self.ip, " saddr @affinity-", end, " goto endpoint-", end], out);
        }
        let count = ends.len().to_string();
        for part in [&self.add_rule, chain, " numgen random mod ", &count, " vmap {"] {
            out.push_str(part);
        }
        for (i, end) in ends.iter().enumerate() {
            let comma = if i == 0 { " " } else { " , " };
            for part in [comma, &i.to_string(), " : goto endpoint-", end] {
                out.push_str(part);
            }
        }
        out.push_str(" }\n");
    }

    /// An endpoint's chain: masquerade what it sends to itself, remember the client, translate.
    fn endpoint(&self, s: &Subject<'_>, e: &EndpointInfo, end: &str, out: &mut String) {
        let line = [&self.add_rule, "endpoint-", end, " "];
        push(out, &[line[0], line[1], line[2], line[3], self.ip, " saddr ", e.host(), " jump ", MARK_MASQ]);
        if s.info.affinity_seconds.is_some() {
            let update = ["update @affinity-", end, " { ", self.ip, " saddr }"].concat();
            push(out, &[line[0], line[1], line[2], line[3], &update]);
        }
        let to = ["meta l4proto ", s.protocol, " dnat to ", &e.text];
        push(out, &[line[0], line[1], line[2], line[3], to[0], to[1], to[2], to[3]]);
    }
}
