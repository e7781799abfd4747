//! Ways that a packet did not find: routes, neighbours, links, room.

use super::{Met, typed};
use crate::session::Typed;
use ipnet::Ipv4Net;
use kernel::dev::{DevKind, Device};
use kernel::event::What;
use kernel::route::{FibTable, Route, RouteEvent, RouteKind, RuleAction, Verdict, proto};
use kernel::{DevId, DropReason, Netns};
use packet::Mac;
use sim::operator::route_text;
use sim::view::{neighbour_with, pinned_port};
use sim::{Entry, World};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// Against the end of a packet on its way.
pub(super) fn against(met: &Met<'_>) -> Vec<Typed> {
    let dev = match met.end.entry.what() {
        Some(What::Drop { dev, .. }) => dev.map_or("", |d| met.ns.dev_name(d)),
        _ => "",
    };
    let one = |line: String| vec![met.here(line)];
    let mut out = match met.end.reason {
        DropReason::Unreachable(_) => no_route(met),
        DropReason::NeighFailed => no_neighbour(met),
        DropReason::OtherHost => nobody_takes(met.world, met.end.frame.src, met.end.frame.dst),
        DropReason::DevDown => one(up(dev)),
        DropReason::RpFilter => one(format!("sysctl -w net.ipv4.conf.{dev}.rp_filter=2")),
        // On nodes there is a switch for that.
        DropReason::ForwardingDisabled if !met.at_node() => one("sysctl -w net.ipv4.ip_forward=1".to_owned()),
        DropReason::BridgeNoHairpin => one(format!("bridge link set dev {dev} hairpin on")),
        DropReason::CtTableFull => one("sysctl -w net.netfilter.nf_conntrack_max=262144".to_owned()),
        DropReason::PacketTooBig | DropReason::TooLongForPeer => {
            let clamp = "iptables -t mangle -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu";
            vec![typed(Some("nodes"), clamp.to_owned())]
        }
        _ => Vec::new(),
    };
    out.extend(twice_there(met));
    out
}

fn up(dev: &str) -> String {
    format!("ip link set {dev} up")
}

/// The last routing decision about the packet in this box.
fn routed<'a>(met: &Met<'a>) -> Option<&'a RouteEvent> {
    met.before().find_map(|what| match what {
        What::Route(event) => Some(event),
        _ => None,
    })
}

fn no_route(met: &Met<'_>) -> Vec<Typed> {
    let Some(event) = routed(met) else { return Vec::new() };
    let refused = event.route.iter().filter(|r| r.kind.is_error()).map(|r| {
        let table = if r.table == FibTable::MAIN { String::new() } else { format!(" table {}", r.table.0) };
        format!("ip route del {}{table}", route_text(met.ns, r))
    });
    let refuses =
        |action| matches!(action, RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit);
    let rules = met.ns.fib.rules.list().iter().filter(|r| refuses(r.action));
    let rules = rules.map(|r| format!("ip rule del pref {}", r.pref));
    let lines = refused.chain(rules).map(|line| met.here(line));
    lines.chain(ways_to(met.world, met.ns, event.dst)).collect()
}

/// What would give a box a way to an address: a device that is up, a route to what is on its link, a gateway.
fn ways_to(world: &World, ns: &Netns, dst: Ipv4Addr) -> Vec<Typed> {
    let addressed =
        || ns.devices().iter().filter(|d| !d.addrs.is_empty() && !matches!(d.kind, DevKind::Loopback));
    let mut lines: Vec<String> = addressed().filter(|d| !d.up).map(|d| up(&d.name)).collect();
    for dev in addressed() {
        let link = dev.addrs.iter().map(|a| a.net.trunc()).find(|n| n.contains(&dst));
        lines.extend(link.map(|net| format!("ip route add {net} dev {}", dev.name)));
    }
    for (gateway, net) in next_hops(world, ns, dst) {
        // A box with one link sends everything by it.
        if addressed().count() == 1 {
            lines.push(format!("ip route add default via {gateway}"));
        }
        lines.push(format!("ip route add {net} via {gateway}"));
    }
    lines.into_iter().map(|line| typed(Some(&ns.name), line)).collect()
}

/// Against a command that sends nothing, as its box has no way to the address that it names.
pub(super) fn unsent(world: &World, entries: &[Entry], line: &str) -> Vec<Typed> {
    let made = entries.iter().any(|e| matches!(e.what(), Some(What::Created { .. })));
    let ns = entries.first().and_then(|e| world.host(e.host)).filter(|_| !made);
    let words = line.split(|c: char| !c.is_ascii_digit() && c != '.');
    let named = words.filter_map(|word| word.parse::<Ipv4Addr>().ok());
    let ways = ns.into_iter().flat_map(|ns| {
        let lost = named.clone().filter(|to| ns.route_get(*to, None, None, None, 0).is_err());
        lost.flat_map(|to| ways_to(world, ns, to)).collect::<Vec<_>>()
    });
    ways.collect()
}

fn no_neighbour(met: &Met<'_>) -> Vec<Typed> {
    let asked = met.before().find_map(|what| match what {
        What::Neigh { addr, .. } => Some(*addr),
        _ => None,
    });
    let mut out = Vec::new();
    let dst = met.end.frame.ip().map(|ip| ip.dst);
    let route: Option<Rc<Route>> = routed(met).and_then(|e| e.route.clone());
    if let (Some(IpAddr::V4(dst)), Some(route)) = (dst, route) {
        for (gateway, _) in next_hops(met.world, met.ns, dst) {
            let net = if route.dst.prefix_len() == 0 { "default".to_owned() } else { route.dst.to_string() };
            if Some(gateway) != asked {
                out.push(met.here(format!("ip route replace {net} via {gateway}")));
            }
        }
        if route.proto != proto::KERNEL {
            out.push(met.here(format!("ip route del {}", route_text(met.ns, &route))));
        }
    }
    out.extend(asked.and_then(|addr| missing_address(met, addr)));
    // The answer may have gone astray.
    let dev = met.before().find_map(|what| match what {
        What::Neigh { dev, .. } => met.ns.device(*dev),
        _ => None,
    });
    out.extend(dev.into_iter().flat_map(|d| nobody_takes(met.world, d.mac, d.mac)));
    out
}

/// Boxes on a link of this one from which a packet would come to an address, by the addresses that they have there, each with the network
/// that is behind it.
fn next_hops(world: &World, ns: &Netns, dst: Ipv4Addr) -> Vec<(Ipv4Addr, Ipv4Net)> {
    let here: Vec<Ipv4Net> =
        ns.devices().iter().filter(|d| d.up).flat_map(|d| &d.addrs).map(|a| a.net).collect();
    let mut out = Vec::new();
    for other in world.hosts().iter().filter(|other| other.id != ns.id) {
        for (dev, net) in other.devices().iter().flat_map(|d| d.addrs.iter().map(|a| (d.id, a.net))) {
            let link = |h: &Ipv4Net| h.prefix_len() < 32 && h.contains(&net.addr()) && h.addr() != net.addr();
            if here.iter().any(link) && !net.addr().is_loopback() {
                out.extend(leads(other, dev, dst).map(|behind| (net.addr(), behind)));
            }
        }
    }
    out.truncate(3);
    out
}

/// The network of an address as a box has it, if a packet that comes to it by this device goes there.
fn leads(ns: &Netns, by: DevId, dst: Ipv4Addr) -> Option<Ipv4Net> {
    let way = ns.route_get(dst, None, None, None, 0).ok()?;
    let goes = way.dst.verdict == Verdict::Local || way.dst.dev != by && way.dst.gateway.is_none();
    let net = way.route.filter(|r| r.kind == RouteKind::Unicast).map(|r| r.dst);
    goes.then(|| net.filter(|n| n.prefix_len() > 0).unwrap_or(Ipv4Net::from(dst)))
}

/// The address that a node or a pod should have, on the box that lacks it.
fn missing_address(met: &Met<'_>, addr: Ipv4Addr) -> Option<Typed> {
    let begun = met.begun?;
    let ip = IpAddr::V4(addr);
    let node = begun.objects.nodes.values().find(|n| n.internal_ips.contains(&ip));
    let name = &node?.metadata.name;
    let ns = met.world.host_by_name(name).and_then(|id| met.world.host(id))?;
    let has = |ns: &Netns| ns.devices().iter().flat_map(|d| &d.addrs).any(|a| a.net.addr() == addr);
    let nets = met.ns.devices().iter().flat_map(|d| &d.addrs).map(|a| a.net);
    let length = nets.filter(|n| n.contains(&addr)).map(|n| n.prefix_len()).max()?;
    let line = format!("ip addr add {addr}/{length} dev {}", begun.spec.uplink);
    (!has(ns)).then(|| typed(Some(name), line))
}

/// Against a neighbour's wrong MAC, and a port behind which a MAC is not.
fn nobody_takes(world: &World, from: Mac, to: Mac) -> Vec<Typed> {
    let neighbour = neighbour_with(world, from, to).map(|(ns, dev, addr, _)| {
        typed(Some(&ns.name), format!("ip neigh del {addr} dev {}", ns.dev_name(dev)))
    });
    let port = pinned_port(world, to).map(|(ns, _, entry)| {
        typed(Some(&ns.name), format!("bridge fdb del {to} dev {} master", ns.dev_name(entry.dev)))
    });
    neighbour.into_iter().chain(port).collect()
}

/// Against an address that two boxes have: one of them should not. The address of a Service is on every node where IPVS is.
fn twice_there(met: &Met<'_>) -> Vec<Typed> {
    let Some(ip) = met.end.frame.ip() else { return Vec::new() };
    let mut out = Vec::new();
    for addr in [ip.src, ip.dst] {
        let boxes = met.world.hosts().iter().flat_map(|ns| {
            let devices = ns.devices().iter().filter(|d| !matches!(d.kind, DevKind::Dummy));
            devices.flat_map(move |d| d.addrs.iter().map(move |a| (ns, d, a.net)))
        });
        let have: Vec<_> = boxes.filter(|(_, _, net)| net.addr() == addr && !addr.is_loopback()).collect();
        if have.len() > 1 {
            let del = |(ns, d, net): &(&Netns, &Device, Ipv4Net)| {
                typed(Some(&ns.name), format!("ip addr del {net} dev {}", d.name))
            };
            out.extend(have.iter().map(del));
        }
    }
    out
}
