//! Mode iptables (pkg/proxy/iptables/proxier.go): what a sync hands to `iptables-restore --noflush --counters`.

use super::config::{Config, Family, LocalTraffic};
use super::endpoints::EndpointInfo;
use super::names::{ChainName, is_service_chain, sep};
use super::service_port::ServicePortInfo;
use super::text::{
    Chains, Comment, DST_LOCAL, EXTERNAL_SERVICES, FIREWALL, FORWARD, MARK_MASQ, NODEPORTS, POSTROUTING,
    PROXY_FIREWALL, REPLIES, SERVICES, Table,
};
use super::tracker::{Cache, Delta, Port, PortKey, Ports};
use super::version::{Features, Layout};
use super::{Ruleset, legacy, policy_chains};
use crate::object::Objects;
use sorted::{Map, Set};
use std::net::IpAddr;

/// Above this number of endpoints the comments of endpoints are left out.
const LARGE_CLUSTER_ENDPOINTS: usize = 1000;
/// The counter of packets that conntrack cannot place.
const INVALID_PACKETS: &str = " -m nfacct --nfacct-name ct_state_invalid_dropped_pkts";

/// What was written for a Service port.
#[derive(Clone, Debug, Default)]
struct Written {
    /// It must be written anew.
    dirty: bool,
    /// Rules of table filter.
    filter: String,
    /// Rules of table nat that each sync writes again: in a partial sync those in the chains that all Services share.
    nat: String,
    /// Its chains of table nat, in the order of their lines.
    chains: Vec<ChainName>,
}

/// What kube-proxy remembers from one sync to the next, and what the kernel holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Iptables {
    ports: Map<PortKey, Written>,
    /// There was a sync.
    synced: bool,
    /// Comments of endpoints were left out.
    large: bool,
    /// The chains of Services and endpoints in the kernel's nat table that nothing needs.
    stale: Set<String>,
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
    /// The chains of the Service port that is being written.
    chains: Vec<ChainName>,
    /// Where its rules begin that only a change makes kube-proxy write.
    split: Option<usize>,
    /// The match of one of so many endpoints.
    odds: Vec<String>,
}

/// One Service port while its rules are written.
pub(super) struct Subject<'s> {
    pub info: &'s ServicePortInfo,
    pub endpoints: &'s [EndpointInfo],
    pub chains: Chains,
    pub protocol: &'static str,
    /// `-m tcp -p tcp`
    pub proto: String,
}

impl Subject<'_> {
    /// The Service port's name and something about it, for a comment.
    pub fn about(&self, rest: &str) -> String {
        [&self.info.name, rest].concat()
    }
}

/// The first sync on a node where no kube-proxy was: the text.
pub fn first_sync(config: &Config, family: Family, objects: &Objects) -> String {
    let ports = Ports::all(config, family, &Cache::of(objects));
    Iptables::default().sync(config, family, &ports, None)
}

impl Iptables {
    /// A node where these chains of the nat table exist already, from an earlier kube-proxy. Chains that belong to nobody's
    /// Service are left alone.
    pub fn with_chains<'c>(chains: impl IntoIterator<Item = &'c str>) -> Iptables {
        let ours = chains.into_iter().filter(|c| is_service_chain(c));
        Iptables { stale: ours.map(str::to_owned).collect(), ..Iptables::default() }
    }

    /// Looks which chains there are before a full sync.
    pub fn read(&mut self, found: &Ruleset) {
        self.stale.extend(found.names("nat ").filter(|c| is_service_chain(c)).map(str::to_owned));
    }

    /// The chains of Services and endpoints that exist.
    pub fn chains(&self) -> Set<String> {
        let used = self.ports.values().flat_map(|w| &w.chains).map(ToString::to_string);
        used.chain(self.stale.iter().cloned()).collect()
    }

    /// One sync: the text. Without a `delta` everything is written.
    pub fn sync(&mut self, config: &Config, family: Family, ports: &Ports, delta: Option<&Delta>) -> String {
        let features = config.features();
        let large = features.large_cluster && ports.endpoints > LARGE_CLUSTER_ENDPOINTS;
        let comments_change = large != self.large && !features.partial_sync;
        let delta = delta.filter(|_| self.synced && !comments_change);
        let partial = delta.is_some() && features.partial_sync;
        self.note(ports, delta);

        let mut w = Writer {
            config,
            features,
            family,
            local: config.local_traffic(family),
            node_ip: family.first(&config.node_ips),
            endpoint_comments: features.endpoint_comments && !large,
            filter: Table::default(),
            nat: Table::default(),
            chains: Vec::new(),
            split: None,
            odds: Vec::new(),
        };
        if !partial {
            // A guess that saves most of the growing.
            w.nat.rules.reserve(ports.endpoints * 320 + ports.ports.len() * 640 + 8192);
            w.nat.chains.reserve(ports.endpoints * 34 + ports.ports.len() * 34);
        }
        w.head();
        for (port, written) in ports.ports.values().zip(self.ports.values_mut()) {
            if written.dirty {
                w.port(port, written);
            } else {
                w.filter.rules.push_str(&written.filter);
                w.nat.rules.push_str(&written.nat);
                if !partial {
                    written.chains.iter().for_each(|name| w.nat.chain(name));
                }
            }
        }
        self.forget_used_chains();
        // In a large cluster stale chains wait for the next period, which never comes here: nothing reads a clock.
        let waits = large && features.layout == Layout::PolicyChains && self.synced;
        let stale = if waits { Set::new() } else { core::mem::take(&mut self.stale) };
        w.tail(&stale);
        (self.synced, self.large) = (true, large);
        let mut head = String::new();
        w.filter.print("filter", &mut head);
        head.push_str("*nat\n");
        head.push_str(&w.nat.chains);
        // To move the rules up within their memory is cheaper than to write them to new memory.
        let mut text = w.nat.rules;
        text.insert_str(0, &head);
        text.push_str("COMMIT\n");
        text
    }

    /// Makes the ports those that are there now, and marks the ones to write.
    fn note(&mut self, ports: &Ports, delta: Option<&Delta>) {
        let dirty = || Written { dirty: true, ..Written::default() };
        let Some(delta) = delta else {
            let old = core::mem::take(&mut self.ports);
            for written in old.values() {
                self.stale.extend(written.chains.iter().map(ToString::to_string));
            }
            self.ports = ports.ports.keys().map(|key| (key.clone(), dirty())).collect();
            return;
        };
        for key in delta.old.keys() {
            let gone = self.ports.remove(key);
            self.stale.extend(gone.iter().flat_map(|w| &w.chains).map(ToString::to_string));
        }
        for key in &delta.new {
            self.ports.insert(key.clone(), dirty());
        }
    }

    /// Chains that have a user again are not stale.
    fn forget_used_chains(&mut self) {
        let stale = &mut self.stale;
        for written in self.ports.values_mut().filter(|w| w.dirty) {
            written.dirty = false;
            if !stale.is_empty() {
                for name in &written.chains {
                    stale.remove(&**name);
                }
            }
        }
    }
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

    /// Writes the rules of a Service port, and keeps what later syncs need of them.
    fn port(&mut self, port: &Port, written: &mut Written) {
        let protocol = port.info.protocol.name();
        let subject = Subject {
            info: &port.info,
            endpoints: &port.endpoints,
            chains: Chains::new(&port.info.name, protocol),
            protocol,
            proto: ["-m ", protocol, " -p ", protocol].concat(),
        };
        let (filter, nat) = (self.filter.rules.len(), self.nat.rules.len());
        match self.features.layout {
            Layout::PolicyChains => policy_chains::write(self, &subject),
            Layout::EndpointsFirst | Layout::Flat => legacy::write(self, &subject),
        }
        let end = match self.split.take() {
            Some(split) if self.features.partial_sync => split,
            _ => self.nat.rules.len(),
        };
        let kept = |table: &Table, from: usize, to: usize| table.rules.get(from..to).unwrap_or("").to_owned();
        written.filter = kept(&self.filter, filter, self.filter.rules.len());
        written.nat = kept(&self.nat, nat, end);
        written.chains = core::mem::take(&mut self.chains);
    }

    /// The rules that follow are in chains of the Service port's own: only a change makes kube-proxy write them.
    pub fn own_chains_follow(&mut self) {
        self.split = Some(self.nat.rules.len());
    }

    /// Makes a chain of nat.
    pub fn chain(&mut self, name: ChainName) {
        self.nat.chain(&name);
        self.chains.push(name);
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

    /// What comes after the Services: chains that are not needed any more, node ports, forwarding.
    fn tail(&mut self, stale: &Set<String>) {
        stale.iter().for_each(|name| self.nat.chain(name));
        stale.iter().for_each(|name| self.nat.delete(name));
        self.node_ports();
        self.forward();
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
    pub fn balance(&mut self, chain: &str, subject: &Subject<'_>, list: &[(&EndpointInfo, ChainName)]) {
        let comment = |w: &Self, e: &EndpointInfo| match w.features.layout {
            Layout::PolicyChains if w.endpoint_comments => {
                w.endpoint_comment(&[&subject.info.name, " -> ", &e.text].concat())
            }
            _ => w.endpoint_comment(&subject.info.name),
        };
        if let Some(seconds) = subject.info.affinity_seconds {
            for (e, sep) in list {
                let comment = comment(self, e);
                self.recent(chain, sep, &comment, seconds);
            }
        }
        for (i, (e, sep)) in list.iter().enumerate() {
            let comment = comment(self, e);
            let odds = odds(&mut self.odds, list.len() - i, self.features.probability_digits);
            self.nat.line(&["-A ", chain, &comment, odds, " -j ", sep]);
        }
    }

    /// A client goes to the endpoint that it had before.
    pub fn recent(&mut self, chain: &str, sep: &str, comment: &str, seconds: u32) {
        self.nat.rule(format_args!(
            "-A {chain}{comment} -m recent --name {sep} --rcheck --seconds {seconds} --reap -j {sep}"
        ));
    }

    /// ` -m statistic ...` for one of `left` endpoints; nothing for the last.
    pub fn odds(&mut self, left: usize) -> String {
        odds(&mut self.odds, left, self.features.probability_digits).to_owned()
    }

    /// The rules of an endpoint: masquerade what it sends to itself, remember the client, translate.
    pub fn endpoint(&mut self, subject: &Subject<'_>, (e, sep): (&EndpointInfo, ChainName)) {
        let comment = self.endpoint_comment(&subject.info.name);
        let mask = match (self.features.host_masks, self.family) {
            (false, _) => "",
            (true, Family::V4) => "/32",
            (true, Family::V6) => "/128",
        };
        self.nat.line(&["-A ", &sep, &comment, " -s ", e.host(), mask, " -j ", MARK_MASQ]);
        let set = [" -m recent --name ", &sep, " --set"];
        let remember: &[&str] = if subject.info.affinity_seconds.is_some() { &set } else { &[] };
        self.nat.rules.push_str("-A ");
        for part in [&sep, comment.as_str()].iter().chain(remember) {
            self.nat.rules.push_str(part);
        }
        self.nat.line(&[" ", &subject.proto, " -j DNAT --to-destination ", &e.text]);
    }
}

/// Endpoints with their chains.
pub(super) fn with_chains<'e>(
    subject: &Subject<'_>,
    list: &[&'e EndpointInfo],
) -> Vec<(&'e EndpointInfo, ChainName)> {
    list.iter().map(|e| (*e, sep(&subject.info.name, subject.protocol, &e.text))).collect()
}

/// ` -m statistic ...` for one of `left` endpoints; nothing for the last. Those that were needed are kept in `known`.
fn odds(known: &mut Vec<String>, left: usize, digits: u32) -> &str {
    for n in known.len()..=left {
        known.push(match n {
            0 | 1 => String::new(),
            _ => {
                let p = super::text::probability(n, digits);
                [" -m statistic --mode random --probability ", &p].concat()
            }
        });
    }
    known.get(left).map_or("", String::as_str)
}
