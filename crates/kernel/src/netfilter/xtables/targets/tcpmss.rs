//! `-j TCPMSS` (net/netfilter/xt_TCPMSS.c).

use super::super::Verdict;
use super::TargetVerdict;
use crate::route::{Dst, Flow};
use crate::{Cx, Netns, Skb};
use packet::L4;
use std::net::Ipv4Addr;

/// The largest segment that the sender of a SYN asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcpmss {
    /// `--set-mss`
    Set(u16),
    /// `--clamp-mss-to-pmtu`
    ClampToPmtu,
}

/// The headers of IP and TCP without options.
const HEADERS: u32 = 40;

/// What a host may send to one that names no size (RFC 879).
const DEFAULT_MSS: u16 = 536;

impl Tcpmss {
    /// Makes the segment size smaller, never larger. A segment without the option gets it, unless it carries data.
    pub(super) fn eval(self, ns: &Netns, skb: &mut Skb, cx: &Cx<'_>) -> TargetVerdict {
        let pass = TargetVerdict::Continue;
        if skb.ip().is_none_or(|ip| ip.frag.offset != 0) {
            return pass;
        }
        // All of the segment lies in one piece from now on (`skb_ensure_writable`).
        if skb.frag_list.is_some() {
            skb.frag_list = None;
        }
        let wanted = match self {
            Tcpmss::Set(mss) => mss,
            Tcpmss::ClampToPmtu => match smaller_mtu(ns, skb, cx) {
                mtu if mtu <= HEADERS => return TargetVerdict::Final(Verdict::Drop),
                mtu => u16::try_from(mtu - HEADERS).unwrap_or(u16::MAX),
            },
        };
        let Some(L4::Tcp(tcp)) = skb.ip().map(|ip| &ip.l4) else { return pass };
        let mss = match tcp.options.mss {
            Some(asked) if asked <= wanted => return pass,
            Some(_) => wanted,
            None if !tcp.payload.is_empty() => return pass,
            None => wanted.min(DEFAULT_MSS),
        };
        if let Some(L4::Tcp(tcp)) = skb.ip_mut().map(|ip| &mut ip.l4) {
            tcp.options.mss = Some(mss);
        }
        pass
    }
}

/// The smaller MTU of the way there and, as the answers will take it, of the way back (`tcpmss_reverse_mtu`).
fn smaller_mtu(ns: &Netns, skb: &Skb, cx: &Cx<'_>) -> u32 {
    let mtu = |dst: Option<Dst>, to: Option<Ipv4Addr>| {
        let known = dst.zip(to).map(|(dst, to)| ns.dst_mtu(&dst, to, false, cx));
        known.map_or(u32::MAX, |mtu| u32::try_from(mtu).unwrap_or(u32::MAX))
    };
    let (src, dst) = (skb.ip().and_then(|ip| ip.src_v4()), skb.ip().and_then(|ip| ip.dst_v4()));
    let back = src.and_then(|src| ns.ip_route_output(&Flow::to(src)).ok()).map(|(back, _)| back);
    mtu(skb.dst, dst).min(mtu(back, src))
}
