//! What tunnels share: a packet goes on inside another one, or comes out of it (net/ipv4/ip_tunnel_core.c).

use crate::event::{TunnelStep, What};
use crate::ipv4::ip_local_out_tunnel;
use crate::jhash::jhash2;
use crate::route::Dst;
use crate::{Ct, Cx, Delivery, DevId, Journey, Netns, Output, PktType, Skb, SkbOwner};
use packet::{Arp, Frame, Ip, L4, Mac, Payload};
use std::net::IpAddr;
use std::rc::Rc;

/// `INET_ECN_MASK`, ECT(0), CE (RFC 3168).
const ECN_MASK: u8 = 3;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// What the outer packet is to be.
pub(super) struct Outer {
    /// Its way.
    pub route: Dst,
    /// Where to.
    pub to: IpAddr,
    /// TTL.
    pub ttl: u8,
    /// DF.
    pub df: bool,
    /// What it carries: the inner packet or frame.
    pub l4: L4,
}

/// `iptunnel_xmit`: the packet leaves inside another one, which this host sends: through OUTPUT and POSTROUTING. Who sent the
/// inner one does not hear what becomes of it.
pub(super) fn iptunnel_xmit(
    ns: &mut Netns,
    mut skb: Skb,
    dev: DevId,
    outer: Outer,
    cx: &mut Cx<'_>,
) -> Journey {
    let inner = skb.ip();
    let mut ip = Ip::new(IpAddr::V4(outer.route.source), outer.to, outer.l4);
    // ip_tunnel_ecn_encap: of the type of service, the mark of congestion is carried over; CE stays inside.
    ip.tos = match inner.map_or(0, |ip| ip.tos & ECN_MASK) {
        CE => ECT_0,
        ecn => ecn,
    };
    ip.gso_size = inner.map_or(0, |ip| ip.gso_size);
    (ip.ttl, ip.frag.df, ip.id) = (outer.ttl, outer.df, cx.ip_id());
    let before = Rc::clone(&skb.frame);
    skb.frame = Rc::new(Frame { src: Mac::ZERO, dst: Mac::ZERO, payload: Payload::Ip(ip) });
    scrub(&mut skb);
    skb.dev = Some(dev);
    skb.dst = Some(outer.route);
    let after = Rc::clone(&skb.frame);
    cx.emit(skb.id, || What::Tunnel { dev, step: TunnelStep::Encapsulated { before, after } });
    let _ = ip_local_out_tunnel(ns, skb, dev, cx);
    Ok(Delivery::Transmitted)
}

/// `skb_scrub_packet` inside one namespace: all that was known of the packet is forgotten, but not its mark.
fn scrub(skb: &mut Skb) {
    skb.pkt_type = PktType::Host;
    skb.iif = None;
    skb.ignore_df = false;
    skb.dst = None;
    skb.nf_bridge = None;
    skb.ct = Ct::None;
    skb.nf_trace = false;
    skb.do_redirect = false;
    skb.confirms_neigh = false;
    skb.ipvs_property = false;
    skb.promisc_copy = false;
    (skb.frag_max_size, skb.frag_list) = (0, None);
}

/// `gro_cells_receive`: what came out of the tunnel comes in by its device, when all that has come in already is done with.
pub(super) fn tunnel_rcv(mut skb: Skb, dev: DevId, mut frame: Frame, cx: &mut Cx<'_>) -> Journey {
    let gso_size = skb.ip().map_or(0, |ip| ip.gso_size);
    if let Payload::Ip(ip) = &mut frame.payload {
        ip.gso_size = gso_size;
    }
    let before = Rc::clone(&skb.frame);
    skb.frame = Rc::new(frame);
    scrub(&mut skb);
    skb.owner = SkbOwner::None;
    let after = Rc::clone(&skb.frame);
    cx.emit(skb.id, || What::Tunnel { dev, step: TunnelStep::Decapsulated { before, after } });
    skb.dev = Some(dev);
    cx.out.push(Output::Loopback(Box::new(skb)));
    Ok(Delivery::Local)
}

/// `skb_get_hash`: a number for the flow that a frame belongs to, the same in both directions; fragments have no ports. Linux
/// mixes a secret in, and a connected socket gives its packets a number of its own.
pub(super) fn flow_hash(frame: &Frame) -> u32 {
    let words = |addr: IpAddr| match addr {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(_) => 0,
    };
    match &frame.payload {
        Payload::Ip(ip) => {
            let (sport, dport) = ip.ports().filter(|_| !ip.is_fragment()).unwrap_or((0, 0));
            let (src, dst) = ((words(ip.src), sport), (words(ip.dst), dport));
            let ((a, low), (b, high)) = (src.min(dst), src.max(dst));
            let ports = u32::from(low) << 16 | u32::from(high);
            jhash2(&[a, b, ports, u32::from(ip.protocol().0)], 0)
        }
        Payload::Arp(Arp { spa, tpa, .. }) => jhash2(&[spa.to_bits(), tpa.to_bits()], 0),
    }
}
