//! Tables, chains, sets and rules as `nft list` prints them.

use super::parse::HOOKS;
use super::parse::{PRIORITIES, priority_fits};
use super::parse::{asks_family, without_implied};
use super::rule_text::{expr_text, stmt_text, types_text};
use super::value::{bits, end_text, text, time_text};
use super::{Names, prefix_len};
use crate::iptables::xlate_match;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::nftables::{
    BaseChain, CmpOp, DataType, Elem, ElemData, Expr, MapData, MetaKey, NftChain, NftFamily, NftRule, NftSet,
    NftTable, NftVerdict, Right, Stateful, Stmt,
};
use kernel::netfilter::xtables::Verdict;
use packet::Protocol;
use std::borrow::Cow;
use std::fmt::Write;

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NftFlags {
    /// `-s`: without what counters and times stand at.
    pub stateless: bool,
    /// `-a`: with handles.
    pub handles: bool,
    /// `-t`: without the members of sets.
    pub terse: bool,
    /// `-y`, `-nn`: priorities as numbers.
    pub numeric_priority: bool,
}

/// What a listing needs besides the table.
#[derive(Clone, Copy)]
pub(super) struct Printer<'a> {
    pub names: Names<'a>,
    pub flags: NftFlags,
    pub table: &'a NftTable,
}

impl Printer<'_> {
    fn handle(&self, handle: u64) -> String {
        if self.flags.handles { format!(" # handle {handle}") } else { String::new() }
    }

    /// A whole table.
    pub fn table(&self, out: &mut String) {
        self.head(out);
        let mut between = "";
        for (key, set) in self.table.sets() {
            out.push_str(between);
            self.set(out, key.0, set, !self.flags.terse);
            between = "\n";
        }
        for chain in self.table.chains() {
            out.push_str(between);
            self.chain(out, chain, true);
            between = "\n";
        }
        out.push_str("}\n");
    }

    /// The line with the table's name, and what it says of itself.
    pub fn head(&self, out: &mut String) {
        let t = self.table;
        let _ = writeln!(out, "table {} {} {{{}", t.family, t.name, self.handle(t.key.0));
        if t.dormant {
            out.push_str("\tflags dormant\n");
        }
        if let Some(comment) = &t.comment {
            let _ = writeln!(out, "\tcomment \"{comment}\"");
        }
    }

    /// A chain; without its rules only what it is.
    pub fn chain(&self, out: &mut String, chain: &NftChain, rules: bool) {
        let _ = writeln!(out, "\tchain {} {{{}", chain.name, self.handle(chain.key.0));
        if let Some(comment) = &chain.comment {
            let _ = writeln!(out, "\t\tcomment \"{comment}\"");
        }
        if let Some(base) = chain.base {
            let _ = writeln!(out, "\t\t{}", self.base(base));
        }
        for (i, rule) in chain.rules().iter().enumerate().filter(|_| rules) {
            let text = rule_text(self, rule, Some(chain.state(i)));
            let _ = writeln!(out, "\t\t{text}{}", self.handle(rule.handle));
        }
        out.push_str("\t}\n");
    }

    fn base(&self, b: BaseChain) -> String {
        let hook = HOOKS.iter().find(|(_, h)| *h == b.hook).map_or("", |(name, _)| name);
        let policy = if b.policy == Verdict::Drop { "drop" } else { "accept" };
        let priority = match self.flags.numeric_priority {
            true => b.priority.to_string(),
            false => priority_text(b.priority, b.hook),
        };
        format!("type {} hook {hook} priority {priority}; policy {policy};", b.kind.name())
    }

    /// A set or map.
    pub fn set(&self, out: &mut String, handle: u64, set: &NftSet, members: bool) {
        let spec = &set.spec;
        let word = if set.is_map() { "map" } else { "set" };
        let _ = writeln!(out, "\t{word} {} {{{}", set.name, self.handle(handle));
        let data = match &spec.data {
            MapData::None => String::new(),
            MapData::Verdict => " : verdict".to_owned(),
            MapData::Values(types) => match &spec.typeof_ {
                Some((_, Some(expr))) => format!(" : {}", expr_text(self, expr)),
                _ => format!(" : {}", types_text(types)),
            },
        };
        let _ = match &spec.typeof_ {
            Some((expr, _)) => writeln!(out, "\t\ttypeof {}{data}", expr_text(self, expr)),
            None => writeln!(out, "\t\ttype {}{data}", types_text(&spec.key)),
        };
        if !spec.constant {
            if spec.memory {
                out.push_str("\t\tpolicy memory\n");
            }
            if let Some(size) = spec.size {
                let _ = writeln!(out, "\t\tsize {size}");
            }
        }
        // A default time says that there are times.
        let with_flag =
            spec.constant || spec.dynamic || spec.interval || spec.timeouts && spec.timeout.is_none();
        if with_flag {
            let words = [
                ("constant", spec.constant),
                ("dynamic", spec.dynamic),
                ("interval", spec.interval),
                ("timeout", spec.timeouts),
            ];
            let words: Vec<&str> = words.iter().filter(|(_, on)| *on).map(|(w, _)| *w).collect();
            let _ = writeln!(out, "\t\tflags {}", words.join(","));
        }
        for _ in &spec.stateful {
            out.push_str("\t\tcounter\n");
        }
        if spec.auto_merge {
            out.push_str("\t\tauto-merge\n");
        }
        if let Some(ms) = spec.timeout {
            let _ = writeln!(out, "\t\ttimeout {}", time_text(ms));
        }
        if let Some(ms) = spec.gc_interval {
            let _ = writeln!(out, "\t\tgc-interval {}", time_text(ms));
        }
        if let Some(comment) = &spec.comment {
            let _ = writeln!(out, "\t\tcomment \"{comment}\"");
        }
        if members {
            let elems = self.elems(set);
            if !elems.is_empty() {
                let _ = writeln!(out, "\t\telements = {{ {elems} }}");
            }
        }
        out.push_str("\t}\n");
    }

    /// The members between the braces.
    pub fn elems(&self, set: &NftSet) -> String {
        let anonymous = set.name.is_empty();
        let row = match set.spec.key[..] {
            _ if anonymous => usize::MAX,
            [one] => per_row(one),
            _ => 1,
        };
        let mut sorted: Vec<&Elem> = set.alive(self.names.now).map(|e| &**e).collect();
        if !set.spec.interval {
            let mut keyed: Vec<_> = sorted.iter().map(|e| (sort_key(e, &set.spec.key), *e)).collect();
            sorted::sort_by(&mut keyed, |a, b| a.0.cmp(&b.0));
            sorted = keyed.into_iter().map(|(_, e)| e).collect();
        }
        let mut out = String::new();
        for (i, elem) in sorted.into_iter().enumerate() {
            if i > 0 {
                out.push_str(if i % row == 0 { ",\n\t\t\t     " } else { ", " });
            }
            out.push_str(&self.elem(set, elem));
        }
        out
    }

    fn elem(&self, set: &NftSet, elem: &Elem) -> String {
        let mut out = self.elem_key(set, elem);
        if let Some(ms) = elem.timeout {
            let _ = write!(out, " timeout {}", time_text(ms));
        }
        if let Some(at) = elem.expires.filter(|_| !self.flags.stateless) {
            let _ = write!(out, " expires {}", time_text(at.since(self.names.now).as_millis() as u64));
        }
        for state in &elem.state {
            let _ = write!(out, " {}", self.counter(*state));
        }
        if let Some(comment) = &elem.comment {
            let _ = write!(out, " comment \"{comment}\"");
        }
        match (&elem.data, &set.spec.data) {
            (Some(ElemData::Verdict(v)), _) => {
                let _ = write!(out, " : {}", self.verdict(*v));
            }
            (Some(ElemData::Value(data)), MapData::Values(types)) => {
                let parts: Vec<String> =
                    data.parts(types).iter().zip(types).map(|(d, t)| text(d, *t, &self.names)).collect();
                let _ = write!(out, " : {}", parts.join(" . "));
            }
            _ => {}
        }
        out
    }

    pub fn elem_key(&self, set: &NftSet, elem: &Elem) -> String {
        let types = &set.spec.key;
        let (first, last) = (elem.key.parts(types), elem.last().parts(types));
        let parts = types.iter().zip(first.iter().zip(&last)).map(|(t, (a, b))| self.interval(a, b, *t));
        parts.collect::<Vec<_>>().join(" . ")
    }

    /// A value, a prefix or a range.
    pub fn interval(
        &self,
        first: &kernel::netfilter::nftables::Data,
        last: &kernel::netfilter::nftables::Data,
        dtype: DataType,
    ) -> String {
        if first == last && dtype.is_bitmask() {
            return bits(first.as_u32(), dtype, " | ");
        }
        if first == last {
            return text(first, dtype, &self.names);
        }
        if let Some(bits) = prefix_len(first, last) {
            if dtype.has_prefixes() {
                return format!("{}/{bits}", text(first, dtype, &self.names));
            }
            if dtype == DataType::Ifname && bits % 8 == 0 {
                return format!("\"{}*\"", first.as_text());
            }
        }
        format!("{}-{}", end_text(first, dtype, &self.names), end_text(last, dtype, &self.names))
    }

    pub fn counter(&self, state: Stateful) -> String {
        match state {
            Stateful::Counter { packets, bytes } if !self.flags.stateless => {
                format!("counter packets {packets} bytes {bytes}")
            }
            _ => "counter".to_owned(),
        }
    }

    pub fn verdict(&self, v: NftVerdict) -> String {
        let name = |c| self.table.chain_by_key(c).map_or("?".to_owned(), |c| c.name.to_string());
        match v {
            NftVerdict::Accept => "accept".to_owned(),
            NftVerdict::Drop => "drop".to_owned(),
            NftVerdict::Continue => "continue".to_owned(),
            NftVerdict::Return => "return".to_owned(),
            NftVerdict::Jump(c) => format!("jump {}", name(c)),
            NftVerdict::Goto(c) => format!("goto {}", name(c)),
        }
    }
}

/// A rule, with what its counters stand at if that is given.
pub(super) fn rule_text(p: &Printer<'_>, rule: &NftRule, state: Option<&[Stateful]>) -> String {
    let mut parts: Vec<String> = Vec::with_capacity(rule.stmts.len());
    let mut proto = None;
    for s in listed(rule, p.table.family).iter() {
        proto = protocol_of(s).or(proto);
        parts.push(match s {
            // Its words depend on what was asked before.
            Stmt::XtMatch(x) => {
                xlate_match(&x.m, proto).unwrap_or_else(|| format!("xt match {}", x.m.name()))
            }
            s => stmt_text(p, s, state),
        });
    }
    if let Some(comment) = &rule.comment {
        parts.push(format!("comment \"{comment}\""));
    }
    parts.join(" ")
}

/// The statements that are listed: iptables-nft asks for a protocol even where a header implies it, and what is asked of a frame is kept.
fn listed(rule: &NftRule, family: NftFamily) -> Cow<'_, [Stmt]> {
    let implied =
        |w: &[Stmt]| matches!(w, [Stmt::Match { left: Expr::Meta(MetaKey::L4proto), op: CmpOp::Eq, .. }, _]);
    match rule.stmts.windows(2).any(implied) || rule.stmts.iter().any(|s| asks_family(s).is_some()) {
        true => Cow::Owned(without_implied(rule.stmts.clone(), family, true)),
        false => Cow::Borrowed(&rule.stmts),
    }
}

/// The protocol that a question asks for.
fn protocol_of(s: &Stmt) -> Option<Protocol> {
    match s {
        Stmt::Match { left: Expr::Meta(MetaKey::L4proto), op: CmpOp::Eq, right: Right::Value(v) } => {
            Some(Protocol(v.as_u32() as u8))
        }
        Stmt::Match { left, .. } => {
            let mut found = None;
            left.walk(&mut |e| found = e.header().and_then(|h| h.protocol()).or(found));
            found
        }
        _ => None,
    }
}

/// `dstnat - 10`: a priority next to one with a name (`prio2str`).
fn priority_text(priority: i32, hook: InetHook) -> String {
    for (name, base) in PRIORITIES.into_iter().filter(|(name, _)| priority_fits(name, hook)) {
        let off = i64::from(priority) - i64::from(base);
        match off {
            0 => return name.to_owned(),
            1..=10 => return format!("{name} + {off}"),
            -10..=-1 => return format!("{name} - {}", -off),
            _ => {}
        }
    }
    priority.to_string()
}

/// So many members stand in a line (`calculate_delim`).
fn per_row(dtype: DataType) -> usize {
    match dtype {
        DataType::NfProto
        | DataType::Integer(_)
        | DataType::InetProto
        | DataType::InetService
        | DataType::TcpFlag
        | DataType::Mark
        | DataType::IfIndex
        | DataType::Uid
        | DataType::Gid
        | DataType::CtDir => 5,
        DataType::Ipv4Addr | DataType::CtState | DataType::CtStatus | DataType::PktType => 2,
        _ => 1,
    }
}

/// In which order members are listed (`expr_msort_cmp`): a single value by what it is; of several, all bytes are one number whose
/// last byte is the highest.
fn sort_key(elem: &Elem, types: &[DataType]) -> Vec<u8> {
    let little = |d: &kernel::netfilter::nftables::Data, t: DataType| {
        let mut bytes = d.bytes().to_vec();
        // Names are text, which is not turned around.
        if t.is_host_endian() && t != DataType::Ifname {
            bytes.reverse();
        }
        bytes
    };
    match types {
        // What has several bits is no plain value for the sort.
        [one] if one.is_bitmask() && elem.key.as_u32().count_ones() > 1 => Vec::new(),
        [DataType::Ifname] => elem.key.bytes().iter().rev().copied().collect(),
        [_] => elem.key.bytes().to_vec(),
        _ => {
            let parts = elem.key.parts(types);
            let mut all: Vec<u8> = parts.iter().zip(types).flat_map(|(d, t)| little(d, *t)).collect();
            all.reverse();
            all
        }
    }
}
