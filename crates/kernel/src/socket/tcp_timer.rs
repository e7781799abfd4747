//! When a TCP segment is sent again, and the other timers of a connection (net/ipv4/tcp_timer.c).

use super::Errno;
use super::tcp::{RTO_MIN, TcpSocket, TcpStatus, Unacked};
use super::tcp_input::release_sock;
use super::tcp_output::{Segment, push_with, transmit};
use crate::{Cx, Netns, Output, SocketId, Timer};
use packet::TcpFlags;
use std::time::Duration;

/// When the tail of several segments is sent again: two round trips and `TCP_TIMEOUT_MIN`.
const PROBE_SOON: Duration = Duration::from_millis(12);
/// `TCP_RTO_MAX`
const RTO_MAX: Duration = Duration::from_secs(120);

/// (Re)starts the retransmission timer.
pub(super) fn arm(t: &mut TcpSocket, id: SocketId, cx: &mut Cx<'_>) {
    t.rto_at = Some(cx.set_timer(t.rto, Timer::Tcp(id)));
}

/// `tcp_schedule_loss_probe`, `tcp_rearm_rto`: something is on its way. The first time that no acknowledgement comes,
/// the tail is sent again, and of several segments soon.
pub(super) fn watch(t: &mut TcpSocket, id: SocketId, cx: &mut Cx<'_>) {
    let several = t.unacked.len() > 1;
    if t.may_probe() && (several || t.rto_at.is_none()) {
        let wait = t.slow_start * 2 + if several { PROBE_SOON } else { RTO_MIN };
        t.rto_at = Some(cx.set_timer(wait.min(t.rto), Timer::Tcp(id)));
    } else if t.rto_at.is_none() {
        arm(t, id, cx);
    }
}

/// What waits behind it joins a segment that is sent again (`tcp_retrans_try_collapse`).
fn collapse(t: &mut TcpSocket) {
    while let [first, next, ..] = t.unacked.make_contiguous()
        && !first.flags.has(TcpFlags::SYN)
        && !next.sacked
        && first.payload.len() + next.payload.len() <= t.mss
    {
        first.flags = first.flags | next.flags;
        let more = std::mem::take(&mut next.payload);
        first.payload.extend(more);
        t.unacked.remove(1);
    }
}

/// Sends the oldest segment again that is not acknowledged (`tcp_retransmit_skb`).
pub(super) fn send_again(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    let Some(t) = ns.sockets.tcp(id) else { return };
    collapse(t);
    arm(t, id, cx);
    resend(ns, id, 0, cx);
}

/// `tcp_xmit_retransmit_queue`: the oldest segment goes again, or as much of it as the congestion window allows.
pub(super) fn send_lost(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    let Some(t) = ns.sockets.tcp(id) else { return };
    let room = t.cwnd * t.mss;
    if let Some(first) = t.unacked.front_mut().filter(|u| u.payload.len() > room) {
        let rest = first.payload.split_off(room);
        let (seq, flags) = (first.seq.wrapping_add(room as u32), first.flags);
        first.flags = first.flags.without(TcpFlags::PSH | TcpFlags::FIN);
        t.unacked.insert(1, Unacked { seq, flags, payload: rest, sacked: false, packet: None });
    }
    arm(t, id, cx);
    resend(ns, id, 0, cx);
}

/// Sends this one of the unacknowledged segments again, unless it has not yet left the host
/// (`skb_still_in_host_queue`).
pub(super) fn resend(ns: &mut Netns, id: SocketId, which: usize, cx: &mut Cx<'_>) {
    let Some(u) = ns.sockets.tcp(id).and_then(|t| t.unacked.get(which).cloned()) else { return };
    if u.packet.is_some_and(|p| ns.neigh.is_waiting(p)) {
        return;
    }
    let syn = u.flags.has(TcpFlags::SYN);
    // A SYN/ACK is made anew each time.
    let own = !(syn && u.flags.has(TcpFlags::ACK));
    let sent = transmit(ns, id, Segment { seq: u.seq, flags: u.flags, payload: u.payload, syn }, cx);
    if let Some(u) = ns.sockets.tcp(id).and_then(|t| t.unacked.get_mut(which)) {
        u.packet = sent.filter(|_| own);
    }
}

/// The timer of a connection: delayed ACK, retransmission, end of TIME-WAIT.
pub(crate) fn tcp_timer(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    let (linear, syn_retries, synack_retries, retries2) = (
        ns.sysctl.tcp_syn_linear_timeouts,
        ns.sysctl.tcp_syn_retries,
        ns.sysctl.tcp_synack_retries,
        ns.sysctl.tcp_retries2,
    );
    release_sock(ns, id, cx);
    let Some(t) = ns.sockets.tcp(id) else { return };
    if t.ack_at.is_some_and(|at| at <= cx.now) {
        t.ack_at = None;
        let seq = t.snd_nxt;
        transmit(ns, id, Segment { seq, flags: TcpFlags::ACK, payload: Vec::new(), syn: false }, cx);
    }
    let Some(t) = ns.sockets.tcp(id) else { return };
    if t.rto_at.is_none_or(|at| at > cx.now) {
        return;
    }
    t.rto_at = None;
    if t.status == TcpStatus::TimeWait {
        ns.sockets.remove(id);
        return;
    }
    if t.unacked.is_empty() {
        // tcp_send_probe0
        if !t.to_send.is_empty() || t.fin_queued {
            t.rto = (t.rto * 2).min(RTO_MAX);
            push_with(ns, id, TcpFlags::ACK | TcpFlags::PSH, cx);
        }
        return;
    }
    if t.may_probe() {
        // tcp_send_loss_probe
        t.probed = true;
        arm(t, id, cx);
        let tail = t.unacked.len() - 1;
        return resend(ns, id, tail, cx);
    }
    let limit = match t.status {
        TcpStatus::SynSent => syn_retries,
        TcpStatus::SynRecv => synack_retries,
        _ => retries2,
    };
    if i64::from(t.retries) >= limit {
        t.error = Some(t.soft_error.unwrap_or(Errno::ETIMEDOUT));
        t.enter(id, TcpStatus::Close, cx);
        cx.out.push(Output::Wake(id));
        let forget = t.orphan || t.listener.is_some();
        if forget {
            ns.sockets.remove(id);
        }
        return;
    }
    t.retries += 1;
    let stays = t.status == TcpStatus::SynSent && i64::from(t.retries) <= linear;
    if !stays {
        t.rto = (t.rto * 2).min(RTO_MAX);
    }
    send_again(ns, id, cx);
}
