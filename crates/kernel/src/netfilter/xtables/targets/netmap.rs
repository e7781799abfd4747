//! `-j NETMAP` (net/netfilter/xt_NETMAP.c): the network part of an address is replaced, the host part stays.

use super::TargetVerdict;
use super::nat::setup;
use crate::event::HookCtx;
use crate::netfilter::nat::{Manip, NatRange};
use crate::netfilter::xtables::Verdict;
use crate::{Cx, DropReason, Netns, Skb};
use std::net::Ipv4Addr;

/// `-j NETMAP --to`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Netmap {
    /// The new network.
    pub net: Ipv4Addr,
    /// Its mask.
    pub mask: Ipv4Addr,
}

impl Netmap {
    /// The destination at PREROUTING and OUTPUT, the source elsewhere.
    pub(super) fn eval(
        self,
        ns: &mut Netns,
        skb: &Skb,
        ctx: &HookCtx,
        cx: &mut Cx<'_>,
    ) -> Result<TargetVerdict, DropReason> {
        let manip = Manip::of(ctx.hook);
        let old = skb.ip().and_then(|ip| if manip == Manip::Dst { ip.dst_v4() } else { ip.src_v4() });
        let Some(old) = old else { return Ok(TargetVerdict::Final(Verdict::Accept)) };
        let mask = self.mask.to_bits();
        let new = Ipv4Addr::from_bits(old.to_bits() & !mask | self.net.to_bits() & mask);
        let range = NatRange { addr: Some((new.into(), new.into())), ..NatRange::default() };
        setup(ns, skb, &range, manip, cx)
    }
}
