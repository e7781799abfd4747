//! `-j DNAT`, `SNAT`, `MASQUERADE`, `REDIRECT` (net/netfilter/xt_nat.c, xt_MASQUERADE.c, xt_REDIRECT.c).

use super::super::{PortRange, Verdict};
use super::TargetVerdict;
use crate::event::HookCtx;
use crate::netfilter::hook::InetHook;
use crate::netfilter::nat::{Manip, NatRange, nf_nat_setup_info};
use crate::route::Scope;
use crate::{Ct, Cx, DropReason, Netns, Skb};
use packet::{Family, Port};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Has one direction of the packet's entry decided.
pub(super) fn setup(
    ns: &mut Netns,
    skb: &Skb,
    range: &NatRange,
    manip: Manip,
    cx: &mut Cx<'_>,
) -> Result<TargetVerdict, DropReason> {
    match skb.ct {
        Ct::Tracked { conn, .. } => {
            nf_nat_setup_info(ns, skb, conn, range, manip, false, cx)?;
            Ok(TargetVerdict::Final(Verdict::Accept))
        }
        // nat is consulted only for packets that have an entry.
        _ => Ok(TargetVerdict::Final(Verdict::Accept)),
    }
}

/// `-j DNAT --to-destination`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dnat {
    /// First and last address; `None` keeps the address.
    pub addr: Option<(IpAddr, IpAddr)>,
    /// Ports; `None` keeps the port.
    pub ports: Option<PortRange>,
    /// `PORT-PORT/BASE`: the port becomes as far from the first one as it was from this one.
    pub base: Option<Port>,
    /// `--random`
    pub random: bool,
    /// `--persistent`
    pub persistent: bool,
}

/// `-j SNAT --to-source`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snat {
    /// First and last address; `None` keeps the address.
    pub addr: Option<(IpAddr, IpAddr)>,
    /// Ports; `None` keeps the port if it is free.
    pub ports: Option<PortRange>,
    /// As [`Dnat::base`]; iptables passes 0 on, whatever was written.
    pub base: Option<Port>,
    /// `--random`
    pub random: bool,
    /// `--random-fully`
    pub random_fully: bool,
    /// `--persistent`
    pub persistent: bool,
}

/// `-j MASQUERADE`
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Masquerade {
    /// `--to-ports`
    pub ports: Option<PortRange>,
    /// `--random`
    pub random: bool,
    /// `--random-fully`
    pub random_fully: bool,
}

/// `-j REDIRECT`
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Redirect {
    /// `--to-ports`
    pub ports: Option<PortRange>,
    /// `--random`
    pub random: bool,
}

impl Dnat {
    pub(super) fn eval(
        &self,
        ns: &mut Netns,
        skb: &Skb,
        _ctx: &HookCtx,
        cx: &mut Cx<'_>,
    ) -> Result<TargetVerdict, DropReason> {
        let range = NatRange {
            addr: self.addr,
            ports: self.ports,
            base: self.base,
            random: self.random,
            random_fully: false,
            persistent: self.persistent,
        };
        setup(ns, skb, &range, Manip::Dst, cx)
    }
}

impl Snat {
    pub(super) fn eval(
        &self,
        ns: &mut Netns,
        skb: &Skb,
        _ctx: &HookCtx,
        cx: &mut Cx<'_>,
    ) -> Result<TargetVerdict, DropReason> {
        let range = NatRange {
            addr: self.addr,
            ports: self.ports,
            base: self.base,
            random: self.random,
            random_fully: self.random_fully,
            persistent: self.persistent,
        };
        setup(ns, skb, &range, Manip::Src, cx)
    }
}

impl Masquerade {
    /// `nf_nat_masquerade_ipv4`: the address of the output device that suits the next hop.
    pub(crate) fn eval(
        &self,
        ns: &mut Netns,
        skb: &Skb,
        ctx: &HookCtx,
        cx: &mut Cx<'_>,
    ) -> Result<TargetVerdict, DropReason> {
        // A packet without a source address (DHCP) stays as it is.
        if skb.ip().is_some_and(|ip| ip.src.is_unspecified()) {
            return Ok(TargetVerdict::Final(Verdict::Accept));
        }
        let next_hop = skb.dst.and_then(|d| d.gateway).or(skb.ip().and_then(|ip| ip.dst_v4()));
        let v4 = |dev| ns.inet_select_addr(dev, next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED), Scope::Universe);
        // nf_nat_masquerade_ipv6 asks for the device's address that suits the destination.
        let addr = ctx.outdev.and_then(|dev| match skb.ip()?.dst {
            IpAddr::V4(_) => v4(dev).map(IpAddr::V4),
            IpAddr::V6(dst) => ns.source6(dev, dst).map(IpAddr::V6),
        });
        let addr = addr.ok_or(DropReason::NetfilterDrop)?;
        let range = NatRange {
            addr: Some((addr, addr)),
            ports: self.ports,
            random: self.random,
            random_fully: self.random_fully,
            ..NatRange::default()
        };
        if let Ct::Tracked { conn, .. } = skb.ct
            && let Some(c) = ns.ct.get_mut(conn)
        {
            c.masq = ctx.outdev;
        }
        setup(ns, skb, &range, Manip::Src, cx)
    }
}

impl Redirect {
    /// `nf_nat_redirect_ipv4`: to 127.0.0.1 in OUTPUT, to the first address of the input device in PREROUTING.
    pub(crate) fn eval(
        &self,
        ns: &mut Netns,
        skb: &Skb,
        ctx: &HookCtx,
        cx: &mut Cx<'_>,
    ) -> Result<TargetVerdict, DropReason> {
        let local = ctx.hook == InetHook::LocalOut;
        let addr = match ctx.family {
            Family::V4 if local => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Family::V4 => ctx.indev.and_then(|dev| ns.first_addr(dev)).map(IpAddr::V4),
            Family::V6 if local => Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            Family::V6 => ctx.indev.and_then(|dev| ns.first_addr6(dev)).map(IpAddr::V6),
        };
        let addr = addr.ok_or(DropReason::NetfilterDrop)?;
        let range = NatRange {
            addr: Some((addr, addr)),
            ports: self.ports,
            random: self.random,
            ..NatRange::default()
        };
        setup(ns, skb, &range, Manip::Dst, cx)
    }
}
