//! Sending (net/ipv4/ip_output.c, net/ipv4/netfilter.c).

use crate::dev::dev_queue_xmit;
use crate::event::What;
use crate::neigh::neigh_output;
use crate::netfilter::hook::InetHook;
use crate::netfilter::nf_hook;
use crate::route::{RouteEvent, Verdict};
use crate::{Cut, Cx, DevId, DropReason, Journey, Netns, Skb};
use packet::Mac;

/// `ip_local_out`: a packet of this host, already routed, sets out.
pub(crate) fn ip_local_out(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    ip_local_out_from(ns, skb, None, cx)
}

/// The same for a packet that IPVS sends on: it still bears the device by which it came in.
pub(crate) fn ip_local_out_from(ns: &mut Netns, skb: Skb, indev: Option<DevId>, cx: &mut Cx<'_>) -> Journey {
    let Some(dst) = skb.dst else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    // The hook keeps seeing this output device even if a rule makes the packet be routed anew.
    let skb = nf_hook(ns, InetHook::LocalOut, skb, None, Some(dst.dev), cx)?;
    ip_output(ns, skb, indev, cx)
}

/// `ip_output`, `ip_finish_output2`
pub(crate) fn ip_output(ns: &mut Netns, skb: Skb, indev: Option<DevId>, cx: &mut Cx<'_>) -> Journey {
    let Some(dst) = skb.dst else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    let indev = indev.filter(|_| ns.era().postrouting_knows_indev());
    let mut skb = nf_hook(ns, InetHook::PostRouting, skb, indev, Some(dst.dev), cx)?;
    if dst.dev == DevId(0) {
        return dev_queue_xmit(ns, skb, dst.dev, cx);
    }
    let to = skb.ip().and_then(|ip| ip.dst_v4());
    match (dst.verdict, to) {
        (Verdict::Broadcast, _) | (_, None) => {
            let own = ns.device(dst.dev).map_or(Mac::ZERO, |d| d.mac);
            let frame = skb.frame_mut();
            frame.src = own;
            frame.dst = Mac::BROADCAST;
            dev_queue_xmit(ns, skb, dst.dev, cx)
        }
        (_, Some(to)) => neigh_output(ns, skb, dst.dev, dst.gateway.unwrap_or(to), cx),
    }
}

/// `ip_route_me_harder`: routes a local packet anew after a rule has changed it; the source address stays.
pub(crate) fn ip_route_me_harder(ns: &mut Netns, mut skb: Skb, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let addrs = skb.ip().and_then(|ip| Some((ip.src_v4()?, ip.dst_v4()?)));
    let Some((src, dst)) = addrs else { return Ok(skb) };
    let found = ns.ip_route_output(Some(src), dst, true);
    let (route, outcome) = match &found {
        Ok((d, route)) => (route.clone(), Ok(*d)),
        Err((why, route)) => (route.clone(), Err(DropReason::Unreachable(*why))),
    };
    cx.emit(skb.id, || What::Route(RouteEvent { input: false, dst, route, outcome }));
    match found {
        Ok((d, _)) => {
            skb.dst = Some(d);
            Ok(skb)
        }
        Err((why, _)) => Err(cx.drop(&skb, DropReason::Unreachable(why))),
    }
}
