//! Routing of packets that this host sends (`ip_route_output_key_hash_rcu`), and choosing addresses.

use super::lookup::Found;
use super::{Dst, FibTable, Flow, NoWay, Route, RouteEvent, RouteKind, Scope, Unreachable, Verdict};
use crate::event::What;
use crate::netfilter::xtables::matches::AddrType;
use crate::{Cx, DevId, DropReason, Netns, PacketId};
use std::net::Ipv4Addr;
use std::rc::Rc;

impl Netns {
    /// `ip_route_output_key`: the way of what this host sends.
    pub(crate) fn ip_route_output(&self, flow: &Flow) -> Result<(Dst, Option<&Rc<Route>>), NoWay<'_>> {
        let mut flow = *flow;
        let lo = DevId(0);
        let src = Some(flow.src).filter(|s| !s.is_unspecified());
        let group = flow.dst.is_multicast() || flow.dst.is_broadcast();
        if let Some(s) = src {
            if s.is_multicast() || s.is_broadcast() || self.is_zeronet(s) {
                return Err((Unreachable::Invalid, None));
            }
            let foreign = match self.era().foreign_source_is_unreachable() {
                true => Unreachable::Net,
                false => Unreachable::Invalid,
            };
            if flow.oif.is_none() && group {
                // What goes to many leaves by the device of its source, without any route.
                let routed = || self.in_local_table(s).filter(|r| r.kind == RouteKind::Local)?.dev();
                let Some(dev) = self.ip_dev_find(s).or_else(routed) else { return Err((foreign, None)) };
                return self.mkroute_output(&flow, dev, None, None, s);
            }
            if !flow.any_src && !self.is_local_addr(s) {
                return Err((foreign, None));
            }
        }
        if let Some(oif) = flow.oif {
            let local_group = flow.dst.octets()[..3] == [224, 0, 0] || flow.dst.is_broadcast();
            if local_group {
                let own = || self.inet_select_addr(oif, Ipv4Addr::UNSPECIFIED, Scope::Link);
                let source = src.or_else(own).unwrap_or(Ipv4Addr::UNSPECIFIED);
                return self.mkroute_output(&flow, oif, None, None, source);
            }
        }
        if flow.dst.is_unspecified() {
            flow.dst = src.unwrap_or(Ipv4Addr::LOCALHOST);
        }
        let mut found = match self.fib_lookup(&flow) {
            Ok(found) => found,
            Err(no) => match flow.oif {
                // The tables are wrong then; the destination is taken to be on the link.
                Some(oif) => {
                    let own = || self.inet_select_addr(oif, Ipv4Addr::UNSPECIFIED, Scope::Link);
                    let source = src.or_else(own).unwrap_or(Ipv4Addr::UNSPECIFIED);
                    return self.mkroute_output(&flow, oif, None, None, source);
                }
                None => return Err(no),
            },
        };
        if found.route.kind == RouteKind::Local {
            let source = src.unwrap_or(found.route.prefsrc.unwrap_or(flow.dst));
            return self.mkroute_output(&flow, lo, None, Some(found.route), source);
        }
        self.fib_select_path(&mut found, &flow);
        // An ICMP redirect has taught a better gateway for this destination.
        let gateway = found.gateway().map(|gw| self.redirects.get(&flow.dst).copied().unwrap_or(gw));
        let source = src.unwrap_or_else(|| self.source_for(&found, flow.dst));
        self.mkroute_output(&flow, found.dev(), gateway, Some(found.route), source)
    }

    /// `ip_route_connect`: the way of a socket that is connected. Who has no address yet asks a second time with the one that
    /// routing chose, so that rules for this source count.
    pub(crate) fn ip_route_connect(&self, flow: &Flow) -> Result<Dst, NoWay<'_>> {
        let (dst, _) = self.ip_route_output(flow)?;
        if !flow.src.is_unspecified() {
            return Ok(dst);
        }
        self.ip_route_output(&flow.from(dst.source)).map(|(dst, _)| dst)
    }

    /// `__mkroute_output`
    fn mkroute_output<'a>(
        &self,
        flow: &Flow,
        dev: DevId,
        gateway: Option<Ipv4Addr>,
        route: Option<&'a Rc<Route>>,
        source: Ipv4Addr,
    ) -> Result<(Dst, Option<&'a Rc<Route>>), NoWay<'a>> {
        let lo = DevId(0);
        // A loopback source must not leave the host unless the device says so.
        if source.is_loopback() && dev != lo && !self.conf_or(dev, |c| c.route_localnet) {
            return Err((Unreachable::Invalid, route));
        }
        let broadcast = route.as_ref().is_some_and(|r| r.kind == RouteKind::Broadcast);
        let verdict = match flow.dst {
            a if a.is_broadcast() => Verdict::Broadcast,
            a if a.is_multicast() => Verdict::Multicast,
            a if self.is_zeronet(a) => return Err((Unreachable::Invalid, route)),
            _ if broadcast => Verdict::Broadcast,
            _ if dev == lo => Verdict::Local,
            _ => Verdict::Out,
        };
        let gateway = gateway.filter(|_| verdict == Verdict::Out);
        let mtu = route.as_ref().and_then(|r| r.mtu);
        Ok((Dst { verdict, dev, gateway, source, mtu }, route))
    }

    /// `__ip_dev_find`: the device that has this address.
    fn ip_dev_find(&self, addr: Ipv4Addr) -> Option<DevId> {
        let own = |d: &&crate::dev::Device| d.addrs.iter().any(|x| x.net.addr() == addr);
        self.devices().iter().find(own).map(|d| d.id)
    }

    /// As [`Netns::ip_route_output`], logged for a packet.
    pub(crate) fn route_packet(
        &self,
        packet: PacketId,
        flow: &Flow,
        cx: &mut Cx<'_>,
    ) -> Result<Dst, Unreachable> {
        let found = self.ip_route_output(flow);
        let (route, outcome) = match &found {
            Ok((d, route)) => (*route, Ok(*d)),
            Err((why, route)) => (*route, Err(DropReason::Unreachable(*why))),
        };
        cx.emit(packet, || {
            What::Route(RouteEvent { input: false, dst: flow.dst, route: route.cloned(), outcome })
        });
        found.map(|(d, _)| d).map_err(|(why, _)| why)
    }

    /// `fib_result_prefsrc`: the source address for a route.
    pub(super) fn source_for(&self, found: &Found<'_>, dst: Ipv4Addr) -> Ipv4Addr {
        let near = || {
            let hop = found.hop?;
            self.inet_select_addr(hop.dev, hop.gateway.unwrap_or(dst), found.route.scope)
        };
        found.route.prefsrc.or_else(near).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// `inet_select_addr`: an address of `dev` on the same network as `dst`, else its first one; if it has none,
    /// one of another device. Addresses that are valid only nearer than `scope` do not count.
    pub(crate) fn inet_select_addr(&self, dev: DevId, dst: Ipv4Addr, scope: Scope) -> Option<Ipv4Addr> {
        let fits = |a: &&crate::dev::IfAddr| a.scope <= scope && !a.secondary;
        let own = self.device(dev)?;
        let same_net = own.addrs.iter().filter(fits).find(|a| !dst.is_unspecified() && a.net.contains(&dst));
        let first = own.addrs.iter().find(fits);
        let elsewhere = || {
            self.devices().iter().flat_map(|d| d.addrs.iter()).filter(fits).find(|a| a.scope != Scope::Link)
        };
        same_net.or(first).or_else(elsewhere).map(|a| a.net.addr())
    }

    /// The first address of a device.
    pub(crate) fn first_addr(&self, dev: DevId) -> Option<Ipv4Addr> {
        self.device(dev)?.addrs.first().map(|a| a.net.addr())
    }

    /// `ipv4_is_zeronet`: no address at all.
    pub(crate) fn is_zeronet(&self, addr: Ipv4Addr) -> bool {
        addr.is_unspecified() || addr.octets()[0] == 0 && self.era().zeronet_is_no_address()
    }

    /// `inet_addr_onlink`: both addresses on one network of the device.
    pub(crate) fn inet_addr_onlink(&self, dev: DevId, a: Ipv4Addr, b: Option<Ipv4Addr>) -> bool {
        let both = |x: &crate::dev::IfAddr| x.net.contains(&a) && b.is_none_or(|b| x.net.contains(&b));
        self.device(dev).is_some_and(|d| d.addrs.iter().any(both))
    }

    /// `inet_lookup_ifaddr_rcu`: some device has this address.
    pub(crate) fn has_addr(&self, addr: Ipv4Addr) -> bool {
        self.ip_dev_find(addr).is_some()
    }

    /// True for an address of this host, 127/8 included.
    pub fn is_local_addr(&self, addr: Ipv4Addr) -> bool {
        self.inet_addr_type(addr, None) == AddrType::Local
    }

    /// `inet_dev_addr_type`: what an address is to this host, or to one of its devices.
    pub fn inet_addr_type(&self, addr: Ipv4Addr, dev: Option<DevId>) -> AddrType {
        if self.is_zeronet(addr) || addr.is_broadcast() {
            return AddrType::Broadcast;
        }
        if addr.is_multicast() {
            return AddrType::Multicast;
        }
        match self.in_local_table(addr) {
            Some(r) if dev.is_none() || r.dev() == dev => match r.kind {
                RouteKind::Local => AddrType::Local,
                RouteKind::Broadcast => AddrType::Broadcast,
                RouteKind::Multicast => AddrType::Multicast,
                _ => AddrType::Unicast,
            },
            _ => AddrType::Unicast,
        }
    }

    /// What table local has for an address.
    fn in_local_table(&self, addr: Ipv4Addr) -> Option<&Rc<Route>> {
        // As long as nobody has added a rule, it is one with table main.
        let tables =
            if self.fib.rules.custom { [FibTable::LOCAL; 2] } else { [FibTable::LOCAL, FibTable::MAIN] };
        self.fib.covering(addr).find(|r| tables.contains(&r.table))
    }
}
