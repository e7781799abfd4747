//! Ways that a packet did not find: routes, neighbours, links, room.

use super::super::plan::short;
use super::services::at;
use super::{Met, Tries};
use crate::lab::Begun;
use ipnet::{IpNet, Ipv4Net};
use kernel::dev::{DevKind, Device};
use kernel::event::What;
use kernel::route::{Route, RouteEvent, RouteKind, RouteQuery, RuleAction, Verdict, proto};
use kernel::{DevId, DropReason, Netns};
use packet::Mac;
use sim::view::{neighbour_with, pinned_port};
use sim::{Entry, World};
use std::net::{IpAddr, Ipv4Addr};

/// Against the end of a packet on its way.
pub(super) fn against(met: &Met<'_>, tries: &mut Tries) {
    let dev = match met.end.entry.what() {
        Some(What::Drop { dev: Some(dev), .. }) => met.ns.dev_name(*dev),
        _ => "",
    };
    let here = &met.ns.name;
    match met.end.reason {
        DropReason::Unreachable(_) => no_route(met, tries),
        DropReason::NeighFailed => no_neighbour(met, tries),
        DropReason::OtherHost | DropReason::BridgeNoPort => {
            nobody_takes(met.world, met.end.frame.src, met.end.frame.dst, tries)
        }
        DropReason::DevDown => tries.add(here, up(dev)),
        DropReason::RpFilter => {
            if let Some(IpAddr::V4(src)) = met.end.frame.ip().map(|ip| ip.src) {
                ways_to(met.world, met.begun, met.ns, src, tries);
            }
            tries.add(here, format!("sysctl -w net.ipv4.conf.{dev}.rp_filter=2"));
        }
        DropReason::ForwardingDisabled => {
            tries.add(here, "sysctl -w net.ipv4.ip_forward=1".to_owned());
            if let Some(What::Drop { dev: Some(dev), .. }) = met.end.entry.what() {
                tries.add(here, format!("sysctl -w net.ipv4.conf.{}.forwarding=1", met.ns.dev_name(*dev)));
            }
        }
        DropReason::BridgeNoHairpin => tries.add(here, format!("bridge link set dev {dev} hairpin on")),
        DropReason::CtTableFull => {
            // Only the first namespace of a machine may change it.
            let machine = met.world.host(met.world.machine(met.ns.id)).map_or(here, |ns| &ns.name);
            tries.add(machine, "sysctl -w net.netfilter.nf_conntrack_max=262144".to_owned());
        }
        DropReason::PacketTooBig | DropReason::TooLongForPeer => {
            let clamp = "iptables -t mangle -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu";
            tries.add("nodes", clamp.to_owned());
        }
        _ => {}
    }
    another_way(met, tries);
    if let Some(ip) = met.end.frame.ip() {
        twice_there(met.world, ip.src, tries);
        twice_there(met.world, ip.dst, tries);
    }
}

fn up(dev: &str) -> String {
    format!("ip link set {dev} up")
}

/// The last routing decision about the packet in this box.
fn routed<'a>(met: &Met<'a>) -> Option<&'a RouteEvent> {
    match met.last(&|what| matches!(what, What::Route(_)))? {
        What::Route(event) => Some(event),
        _ => None,
    }
}

/// Every address that a box has by itself. What kube-proxy puts on a dummy for IPVS is on every node.
fn addresses(world: &World) -> Vec<(&Netns, &Device, Ipv4Net)> {
    let mut out = Vec::new();
    for ns in world.hosts() {
        for dev in ns.devices().iter().filter(|d| !matches!(d.kind, DevKind::Dummy)) {
            for addr in dev.addrs.iter().filter(|a| !a.net.addr().is_loopback()) {
                out.push((ns, dev, addr.net));
            }
        }
    }
    out
}

fn no_route(met: &Met<'_>, tries: &mut Tries) {
    let Some(event) = routed(met) else { return };
    if let Some(route) = event.route.as_ref().filter(|r| r.kind.is_error()) {
        tries.add(&met.ns.name, format!("ip route del {}", short(met.ns, route)));
    }
    for rule in met.ns.fib.rules.list() {
        if matches!(rule.action, RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit) {
            tries.add(&met.ns.name, format!("ip rule del pref {}", rule.pref));
        }
    }
    ways_to(met.world, met.begun, met.ns, event.dst, tries);
}

/// What would give a box a way to an address: a device that is up, a route to what is on its link, a gateway.
fn ways_to(world: &World, begun: Option<&Begun>, ns: &Netns, dst: Ipv4Addr, tries: &mut Tries) {
    let mut links = 0;
    for (_, dev, net) in addresses(world).iter().filter(|(at, ..)| at.id == ns.id) {
        links += 1;
        if !dev.up {
            tries.add(&ns.name, up(&dev.name));
        }
        if net.contains(&dst) {
            tries.add(&ns.name, format!("ip route add {} dev {}", net.trunc(), dev.name));
        }
        // Whoever has it has a wider network, in which this box is as well.
        for (_, _, wide) in addresses(world).iter().filter(|(.., wide)| wide.addr() == dst) {
            if wide.contains(&net.addr()) && !net.contains(&dst) {
                tries.add(
                    &ns.name,
                    format!("ip addr add {}/{} dev {}", net.addr(), wide.prefix_len(), dev.name),
                );
            }
        }
    }
    for (gateway, net) in next_hops(world, begun, ns, dst) {
        // A box with one link sends everything by it, but for what only nodes know.
        if links == 1 && !is_of_a_service(begun, dst) {
            tries.add(&ns.name, format!("ip route add default via {gateway}"));
        }
        tries.add(&ns.name, format!("ip route add {} via {gateway}", prefix(net)));
    }
}

/// Against a way that leads nowhere: in each box that the packet has passed, the link that it should have taken, which is down, or the next
/// hop that has a way.
fn another_way(met: &Met<'_>, tries: &mut Tries) {
    let astray = matches!(
        met.end.reason,
        DropReason::Unreachable(_)
            | DropReason::NeighFailed
            | DropReason::ForwardingDisabled
            | DropReason::TtlExpired
    );
    for entry in met.world.log().entries() {
        if let Some(What::Route(event)) = entry.what()
            && entry.packet == met.end.entry.packet
            && let Ok(way) = &event.outcome
            && let Some(gateway) = way.gateway
            && let Some(ns) = met.world.host(entry.host)
        {
            for (at, dev, net) in addresses(met.world) {
                if at.id == ns.id && !dev.up && net.contains(&event.dst) {
                    tries.add(&ns.name, up(&dev.name));
                }
            }
            for (other, net) in next_hops(met.world, met.begun, ns, event.dst) {
                if astray && other != gateway {
                    let line = match &event.route {
                        Some(route) => instead(route, net, other),
                        None => format!("ip route add {} via {other}", prefix(net)),
                    };
                    tries.add(&ns.name, line);
                }
            }
            twice_there(met.world, IpAddr::V4(gateway), tries);
        }
    }
}

/// A way by another gateway to a network than by this route: in its place, or more specific.
fn instead(route: &Route, net: Ipv4Net, gateway: Ipv4Addr) -> String {
    let own = route.dst.prefix_len() >= net.prefix_len();
    let (verb, net) = if own { ("replace", route.dst) } else { ("add", net) };
    format!("ip route {verb} {} via {gateway}", prefix(net))
}

/// Against a command that sends nothing, as its box has no way to the address that it names.
pub(super) fn unsent(world: &World, begun: Option<&Begun>, entries: &[Entry], line: &str, tries: &mut Tries) {
    let made = entries.iter().any(|e| matches!(e.what(), Some(What::Created { .. })));
    let Some(ns) = entries.first().and_then(|e| world.host(e.host)).filter(|_| !made) else { return };
    for word in line.split(|c: char| !c.is_ascii_digit() && c != '.') {
        if let Ok(to) = word.parse::<Ipv4Addr>()
            && ns.route_get(&RouteQuery::to(to)).is_err()
        {
            ways_to(world, begun, ns, to, tries);
        }
    }
}

fn no_neighbour(met: &Met<'_>, tries: &mut Tries) {
    let Some(What::Neigh { dev, addr, .. }) = met.last(&|what| matches!(what, What::Neigh { .. })) else {
        return;
    };
    if let (Some(IpAddr::V4(dst)), Some(route)) =
        (met.end.frame.ip().map(|ip| ip.dst), routed(met).and_then(|e| e.route.as_ref()))
    {
        for (gateway, net) in next_hops(met.world, met.begun, met.ns, dst) {
            if gateway != *addr {
                tries.add(&met.ns.name, instead(route, net, gateway));
            }
        }
        if route.proto != proto::KERNEL {
            tries.add(&met.ns.name, format!("ip route del {}", short(met.ns, route)));
        }
    }
    not_answering(met, *addr, tries);
    // The answer may have gone astray.
    if let Some(dev) = met.ns.device(*dev) {
        nobody_takes(met.world, dev.mac, dev.mac, tries);
    }
}

/// Against a box that does not answer ARP for its address: it is told not to, or has lost it.
fn not_answering(met: &Met<'_>, addr: Ipv4Addr, tries: &mut Tries) {
    let all = addresses(met.world);
    let owners: Vec<_> = all.iter().filter(|(_, _, net)| net.addr() == addr).collect();
    for (ns, dev, _) in &owners {
        for (conf, set) in [(dev.name.as_str(), &dev.conf), ("all", &ns.sysctl.all)] {
            if set.arp_ignore != 0 {
                tries.add(&ns.name, format!("sysctl -w net.ipv4.conf.{conf}.arp_ignore=0"));
            }
        }
    }
    if owners.is_empty() {
        by_proxy(met, addr, tries);
    }
    let link = all.iter().find(|(at, _, net)| at.id == met.ns.id && net.contains(&addr));
    if let ([], Some((.., net)), Some(name)) = (owners.as_slice(), link, met.whose(addr))
        && let Some(ns) = met.world.host_by_name(name).and_then(|id| met.world.host(id))
    {
        let bare =
            |d: &&Device| d.addrs.is_empty() && d.master.is_none() && !matches!(d.kind, DevKind::Dummy);
        for dev in ns.devices().iter().filter(bare) {
            tries.add(&ns.name, format!("ip addr add {addr}/{} dev {}", net.prefix_len(), dev.name));
        }
    }
}

/// Against the box at the other end of the link, if it answers for others by proxy ARP: it must be told to, and have a way to them.
fn by_proxy(met: &Met<'_>, addr: Ipv4Addr, tries: &mut Tries) {
    let Some(What::Neigh { dev, .. }) = met.last(&|what| matches!(what, What::Neigh { .. })) else { return };
    let Some((peer, by)) = met.world.peer((met.ns.id, *dev)) else { return };
    let Some((ns, dev)) = met.world.host(peer).and_then(|ns| Some((ns, ns.device(by)?))) else { return };
    if dev.master.is_some() {
        return;
    }
    tries.add(&ns.name, format!("sysctl -w net.ipv4.conf.{}.proxy_arp=1", dev.name));
    if ns.route_get(&RouteQuery::to(addr)).is_err() {
        for (_, out, _) in addresses(met.world).iter().filter(|(at, out, _)| at.id == ns.id && out.id != by) {
            tries.add(&ns.name, format!("ip route add default dev {}", out.name));
        }
    }
}

/// Boxes on a link of this one from which a packet would come to an address, by the addresses that they have there, each with the network
/// that is behind it. A node leads to Services whoever is none.
fn next_hops(world: &World, begun: Option<&Begun>, ns: &Netns, dst: Ipv4Addr) -> Vec<(Ipv4Addr, Ipv4Net)> {
    let all = addresses(world);
    let is_node = |ns: &Netns| begun.is_some_and(|b| b.objects.nodes.contains_key(&ns.name));
    let translated = !is_node(ns) && is_of_a_service(begun, dst);
    let mut out = Vec::new();
    for (_, own, link) in all.iter().filter(|(at, ..)| at.id == ns.id) {
        for (other, dev, net) in all.iter().filter(|(at, ..)| at.id != ns.id) {
            let there = net.addr();
            if own.up
                && link.contains(&there)
                && link.addr() != there
                && out.len() < 3
                && let Some(behind) = leads(other, dev.id, dst, link)
                    .or_else(|| (translated && is_node(other)).then(|| Ipv4Net::from(dst)))
            {
                out.push((there, behind));
            }
        }
    }
    out
}

/// A Service has the address; a node translates it.
fn is_of_a_service(begun: Option<&Begun>, dst: Ipv4Addr) -> bool {
    begun.is_some_and(|b| b.objects.services.values().any(|s| at(s, IpAddr::V4(dst))))
}

/// A destination as people type it.
fn prefix(net: Ipv4Net) -> String {
    match net.prefix_len() {
        0 => "default".to_owned(),
        32 => net.addr().to_string(),
        _ => net.to_string(),
    }
}

/// Against an answer to a pod, to which nobody outside has a way: its node masquerades what it sends out.
pub(super) fn masquerade(met: &Met<'_>, tries: &mut Tries) {
    let (Some(begun), Some(ip)) = (met.begun, met.end.frame.ip()) else { return };
    let mut pods = begun.objects.pods.values();
    let lost = matches!(met.end.reason, DropReason::Unreachable(_) | DropReason::NeighFailed);
    if !lost || met.at_node() || pods.clone().any(|p| p.metadata.name == met.ns.name) {
        return;
    }
    let Some(pod) = pods.find(|p| p.pod_ips.contains(&ip.dst) && !p.host_network) else { return };
    if begun.spec.cni.name.starts_with("calico") {
        let patch = r#"'{"spec":{"natOutgoing":true}}'"#;
        tries.add("", format!("calicoctl patch ippool default-ipv4-ippool -p {patch}"));
    }
    let own = begun.objects.nodes.get(&pod.node_name).and_then(|n| n.pod_cidrs.first().copied());
    if let Some(cidr) = begun.spec.cluster_cidr.map(IpNet::V4).or(own) {
        let rule = format!("-A POSTROUTING -s {cidr} ! -d {cidr} -j MASQUERADE");
        tries.add(&pod.node_name, format!("iptables -t nat {rule}"));
    }
}

/// The network of an address as a box has it, if a packet that comes to it by this device, from this link, goes there. By the same device only what
/// is not of the link's own network.
fn leads(ns: &Netns, by: DevId, dst: Ipv4Addr, link: &Ipv4Net) -> Option<Ipv4Net> {
    let way = ns.route_get(&RouteQuery::to(dst)).ok()?;
    // What kube-proxy has on its dummy is on every node.
    let mut devices = ns.devices().iter().filter(|d| !matches!(d.kind, DevKind::Dummy));
    let goes = match way.dst.verdict {
        Verdict::Local => devices.any(|d| d.addrs.iter().any(|a| a.net.addr() == dst)),
        _ => (way.dst.dev != by || !link.contains(&dst)) && way.dst.gateway.is_none(),
    };
    let net = way.route.filter(|r| r.kind == RouteKind::Unicast && r.dst.prefix_len() > 0).map(|r| r.dst);
    goes.then(|| net.unwrap_or(Ipv4Net::from(dst)))
}

/// Against a neighbour's wrong MAC, and a port behind which a MAC is not.
fn nobody_takes(world: &World, from: Mac, to: Mac, tries: &mut Tries) {
    if let Some((ns, dev, addr, _)) = neighbour_with(world, from, to) {
        tries.add(&ns.name, format!("ip neigh del {addr} dev {}", ns.dev_name(dev)));
    }
    if let Some((ns, _, entry)) = pinned_port(world, to) {
        tries.add(&ns.name, format!("bridge fdb del {to} dev {} master", ns.dev_name(entry.dev)));
    }
}

/// Against an address that two boxes have: one of them should not. What kube-proxy puts on a dummy for IPVS is on every node.
fn twice_there(world: &World, addr: IpAddr, tries: &mut Tries) {
    let mut have = Vec::new();
    for ns in world.hosts() {
        for dev in ns.devices().iter().filter(|d| !d.gone) {
            let nets = dev.addrs.iter().map(|a| a.net).filter(|net| net.addr() == addr);
            have.extend(nets.map(|net| (ns, dev, net)));
        }
    }
    if have.len() > 1 && have.iter().any(|(_, dev, _)| !matches!(dev.kind, DevKind::Dummy)) {
        for (ns, dev, net) in have {
            tries.add(&ns.name, format!("ip addr del {net} dev {}", dev.name));
        }
    }
}
