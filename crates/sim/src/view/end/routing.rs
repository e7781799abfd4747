//! Why a packet finds no way, is not let in from where it came, or finds no neighbour.

use super::{At, End, dst, ip, src};
use crate::operator::route_text;
use kernel::Netns;
use kernel::event::What;
use kernel::route::{FibRule, RouteQuery, RuleAction, Unreachable};
use packet::{Frame, Payload};

pub(super) fn unreachable(at: &At<'_>, u: Unreachable, frame: &Frame) -> End {
    let to = dst(frame);
    let found = at.this().into_iter().chain(at.before()).find_map(|w| match w {
        What::Route(r) => Some((r.input, r.route.clone())),
        _ => None,
    });
    let (input, route) = found.unwrap_or_default();
    let (what, needed) = (format!("route to {to}"), "a route that leads on");
    let end = End::by("routing");
    // A rule says it without a route.
    let refuses = |r: &&FibRule| {
        matches!(
            (r.action, u),
            (RuleAction::Blackhole, Unreachable::Invalid)
                | (RuleAction::Prohibit, Unreachable::Prohibited)
                | (RuleAction::Unreachable, Unreachable::Net)
        )
    };
    let rule = at.ns.fib.rules.list().iter().find(refuses);
    match (route, rule) {
        (Some(route), _) if route.kind.is_error() => {
            let text = route_text(at.ns, &route);
            end.look(what, text.clone(), needed)
                .or(format!("ip route del {text}: then the next best route is taken."))
                .or(format!("A more specific route to {to}."))
        }
        (None, Some(rule)) => end
            .look(what, format!("{u}, says the rule with preference {}", rule.pref), needed)
            .or(format!("ip rule del pref {}", rule.pref))
            .or("A rule before it that asks a table with a route."),
        _ if u == Unreachable::Invalid && !input => end
            .look("source", src(frame), "an address of this box")
            .or("A source address that is this box's own."),
        _ => {
            let end = end
                .look(what, format!("none: {u}"), needed)
                .or(format!("ip route add {to} via GATEWAY, or a default route."));
            if at.world.hosts().iter().any(|ns| has(ns, &to)) {
                return end;
            }
            // The address of a Service, mostly.
            end.look(
                format!("box with the address {to}"),
                "none",
                "one, or another destination before routing",
            )
            .or(format!("A rule that translates {to} before routing: no box has that address."))
        }
    }
}

/// The box has this address.
fn has(ns: &Netns, addr: &str) -> bool {
    ns.devices().iter().any(|d| !d.gone && d.addrs.iter().any(|a| a.net.addr().to_string() == addr))
}

pub(super) fn rp_filter(at: &At<'_>, frame: &Frame) -> End {
    let dev = at.dev_name();
    let conf =
        at.dev.and_then(|d| at.ns.device(d)).map_or(0, |d| d.conf.rp_filter).max(at.ns.sysctl.all.rp_filter);
    let (Payload::Ip(packet), mode) = (&frame.payload, if conf == 2 { 2 } else { 1 }) else {
        return End::by("rp_filter");
    };
    let (std::net::IpAddr::V4(src), std::net::IpAddr::V4(dst)) = (packet.src, packet.dst) else {
        return End::by("rp_filter");
    };
    let back = at
        .ns
        .route_get(&RouteQuery { from: Some(dst), ..RouteQuery::to(src) })
        .or_else(|_| at.ns.route_get(&RouteQuery::to(src)));
    let back = match back {
        Ok(a) => {
            let text = a.route.as_ref().map(|r| route_text(at.ns, r)).unwrap_or_default();
            format!("by {} (“{text}”)", at.ns.dev_name(a.dst.dev))
        }
        Err(e) => format!("none: {e}"),
    };
    let need = if mode == 1 { format!("by {dev}, where it came in") } else { "any".to_owned() };
    End::by("rp_filter")
        .look(format!("way back to {src}"), back, need)
        .look(
            format!("rp_filter of {dev} (the larger of conf.all and conf.{dev})"),
            mode.to_string(),
            "0, or 2 where some route leads back",
        )
        .or(format!("A route to {src} by {dev}."))
        .or(format!("sysctl -w net.ipv4.conf.{dev}.rp_filter=2 (with conf.all not 1), or 0 for both."))
}

pub(super) fn martian_source(at: &At<'_>, frame: &Frame) -> End {
    let (dev, from) = (at.dev_name(), src(frame));
    let addr = ip(frame).map(|ip| ip.src);
    let end = End::by("fib_validate_source()");
    if addr.is_some_and(|a| a.is_loopback()) {
        return end
            .look("source", format!("{from}: loopback, from a device"), "another address")
            .look(format!("net.ipv4.conf.{dev}.route_localnet"), "0", "1")
            .or(format!("sysctl -w net.ipv4.conf.{dev}.route_localnet=1"))
            .or("Source NAT before the packet leaves its host: MASQUERADE.");
    }
    if addr.is_some_and(|a| a.is_multicast()) || from == "255.255.255.255" || from.starts_with("0.") {
        return end
            .look("source", from, "the address of one host")
            .or("A sender with an address of its own.");
    }
    let owner = at.ns.devices().iter().find(|d| d.addrs.iter().any(|a| a.net.addr().to_string() == from));
    match owner {
        Some(d) => end
            .look("source", format!("{from}: this box's own, on {}", d.name), "somebody else's address")
            .look(format!("net.ipv4.conf.{dev}.accept_local"), "0", "1")
            .or("Source NAT to another address before the packet comes back.")
            .or(format!("sysctl -w net.ipv4.conf.{dev}.accept_local=1")),
        None => end
            .look(format!("way back to {from}"), "none to a single host", "a unicast route")
            .or(format!("A route to {from}.")),
    }
}

pub(super) fn martian_destination(at: &At<'_>, frame: &Frame) -> End {
    let (dev, to) = (at.dev_name(), dst(frame));
    let end = End::by("routing");
    if ip(frame).is_some_and(|ip| ip.dst.is_loopback()) {
        return end
            .look("destination", format!("{to}: loopback, from a device"), "another address")
            .look(format!("net.ipv4.conf.{dev}.route_localnet"), "0", "1")
            .or(format!("sysctl -w net.ipv4.conf.{dev}.route_localnet=1"));
    }
    end.look("destination", to, "an address that is valid on the wire, with a route that leads on")
        .or("Another destination.")
}

pub(super) fn no_neighbour(at: &At<'_>, addr: &str) -> End {
    let dev = at.dev_name();
    let asked = at.before().find_map(|w| match w {
        What::Neigh { addr, .. } => Some(addr.to_string()),
        _ => None,
    });
    let addr = asked.unwrap_or_else(|| addr.to_owned());
    let end = End::by("ARP").look(
        format!("who has {addr}, asked by {dev}"),
        "no answer",
        "the MAC of a box on that link",
    );
    by_proxy(at, &addr, end)
        .or(format!("A box with the address {addr} on the link behind {dev}, that is up."))
        .or(format!("Another route, if {addr} is not on that link."))
        .or(format!("ip neigh add {addr} lladdr MAC dev {dev}, or proxy ARP by a box that can reach it."))
}

/// Where nobody has the address, the box at the other end of the link may answer for it.
fn by_proxy(at: &At<'_>, addr: &str, end: End) -> End {
    let peer = at.dev.and_then(|d| at.world.peer((at.ns.id, d)));
    let peer = peer.and_then(|(host, dev)| Some((at.world.host(host)?, dev)));
    let Some((ns, dev)) = peer else { return end };
    let (Some(device), Ok(to)) = (ns.device(dev), addr.parse()) else { return end };
    if device.master.is_some() || at.world.hosts().iter().any(|ns| has(ns, addr)) {
        return end;
    }
    let (name, on) = (&device.name, device.conf.proxy_arp != 0 || ns.sysctl.all.proxy_arp != 0);
    let end =
        end.look(format!("net.ipv4.conf.{name}.proxy_arp of {}", ns.name), if on { "1" } else { "0" }, "1");
    match ns.route_get(&RouteQuery::to(to)) {
        Ok(_) if on => end,
        Ok(_) => end.or(format!("sysctl -w net.ipv4.conf.{name}.proxy_arp=1, on {}", ns.name)),
        Err(why) => end
            .look(format!("route of {} to {addr}", ns.name), format!("none: {why}"), "one by another device")
            .or(format!("A default route on {}: it answers for what it has a way to.", ns.name)),
    }
}
