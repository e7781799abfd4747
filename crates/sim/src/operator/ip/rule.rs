//! `ip rule` on a box, and what it prints (iproute2, ip/iprule.c).

use super::super::json::{Object, array};
use super::route::prefix;
use ipnet::Ipv4Net;
use kernel::Netns;
use kernel::route::{FibRule, FibTable, RuleAction, proto};
use userland::ip::{IpFormat, RuleCommand, RuleSpec, ipproto_name, protocol_name, table_name};

/// What `ip rule` changes.
pub(super) fn change(ns: &mut Netns, command: &RuleCommand) -> Result<(), String> {
    match command {
        RuleCommand::Add(spec) => add(ns, spec),
        RuleCommand::Del(spec) => {
            let plain = FibRule { proto: 0, ..FibRule::lookup(0, FibTable::MAIN) };
            let w = &spec.rule;
            let gone = ns.fib.rules.remove_first(&|r| {
                spec.pref.is_none_or(|p| p == r.pref)
                    && (!spec.action || w.action == r.action)
                    && (w.from == plain.from || w.from == r.from)
                    && (w.to == plain.to || w.to == r.to)
                    && (w.iif.is_none() || w.iif == r.iif)
                    && (w.oif.is_none() || w.oif == r.oif)
                    && (w.fwmark.is_none() || w.fwmark == r.fwmark)
                    && (w.tos == 0 || w.tos == r.tos)
                    && (w.ipproto == 0 || w.ipproto == r.ipproto)
                    && (w.sport.is_none() || w.sport == r.sport)
                    && (w.dport.is_none() || w.dport == r.dport)
                    && (w.suppress_prefixlen.is_none() || w.suppress_prefixlen == r.suppress_prefixlen)
                    && (w.proto == 0 || w.proto == r.proto)
            });
            if gone { Ok(()) } else { Err("RTNETLINK answers: No such file or directory".to_owned()) }
        }
        RuleCommand::Show { .. } => Ok(()),
        RuleCommand::Flush => {
            while ns.fib.rules.remove_first(&|r| r.pref != 0) {}
            Ok(())
        }
    }
}

fn add(ns: &mut Netns, spec: &RuleSpec) -> Result<(), String> {
    let pref = spec.pref.unwrap_or_else(|| ns.fib.rules.default_pref());
    if let RuleAction::Goto(to) = spec.rule.action
        && to <= pref
    {
        return Err("Error: Backward goto not supported.".to_owned());
    }
    if spec.rule.tos & 3 != 0 {
        return Err("Error: Invalid dsfield (tos): ECN bits must be 0.".to_owned());
    }
    if spec.rule.tos & !0x1e != 0 {
        return Err("Error: Invalid tos.".to_owned());
    }
    match ns.fib.rules.add(FibRule { pref, ..spec.rule.clone() }) {
        true => Ok(()),
        false => Err("RTNETLINK answers: File exists".to_owned()),
    }
}

/// What `ip rule show` prints.
pub(super) fn show(ns: &Netns, table: Option<FibTable>, pref: Option<u32>, format: IpFormat) -> Vec<String> {
    let chosen = |r: &&FibRule| {
        table.is_none_or(|t| r.action == RuleAction::Lookup(t)) && pref.is_none_or(|p| r.pref == p)
    };
    let rules = ns.fib.rules.list().iter().filter(chosen);
    if format.json {
        return vec![array(&rules.map(|r| rule_json(ns, r, format.details)).collect::<Vec<_>>())];
    }
    rules.map(|r| rule_line(ns, r, format.details)).collect()
}

/// Who made a rule, if that is printed. The tool says nothing of it to the kernel.
fn rule_proto(r: &FibRule, details: bool) -> Option<String> {
    let maker = if r.proto == proto::BOOT { 0 } else { r.proto };
    (details || maker != 0 && maker != proto::KERNEL).then(|| protocol_name(maker))
}

/// A rule as `ip rule` prints it, without its preference: what `ip rule add` reads.
pub fn rule_text(ns: &Netns, r: &FibRule) -> String {
    let line = rule_line(ns, r, false).replace(" [detached]", "");
    line.split_once('\t').map_or(String::new(), |(_, text)| text.to_owned())
}

fn rule_line(ns: &Netns, r: &FibRule, details: bool) -> String {
    let all = |net: Ipv4Net| if net.prefix_len() == 0 { "all".to_owned() } else { prefix(net) };
    let mut s = format!("{}:\t{}from {}", r.pref, if r.not { "not " } else { "" }, all(r.from));
    if r.to.prefix_len() != 0 {
        s += &format!(" to {}", prefix(r.to));
    }
    if r.tos != 0 {
        s += &format!(" tos {}", tos_name(r.tos));
    }
    if let Some((value, mask)) = r.fwmark {
        s += &if value == 0 { " fwmark 0".to_owned() } else { format!(" fwmark {value:#x}") };
        if mask != u32::MAX {
            s += &format!("/{mask:#x}");
        }
    }
    for (word, name) in [("iif", &r.iif), ("oif", &r.oif)] {
        if let Some(name) = name {
            let gone = if ns.device_by_name(name).is_none() { " [detached]" } else { "" };
            s += &format!(" {word} {name}{gone}");
        }
    }
    if r.ipproto != 0 {
        s += &format!(" ipproto {}", ipproto_name(r.ipproto));
    }
    for (word, range) in [("sport", r.sport), ("dport", r.dport)] {
        match range {
            Some((lo, hi)) if lo == hi => s += &format!(" {word} {lo}"),
            Some((lo, hi)) => s += &format!(" {word} {lo}-{hi}"),
            None => {}
        }
    }
    s += &match r.action {
        RuleAction::Lookup(table) => format!(" lookup {}", table_name(table)),
        RuleAction::Goto(to) => format!(" goto {to}{}", if resolved(ns, to) { "" } else { " [unresolved]" }),
        RuleAction::Nop => " nop".to_owned(),
        RuleAction::Blackhole => " blackhole".to_owned(),
        RuleAction::Unreachable => " unreachable".to_owned(),
        RuleAction::Prohibit => " prohibit".to_owned(),
    };
    if let Some(len) = r.suppress_prefixlen {
        s += &format!(" suppress_prefixlength {len}");
    }
    if let Some(proto) = rule_proto(r, details) {
        s += &format!(" proto {proto}");
    }
    s
}

/// True if there is a rule of that priority to go to.
fn resolved(ns: &Netns, to: u32) -> bool {
    ns.fib.rules.list().iter().any(|r| r.pref == to)
}

fn rule_json(ns: &Netns, r: &FibRule, details: bool) -> String {
    let mut out = Object::default();
    out.raw("priority", r.pref);
    if r.not {
        out.raw("not", "null");
    }
    match r.from.prefix_len() {
        0 => out.text("src", "all"),
        len => {
            out.text("src", r.from.addr());
            if len < 32 {
                out.raw("srclen", len);
            }
        }
    }
    if r.to.prefix_len() != 0 {
        out.text("dst", r.to.addr());
        if r.to.prefix_len() < 32 {
            out.raw("dstlen", r.to.prefix_len());
        }
    }
    if r.tos != 0 {
        out.text("tos", tos_name(r.tos));
    }
    if let Some((value, mask)) = r.fwmark {
        out.text("fwmark", if value == 0 { "0".to_owned() } else { format!("{value:#x}") });
        if mask != u32::MAX {
            out.text("fwmask", format_args!("{mask:#x}"));
        }
    }
    for (word, detached, name) in [("iif", "iif_detached", &r.iif), ("oif", "oif_detached", &r.oif)] {
        if let Some(name) = name {
            out.text(word, name);
            if ns.device_by_name(name).is_none() {
                out.raw(detached, "null");
            }
        }
    }
    if r.ipproto != 0 {
        out.text("ipproto", ipproto_name(r.ipproto));
    }
    for (word, range) in [("sport", r.sport), ("dport", r.dport)] {
        match range {
            Some((lo, hi)) if lo == hi => out.raw(word, lo),
            Some((lo, hi)) => {
                out.raw(&format!("{word}_start"), lo);
                out.raw(&format!("{word}_end"), hi);
            }
            None => {}
        }
    }
    match r.action {
        RuleAction::Lookup(table) => {
            out.text("table", table_name(table));
            if let Some(len) = r.suppress_prefixlen {
                out.raw("suppress_prefixlen", len);
            }
        }
        RuleAction::Goto(to) => {
            out.raw("goto", to);
            if !resolved(ns, to) {
                out.raw("unresolved", "null");
            }
        }
        RuleAction::Nop => out.raw("nop", "null"),
        RuleAction::Blackhole => out.text("action", "blackhole"),
        RuleAction::Unreachable => out.text("action", "unreachable"),
        RuleAction::Prohibit => out.text("action", "prohibit"),
    }
    if let Some(proto) = rule_proto(r, details) {
        out.text("protocol", proto);
    }
    out.done()
}

/// The name of a code point (/etc/iproute2/rt_dsfield), or the number in hexadecimal.
fn tos_name(tos: u8) -> String {
    match (tos >> 5, tos >> 3 & 3, tos & 7) {
        (class, 0, 0) => format!("CS{class}"),
        (5, 3, 0) => "EF".to_owned(),
        (class @ 1..=4, drop, 0) => format!("AF{class}{drop}"),
        _ => format!("{tos:#04x}"),
    }
}
