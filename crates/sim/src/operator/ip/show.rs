//! Devices and their addresses as `ip addr` and `ip link` print them (iproute2, ip/ipaddress.c).

use super::super::json::Object;
use super::{details, stats};
use crate::world::World;
use kernel::dev::{DevKind, Device, IfAddr};
use kernel::{Netns, NetnsId};
use std::net::Ipv4Addr;
use userland::ip::{IpFormat, LinkSelect, scope_name};

/// What is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// `ip addr show`
    Addr,
    /// `ip link show`
    Link,
}

/// Whether a device is listed: with -4 and -6, and `to`, only if it has such an address.
pub(super) fn selected(ns: &Netns, d: &Device, select: &LinkSelect, what: What, format: IpFormat) -> bool {
    let kind = match (&d.kind, select.kind.as_deref()) {
        (_, None) => true,
        (_, Some("bridge_slave")) => d.master.is_some(),
        (DevKind::Veth, Some(k)) => k == "veth",
        (DevKind::Bridge(_), Some(k)) => k == "bridge",
        (DevKind::Dummy, Some(k)) => k == "dummy",
        (DevKind::Vxlan(_), Some(k)) => k == "vxlan",
        (DevKind::Ipip(_), Some(k)) => k == "ipip",
        (DevKind::Loopback, Some(_)) => false,
    };
    let of_addr = what == What::Addr;
    kind && select.dev.as_ref().is_none_or(|name| *name == d.name)
        && (!select.up || d.up)
        && (!select.nomaster || d.master.is_none())
        && select.master.as_ref().is_none_or(|m| d.master.is_some_and(|id| ns.dev_name(id) == m))
        && !(of_addr && format.v6)
        && !(of_addr && (format.v4 || select.to.is_some()) && addresses(d, select).next().is_none())
        // A device whose addresses are of another scope is left out, one without any is not.
        && !(of_addr && select.scope.is_some() && !d.addrs.is_empty() && addresses(d, select).next().is_none())
}

/// The addresses of a device that are listed.
fn addresses<'a>(d: &'a Device, select: &'a LinkSelect) -> impl Iterator<Item = &'a IfAddr> {
    let wanted = |a: &&IfAddr| {
        select.scope.is_none_or(|s| s == a.scope) && select.to.is_none_or(|net| net.contains(&a.net.addr()))
    };
    d.addrs.iter().filter(wanted)
}

/// The lines for some devices of a box.
pub(super) fn show(
    world: &World,
    ns: &Netns,
    devices: &[&Device],
    select: &LinkSelect,
    what: What,
    format: IpFormat,
) -> Vec<String> {
    let devs = devices.iter().map(|d| Dev { world, ns, d });
    if format.json {
        let all: Vec<String> = devs.map(|dev| dev.json(what, select, format)).collect();
        return vec![format!("[{}]", all.join(","))];
    }
    let lines = |dev: Dev<'_>| {
        if format.brief {
            vec![dev.brief(what, select)]
        } else if format.oneline && what == What::Addr {
            dev.oneline(select)
        } else {
            let lines = dev.full(what, select, format);
            if format.oneline { vec![lines.join("\\")] } else { lines }
        }
    };
    devs.flat_map(lines).collect()
}

/// `ip -br -4 addr`: the devices that have an address.
pub fn brief_addresses(world: &World, ns: &Netns) -> Vec<String> {
    let with = ns.devices().iter().filter(|d| !d.addrs.is_empty());
    with.map(|d| Dev { world, ns, d }.brief_addr(&LinkSelect::default())).collect()
}

/// What `bridge link` prints first of a port: its number, its name with the other end, its flags. The tool looks the other end's number up
/// in this box, wherever that end is.
pub(in crate::operator) fn link_head(world: &World, ns: &Netns, d: &Device) -> (u16, String, String) {
    let dev = Dev { world, ns, d };
    let number = dev.peer().map(|(_, peer)| peer.id);
    let here = number.and_then(|id| ns.device(id)).filter(|d| !d.gone);
    let name = here.map_or_else(|| dev.name(), |other| format!("{}@{}", d.name, other.name));
    (d.id.0 + 1, name, dev.flags(here.is_some_and(|d| !d.up)))
}

/// A device with what is around it.
struct Dev<'a> {
    world: &'a World,
    ns: &'a Netns,
    d: &'a Device,
}

impl Dev<'_> {
    fn peer(&self) -> Option<(NetnsId, &Device)> {
        let (host, dev) = self.world.peer((self.ns.id, self.d.id))?;
        Some((host, self.world.host(host)?.device(dev)?))
    }

    /// `eth0@if3`: the other end of a veth, by its number if it is in another box.
    fn name(&self) -> String {
        match self.peer() {
            Some((host, peer)) if host == self.ns.id => format!("{}@{}", self.d.name, peer.name),
            Some((_, peer)) => format!("{}@if{}", self.d.name, peer.id.0 + 1),
            None if matches!(self.d.kind, DevKind::Ipip(_)) => format!("{}@NONE", self.d.name),
            None => self.d.name.clone(),
        }
    }

    /// The other end is here, and down.
    fn peer_down(&self) -> bool {
        self.link_netnsid().is_none() && self.peer().is_some_and(|(_, p)| !p.up)
    }

    /// RFC 2863's operational state.
    fn state(&self) -> &'static str {
        match (&self.d.kind, self.d.up) {
            (_, false) => "DOWN",
            (DevKind::Loopback | DevKind::Dummy | DevKind::Vxlan(_) | DevKind::Ipip(_), true) => "UNKNOWN",
            // Nobody has said yet whether it has a carrier.
            (DevKind::Bridge(b), true) if !b.had_port => "UNKNOWN",
            (_, true) if self.ns.has_carrier(self.d) => "UP",
            (DevKind::Veth, true) => "LOWERLAYERDOWN",
            (DevKind::Bridge(_), true) => "DOWN",
        }
    }

    /// The flags, and whether the other end is known to be down.
    fn flags(&self, peer_down: bool) -> String {
        let tunnel = match self.d.kind {
            DevKind::Ipip(tunnel) => Some(tunnel),
            _ => None,
        };
        let (lo, dummy) = (matches!(self.d.kind, DevKind::Loopback), matches!(self.d.kind, DevKind::Dummy));
        let (up, carrier) = (self.d.up, self.ns.has_carrier(self.d));
        let flags = [
            (up && !carrier, "NO-CARRIER"),
            (lo, "LOOPBACK"),
            (!lo && tunnel.is_none(), "BROADCAST"),
            (tunnel.is_some_and(|t| t.remote.is_some()), "POINTOPOINT"),
            (dummy || tunnel.is_some(), "NOARP"),
            (!lo && !dummy && tunnel.is_none(), "MULTICAST"),
            // A port of a bridge is promiscuous without saying so.
            (self.d.promisc, "PROMISC"),
            (up, "UP"),
            (peer_down, "M-DOWN"),
            (up && carrier, "LOWER_UP"),
        ];
        let set: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        set.join(",")
    }

    /// The number that this box gives to the box of a veth's other end: in the order of its devices.
    fn link_netnsid(&self) -> Option<usize> {
        let (host, _) = self.peer().filter(|(host, _)| *host != self.ns.id)?;
        let mut hosts: Vec<NetnsId> = Vec::new();
        for d in self.ns.devices() {
            let other = self.world.peer((self.ns.id, d.id)).map(|(h, _)| h);
            if let Some(h) = other.filter(|h| *h != self.ns.id && !hosts.contains(h)) {
                hosts.push(h);
            }
        }
        hosts.iter().position(|h| *h == host)
    }

    fn brief(&self, what: What, select: &LinkSelect) -> String {
        match what {
            What::Addr => self.brief_addr(select),
            What::Link => self.brief_line(&format!("{} <{}> ", self.d.mac, self.flags(self.peer_down()))),
        }
    }

    fn brief_addr(&self, select: &LinkSelect) -> String {
        let addrs: String = addresses(self.d, select).map(|a| format!("{} ", a.net)).collect();
        self.brief_line(&addrs)
    }

    fn brief_line(&self, rest: &str) -> String {
        format!("{:<16} {:<14} {rest}", self.name(), self.state())
    }

    /// `ip -o addr`: a line for each address.
    fn oneline(&self, select: &LinkSelect) -> Vec<String> {
        let line = |a: &IfAddr| {
            let (n, name) = (self.d.id.0 + 1, &self.d.name);
            format!("{n}: {name}{}\\       valid_lft forever preferred_lft forever", self.inet(a))
        };
        addresses(self.d, select).map(line).collect()
    }

    /// `ip -j`
    fn json(&self, what: What, select: &LinkSelect, format: IpFormat) -> String {
        let d = self.d;
        let (mut out, word) = (Vec::new(), |k: &str, v: &str| format!("\"{k}\":\"{v}\""));
        let flags: Vec<String> =
            self.flags(self.peer_down()).split(',').map(|f| format!("\"{f}\"")).collect();
        let flags = format!("\"flags\":[{}]", flags.join(","));
        let peer = self.peer();
        if format.brief {
            if let Some((_, peer)) = peer {
                out.push(match peer.name.as_str() {
                    _ if self.link_netnsid().is_some() => format!("\"link_index\":{}", peer.id.0 + 1),
                    name => word("link", name),
                });
            }
            out.extend([word("ifname", &d.name), word("operstate", self.state())]);
            if what == What::Link {
                out.extend([word("address", &d.mac.to_string()), flags]);
            }
        } else {
            out.push(format!("\"ifindex\":{}", d.id.0 + 1));
            if let Some((_, peer)) = peer {
                out.push(match self.link_netnsid() {
                    Some(_) => format!("\"link_index\":{}", peer.id.0 + 1),
                    None => word("link", &peer.name),
                });
            }
            out.extend([word("ifname", &d.name), flags, format!("\"mtu\":{}", d.mtu)]);
            out.push(word("qdisc", if d.activated { "noqueue" } else { "noop" }));
            out.extend(d.master.map(|m| word("master", self.ns.dev_name(m))));
            out.push(word("operstate", self.state()));
            if what == What::Link {
                out.push(word("linkmode", "DEFAULT"));
            }
            out.push(word("group", "default"));
            out.extend((d.tx_queue_len > 0).then(|| format!("\"txqlen\":{}", d.tx_queue_len)));
            if what == What::Link || !(format.v4 || select.to.is_some()) || format.details {
                let (kind, broadcast) = self.link_words();
                out.extend([word("link_type", kind), word("address", &d.mac.to_string())]);
                out.push(word("broadcast", broadcast));
            }
            out.extend(self.link_netnsid().map(|n| format!("\"link_netnsid\":{n}")));
            if format.details {
                let mut more = Object::default();
                details::json(self.ns, d, what == What::Link, &mut more);
                out.push(more.fields());
            }
        }
        if what == What::Addr {
            let all: Vec<String> = addresses(d, select).map(|a| self.inet_json(a, format)).collect();
            out.push(format!("\"addr_info\":[{}]", all.join(",")));
        }
        if format.stats && !format.brief {
            let mut more = Object::default();
            stats::json(self.world, self.ns.id, d, &mut more);
            out.push(more.fields());
        }
        format!("{{{}}}", out.join(","))
    }

    fn inet_json(&self, addr: &IfAddr, format: IpFormat) -> String {
        let (local, prefix) = (addr.net.addr(), addr.net.prefix_len());
        if format.brief {
            return format!("{{\"local\":\"{local}\",\"prefixlen\":{prefix}}}");
        }
        let metric = if addr.metric == 0 { String::new() } else { format!("\"metric\":{},", addr.metric) };
        let brd = addr.broadcast.map_or(String::new(), |b| format!("\"broadcast\":\"{b}\","));
        let flag = |on: bool, name: &str| if on { format!("\"{name}\":true,") } else { String::new() };
        format!(
            "{{\"family\":\"inet\",\"local\":\"{local}\",\"prefixlen\":{prefix},{metric}{brd}\"scope\":\"{}\",{}{}\"label\":\"{}\",\
             \"valid_life_time\":4294967295,\"preferred_life_time\":4294967295}}",
            scope_name(addr.scope),
            flag(addr.secondary, "secondary"),
            flag(addr.noprefixroute, "noprefixroute"),
            addr.label.as_ref().unwrap_or(&self.d.name)
        )
    }

    /// The type of the link layer, and its broadcast address.
    fn link_words(&self) -> (&'static str, &'static str) {
        match self.d.kind {
            DevKind::Loopback => ("loopback", "00:00:00:00:00:00"),
            _ => ("ether", "ff:ff:ff:ff:ff:ff"),
        }
    }

    fn full(&self, what: What, select: &LinkSelect, format: IpFormat) -> Vec<String> {
        let d = self.d;
        let master = d.master.map_or(String::new(), |m| format!("master {} ", self.ns.dev_name(m)));
        let qdisc = if d.activated { "noqueue" } else { "noop" };
        let mode = if what == What::Link { "mode DEFAULT " } else { "" };
        let qlen = match d.tx_queue_len {
            0 => String::new(),
            n => format!("qlen {n}"),
        };
        let mut out = vec![format!(
            "{}: {}: <{}> mtu {} qdisc {qdisc} {master}state {} {mode}group default {qlen}",
            d.id.0 + 1,
            self.name(),
            self.flags(self.peer_down()),
            d.mtu,
            self.state()
        )];
        let (kind, broadcast) = self.link_words();
        let netns = self.link_netnsid().map_or(String::new(), |n| format!(" link-netnsid {n}"));
        match d.kind {
            // `ip -4 addr` says nothing of the link layer; the other end's box stands in the first line then.
            _ if what == What::Addr && (format.v4 || select.to.is_some()) && !format.details => {
                if let Some(first) = out.first_mut() {
                    *first += &netns;
                }
            }
            DevKind::Ipip(tunnel) => {
                let end = |addr: Option<Ipv4Addr>| addr.unwrap_or(Ipv4Addr::UNSPECIFIED);
                let word = if tunnel.remote.is_some() { "peer" } else { "brd" };
                out.push(format!("    link/ipip {} {word} {}", end(tunnel.local), end(tunnel.remote)));
            }
            _ => out.push(format!("    link/{kind} {} brd {broadcast}{netns}", d.mac)),
        }
        if format.details {
            let mut lines = details::lines(self.ns, d, what == What::Link).into_iter();
            if let (Some(link), Some(first)) = (out.last_mut(), lines.next()) {
                *link += &first;
            }
            out.extend(lines);
        }
        if what == What::Addr {
            for addr in addresses(d, select) {
                out.push(self.inet(addr));
                out.push("       valid_lft forever preferred_lft forever".to_owned());
            }
        }
        if format.stats {
            out.extend(stats::lines(self.world, self.ns.id, d));
        }
        out
    }

    /// `inet 10.0.0.1/24 scope global eth0`. Among addresses of one network the first is primary.
    fn inet(&self, addr: &IfAddr) -> String {
        let metric = if addr.metric == 0 { String::new() } else { format!("metric {} ", addr.metric) };
        let brd = addr.broadcast.map_or(String::new(), |b| format!("brd {b} "));
        let secondary = if addr.secondary { "secondary " } else { "" };
        let noprefixroute = if addr.noprefixroute { "noprefixroute " } else { "" };
        let (scope, name) = (scope_name(addr.scope), addr.label.as_ref().unwrap_or(&self.d.name));
        format!("    inet {} {metric}{brd}scope {scope} {secondary}{noprefixroute}{name}", addr.net)
    }
}
