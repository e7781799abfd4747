//! Frames that come in by a port or from the host itself (net/bridge/br_input.c, br_device.c).

use super::forward::{br_flood, br_forward};
use super::netfilter::{BrPreRouting, br_nf_local_in, br_nf_pre_routing, bridged_dnat_slow};
use crate::dev::{deliver, tap_in};
use crate::event::{BridgeStep, What};
use crate::{Cx, DevId, DropReason, Journey, Netns, PktType, Skb};
use packet::Mac;

/// `br_handle_frame`: a frame was received by the port `port` of `bridge`.
pub(crate) fn br_handle_frame(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    port: DevId,
    cx: &mut Cx<'_>,
) -> Journey {
    let (src, dst) = (skb.frame.src, skb.frame.dst);
    if src.is_multicast() || src == Mac::ZERO {
        return Err(cx.drop(&skb, DropReason::BridgeSource));
    }
    if let [1, 0x80, 0xc2, 0, 0, n @ 0..=15] = dst.0 {
        let forwarded = ns.bridge(bridge).is_some_and(|b| b.group_fwd_mask >> n & 1 == 1);
        match n {
            0 => {}
            1 => return Err(cx.drop(&skb, DropReason::NotForUs)),
            _ if forwarded => {}
            // What is meant for the next bridge only stays here, on the port's own account.
            _ => {
                learn(ns, &skb, bridge, port, cx);
                return deliver(ns, skb, port, cx);
            }
        }
    }
    if !ns.is_up(bridge) {
        return Err(cx.drop(&skb, DropReason::DevDown));
    }
    if ns.device(bridge).is_some_and(|b| b.mac == dst) {
        skb.pkt_type = PktType::Host;
    }
    match br_nf_pre_routing(ns, skb, bridge, port, cx)? {
        BrPreRouting::Continue(skb) => br_handle_frame_finish(ns, skb, bridge, port, cx),
        BrPreRouting::Stolen(journey) => journey,
    }
}

/// `br_handle_frame_finish`: learn the source, look the destination up.
pub(super) fn br_handle_frame_finish(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    port: DevId,
    cx: &mut Cx<'_>,
) -> Journey {
    skb.dev = Some(port);
    let (dst, now) = (skb.frame.dst, cx.now);
    learn(ns, &skb, bridge, port, cx);
    let promisc = ns.device(bridge).is_some_and(|d| d.promisc);
    if dst.is_multicast() {
        // Without multicast snooping a group is treated like a broadcast.
        let copy = copied(skb.clone());
        let _ = br_flood(ns, copy, bridge, Some(port), cx);
        return br_pass_frame_up(ns, skb, bridge, port, promisc, cx);
    }
    match ns.bridge(bridge).and_then(|b| b.find(dst, now)) {
        Some(e) if e.local => br_pass_frame_up(ns, skb, bridge, port, false, cx),
        found => {
            let copy = promisc.then(|| skb.clone());
            let skb = if promisc { copied(skb) } else { skb };
            let sent = match found {
                Some(e) => br_forward(ns, skb, bridge, Some(port), e.dev, cx),
                None => br_flood(ns, skb, bridge, Some(port), cx),
            };
            match copy {
                Some(copy) => br_pass_frame_up(ns, copy, bridge, port, true, cx),
                None => sent,
            }
        }
    }
}

/// A copy of what the host itself takes: fragments of a copy are made anew (`skb_cloned`).
fn copied(mut skb: Skb) -> Skb {
    skb.frag_list = None;
    skb
}

/// `br_fdb_update`: the sender is behind this port.
fn learn(ns: &mut Netns, skb: &Skb, bridge: DevId, port: DevId, cx: &mut Cx<'_>) {
    if !ns.device(port).is_some_and(|p| p.port.learning) {
        return;
    }
    let (mac, now) = (skb.frame.src, cx.now);
    if ns.bridge_mut(bridge).is_some_and(|b| b.fdb.learn(mac, port, now, b.ageing_time)) {
        let step = BridgeStep::Learned { mac, port };
        cx.emit(skb.id, || What::Bridge { bridge, from: Some(port), step });
    }
}

/// `br_pass_frame_up`: to the host's own network layer, as received by the bridge device.
fn br_pass_frame_up(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    port: DevId,
    promisc: bool,
    cx: &mut Cx<'_>,
) -> Journey {
    skb.promisc_copy = promisc;
    let step = if promisc { BridgeStep::PassedUpPromiscuous } else { BridgeStep::PassedUp };
    cx.emit(skb.id, || What::Bridge { bridge, from: Some(port), step });
    let mut skb = br_nf_local_in(ns, skb, cx)?;
    skb.dev = Some(bridge);
    tap_in(&skb, bridge, cx);
    deliver(ns, skb, bridge, cx)
}

/// `br_dev_xmit`: the host sends a frame by the bridge device.
pub(crate) fn br_dev_xmit(ns: &mut Netns, skb: Skb, bridge: DevId, cx: &mut Cx<'_>) -> Journey {
    if skb.nf_bridge.is_some_and(|b| b.bridged_dnat) {
        return bridged_dnat_slow(ns, skb, bridge, cx);
    }
    let dst = skb.frame.dst;
    if dst.is_multicast() {
        return br_flood(ns, skb, bridge, None, cx);
    }
    match ns.bridge(bridge).and_then(|b| b.find(dst, cx.now)) {
        Some(e) if !e.local || e.dev != bridge => br_forward(ns, skb, bridge, None, e.dev, cx),
        _ => br_flood(ns, skb, bridge, None, cx),
    }
}
