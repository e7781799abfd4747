//! Forwarding (net/ipv4/ip_forward.c).

use super::icmp::icmp_frag_needed;
use super::{icmp_send, ip_output};
use crate::event::What;
use crate::netfilter::hook::InetHook;
use crate::netfilter::{OkFn, nf_hook};
use crate::route::{Dst, ip_rt_send_redirect};
use crate::{Cut, Cx, DropReason, Journey, Netns, PktType, Skb};
use packet::icmp_type;

/// `ip_forward`
pub(super) fn ip_forward(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    if skb.pkt_type != PktType::Host {
        return Err(cx.drop(&skb, DropReason::ForwardNotHost));
    }
    let (indev, Some(dst)) = (skb.dev, skb.dst) else {
        return Err(cx.drop(&skb, DropReason::DevDown));
    };
    if exceeds_mtu(ns, &skb, &dst, cx) {
        return Err(cx.drop(&skb, DropReason::PacketTooBig));
    }
    let skb = decrement_ttl(ns, skb, cx)?;
    if skb.do_redirect {
        ip_rt_send_redirect(ns, &skb, cx);
    }
    let skb = nf_hook(ns, InetHook::Forward, skb, indev, Some(dst.dev), OkFn::IpForward(indev), cx)?;
    ip_output(ns, skb, indev, cx)
}

/// `ip_exceeds_mtu`: too long for the way, and not to be cut. The sender is told.
fn exceeds_mtu(ns: &mut Netns, skb: &Skb, dst: &Dst, cx: &mut Cx<'_>) -> bool {
    let Some(ip) = skb.ip() else { return false };
    let Some(to) = ip.dst_v4() else { return false };
    let mtu = ns.dst_mtu(dst, to, true, cx);
    // A segment that stands for several counts as the longest of them.
    let len = ip.segment_len();
    let whole = skb.frag_max_size == 0;
    if ip.ttl <= 1 || !ip.frag.df || len <= mtu || (skb.ignore_df && (whole || skb.frag_max_size <= mtu)) {
        return false;
    }
    icmp_frag_needed(ns, skb, mtu, cx);
    true
}

fn decrement_ttl(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let skb = ip_decrease_ttl(ns, skb, cx)?;
    let ttl = skb.ip().map_or(0, |ip| ip.ttl);
    cx.emit(skb.id, || What::Forward { ttl });
    Ok(skb)
}

/// `ip_decrease_ttl` (include/net/ip.h), and what the sender hears of it if the packet may live no longer.
pub(crate) fn ip_decrease_ttl(ns: &mut Netns, mut skb: Skb, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let ttl = skb.ip().map_or(0, |ip| ip.ttl);
    if ttl <= 1 {
        icmp_send(ns, &skb, icmp_type::TIME_EXCEEDED, 0, None, cx);
        return Err(cx.drop(&skb, DropReason::TtlExpired));
    }
    if let Some(ip) = skb.ip_mut() {
        ip.ttl = ttl - 1;
    }
    Ok(skb)
}
