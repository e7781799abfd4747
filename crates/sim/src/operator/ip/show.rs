//! Devices and their addresses as `ip addr` and `ip link` print them (iproute2, ip/ipaddress.c).

use crate::world::World;
use kernel::dev::{DevKind, Device, IfAddr};
use kernel::{Netns, NetnsId};
use std::net::Ipv4Addr;
use userland::ip::{IpFormat, scope_name};

/// What is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// `ip addr show`
    Addr,
    /// `ip link show`
    Link,
}

/// The lines for some devices of a box.
pub(super) fn show(
    world: &World,
    ns: &Netns,
    devices: &[&Device],
    what: What,
    format: IpFormat,
) -> Vec<String> {
    let lines = |d: &&Device| {
        let dev = Dev { world, ns, d };
        if format.brief { vec![dev.brief(what)] } else { dev.full(what) }
    };
    devices.iter().flat_map(lines).collect()
}

/// `ip -br -4 addr`: the devices that have an address.
pub fn brief_addresses(world: &World, ns: &Netns) -> Vec<String> {
    let with = ns.devices().iter().filter(|d| !d.addrs.is_empty());
    with.map(|d| Dev { world, ns, d }.brief_addr()).collect()
}

/// What begins the line of a device: its number, its name with the other end, its flags.
pub(in crate::operator) fn link_head(world: &World, ns: &Netns, d: &Device) -> (u16, String, String) {
    let dev = Dev { world, ns, d };
    (d.id.0 + 1, dev.name(), dev.flags())
}

/// A device with what is around it.
struct Dev<'a> {
    world: &'a World,
    ns: &'a Netns,
    d: &'a Device,
}

impl Dev<'_> {
    /// There is somebody at the other end; a bridge needs a port that is up.
    fn has_carrier(&self) -> bool {
        match self.d.kind {
            DevKind::Veth => self.peer().is_some_and(|(_, peer)| peer.up),
            DevKind::Bridge(_) => self.ns.devices().iter().any(|p| p.master == Some(self.d.id) && p.up),
            DevKind::Loopback | DevKind::Dummy | DevKind::Vxlan(_) | DevKind::Ipip(_) => true,
        }
    }

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

    /// RFC 2863's operational state.
    fn state(&self) -> &'static str {
        match (&self.d.kind, self.d.up) {
            (_, false) => "DOWN",
            (DevKind::Loopback | DevKind::Dummy | DevKind::Vxlan(_) | DevKind::Ipip(_), true) => "UNKNOWN",
            (_, true) if self.has_carrier() => "UP",
            (DevKind::Veth, true) => "LOWERLAYERDOWN",
            (DevKind::Bridge(_), true) => "DOWN",
        }
    }

    fn flags(&self) -> String {
        let tunnel = match self.d.kind {
            DevKind::Ipip(tunnel) => Some(tunnel),
            _ => None,
        };
        let (lo, dummy) = (matches!(self.d.kind, DevKind::Loopback), matches!(self.d.kind, DevKind::Dummy));
        let (up, carrier) = (self.d.up, self.has_carrier());
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
            (up && !carrier && matches!(self.d.kind, DevKind::Veth), "M-DOWN"),
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

    fn brief(&self, what: What) -> String {
        match what {
            What::Addr => self.brief_addr(),
            What::Link => self.brief_line(&format!("{} <{}>", self.d.mac, self.flags())),
        }
    }

    fn brief_addr(&self) -> String {
        let addrs: Vec<String> = self.d.addrs.iter().map(|a| a.net.to_string()).collect();
        self.brief_line(&addrs.join(" "))
    }

    fn brief_line(&self, rest: &str) -> String {
        format!("{:<16} {:<14} {rest} ", self.name(), self.state())
    }

    fn full(&self, what: What) -> Vec<String> {
        let d = self.d;
        let master = d.master.map_or(String::new(), |m| format!("master {} ", self.ns.dev_name(m)));
        let qdisc = if d.activated { "noqueue" } else { "noop" };
        let mode = if what == What::Link { "mode DEFAULT " } else { "" };
        let mut out = vec![format!(
            "{}: {}: <{}> mtu {} qdisc {qdisc} {master}state {} {mode}group default qlen 1000",
            d.id.0 + 1,
            self.name(),
            self.flags(),
            d.mtu,
            self.state()
        )];
        let (kind, broadcast) = match d.kind {
            DevKind::Loopback => ("loopback", "00:00:00:00:00:00"),
            _ => ("ether", "ff:ff:ff:ff:ff:ff"),
        };
        let netns = self.link_netnsid().map_or(String::new(), |n| format!(" link-netnsid {n}"));
        match d.kind {
            DevKind::Ipip(tunnel) => {
                let end = |addr: Option<Ipv4Addr>| addr.unwrap_or(Ipv4Addr::UNSPECIFIED);
                let word = if tunnel.remote.is_some() { "peer" } else { "brd" };
                out.push(format!("    link/ipip {} {word} {}", end(tunnel.local), end(tunnel.remote)));
            }
            _ => out.push(format!("    link/{kind} {} brd {broadcast}{netns}", d.mac)),
        }
        if what == What::Addr {
            for addr in &d.addrs {
                out.push(self.inet(addr));
                out.push("       valid_lft forever preferred_lft forever".to_owned());
            }
        }
        out
    }

    /// `inet 10.0.0.1/24 scope global eth0`. Among addresses of one network the first is primary.
    fn inet(&self, addr: &IfAddr) -> String {
        let metric = if addr.metric == 0 { String::new() } else { format!("metric {} ", addr.metric) };
        let brd = addr.broadcast.map_or(String::new(), |b| format!("brd {b} "));
        let secondary = if addr.secondary { "secondary " } else { "" };
        let noprefixroute = if addr.noprefixroute { "noprefixroute " } else { "" };
        let (scope, name) = (scope_name(addr.scope), &self.d.name);
        format!("    inet {} {metric}{brd}scope {scope} {secondary}{noprefixroute}{name}", addr.net)
    }
}
