//! Forwarding (net/ipv4/ip_forward.c).

use super::{icmp_send, ip_output};
use crate::event::What;
use crate::netfilter::hook::InetHook;
use crate::netfilter::nf_hook;
use crate::route::ip_rt_send_redirect;
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
    let skb = decrement_ttl(ns, skb, cx)?;
    if skb.do_redirect {
        ip_rt_send_redirect(ns, &skb, cx);
    }
    let skb = nf_hook(ns, InetHook::Forward, skb, indev, Some(dst.dev), cx)?;
    ip_output(ns, skb, indev, cx)
}

fn decrement_ttl(ns: &mut Netns, mut skb: Skb, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let ttl = skb.ip().map_or(0, |ip| ip.ttl);
    if ttl <= 1 {
        icmp_send(ns, &skb, icmp_type::TIME_EXCEEDED, 0, None, cx);
        return Err(cx.drop(&skb, DropReason::TtlExpired));
    }
    if let Some(ip) = skb.ip_mut() {
        ip.ttl = ttl - 1;
    }
    cx.emit(skb.id, || What::Forward { ttl: ttl - 1 });
    Ok(skb)
}
