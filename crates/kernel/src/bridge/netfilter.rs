//! br_netfilter: bridged IP packets meet the IP hooks (net/bridge/br_netfilter_hooks.c).

use super::forward::br_dev_queue_push_xmit;
use super::input::br_handle_frame_finish;
use crate::event::{BrNfStep, What};
use crate::ipv4::ip_do_fragment;
use crate::neigh::{NeighMac, neigh_output};
use crate::netfilter::conntrack::confirm;
use crate::netfilter::hook::InetHook;
use crate::netfilter::{OkFn, nf_hook};
use crate::route::Verdict;
use crate::{Ct, Cut, Cx, DevId, DropReason, Journey, Netns, NfBridge, PktType, Skb};
use packet::Mac;

/// How the bridge goes on after PREROUTING.
pub(super) enum BrPreRouting {
    /// Look the destination up.
    Continue(Skb),
    /// br_netfilter has finished with it.
    Stolen(Journey),
}

/// True if bridged IPv4 packets are to meet iptables: the module is loaded and the sysctl is on.
fn calls_iptables(ns: &Netns, skb: &Skb, bridge: DevId) -> bool {
    let own = || ns.bridge(bridge).is_some_and(|b| b.nf_call_iptables);
    skb.ip().is_some_and(|ip| ip.src.is_ipv4())
        && ns.modules.br_netfilter
        && (ns.sysctl.bridge_nf_call_iptables != 0 || own())
}

fn note(skb: &Skb, bridge: DevId, step: BrNfStep, cx: &mut Cx<'_>) {
    cx.emit(skb.id, || What::BrNetfilter { bridge, step });
}

/// `br_nf_pre_routing`
pub(super) fn br_nf_pre_routing(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    port: DevId,
    cx: &mut Cx<'_>,
) -> Result<BrPreRouting, Cut> {
    if !calls_iptables(ns, &skb, bridge) {
        if skb.ip().is_some() {
            let loaded = ns.modules.br_netfilter;
            note(&skb, bridge, BrNfStep::NotCalled { loaded, hook: InetHook::PreRouting }, cx);
        }
        return Ok(BrPreRouting::Continue(skb));
    }
    note(&skb, bridge, BrNfStep::Calls(InetHook::PreRouting), cx);
    let pkt_otherhost = skb.pkt_type == PktType::OtherHost;
    if pkt_otherhost {
        skb.pkt_type = PktType::Host;
    }
    skb.nf_bridge = Some(NfBridge {
        physin: port,
        physout: None,
        in_prerouting: true,
        ipv4_daddr: skb.ip().and_then(|ip| ip.dst_v4()),
        bridged_dnat: false,
        neigh_source: Mac::ZERO,
        pkt_otherhost,
    });
    skb.dev = Some(bridge);
    let okfn = OkFn::BrPreRouting { bridge, port };
    let skb = nf_hook(ns, InetHook::PreRouting, skb, Some(bridge), None, okfn, cx)?;
    br_nf_pre_routing_finish(ns, skb, bridge, port, cx)
}

/// The same for a packet that has stopped in PREROUTING, with what follows.
pub(crate) fn br_pre_routing_go_on(
    ns: &mut Netns,
    skb: Skb,
    bridge: DevId,
    port: DevId,
    cx: &mut Cx<'_>,
) -> Journey {
    match br_nf_pre_routing_finish(ns, skb, bridge, port, cx)? {
        BrPreRouting::Continue(skb) => br_handle_frame_finish(ns, skb, bridge, port, cx),
        BrPreRouting::Stolen(journey) => journey,
    }
}

/// `br_nf_pre_routing_finish`: a changed destination decides whether the packet stays on the bridge.
fn br_nf_pre_routing_finish(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    port: DevId,
    cx: &mut Cx<'_>,
) -> Result<BrPreRouting, Cut> {
    let mut before = None;
    if let Some(b) = &mut skb.nf_bridge {
        b.in_prerouting = false;
        before = b.ipv4_daddr;
        if b.pkt_otherhost {
            b.pkt_otherhost = false;
            skb.pkt_type = PktType::OtherHost;
        }
    }
    let Some(now) = skb.ip().and_then(|ip| ip.dst_v4()) else { return Ok(BrPreRouting::Continue(skb)) };
    if before == Some(now) {
        skb.dev = Some(port);
        return Ok(BrPreRouting::Continue(skb));
    }
    let mut skb = match ns.ip_route_input(skb, bridge, cx) {
        Ok(skb) => skb,
        // No way there: it goes up all the same, and the IP layer deals with it.
        Err((skb, DropReason::ForwardingDisabled | DropReason::Unreachable(_))) => skb,
        Err((skb, reason)) => {
            ns.log_martian(&skb, reason, cx);
            return Err(cx.drop(&skb, reason));
        }
    };
    let same_bridge = skb.dst.is_some_and(|d| d.verdict == Verdict::Out && d.dev == bridge);
    if same_bridge {
        note(&skb, bridge, BrNfStep::BridgedDnat { to: now }, cx);
        return Ok(BrPreRouting::Stolen(br_nf_pre_routing_finish_bridge(ns, skb, bridge, port, cx)));
    }
    note(&skb, bridge, BrNfStep::RoutedDnat { to: now }, cx);
    if let Some(mac) = ns.device(bridge).map(|d| d.mac) {
        skb.frame_mut().dst = mac;
    }
    skb.pkt_type = PktType::Host;
    skb.dev = Some(port);
    Ok(BrPreRouting::Continue(skb))
}

/// `br_nf_pre_routing_finish_bridge`: the new destination is behind the same bridge, so only the destination MAC
/// changes. With a cached header the frame goes on at once; otherwise it takes the way through neighbour output
/// and the bridge device, where [`bridged_dnat_slow`] picks it up.
fn br_nf_pre_routing_finish_bridge(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    port: DevId,
    cx: &mut Cx<'_>,
) -> Journey {
    skb.dev = Some(bridge);
    let gateway = skb.dst.and_then(|d| d.gateway).or(skb.ip().and_then(|ip| ip.dst_v4()));
    let Some(next_hop) = gateway else { return br_handle_frame_finish(ns, skb, bridge, port, cx) };
    if let NeighMac::Cached(mac) = ns.neigh.cached_header(bridge, next_hop) {
        skb.frame_mut().dst = mac;
        return br_handle_frame_finish(ns, skb, bridge, port, cx);
    }
    let sender = skb.frame.src;
    if let Some(b) = &mut skb.nf_bridge {
        b.bridged_dnat = true;
        b.neigh_source = sender;
    }
    neigh_output(ns, skb, bridge, next_hop, cx)
}

/// The sender's address of a frame that is on the slow way of a bridged DNAT.
pub(crate) fn bridged_dnat_source(skb: &Skb) -> Option<Mac> {
    skb.nf_bridge.filter(|b| b.bridged_dnat).map(|b| b.neigh_source)
}

/// `br_nf_pre_routing_finish_bridge_slow`: the frame is back from neighbour output; go on as if just received.
pub(super) fn bridged_dnat_slow(ns: &mut Netns, mut skb: Skb, bridge: DevId, cx: &mut Cx<'_>) -> Journey {
    let Some(b) = &mut skb.nf_bridge else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    b.bridged_dnat = false;
    b.physout = None;
    let port = b.physin;
    br_handle_frame_finish(ns, skb, bridge, port, cx)
}

/// `br_nf_local_in`: the copy for a promiscuous bridge loses its conntrack entry, as the original goes on with it; a
/// group frame that goes up as well is confirmed before.
pub(super) fn br_nf_local_in(ns: &mut Netns, mut skb: Skb, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    if skb.promisc_copy {
        if !ns.era().promisc_copy_keeps_conntrack() {
            skb.ct = Ct::None;
        }
        return Ok(skb);
    }
    if skb.pkt_type != PktType::Host && skb.ct.conn().is_some() {
        return confirm(ns, skb, cx);
    }
    Ok(skb)
}

/// `br_nf_forward`
pub(super) fn br_nf_forward(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    to: DevId,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    if !calls_iptables(ns, &skb, bridge) {
        if skb.ip().is_some() {
            let loaded = ns.modules.br_netfilter;
            note(&skb, bridge, BrNfStep::NotCalled { loaded, hook: InetHook::Forward }, cx);
        }
        return Ok(skb);
    }
    let Some(b) = &mut skb.nf_bridge else { return Ok(skb) };
    b.physout = Some(to);
    let otherhost = skb.pkt_type == PktType::OtherHost;
    if otherhost {
        skb.pkt_type = PktType::Host;
    }
    note(&skb, bridge, BrNfStep::Calls(InetHook::Forward), cx);
    let okfn = OkFn::BrForward { bridge, otherhost };
    let mut skb = nf_hook(ns, InetHook::Forward, skb, Some(bridge), Some(bridge), okfn, cx)?;
    if otherhost {
        skb.pkt_type = PktType::OtherHost;
    }
    Ok(skb)
}

/// `br_nf_forward_finish`, for a packet that has stopped in FORWARD.
pub(crate) fn br_forward_finish(
    ns: &mut Netns,
    mut skb: Skb,
    bridge: DevId,
    otherhost: bool,
    cx: &mut Cx<'_>,
) -> Journey {
    if otherhost {
        skb.pkt_type = PktType::OtherHost;
    }
    br_nf_post_routing(ns, skb, bridge, cx)
}

/// `br_nf_post_routing`: the hook only for what the bridge forwards; routed packets have been through POSTROUTING already.
pub(super) fn br_nf_post_routing(ns: &mut Netns, mut skb: Skb, bridge: DevId, cx: &mut Cx<'_>) -> Journey {
    let forwarded = skb.nf_bridge.is_some_and(|b| b.physout.is_some());
    if !forwarded || !calls_iptables(ns, &skb, bridge) {
        return br_dev_queue_push_xmit(ns, skb, cx);
    }
    if skb.pkt_type == PktType::OtherHost {
        // Nobody looks at it behind this hook.
        skb.pkt_type = PktType::Host;
    }
    note(&skb, bridge, BrNfStep::Calls(InetHook::PostRouting), cx);
    let okfn = OkFn::BrPostRouting { bridge };
    let skb = nf_hook(ns, InetHook::PostRouting, skb, None, Some(bridge), okfn, cx)?;
    br_nf_dev_queue_xmit(ns, skb, bridge, cx)
}

/// `br_nf_dev_queue_xmit`: out of the port, in pieces if it is too long or was put together from pieces.
pub(crate) fn br_nf_dev_queue_xmit(ns: &mut Netns, skb: Skb, bridge: DevId, cx: &mut Cx<'_>) -> Journey {
    let mtu_of = |dev: DevId| ns.device(dev).map_or(0, |d| d.mtu) as usize;
    let largest = if skb.frag_max_size == 0 { usize::MAX } else { skb.frag_max_size };
    let port = skb.dev.map_or(0, mtu_of);
    let Some(ip) = skb.ip().filter(|ip| ip.gso_size == 0 && ip.total_len() > port.min(largest)) else {
        return br_dev_queue_push_xmit(ns, skb, cx);
    };
    // br_nf_ip_fragment: the route is one of the bridge.
    let mtu = mtu_of(bridge);
    if (ip.frag.df && !skb.ignore_df) || skb.frag_max_size > mtu {
        return Err(cx.drop(&skb, DropReason::PacketTooBig));
    }
    ip_do_fragment(ns, skb, mtu, br_dev_queue_push_xmit, cx)
}
