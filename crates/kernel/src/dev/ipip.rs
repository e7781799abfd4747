//! IPv4 in IPv4 (net/ipv4/ipip.c, net/ipv4/ip_tunnel.c, net/ipv4/tunnel4.c; RFC 2003).

use super::DevKind;
use super::tunnel::{Outer, iptunnel_xmit, tunnel_rcv};
use crate::ipv4::{icmp_frag_needed, icmp_send};
use crate::route::Flow;
use crate::{Cx, DevId, DropReason, Journey, Netns, Skb};
use packet::{Frame, Ip, L4, Mac, Payload, Protocol, icmp_type};
use std::net::{IpAddr, Ipv4Addr};

/// Bytes by which the outer packet is longer: a header.
pub const IPIP_HEADROOM: u32 = 20;

/// A device of type ipip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipip {
    /// `local`: the outer source address; routing chooses one without.
    pub local: Option<Ipv4Addr>,
    /// `remote`: the other end; without one it is the next hop of the packet's route, and the tunnel takes from all.
    pub remote: Option<Ipv4Addr>,
    /// `nopmtudisc`: the outer packet says DF only if the inner one does.
    pub nopmtudisc: bool,
}

impl Ipip {
    /// `ip_tunnel_lookup`: how well the ends of an outer packet fit; `None` if they do not.
    fn takes(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Option<u8> {
        let fits = |own: Option<Ipv4Addr>, addr| own.is_none_or(|own| own == addr);
        let exact = u8::from(self.remote.is_some()) * 2 + u8::from(self.local.is_some());
        (fits(self.remote, src) && fits(self.local, dst)).then_some(exact)
    }
}

/// `ip_tunnel_xmit`
pub(super) fn ipip_xmit(ns: &mut Netns, skb: Skb, dev: DevId, tunnel: Ipip, cx: &mut Cx<'_>) -> Journey {
    let (ttl, inner_df, len, to) = match skb.ip() {
        Some(ip) => (ip.ttl, ip.frag.df, ip.segment_len(), ip.dst_v4()),
        None => return Err(cx.drop(&skb, DropReason::NotModelled)),
    };
    // Without another end it is the next hop (rt_nexthop).
    let hop = tunnel.remote.or(skb.dst.and_then(|d| d.gateway)).or(to);
    let Some(remote) = hop else { return Err(cx.drop(&skb, DropReason::NotModelled)) };
    let flow = Flow { proto: Protocol::IPIP.0, ..Flow::to(remote) };
    let flow = flow.from(tunnel.local.unwrap_or(Ipv4Addr::UNSPECIFIED));
    let route = match ns.route_packet(skb.id, &flow, cx) {
        Ok(route) => route,
        Err(why) => return Err(cx.drop(&skb, DropReason::Unreachable(why))),
    };
    if route.dev == dev {
        return Err(cx.drop(&skb, DropReason::TunnelLoop));
    }
    let df = !tunnel.nopmtudisc || inner_df;
    // tnl_update_pmtu
    let mtu = ns.dst_mtu(&route, remote, false, cx).saturating_sub(IPIP_HEADROOM as usize);
    let gso = skb.ip().is_some_and(|ip| ip.gso_size != 0);
    if !gso && inner_df && len > mtu {
        if let Some(to) = to {
            ns.update_pmtu(to, u32::try_from(mtu).unwrap_or(u32::MAX), cx.now);
        }
        icmp_frag_needed(ns, &skb, mtu, cx);
        return Err(cx.drop(&skb, DropReason::PacketTooBig));
    }
    let Some(bytes) = skb.ip().and_then(Ip::to_bytes) else {
        return Err(cx.drop(&skb, DropReason::NotModelled));
    };
    // `ttl inherit`, the default.
    let outer = Outer { route, to: IpAddr::V4(remote), ttl, df, l4: L4::Other(Protocol::IPIP, bytes) };
    iptunnel_xmit(ns, skb, dev, outer, cx)
}

/// `tunnel4_rcv`, `ipip_rcv`: to the tunnel that fits best; if there is none the sender is told.
pub(crate) fn tunnel4_rcv(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let ends = skb.ip().and_then(|ip| Some((ip.src_v4()?, ip.dst_v4()?)));
    let Some((src, dst)) = ends else { return Err(cx.drop(&skb, DropReason::NotModelled)) };
    if skb.ip().is_none_or(|ip| ip.total_len() < 2 * IPIP_HEADROOM as usize) {
        // There is no room for an inner header.
        return Err(cx.drop(&skb, DropReason::NoProtocol));
    }
    let fitting = ns.devices().iter().filter_map(|d| match &d.kind {
        DevKind::Ipip(t) if d.up => Some((t.takes(src, dst)?, d.id)),
        _ => None,
    });
    // Of equally good ones the first.
    let Some((_, dev)) = fitting.rev().max_by_key(|(exact, _)| *exact) else {
        icmp_send(ns, &skb, icmp_type::DEST_UNREACH, 3, None, cx);
        return Err(cx.drop(&skb, DropReason::NoProtocol));
    };
    let inner = skb.ip().and_then(|ip| match &ip.l4 {
        L4::Other(_, bytes) => Ip::from_bytes(bytes),
        _ => None,
    });
    let Some(inner) = inner else { return Err(cx.drop(&skb, DropReason::NotModelled)) };
    let frame = Frame { src: Mac::ZERO, dst: Mac::ZERO, payload: Payload::Ip(inner) };
    tunnel_rcv(skb, dev, frame, cx)
}

impl Netns {
    /// Some device is a tunnel of this type: otherwise nobody here knows the protocol.
    pub(crate) fn has_ipip(&self) -> bool {
        self.devices().iter().any(|d| matches!(d.kind, DevKind::Ipip(_)))
    }
}
