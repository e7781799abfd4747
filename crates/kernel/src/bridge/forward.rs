//! Out by ports (net/bridge/br_forward.c).

use super::netfilter::{br_nf_forward, br_nf_post_routing};
use crate::dev::{dev_queue_xmit, is_skb_forwardable};
use crate::event::{BridgeStep, What};
use crate::{Cx, Delivery, DevId, DropReason, Journey, Netns, Skb};

/// `should_deliver`: not back out of the port it came in by, unless that port is in hairpin mode, and not from one isolated
/// port to another.
fn should_deliver(ns: &Netns, port: DevId, from: Option<DevId>) -> bool {
    let isolated = from.and_then(|f| ns.device(f)).is_some_and(|f| f.port.isolated);
    ns.device(port)
        .is_some_and(|p| p.up && (Some(port) != from || p.port.hairpin) && !(isolated && p.port.isolated))
}

/// `br_forward`: to one known port. `from` is `None` if the host itself sends.
pub(super) fn br_forward(
    ns: &mut Netns,
    skb: Skb,
    bridge: DevId,
    from: Option<DevId>,
    to: DevId,
    cx: &mut Cx<'_>,
) -> Journey {
    if !should_deliver(ns, to, from) {
        let reason = if Some(to) == from { DropReason::BridgeNoHairpin } else { DropReason::BridgeNoPort };
        return Err(cx.drop(&skb, reason));
    }
    cx.emit(skb.id, || What::Bridge { bridge, from, step: BridgeStep::Forwarded(to) });
    __br_forward(ns, skb, bridge, from, to, cx)
}

/// `br_flood`: a copy to every port but the one it came in by.
pub(super) fn br_flood(
    ns: &mut Netns,
    skb: Skb,
    bridge: DevId,
    from: Option<DevId>,
    cx: &mut Cx<'_>,
) -> Journey {
    let ports = ns.bridge(bridge).map_or(Vec::new(), |b| b.ports.clone());
    let dst = skb.frame.dst;
    let floods = |p: &DevId| {
        let flags = ns.device(*p).map(|d| d.port).unwrap_or_default();
        match () {
            () if !dst.is_multicast() => flags.flood,
            // What the host itself sends to many goes out of every port.
            () if from.is_none() => true,
            () if dst.is_broadcast() => flags.bcast_flood,
            () => flags.mcast_flood,
        }
    };
    let ports: Vec<DevId> = ports.into_iter().filter(|p| floods(p) && should_deliver(ns, *p, from)).collect();
    if ports.is_empty() {
        return Err(cx.drop(&skb, DropReason::BridgeNoPort));
    }
    cx.emit(skb.id, || What::Bridge { bridge, from, step: BridgeStep::Flooded(ports.clone()) });
    let last = ports.len() - 1;
    for (n, port) in ports.into_iter().enumerate() {
        let mut copy = skb.clone();
        if n < last {
            // Fragments of a copy are made anew (`skb_cloned`).
            copy.frag_list = None;
        }
        // Each copy has its own fate, which is in the log.
        let _ = __br_forward(ns, copy, bridge, from, port, cx);
    }
    Ok(Delivery::Flooded)
}

/// `__br_forward`, `br_forward_finish`, `br_dev_queue_push_xmit`
fn __br_forward(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    from: Option<DevId>,
    to: DevId,
    cx: &mut Cx<'_>,
) -> Journey {
    skb.dev = Some(to);
    if from.is_some() {
        skb = br_nf_forward(ns, skb, bridge, to, cx)?;
    }
    br_nf_post_routing(ns, skb, bridge, cx)
}

/// `br_dev_queue_push_xmit`: out of the port, if the frame fits.
pub(super) fn br_dev_queue_push_xmit(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let Some(port) = skb.dev else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    if !is_skb_forwardable(ns, &skb.frame, port) {
        return Err(cx.drop(&skb, DropReason::PacketTooBig));
    }
    dev_queue_xmit(ns, skb, port, cx)
}
