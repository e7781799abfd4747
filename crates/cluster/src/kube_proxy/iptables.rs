//! Mode iptables (pkg/proxy/iptables/proxier.go): what a sync hands to `iptables-restore --noflush --counters`.

use super::config::{Config, Family, LocalTraffic};
use super::endpoints::{ByService, EndpointInfo};
use super::names::endpoint_chain;
use super::service_port::{ServicePortInfo, ports_of, service_ports};
use super::text::{
    Chains, Comment, DST_LOCAL, EXTERNAL_SERVICES, FIREWALL, FORWARD, MARK_MASQ, NODEPORTS, Names,
    POSTROUTING, PROXY_FIREWALL, REPLIES, SERVICES, Table, is_service_chain,
};
use super::version::{Features, Layout};
use super::{legacy, policy_chains};
use crate::object::{NamespacedName, Objects};
use std::net::IpAddr;

/// Above this number of endpoints the comments of endpoints are left out.
const LARGE_CLUSTER_ENDPOINTS: usize = 1000;
/// The counter of packets that conntrack cannot place.
const INVALID_PACKETS: &str = " -m nfacct --nfacct-name ct_state_invalid_dropped_pkts";

/// What kube-proxy remembers from one sync to the next, and what the kernel holds.
#[derive(Clone, Debug, Default)]
pub struct IptablesState {
    /// The configuration and the objects that the last sync was for; None before the first.
    last: Option<Box<(Config, Objects)>>,
    /// The chains of Services and endpoints in the kernel's nat table.
    chains: Names,
}

impl IptablesState {
    /// A node where these chains of the nat table exist already, from an earlier kube-proxy. Chains that belong to nobody's
    /// Service are left alone.
    pub fn with_chains<'c>(chains: impl IntoIterator<Item = &'c str>) -> IptablesState {
        let mut state = IptablesState::default();
        for chain in chains.into_iter().filter(|c| is_service_chain(c)) {
            state.chains.insert(chain.to_owned(), ());
        }
        state
    }

    /// The chains of Services and endpoints that exist.
    pub fn chains(&self) -> impl Iterator<Item = &str> {
        self.chains.keys().map(String::as_str)
    }
}

/// What is being written.
pub(super) struct Writer<'c> {
    pub config: &'c Config,
    pub features: Features,
    pub family: Family,
    /// How to see packets of local pods.
    pub local: Option<LocalTraffic>,
    /// The node's address.
    pub node_ip: Option<IpAddr>,
    /// Comments of endpoints are written.
    pub endpoint_comments: bool,
    pub filter: Table,
    pub nat: Table,
    /// Chains of nat that are in use, written now or before.
    pub active: Names,
}

/// One Service port while its rules are written.
pub(super) struct Subject<'s> {
    pub info: &'s ServicePortInfo,
    pub endpoints: &'s [EndpointInfo],
    pub chains: Chains,
    pub protocol: String,
    /// `-m tcp -p tcp`
    pub proto: String,
    /// The chains and what is in them must be written; else they stand from an earlier sync.
    pub changed: bool,
}

impl Subject<'_> {
    /// The Service port's name and something about it, for a comment.
    pub fn about(&self, rest: &str) -> String {
        [&self.info.name, rest].concat()
    }
}

/// One sync: the text, and the state for the next one.
pub fn sync(
    config: &Config,
    family: Family,
    objects: &Objects,
    state: &IptablesState,
) -> (String, IptablesState) {
    let (text, chains) = write(config, family, objects, state);
    (text, IptablesState { last: Some(Box::new((config.clone(), objects.clone()))), chains })
}

/// The first sync on a node where no kube-proxy was: the text.
pub fn first_sync(config: &Config, family: Family, objects: &Objects) -> String {
    write(config, family, objects, &IptablesState::default()).0
}

/// The text of a sync, and the chains of Services and endpoints that exist after it.
fn write(config: &Config, family: Family, objects: &Objects, state: &IptablesState) -> (String, Names) {
    let features = config.features();
    let services = service_ports(config, family, objects);
    let by_service = ByService::new(config, family, objects);
    let endpoints: Vec<Vec<EndpointInfo>> = services.values().map(|s| by_service.of(config, s)).collect();
    let large =
        features.large_cluster && endpoints.iter().map(Vec::len).sum::<usize>() > LARGE_CLUSTER_ENDPOINTS;
    let before = state.last.as_deref().filter(|(c, _)| features.partial_sync && c == config).map(|(_, o)| o);
    let old = before.map(|o| (o, ByService::new(config, family, o)));

    let mut writer = Writer {
        config,
        features,
        family,
        local: config.local_traffic(family),
        node_ip: family.first(&config.node_ips),
        endpoint_comments: features.endpoint_comments && !large,
        filter: Table::default(),
        nat: Table::default(),
        active: Names::new(),
    };
    writer.head();
    for (info, endpoints) in services.values().zip(&endpoints) {
        let protocol = info.protocol.to_string();
        let changed = old
            .as_ref()
            .is_none_or(|(o, e)| has_changed(config, family, &info.service, (o, e), (objects, &by_service)));
        let chains = Chains::new(&info.name, &protocol);
        let proto = format!("-m {protocol} -p {protocol}");
        let subject = Subject { info, endpoints, chains, protocol, proto, changed };
        match features.layout {
            Layout::PolicyChains => policy_chains::write(&mut writer, &subject),
            Layout::EndpointsFirst | Layout::Flat => legacy::write(&mut writer, &subject),
        }
    }
    // In a large cluster stale chains wait for the next period, which never comes here: nothing reads a clock.
    let waits = large && features.layout == Layout::PolicyChains && state.last.is_some();
    let mut chains = writer.tail(if waits { None } else { Some(&state.chains) });
    let mut text = String::new();
    writer.filter.print("filter", &mut text);
    writer.nat.print("nat", &mut text);
    if waits {
        for name in state.chains.keys() {
            chains.insert(name.clone(), ());
        }
    }
    (text, chains)
}

/// A Service or its endpoints are not what they were.
fn has_changed(
    config: &Config,
    family: Family,
    key: &NamespacedName,
    (old, old_endpoints): (&Objects, &ByService<'_>),
    (new, new_endpoints): (&Objects, &ByService<'_>),
) -> bool {
    let ports = |o: &Objects| o.services.get(key).map(|s| ports_of(config, family, s));
    let (was, is) = (old_endpoints.slices(key), new_endpoints.slices(key));
    let same = was.len() == is.len()
        && was.iter().zip(is).all(|(a, b)| {
            a.metadata.name == b.metadata.name && a.endpoints == b.endpoints && a.ports == b.ports
        });
    let subsets = |e: &ByService<'_>| e.endpoints(key).map(|e| e.subsets.clone());
    !same || ports(old) != ports(new) || subsets(old_endpoints) != subsets(new_endpoints)
}

impl Writer<'_> {
    /// An address of a Service or an endpoint as a match.
    pub fn host(&self, ip: IpAddr) -> String {
        match (self.features.host_masks, ip) {
            (false, _) => ip.to_string(),
            (true, IpAddr::V4(_)) => format!("{ip}/32"),
            (true, IpAddr::V6(_)) => format!("{ip}/128"),
        }
    }

    /// Makes a chain of nat, or notes that it is in use.
    pub fn chain(&mut self, name: &str, written: bool) {
        self.active.insert(name.to_owned(), ());
        if written {
            self.nat.chain(name);
        }
    }

    /// kube-proxy guards the loopback addresses that node ports make reachable.
    fn guards_loopback(&self) -> bool {
        self.features.localhost_node_ports && self.config.node_ports_on_loopback(self.family)
    }

    /// The chains that are always there, and the rules before those of Services.
    fn head(&mut self) {
        let features = self.features;
        let guards = self.guards_loopback();
        for (chain, wanted) in [
            (SERVICES, true),
            (EXTERNAL_SERVICES, true),
            (FORWARD, true),
            (NODEPORTS, features.accepts_health_check),
            (PROXY_FIREWALL, features.layout == Layout::PolicyChains),
            (FIREWALL, guards),
        ] {
            if wanted {
                self.filter.chain(chain);
            }
        }
        for chain in [SERVICES, NODEPORTS, POSTROUTING, MARK_MASQ] {
            self.nat.chain(chain);
        }
        if guards {
            let comment = Comment("block incoming localnet connections");
            let new = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT";
            self.filter
                .rule(format_args!("-A {FIREWALL} {comment} -d 127.0.0.0/8 ! -s 127.0.0.0/8 {new} -j DROP"));
        }
        self.masquerade();
    }

    fn masquerade(&mut self) {
        let mark = self.config.mark();
        let comment = Comment("kubernetes service traffic requiring SNAT");
        let fully = self.features.random_fully && self.config.random_fully;
        let target = if fully { "MASQUERADE --random-fully" } else { "MASQUERADE" };
        let nat = &mut self.nat;
        if self.features.clears_mark {
            nat.rule(format_args!("-A {POSTROUTING} -m mark ! --mark {mark}/{mark} -j RETURN"));
            nat.rule(format_args!("-A {POSTROUTING} -j MARK --xor-mark {mark}"));
            nat.rule(format_args!("-A {POSTROUTING} {comment} -j {target}"));
            nat.rule(format_args!("-A {MARK_MASQ} -j MARK --or-mark {mark}"));
        } else {
            nat.rule(format_args!("-A {POSTROUTING} {comment} -m mark --mark {mark}/{mark} -j {target}"));
            nat.rule(format_args!("-A {MARK_MASQ} -j MARK --set-xmark {mark}/{mark}"));
        }
    }

    /// What comes after the Services: chains that are not needed any more, node ports, forwarding. Gives the chains that
    /// exist afterwards.
    fn tail(&mut self, existing: Option<&Names>) -> Names {
        let stale = || existing.into_iter().flat_map(|e| e.keys());
        for name in stale().filter(|n| !self.active.contains_key(n.as_str())) {
            self.nat.chain(name);
        }
        for name in stale().filter(|n| !self.active.contains_key(n.as_str())) {
            self.nat.delete(name);
        }
        self.node_ports();
        self.forward();
        core::mem::take(&mut self.active)
    }

    fn node_ports(&mut self) {
        let comment = Comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain");
        if self.config.node_ports_everywhere(self.family) {
            let not_loopback = match self.family {
                Family::V4 if self.features.localhost_node_ports && !self.guards_loopback() => {
                    " ! -d 127.0.0.0/8"
                }
                Family::V4 => "",
                Family::V6 => " ! -d ::1/128",
            };
            self.nat.rule(format_args!("-A {SERVICES} {comment} {DST_LOCAL}{not_loopback} -j {NODEPORTS}"));
            return;
        }
        let loopback = self.config.node_ports_on_loopback(self.family);
        for ip in self.config.node_port_ips(self.family) {
            if !ip.is_loopback() || loopback {
                self.nat.rule(format_args!("-A {SERVICES} {comment} -d {ip} -j {NODEPORTS}"));
            }
        }
    }

    fn forward(&mut self) {
        let filter = &mut self.filter;
        if self.features.drops_invalid && !self.config.conntrack_tcp_be_liberal {
            let counts = self.features.nfacct && self.config.nfacct;
            let counted = if counts { INVALID_PACKETS } else { "" };
            filter.rule(format_args!("-A {FORWARD} -m conntrack --ctstate INVALID{counted} -j DROP"));
        }
        let mark = self.config.mark();
        let comment = Comment("kubernetes forwarding rules");
        filter.rule(format_args!("-A {FORWARD} {comment} -m mark --mark {mark}/{mark} -j ACCEPT"));
        if !self.features.forwards_cluster_cidr {
            let comment = Comment("kubernetes forwarding conntrack rule");
            filter.rule(format_args!("-A {FORWARD} {comment} {REPLIES} -j ACCEPT"));
        } else if let Some(cidr) = self.config.cluster_cidr(self.family) {
            let source = Comment("kubernetes forwarding conntrack pod source rule");
            filter.rule(format_args!("-A {FORWARD} {source} -s {cidr} {REPLIES} -j ACCEPT"));
            let destination = Comment("kubernetes forwarding conntrack pod destination rule");
            filter.rule(format_args!("-A {FORWARD} {destination} -d {cidr} {REPLIES} -j ACCEPT"));
        }
    }

    /// An endpoint's comment with a blank before it; nothing in a large cluster.
    pub fn endpoint_comment(&self, text: &str) -> String {
        if self.endpoint_comments { format!(" {}", Comment(text)) } else { String::new() }
    }

    /// The rules that choose among endpoints: first the one that the client had before, then by chance.
    pub fn balance(&mut self, chain: &str, subject: &Subject<'_>, list: &[EndpointInfo]) {
        let comment = |w: &Self, e: &EndpointInfo| match w.features.layout {
            Layout::PolicyChains => w.endpoint_comment(&subject.about(&format!(" -> {}", e.text))),
            _ => w.endpoint_comment(&subject.info.name),
        };
        if let Some(seconds) = subject.info.affinity_seconds {
            for e in list {
                let (sep, comment) = (self.sep(subject, e), comment(self, e));
                self.recent(chain, &sep, &comment, seconds);
            }
        }
        for (i, e) in list.iter().enumerate() {
            let (sep, comment, odds) = (self.sep(subject, e), comment(self, e), self.odds(list.len() - i));
            self.nat.rule(format_args!("-A {chain}{comment}{odds} -j {sep}"));
        }
    }

    /// A client goes to the endpoint that it had before.
    pub fn recent(&mut self, chain: &str, sep: &str, comment: &str, seconds: u32) {
        self.nat.rule(format_args!(
            "-A {chain}{comment} -m recent --name {sep} --rcheck --seconds {seconds} --reap -j {sep}"
        ));
    }

    /// ` -m statistic ...` for one of `left` endpoints; nothing for the last.
    pub fn odds(&self, left: usize) -> String {
        if left <= 1 {
            return String::new();
        }
        let p = super::text::probability(left, self.features.probability_digits);
        format!(" -m statistic --mode random --probability {p}")
    }

    /// The chain of an endpoint.
    pub fn sep(&self, subject: &Subject<'_>, e: &EndpointInfo) -> String {
        endpoint_chain(&subject.info.name, &subject.protocol, &e.text)
    }

    /// The rules of an endpoint: masquerade what it sends to itself, remember the client, translate.
    pub fn endpoint(&mut self, subject: &Subject<'_>, e: &EndpointInfo) {
        let sep = self.sep(subject, e);
        let comment = self.endpoint_comment(&subject.info.name);
        let (host, proto, to) = (self.host(e.ip), &subject.proto, &e.text);
        self.nat.rule(format_args!("-A {sep}{comment} -s {host} -j {MARK_MASQ}"));
        let remember = match subject.info.affinity_seconds {
            Some(_) => format!(" -m recent --name {sep} --set"),
            None => String::new(),
        };
        self.nat.rule(format_args!("-A {sep}{comment}{remember} {proto} -j DNAT --to-destination {to}"));
    }
}
