//! `ip route` and `ip rule` on a box, and what they print (iproute2, ip/iproute.c, ip/iprule.c).

use super::{device, refused_text};
use ipnet::Ipv4Net;
use kernel::route::{
    ALL_HOSTS, FibRule, FibTable, NextHop, Route, RouteAnswer, RouteKind, RuleAction, Scope, Verdict, proto,
};
use kernel::{DevId, Netns, PutRoute};
use std::net::Ipv4Addr;
use userland::ip::{
    HopSpec, PrefixFilter, RouteCommand, RouteFilter, RouteSpec, RuleCommand, RuleSpec, defaults,
    ipproto_name, protocol_name, scope_name, table_name,
};

/// A number that no device has: the kernel has to find it by the gateway.
const NO_DEVICE: DevId = DevId(u16::MAX);

fn hop(ns: &Netns, spec: &HopSpec) -> Result<NextHop, String> {
    let dev = spec.dev.as_ref().map(|name| device(ns, name)).transpose()?.unwrap_or(NO_DEVICE);
    Ok(NextHop { weight: spec.weight.unwrap_or(1), onlink: spec.onlink, ..NextHop::new(spec.via, dev) })
}

fn to_route(ns: &Netns, spec: &RouteSpec, delete: bool) -> Result<Route, String> {
    let kind = spec.kind.unwrap_or(RouteKind::Unicast);
    let one = spec.hop.via.is_some() || spec.hop.dev.is_some() || !kind.is_error();
    let hops = match spec.more.as_slice() {
        [] if one => vec![hop(ns, &spec.hop)?],
        more => more.iter().map(|h| hop(ns, h)).collect::<Result<_, _>>()?,
    };
    let (proto, scope, table) = defaults(spec, delete);
    Ok(Route {
        table,
        dst: spec.dst.trunc(),
        kind,
        hops,
        prefsrc: spec.src,
        metric: spec.metric.unwrap_or(0),
        scope,
        proto,
        mtu: spec.mtu,
    })
}

/// What `ip route` changes.
pub(super) fn change(ns: &mut Netns, command: &RouteCommand) -> Result<(), String> {
    let (spec, how) = match command {
        RouteCommand::Add(spec) => (spec, PutRoute::Add),
        RouteCommand::Append(spec) => (spec, PutRoute::Append),
        RouteCommand::Replace(spec) => (spec, PutRoute::Replace),
        RouteCommand::Change(spec) => (spec, PutRoute::Change),
        RouteCommand::Del(spec) => return delete(ns, spec),
        RouteCommand::Flush(filter) => {
            let gone: Vec<_> = ns.fib.routes().iter().filter(|r| selected(ns, filter, r)).cloned().collect();
            ns.fib.remove(&|r| gone.iter().any(|g| **g == *r));
            return Ok(());
        }
        RouteCommand::Show(filter) => {
            let table = filter.table.unwrap_or(FibTable::MAIN);
            return match filter.all || ns.fib.has_table(table) {
                true => Ok(()),
                false => Err("Error: ipv4: FIB table does not exist.\nDump terminated".to_owned()),
            };
        }
        RouteCommand::Get { .. } => return Ok(()),
    };
    let route = to_route(ns, spec, false)?;
    ns.add_route(route, how).map_err(refused_text)
}

/// `fib_table_delete`: the first route of the table and the prefix that has everything that is said.
fn delete(ns: &mut Netns, spec: &RouteSpec) -> Result<(), String> {
    let want = to_route(ns, spec, true)?;
    if !ns.fib.has_table(want.table) {
        return Err("Error: FIB table does not exist.".to_owned());
    }
    let any_hop = [NextHop::new(None, NO_DEVICE)];
    let hops_fit = |r: &Route| {
        let fits = |w: &NextHop, h: &NextHop| {
            (w.dev == NO_DEVICE || w.dev == h.dev) && w.gateway.is_none_or(|g| h.gateway == Some(g))
        };
        want.hops == any_hop
            || want.hops.is_empty()
            || spec.more.is_empty()
                && want.hops.iter().zip(&r.hops).all(|(w, h)| fits(w, h))
                && !r.hops.is_empty()
            || want.hops.len() == r.hops.len() && want.hops.iter().zip(&r.hops).all(|(w, h)| fits(w, h))
    };
    let gone = ns.fib.remove_first(&|r| {
        r.table == want.table
            && r.dst == want.dst
            && spec.kind.is_none_or(|k| r.kind == k)
            && (want.scope == Scope::Nowhere || r.scope == want.scope)
            && spec.metric.is_none_or(|m| r.metric == m)
            && spec.src.is_none_or(|s| r.prefsrc == Some(s))
            && spec.proto.is_none_or(|p| r.proto == p)
            && hops_fit(r)
    });
    if gone { Ok(()) } else { Err("RTNETLINK answers: No such process".to_owned()) }
}

fn selected(ns: &Netns, filter: &RouteFilter, r: &Route) -> bool {
    // Of a route with several ways out neither device nor gateway is looked at.
    let hop = r.hops.first().filter(|_| r.hops.len() == 1);
    (filter.all || r.table == filter.table.unwrap_or(FibTable::MAIN))
        && filter.dst.is_none_or(|p| match p {
            PrefixFilter::Exact(net) => r.dst == net,
            PrefixFilter::Root(net) => net.contains(&r.dst),
            PrefixFilter::Match(net) => r.dst.contains(&net),
        })
        && filter.dev.as_ref().is_none_or(|name| hop.is_some_and(|h| ns.dev_name(h.dev) == name))
        && filter.via.is_none_or(|gw| hop.is_some_and(|h| h.gateway == Some(gw)))
        && filter.kind.is_none_or(|k| r.kind == k)
        && filter.proto.is_none_or(|p| r.proto == p)
        && filter.scope.is_none_or(|s| r.scope == s)
        && filter.src.is_none_or(|s| r.prefsrc == Some(s))
}

/// The lines of `ip route show`.
pub(super) fn show(ns: &Netns, filter: &RouteFilter) -> Vec<String> {
    let chosen = ns.fib.routes().iter().filter(|r| selected(ns, filter, r));
    chosen.flat_map(|r| lines(ns, r, filter)).collect()
}

/// A route as `ip route` prints it; several ways out stand behind each other.
pub fn route_text(ns: &Netns, r: &Route) -> String {
    lines(ns, r, &RouteFilter::default()).concat().trim_end().replace('\t', "")
}

fn kind_word(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::Unicast => "",
        RouteKind::Local => "local ",
        RouteKind::Broadcast => "broadcast ",
        RouteKind::Multicast => "multicast ",
        RouteKind::Blackhole => "blackhole ",
        RouteKind::Unreachable => "unreachable ",
        RouteKind::Prohibit => "prohibit ",
        RouteKind::Throw => "throw ",
    }
}

fn prefix(net: Ipv4Net) -> String {
    match net.prefix_len() {
        0 => "default".to_owned(),
        32 => net.addr().to_string(),
        _ => net.to_string(),
    }
}

/// What the filter has fixed is not printed.
fn lines(ns: &Netns, r: &Route, filter: &RouteFilter) -> Vec<String> {
    let mut s = format!("{}{} ", kind_word(r.kind), prefix(r.dst));
    if let [h] = r.hops.as_slice() {
        if let Some(gw) = h.gateway {
            s += &format!("via {gw} ");
        }
        if filter.dev.is_none() {
            s += &format!("dev {} ", ns.dev_name(h.dev));
        }
    }
    if filter.all && r.table != FibTable::MAIN {
        s += &format!("table {} ", table_name(r.table));
    }
    if r.proto != proto::BOOT && filter.proto.is_none() {
        s += &format!("proto {} ", protocol_name(r.proto));
    }
    if r.scope != Scope::Universe && filter.scope.is_none() {
        s += &format!("scope {} ", scope_name(r.scope));
    }
    if let Some(src) = r.prefsrc {
        s += &format!("src {src} ");
    }
    if r.metric != 0 {
        s += &format!("metric {} ", r.metric);
    }
    let down = |h: &NextHop| ns.device(h.dev).is_some_and(|d| !d.up);
    if matches!(r.hops.as_slice(), [h] if h.onlink) {
        s += "onlink ";
    }
    if let Some((mtu, lock)) = r.mtu {
        s += &format!("mtu {}{mtu} ", if lock { "lock " } else { "" });
    }
    let mut out = vec![s];
    if r.hops.len() > 1 {
        for h in &r.hops {
            let via = h.gateway.map_or(String::new(), |gw| format!("via {gw} "));
            let onlink = if h.onlink { "onlink " } else { "" };
            let dead = if down(h) { "dead linkdown " } else { "" };
            out.push(format!("\tnexthop {via}dev {} weight {} {dead}{onlink}", ns.dev_name(h.dev), h.weight));
        }
    }
    out
}

/// What `ip rule` changes.
pub(super) fn rule(ns: &mut Netns, command: &RuleCommand) -> Result<(), String> {
    match command {
        RuleCommand::Add(spec) => add_rule(ns, spec),
        RuleCommand::Del(spec) => {
            let plain = FibRule { proto: 0, ..FibRule::lookup(0, FibTable::MAIN) };
            let w = &spec.rule;
            let gone = ns.fib.rules.remove_first(&|r| {
                spec.pref.is_none_or(|p| p == r.pref)
                    && (!spec.action || w.action == r.action)
                    && (!w.not || r.not)
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

fn add_rule(ns: &mut Netns, spec: &RuleSpec) -> Result<(), String> {
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

/// The lines of `ip rule show`.
pub(super) fn show_rules(ns: &Netns, table: Option<FibTable>) -> Vec<String> {
    let chosen = |r: &&FibRule| table.is_none_or(|t| r.action == RuleAction::Lookup(t));
    ns.fib.rules.list().iter().filter(chosen).map(|r| rule_text(ns, r)).collect()
}

fn rule_text(ns: &Netns, r: &FibRule) -> String {
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
        RuleAction::Goto(to) => {
            let known = ns.fib.rules.list().iter().any(|r| r.pref == to);
            format!(" goto {to}{}", if known { "" } else { " [unresolved]" })
        }
        RuleAction::Nop => " nop".to_owned(),
        RuleAction::Blackhole => " blackhole".to_owned(),
        RuleAction::Unreachable => " unreachable".to_owned(),
        RuleAction::Prohibit => " prohibit".to_owned(),
    };
    if let Some(len) = r.suppress_prefixlen {
        s += &format!(" suppress_prefixlength {len}");
    }
    if r.proto != proto::KERNEL && r.proto != proto::BOOT {
        s += &format!(" proto {}", protocol_name(r.proto));
    }
    s
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

/// `ip route get`
pub(super) fn get(
    ns: &Netns,
    dst: Ipv4Addr,
    from: Option<Ipv4Addr>,
    [iif, oif]: [Option<&String>; 2],
    mark: u32,
) -> Result<Vec<String>, String> {
    let dev = |name: Option<&String>| name.map(|n| device(ns, n)).transpose();
    let way = ns.route_get(dst, from, dev(iif)?, dev(oif)?, mark);
    let RouteAnswer { dst: way, route, redirect } = way.map_err(|why| format!("RTNETLINK answers: {why}"))?;
    let many = way.verdict == Verdict::Multicast;
    let here = way.verdict == Verdict::Local || way.verdict == Verdict::Broadcast || many && dst == ALL_HOSTS;
    let (kind, flag) = match way.verdict {
        // By `lo`, but not because the address is ours.
        Verdict::Local if route.as_ref().is_some_and(|r| r.kind != RouteKind::Local) => ("", ""),
        Verdict::Local => ("local ", ""),
        Verdict::Broadcast => ("broadcast ", "brd"),
        Verdict::Multicast => ("multicast ", "mc"),
        Verdict::Out => ("", if redirect { "redirect" } else { "" }),
    };
    let mut s = format!("{kind}{dst} ");
    if let Some(from) = from {
        s += &format!("from {from} ");
    }
    if let Some(gw) = way.gateway {
        s += &format!("via {gw} ");
    }
    s += &format!("dev {} ", ns.dev_name(way.dev));
    if let Some(r) = route.as_ref().filter(|r| ns.fib.rules.is_custom() && r.table != FibTable::MAIN) {
        s += &format!("table {} ", table_name(r.table));
    }
    if from.is_none() {
        s += &format!("src {} ", way.source);
    }
    if many {
        // A flag of the kernel's that stands for the group is taken for this one by the tool.
        s += "rt_offload_failed ";
    }
    match mark {
        0 => {}
        1..16 => s += &format!("mark {mark} "),
        _ => s += &format!("mark {mark:#x} "),
    }
    if iif.is_none() {
        s += "uid 0 ";
    }
    let flags: Vec<&str> =
        [if here { "local" } else { "" }, flag].into_iter().filter(|f| !f.is_empty()).collect();
    let mut cache = String::from("    cache ");
    if !flags.is_empty() {
        cache += &format!("<{}> ", flags.join(","));
    }
    if let Some((mtu, lock)) = route.as_ref().and_then(|r| r.mtu) {
        cache += &format!("mtu {}{mtu} ", if lock { "lock " } else { "" });
    }
    if let Some(iif) = iif {
        cache += &format!("iif {iif} ");
    }
    Ok(vec![s, cache])
}
