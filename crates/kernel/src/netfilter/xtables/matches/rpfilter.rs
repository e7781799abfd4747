//! `-m rpfilter` (net/ipv4/netfilter/ipt_rpfilter.c).

use super::{Checks, MatchCx};
use crate::netfilter::xtables::Seen;
use crate::route::{Flow, RouteKind};
use crate::{DevId, Skb, SkbOwner};
use std::net::Ipv4Addr;

/// Options of rpfilter, in the order in which iptables prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rpfilter {
    /// `--loose`: any route to the sender will do.
    pub loose: bool,
    /// `--validmark`: the packet's mark takes part in routing.
    pub validmark: bool,
    /// `--accept-local`: the sender may be this host.
    pub accept_local: bool,
    /// `--invert`
    pub invert: bool,
}

impl Rpfilter {
    pub(super) fn eval(self, skb: &Skb, m: &MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let (ok, why) = self.check(skb, m);
        checks.option(ok != self.invert, || Seen::Word(why))
    }

    /// `rpfilter_mt`: would an answer leave by the device by which the packet came in?
    fn check(self, skb: &Skb, m: &MatchCx<'_, '_>) -> (bool, &'static str) {
        let Some(dev) = m.ctx.indev else { return (false, "no device") };
        // A copy of what this host sends to all (PACKET_LOOPBACK) still has its owner.
        if dev == DevId(0) || skb.owner != SkbOwner::None {
            return (true, "from this host");
        }
        let addrs = skb.ip().and_then(|ip| Some((ip.src_v4()?, ip.dst_v4()?)));
        let Some((src, dst)) = addrs else { return (false, "not IP") };
        // DHCP: a host that has no address yet.
        if m.ns.is_zeronet(src) && (dst.is_broadcast() || dst.octets()[..3] == [224, 0, 0]) {
            return (true, "a sender without an address");
        }
        let group = dst.is_multicast() || dst.is_broadcast() || m.ns.is_zeronet(dst);
        let back = Flow {
            src: if group { Ipv4Addr::UNSPECIFIED } else { dst },
            mark: if self.validmark { skb.mark } else { 0 },
            tos: skb.ip().map_or(0, |ip| ip.tos),
            ..Flow::to(src)
        };
        let Ok(found) = m.ns.fib_lookup(&back) else { return (false, "no route back") };
        let route = &found.route;
        match route.kind {
            RouteKind::Unicast => {}
            RouteKind::Local if self.accept_local => {}
            _ => return (false, "the sender is no other host"),
        }
        match route.uses(dev) {
            true => (true, "the way back is the same"),
            false => (self.loose, "the way back is another"),
        }
    }
}
