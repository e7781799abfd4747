//! The listing of `iptables -L`: columns, names, counters.

use super::matches::{self, physdev::iface_text};
use super::{graph, targets};
use crate::names::{addr, protocol_name};
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{
    Chain, ChainId, Counters, IfaceMatch, IpMatch, LoadedTable, Neg, Rule, RuleSet,
};
use packet::{Family, Protocol};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// How a rule's values are named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// Whose rule.
    pub family: Family,
    /// `-n`: numbers instead of names.
    pub numeric: bool,
    /// The rule's protocol: ports have names only in one.
    pub proto: Option<Protocol>,
}

impl Names {
    /// A host. The only name that is known is that of 127.0.0.1.
    pub fn host(&self, ip: IpAddr) -> String {
        if !self.numeric && ip == IpAddr::V4(Ipv4Addr::LOCALHOST) {
            "localhost".to_owned()
        } else {
            ip.to_string()
        }
    }
}

/// The options of `-L`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// `-n`
    pub numeric: bool,
    /// `-v`
    pub verbose: bool,
    /// `-x`
    pub exact: bool,
    /// `--line-numbers`
    pub line_numbers: bool,
}

/// All chains of a table.
pub fn list_table(table: &LoadedTable, format: Format) -> String {
    let chains = 0..table.rules.chains.len();
    let texts = chains.map(|i| list_chain(table, i, format));
    texts.collect::<Vec<_>>().join("\n")
}

/// One chain with its header.
pub(super) fn list_chain(table: &LoadedTable, chain: usize, format: Format) -> String {
    let id = u16::try_from(chain).map(ChainId);
    list_chain_used(table, chain, format, id.map_or(0, |id| graph::references(&table.rules, id)))
}

/// The same with the number of its references.
pub(super) fn list_chain_used(
    table: &LoadedTable,
    chain: usize,
    format: Format,
    references: usize,
) -> String {
    let Some(c) = table.rules.chains.get(chain) else { return String::new() };
    let mut out = header(table, (chain, references), c, format);
    for i in 0..c.rules.len() {
        out.push_str(&list_rule(table, chain, i, format));
    }
    out
}

/// The two lines over the rules of a chain; empty if there is no such chain.
pub fn list_header(table: &LoadedTable, chain: usize, format: Format) -> String {
    let id = u16::try_from(chain).map(ChainId);
    let references = id.map_or(0, |id| graph::references(&table.rules, id));
    table.rules.chains.get(chain).map_or(String::new(), |c| header(table, (chain, references), c, format))
}

/// One rule as a line with its end, empty if there is none.
pub fn list_rule(table: &LoadedTable, chain: usize, index: usize, format: Format) -> String {
    let set = &table.rules;
    let Some(rule) = set.chains.get(chain).and_then(|c| c.rules.get(index)) else { return String::new() };
    let mut out = String::new();
    if format.line_numbers {
        let _ = write!(out, "{:<5}", index + 1);
    }
    if format.verbose {
        let counters = table.state.counters(chain, index);
        let width = if format.exact { 8 } else { 5 };
        for n in [counters.packets, counters.bytes] {
            let _ = write!(out, "{:>width$} ", count(n, format.exact));
        }
    }
    let names = Names { family: set.family, numeric: format.numeric, proto: rule.proto.map(|p| p.value) };
    let _ = write!(
        out,
        "{:<9} {}{:<4} {} ",
        target_name(set, rule),
        mark(rule.proto),
        proto(rule, &names),
        frag(rule)
    );
    if format.verbose {
        let any = if format.numeric { "*" } else { "any" };
        let _ = write!(out, " {:<6} {:<6} ", iface(&rule.in_iface, any), iface(&rule.out_iface, any));
    }
    let (src, dst) = (net(&rule.src, &names), net(&rule.dst, &names));
    let _ = write!(out, "{}{src:<19} {}{dst:<19} ", mark(rule.src), mark(rule.dst));
    tail(rule, &names, &mut out);
    out.push('\n');
    out
}

/// One rule as `-A -v` prints it.
pub(super) fn verbose_rule(set: &RuleSet, rule: &Rule) -> String {
    let names = Names { family: set.family, numeric: true, proto: rule.proto.map(|p| p.value) };
    // Without a look into /etc/protocols iptables knows these names only.
    let known = rule.proto.is_none_or(|p| [1, 6, 17, 50, 51, 58, 132, 135, 136].contains(&p.value.0));
    let named = Names { numeric: !known, ..names };
    let mut out = format!(
        "{} {}{} opt {} in {} out {} {}{} {}-> {}  ",
        target_name(set, rule),
        mark(rule.proto),
        proto(rule, &named),
        frag(rule),
        iface(&rule.in_iface, "*"),
        iface(&rule.out_iface, "*"),
        mark(rule.src),
        net(&rule.src, &names),
        mark(rule.dst),
        net(&rule.dst, &names),
    );
    tail(rule, &names, &mut out);
    out.push('\n');
    out
}

fn header(table: &LoadedTable, (at, references): (usize, usize), chain: &Chain, format: Format) -> String {
    let mut out = format!("Chain {} (", chain.name);
    match chain.base {
        Some((_, policy)) => {
            let _ = write!(out, "policy {policy}");
            if format.verbose {
                let c: Counters = table.policy.get(at).copied().unwrap_or_default();
                let (packets, bytes) = (count(c.packets, format.exact), count(c.bytes, format.exact));
                let _ = write!(out, " {packets} packets, {bytes} bytes");
            }
        }
        None => {
            let _ = write!(out, "{references} references");
        }
    }
    out.push_str(")\n");
    if format.line_numbers {
        out.push_str("num  ");
    }
    match (format.verbose, format.exact) {
        (false, _) => {}
        (true, false) => out.push_str(" pkts bytes "),
        (true, true) => out.push_str("    pkts      bytes "),
    }
    out.push_str("target     prot opt");
    if format.verbose {
        out.push_str(" in     out    ");
    }
    let _ = writeln!(out, " {:<19}  {:<19} ", "source", "destination");
    out
}

/// Matches and target behind the columns.
fn tail(rule: &Rule, names: &Names, out: &mut String) {
    if matches!(rule.target, Target::Goto(_)) {
        out.push_str("[goto] ");
    }
    for m in &rule.matches {
        matches::list(m, names, out);
    }
    targets::list(&rule.target, names, out);
}

/// `!` before a column.
fn mark<T>(value: Option<Neg<T>>) -> char {
    if value.is_some_and(|n| n.not) { '!' } else { ' ' }
}

fn target_name<'a>(set: &'a RuleSet, rule: &Rule) -> &'a str {
    match (&rule.target, rule.target.chain()) {
        // NOTRACK is another name of CT.
        (Target::Notrack, _) => "CT",
        (_, Some(to)) => set.chains.get(usize::from(to.0)).map_or("?", |c| &*c.name),
        (target, None) => targets::name(target).unwrap_or_default(),
    }
}

fn proto(rule: &Rule, names: &Names) -> String {
    let number = rule.proto.map_or(0, |p| p.value.0);
    let name = if number == 0 { Some("all") } else { protocol_name(Protocol(number)) };
    name.filter(|_| !names.numeric).map_or_else(|| number.to_string(), str::to_owned)
}

fn frag(rule: &Rule) -> &'static str {
    match rule.fragment {
        None => "--",
        Some(Neg { not: false, .. }) => "-f",
        Some(Neg { not: true, .. }) => "!f",
    }
}

fn iface(value: &Option<Neg<IfaceMatch>>, any: &str) -> String {
    value.as_ref().map_or_else(
        || any.to_owned(),
        |n| format!("{}{}", if n.not { "!" } else { "" }, iface_text(&n.value)),
    )
}

fn net(value: &Option<Neg<IpMatch>>, names: &Names) -> String {
    match value {
        None if !names.numeric => "anywhere".to_owned(),
        None => if names.family == Family::V4 { "0.0.0.0/0" } else { "::/0" }.to_owned(),
        Some(n) if n.value.mask.is_unspecified() && !names.numeric => "anywhere".to_owned(),
        Some(n) => match addr::mask_suffix(&n.value).as_str() {
            "" => names.host(n.value.addr),
            mask => format!("{}{mask}", n.value.addr),
        },
    }
}

/// A counter; large ones are rounded to thousands, millions, ... unless exact.
fn count(n: u64, exact: bool) -> String {
    if exact || n <= 99_999 {
        return n.to_string();
    }
    let mut n = n;
    for unit in ["K", "M", "G", "T"] {
        n = n.saturating_add(500) / 1000;
        if n <= 9999 || unit == "T" {
            return format!("{n}{unit}");
        }
    }
    n.to_string()
}
