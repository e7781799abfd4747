//! Segments in (net/ipv4/tcp_ipv4.c, tcp_input.c).

use super::tcp::{DELACK, TIMESTAMPS, TIMEWAIT, TcpSocket, TcpStatus, Unacked, find, initial_window};
use super::tcp_output::{Segment, push, send_reset, transmit};
use super::tcp_timer::{arm, send_again, send_lost, watch};
use super::{Endpoint, Errno, Socket};
use crate::event::{SocketStep, What};
use crate::route::Flow;
use crate::{
    Cx, Delivery, DropReason, Instant, Journey, Netns, Output, PktType, Skb, SkbOwner, SocketId, Timer,
};
use packet::{L4, Tcp, TcpFlags};
use std::time::Duration;

fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// `tcp_v4_rcv`
pub(crate) fn tcp_v4_rcv(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let parsed = skb.ip().and_then(|ip| {
        let L4::Tcp(t) = &ip.l4 else { return None };
        Some(((ip.src_v4()?, t.sport), (ip.dst_v4()?, t.dport), t.clone()))
    });
    let Some((remote, local, tcp)) = parsed else { return Err(cx.drop(&skb, DropReason::NoProtocol)) };
    if skb.pkt_type != PktType::Host {
        // TCP knows no groups; nobody is told.
        return Err(cx.drop(&skb, DropReason::NotForUs));
    }
    if !tcp.checksum_ok {
        return Err(cx.drop(&skb, DropReason::BadChecksum));
    }
    let mut socket = find(ns, local, remote);
    if let Some(id) = socket {
        let reusable = ns.sockets.tcp(id).is_some_and(|t| t.status == TcpStatus::TimeWait);
        if reusable && tcp.flags.has(TcpFlags::SYN) && !tcp.flags.has(TcpFlags::ACK) {
            // A new connection may take the place of one that is only waiting.
            ns.sockets.remove(id);
            socket = None;
        }
    }
    if let Some(id) = socket
        && let Some(t) = ns.sockets.tcp(id)
        && t.is_owned(cx.now)
    {
        // tcp_add_backlog
        t.backlog.push_back(skb);
        return Ok(Delivery::Queued);
    }
    match socket.or_else(|| find_listener(ns, local)) {
        Some(id) => {
            if let Some(t) = ns.sockets.tcp(id) {
                t.cause = Some(skb.id);
            }
            segment(ns, id, skb, &tcp, local, remote, cx)
        }
        None => no_socket(ns, None, skb, cx),
    }
}

/// `release_sock`: the call has returned; what came in meanwhile is processed, and what that lets go is sent by the program.
pub(super) fn release_sock(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    let outer = std::mem::replace(&mut ns.softirq, false);
    release(ns, id, cx);
    ns.softirq = outer;
}

fn release(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    let now = cx.now;
    let over = |t: &&mut TcpSocket| t.owned_until <= now && !t.paused;
    let Some(t) = ns.sockets.tcp(id).filter(over) else { return };
    let (local, remote) = (t.local, t.remote);
    while let Some(skb) = ns.sockets.tcp(id).filter(over).and_then(|t| t.backlog.pop_front()) {
        let Some(tcp) = skb.tcp().cloned() else { continue };
        let Some(t) = ns.sockets.tcp(id) else { return };
        if t.status == TcpStatus::Close {
            // The connection ended with an earlier one.
            cx.drop(&skb, DropReason::SocketRefused);
            continue;
        }
        t.cause = Some(skb.id);
        let keep = t.owned_until;
        t.owned_until = Instant(u64::MAX);
        let _ = segment(ns, id, skb, &tcp, local, remote, cx);
        if let Some(t) = ns.sockets.tcp(id) {
            t.owned_until = keep;
        }
    }
    let Some(t) = ns.sockets.tcp(id).filter(over) else { return };
    if let Some(mtu) = t.mtu_reduced.take() {
        // tcp_release_cb
        ns.softirq = true;
        ns.tcp_mtu_reduced(id, mtu, cx);
    }
    if ns.sockets.tcp(id).is_some_and(|t| t.orphan && t.status == TcpStatus::Close) {
        ns.sockets.remove(id);
    }
}

fn find_listener(ns: &Netns, local: Endpoint) -> Option<SocketId> {
    let fits =
        |l: &super::Listener| l.local.1 == local.1 && (l.local.0.is_unspecified() || l.local.0 == local.0);
    ns.sockets
        .iter()
        .filter_map(|(id, s)| match s {
            Socket::Listen(l) if fits(l) => Some((!l.local.0.is_unspecified(), id)),
            _ => None,
        })
        .max_by_key(|(exact, _)| *exact)
        .map(|(_, id)| id)
}

/// A segment that no socket wants is answered with a RST.
fn no_socket(ns: &mut Netns, socket: Option<SocketId>, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    // It is sent in the name of the socket that refused, if there is one.
    let owner = match socket.and_then(|id| ns.sockets.get_mut(id)) {
        None => SkbOwner::Kernel,
        Some(Socket::Tcp(t)) if t.orphan => SkbOwner::None,
        Some(_) => SkbOwner::Program,
    };
    send_reset(ns, &skb, owner, cx);
    Err(cx.drop(&skb, DropReason::NoSocket))
}

fn segment(
    ns: &mut Netns,
    id: SocketId,
    skb: Skb,
    tcp: &Tcp,
    local: Endpoint,
    remote: Endpoint,
    cx: &mut Cx<'_>,
) -> Journey {
    let status = match ns.sockets.get_mut(id) {
        Some(Socket::Listen(_)) => return listen(ns, id, skb, tcp, local, remote, cx),
        Some(Socket::Tcp(t)) => t.status,
        _ => return no_socket(ns, Some(id), skb, cx),
    };
    match status {
        TcpStatus::SynSent => syn_sent(ns, id, skb, tcp, cx),
        TcpStatus::Close => no_socket(ns, Some(id), skb, cx),
        _ => connected(ns, id, skb, tcp, cx),
    }
}

/// `tcp_conn_request`: a SYN makes a half-open connection.
fn listen(
    ns: &mut Netns,
    listener: SocketId,
    skb: Skb,
    tcp: &Tcp,
    local: Endpoint,
    remote: Endpoint,
    cx: &mut Cx<'_>,
) -> Journey {
    let has = |flag| tcp.flags.has(flag);
    if has(TcpFlags::ACK) && !has(TcpFlags::RST) {
        return no_socket(ns, Some(listener), skb, cx);
    }
    if has(TcpFlags::RST) || has(TcpFlags::FIN) || !has(TcpFlags::SYN) {
        return Err(cx.drop(&skb, DropReason::SocketRefused));
    }
    let advmss = match ns.ip_route_output(&Flow::to(remote.0).from(local.0)) {
        Ok((dst, _)) => ns.advmss(&dst, remote.0, cx),
        Err(_) => 536,
    };
    let mut t = TcpSocket::new(local, remote, TcpStatus::SynRecv, advmss, cx);
    t.listener = Some(listener);
    t.cause = Some(skb.id);
    t.rcv_nxt = tcp.seq.wrapping_add(1);
    negotiate(&mut t, tcp);
    t.rcv_wnd = initial_window(advmss - if t.ts_ok { TIMESTAMPS } else { 0 });
    t.rcv_edge = t.rcv_nxt.wrapping_add(t.rcv_wnd);
    t.snd_wnd = u32::from(tcp.window);
    let seq = t.snd_una;
    let mut flags = TcpFlags::SYN | TcpFlags::ACK;
    // tcp_ecn_create_request: tcp_ecn is 2, so that ECN is taken up but not asked for.
    if has(TcpFlags::ECE) && has(TcpFlags::CWR) && skb.ip().is_some_and(|ip| ip.tos & 3 == 0) {
        flags = flags | TcpFlags::ECE;
    }
    t.snd_nxt = seq.wrapping_add(1);
    t.unacked.push_back(Unacked { seq, flags, payload: Vec::new(), sacked: false, packet: None });
    let id = ns.sockets.add(Socket::Tcp(Box::new(t)));
    cx.emit(skb.id, || What::Socket {
        socket: id,
        step: SocketStep::TcpState { from: "LISTEN", to: TcpStatus::SynRecv.name() },
    });
    if let Some(t) = ns.sockets.tcp(id) {
        arm(t, id, cx);
    }
    transmit(ns, id, Segment { seq, flags, payload: Vec::new(), syn: true }, cx);
    Ok(Delivery::Local)
}

/// Options of the peer's SYN.
fn negotiate(t: &mut TcpSocket, tcp: &Tcp) {
    t.snd_wscale = tcp.options.wscale.unwrap_or(0);
    t.wscale_ok = tcp.options.wscale.is_some();
    t.sack_ok = tcp.options.sack_ok;
    t.ts_ok = tcp.options.ts.is_some();
    t.ts_recent = tcp.options.ts.map_or(0, |(val, _)| val);
    t.mss_clamp = tcp.options.mss.unwrap_or(536);
    let mss = t.mss_clamp.min(t.advmss);
    t.mss = usize::from(mss.saturating_sub(if t.ts_ok { TIMESTAMPS } else { 0 })).max(1);
}

/// After an answer that was meant for an older connection, the SYN goes again so soon.
const SYN_AGAIN: Duration = Duration::from_millis(8);

/// `tcp_rcv_synsent_state_process`
fn syn_sent(ns: &mut Netns, id: SocketId, skb: Skb, tcp: &Tcp, cx: &mut Cx<'_>) -> Journey {
    let soon = ns.era().syn_again_soon();
    let Some(t) = ns.sockets.tcp(id) else { return no_socket(ns, Some(id), skb, cx) };
    let acks = tcp.flags.has(TcpFlags::ACK);
    if acks && tcp.ack != t.snd_nxt {
        if t.retries == 0 && soon {
            // What the peer remembers is over with our RST: the SYN need not wait a second (TCP_TIMEOUT_MIN).
            t.rto_at = Some(cx.set_timer(SYN_AGAIN, Timer::Tcp(id)));
        }
        return no_socket(ns, Some(id), skb, cx);
    }
    if tcp.flags.has(TcpFlags::RST) {
        if !acks {
            return Err(cx.drop(&skb, DropReason::SocketRefused));
        }
        t.error = Some(Errno::ECONNREFUSED);
        t.rto_at = None;
        t.enter(id, TcpStatus::Close, cx);
        cx.out.push(Output::Wake(id));
        return Ok(Delivery::Local);
    }
    if !acks || !tcp.flags.has(TcpFlags::SYN) {
        return Err(cx.drop(&skb, DropReason::SocketRefused));
    }
    t.rcv_nxt = tcp.seq.wrapping_add(1);
    t.rcv_edge = t.rcv_nxt.wrapping_add(t.rcv_wnd);
    t.snd_una = tcp.ack;
    t.confirms_neigh = true;
    negotiate(t, tcp);
    t.snd_wnd = u32::from(tcp.window);
    t.unacked.clear();
    t.rto_at = None;
    if t.retries > 0 {
        t.slow_start = cx.now.since(t.began);
    }
    t.retries = 0;
    t.rto = t.first_rto();
    t.enter(id, TcpStatus::Established, cx);
    cx.out.push(Output::Wake(id));
    ack_now(ns, id, cx);
    Ok(Delivery::Local)
}

fn ack_now(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    let Some(seq) = ns.sockets.tcp(id).map(|t| t.snd_nxt) else { return };
    transmit(ns, id, Segment { seq, flags: TcpFlags::ACK, payload: Vec::new(), syn: false }, cx);
}

/// `tcp_oow_rate_limited`: what does not fit is told so, but a segment without data at most each half second
/// (`tcp_invalid_ratelimit`), or two confused ends would answer each other for ever.
fn ack_again(ns: &mut Netns, id: SocketId, tcp: &Tcp, cx: &mut Cx<'_>) {
    let Some(t) = ns.sockets.tcp(id) else { return };
    if tcp.seq_len() == 0 || tcp.flags.has(TcpFlags::SYN) {
        let limit = std::time::Duration::from_millis(500);
        if t.last_oow.is_some_and(|last| cx.now.since(last) < limit) {
            return;
        }
        t.last_oow = Some(cx.now);
    }
    ack_now(ns, id, cx);
}

/// `tcp_rcv_established`, `tcp_rcv_state_process`
fn connected(ns: &mut Netns, id: SocketId, skb: Skb, tcp: &Tcp, cx: &mut Cx<'_>) -> Journey {
    let Some(t) = ns.sockets.tcp(id) else { return no_socket(ns, Some(id), skb, cx) };
    let end = tcp.seq.wrapping_add(tcp.seq_len());
    let in_window = !before(end, t.rcv_nxt) && !after(tcp.seq, t.rcv_nxt.wrapping_add(t.rcv_wnd));
    if tcp.flags.has(TcpFlags::RST) {
        return reset_received(ns, id, skb, tcp, cx);
    }
    if tcp.flags.has(TcpFlags::SYN) && t.status == TcpStatus::SynRecv && tcp.seq.wrapping_add(1) == t.rcv_nxt
    {
        // The SYN again: our SYN/ACK was lost. Its timer begins anew (tcp_check_req).
        send_again(ns, id, cx);
        return Ok(Delivery::Local);
    }
    if t.status == TcpStatus::SynRecv && tcp.flags.has(TcpFlags::ACK) && tcp.ack != t.snd_nxt {
        // tcp_check_req: not an answer to our SYN/ACK, whatever its sequence number.
        return no_socket(ns, Some(id), skb, cx);
    }
    if !in_window || tcp.flags.has(TcpFlags::SYN) {
        ack_again(ns, id, tcp, cx);
        return Err(cx.drop(&skb, DropReason::SocketRefused));
    }
    if !tcp.flags.has(TcpFlags::ACK) {
        return Err(cx.drop(&skb, DropReason::SocketRefused));
    }
    if after(tcp.ack, t.snd_nxt) {
        ack_again(ns, id, tcp, cx);
        return Err(cx.drop(&skb, DropReason::SocketRefused));
    }
    if let Some((val, _)) = tcp.options.ts {
        t.ts_recent = val;
    }
    acknowledge(ns, id, tcp, cx);
    if let Some(t) = ns.sockets.tcp(id)
        && t.orphan
        && matches!(t.status, TcpStatus::FinWait1 | TcpStatus::FinWait2)
        && tcp.seq_len() != 0
        && after(tcp.seq.wrapping_add(tcp.payload.len() as u32), t.rcv_nxt)
    {
        // Nobody will read it: the peer learns that (RFC 1122, 4.2.2.13).
        t.enter(id, TcpStatus::Close, cx);
        ns.sockets.remove(id);
        send_reset(ns, &skb, SkbOwner::None, cx);
        return Err(cx.drop(&skb, DropReason::SocketRefused));
    }
    let taken = take_payload(ns, id, &skb, tcp, cx);
    push(ns, id, cx);
    if !taken {
        cx.emit(skb.id, || What::Socket { socket: id, step: SocketStep::Segment });
    }
    Ok(Delivery::Local)
}

fn reset_received(ns: &mut Netns, id: SocketId, skb: Skb, tcp: &Tcp, cx: &mut Cx<'_>) -> Journey {
    let Some(t) = ns.sockets.tcp(id) else { return no_socket(ns, Some(id), skb, cx) };
    // RFC 5961: only the exact next sequence number; another one in the window is challenged.
    if tcp.seq != t.rcv_nxt {
        let in_window = after(tcp.seq, t.rcv_nxt) && !after(tcp.seq, t.rcv_nxt.wrapping_add(t.rcv_wnd));
        if in_window && t.status != TcpStatus::SynRecv {
            ack_again(ns, id, tcp, cx);
        }
        return Err(cx.drop(&skb, DropReason::SocketRefused));
    }
    let half_open = t.status == TcpStatus::SynRecv;
    t.error = Some(if t.status == TcpStatus::CloseWait { Errno::EPIPE } else { Errno::ECONNRESET });
    t.rto_at = None;
    t.enter(id, TcpStatus::Close, cx);
    if half_open || t.orphan {
        ns.sockets.remove(id);
    } else {
        cx.out.push(Output::Wake(id));
    }
    Ok(Delivery::Local)
}

/// `tcp_ack`: what the peer has got, and its window.
fn acknowledge(ns: &mut Netns, id: SocketId, tcp: &Tcp, cx: &mut Cx<'_>) {
    let Some(t) = ns.sockets.tcp(id) else { return };
    t.snd_wnd = u32::from(tcp.window) << t.snd_wscale;
    if !after(tcp.ack, t.snd_una) {
        // The same acknowledgement again, with several segments out: a later one has arrived, so the first is lost.
        let pure = tcp.seq_len() == 0;
        if pure && tcp.ack == t.snd_una && t.unacked.len() > 1 && t.retries == 0 && !t.recovering {
            t.recovering = true;
            t.probed = true;
            t.unacked.iter_mut().skip(1).for_each(|u| u.sacked = true);
            send_again(ns, id, cx);
        }
        return;
    }
    let out = t.out();
    t.snd_una = tcp.ack;
    t.confirms_neigh = true;
    t.unacked.retain(|u| after(u.end(), tcp.ack));
    t.grow(out.saturating_sub(t.out()));
    t.lost_up_to = t.lost_up_to.filter(|end| before(tcp.ack, *end));
    let lossy = t.retries > 0;
    t.retries = 0;
    t.probed = false;
    t.recovering = false;
    t.rto = t.first_rto();
    t.rto_at = None;
    if !t.unacked.is_empty() {
        if t.lost_up_to.is_some() {
            send_lost(ns, id, cx);
        } else if lossy {
            // What was sent with the lost segment is taken for lost too.
            send_again(ns, id, cx);
        } else {
            watch(t, id, cx);
        }
    }
    let Some(t) = ns.sockets.tcp(id) else { return };
    let all = t.unacked.is_empty() && !t.fin_queued;
    match t.status {
        TcpStatus::SynRecv => {
            t.enter(id, TcpStatus::Established, cx);
            let listener = t.listener;
            if let Some(listener) = listener
                && let Some(Socket::Listen(l)) = ns.sockets.get_mut(listener)
            {
                l.accepted.push_back(id);
                cx.out.push(Output::Wake(listener));
            }
        }
        TcpStatus::FinWait1 if all => t.enter(id, TcpStatus::FinWait2, cx),
        TcpStatus::Closing if all => time_wait(ns, id, cx),
        TcpStatus::LastAck if all => {
            t.enter(id, TcpStatus::Close, cx);
            if t.owned_until <= cx.now {
                ns.sockets.remove(id);
            }
        }
        _ => {}
    }
}

fn time_wait(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    let Some(t) = ns.sockets.tcp(id) else { return };
    t.enter(id, TcpStatus::TimeWait, cx);
    t.rto = TIMEWAIT;
    arm(t, id, cx);
}

/// `tcp_data_queue`, `tcp_fin`: payload and FIN in order. True if there was any.
fn take_payload(ns: &mut Netns, id: SocketId, skb: &Skb, tcp: &Tcp, cx: &mut Cx<'_>) -> bool {
    let Some(t) = ns.sockets.tcp(id) else { return false };
    let fin = tcp.flags.has(TcpFlags::FIN);
    if tcp.payload.is_empty() && !fin {
        return false;
    }
    if after(tcp.seq, t.rcv_nxt) {
        // Out of order: keep it (tcp_data_queue_ofo), and say again what is expected.
        t.early.push((tcp.seq, tcp.payload.clone(), fin));
        ack_now(ns, id, cx);
        return true;
    }
    if !after(tcp.seq.wrapping_add(tcp.seq_len()), t.rcv_nxt) {
        // Old: say again what is expected.
        ack_now(ns, id, cx);
        return true;
    }
    let known = t.rcv_nxt.wrapping_sub(tcp.seq) as usize;
    let mut payload = tcp.payload.get(known..).unwrap_or_default().to_vec();
    let mut fin = fin;
    let had_early = !t.early.is_empty();
    loop {
        let end = t.rcv_nxt.wrapping_add(payload.len() as u32);
        let Some(at) = t.early.iter().position(|(seq, ..)| !fin && !after(*seq, end)) else { break };
        let (seq, more, last) = t.early.remove(at);
        let known = end.wrapping_sub(seq) as usize;
        payload.extend(more.get(known..).unwrap_or_default());
        fin = last && known <= more.len();
    }
    if !payload.is_empty() {
        t.recv.extend(&payload);
        t.rcv_nxt = t.rcv_nxt.wrapping_add(payload.len() as u32);
        t.last_data = Some(cx.now);
        let len = payload.len();
        cx.emit(skb.id, || What::Socket { socket: id, step: SocketStep::Received(len) });
        cx.out.push(Output::Wake(id));
    }
    if fin {
        t.rcv_nxt = t.rcv_nxt.wrapping_add(1);
        t.recv_fin = true;
        cx.out.push(Output::Wake(id));
        match t.status {
            TcpStatus::Established => {
                t.enter(id, TcpStatus::CloseWait, cx);
                // The program is about to close: let its FIN carry the acknowledgement (tcp_fin).
                t.pingpong = true;
            }
            TcpStatus::FinWait1 => t.enter(id, TcpStatus::Closing, cx),
            TcpStatus::FinWait2 => {
                time_wait(ns, id, cx);
                ack_now(ns, id, cx);
                return true;
            }
            _ => {}
        }
    }
    let Some(t) = ns.sockets.tcp(id) else { return true };
    if t.pingpong && t.status != TcpStatus::Closing && !had_early {
        // Wait a moment for an answer that can carry the acknowledgement.
        if t.ack_at.is_none() {
            t.ack_at = Some(cx.set_timer(DELACK, Timer::Tcp(id)));
        }
    } else {
        ack_now(ns, id, cx);
    }
    true
}
