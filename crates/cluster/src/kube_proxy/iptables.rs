//! Mode iptables (pkg/proxy/iptables/proxier.go): what a sync hands to `iptables-restore --noflush --counters`.

use super::config::{Config, Family, LocalTraffic};
use super::endpoints::{ByService, EndpointInfo};
use super::service_port::{ServicePortInfo, ports_of, service_ports};
use super::text::{
    Chains, Comment, EXTERNAL_SERVICES, FIREWALL, FORWARD, MARK_MASQ, NODEPORTS, Names, POSTROUTING,
    PROXY_FIREWALL, SERVICES, Table, is_service_chain,
};
use super::version::{Features, Layout};
use super::{legacy, policy_chains};
use crate::object::{NamespacedName, Objects};
use std::net::IpAddr;

/// Above this number of endpoints the comments of endpoints are left out.
const LARGE_CLUSTER_ENDPOINTS: usize = 1000;
/// The answer that is counted for a packet that conntrack cannot place.
const INVALID_PACKETS: &str = "ct_state_invalid_dropped_pkts";

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
    /// The chains and what is in them must be written; else they stand from an earlier sync.
    pub changed: bool,
}

impl Subject<'_> {
    /// `-m tcp -p tcp`
    pub fn proto(&self) -> [&str; 4] {
        ["-m", &self.protocol, "-p", &self.protocol]
    }

    /// A comment that begins with the Service port's name.
    pub fn comment(&self, rest: &str) -> Comment {
        Comment::new(&[&self.info.name, rest])
    }
}

/// One sync: the text, and the state for the next one.
pub fn sync(
    config: &Config,
    family: Family,
    objects: &Objects,
    state: &IptablesState,
) -> (String, IptablesState) {
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
        let subject = Subject { info, endpoints, chains, protocol, changed };
        match features.layout {
            Layout::PolicyChains => policy_chains::write(&mut writer, &subject),
            Layout::EndpointsFirst | Layout::Flat => legacy::write(&mut writer, &subject),
        }
    }
    // In a large cluster stale chains wait for the next period, which never comes here: nothing reads a clock.
    let waits = large && features.layout == Layout::PolicyChains && state.last.is_some();
    let chains = writer.tail(if waits { None } else { Some(&state.chains) });
    let mut text = String::new();
    writer.filter.print("filter", &mut text);
    writer.nat.print("nat", &mut text);
    let mut next = IptablesState { last: Some(Box::new((config.clone(), objects.clone()))), chains };
    if waits {
        for name in state.chains.keys() {
            next.chains.insert(name.clone(), ());
        }
    }
    (text, next)
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
            let comment = Comment::new(&["block incoming localnet connections"]);
            let foreign = ["-d", "127.0.0.0/8", "!", "-s", "127.0.0.0/8"];
            let new = ["-m", "conntrack", "!", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "DROP"];
            self.filter.rule(FIREWALL, &[&comment.words(), &foreign, &new]);
        }
        self.masquerade();
    }

    fn masquerade(&mut self) {
        let mark = self.config.mark();
        let masked = format!("{mark}/{mark}");
        let comment = Comment::new(&["kubernetes service traffic requiring SNAT"]);
        let fully = self.features.random_fully && self.config.random_fully;
        let target: &[&str] = &["-j", "MASQUERADE", "--random-fully"];
        let target = if fully { target } else { target.get(..2).unwrap_or(target) };
        if self.features.clears_mark {
            self.nat.rule(POSTROUTING, &[&["-m", "mark", "!", "--mark", &masked, "-j", "RETURN"]]);
            self.nat.rule(POSTROUTING, &[&["-j", "MARK", "--xor-mark", &mark]]);
            self.nat.rule(POSTROUTING, &[&comment.words(), target]);
            self.nat.rule(MARK_MASQ, &[&["-j", "MARK", "--or-mark", &mark]]);
        } else {
            self.nat.rule(POSTROUTING, &[&comment.words(), &["-m", "mark", "--mark", &masked], target]);
            self.nat.rule(MARK_MASQ, &[&["-j", "MARK", "--set-xmark", &masked]]);
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
        let comment =
            Comment::new(&["kubernetes service nodeports; NOTE: this must be the last rule in this chain"]);
        let jump = ["-j", NODEPORTS];
        if self.config.node_ports_everywhere(self.family) {
            let not_loopback = match self.family {
                Family::V4 if self.features.localhost_node_ports && !self.guards_loopback() => {
                    &["!", "-d", "127.0.0.0/8"][..]
                }
                Family::V4 => &[],
                Family::V6 => &["!", "-d", "::1/128"],
            };
            let local = ["-m", "addrtype", "--dst-type", "LOCAL"];
            self.nat.rule(SERVICES, &[&comment.words(), &local, not_loopback, &jump]);
            return;
        }
        let loopback = self.config.node_ports_on_loopback(self.family);
        for ip in self.config.node_port_ips(self.family) {
            if !ip.is_loopback() || loopback {
                self.nat.rule(SERVICES, &[&comment.words(), &["-d", &ip.to_string()], &jump]);
            }
        }
    }

    fn forward(&mut self) {
        let conntrack = |state: &'static str| ["-m", "conntrack", "--ctstate", state];
        if self.features.drops_invalid && !self.config.conntrack_tcp_be_liberal {
            let counted = ["-m", "nfacct", "--nfacct-name", INVALID_PACKETS];
            let counted = if self.features.nfacct && self.config.nfacct { &counted[..] } else { &[] };
            self.filter.rule(FORWARD, &[&conntrack("INVALID"), counted, &["-j", "DROP"]]);
        }
        let mark = self.config.mark();
        let masked = format!("{mark}/{mark}");
        let accept = ["-j", "ACCEPT"];
        let rules = Comment::new(&["kubernetes forwarding rules"]);
        self.filter.rule(FORWARD, &[&rules.words(), &["-m", "mark", "--mark", &masked], &accept]);
        let replies = conntrack("RELATED,ESTABLISHED");
        if !self.features.forwards_cluster_cidr {
            let comment = Comment::new(&["kubernetes forwarding conntrack rule"]);
            self.filter.rule(FORWARD, &[&comment.words(), &replies, &accept]);
        } else if let Some(cidr) = self.config.cluster_cidr(self.family) {
            for (end, option) in [("source", "-s"), ("destination", "-d")] {
                let comment = Comment::new(&["kubernetes forwarding conntrack pod ", end, " rule"]);
                self.filter.rule(FORWARD, &[&comment.words(), &[option, &cidr], &replies, &accept]);
            }
        }
    }

    /// The words of an endpoint's comment; none in a large cluster.
    pub fn endpoint_comment<'c>(&self, comment: &'c Comment) -> Vec<&'c str> {
        if self.endpoint_comments { comment.words().to_vec() } else { Vec::new() }
    }

    /// The rules that choose among endpoints: first the one that the client had before, then by chance.
    pub fn balance(&mut self, chain: &str, subject: &Subject<'_>, list: &[EndpointInfo]) {
        let arrow = self.features.layout == Layout::PolicyChains;
        let comment_of = |e: &EndpointInfo| match arrow {
            true => Comment::new(&[&subject.info.name, " -> ", &e.text]),
            false => Comment::new(&[&subject.info.name]),
        };
        let seps: Vec<String> = list.iter().map(|e| self.sep(subject, e)).collect();
        if let Some(seconds) = subject.info.affinity_seconds {
            for (e, sep) in list.iter().zip(&seps) {
                let comment = comment_of(e);
                let seen =
                    ["-m", "recent", "--name", sep, "--rcheck", "--seconds", &seconds.to_string(), "--reap"];
                self.nat.rule(chain, &[&self.endpoint_comment(&comment), &seen, &["-j", sep]]);
            }
        }
        for (i, (e, sep)) in list.iter().zip(&seps).enumerate() {
            let comment = comment_of(e);
            let odds = self.odds(list.len() - i);
            let odds: Vec<&str> = odds.iter().map(String::as_str).collect();
            self.nat.rule(chain, &[&self.endpoint_comment(&comment), &odds, &["-j", sep]]);
        }
    }

    /// `-m statistic ...` for one of `left` endpoints; nothing for the last.
    pub fn odds(&self, left: usize) -> Vec<String> {
        if left <= 1 {
            return Vec::new();
        }
        let p = super::text::probability(left, self.features.probability_digits);
        ["-m", "statistic", "--mode", "random", "--probability", &p].map(str::to_owned).to_vec()
    }

    /// The chain of an endpoint.
    pub fn sep(&self, subject: &Subject<'_>, e: &EndpointInfo) -> String {
        super::text::sep(&subject.info.name, &subject.protocol, &e.text)
    }

    /// The chain of an endpoint: masquerade what it sends to itself, remember the client, translate.
    pub fn endpoint(&mut self, subject: &Subject<'_>, e: &EndpointInfo) {
        let sep = self.sep(subject, e);
        let comment = subject.comment("");
        let comment = self.endpoint_comment(&comment);
        self.nat.rule(&sep, &[&comment, &["-s", &self.host(e.ip)], &["-j", MARK_MASQ]]);
        let remember: &[&str] = match subject.info.affinity_seconds {
            Some(_) => &["-m", "recent", "--name", &sep, "--set"],
            None => &[],
        };
        let dnat = ["-j", "DNAT", "--to-destination", &e.text];
        self.nat.rule(&sep, &[&comment, remember, &subject.proto(), &dnat]);
    }
}
