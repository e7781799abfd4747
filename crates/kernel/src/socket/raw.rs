//! Raw sockets: ping, crafted packets, frames (net/ipv4/raw.c, net/packet/af_packet.c).

use super::{Errno, Socket, send_error};
use crate::dev::dev_queue_xmit;
use crate::event::{Origin, SocketStep, What};
use crate::ipv4::ip_local_out;
use crate::route::{Flow, Verdict};
use crate::{Cx, Delivery, DevId, DropReason, Journey, Netns, Output, Skb, SkbOwner, SocketId};
use packet::{Frame, Icmp, IcmpBody, Ip, L4, icmp_type};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// A raw ICMP socket as ping uses it: it sees every ICMP message that reaches the host.
#[derive(Clone, Debug)]
pub struct PingSocket {
    /// Bound address, or unspecified.
    pub local: Ipv4Addr,
    /// `IP_TTL`
    pub ttl: Option<u8>,
    /// `SO_BINDTODEVICE`
    pub oif: Option<DevId>,
    queue: VecDeque<Ip>,
}

impl Netns {
    /// Opens a raw ICMP socket.
    pub fn ping_open(
        &mut self,
        local: Ipv4Addr,
        ttl: Option<u8>,
        oif: Option<DevId>,
    ) -> Result<SocketId, Errno> {
        if !self.may_bind(local) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        Ok(self.sockets.add(Socket::Ping(Box::new(PingSocket { local, ttl, oif, queue: VecDeque::new() }))))
    }

    /// Sends an echo request.
    pub fn ping_send(
        &mut self,
        socket: SocketId,
        to: Ipv4Addr,
        id: u16,
        seq: u16,
        payload: Vec<u8>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Errno> {
        let Some(Socket::Ping(p)) = self.sockets.get_mut(socket) else { return Err(Errno::EINVAL) };
        let (local, ttl, oif) = (p.local, p.ttl, p.oif);
        let body = IcmpBody::Query { id, seq, payload };
        let icmp = Icmp { kind: icmp_type::ECHO, code: 0, checksum_ok: true, body };
        let mut ip = Ip::new(IpAddr::V4(local), IpAddr::V4(to), L4::Icmp(icmp));
        ip.ttl = ttl.unwrap_or(self.default_ttl());
        ip.id = cx.ip_id();
        self.raw_output(ip, (Origin::Socket(socket), oif), false, cx)
    }

    /// What a ping socket has received, oldest first; echo requests are left out.
    pub fn ping_recv(&mut self, socket: SocketId) -> Option<Ip> {
        match self.sockets.get_mut(socket)? {
            Socket::Ping(p) => p.queue.pop_front(),
            _ => None,
        }
    }

    /// How long a packet of this host to that address may be, in bytes (`dst_mtu`). `None` if there is no way.
    pub fn path_mtu(&self, to: Ipv4Addr, cx: &Cx<'_>) -> Option<usize> {
        let (dst, _) = self.ip_route_output(&Flow::to(to)).ok()?;
        Some(self.dst_mtu(&dst, to, false, cx))
    }

    /// Sends a crafted IP packet through the host's own OUTPUT (`IP_HDRINCL`). The source need not be its own.
    pub fn raw_send(&mut self, ip: Ip, cx: &mut Cx<'_>) -> Result<(), Errno> {
        self.raw_output(ip, (Origin::Raw, None), true, cx)
    }

    /// `raw_sendmsg`: from whom, and by which device if that is fixed.
    fn raw_output(
        &mut self,
        mut ip: Ip,
        (origin, oif): (Origin, Option<DevId>),
        header: bool,
        cx: &mut Cx<'_>,
    ) -> Result<(), Errno> {
        let (Some(src), Some(dst)) = (ip.src_v4(), ip.dst_v4()) else { return Err(Errno::EINVAL) };
        let packet = cx.ids.packet();
        // With a header of its own the packet's source is no matter of routing.
        let from = if header { Ipv4Addr::UNSPECIFIED } else { src };
        let flow = Flow { proto: if header { 255 } else { 1 }, oif, ..Flow::to(dst).from(from) };
        let route = self.route_packet(packet, &flow, cx).map_err(|why| {
            send_error(crate::Cut(DropReason::Unreachable(why))).unwrap_or(Errno::ENETUNREACH)
        })?;
        if route.verdict == Verdict::Broadcast {
            // Without SO_BROADCAST.
            return Err(Errno::EACCES);
        }
        if src.is_unspecified() {
            ip.src = IpAddr::V4(route.source);
        }
        if !header && route.verdict == Verdict::Multicast {
            ip.ttl = 1;
        }
        let mtu = if header {
            // raw_send_hdrinc: a packet with its own header is not cut.
            self.device(route.dev).map_or(0, |d| d.mtu) as usize
        } else {
            usize::from(u16::MAX)
        };
        if ip.total_len() > mtu {
            return Err(Errno::EMSGSIZE);
        }
        if !header {
            // IP_PMTUDISC_WANT: what does not fit is cut here.
            let locked = self.mtu_locked(&route, dst, cx);
            ip.frag.df = ip.total_len() <= self.dst_mtu(&route, dst, false, cx) && !locked;
        }
        let mut skb = Skb::local(packet, ip, SkbOwner::Program);
        skb.dst = Some(route);
        skb.ignore_df = !header;
        let frame = Rc::clone(&skb.frame);
        cx.emit(packet, || What::Created { origin, parent: None, frame });
        match ip_local_out(self, skb, cx) {
            Ok(_) => Ok(()),
            Err(cut) => send_error(cut).map_or(Ok(()), Err),
        }
    }

    /// Sends a crafted frame out of a device (`AF_PACKET`): the host's own netfilter does not see it.
    pub fn packet_send(&mut self, dev: DevId, frame: Frame, cx: &mut Cx<'_>) {
        let id = cx.ids.packet();
        let frame = Rc::new(frame);
        let made = Rc::clone(&frame);
        cx.emit(id, || What::Created { origin: Origin::Raw, parent: None, frame: made });
        let _ = dev_queue_xmit(self, Skb::from_frame(id, frame), dev, cx);
    }
}

/// `raw_local_deliver`: every raw socket gets a copy.
pub(crate) fn raw_icmp_deliver(ns: &mut Netns, skb: &Skb, cx: &mut Cx<'_>) {
    let Some(ip) = skb.ip().filter(|ip| ip.icmp().is_some_and(|i| i.kind != icmp_type::ECHO)) else { return };
    let ids: Vec<SocketId> = ns
        .sockets
        .iter()
        .filter_map(|(id, s)| match s {
            Socket::Ping(p)
                if (p.local.is_unspecified() || ip.dst_v4() == Some(p.local))
                    && p.oif.is_none_or(|dev| skb.dev == Some(dev)) =>
            {
                Some(id)
            }
            _ => None,
        })
        .collect();
    for id in ids {
        if let Some(Socket::Ping(p)) = ns.sockets.get_mut(id) {
            p.queue.push_back(ip.clone());
            cx.out.push(Output::Wake(id));
        }
        if ip.icmp().is_some_and(|i| i.kind == icmp_type::ECHO_REPLY) {
            cx.emit(skb.id, || What::Socket { socket: id, step: SocketStep::EchoReply });
        }
    }
}

/// `ping_rcv`: an echo reply that nobody waits for is dropped silently.
pub(crate) fn ping_rcv(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let waiting = ns.sockets.iter().any(|(_, s)| matches!(s, Socket::Ping(_)));
    if waiting { Ok(Delivery::Local) } else { Err(cx.drop(&skb, DropReason::NoSocket)) }
}
