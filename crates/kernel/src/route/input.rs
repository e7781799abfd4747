//! Routing of received packets (`ip_route_input_slow`, `fib_validate_source`).

use super::{ALL_HOSTS, Dst, Flow, Route, RouteEvent, RouteKind, Verdict};
use crate::event::What;
use crate::{Cut, Cx, DevId, DropReason, Netns, Skb};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// What routing finds, before it is logged.
pub(super) struct Decision<'a> {
    pub route: Option<&'a Rc<Route>>,
    /// The way, and whether the sender is to be told of a better one.
    pub outcome: Result<(Dst, bool), DropReason>,
}

impl Netns {
    /// `ip_route_input`: decides for a packet that came in by `dev` and sets its `dst`. `Err` gives the packet back
    /// with the reason; the caller ends it, perhaps with an ICMP error.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn ip_route_input(
        &self,
        mut skb: Skb,
        dev: DevId,
        cx: &mut Cx<'_>,
    ) -> Result<Skb, (Skb, DropReason)> {
        let Some(flow) = Flow::input(&skb, dev) else { return Err((skb, DropReason::NotModelled)) };
        let found = self.route_input(&flow, dev);
        let outcome = found.outcome.map(|(d, _)| d);
        cx.emit(skb.id, || {
            What::Route(RouteEvent { input: true, dst: flow.dst, route: found.route.cloned(), outcome })
        });
        match found.outcome {
            Ok((d, redirect)) => {
                skb.dst = Some(d);
                skb.do_redirect = redirect;
                Ok(skb)
            }
            Err(reason) => Err((skb, reason)),
        }
    }

    /// Where a packet from `src` to `dst` that came in by `dev` would go (ARP asks this).
    pub(crate) fn input_way(&self, src: Ipv4Addr, dst: Ipv4Addr, dev: DevId) -> Option<Dst> {
        let flow = Flow { iif: Some(dev), ..Flow::to(dst).from(src) };
        self.route_input(&flow, dev).outcome.ok().map(|(d, _)| d)
    }

    /// `ip_route_input_slow`, `ip_route_input_mc`
    pub(super) fn route_input(&self, flow: &Flow, dev: DevId) -> Decision<'_> {
        let (src, dst) = (flow.src, flow.dst);
        let fail = |route, reason| Decision { route, outcome: Err(reason) };
        let lo = DevId(0);
        let here = |verdict| Dst { verdict, dev: lo, gateway: None, source: dst, mtu: None };
        let localnet = self.conf_or(dev, |c| c.route_localnet) || dev == lo;
        // To this host, if the source may be there.
        let deliver = |route, verdict, check: bool| {
            // What is for many does not come back from their address.
            let back = if verdict == Verdict::Local { dst } else { Ipv4Addr::UNSPECIFIED };
            let asked = Flow { dst: back, ..*flow };
            let valid = if check { self.fib_validate_source(&asked, dev, None) } else { Ok(false) };
            Decision { route, outcome: valid.map(|_| (here(verdict), false)) }
        };
        if dst.is_multicast() {
            let on_this_net = dst.octets()[..3] == [224, 0, 0];
            return match () {
                // ip_check_mc_rcu: nobody here has joined the group.
                () if dst != ALL_HOSTS || dev == lo => fail(None, DropReason::NotForUs),
                () if src.is_multicast() || src.is_broadcast() || src.is_loopback() && !localnet => {
                    fail(None, DropReason::MartianSource)
                }
                () if self.is_zeronet(src) && !on_this_net => fail(None, DropReason::MartianSource),
                () => deliver(None, Verdict::Multicast, !self.is_zeronet(src)),
            };
        }
        if src.is_multicast() || src.is_broadcast() {
            return fail(None, DropReason::MartianSource);
        }
        if dst.is_broadcast() || (src.is_unspecified() && dst.is_unspecified()) {
            return deliver(None, Verdict::Broadcast, !self.is_zeronet(src));
        }
        if self.is_zeronet(src) {
            return fail(None, DropReason::MartianSource);
        }
        if self.is_zeronet(dst) {
            return fail(None, DropReason::MartianDestination);
        }
        if dst.is_loopback() && !localnet {
            return fail(None, DropReason::MartianDestination);
        }
        if src.is_loopback() && !localnet {
            return fail(None, DropReason::MartianSource);
        }
        let forwarding = self.dev_conf(dev).forwarding != 0;
        let asked =
            if self.fib.rules.dissect { *flow } else { Flow { proto: 0, sport: 0, dport: 0, ..*flow } };
        let mut found = match self.fib_lookup(&asked) {
            Ok(found) => found,
            Err((_, route)) if !forwarding => return fail(route, DropReason::ForwardingDisabled),
            Err((why, route)) => return fail(route, DropReason::Unreachable(why)),
        };
        match found.route.kind {
            RouteKind::Local => deliver(Some(found.route), Verdict::Local, true),
            RouteKind::Broadcast => deliver(Some(found.route), Verdict::Broadcast, true),
            _ if !forwarding => fail(Some(found.route), DropReason::ForwardingDisabled),
            RouteKind::Unicast => {
                self.fib_select_path(&mut found, flow);
                let (out, gateway) = (found.dev(), found.gateway());
                let on_link = match self.fib_validate_source(flow, dev, Some(out)) {
                    Err(reason) => return fail(Some(found.route), reason),
                    Ok(on_link) => on_link,
                };
                let redirect = out == dev
                    && on_link
                    && self.conf_or(out, |c| c.send_redirects)
                    && (self.conf_or(out, |c| c.shared_media) || self.inet_addr_onlink(out, src, gateway));
                let (source, mtu) = (Ipv4Addr::UNSPECIFIED, found.route.mtu);
                let d = Dst { verdict: Verdict::Out, dev: out, gateway, source, mtu };
                Decision { route: Some(found.route), outcome: Ok((d, redirect)) }
            }
            _ => fail(Some(found.route), DropReason::MartianDestination),
        }
    }

    /// `fib_validate_source`: may this source appear on this device? `Ok(true)` if the sender is on the link. `out` is the
    /// device by which the packet would leave; `None` if it is for this host.
    fn fib_validate_source(&self, flow: &Flow, dev: DevId, out: Option<DevId>) -> Result<bool, DropReason> {
        let src = flow.src;
        let rp_filter = self.dev_conf(dev).rp_filter.max(self.sysctl.all.rp_filter);
        let accept_local = self.conf_or(dev, |c| c.accept_local);
        if rp_filter == 0 && (out != Some(dev) || !self.conf_or(dev, |c| c.send_redirects)) {
            // With rules or local routes of the operator's, looking at addresses is not enough.
            let custom = self.fib.rules.custom || self.fib.custom_local;
            if accept_local {
                return Ok(false);
            }
            if !custom {
                let own = self.has_addr(src);
                return if own { Err(DropReason::MartianSource) } else { Ok(false) };
            }
        }
        let (mark, dissect) = (self.conf_or(dev, |c| c.src_valid_mark), self.fib.rules.dissect);
        let mut back = Flow {
            tos: flow.tos,
            mark: if mark { flow.mark } else { 0 },
            iif: out,
            ..Flow::to(src).from(flow.dst)
        };
        if dissect {
            back = Flow { proto: flow.proto, sport: flow.dport, dport: flow.sport, ..back };
        }
        let strict = |ok: bool| if ok { Ok(false) } else { Err(DropReason::RpFilter) };
        let Ok(found) = self.fib_lookup(&back) else { return strict(rp_filter == 0) };
        match found.route.kind {
            RouteKind::Unicast => {}
            RouteKind::Local if accept_local => {}
            _ => return Err(DropReason::MartianSource),
        }
        if found.route.uses(dev) {
            return Ok(found.gateway().is_none());
        }
        if self.device(dev).is_some_and(|d| d.addrs.is_empty()) {
            return strict(rp_filter == 0);
        }
        if rp_filter == 1 {
            return Err(DropReason::RpFilter);
        }
        back.oif = Some(dev);
        let again = self.fib_lookup(&back);
        Ok(again.is_ok_and(|f| f.route.kind == RouteKind::Unicast && f.gateway().is_none()))
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
        self.log_martian(&skb, reason, cx);
        cx.drop(&skb, reason)
    }

    /// What `log_martians` says of a packet that is dropped for its addresses (`ip_handle_martian_source`, and
    /// `ip_route_input_slow` at `martian_destination`).
    pub(crate) fn log_martian(&mut self, skb: &Skb, reason: DropReason, cx: &mut Cx<'_>) {
        let source = matches!(reason, DropReason::MartianSource | DropReason::RpFilter);
        let Some(dev) = skb.dev else { return };
        if !(source || reason == DropReason::MartianDestination) || !self.conf_or(dev, |c| c.log_martians) {
            return;
        }
        let Some((src, dst)) = skb.ip().map(|ip| (ip.src, ip.dst)) else { return };
        if !self.net_ratelimit(skb.id, cx) {
            return;
        }
        let name = self.dev_name(dev);
        if !source {
            return cx.printk(skb.id, || format!("IPv4: martian destination {dst} from {src}, dev {name}"));
        }
        cx.printk(skb.id, || format!("IPv4: martian source {dst} from {src}, on dev {name}"));
        // print_hex_dump of the link-layer header: an Ethernet one ends with the type of IPv4.
        let header = [skb.frame.dst.0, skb.frame.src.0].concat().into_iter().chain([8, 0]);
        cx.printk(skb.id, || {
            let bytes: Vec<String> = header.map(|b| format!("{b:02x}")).collect();
            format!("ll header: 00000000: {}", bytes.join(" "))
        });
    }
}
