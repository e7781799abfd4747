//! Routing of received packets (`ip_route_input_slow`, `fib_validate_source`).

use super::{Dst, Route, RouteEvent, RouteKind, Verdict};
use crate::event::What;
use crate::{Cut, Cx, DevId, DropReason, Netns, Skb};
use std::net::Ipv4Addr;

/// The group that every host is in (`IGMP_ALL_HOSTS`).
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// What routing finds, before it is logged.
struct Found {
    route: Option<Route>,
    outcome: Result<(Dst, bool), DropReason>,
}

impl Netns {
    /// `ip_route_input`: decides for a packet that came in by `dev` and sets its `dst`. `Err` gives the packet back
    /// with the reason; the caller ends it, perhaps with an ICMP error.
    pub(crate) fn ip_route_input(
        &self,
        mut skb: Skb,
        dev: DevId,
        cx: &mut Cx<'_>,
    ) -> Result<Skb, (Skb, DropReason)> {
        let addrs = skb.ip().and_then(|ip| Some((ip.src_v4()?, ip.dst_v4()?)));
        let Some((src, dst)) = addrs else { return Err((skb, DropReason::NotModelled)) };
        let found = self.route_input(src, dst, dev);
        let outcome = found.outcome.map(|(d, _)| d);
        cx.emit(skb.id, || What::Route(RouteEvent { input: true, dst, route: found.route, outcome }));
        match found.outcome {
            Ok((d, redirect)) => {
                skb.dst = Some(d);
                skb.do_redirect = redirect;
                Ok(skb)
            }
            Err(reason) => Err((skb, reason)),
        }
    }

    /// True if a packet from `src` to `dst` that comes in by `dev` would be delivered here (ARP asks this).
    pub(crate) fn input_is_local(&self, src: Ipv4Addr, dst: Ipv4Addr, dev: DevId) -> bool {
        matches!(self.route_input(src, dst, dev).outcome, Ok((Dst { verdict: Verdict::Local, .. }, _)))
    }

    /// The device by which a packet from `src` to `dst` that comes in by `dev` would be forwarded (proxy ARP).
    pub(crate) fn input_forward_dev(&self, src: Ipv4Addr, dst: Ipv4Addr, dev: DevId) -> Option<DevId> {
        match self.route_input(src, dst, dev).outcome {
            Ok((Dst { verdict: Verdict::Out, dev, .. }, _)) => Some(dev),
            _ => None,
        }
    }

    fn route_input(&self, src: Ipv4Addr, dst: Ipv4Addr, dev: DevId) -> Found {
        let fail = |route, reason| Found { route, outcome: Err(reason) };
        let lo = DevId(0);
        if src.is_multicast() || src.is_broadcast() {
            return fail(None, DropReason::MartianSource);
        }
        let here = |verdict| Dst { verdict, dev: lo, gateway: None, source: dst };
        if dst.is_multicast() && dst != ALL_HOSTS {
            // ip_check_mc_rcu: nobody here has joined the group.
            return fail(None, DropReason::NotForUs);
        }
        if dst.is_broadcast() || (src.is_unspecified() && dst.is_unspecified()) || dst.is_multicast() {
            return Found { route: None, outcome: Ok((here(Verdict::Broadcast), false)) };
        }
        if src.octets()[0] == 0 {
            return fail(None, DropReason::MartianSource);
        }
        if dst.octets()[0] == 0 {
            return fail(None, DropReason::MartianDestination);
        }
        let localnet = self.conf_or(dev, |c| c.route_localnet) || dev == lo;
        if dst.is_loopback() && !localnet {
            return fail(None, DropReason::MartianDestination);
        }
        if src.is_loopback() && !localnet {
            return fail(None, DropReason::MartianSource);
        }
        let forwarding = self.dev_conf(dev).forwarding != 0;
        let route = match self.fib.lookup(dst, None, |d| self.is_up(d)) {
            Ok(route) => route.clone(),
            Err((_, route)) if !forwarding => return fail(route.cloned(), DropReason::ForwardingDisabled),
            Err((why, route)) => return fail(route.cloned(), DropReason::Unreachable(why)),
        };
        match route.kind {
            RouteKind::Local | RouteKind::Broadcast => {
                let verdict =
                    if route.kind == RouteKind::Local { Verdict::Local } else { Verdict::Broadcast };
                match self.fib_validate_source(src, dev, lo) {
                    Ok(_) => Found { route: Some(route), outcome: Ok((here(verdict), false)) },
                    Err(reason) => fail(Some(route), reason),
                }
            }
            _ if !forwarding => fail(Some(route), DropReason::ForwardingDisabled),
            _ => {
                let out = route.dev.unwrap_or(lo);
                match self.fib_validate_source(src, dev, out) {
                    Err(reason) => fail(Some(route), reason),
                    Ok(on_link) => {
                        let redirect = out == dev
                            && on_link
                            && self.conf_or(out, |c| c.send_redirects)
                            && (self.conf_or(out, |c| c.shared_media)
                                || self.inet_addr_onlink(out, src, route.gateway.unwrap_or(dst)));
                        let d = Dst {
                            verdict: Verdict::Out,
                            dev: out,
                            gateway: route.gateway,
                            source: self.source_for(&route, dst),
                        };
                        Found { route: Some(route), outcome: Ok((d, redirect)) }
                    }
                }
            }
        }
    }

    /// `fib_validate_source`: may this source appear on this device? `Ok(true)` if the sender is on the link.
    fn fib_validate_source(&self, src: Ipv4Addr, dev: DevId, out: DevId) -> Result<bool, DropReason> {
        if src.is_unspecified() {
            return Ok(false);
        }
        let rp_filter = self.dev_conf(dev).rp_filter.max(self.sysctl.all.rp_filter);
        let accept_local = self.conf_or(dev, |c| c.accept_local);
        if rp_filter == 0 && (dev != out || !self.conf_or(dev, |c| c.send_redirects)) {
            if !accept_local && dev != DevId(0) && self.is_local_addr(src) {
                return Err(DropReason::MartianSource);
            }
            return Ok(false);
        }
        if dev == DevId(0) {
            return Ok(true);
        }
        let strict = |ok: bool| if ok { Ok(false) } else { Err(DropReason::RpFilter) };
        let route = match self.fib.lookup(src, None, |d| self.is_up(d)) {
            Ok(route) => route,
            Err(_) => return strict(rp_filter == 0),
        };
        match route.kind {
            RouteKind::Unicast => {}
            RouteKind::Local if accept_local => {}
            _ => return Err(DropReason::MartianSource),
        }
        let on_link = route.gateway.is_none();
        if route.dev == Some(dev) {
            return Ok(on_link);
        }
        if rp_filter == 1 {
            return Err(DropReason::RpFilter);
        }
        let back = self.fib.lookup(src, Some(dev), |d| self.is_up(d));
        Ok(back.is_ok_and(|r| r.dev == Some(dev) && r.gateway.is_none()))
    }

    /// Ends a packet that could not be routed, with the ICMP error that is due (`ip_error`).
    pub(crate) fn ip_error(&mut self, skb: Skb, reason: DropReason, cx: &mut Cx<'_>) -> Cut {
        use super::Unreachable as U;
        let code = match reason {
            DropReason::Unreachable(U::Net) => Some(0),
            DropReason::Unreachable(U::Host) => Some(1),
            DropReason::Unreachable(U::Prohibited) => Some(13),
            _ => None,
        };
        if let Some(code) = code
            && self.peer_allows(&skb, cx)
        {
            crate::ipv4::icmp_send(self, &skb, packet::icmp_type::DEST_UNREACH, code, None, cx);
        }
        if matches!(reason, DropReason::MartianSource | DropReason::RpFilter) {
            self.log_martian(&skb, cx);
        }
        cx.drop(&skb, reason)
    }

    /// `ip_handle_martian_source`
    fn log_martian(&self, skb: &Skb, cx: &mut Cx<'_>) {
        let Some(dev) = skb.dev else { return };
        if !self.conf_or(dev, |c| c.log_martians) {
            return;
        }
        if let Some(ip) = skb.ip() {
            let (src, dst, name) = (ip.src, ip.dst, self.dev_name(dev));
            cx.printk(skb.id, || format!("IPv4: martian source {dst} from {src}, on dev {name}"));
        }
    }
}
