//! `fib`: what routing says of an address (net/ipv4/netfilter/nft_fib_ipv4.c, net/ipv6/netfilter/nft_fib_ipv6.c).

use super::data::Data;
use super::expr::EvalCx;
use crate::ipv6::addr_types;
use crate::netfilter::hook::InetHook;
use crate::netfilter::xtables::matches::{AddrType, AddrTypes};
use crate::route::{Flow, RouteKind};
use crate::{DevId, Skb, SkbOwner};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What `fib` answers (`enum nft_fib_result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FibResult {
    /// `oif`
    Oif,
    /// `oifname`
    Oifname,
    /// `type`
    Type,
}

/// `fib`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fib {
    /// About the source address, not the destination.
    pub saddr: bool,
    /// With the packet's mark.
    pub mark: bool,
    /// Only by the input device.
    pub iif: bool,
    /// Only by the output device.
    pub oif: bool,
    /// What is asked.
    pub result: FibResult,
    /// Only whether there is an answer (`exists`, `missing`).
    pub presence: bool,
}

/// `RTN_*` as numbers.
fn rtn(t: AddrType) -> u32 {
    AddrType::ALL.iter().position(|x| *x == t).map_or(0, |n| n as u32)
}

impl Fib {
    /// `nft_fib_validate`: where there is such a device; `None` means everywhere.
    pub fn hooks(self) -> Option<&'static [InetHook]> {
        use InetHook::*;
        match self.result {
            FibResult::Type if self.iif => Some(&[PreRouting, LocalIn, Forward]),
            FibResult::Type if self.oif => Some(&[LocalOut, PostRouting, Forward]),
            FibResult::Type => None,
            FibResult::Oif | FibResult::Oifname => Some(&[PreRouting, LocalIn, Forward]),
        }
    }

    pub(super) fn eval(self, skb: &Skb, e: &EvalCx<'_, '_>) -> Option<Data> {
        let ip = skb.ip()?;
        let dev = match (self.iif, self.oif) {
            (true, _) => e.ctx.indev,
            (_, true) => e.ctx.outdev,
            _ => None,
        };
        let (src, dst) = match (ip.src, ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => (src, dst),
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                return Some(self.eval6(if self.saddr { src } else { dst }, dev, e));
            }
            _ => return None,
        };
        if self.result == FibResult::Type {
            let kind = e.ns.inet_addr_type(if self.saddr { src } else { dst }, dev);
            return Some(Data::u32(rtn(kind)));
        }
        let found = self.oif(src, dst, dev, skb, e);
        Some(match self.result {
            _ if self.presence => Data::number(u128::from(found.is_some()), 1),
            FibResult::Oifname => Data::ifname(found.map_or("", |d| e.ns.dev_name(d))),
            _ => Data::u32(found.map_or(0, |d| u32::from(d.0) + 1)),
        })
    }

    /// `nft_fib6_eval`, `nft_fib6_eval_type`
    fn eval6(self, addr: Ipv6Addr, dev: Option<DevId>, e: &EvalCx<'_, '_>) -> Data {
        if self.result == FibResult::Type {
            return Data::u32(rtn(addr_types(e.ns, addr, dev, AddrTypes(0)).1));
        }
        let route = e.ns.route6(addr).filter(|found| dev.is_none_or(|dev| dev == *found));
        match self.result {
            _ if self.presence => Data::number(u128::from(route.is_some()), 1),
            FibResult::Oifname => Data::ifname(route.map_or("", |d| e.ns.dev_name(d))),
            _ => Data::u32(route.map_or(0, |d| u32::from(d.0) + 1)),
        }
    }

    /// `nft_fib4_eval`: the device to which a route leads.
    fn oif(
        self,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        dev: Option<DevId>,
        skb: &Skb,
        e: &EvalCx<'_, '_>,
    ) -> Option<DevId> {
        // nft_fib_can_skip: a packet that comes from here.
        let from_here = e.ctx.indev == Some(DevId(0)) || skb.owner != SkbOwner::None;
        if matches!(e.ctx.hook, InetHook::PreRouting | InetHook::LocalIn) && from_here {
            return e.ctx.indev;
        }
        if e.ns.is_zeronet(src) && (dst.is_broadcast() || dst.octets()[..3] == [224, 0, 0]) {
            return dev;
        }
        let (to, from) = if self.saddr { (src, dst) } else { (dst, src) };
        let group = from.is_multicast() || from.is_broadcast() || e.ns.is_zeronet(from);
        let flow = Flow {
            src: if group { Ipv4Addr::UNSPECIFIED } else { from },
            mark: if self.mark { skb.mark } else { 0 },
            tos: skb.ip().map_or(0, |ip| ip.tos),
            ..Flow::to(to)
        };
        let found = e.ns.fib_lookup(&flow).ok()?;
        if found.route.kind == RouteKind::Local {
            return None;
        }
        match dev {
            Some(dev) => found.route.uses(dev).then_some(dev),
            None => found.route.dev(),
        }
    }
}
