//! Packets that the box itself sends (net/ipv6/ip6_output.c, net/ipv6/route.c), as far as REJECT needs it.

use crate::netfilter::hook::InetHook;
use crate::netfilter::nf_hook_of;
use crate::{Cut, Cx, DevId, DropReason, Netns, Skb};
use std::net::{IpAddr, Ipv6Addr};

impl Netns {
    /// The device by which a destination is reached: `lo` for the host's own addresses, else the one whose network it is in.
    pub(crate) fn route6(&self, dst: Ipv6Addr) -> Option<DevId> {
        if self.is_local6(dst, None) {
            return Some(DevId(0));
        }
        let fits = self.addrs6().iter().filter(|(dev, net)| net.contains(&dst) && self.is_up(*dev));
        fits.max_by_key(|(_, net)| net.prefix_len()).map(|(dev, _)| *dev)
    }
}

/// `ip6_local_out`, `ip6_output`: the hooks OUTPUT and POSTROUTING. There the way of an IPv6 packet ends: there is no neighbour
/// discovery, so nothing is put on a device.
pub(super) fn ip6_local_out(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Result<(), Cut> {
    let to = |skb: &Skb| match skb.ip().map(|ip| ip.dst) {
        Some(IpAddr::V6(dst)) => Some(dst),
        _ => None,
    };
    let Some(dev) = to(&skb).and_then(|dst| ns.route6(dst)) else {
        return Err(cx.drop(&skb, DropReason::NotModelled));
    };
    let skb = nf_hook_of(ns, InetHook::LocalOut, skb, None, Some(dev), cx)?;
    let dev = to(&skb).and_then(|dst| ns.route6(dst)).unwrap_or(dev);
    let skb = nf_hook_of(ns, InetHook::PostRouting, skb, None, Some(dev), cx)?;
    Err(cx.drop(&skb, DropReason::NotModelled))
}
