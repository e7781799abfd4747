//! Received packets (net/ipv4/ip_input.c).

use super::defrag::{DefragUser, ip_defrag};
use super::forward::ip_forward;
use super::icmp::icmp_rcv;
use crate::dev::tunnel4_rcv;
use crate::netfilter::hook::InetHook;
use crate::netfilter::{OkFn, nf_hook};
use crate::route::{ALL_HOSTS, Verdict};
use crate::socket::{tcp_v4_rcv, udp_rcv, udplite_rcv};
use crate::{Cx, DevId, DropReason, Journey, Netns, PktType, Skb};
use packet::{L4, Protocol, icmp_type};

/// `ip_rcv`
pub(crate) fn ip_rcv(ns: &mut Netns, mut skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    if skb.pkt_type == PktType::OtherHost {
        return Err(cx.drop(&skb, DropReason::OtherHost));
    }
    skb.dev = Some(dev);
    skb.iif = Some(dev);
    // The control block is cleared: forgotten is what routing noted while the bridge asked it, and that the bridge had
    // put the datagram together from fragments.
    skb.do_redirect = false;
    skb.frag_max_size = 0;
    let skb = nf_hook(ns, InetHook::PreRouting, skb, Some(dev), None, OkFn::IpRcv(dev), cx)?;
    ip_rcv_finish(ns, skb, dev, cx)
}

/// `ip_rcv_finish`
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(crate) fn ip_rcv_finish(ns: &mut Netns, mut skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    if skb.dst.is_none() && skb.pkt_type == PktType::Host {
        early_demux(&mut skb);
    }
    let skb = match skb.dst {
        // br_netfilter, or loopback, has routed it already.
        Some(_) => skb,
        None => match ns.ip_route_input(skb, dev, cx) {
            Ok(skb) => skb,
            Err((skb, reason)) => return Err(ns.ip_error(skb, reason, cx)),
        },
    };
    match skb.dst.map(|d| d.verdict) {
        Some(Verdict::Out) => ip_forward(ns, skb, cx),
        // Loopback brings the way out along, whose input is `dst_discard` for a group that nobody here has joined.
        Some(Verdict::Multicast) if skb.ip().and_then(|ip| ip.dst_v4()) != Some(ALL_HOSTS) => {
            Err(cx.drop(&skb, DropReason::NotForUs))
        }
        _ => ip_local_deliver(ns, skb, dev, cx),
    }
}

/// `tcp_v4_early_demux`: looking for a socket puts TCP's header together, if the first fragment did not hold it whole. The
/// fragments do not fit any more then.
fn early_demux(skb: &mut Skb) {
    let first = skb.frag_list.as_ref().and_then(|parts| parts.first());
    if first.is_some_and(|(_, len)| *len < 20) && skb.ip().is_some_and(|ip| ip.protocol() == Protocol::TCP) {
        skb.frag_list = None;
    }
}

/// `ip_local_deliver`
fn ip_local_deliver(ns: &mut Netns, skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    let skb = match skb.ip() {
        Some(ip) if ip.is_fragment() => ip_defrag(ns, skb, DefragUser::LocalDeliver, cx)?,
        _ => skb,
    };
    let skb = nf_hook(ns, InetHook::LocalIn, skb, Some(dev), None, OkFn::IpLocalDeliver, cx)?;
    ip_local_deliver_finish(ns, skb, cx)
}

/// `ip_local_deliver_finish`
pub(crate) fn ip_local_deliver_finish(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    match skb.ip().map(|ip| &ip.l4) {
        Some(L4::Tcp(_)) => tcp_v4_rcv(ns, skb, cx),
        Some(L4::Udp(_)) => udp_rcv(ns, skb, cx),
        Some(L4::Icmp(_)) => icmp_rcv(ns, skb, cx),
        Some(L4::Other(Protocol::UDPLITE, _)) => udplite_rcv(ns, skb, cx),
        // The kernel reads them itself (igmp_rcv, pim_rcv_v1); nobody here is in a group or routes for one.
        Some(L4::Other(Protocol::IGMP | Protocol::PIM, _)) => Err(cx.drop(&skb, DropReason::NotForUs)),
        Some(L4::Other(Protocol::IPIP, _)) if cfg!(feature = "tunnels") && ns.has_ipip() => {
            tunnel4_rcv(ns, skb, cx)
        }
        _ if skb.ip().is_some_and(packet::Ip::is_malformed) => Err(cx.drop(&skb, DropReason::BadChecksum)),
        _ => {
            super::icmp_send(ns, &skb, icmp_type::DEST_UNREACH, 2, None, cx);
            Err(cx.drop(&skb, DropReason::NoProtocol))
        }
    }
}
