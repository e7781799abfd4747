//! `ip route`

use super::names;
use super::rule::{ipproto, port, tos};
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::words::{Words, address, destination, sought};
use ipnet::Ipv4Net;
use kernel::route::{FibTable, RouteKind, RouteQuery, Scope, proto};
use packet::Protocol;
use std::net::Ipv4Addr;

/// `ip route ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteCommand {
    /// `ip route add`: refused if there is one of that destination and metric.
    Add(RouteSpec),
    /// `ip route append`
    Append(RouteSpec),
    /// `ip route replace`
    Replace(RouteSpec),
    /// `ip route change`: refused if there is none.
    Change(RouteSpec),
    /// `ip route del`
    Del(RouteSpec),
    /// `ip route show`
    Show(RouteFilter),
    /// `ip route flush`
    Flush(RouteFilter),
    /// `ip route flush cache`: what the host was told of the way to single destinations.
    FlushCache,
    /// `ip route get ADDRESS`
    Get(RouteQuery<String>),
}

/// One way out as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HopSpec {
    /// `via`
    pub via: Option<Ipv4Addr>,
    /// `dev`
    pub dev: Option<String>,
    /// `weight`; 1 if nothing is said.
    pub weight: Option<u16>,
    /// `onlink`: the gateway need not be on a connected network.
    pub onlink: bool,
}

/// A route as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Unicast if nothing is said.
    pub kind: Option<RouteKind>,
    /// Destination; `default` is 0.0.0.0/0.
    pub dst: Ipv4Net,
    /// `via`, `dev`, `onlink`
    pub hop: HopSpec,
    /// `nexthop`, several times
    pub more: Vec<HopSpec>,
    /// `table`
    pub table: Option<FibTable>,
    /// `src`
    pub src: Option<Ipv4Addr>,
    /// `metric`
    pub metric: Option<u32>,
    /// `scope`
    pub scope: Option<Scope>,
    /// `proto`
    pub proto: Option<u8>,
    /// `mtu`, and whether it is locked.
    pub mtu: Option<(u32, bool)>,
}

impl RouteSpec {
    /// A unicast route to a destination, with nothing more said about it.
    pub fn to(dst: Ipv4Net) -> RouteSpec {
        RouteSpec {
            kind: None,
            dst,
            hop: HopSpec::default(),
            more: Vec::new(),
            table: None,
            src: None,
            metric: None,
            scope: None,
            proto: None,
            mtu: None,
        }
    }

    /// The same by a gateway.
    pub fn via(mut self, gateway: Ipv4Addr) -> RouteSpec {
        self.hop.via = Some(gateway);
        self
    }

    /// The same by a device.
    pub fn dev(mut self, dev: &str) -> RouteSpec {
        self.hop.dev = Some(dev.to_owned());
        self
    }
}

/// Which destinations are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixFilter {
    /// `exact P`, or just `P`
    Exact(Ipv4Net),
    /// `root P`: inside it.
    Root(Ipv4Net),
    /// `match P`: it is inside.
    Match(Ipv4Net),
}

/// Which routes are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFilter {
    /// The destination.
    pub dst: Option<PrefixFilter>,
    /// `dev`
    pub dev: Option<String>,
    /// `via`
    pub via: Option<Ipv4Addr>,
    /// `table`; main if nothing is said.
    pub table: Option<FibTable>,
    /// `table all`
    pub all: bool,
    /// `type`
    pub kind: Option<RouteKind>,
    /// `proto`
    pub proto: Option<u8>,
    /// `scope`
    pub scope: Option<Scope>,
    /// `src`
    pub src: Option<Ipv4Addr>,
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Append,
    Replace,
    Change,
    Del,
    Show,
    Flush,
    Get,
}

const VERBS: &[(&str, Verb)] = &[
    ("list", Verb::Show),
    ("show", Verb::Show),
    ("get", Verb::Get),
    ("add", Verb::Add),
    ("change", Verb::Change),
    ("replace", Verb::Replace),
    ("append", Verb::Append),
    ("delete", Verb::Del),
    ("flush", Verb::Flush),
];

const KINDS: [(&str, RouteKind); 8] = [
    ("unicast", RouteKind::Unicast),
    ("local", RouteKind::Local),
    ("broadcast", RouteKind::Broadcast),
    ("multicast", RouteKind::Multicast),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
    ("throw", RouteKind::Throw),
];

const KNOWN: &[&str] =
    &["via", "dev", "src", "metric", "scope", "table", "proto", "onlink", "mtu", "nexthop"];
const NOT_MODELLED: &[&str] = &[
    "advmss",
    "anycast",
    "congctl",
    "cwnd",
    "encap",
    "fastopen_no_cookie",
    "features",
    "hoplimit",
    "initcwnd",
    "initrwnd",
    "nat",
    "nhid",
    "pervasive",
    "pref",
    "quickack",
    "realms",
    "reordering",
    "rto_min",
    "rtt",
    "rttvar",
    "ssthresh",
    "tos",
    "dsfield",
    "ttl-propagate",
    "vrf",
    "window",
    "xresolve",
    "cache",
    "cached",
    "cloned",
    "uid",
    "fibmatch",
    "ipproto",
    "sport",
    "dport",
    "connected",
    "notify",
];

pub(super) fn command(words: &mut Words<'_>) -> Result<RouteCommand, Diagnostic> {
    if words.peek().is_none() {
        return Ok(RouteCommand::Show(RouteFilter::default()));
    }
    let verbs = ["prepend", "test", "save", "restore", "showdump"];
    Ok(match words.verb("ip route", "add, del, replace, show or get", VERBS, &verbs)? {
        Verb::Add => RouteCommand::Add(spec(words)?),
        Verb::Append => RouteCommand::Append(spec(words)?),
        Verb::Replace => RouteCommand::Replace(spec(words)?),
        Verb::Change => RouteCommand::Change(spec(words)?),
        Verb::Del => RouteCommand::Del(spec(words)?),
        Verb::Show => RouteCommand::Show(filter(words)?),
        Verb::Flush => {
            if words.peek().is_none() {
                let fault =
                    Fault::new("flush without a selection", "expected a prefix, dev DEVICE or table main");
                return words.blame_last(fault.exits(1, "\"ip route flush\" requires arguments."));
            }
            if words.take("cache") {
                words.end()?;
                return Ok(RouteCommand::FlushCache);
            }
            RouteCommand::Flush(filter(words)?)
        }
        Verb::Get => get(words)?,
    })
}

fn kind_of(word: &str) -> Option<RouteKind> {
    KINDS.iter().find(|(name, _)| *name == word).map(|(_, k)| *k)
}

fn spec(words: &mut Words<'_>) -> Result<RouteSpec, Diagnostic> {
    let kind = words.peek().and_then(|t| kind_of(&t.text));
    if kind.is_some() {
        words.next();
    }
    words.take("to");
    words.taken_for("to");
    let none = words.peek().is_none_or(|t| KNOWN.contains(&t.text.as_ref()));
    if none && kind.is_none() {
        let fault = Fault::new("no destination", "expected a destination such as 10.0.0.0/8 or default");
        return words.blame_last(fault.exits(255, "Usage: ip route { list | flush } SELECTOR"));
    }
    let dst = words.value("a destination such as 10.0.0.0/8 or default", destination)?;
    let mut spec = RouteSpec { kind, ..RouteSpec::to(dst) };
    let mut hops = false;
    while let Some(token) = words.next() {
        let word = token.text.as_ref();
        if word == "nexthop" {
            hops = true;
            spec.more.push(HopSpec::default());
            continue;
        }
        let hop = spec.more.last_mut().unwrap_or(&mut spec.hop);
        match word {
            "via" if hop.via.is_some() => {
                let help = "expected nexthop via ADDRESS nexthop via ADDRESS";
                let why = "use nexthop syntax to specify multiple via\n";
                return words.blame(&token, Fault::new("a second via", help).wrong_argument("via", why));
            }
            "via" => {
                words.take("inet");
                // Of which family a default route is follows from its gateway.
                let what = if dst == Ipv4Net::default() { "any valid address" } else { "inet address" };
                hop.via = Some(words.value("an address", |t| address(t).map_err(|f| f.expected(what, t)))?);
            }
            "dev" | "oif" => hop.dev = Some(words.device()?),
            "onlink" => hop.onlink = true,
            "weight" if hops => {
                let weight = |t: &str| {
                    let n = t.parse::<u16>().ok().filter(|n| (1..=256).contains(n));
                    n.ok_or_else(|| Fault::new("a weight out of range", "expected a number from 1 to 256"))
                };
                hop.weight =
                    Some(words.argument("a weight from 1 to 256", "\"weight\" is invalid\n", weight)?);
            }
            _ if hops && !NOT_MODELLED.contains(&word) => {
                let help = "expected one of via, dev, weight, onlink";
                let text = format!("Error: \"nexthop\" or end of line is expected instead of \"{word}\"");
                let fault = Fault::new(format!("unknown word {}", q(word)), help);
                return words.blame(&token, fault.exits(255, text));
            }
            _ if hops => return words.unexpected(&token, &["via", "dev", "weight", "onlink"], NOT_MODELLED),
            "src" => spec.src = Some(words.address()?),
            "metric" | "priority" | "preference" => {
                spec.metric = Some(words.number_or("a metric", "\"metric\" value is invalid\n")?)
            }
            "scope" => spec.scope = Some(scope(words, "invalid \"scope\" value\n")?),
            "proto" | "protocol" => {
                spec.proto =
                    Some(words.argument("a protocol", "\"protocol\" value is invalid\n", names::protocol)?);
            }
            "table" => {
                spec.table = Some(words.argument("a table", "\"table\" value is invalid\n", names::table)?);
            }
            "mtu" => {
                let lock = words.take("lock");
                spec.mtu = Some((words.number_or("a size in bytes", "\"mtu\" value is invalid\n")?, lock));
            }
            _ => return words.unexpected(&token, KNOWN, NOT_MODELLED),
        }
    }
    Ok(spec)
}

fn filter(words: &mut Words<'_>) -> Result<RouteFilter, Diagnostic> {
    let mut filter = RouteFilter::default();
    while let Some(token) = words.peek().cloned() {
        let word = token.text.as_ref();
        let known = ["dev", "oif", "table", "via", "proto", "protocol", "scope", "type", "src"];
        let prefix = ["root", "match", "exact", "to"];
        if known.contains(&word) || prefix.contains(&word) {
            words.next();
        }
        match word {
            // How the prefix is meant may stand behind it.
            "to" if words.peek().is_some_and(|t| prefix.contains(&t.text.as_ref())) => {}
            "dev" | "oif" => filter.dev = Some(words.device()?),
            "via" => filter.via = Some(words.value("an address", one)?),
            "proto" | "protocol" => {
                filter.proto =
                    Some(words.argument("a protocol", "invalid \"protocol\"\n", names::protocol)?);
            }
            "scope" => filter.scope = Some(scope(words, "invalid \"scope\"\n")?),
            "src" => filter.src = Some(words.value("an address", one)?),
            "type" => {
                filter.kind =
                    Some(words.argument("a type of route", "node type value is invalid\n", |t| {
                        kind_of(t).ok_or_else(|| {
                            Fault::new(format!("unknown type {}", q(t)), "expected unicast, local, ...")
                        })
                    })?);
            }
            "table" => {
                filter.all = ["all", "0"].iter().any(|w| words.take(w));
                if !filter.all {
                    filter.table =
                        Some(words.argument("a table", "table id value is invalid\n", names::table)?);
                }
            }
            "root" => filter.dst = Some(PrefixFilter::Root(words.value("a prefix", meant)?)),
            "match" => filter.dst = Some(PrefixFilter::Match(words.value("a prefix", meant)?)),
            _ if NOT_MODELLED.contains(&word) || KNOWN.contains(&word) => {
                return words.unexpected(&token, &["dev", "table", "a prefix"], &[word]);
            }
            // The last one counts.
            _ => filter.dst = Some(PrefixFilter::Exact(words.value("a prefix", meant)?)),
        }
    }
    Ok(filter)
}

fn get(words: &mut Words<'_>) -> Result<RouteCommand, Diagnostic> {
    words.take("to");
    if words.peek().is_none() {
        let fault = Fault::new("no destination", "expected an address behind get");
        return words.blame_last(fault.exits(1, "need at least a destination address"));
    }
    let mut query = RouteQuery::to(words.value("an address", one)?);
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "from" => query.from = Some(words.value("an address", next)?),
            "iif" => query.iif = Some(words.device()?),
            "oif" | "dev" => query.oif = Some(words.device()?),
            "mark" => query.mark = words.number_or("a mark", "invalid mark value")?,
            "tos" | "dsfield" => {
                query.tos = words.argument("a type of service", "TOS value is invalid\n", tos)?
            }
            "ipproto" => {
                let why = "Invalid \"ipproto\" value\n";
                query.ipproto = Protocol(words.argument("a protocol", why, asked_proto)?);
            }
            "sport" => query.sport = words.argument("a port", "invalid sport\n", port)?,
            "dport" => query.dport = words.argument("a port", "invalid dport\n", port)?,
            _ => {
                let known = ["from", "iif", "oif", "mark", "tos", "ipproto", "sport", "dport"];
                if NOT_MODELLED.contains(&token.text.as_ref()) || next(&token.text).is_ok() {
                    return words.unexpected(&token, &known, &[&token.text]);
                }
                let help = format!("expected one of {}", known.join(", "));
                let fault = Fault::new(format!("unknown word {}", q(&token.text)), help);
                return words.blame(&token, fault.expected("inet prefix", &token.text));
            }
        }
    }
    Ok(RouteCommand::Get(query))
}

/// The kernel looks up ways of three protocols (`rtm_getroute_parse_ip_proto`).
fn asked_proto(text: &str) -> Result<u8, Fault> {
    match ipproto(text)? {
        n @ (1 | 6 | 17) => Ok(n),
        _ => Err(Fault::new("Unsupported ip proto.", "expected tcp, udp or icmp")),
    }
}

/// `scope NAME`
pub(super) fn scope(words: &mut Words<'_>, why: &str) -> Result<Scope, Diagnostic> {
    words.argument("a scope", why, names::scope)
}

/// A prefix that routes are chosen by; bits behind it count for nothing.
fn meant(text: &str) -> Result<Ipv4Net, Fault> {
    sought(text).map(|net| net.trunc())
}

/// An address where a prefix may stand.
fn one(text: &str) -> Result<Ipv4Addr, Fault> {
    if sought(text).is_ok() && address(text).is_err() {
        return Err(Fault::new(format!("{} is not modelled", q(text)), "expected an address"));
    }
    address(text).map_err(|f| f.expected("any valid prefix", text))
}

/// An address behind another one.
fn next(text: &str) -> Result<Ipv4Addr, Fault> {
    address(text).map_err(|f| f.expected("inet prefix", text))
}

/// What `ip route add` says about a route that is not said in the command: protocol, scope and table (iproute_modify).
pub fn defaults(spec: &RouteSpec, delete: bool) -> (u8, Scope, FibTable) {
    let kind = spec.kind.unwrap_or(RouteKind::Unicast);
    let scope = match kind {
        RouteKind::Local => Scope::Host,
        RouteKind::Broadcast | RouteKind::Multicast => Scope::Link,
        RouteKind::Unicast if delete => Scope::Nowhere,
        RouteKind::Unicast if spec.hop.via.is_none() && spec.more.is_empty() => Scope::Link,
        _ => Scope::Universe,
    };
    let table = match kind {
        RouteKind::Local | RouteKind::Broadcast => FibTable::LOCAL,
        _ => FibTable::MAIN,
    };
    (spec.proto.unwrap_or(proto::BOOT), spec.scope.unwrap_or(scope), spec.table.unwrap_or(table))
}
