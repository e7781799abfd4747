//! `ip route` on a box, and what it prints (iproute2, ip/iproute.c).

use super::super::json::{Object, array};
use super::{device, refused_text};
use ipnet::Ipv4Net;
use kernel::route::{
    ALL_HOSTS, FibTable, NextHop, Route, RouteAnswer, RouteKind, RouteQuery, Scope, Verdict, proto,
};
use kernel::{DevId, Instant, Netns, PutRoute};
use userland::ip::{
    HopSpec, IpFormat, PrefixFilter, RouteCommand, RouteFilter, RouteSpec, defaults, protocol_name,
    scope_name, table_name,
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
            if let Some(dev) = &filter.dev {
                device(ns, dev)?;
            }
            let table = filter.table.unwrap_or(FibTable::MAIN);
            return match filter.all || ns.fib.has_table(table) {
                true => Ok(()),
                false => Err("Error: ipv4: FIB table does not exist.\nDump terminated".to_owned()),
            };
        }
        RouteCommand::Get(_) => return Ok(()),
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

pub(super) fn prefix(net: Ipv4Net) -> String {
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
    via: bool,
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
            via: filter.via.is_none(),
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
            if let Some(gw) = h.gateway.filter(|_| self.via) {
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
        s.extend(self.route_flags().into_iter().flat_map(|flag| [flag, " "]));
        if let Some((mtu, lock)) = r.mtu {
            s += &format!("mtu {}{mtu} ", if lock { "lock " } else { "" });
        }
        let mut out = vec![s];
        if r.hops.len() > 1 {
            for h in &r.hops {
                let via = h.gateway.map_or(String::new(), |gw| format!("via {gw} "));
                let flags: String = self.flags(h).into_iter().flat_map(|flag| [flag, " "]).collect();
                out.push(format!(
                    "\tnexthop {via}dev {} weight {} {flags}",
                    self.ns.dev_name(h.dev),
                    h.weight
                ));
            }
        }
        out
    }

    /// The flags of a route: those of its only way out, or that none of several has a carrier.
    fn route_flags(&self) -> Vec<&'static str> {
        match self.route.hops.as_slice() {
            [h] => self.flags(h),
            [] => Vec::new(),
            hops => {
                let lost = hops.iter().all(|h| self.flags(h).contains(&"linkdown"));
                lost.then_some("linkdown").into_iter().collect()
            }
        }
    }

    /// The flags of a way out. An address of ours is here, whatever the link.
    fn flags(&self, h: &NextHop) -> Vec<&'static str> {
        let dev = self.ns.device(h.dev).filter(|_| self.route.kind != RouteKind::Local);
        let (down, lost) = (dev.is_some_and(|d| !d.up), dev.is_some_and(|d| !self.ns.has_carrier(d)));
        let flags = [(down, "dead"), (h.onlink, "onlink"), (lost, "linkdown")];
        flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect()
    }

    fn json(&self) -> String {
        let (r, mut out) = (self.route, Object::default());
        if let Some(kind) = self.kind {
            out.text("type", kind);
        }
        out.text("dst", prefix(r.dst));
        if let [h] = r.hops.as_slice() {
            if let Some(gw) = h.gateway.filter(|_| self.via) {
                out.text("gateway", gw);
            }
            if self.dev {
                out.text("dev", self.ns.dev_name(h.dev));
            }
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
        out.texts("flags", &self.route_flags());
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

/// `ip route get`
pub(super) fn get(
    ns: &Netns,
    query: &RouteQuery<String>,
    now: Instant,
    format: IpFormat,
) -> Result<Vec<String>, String> {
    let dev = |name: &Option<String>| name.as_ref().map(|n| device(ns, n)).transpose();
    let devices = (dev(&query.iif)?, dev(&query.oif)?);
    let RouteQuery { dst, from, ref iif, mark, tos, ipproto, sport, dport, .. } = *query;
    let (by, oif) = devices;
    let way = ns.route_get(&RouteQuery { dst, from, iif: by, oif, mark, tos, ipproto, sport, dport });
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
