//! Statements and expressions as text.

use super::parse::{LOG_FLAGS, LOG_LEVELS};
use super::prefix_len;
use super::print::Printer;
use super::value::{ICMP_CODES, ICMPV6_CODES, ICMPX_CODES, bits, end_text, symbols, text, time_text};
use crate::iptables::{target_name, xlate_match, xlate_target};
use kernel::netfilter::conntrack::Direction;
use kernel::netfilter::nftables::{
    BinaryOp, CmpOp, Data, DataType, DynsetOp, Expr, FibResult, MetaKey, NatFlags, NatKind, NftLog, NftNat,
    RejectKind, Right, SetRef, Stateful, Stmt,
};

/// Types with dots between them.
pub(super) fn types_text(types: &[DataType]) -> String {
    types.iter().map(|t| t.names().0).collect::<Vec<_>>().join(" . ")
}

/// An expression.
pub(super) fn expr_text(p: &Printer<'_>, e: &Expr) -> String {
    match e {
        Expr::Payload(f) => format!("{} {}", f.header.name(), f.name),
        Expr::Meta(key) => {
            let name = key.names().0;
            match key {
                MetaKey::Iif | MetaKey::Oif | MetaKey::Iifname | MetaKey::Oifname => name.to_owned(),
                _ => format!("meta {name}"),
            }
        }
        Expr::Ct(key, dir) => match dir {
            None => format!("ct {}", key.names().0),
            Some(Direction::Original) => format!("ct original {}", key.names().0),
            Some(Direction::Reply) => format!("ct reply {}", key.names().0),
        },
        Expr::Fib(f) => {
            let flags =
                [(f.saddr, "saddr"), (!f.saddr, "daddr"), (f.mark, "mark"), (f.iif, "iif"), (f.oif, "oif")];
            let flags: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, w)| *w).collect();
            let result = match f.result {
                FibResult::Oif => "oif",
                FibResult::Oifname => "oifname",
                FibResult::Type => "type",
            };
            format!("fib {} {result}", flags.join(" . "))
        }
        Expr::Numgen { random, modulus, offset, .. } => {
            let kind = if *random { "random" } else { "inc" };
            let offset = if *offset > 0 { format!(" offset {offset}") } else { String::new() };
            format!("numgen {kind} mod {modulus}{offset}")
        }
        Expr::Value(d, t) => text(d, *t, &p.names),
        Expr::Binary(op, a, b) => {
            let sign = BinaryOp::SIGNS.iter().find(|(o, _)| o == op).map_or("", |(_, s)| s);
            let shifts = matches!(op, BinaryOp::Lshift | BinaryOp::Rshift);
            let left = match &**a {
                Expr::Binary(..) if shifts => format!("({})", expr_text(p, a)),
                a => expr_text(p, a),
            };
            format!("{left} {sign} {}", expr_text(p, b))
        }
        Expr::Concat(parts) => parts.iter().map(|e| expr_text(p, e)).collect::<Vec<_>>().join(" . "),
        Expr::Map(key, map) => format!("{} map {}", expr_text(p, key), set_text(p, map)),
    }
}

fn set_text(p: &Printer<'_>, set: &SetRef) -> String {
    match set {
        SetRef::Named(_, name, _) => format!("@{name}"),
        SetRef::Anonymous(set) => format!("{{ {} }}", p.elems(set)),
    }
}

/// A statement.
pub(super) fn stmt_text(p: &Printer<'_>, stmt: &Stmt, state: Option<&[Stateful]>) -> String {
    match stmt {
        Stmt::Match { left, op, right } => match_text(p, left, *op, right),
        Stmt::Verdict(v) => p.verdict(*v),
        Stmt::Vmap(key, map) => format!("{} vmap {}", expr_text(p, key), set_text(p, map)),
        Stmt::Counter(slot, from) => p.counter(state.and_then(|s| s.get(*slot)).copied().unwrap_or(*from)),
        Stmt::Limit(l, _) => {
            let unit = match l.unit {
                1 => "second",
                60 => "minute",
                3600 => "hour",
                86_400 => "day",
                _ => "week",
            };
            let over = if l.over { "over " } else { "" };
            let burst = if l.burst != 5 { format!(" burst {} packets", l.burst) } else { String::new() };
            format!("limit rate {over}{}/{unit}{burst}", l.rate)
        }
        Stmt::Log(log) => log_text(log),
        Stmt::MetaSet(key, value) => format!("meta {} set {}", key.names().0, expr_text(p, value)),
        Stmt::CtSet(key, value) => format!("ct {} set {}", key.names().0, expr_text(p, value)),
        Stmt::Nat(nat) => nat_text(p, nat),
        Stmt::Masquerade(ports, flags) => format!("masquerade{}{}", ports_text(*ports), flags_text(*flags)),
        Stmt::Redirect(ports, flags) => format!("redirect{}{}", ports_text(*ports), flags_text(*flags)),
        Stmt::Reject(kind) => reject_text(p, *kind),
        Stmt::Dynset(d) => {
            let op = match d.op {
                DynsetOp::Add => "add",
                DynsetOp::Update => "update",
                DynsetOp::Delete => "delete",
            };
            let mut out = format!("{op} @{} {{ {}", d.name, expr_text(p, &d.key));
            if let Some(ms) = d.timeout {
                out.push_str(&format!(" timeout {}", time_text(ms)));
            }
            for _ in &d.stateful {
                out.push_str(" counter");
            }
            if let Some(data) = &d.data {
                out.push_str(&format!(" : {}", expr_text(p, data)));
            }
            out.push_str(" }");
            out
        }
        Stmt::Notrack => "notrack".to_owned(),
        Stmt::XtMatch(x) => xlate_match(&x.m, None).unwrap_or_else(|| format!("xt match {}", x.m.name())),
        Stmt::XtTarget(t) => xlate_target(t).unwrap_or_else(|| format!("xt target {}", target_name(t))),
    }
}

fn match_text(p: &Printer<'_>, left: &Expr, op: CmpOp, right: &Right) -> String {
    // The first bits are a prefix.
    if let (Expr::Binary(BinaryOp::And, inner, mask), Right::Value(value)) = (left, right)
        && let Expr::Value(mask, t) = &**mask
        && t.has_prefixes()
        && let Some(len) = prefix_len(&mask.combine(mask, |_, _| 0), &mask.combine(mask, |m, _| !m))
    {
        let not = if op == CmpOp::Neq { "!= " } else { "" };
        return format!("{} {not}{}/{len}", expr_text(p, inner), text(value, *t, &p.names));
    }
    // One bit is written out: `flags & syn == syn`.
    if let (Expr::Binary(BinaryOp::And, inner, mask), Right::Value(value)) = (left, right)
        && inner.dtype() == DataType::TcpFlag
        && let Expr::Value(mask, t) = &**mask
        && mask == value
        && mask.as_u32().count_ones() == 1
        && matches!(op, CmpOp::Eq | CmpOp::Neq)
    {
        let (sign, value) = (if op == CmpOp::Neq { "!=" } else { "==" }, text(value, *t, &p.names));
        return format!("{} & {value} {sign} {value}", expr_text(p, inner));
    }
    // `flags VALUE / MASK`
    if let (Expr::Binary(BinaryOp::And, inner, mask), Right::Value(value)) = (left, right)
        && inner.dtype() == DataType::TcpFlag
        && let Expr::Value(mask, t) = &**mask
        && matches!(op, CmpOp::Eq | CmpOp::Neq)
    {
        let not = if op == CmpOp::Neq { "!= " } else { "" };
        let (value, mask) = (text(value, *t, &p.names), text(mask, *t, &p.names));
        return format!("{} {not}{value} / {mask}", expr_text(p, inner));
    }
    let dtype = left.dtype();
    let one = matches!(right, Right::Value(_));
    let many = matches!(right, Right::Range(..) | Right::Prefix(..));
    let sign = match op {
        CmpOp::Eq if matches!(left, Expr::Binary(..)) && !many => "== ",
        CmpOp::Eq if dtype.is_bitmask() && one => "== ",
        CmpOp::Eq | CmpOp::Flags => "",
        CmpOp::Neq => "!= ",
        CmpOp::Lt => "< ",
        CmpOp::Gt => "> ",
        CmpOp::Lte => "<= ",
        CmpOp::Gte => ">= ",
        CmpOp::NoFlags => "! ",
    };
    // Bits that are compared as one number are one number.
    if let Right::Value(v) = right
        && dtype.is_bitmask()
        && matches!(op, CmpOp::Eq | CmpOp::Neq)
    {
        return format!("{} {sign}{}", expr_text(p, left), bits(v.as_u32(), dtype, " | "));
    }
    format!("{} {sign}{}", expr_text(p, left), right_text(p, left, right))
}

fn right_text(p: &Printer<'_>, left: &Expr, right: &Right) -> String {
    let types = left.all_types();
    match right {
        Right::Value(v) => {
            let parts = v.parts(&types);
            parts.iter().zip(&types).map(|(d, t)| text(d, *t, &p.names)).collect::<Vec<_>>().join(" . ")
        }
        Right::Prefix(v, len) => {
            let t = left.dtype();
            if t == DataType::Ifname {
                return format!("\"{}*\"", v.as_text());
            }
            format!("{}/{len}", text(v, t, &p.names))
        }
        Right::Range(a, b) => {
            let t = left.dtype();
            format!("{}-{}", end_text(a, t, &p.names), end_text(b, t, &p.names))
        }
        Right::Set(set) => set_text(p, set),
    }
}

pub(crate) fn log_text(log: &NftLog) -> String {
    let mut out = "log".to_owned();
    if let Some(prefix) = &log.prefix {
        out.push_str(&format!(" prefix \"{prefix}\""));
    }
    if let Some(group) = log.group {
        out.push_str(&format!(" group {group}"));
    }
    if let Some(n) = log.snaplen {
        out.push_str(&format!(" snaplen {n}"));
    }
    if let Some(n) = log.qthreshold {
        out.push_str(&format!(" queue-threshold {n}"));
    }
    if let Some(level) = log.level.filter(|l| *l != 4 && log.group.is_none()) {
        out.push_str(&format!(" level {}", LOG_LEVELS.get(usize::from(level)).copied().unwrap_or("warn")));
    }
    if log.flags == 0x2f {
        out.push_str(" flags all");
        return out;
    }
    match log.flags & 3 {
        3 => out.push_str(" flags tcp sequence,options"),
        1 => out.push_str(" flags tcp sequence"),
        2 => out.push_str(" flags tcp options"),
        _ => {}
    }
    for (word, bit) in LOG_FLAGS.into_iter().skip(2) {
        if log.flags & bit != 0 {
            out.push_str(&format!(" flags {word}"));
        }
    }
    out
}

fn ports_text(ports: Option<(u16, u16)>) -> String {
    match ports {
        None => String::new(),
        Some((a, b)) if a == b => format!(" to :{a}"),
        Some((a, b)) => format!(" to :{a}-{b}"),
    }
}

fn flags_text(flags: NatFlags) -> String {
    let words =
        [(flags.random, "random"), (flags.fully_random, "fully-random"), (flags.persistent, "persistent")];
    let words: Vec<&str> = words.iter().filter(|(on, _)| *on).map(|(_, w)| *w).collect();
    if words.is_empty() { String::new() } else { format!(" {}", words.join(",")) }
}

fn nat_text(p: &Printer<'_>, nat: &NftNat) -> String {
    let mut out = if nat.manip == NatKind::Dnat { "dnat" } else { "snat" }.to_owned();
    let pairs = nat.addr.as_ref().is_some_and(|e| e.all_types().len() > 1);
    let inet = p.table.family == kernel::netfilter::nftables::NftFamily::Inet;
    let family = nat.family.or_else(|| {
        let v6 = p.table.family == kernel::netfilter::nftables::NftFamily::Ip6;
        Some(if v6 { packet::Family::V6 } else { packet::Family::V4 })
    });
    // A table of one family says it only where the value does not.
    if inet && nat.addr.is_some() || pairs {
        out.push_str(if family == Some(packet::Family::V6) { " ip6" } else { " ip" });
    }
    out.push_str(" to ");
    if let Some(addr) = &nat.addr {
        let bracket = nat.port.is_some() && matches!(addr, Expr::Value(_, DataType::Ipv6Addr));
        let one = |e: &Expr| if bracket { format!("[{}]", expr_text(p, e)) } else { expr_text(p, e) };
        match (addr, &nat.addr_last) {
            // A range that is a prefix is one.
            (Expr::Value(a, t), Some(Expr::Value(b, _))) if !bracket => out.push_str(&p.interval(a, b, *t)),
            (_, last) => {
                out.push_str(&one(addr));
                if let Some(last) = last {
                    out.push('-');
                    out.push_str(&one(last));
                }
            }
        }
    }
    if let Some(port) = &nat.port {
        out.push(':');
        out.push_str(&expr_text(p, port));
        if let Some(last) = &nat.port_last {
            out.push('-');
            out.push_str(&expr_text(p, last));
        }
    }
    out + &flags_text(nat.flags)
}

fn reject_text(p: &Printer<'_>, kind: RejectKind) -> String {
    use kernel::netfilter::nftables::NftFamily::{Inet, Ip, Ip6};
    let family = p.table.family;
    let (word, codes, code) = match kind {
        RejectKind::TcpReset => return "reject with tcp reset".to_owned(),
        RejectKind::Icmp(3) if family == Ip => return "reject".to_owned(),
        RejectKind::Icmpv6(4) if family == Ip6 => return "reject".to_owned(),
        RejectKind::Icmpx(1) if family == Inet => return "reject".to_owned(),
        RejectKind::Icmp(c) => ("icmp", ICMP_CODES, c),
        RejectKind::Icmpv6(c) => ("icmpv6", ICMPV6_CODES, c),
        RejectKind::Icmpx(c) => ("icmpx", ICMPX_CODES, c),
    };
    let name = codes.iter().find(|(_, n)| *n == u32::from(code)).map(|(name, _)| (*name).to_owned());
    format!("reject with {word} {}", name.unwrap_or_else(|| code.to_string()))
}

/// What a packet had where a statement looked, in nft's words.
pub(super) fn seen_text(p: &Printer<'_>, stmt: &Stmt, seen: &Data) -> String {
    let types = match stmt {
        Stmt::Match { left: Expr::Binary(_, inner, _), .. } => vec![inner.dtype()],
        Stmt::Match { left, .. } => left.all_types(),
        Stmt::Vmap(key, _) | Stmt::MetaSet(_, key) => key.all_types(),
        Stmt::CtSet(..) => vec![DataType::Mark],
        Stmt::Dynset(d) => d.key.all_types(),
        _ => return String::new(),
    };
    let one = |d: &Data, t: DataType| match t {
        DataType::CtState if d.is_zero() => "none".to_owned(),
        t if t.is_bitmask() && symbols(t).is_empty() => bits(d.as_u32(), t, ","),
        t => text(d, t, &p.names),
    };
    seen.parts(&types).iter().zip(&types).map(|(d, t)| one(d, *t)).collect::<Vec<_>>().join(" . ")
}
