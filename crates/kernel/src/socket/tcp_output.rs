//! Segments out (net/ipv4/tcp_output.c).

use super::send_error;
use super::tcp::{DELACK, TcpSocket, TcpStatus, Unacked};
use super::tcp_input::release_sock;
use super::tcp_timer::{arm, watch};
use crate::event::{Origin, What};
use crate::ipv4::ip_local_out;
use crate::route::Flow;
use crate::{Cx, DropReason, Netns, Output, PacketId, Rest, Skb, SkbOwner, SocketId};
use packet::{Ip, L4, Tcp, TcpFlags, TcpOptions};
use std::net::IpAddr;
use std::rc::Rc;

/// The longest packet that stands for several segments, about (`sk_gso_max_size`).
const GSO_MAX: usize = 65_160;

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
    (rst.tos, rst.ttl) = (ip.tos & !3, ns.default_ttl());
    send(ns, rst, Origin::TcpReset, owner, (Some(about.id), false), cx);
}

/// A call goes on after what its last packet led to.
pub(crate) fn resume_tcp(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    if let Some(t) = ns.sockets.tcp(id) {
        t.paused = false;
    }
    push(ns, id, cx);
    release_sock(ns, id, cx);
}

/// `tcp_push_pending_frames`: sends what the window allows, then a FIN if the program has closed.
pub(super) fn push(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    push_with(ns, id, TcpFlags::ACK, cx);
}

pub(super) fn push_with(ns: &mut Netns, id: SocketId, base: TcpFlags, cx: &mut Cx<'_>) {
    if ns.sockets.tcp(id).is_some_and(|t| !t.to_send.is_empty())
        && let Some(mss) = ns.current_mss(id, cx)
        && let Some(t) = ns.sockets.tcp(id)
    {
        t.mss = mss;
    }
    loop {
        let softirq = ns.softirq;
        let Some(t) = ns.sockets.tcp(id) else { return };
        if matches!(t.status, TcpStatus::SynSent | TcpStatus::SynRecv | TcpStatus::Close) {
            return;
        }
        let in_flight = t.snd_nxt.wrapping_sub(t.snd_una);
        let room = t.snd_wnd.saturating_sub(in_flight) as usize;
        let left = t.cwnd.saturating_sub(t.out());
        // tcp_cwnd_test: at least two packets make up a window.
        let allowed = left.min((t.cwnd / 2).max(1));
        // tcp_tso_should_defer: less than a third of it waits for the next acknowledgement.
        let defers = left < t.cwnd && left * 3 < t.cwnd && t.to_send.len() > left * t.mss;
        if allowed == 0 || defers || t.lost_up_to.is_some() || t.paused {
            return;
        }
        let n = t.to_send.len().min((t.mss * allowed).min(GSO_MAX)).min(room);
        let fin = t.fin_queued && n == t.to_send.len();
        if n == 0 && !fin {
            return;
        }
        let payload: Vec<u8> = t.to_send.drain(..n).collect();
        let seq = t.snd_nxt;
        let mut flags = base;
        if n > 0 && t.to_send.is_empty() {
            flags = flags | TcpFlags::PSH;
        }
        if n > 0 && t.last_data.is_some_and(|at| cx.now.since(at) < DELACK) {
            // Data answers data: from now on acknowledgements wait for an answer to ride on.
            t.pingpong = true;
        }
        if fin {
            flags = flags | TcpFlags::FIN;
            t.fin_queued = false;
            match t.status {
                TcpStatus::CloseWait => t.enter(id, TcpStatus::LastAck, cx),
                TcpStatus::Established => t.enter(id, TcpStatus::FinWait1, cx),
                _ => {}
            }
        }
        let segment = Unacked { seq, flags, payload: payload.clone(), sacked: false, packet: None };
        let end = segment.end();
        t.snd_nxt = end;
        t.unacked.push_back(segment);
        t.count_round();
        watch(t, id, cx);
        let sent = transmit(ns, id, Segment { seq, flags, payload: payload.clone(), syn: false }, cx);
        if let Some(last) = ns.sockets.tcp(id).and_then(|t| t.unacked.back_mut()) {
            last.packet = sent;
        }
        let unsent = |t: &&mut TcpSocket| sent.is_none() && t.snd_nxt == end && t.snd_una != end;
        let Some(t) = ns.sockets.tcp(id).filter(unsent) else {
            if let Some(t) = ns.sockets.tcp(id).filter(|t| !softirq && !t.to_send.is_empty()) {
                // A program's call is interrupted by what its first packet leads to.
                t.paused = true;
                cx.out.push(Output::Resume(Rest::Tcp(id)));
                return;
            }
            continue;
        };
        // The box itself dropped it (tcp_write_xmit): it was never sent, and is tried again when a timer ends.
        t.unacked.pop_back();
        t.snd_nxt = seq;
        for byte in payload.into_iter().rev() {
            t.to_send.push_front(byte);
        }
        t.fin_queued |= fin;
        if t.unacked.is_empty() {
            arm(t, id, cx);
        }
        return;
    }
}
