//! `ip route`

use crate::diagnostic::{Diagnostic, Fault, q};
use crate::words::{Words, destination};
use ipnet::Ipv4Net;
use kernel::route::{RouteKind, Scope};
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
    /// `ip route get ADDRESS`
    Get {
        /// The destination.
        dst: Ipv4Addr,
        /// `from`
        from: Option<Ipv4Addr>,
        /// `iif`
        iif: Option<String>,
        /// `oif`
        oif: Option<String>,
        /// `mark`
        mark: Option<u32>,
    },
}

/// A route as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Unicast if nothing is said.
    pub kind: RouteKind,
    /// Destination; `default` is 0.0.0.0/0.
    pub dst: Ipv4Net,
    /// `via`
    pub via: Option<Ipv4Addr>,
    /// `dev`
    pub dev: Option<String>,
    /// `src`
    pub src: Option<Ipv4Addr>,
    /// `metric`
    pub metric: Option<u32>,
    /// `scope`
    pub scope: Option<Scope>,
    /// `onlink`: the gateway need not be on a connected network.
    pub onlink: bool,
}

impl RouteSpec {
    /// A unicast route to a destination, with nothing more said about it.
    pub fn to(dst: Ipv4Net) -> RouteSpec {
        RouteSpec {
            kind: RouteKind::Unicast,
            dst,
            via: None,
            dev: None,
            src: None,
            metric: None,
            scope: None,
            onlink: false,
        }
    }
}

/// Which routes of table main are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFilter {
    /// The destination.
    pub dst: Option<Ipv4Net>,
    /// `dev`
    pub dev: Option<String>,
    /// `table local`
    pub local: bool,
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

const KINDS: [(&str, RouteKind); 6] = [
    ("unicast", RouteKind::Unicast),
    ("local", RouteKind::Local),
    ("broadcast", RouteKind::Broadcast),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
];

const KNOWN: &[&str] = &["via", "dev", "src", "metric", "scope", "table main", "onlink"];
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
    "mtu",
    "multicast",
    "nat",
    "nexthop",
    "nhid",
    "pervasive",
    "pref",
    "proto",
    "protocol",
    "quickack",
    "realms",
    "reordering",
    "rto_min",
    "rtt",
    "rttvar",
    "ssthresh",
    "throw",
    "tos",
    "ttl-propagate",
    "vrf",
    "window",
    "xresolve",
    "exact",
    "match",
    "root",
    "cache",
    "cloned",
    "type",
    "uid",
    "fibmatch",
];

pub(super) fn command(words: &mut Words<'_>) -> Result<RouteCommand, Diagnostic> {
    if words.peek().is_none() {
        return Ok(RouteCommand::Show(RouteFilter::default()));
    }
    let verbs = ["prepend", "test", "save", "restore", "showdump"];
    Ok(match words.choose("add, del, replace, show or get", VERBS, &verbs)? {
        Verb::Add => RouteCommand::Add(spec(words)?),
        Verb::Append => RouteCommand::Append(spec(words)?),
        Verb::Replace => RouteCommand::Replace(spec(words)?),
        Verb::Change => RouteCommand::Change(spec(words)?),
        Verb::Del => RouteCommand::Del(spec(words)?),
        Verb::Show => RouteCommand::Show(filter(words)?),
        Verb::Flush => {
            if words.peek().is_none() {
                return words.blame_last(Fault::new(
                    "flush without a selection",
                    "expected a prefix, dev DEVICE or table main",
                ));
            }
            RouteCommand::Flush(filter(words)?)
        }
        Verb::Get => get(words)?,
    })
}

fn spec(words: &mut Words<'_>) -> Result<RouteSpec, Diagnostic> {
    let kind = match words.peek() {
        Some(t) => KINDS.iter().find(|(name, _)| *name == t.text).map(|(_, k)| *k),
        None => None,
    };
    if kind.is_some() {
        words.next();
    }
    words.take("to");
    let dst = words.value("a destination such as 10.0.0.0/8 or default", destination)?;
    let mut spec = RouteSpec { kind: kind.unwrap_or(RouteKind::Unicast), ..RouteSpec::to(dst) };
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "via" => {
                words.take("inet");
                spec.via = Some(words.address()?);
            }
            "dev" | "oif" => spec.dev = Some(words.device()?),
            "src" => spec.src = Some(words.address()?),
            "metric" | "priority" | "preference" => spec.metric = Some(words.number("a metric")?),
            "scope" => spec.scope = Some(scope(words)?),
            "onlink" => spec.onlink = true,
            "table" => {
                if table(words)? {
                    return words.blame_last(Fault::new(
                        "routes of table local are kept by the kernel",
                        "expected table main",
                    ));
                }
            }
            _ => return words.unexpected(&token, KNOWN, NOT_MODELLED),
        }
    }
    let leads_out = matches!(spec.kind, RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast);
    if !leads_out && (spec.via.is_some() || spec.dev.is_some()) {
        let fault = Fault::new("a route that ends here with a way out", "expected neither via nor dev");
        return words.blame_last(fault);
    }
    Ok(spec)
}

/// `table NAME`; true for table local.
fn table(words: &mut Words<'_>) -> Result<bool, Diagnostic> {
    words.value("a table", |t| match t {
        "main" | "254" => Ok(false),
        "local" | "255" => Ok(true),
        _ => Err(Fault::new(format!("table {} is not modelled", q(t)), "expected table main")),
    })
}

fn filter(words: &mut Words<'_>) -> Result<RouteFilter, Diagnostic> {
    let mut filter = RouteFilter::default();
    while let Some(token) = words.peek().cloned() {
        match token.text.as_ref() {
            "dev" => {
                words.next();
                filter.dev = Some(words.device()?);
            }
            "table" => {
                words.next();
                filter.local = table(words)?;
            }
            word if NOT_MODELLED.contains(&word) || KNOWN.contains(&word) => {
                return words.unexpected(&token, &["dev", "table", "a prefix"], &[word]);
            }
            _ if filter.dst.is_none() => {
                words.take("to");
                filter.dst = Some(words.value("a prefix", destination)?);
            }
            _ => words.end()?,
        }
    }
    Ok(filter)
}

fn get(words: &mut Words<'_>) -> Result<RouteCommand, Diagnostic> {
    words.take("to");
    let dst = words.address()?;
    let (mut from, mut iif, mut oif, mut mark) = (None, None, None, None);
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "from" => from = Some(words.address()?),
            "iif" => iif = Some(words.device()?),
            "oif" | "dev" => oif = Some(words.device()?),
            "mark" => mark = Some(words.number("a mark")?),
            _ => return words.unexpected(&token, &["from", "iif", "oif", "mark"], NOT_MODELLED),
        }
    }
    Ok(RouteCommand::Get { dst, from, iif, oif, mark })
}

/// `scope NAME`
pub(super) fn scope(words: &mut Words<'_>) -> Result<Scope, Diagnostic> {
    let known = [("global", Scope::Universe), ("link", Scope::Link), ("host", Scope::Host)];
    words.value("a scope", |t| {
        let number = [("0", Scope::Universe), ("253", Scope::Link), ("254", Scope::Host)];
        let found = known.iter().chain(&number).find(|(name, _)| *name == t);
        found.map(|(_, s)| *s).ok_or_else(|| {
            Fault::new(format!("unknown scope {}", q(t)), "expected one of global, link, host")
        })
    })
}
