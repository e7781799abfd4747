//! TCP sockets: state and the calls of programs (net/ipv4/tcp.c). Segments in: `tcp_input`; out: `tcp_output`.

use super::tcp_output::{Segment, push, transmit};
use super::tcp_timer::{arm, resend, send_lost};
use super::{Endpoint, Errno, Socket, nobody_is_me, send_error};
use crate::event::{SocketStep, What};
use crate::jhash::jhash2;
use crate::route::{Dst, Flow};
use crate::{Cut, Cx, DropReason, Instant, Netns, Output, PacketId, Skb, SocketId, Timer};
use packet::TcpFlags;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

/// State of a socket (RFC 9293).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpStatus {
    /// SYN sent.
    SynSent,
    /// SYN received, SYN/ACK sent.
    SynRecv,
    /// Connected.
    Established,
    /// Closed here, FIN not acknowledged.
    FinWait1,
    /// FIN acknowledged.
    FinWait2,
    /// Closed by the peer.
    CloseWait,
    /// Closed by both, our FIN not acknowledged.
    LastAck,
    /// Both FINs crossed.
    Closing,
    /// Done; waits for late segments.
    TimeWait,
    /// Over.
    Close,
}

impl TcpStatus {
    /// The word that `ss` prints.
    pub fn name(self) -> &'static str {
        match self {
            TcpStatus::SynSent => "SYN-SENT",
            TcpStatus::SynRecv => "SYN-RECV",
            TcpStatus::Established => "ESTAB",
            TcpStatus::FinWait1 => "FIN-WAIT-1",
            TcpStatus::FinWait2 => "FIN-WAIT-2",
            TcpStatus::CloseWait => "CLOSE-WAIT",
            TcpStatus::LastAck => "LAST-ACK",
            TcpStatus::Closing => "CLOSING",
            TcpStatus::TimeWait => "TIME-WAIT",
            TcpStatus::Close => "UNCONN",
        }
    }
}

/// A listening socket.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Bound address and port.
    pub local: Endpoint,
    /// How many connections may wait to be accepted, as `listen()` was told; more are not turned away.
    pub backlog: usize,
    pub(crate) accepted: VecDeque<SocketId>,
}

/// What [`Netns::tcp_recv`] has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes.
    Data(Vec<u8>),
    /// The peer has closed.
    Eof,
    /// The connection has failed.
    Error(Errno),
    /// Nothing yet.
    Nothing,
}

/// A segment that has not been acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Unacked {
    pub seq: u32,
    pub flags: TcpFlags,
    pub payload: Vec<u8>,
    /// It has arrived, before its turn (SACK).
    pub sacked: bool,
    /// The packet that carried it last.
    pub packet: Option<PacketId>,
}

impl Unacked {
    pub(crate) fn end(&self) -> u32 {
        let syn_fin = u32::from(self.flags.has(TcpFlags::SYN)) + u32::from(self.flags.has(TcpFlags::FIN));
        self.seq.wrapping_add(self.payload.len() as u32).wrapping_add(syn_fin)
    }
}

/// A connection.
#[derive(Clone, Debug)]
pub struct TcpSocket {
    /// Local address and port.
    pub local: Endpoint,
    /// Peer.
    pub remote: Endpoint,
    /// State.
    pub status: TcpStatus,
    pub(crate) error: Option<Errno>,
    /// An ICMP error that did not end the connection (`sk_err_soft`).
    pub(crate) soft_error: Option<Errno>,
    pub(crate) listener: Option<SocketId>,
    pub(crate) snd_una: u32,
    pub(crate) snd_nxt: u32,
    pub(crate) snd_wnd: u32,
    pub(crate) snd_wscale: u8,
    /// Both sides offered window scaling.
    pub(crate) wscale_ok: bool,
    /// Both sides permit SACK.
    pub(crate) sack_ok: bool,
    pub(crate) rcv_nxt: u32,
    /// Right edge of the window that was announced.
    pub(crate) rcv_edge: u32,
    pub(crate) rcv_wnd: u32,
    pub(crate) ts_ok: bool,
    pub(crate) ts_offset: u32,
    pub(crate) ts_recent: u32,
    /// Bytes in a segment.
    pub(crate) mss: usize,
    /// The segment size that the peer has offered.
    pub(crate) mss_clamp: u16,
    /// An answer has come: the next segment tells the neighbour table (`sk_dst_pending_confirm`).
    pub(crate) confirms_neigh: bool,
    /// The segment size that was offered to the peer.
    pub(crate) advmss: u16,
    /// Segments that may be on their way (`snd_cwnd`).
    pub(crate) cwnd: usize,
    /// As many were, at most, in the last round (`max_packets_out`), which ends at that number (`cwnd_usage_seq`).
    pub(crate) most_out: (usize, u32),
    /// What was lost as it was too long is sent again up to this number (`high_seq`).
    pub(crate) lost_up_to: Option<u32>,
    /// The path MTU has become smaller while a call of the program owned the socket (`TCP_MTU_REDUCED_DEFERRED`).
    pub(crate) mtu_reduced: Option<u32>,
    /// A call waits for the network before it sends more.
    pub(crate) paused: bool,
    pub(crate) unacked: VecDeque<Unacked>,
    pub(crate) to_send: VecDeque<u8>,
    pub(crate) fin_queued: bool,
    pub(crate) recv: VecDeque<u8>,
    pub(crate) recv_fin: bool,
    pub(crate) retries: u32,
    /// The loss of something was noticed before its timer ended, and nothing new was acknowledged since.
    pub(crate) probed: bool,
    /// A segment was sent again because a later one has arrived.
    pub(crate) recovering: bool,
    /// When a segment that did not fit was last answered.
    pub(crate) last_oow: Option<Instant>,
    /// What came in before its turn: sequence number, payload, FIN.
    pub(crate) early: Vec<(u32, Vec<u8>, bool)>,
    pub(crate) rto: Duration,
    /// When the connection was asked for.
    pub(crate) began: Instant,
    /// The round trip of a handshake that needed a repetition: the first SYN counts (`tcp_ack_update_rtt`), and a few
    /// good round trips hardly make up for it.
    pub(crate) slow_start: Duration,
    pub(crate) rto_at: Option<Instant>,
    pub(crate) ack_at: Option<Instant>,
    pub(crate) last_data: Option<Instant>,
    pub(crate) pingpong: bool,
    pub(crate) ip_id: u16,
    /// The last packet received, which caused what is sent next.
    pub(crate) cause: Option<PacketId>,
    pub(crate) orphan: bool,
    /// Until then a call of the program owns the socket (`sock_owned_by_user`).
    pub(crate) owned_until: Instant,
    /// What came in meanwhile.
    pub(crate) backlog: VecDeque<Skb>,
}

/// How long a call owns its socket. The answers of near hosts come in meanwhile: they are processed when it returns.
const CALL_TIME: Duration = Duration::from_micros(40);

/// `SOMAXCONN`
const SOMAXCONN: usize = 4096;
/// `TCP_TIMEOUT_INIT`
pub(super) const TIMEOUT_INIT: Duration = Duration::from_secs(1);
/// `TCP_RTO_MIN`, and a tick for the round trip of a near host.
pub(super) const RTO_MIN: Duration = Duration::from_millis(204);
/// `TCP_DELACK_MIN`
pub(super) const DELACK: Duration = Duration::from_millis(40);
/// `TCP_TIMEWAIT_LEN`
pub(super) const TIMEWAIT: Duration = Duration::from_secs(60);
/// `TCP_INIT_CWND`
const INIT_CWND: usize = 10;
/// How far above the old sequence numbers a connection begins that takes the place of one in TIME-WAIT.
const TIMEWAIT_GAP: u32 = 65_537;
/// Bytes of time stamps in each segment.
pub(super) const TIMESTAMPS: u16 = 12;
/// `tcp_select_initial_window` with the default buffers: as many whole segments as fit into 64 kB.
pub(super) fn initial_window(mss: u16) -> u32 {
    let mss = u32::from(mss.max(1));
    65_535 / mss * mss
}

/// Linux hashes with a secret that it draws once; here it is always the same.
fn secret(words: &[u32]) -> u32 {
    jhash2(words, 0x6e66_6c62)
}

/// `secure_tcp_seq`: where a connection begins. Between the same two endpoints it is a clock that ticks every 64 ns, so that who
/// calls again is ahead of what may still be known of the last call.
fn secure_tcp_seq(local: Endpoint, remote: Endpoint, now: Instant) -> u32 {
    let ports = u32::from(local.1) << 16 | u32::from(remote.1);
    let ticks = now.0.wrapping_mul(1000) >> 6;
    secret(&[local.0.to_bits(), remote.0.to_bits(), ports]).wrapping_add((ticks & 0xffff_ffff) as u32)
}

impl TcpSocket {
    /// A socket that offers this segment size.
    pub(super) fn new(
        local: Endpoint,
        remote: Endpoint,
        status: TcpStatus,
        advmss: u16,
        cx: &mut Cx<'_>,
    ) -> TcpSocket {
        let isn = secure_tcp_seq(local, remote, cx.now);
        TcpSocket {
            local,
            remote,
            status,
            error: None,
            soft_error: None,
            listener: None,
            snd_una: isn,
            snd_nxt: isn,
            snd_wnd: 0,
            snd_wscale: 0,
            wscale_ok: true,
            sack_ok: true,
            rcv_nxt: 0,
            rcv_edge: 0,
            rcv_wnd: initial_window(advmss),
            ts_ok: true,
            ts_offset: secret(&[local.0.to_bits(), remote.0.to_bits()]),
            ts_recent: 0,
            mss: usize::from(advmss - TIMESTAMPS),
            mss_clamp: advmss,
            confirms_neigh: false,
            advmss,
            cwnd: INIT_CWND,
            most_out: (0, isn),
            lost_up_to: None,
            mtu_reduced: None,
            paused: false,
            unacked: VecDeque::new(),
            to_send: VecDeque::new(),
            fin_queued: false,
            recv: VecDeque::new(),
            recv_fin: false,
            retries: 0,
            probed: false,
            recovering: false,
            last_oow: None,
            early: Vec::new(),
            rto: TIMEOUT_INIT,
            began: cx.now,
            slow_start: Duration::ZERO,
            rto_at: None,
            ack_at: None,
            last_data: None,
            pingpong: false,
            ip_id: (cx.rng.next_u32() & 0xffff) as u16,
            cause: None,
            orphan: false,
            owned_until: Instant(0),
            backlog: VecDeque::new(),
        }
    }

    /// The retransmission time-out of a connection that loses nothing (`tcp_set_rto`).
    pub(super) fn first_rto(&self) -> Duration {
        RTO_MIN.max(self.slow_start * 3)
    }

    /// A tail loss probe may be sent: nothing has been found lost.
    pub(super) fn may_probe(&self) -> bool {
        let half_open = matches!(self.status, TcpStatus::SynSent | TcpStatus::SynRecv);
        self.sack_ok && !half_open && !self.probed && self.retries == 0
    }

    /// The connection ends with this error.
    pub(super) fn fail(&mut self, errno: Errno) {
        self.status = TcpStatus::Close;
        self.error = Some(errno);
        self.rto_at = None;
    }

    /// True for a sequence number that has been sent and is not acknowledged, or comes next.
    pub(super) fn is_in_flight(&self, seq: u32) -> bool {
        seq.wrapping_sub(self.snd_una) <= self.snd_nxt.wrapping_sub(self.snd_una)
    }

    /// Segments on their way, of the size that is sent now (`packets_out`).
    pub(super) fn out(&self) -> usize {
        let len = |u: &Unacked| {
            let known = self.snd_una.wrapping_sub(u.seq) as usize;
            if known <= u.payload.len() { u.payload.len() - known } else { u.payload.len() }
        };
        self.unacked.iter().map(|u| len(u).div_ceil(self.mss).max(1)).sum()
    }

    /// A call of the program owns the socket (`sock_owned_by_user`).
    pub(super) fn is_owned(&self, now: Instant) -> bool {
        now < self.owned_until || self.paused
    }

    /// `tcp_cwnd_validate`: how many segments a round has on their way.
    pub(super) fn count_round(&mut self) {
        let out = self.out();
        let (most, end) = self.most_out;
        let over = (self.snd_una.wrapping_sub(end) as i32) >= 0;
        if over || out > most {
            self.most_out = (out, self.snd_nxt);
        }
    }

    /// `tcp_slow_start`: each acknowledged segment lets one more go, while the window is used. It is never left here, as
    /// nothing else is lost on the way.
    pub(super) fn grow(&mut self, acked: usize) {
        if self.cwnd < 2 * self.most_out.0 {
            self.cwnd += acked;
        }
    }

    pub(super) fn enter(&mut self, id: SocketId, to: TcpStatus, cx: &mut Cx<'_>) {
        let (from, to_name) = (self.status.name(), to.name());
        self.status = to;
        let packet = self.cause.unwrap_or_default();
        cx.emit(packet, || What::Socket { socket: id, step: SocketStep::TcpState { from, to: to_name } });
    }
}

/// The connection between two endpoints.
pub(super) fn find(ns: &Netns, local: Endpoint, remote: Endpoint) -> Option<SocketId> {
    ns.sockets.iter().find_map(|(id, s)| match s {
        Socket::Tcp(t) if t.local == local && t.remote == remote && t.status != TcpStatus::Close => Some(id),
        _ => None,
    })
}

impl Netns {
    /// `ipv4_default_advmss`: the segment size to offer for this way.
    pub(super) fn advmss(&self, dst: &Dst, to: Ipv4Addr, cx: &Cx<'_>) -> u16 {
        u16::try_from(self.dst_mtu(dst, to, false, cx).saturating_sub(40)).unwrap_or(u16::MAX).max(256)
    }

    /// `tcp_v4_mtu_reduced`: the way takes only smaller segments; what is on its way was lost, and is sent again.
    pub(super) fn tcp_mtu_reduced(&mut self, id: SocketId, mtu: u32, cx: &mut Cx<'_>) {
        let Some(t) = self.sockets.tcp(id) else { return };
        if t.is_owned(cx.now) {
            t.mtu_reduced = Some(mtu);
            return;
        }
        let remote = t.remote.0;
        self.update_pmtu(remote, mtu, cx.now);
        let Some(mss) = self.current_mss(id, cx) else { return };
        let Some(t) = self.sockets.tcp(id) else { return };
        if mss >= t.mss {
            return;
        }
        // tcp_simple_retransmit: the first goes again now, the next when that has arrived.
        let lost = t.unacked.front().is_some_and(|u| u.payload.len() > mss);
        t.mss = mss;
        if lost {
            t.lost_up_to = Some(t.snd_nxt);
            send_lost(self, id, cx);
        }
    }

    /// `tcp_current_mss`: the segment size as the way is known now. What a router said of it may have been forgotten.
    pub(super) fn current_mss(&mut self, id: SocketId, cx: &Cx<'_>) -> Option<usize> {
        let (remote, local) = self.sockets.tcp(id).map(|t| (t.remote.0, t.local.0))?;
        let (dst, _) = self.ip_route_output(&Flow::to(remote).from(local)).ok()?;
        let room = self.dst_mtu(&dst, remote, false, cx).saturating_sub(40);
        let t = self.sockets.tcp(id)?;
        let options = if t.ts_ok { usize::from(TIMESTAMPS) } else { 0 };
        Some(room.min(usize::from(t.mss_clamp)).saturating_sub(options).max(1))
    }

    /// `socket()`, `bind()`, `listen()`
    pub fn tcp_listen(&mut self, local: Endpoint) -> Result<SocketId, Errno> {
        if !self.may_bind(local.0) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let taken = self.sockets.iter().any(|(_, s)| match s {
            Socket::Listen(l) => {
                l.local.1 == local.1
                    && (l.local.0 == local.0 || l.local.0.is_unspecified() || local.0.is_unspecified())
            }
            _ => false,
        });
        if taken {
            return Err(Errno::EADDRINUSE);
        }
        Ok(self.sockets.add(Socket::Listen(Box::new(Listener {
            local,
            backlog: SOMAXCONN,
            accepted: VecDeque::new(),
        }))))
    }

    /// What `listen()` was told of a listening socket; it is `net.core.somaxconn` of Linux since 5.4 otherwise.
    pub fn tcp_backlog(&mut self, id: SocketId, backlog: usize) {
        if let Some(Socket::Listen(l)) = self.sockets.get_mut(id) {
            l.backlog = backlog;
        }
    }

    /// `accept()`: the next established connection of a listener.
    pub fn tcp_accept(&mut self, listener: SocketId) -> Option<SocketId> {
        match self.sockets.get_mut(listener)? {
            Socket::Listen(l) => l.accepted.pop_front(),
            _ => None,
        }
    }

    /// `socket()`, `bind()`, `connect()` without waiting. An unspecified address or port 0 in `local` is chosen by
    /// the kernel. `Err` if there is no way to the peer at all.
    pub fn tcp_connect(
        &mut self,
        local: Endpoint,
        remote: Endpoint,
        cx: &mut Cx<'_>,
    ) -> Result<SocketId, Errno> {
        let remote = nobody_is_me(local, remote);
        let found = self.ip_route_connect(&Flow {
            proto: 6,
            sport: local.1,
            dport: remote.1,
            ..Flow::to(remote.0).from(local.0)
        });
        let dst = found.map_err(|(why, _)| {
            send_error(Cut(DropReason::Unreachable(why))).unwrap_or(Errno::ENETUNREACH)
        })?;
        if dst.is_group() {
            return Err(Errno::ENETUNREACH);
        }
        let advmss = self.advmss(&dst, remote.0, cx);
        let port = if local.1 == 0 { self.sockets.ephemeral_port() } else { local.1 };
        let addr = if local.0.is_unspecified() { dst.source } else { local.0 };
        let mut sock = TcpSocket::new((addr, port), remote, TcpStatus::SynSent, advmss, cx);
        if let Some(old) = find(self, (addr, port), remote) {
            // A connection that is only waiting gives way (tcp_twsk_unique); the new one begins well above it.
            match self.sockets.tcp(old) {
                Some(t) if t.status == TcpStatus::TimeWait && t.ts_ok => {
                    sock.snd_una = t.snd_nxt.wrapping_add(TIMEWAIT_GAP);
                    sock.snd_nxt = sock.snd_una;
                    sock.ts_offset = t.ts_offset;
                    self.sockets.remove(old);
                }
                _ => return Err(Errno::EADDRNOTAVAIL),
            }
        }
        let id = self.sockets.add(Socket::Tcp(Box::new(sock)));
        send_syn(self, id, cx);
        Ok(id)
    }

    /// State, local and remote endpoint of a connection.
    pub fn tcp_info(&self, id: SocketId) -> Option<(TcpStatus, Endpoint, Endpoint)> {
        self.sockets.iter().find(|(i, _)| *i == id).and_then(|(_, s)| match s {
            Socket::Tcp(t) => Some((t.status, t.local, t.remote)),
            _ => None,
        })
    }

    /// `send()`: everything is taken.
    pub fn tcp_send(&mut self, id: SocketId, data: &[u8], cx: &mut Cx<'_>) -> Result<(), Errno> {
        let t = self.sockets.tcp(id).ok_or(Errno::EINVAL)?;
        if let Some(e) = t.error {
            return Err(e);
        }
        if !matches!(t.status, TcpStatus::Established | TcpStatus::CloseWait) {
            return Err(Errno::EPIPE);
        }
        t.to_send.extend(data);
        own(t, id, cx);
        push(self, id, cx);
        Ok(())
    }

    /// `recv()`
    pub fn tcp_recv(&mut self, id: SocketId) -> Received {
        let Some(t) = self.sockets.tcp(id) else { return Received::Error(Errno::ENOTCONN) };
        if !t.recv.is_empty() {
            return Received::Data(t.recv.drain(..).collect());
        }
        if let Some(e) = t.error {
            return Received::Error(e);
        }
        if t.recv_fin { Received::Eof } else { Received::Nothing }
    }

    /// `close()`: sends what is left, then a FIN; the socket lives on until the peer has agreed.
    pub fn tcp_close(&mut self, id: SocketId, cx: &mut Cx<'_>) {
        let Some(t) = self.sockets.tcp(id) else { return };
        own(t, id, cx);
        match t.status {
            TcpStatus::SynSent | TcpStatus::Close => {
                self.sockets.remove(id);
            }
            TcpStatus::Established | TcpStatus::SynRecv | TcpStatus::CloseWait if !t.recv.is_empty() => {
                // Unread data: the peer learns that it was in vain.
                self.tcp_reset(id, cx);
            }
            TcpStatus::Established | TcpStatus::SynRecv | TcpStatus::CloseWait => {
                t.fin_queued = true;
                push(self, id, cx);
            }
            _ => {}
        }
        // sock_orphan: what is sent up to here still belongs to the program.
        if let Some(t) = self.sockets.tcp(id) {
            t.orphan = true;
        }
    }

    /// `shutdown(SHUT_WR)`: sends what is left, then a FIN; the peer can still be heard.
    pub fn tcp_shutdown(&mut self, id: SocketId, cx: &mut Cx<'_>) {
        let Some(t) = self.sockets.tcp(id) else { return };
        if matches!(t.status, TcpStatus::Established | TcpStatus::CloseWait) {
            own(t, id, cx);
            t.fin_queued = true;
            push(self, id, cx);
        }
    }

    /// `close()` with `SO_LINGER` 0: a RST.
    pub fn tcp_reset(&mut self, id: SocketId, cx: &mut Cx<'_>) {
        let Some(t) = self.sockets.tcp(id) else { return };
        if matches!(
            t.status,
            TcpStatus::Established | TcpStatus::CloseWait | TcpStatus::FinWait1 | TcpStatus::FinWait2
        ) {
            let seq = t.snd_nxt;
            let flags = TcpFlags::RST | TcpFlags::ACK;
            transmit(self, id, Segment { seq, flags, payload: Vec::new(), syn: false }, cx);
        }
        self.sockets.remove(id);
    }
}

fn send_syn(ns: &mut Netns, id: SocketId, cx: &mut Cx<'_>) {
    let Some(t) = ns.sockets.tcp(id) else { return };
    let seq = t.snd_una;
    if t.snd_nxt == seq {
        t.snd_nxt = seq.wrapping_add(1);
        t.unacked.push_back(Unacked {
            seq,
            flags: TcpFlags::SYN,
            payload: Vec::new(),
            sacked: false,
            packet: None,
        });
    }
    own(t, id, cx);
    arm(t, id, cx);
    resend(ns, id, 0, cx);
}

/// `lock_sock` by a call: it returns after [`CALL_TIME`], then the backlog is processed.
fn own(t: &mut TcpSocket, id: SocketId, cx: &mut Cx<'_>) {
    t.owned_until = cx.now + CALL_TIME;
    cx.out.push(Output::Timer { at: t.owned_until, timer: Timer::Tcp(id) });
}
