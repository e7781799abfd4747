//! `ip route` and `ip rule` on a box, and what they print (iproute2, ip/iproute.c, ip/iprule.c).

use super::super::json::{Object, array};
use super::{device, refused_text};
use ipnet::Ipv4Net;
use kernel::route::{
    ALL_HOSTS, FibRule, FibTable, NextHop, Route, RouteAnswer, RouteKind, RuleAction, Scope, Verdict, proto,
};
use kernel::{DevId, Instant, Netns, PutRoute};
use std::net::Ipv4Addr;
use userland::ip::{
    HopSpec, IpFormat, PrefixFilter, RouteCommand, RouteFilter, RouteSpec, RuleCommand, RuleSpec, defaults,
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
        RouteCommand::FlushCache => {
            ns.flush_route_cache();
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

/// What `ip route show` prints.
pub(super) fn show(ns: &Netns, filter: &RouteFilter, format: IpFormat) -> Vec<String> {
    let chosen = ns.fib.routes().iter().filter(|r| selected(ns, filter, r));
    let fields = chosen.map(|r| Fields::new(ns, r, filter, format.details));
    if format.json {
        return vec![array(&fields.map(|f| f.json()).collect::<Vec<_>>())];
    }
    let lines = fields.map(|f| f.lines());
    if format.oneline { lines.map(|l| l.join("\\")).collect() } else { lines.flatten().collect() }
}

/// A route as `ip route` prints it; several ways out stand behind each other.
pub fn route_text(ns: &Netns, r: &Route) -> String {
    let fields = Fields::new(ns, r, &RouteFilter::default(), false);
    fields.lines().concat().trim_end().replace('\t', "")
}

fn kind_word(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::Unicast => "unicast",
        RouteKind::Local => "local",
        RouteKind::Broadcast => "broadcast",
        RouteKind::Multicast => "multicast",
        RouteKind::Blackhole => "blackhole",
        RouteKind::Unreachable => "unreachable",
        RouteKind::Prohibit => "prohibit",
        RouteKind::Throw => "throw",
    }
}

fn prefix(net: Ipv4Net) -> String {
    match net.prefix_len() {
        0 => "default".to_owned(),
        32 => net.addr().to_string(),
        _ => net.to_string(),
    }
}

/// What is printed of a route: not what the filter has fixed, and with -d also what goes without saying.
struct Fields<'a> {
    ns: &'a Netns,
    route: &'a Route,
    kind: Option<&'static str>,
    dev: bool,
    table: Option<String>,
    proto: Option<String>,
    scope: Option<String>,
}

impl<'a> Fields<'a> {
    fn new(ns: &'a Netns, r: &'a Route, filter: &RouteFilter, details: bool) -> Fields<'a> {
        let said = |said: bool, unfixed: bool, text: fn(&Route) -> String| {
            ((said || details) && unfixed).then(|| text(r))
        };
        Fields {
            ns,
            route: r,
            kind: (r.kind != RouteKind::Unicast || details).then(|| kind_word(r.kind)),
            dev: filter.dev.is_none(),
            table: said(r.table != FibTable::MAIN, filter.all, |r| table_name(r.table)),
            proto: said(r.proto != proto::BOOT, filter.proto.is_none(), |r| protocol_name(r.proto)),
            scope: said(r.scope != Scope::Universe, filter.scope.is_none(), |r| {
                scope_name(r.scope).to_owned()
            }),
        }
    }

    fn lines(&self) -> Vec<String> {
        let r = self.route;
        let mut s = self.kind.map_or(String::new(), |k| format!("{k} "));
        s += &format!("{} ", prefix(r.dst));
        if let [h] = r.hops.as_slice() {
            if let Some(gw) = h.gateway {
                s += &format!("via {gw} ");
            }
            if self.dev {
                s += &format!("dev {} ", self.ns.dev_name(h.dev));
            }
        }
        for (word, field) in [("table", &self.table), ("proto", &self.proto), ("scope", &self.scope)] {
            if let Some(field) = field {
                s += &format!("{word} {field} ");
            }
        }
        if let Some(src) = r.prefsrc {
            s += &format!("src {src} ");
        }
        if r.metric != 0 {
            s += &format!("metric {} ", r.metric);
        }
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
                let flags: String = self.flags(h).iter().map(|f| format!("{f} ")).collect();
                out.push(format!(
                    "\tnexthop {via}dev {} weight {} {flags}",
                    self.ns.dev_name(h.dev),
                    h.weight
                ));
            }
        }
        out
    }

    /// The flags of one of several ways out.
    fn flags(&self, h: &NextHop) -> Vec<&'static str> {
        let down = self.ns.device(h.dev).is_some_and(|d| !d.up);
        let flags = [(down, "dead"), (down, "linkdown"), (h.onlink, "onlink")];
        flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect()
    }

    fn json(&self) -> String {
        let (r, mut out) = (self.route, Object::default());
        if let Some(kind) = self.kind {
            out.text("type", kind);
        }
        out.text("dst", prefix(r.dst));
        let mut flags: &[&str] = &[];
        if let [h] = r.hops.as_slice() {
            if let Some(gw) = h.gateway {
                out.text("gateway", gw);
            }
            if self.dev {
                out.text("dev", self.ns.dev_name(h.dev));
            }
            flags = if h.onlink { &["onlink"] } else { &[] };
        }
        for (name, field) in [("table", &self.table), ("protocol", &self.proto), ("scope", &self.scope)] {
            if let Some(field) = field {
                out.text(name, field);
            }
        }
        if let Some(src) = r.prefsrc {
            out.text("prefsrc", src);
        }
        if r.metric != 0 {
            out.raw("metric", r.metric);
        }
        out.texts("flags", flags);
        if let Some((mtu, _)) = r.mtu {
            out.raw("metrics", format_args!("[{{\"mtu\":{mtu}}}]"));
        }
        if r.hops.len() > 1 {
            let hop = |h: &NextHop| {
                let mut out = Object::default();
                if let Some(gw) = h.gateway {
                    out.text("gateway", gw);
                }
                out.text("dev", self.ns.dev_name(h.dev));
                out.raw("weight", h.weight);
                out.texts("flags", &self.flags(h));
                out.done()
            };
            out.raw("nexthops", array(&r.hops.iter().map(hop).collect::<Vec<_>>()));
        }
        out.done()
    }
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

/// What `ip rule show` prints.
pub(super) fn show_rules(
    ns: &Netns,
    table: Option<FibTable>,
    pref: Option<u32>,
    format: IpFormat,
) -> Vec<String> {
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

/// `ip route get`
pub(super) fn get(
    ns: &Netns,
    dst: Ipv4Addr,
    from: Option<Ipv4Addr>,
    [iif, oif]: [Option<&String>; 2],
    (mark, now): (u32, Instant),
    format: IpFormat,
) -> Result<Vec<String>, String> {
    let dev = |name: Option<&String>| name.map(|n| device(ns, n)).transpose();
    let way = ns.route_get(dst, from, dev(iif)?, dev(oif)?, mark);
    let RouteAnswer { dst: way, route, redirect } = way.map_err(|why| format!("RTNETLINK answers: {why}"))?;
    let many = way.verdict == Verdict::Multicast;
    let here = way.verdict == Verdict::Local || way.verdict == Verdict::Broadcast || many && dst == ALL_HOSTS;
    let (kind, flag) = match way.verdict {
        // By `lo`, but not because the address is ours.
        Verdict::Local if route.as_ref().is_some_and(|r| r.kind != RouteKind::Local) => ("unicast", ""),
        Verdict::Local => ("local", ""),
        Verdict::Broadcast => ("broadcast", "brd"),
        Verdict::Multicast => ("multicast", "mc"),
        Verdict::Out => ("unicast", if redirect { "redirect" } else { "" }),
    };
    let kind = (kind != "unicast" || format.details).then_some(kind);
    // Without rules of one's own the kernel says main of every route.
    let table = route.as_ref().filter(|_| ns.fib.rules.is_custom()).map_or(FibTable::MAIN, |r| r.table);
    let table = (table != FibTable::MAIN || format.details).then(|| table_name(table));
    let flags: Vec<&str> =
        [if here { "local" } else { "" }, flag].into_iter().filter(|f| !f.is_empty()).collect();
    let told = ns.pmtu_to(dst, now).filter(|_| iif.is_none() && way.verdict == Verdict::Out);
    let mtu = told.map(|p| (p.mtu, p.locked)).or(route.as_ref().and_then(|r| r.mtu));
    let expires = told.map(|p| p.expires.since(now).as_secs());
    let source = from.is_none().then_some(way.source);
    if format.json {
        let mut out = Object::default();
        if let Some(kind) = kind {
            out.text("type", kind);
        }
        out.text("dst", dst);
        if let Some(from) = from {
            out.text("from", from);
        }
        if let Some(gw) = way.gateway {
            out.text("gateway", gw);
        }
        out.text("dev", ns.dev_name(way.dev));
        if let Some(table) = table {
            out.text("table", table);
        }
        if let Some(source) = source {
            out.text("prefsrc", source);
        }
        out.texts("flags", if many { &["rt_offload_failed"] } else { &[] });
        if mark != 0 {
            out.raw("mark", mark);
        }
        if iif.is_none() {
            out.raw("uid", 0);
        }
        out.texts("cache", &flags);
        if let Some(seconds) = expires {
            out.raw("expires", seconds);
        }
        if let Some((mtu, _)) = mtu {
            out.raw("metrics", format_args!("[{{\"mtu\":{mtu}}}]"));
        }
        if let Some(iif) = iif {
            out.text("iif", iif);
        }
        return Ok(vec![array(&[out.done()])]);
    }
    let mut s = kind.map_or(String::new(), |k| format!("{k} "));
    s += &format!("{dst} ");
    if let Some(from) = from {
        s += &format!("from {from} ");
    }
    if let Some(gw) = way.gateway {
        s += &format!("via {gw} ");
    }
    s += &format!("dev {} ", ns.dev_name(way.dev));
    if let Some(table) = table {
        s += &format!("table {table} ");
    }
    if let Some(source) = source {
        s += &format!("src {source} ");
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
    let mut cache = String::from("    cache ");
    if !flags.is_empty() {
        cache += &format!("<{}> ", flags.join(","));
    }
    if let Some(seconds) = expires {
        cache += &format!("expires {seconds}sec ");
    }
    if let Some((mtu, lock)) = mtu {
        cache += &format!("mtu {}{mtu} ", if lock { "lock " } else { "" });
    }
    if let Some(iif) = iif {
        cache += &format!("iif {iif} ");
    }
    Ok(if format.oneline { vec![format!("{s}\\{cache}")] } else { vec![s, cache] })
}
