//! Segments out (net/ipv4/tcp_output.c).

use super::send_error;
use super::tcp::TcpSocket;
use crate::event::{Origin, What};
use crate::ipv4::ip_local_out;
use crate::route::Flow;
use crate::{Cx, DropReason, Netns, PacketId, Skb, SkbOwner, SocketId};
use packet::{Ip, L4, Tcp, TcpFlags, TcpOptions};
use std::net::IpAddr;
use std::rc::Rc;

/// What to send.
pub(super) struct Segment {
    pub seq: u32,
    pub flags: TcpFlags,
    pub payload: Vec<u8>,
    pub syn: bool,
}

/// The window field of the next segment. The right edge never moves back; it is announced in steps of the scale.
fn window(t: &mut TcpSocket, wscale: u8) -> u16 {
    let step = if t.wscale_ok { 1u32 << wscale } else { 1 };
    let left = t.rcv_edge.wrapping_sub(t.rcv_nxt);
    if left < t.rcv_wnd / 2 || left > t.rcv_wnd {
        t.rcv_edge = t.rcv_nxt.wrapping_add(t.rcv_wnd);
    }
    let left = t.rcv_edge.wrapping_sub(t.rcv_nxt);
    u16::try_from(left.div_ceil(step)).unwrap_or(u16::MAX)
}

/// `tcp_transmit_skb`: builds the segment with Linux's options and sends it. The packet, or `None` if this
/// box dropped it.
pub(super) fn transmit(ns: &mut Netns, id: SocketId, segment: Segment, cx: &mut Cx<'_>) -> Option<PacketId> {
    let (ttl, wscale) = (ns.default_ttl(), ns.era().tcp_window_scale());
    let remote = ns.sockets.tcp(id)?.remote.0;
    let locked = ns.pmtu_to(remote, cx.now).is_some_and(|p| p.locked);
    let t = ns.sockets.tcp(id)?;
    let now = (cx.now.millis() & 0xffff_ffff) as u32;
    let ts = t.ts_ok.then(|| (t.ts_offset.wrapping_add(now), t.ts_recent));
    let is_synack = segment.syn && segment.flags.has(TcpFlags::ACK);
    let options = if segment.syn {
        TcpOptions { mss: Some(t.advmss), sack_ok: t.sack_ok, ts, wscale: t.wscale_ok.then_some(wscale) }
    } else {
        TcpOptions { ts, ..TcpOptions::default() }
    };
    let has_ack = segment.flags.has(TcpFlags::ACK);
    let window = match segment.syn {
        true => u16::try_from(t.rcv_wnd).unwrap_or(u16::MAX),
        _ if segment.flags.has(TcpFlags::RST) && !has_ack => 0,
        _ => window(t, wscale),
    };
    // What is longer than a segment stands for several.
    let several = segment.payload.len() > t.mss;
    let gso_size = if several { u16::try_from(t.mss).unwrap_or(u16::MAX) } else { 0 };
    // The receiver shall not wait for more to join.
    let flags = if several { segment.flags | TcpFlags::PSH } else { segment.flags };
    let tcp = Tcp {
        sport: t.local.1,
        dport: t.remote.1,
        seq: segment.seq,
        ack: if has_ack { t.rcv_nxt } else { 0 },
        flags,
        window,
        options,
        checksum_ok: true,
        payload: segment.payload,
    };
    if has_ack {
        t.ack_at = None;
    }
    let mut ip = Ip::new(IpAddr::V4(t.local.0), IpAddr::V4(t.remote.0), L4::Tcp(tcp));
    ip.ttl = ttl;
    ip.gso_size = gso_size;
    ip.frag.df = !locked;
    if !is_synack {
        // A SYN/ACK belongs to no full socket yet: its id is 0.
        t.ip_id = t.ip_id.wrapping_add(1);
        ip.id = t.ip_id;
    }
    let parent = t.cause;
    let owner = if t.orphan { SkbOwner::None } else { SkbOwner::Program };
    let confirms = std::mem::take(&mut t.confirms_neigh);
    send(ns, ip, Origin::Socket(id), owner, (parent, confirms), cx)
}

fn send(
    ns: &mut Netns,
    ip: Ip,
    origin: Origin,
    owner: SkbOwner,
    (parent, confirms): (Option<PacketId>, bool),
    cx: &mut Cx<'_>,
) -> Option<PacketId> {
    let flow = Flow::to(ip.dst_v4()?).from(ip.src_v4()?).like(&ip);
    let packet = cx.ids.packet();
    let mut skb = Skb::local(packet, ip, owner);
    skb.confirms_neigh = confirms;
    let frame = Rc::clone(&skb.frame);
    cx.emit(packet, || What::Created { origin, parent, frame });
    match ns.route_packet(packet, &flow, cx) {
        Ok(route) => {
            skb.dst = Some(route);
            let cut = ip_local_out(ns, skb, cx).err();
            let stopped = |c: crate::Cut| c.0 == DropReason::TooLongForPeer || send_error(c).is_some();
            (!cut.is_some_and(stopped)).then_some(packet)
        }
        Err(why) => {
            cx.drop(&skb, crate::DropReason::Unreachable(why));
            None
        }
    }
}

/// The RST that answers a segment which fits no connection (RFC 9293, 3.5.2); none for a RST or a damaged segment.
pub(crate) fn reset_for(ip: &Ip) -> Option<Ip> {
    let tcp = ip.tcp()?;
    if tcp.flags.has(TcpFlags::RST) || !tcp.checksum_ok {
        return None;
    }
    let (seq, ack, flags) = if tcp.flags.has(TcpFlags::ACK) {
        (tcp.ack, 0, TcpFlags::RST)
    } else {
        (0, tcp.seq.wrapping_add(tcp.seq_len()), TcpFlags::RST | TcpFlags::ACK)
    };
    let rst = Tcp {
        sport: tcp.dport,
        dport: tcp.sport,
        seq,
        ack,
        flags,
        window: 0,
        options: TcpOptions::default(),
        checksum_ok: true,
        payload: Vec::new(),
    };
    Some(Ip::new(ip.dst, ip.src, L4::Tcp(rst)))
}

/// `tcp_v4_send_reset`
pub(super) fn send_reset(ns: &mut Netns, about: &Skb, owner: SkbOwner, cx: &mut Cx<'_>) {
    let Some(ip) = about.ip() else { return };
    let Some(mut rst) = reset_for(ip) else { return };
    rst.frag.df = true;
    rst.tos = ip.tos & !3;
    send(ns, rst, Origin::TcpReset, owner, (Some(about.id), false), cx);
}
