//! UDP sockets (net/ipv4/udp.c).

use super::{Endpoint, Errno, IcmpError, Socket, SocketTable, nobody_is_me, send_error};
use crate::event::{Origin, SocketStep, What};
use crate::ipv4::{icmp_send, ip_local_out};
use crate::route::{Flow, Verdict};
use crate::{
    Ct, Cx, Delivery, DropReason, Ends, Journey, Netns, Output, PacketId, Plain, Skb, SkbOwner, SocketId,
};
use packet::{Bytes, Ip, L4, Mac, Udp, icmp_type};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// A datagram in a receive queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Sender.
    pub from: Endpoint,
    /// The address that it was sent to (`IP_PKTINFO`).
    pub to: Ipv4Addr,
    /// Payload.
    pub payload: Bytes,
}

/// What waits in a socket. Mostly that is one datagram at a time, which needs no memory of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    first: Option<Datagram>,
    /// What few sockets have.
    rest: Option<Box<Rest>>,
}

#[derive(Clone, Debug, Default)]
struct Rest {
    /// Datagrams that came after the first.
    others: VecDeque<Datagram>,
    /// `sk_error_queue`
    errors: Vec<IcmpError>,
}

impl Queue {
    fn push(&mut self, datagram: Datagram) {
        match self.first {
            None => self.first = Some(datagram),
            Some(_) => self.rest.get_or_insert_default().others.push_back(datagram),
        }
    }

    /// All datagrams, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Datagram> {
        self.first.iter().chain(self.rest.as_deref().into_iter().flat_map(|rest| &rest.others))
    }

    /// The oldest datagram.
    fn pop(&mut self) -> Option<Datagram> {
        let next = self.rest.as_mut().and_then(|rest| rest.others.pop_front());
        std::mem::replace(&mut self.first, next)
    }

    /// `sk_error_queue`
    pub(super) fn errors_mut(&mut self) -> &mut Vec<IcmpError> {
        &mut self.rest.get_or_insert_default().errors
    }

    /// Empties the error queue.
    pub(super) fn take_errors(&mut self) -> Vec<IcmpError> {
        self.rest.as_mut().map(|rest| std::mem::take(&mut rest.errors)).unwrap_or_default()
    }
}

/// A UDP socket.
#[derive(Clone, Debug)]
pub struct UdpSocket {
    /// Bound address and port.
    pub local: Endpoint,
    /// Peer of a connected socket: it receives from nobody else, and hears of ICMP errors.
    pub remote: Option<Endpoint>,
    /// `IP_RECVERR`
    pub recverr: bool,
    /// `IP_TTL`
    pub ttl: Option<u8>,
    pub(crate) queue: Queue,
    /// The error that the next call fails with (`sk_err`).
    pub(crate) error: Option<Errno>,
    ip_id: u16,
    /// By what its program knows it (`epoll_data_t` of epoll_ctl(2)).
    tag: u32,
}

/// A datagram that a program is about to send.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    socket: SocketId,
    packet: PacketId,
    ends: Ends,
    ttl: u8,
    /// Its identification, if the socket is connected.
    ip_id: Option<u16>,
    /// An error waits in the socket.
    fails: bool,
}

impl Sending {
    /// The packet's number.
    pub fn packet(&self) -> PacketId {
        self.packet
    }

    /// True if it is not going to be sent, as an error waits in the socket.
    pub fn fails(&self) -> bool {
        self.fails
    }

    /// The datagram before it is routed: it has no identification and no addresses of the link yet.
    #[inline]
    pub fn plain(&self) -> Plain {
        let Sending { ends, ttl, .. } = *self;
        Plain { src: Mac::ZERO, dst: Mac::ZERO, ends, ttl, df: true, id: 0 }
    }

    /// Its identification.
    #[inline]
    pub fn ip_id(&self, cx: &mut Cx<'_>) -> u16 {
        self.ip_id.unwrap_or_else(|| cx.ip_id())
    }
}

impl Netns {
    /// Whether a socket may have an address: one of ours, or any with `ip_nonlocal_bind` (`inet_addr_valid_or_nonlocal`).
    pub fn may_bind(&self, addr: Ipv4Addr) -> bool {
        addr.is_unspecified() || self.is_local_addr(addr) || self.sysctl.ip_nonlocal_bind != 0
    }

    /// `socket()`, `bind()`: port 0 means any.
    pub fn udp_bind(&mut self, local: Endpoint, cx: &mut Cx<'_>) -> Result<SocketId, Errno> {
        if !self.may_bind(local.0) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let port = if local.1 == 0 { self.sockets.ephemeral_port() } else { local.1 };
        let ip_id = cx.ip_id();
        Ok(self.sockets.add(Socket::Udp(UdpSocket {
            local: (local.0, port),
            remote: None,
            recverr: false,
            ttl: None,
            queue: Queue::default(),
            error: None,
            ip_id,
            tag: 0,
        })))
    }

    /// Sets `IP_RECVERR` and `IP_TTL`.
    pub fn udp_options(&mut self, id: SocketId, recverr: bool, ttl: Option<u8>) {
        if let Some(u) = self.sockets.udp(id) {
            u.recverr = recverr;
            u.ttl = ttl;
        }
    }

    /// `connect()`: fixes the peer and, by routing, the source address.
    pub fn udp_connect(&mut self, id: SocketId, remote: Endpoint) -> Result<(), Errno> {
        let local = self.sockets.udp(id).ok_or(Errno::EINVAL)?.local;
        let remote = nobody_is_me(local, remote);
        let dst = self.ip_route_connect(&udp_flow(local, remote)).map_err(|(why, _)| {
            send_error(crate::Cut(DropReason::Unreachable(why))).unwrap_or(Errno::ENETUNREACH)
        })?;
        if dst.verdict == Verdict::Broadcast {
            return Err(Errno::EACCES);
        }
        if let Some(u) = self.sockets.udp(id) {
            u.remote = Some(remote);
        }
        self.sockets.set_address(id, dst.source);
        Ok(())
    }

    /// `sendto()`, `send()`: `from` is the source address of `IP_PKTINFO`.
    pub fn udp_send(
        &mut self,
        id: SocketId,
        to: Option<Endpoint>,
        from: Option<Ipv4Addr>,
        payload: impl Into<Bytes>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Errno> {
        self.udp_sendmsg(id, to, from, payload.into(), cx)
    }

    /// `udp_sendmsg`
    fn udp_sendmsg(
        &mut self,
        id: SocketId,
        to: Option<Endpoint>,
        from: Option<Ipv4Addr>,
        payload: Bytes,
        cx: &mut Cx<'_>,
    ) -> Result<(), Errno> {
        let sending = self.udp_begin(id, to, cx)?;
        self.udp_push(&sending, from, payload, cx)
    }

    /// The first half of `sendto()`: which datagram it is going to be. [`Netns::udp_push`] is the other half.
    ///
    /// # Errors
    /// The socket is gone, or has no peer.
    #[inline]
    pub fn udp_begin(
        &mut self,
        id: SocketId,
        to: Option<Endpoint>,
        cx: &mut Cx<'_>,
    ) -> Result<Sending, Errno> {
        let default_ttl = self.default_ttl();
        let u = self.sockets.udp(id).ok_or(Errno::EINVAL)?;
        let remote = to.or(u.remote).ok_or(Errno::EDESTADDRREQ)?;
        u.ip_id = u.ip_id.wrapping_add(1);
        Ok(Sending {
            socket: id,
            packet: cx.ids.packet(),
            ends: Ends { from: u.local, to: nobody_is_me(u.local, remote) },
            ttl: u.ttl.unwrap_or(default_ttl),
            ip_id: u.remote.is_some().then_some(u.ip_id),
            fails: u.error.is_some(),
        })
    }

    /// Sends what [`Netns::udp_begin`] has begun, with a source address of `IP_PKTINFO`.
    ///
    /// # Errors
    /// `sendto()`'s.
    pub fn udp_push(
        &mut self,
        sending: &Sending,
        from: Option<Ipv4Addr>,
        payload: Bytes,
        cx: &mut Cx<'_>,
    ) -> Result<(), Errno> {
        let Sending { socket: id, packet, ends, ttl, fails, .. } = *sending;
        let Ends { from: local, to: remote } = ends;
        let noted = self.shortcuts.is_some() && !fails && from.is_none();
        let noting = noted.then(|| self.begin_note((None, ends), payload.len(), cx));
        let src = from.unwrap_or(local.0);
        let route = self.route_packet(packet, &udp_flow((src, local.1), remote), cx).map_err(|why| {
            send_error(crate::Cut(DropReason::Unreachable(why))).unwrap_or(Errno::ENETUNREACH)
        })?;
        if route.verdict == Verdict::Broadcast {
            // Without SO_BROADCAST.
            return Err(Errno::EACCES);
        }
        // sock_alloc_send_pskb: an error that came in since the last call ends this one.
        if let Some(errno) = self.sockets.udp(id).and_then(|u| u.error.take()) {
            return Err(errno);
        }
        if payload.len() + 28 > usize::from(u16::MAX) {
            return Err(Errno::EMSGSIZE);
        }
        let udp = Udp { sport: local.1, dport: remote.1, checksum_ok: true, payload };
        let mut ip = Ip::new(IpAddr::V4(route.source), IpAddr::V4(remote.0), L4::Udp(udp));
        // A group is reached no farther than the link, unless IP_MULTICAST_TTL says so.
        let group = route.verdict == Verdict::Multicast;
        ip.ttl = if group { 1 } else { ttl };
        // IP_PMTUDISC_WANT: what does not fit is cut here.
        let locked = self.mtu_locked(&route, remote.0, cx);
        ip.frag.df = ip.total_len() <= self.dst_mtu(&route, remote.0, false, cx) && !locked;
        ip.id = sending.ip_id(cx);
        let mut skb = self.local_skb(packet, ip, SkbOwner::Program);
        skb.dst = Some(route);
        skb.ignore_df = true;
        cx.emit(packet, || What::Created {
            origin: Origin::Socket(id),
            parent: None,
            frame: Rc::clone(&skb.frame),
        });
        let sent = ip_local_out(self, skb, cx);
        if let Some(noting) = noting {
            self.end_note(&noting, cx);
        }
        match sent {
            Ok(_) => Ok(()),
            // net_xmit_errno: only who asked for errors hears of a full device.
            Err(crate::Cut(DropReason::TooLongForPeer))
                if self.sockets.udp(id).is_some_and(|u| u.recverr) =>
            {
                Err(Errno::ENOBUFS)
            }
            Err(cut) => send_error(cut).map_or(Ok(()), Err),
        }
    }

    /// Puts a datagram into a socket's receive queue.
    #[inline]
    pub fn udp_queue(&mut self, id: SocketId, datagram: Datagram) {
        if let Some(u) = self.sockets.udp(id) {
            u.queue.push(datagram);
        }
    }

    /// `recvfrom()`
    pub fn udp_recv(&mut self, id: SocketId) -> Option<Datagram> {
        self.sockets.udp(id)?.queue.pop()
    }

    /// A program that has many sockets notes with one what it is to it, as it would with `epoll_ctl()`.
    pub fn udp_tag(&mut self, id: SocketId, tag: u32) {
        if let Some(u) = self.sockets.udp(id) {
            u.tag = tag;
        }
    }

    /// What a program has noted with a socket; 0 without.
    pub fn udp_tagged(&mut self, id: SocketId) -> Option<u32> {
        self.sockets.udp(id).map(|u| u.tag)
    }

    /// [`Netns::udp_tagged`] and [`Netns::udp_recv`].
    #[inline]
    pub fn udp_recv_tagged(&mut self, id: SocketId) -> Option<(u32, Datagram)> {
        let u = self.sockets.udp(id)?;
        Some((u.tag, u.queue.pop()?))
    }

    /// The local address and port of a UDP socket.
    pub fn udp_local(&mut self, id: SocketId) -> Option<Endpoint> {
        self.sockets.udp(id).map(|u| u.local)
    }
}

/// What routing is asked for a datagram.
fn udp_flow(local: Endpoint, remote: Endpoint) -> Flow {
    Flow { proto: 17, sport: local.1, dport: remote.1, ..Flow::to(remote.0).from(local.0) }
}

/// The socket for a datagram to `local` from `remote`: the more it asks for, the better it fits
/// (`compute_score`).
pub(crate) fn udp_find(sockets: &SocketTable, local: Endpoint, remote: Endpoint) -> Option<SocketId> {
    sockets
        .bound_to(local)
        .filter(|(_, u)| fits(u, remote))
        .max_by_key(|(id, u)| {
            let score = u8::from(u.remote.is_some()) * 2 + u8::from(!u.local.0.is_unspecified());
            (score, std::cmp::Reverse(*id))
        })
        .map(|(id, _)| id)
}

/// The socket takes what `remote` sends.
fn fits(u: &UdpSocket, remote: Endpoint) -> bool {
    u.remote.is_none_or(|r| r == remote)
}

/// `udp_rcv`
pub(crate) fn udp_rcv(ns: &mut Netns, mut skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let parsed = skb.ip().and_then(|ip| {
        let L4::Udp(u) = &ip.l4 else { return None };
        Some((ip.src_v4()?, ip.dst_v4()?, u))
    });
    let Some((src, dst, udp)) = parsed else { return Err(cx.drop(&skb, DropReason::NoProtocol)) };
    if !udp.checksum_ok {
        return Err(cx.drop(&skb, DropReason::BadChecksum));
    }
    if cfg!(feature = "tunnels") && ns.vxlan_listens(udp.dport) {
        ns.spoil();
        return crate::dev::vxlan_rcv(ns, skb, cx);
    }
    let (from, dport) = ((src, udp.sport), udp.dport);
    if skb.dst.is_some_and(|d| d.is_group()) {
        ns.spoil();
        let datagram = Datagram { from, to: dst, payload: udp.payload.clone() };
        return mcast_deliver(ns, &skb, (dst, dport), &datagram, cx);
    }
    let Some(id) = udp_find(&ns.sockets, (dst, dport), from) else {
        // nf_reset_ct: the flow is forgotten by then, so the error finds its own way through conntrack.
        skb.ct = Ct::None;
        icmp_send(ns, &skb, icmp_type::DEST_UNREACH, 3, None, cx);
        return Err(cx.drop(&skb, DropReason::NoSocket));
    };
    let datagram = Datagram { from, to: dst, payload: udp.payload.clone() };
    udp_deliver(ns, skb.id, id, datagram, cx);
    ns.consume_skb(skb);
    Ok(Delivery::Local)
}

/// `udplite_rcv` (net/ipv4/udplite.c; RFC 3828): no program here has such a socket. Damaged packets are not answered.
pub(crate) fn udplite_rcv(ns: &mut Netns, mut skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let intact = skb.ip().is_some_and(|ip| match &ip.l4 {
        L4::Other(proto, bytes) => match bytes[..] {
            [_, _, _, _, high, low, a, b, ..] => {
                let covered = match usize::from(u16::from_be_bytes([high, low])) {
                    0 => bytes.len(),
                    n => n,
                };
                (a, b) != (0, 0)
                    && (8..=bytes.len()).contains(&covered)
                    && ip.checksum_covers(*proto, bytes, covered)
            }
            _ => false,
        },
        _ => false,
    });
    if !intact {
        return Err(cx.drop(&skb, DropReason::BadChecksum));
    }
    skb.ct = Ct::None;
    icmp_send(ns, &skb, icmp_type::DEST_UNREACH, 3, None, cx);
    Err(cx.drop(&skb, DropReason::NoSocket))
}

/// `__udp4_lib_mcast_deliver`: every socket that fits gets it; if none does, nobody is told.
fn mcast_deliver(
    ns: &mut Netns,
    skb: &Skb,
    local: Endpoint,
    datagram: &Datagram,
    cx: &mut Cx<'_>,
) -> Journey {
    let takes = |u: &UdpSocket| fits(u, datagram.from);
    let mut fitting: Vec<SocketId> =
        ns.sockets.bound_to(local).filter(|(_, u)| takes(u)).map(|(id, _)| id).collect();
    sorted::sort(&mut fitting);
    for id in &fitting {
        udp_deliver(ns, skb.id, *id, datagram.clone(), cx);
    }
    if fitting.is_empty() { Err(cx.drop(skb, DropReason::NoSocket)) } else { Ok(Delivery::Local) }
}

/// `udp_queue_rcv_skb`
pub(crate) fn udp_deliver(
    ns: &mut Netns,
    packet: PacketId,
    id: SocketId,
    datagram: Datagram,
    cx: &mut Cx<'_>,
) {
    let len = datagram.payload.len();
    ns.udp_queue(id, datagram);
    cx.emit(packet, || What::Socket { socket: id, step: SocketStep::Received(len) });
    cx.out.push(Output::Wake(id));
}
