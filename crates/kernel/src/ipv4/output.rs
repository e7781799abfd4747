//! Sending (net/ipv4/ip_output.c, net/ipv4/netfilter.c).

use super::fragment::ip_finish_output;
use crate::dev::dev_queue_xmit;
use crate::event::What;
use crate::neigh::neigh_output;
use crate::netfilter::hook::InetHook;
use crate::netfilter::xtables::matches::AddrType;
use crate::netfilter::{OkFn, nf_hook};
use crate::route::{ALL_HOSTS, Dst, Flow, RouteEvent, Verdict};
use crate::{Cut, Cx, Delivery, DevId, DropReason, Journey, Netns, Output, PktType, Skb};
use packet::Mac;
use std::net::Ipv4Addr;

/// `ip_local_out`: a packet of this host, already routed, sets out.
pub(crate) fn ip_local_out(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    ip_local_out_from(ns, skb, None, cx)
}

/// The same for a packet that IPVS sends on: it still bears the device by which it came in.
pub(crate) fn ip_local_out_from(ns: &mut Netns, skb: Skb, indev: Option<DevId>, cx: &mut Cx<'_>) -> Journey {
    let Some(dst) = skb.dst else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    // The hook keeps seeing this output device even if a rule makes the packet be routed anew.
    let okfn = OkFn::DstOutput { indev, forwarded: indev.is_some() };
    let skb = nf_hook(ns, InetHook::LocalOut, skb, None, Some(dst.dev), okfn, cx)?;
    ip_output(ns, skb, indev, cx)
}

/// The same for the outer packet of a tunnel, which is at the tunnel's device.
pub(crate) fn ip_local_out_tunnel(ns: &mut Netns, skb: Skb, tunnel: DevId, cx: &mut Cx<'_>) -> Journey {
    let Some(dst) = skb.dst else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    let okfn = OkFn::DstOutput { indev: Some(tunnel), forwarded: false };
    let skb = nf_hook(ns, InetHook::LocalOut, skb, None, Some(dst.dev), okfn, cx)?;
    dst_output(ns, skb, Some(tunnel), false, cx)
}

/// `ip_output`, `ip_mc_output`
pub(crate) fn ip_output(ns: &mut Netns, skb: Skb, indev: Option<DevId>, cx: &mut Cx<'_>) -> Journey {
    dst_output(ns, skb, indev, indev.is_some(), cx)
}

/// `dst_output`
pub(crate) fn dst_output(
    ns: &mut Netns,
    skb: Skb,
    indev: Option<DevId>,
    forwarded: bool,
    cx: &mut Cx<'_>,
) -> Journey {
    let Some(dst) = skb.dst else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    let indev = indev.filter(|_| ns.era().postrouting_knows_indev());
    if loops_back(&skb, dst) {
        let copy = skb.clone();
        let copy = nf_hook(ns, InetHook::PostRouting, copy, None, Some(dst.dev), OkFn::LoopBack, cx);
        if let Ok(copy) = copy {
            let _ = dev_loopback_xmit(ns, copy, cx);
        }
    }
    let okfn = OkFn::IpFinishOutput { forwarded };
    let skb = nf_hook(ns, InetHook::PostRouting, skb, indev, Some(dst.dev), okfn, cx)?;
    ip_finish_output(ns, skb, forwarded, cx)
}

/// `dev_loopback_xmit`: what goes to all on the link comes back in to this host too, by the device that it leaves by.
pub(crate) fn dev_loopback_xmit(ns: &mut Netns, mut copy: Skb, cx: &mut Cx<'_>) -> Journey {
    let Some(dst) = copy.dst else { return Err(cx.drop(&copy, DropReason::DevDown)) };
    copy.pkt_type = group_type(dst.verdict);
    copy.dev = Some(dst.dev);
    let before = cx.out.len();
    cx.out.push(Output::Loopback(Box::new(copy)));
    if !ns.softirq {
        net_rx_action(ns, before, cx);
    }
    Ok(Delivery::Local)
}

/// What waits to come in again does so before the program that sends goes on.
fn net_rx_action(ns: &mut Netns, from: usize, cx: &mut Cx<'_>) {
    let mut at = from;
    while let Some(work) = cx.out.get(at) {
        if matches!(work, Output::Loopback(_)) {
            if let Output::Loopback(skb) = cx.out.remove(at) {
                ns.receive_loopback(*skb, cx);
            }
        } else {
            at += 1;
        }
    }
}

/// True if the host is among those that the packet is for: a broadcast, or the group that every host is in.
fn loops_back(skb: &Skb, dst: Dst) -> bool {
    let to = skb.ip().and_then(|ip| ip.dst_v4());
    let local = match dst.verdict {
        Verdict::Broadcast => true,
        Verdict::Multicast => to == Some(ALL_HOSTS),
        _ => false,
    };
    local && dst.dev != DevId(0)
}

fn group_type(verdict: Verdict) -> PktType {
    if verdict == Verdict::Multicast { PktType::Multicast } else { PktType::Broadcast }
}

/// `ip_finish_output2`: the link-layer address, and out.
pub(super) fn ip_finish_output2(ns: &mut Netns, mut skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let Some(dst) = skb.dst else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    if dst.dev == DevId(0) && (skb.frame.src, skb.frame.dst) != (Mac::ZERO, Mac::ZERO) {
        let frame = skb.frame_mut();
        (frame.src, frame.dst) = (Mac::ZERO, Mac::ZERO);
    }
    let to = skb.ip().and_then(|ip| ip.dst_v4()).filter(|_| dst.dev != DevId(0));
    let Some(to) = to else { return dev_queue_xmit(ns, skb, dst.dev, cx) };
    let kind = match dst.is_group() && !ns.neigh.contains(dst.dev, to) {
        true => ns.inet_addr_type(to, None),
        false => AddrType::Unicast,
    };
    // arp_constructor: for many there is nobody to be asked.
    let mac = match kind {
        AddrType::Broadcast => Mac::BROADCAST,
        AddrType::Multicast => {
            // arp_mc_map: the last 23 bits of the group's address.
            let [_, b, c, d] = to.octets();
            Mac([1, 0, 0x5e, b & 0x7f, c, d])
        }
        _ => return neigh_output(ns, skb, dst.dev, dst.gateway.unwrap_or(to), cx),
    };
    let own = ns.device(dst.dev).map_or(Mac::ZERO, |d| d.mac);
    let frame = skb.frame_mut();
    (frame.src, frame.dst) = (own, mac);
    dev_queue_xmit(ns, skb, dst.dev, cx)
}

/// `ip_route_me_harder`: routes a local packet anew after a rule has changed it; the source address stays.
pub(crate) fn ip_route_me_harder(ns: &mut Netns, mut skb: Skb, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let addrs = skb.ip().and_then(|ip| Some((ip.src_v4()?, ip.dst_v4()?)));
    let Some((src, dst)) = addrs else { return Ok(skb) };
    // A source that is neither ours nor anybody's single address is chosen anew.
    let keep = matches!(ns.inet_addr_type(src, None), AddrType::Local | AddrType::Unicast);
    let src = if keep { src } else { Ipv4Addr::UNSPECIFIED };
    let flow = Flow { mark: skb.mark, any_src: true, ..Flow::to(dst).from(src) };
    let found = ns.ip_route_output(&skb.ip().map_or(flow, |ip| flow.like(ip)));
    let (route, outcome) = match &found {
        Ok((d, route)) => (*route, Ok(*d)),
        Err((why, route)) => (*route, Err(DropReason::Unreachable(*why))),
    };
    cx.emit(skb.id, || What::Route(RouteEvent { input: false, dst, route: route.cloned(), outcome }));
    match found {
        Ok((d, _)) => {
            skb.dst = Some(d);
            Ok(skb)
        }
        Err((why, _)) => Err(cx.drop(&skb, DropReason::Unreachable(why))),
    }
}
