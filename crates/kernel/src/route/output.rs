//! Routing of packets that this host sends (`ip_route_output_key_hash_rcu`), and choosing addresses.

use super::{Dst, Route, RouteEvent, RouteKind, Scope, Unreachable, Verdict};
use crate::event::What;
use crate::netfilter::xtables::matches::AddrType;
use crate::{Cx, DevId, DropReason, Netns, PacketId};
use std::net::Ipv4Addr;

impl Netns {
    /// `ip_route_output_key`: the way to `dst`. `src` may be given; with `any_src` it need not be an address of
    /// this host.
    pub(crate) fn ip_route_output(
        &self,
        src: Option<Ipv4Addr>,
        dst: Ipv4Addr,
        any_src: bool,
    ) -> Result<(Dst, Option<Route>), (Unreachable, Option<Route>)> {
        if let Some(s) = src
            && !any_src
            && !s.is_unspecified()
            && !self.is_local_addr(s)
        {
            let plain = !s.is_multicast() && !s.is_broadcast() && s.octets()[0] != 0;
            let valid = plain && self.era().foreign_source_is_unreachable();
            return Err((if valid { Unreachable::Net } else { Unreachable::Invalid }, None));
        }
        let src = src.filter(|s| !s.is_unspecified());
        if dst.is_broadcast() {
            // The limited broadcast leaves by the device of its source, else by the route to it.
            let owner = |a: Ipv4Addr| {
                self.devices().iter().find(|d| d.addrs.iter().any(|x| x.net.addr() == a)).map(|d| d.id)
            };
            let (dev, source, route) = match src.and_then(|a| Some((owner(a)?, a))) {
                Some((dev, a)) => (dev, a, None),
                None => {
                    let route = self.lookup_output(dst)?;
                    (route.dev.unwrap_or_default(), self.source_for(&route, dst), Some(route))
                }
            };
            return Ok((Dst { verdict: Verdict::Broadcast, dev, gateway: None, source }, route));
        }
        let dst = if dst.is_unspecified() { Ipv4Addr::LOCALHOST } else { dst };
        let route = match self.lookup_output(dst) {
            Ok(route) => route,
            Err((why, route)) => return Err((why, route)),
        };
        let lo = DevId(0);
        let d = match route.kind {
            RouteKind::Local => Dst {
                verdict: Verdict::Local,
                dev: lo,
                gateway: None,
                source: src.unwrap_or(route.prefsrc.unwrap_or(dst)),
            },
            RouteKind::Broadcast => {
                let dev = route.dev.unwrap_or(lo);
                let source = src.unwrap_or_else(|| self.source_for(&route, dst));
                Dst { verdict: Verdict::Broadcast, dev, gateway: None, source }
            }
            _ => {
                let dev = route.dev.unwrap_or(lo);
                let source = src.unwrap_or_else(|| self.source_for(&route, dst));
                Dst { verdict: Verdict::Out, dev, gateway: route.gateway, source }
            }
        };
        // A loopback source must not leave the host unless the device says so.
        if d.source.is_loopback() && d.dev != lo && !self.conf_or(d.dev, |c| c.route_localnet) {
            return Err((Unreachable::Invalid, Some(route)));
        }
        Ok((d, Some(route)))
    }

    fn lookup_output(&self, dst: Ipv4Addr) -> Result<Route, (Unreachable, Option<Route>)> {
        let mut route = match self.fib.lookup(dst, None, |d| self.is_up(d)) {
            Ok(r) => r.clone(),
            Err((why, r)) => return Err((why, r.cloned())),
        };
        // An ICMP redirect has taught a better gateway for this destination.
        if let Some(gw) = self.redirects.get(&dst)
            && route.gateway.is_some()
        {
            route.gateway = Some(*gw);
        }
        Ok(route)
    }

    /// As [`Netns::ip_route_output`], logged for a packet.
    pub(crate) fn route_packet(
        &self,
        packet: PacketId,
        src: Option<Ipv4Addr>,
        dst: Ipv4Addr,
        any_src: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Dst, Unreachable> {
        let found = self.ip_route_output(src, dst, any_src);
        let (route, outcome) = match &found {
            Ok((d, route)) => (route.clone(), Ok(*d)),
            Err((why, route)) => (route.clone(), Err(DropReason::Unreachable(*why))),
        };
        cx.emit(packet, || What::Route(RouteEvent { input: false, dst, route, outcome }));
        found.map(|(d, _)| d).map_err(|(why, _)| why)
    }

    /// `fib_result_prefsrc`: the source address for a route.
    pub(super) fn source_for(&self, route: &Route, dst: Ipv4Addr) -> Ipv4Addr {
        route
            .prefsrc
            .or_else(|| {
                let dev = route.dev?;
                self.inet_select_addr(dev, route.gateway.unwrap_or(dst), route.scope)
            })
            .unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// `inet_select_addr`: an address of `dev` on the same network as `dst`, else its first one; if it has none,
    /// one of another device. Addresses that are valid only nearer than `scope` do not count.
    pub(crate) fn inet_select_addr(&self, dev: DevId, dst: Ipv4Addr, scope: Scope) -> Option<Ipv4Addr> {
        let fits = |a: &&crate::dev::IfAddr| a.scope <= scope;
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

    /// `inet_addr_onlink`: both addresses on one network of the device.
    pub(super) fn inet_addr_onlink(&self, dev: DevId, a: Ipv4Addr, b: Ipv4Addr) -> bool {
        self.device(dev).is_some_and(|d| d.addrs.iter().any(|x| x.net.contains(&a) && x.net.contains(&b)))
    }

    /// True for an address of this host, 127/8 included.
    pub(crate) fn is_local_addr(&self, addr: Ipv4Addr) -> bool {
        self.inet_addr_type(addr, None) == AddrType::Local
    }

    /// `inet_dev_addr_type`: what an address is to this host, or to one of its devices.
    pub fn inet_addr_type(&self, addr: Ipv4Addr, dev: Option<DevId>) -> AddrType {
        if addr.octets()[0] == 0 || addr.is_broadcast() {
            return AddrType::Broadcast;
        }
        if addr.is_multicast() {
            return AddrType::Multicast;
        }
        let local = self
            .fib
            .routes()
            .iter()
            .filter(|r| r.table == super::FibTable::Local && r.dst.contains(&addr))
            .max_by_key(|r| r.dst.prefix_len());
        match local {
            Some(r) if dev.is_none() || r.dev == dev => match r.kind {
                RouteKind::Broadcast => AddrType::Broadcast,
                _ => AddrType::Local,
            },
            _ => AddrType::Unicast,
        }
    }
}
