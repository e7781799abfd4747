//! Sockets: where packets of the host begin and end (net/ipv4/{udp,tcp,raw}.c).
//!
//! Calls never block. A socket that has news makes an [`crate::Output::Wake`]; its owner then looks.

mod errno;
mod raw;
mod tcp;
mod tcp_input;
mod tcp_output;
mod udp;

pub use errno::Errno;
pub use raw::PingSocket;
pub(crate) use raw::{ping_rcv, raw_icmp_deliver};
pub(crate) use tcp::tcp_timer;
pub use tcp::{Listener, Received, TcpSocket, TcpStatus};
pub(crate) use tcp_input::tcp_v4_rcv;
pub(crate) use tcp_output::reset_for;
pub(crate) use udp::udp_rcv;
pub use udp::{Datagram, UdpSocket};

use crate::event::{SocketStep, What};
use crate::{Cut, Cx, Delivery, DropReason, Journey, Netns, Output, Skb, SocketId};
use litemap::LiteMap;
use packet::{IcmpBody, L4, icmp_type};
use std::net::Ipv4Addr;

/// An IPv4 address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// A socket.
#[derive(Clone, Debug)]
pub enum Socket {
    /// `SOCK_DGRAM`
    Udp(UdpSocket),
    /// `SOCK_STREAM`, connecting or connected
    Tcp(Box<TcpSocket>),
    /// `SOCK_STREAM`, listening
    Listen(Listener),
    /// `SOCK_RAW` for ICMP
    Ping(PingSocket),
}

/// An ICMP error as a socket's error queue shows it (`struct sock_extended_err`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketError {
    /// The error.
    pub errno: Errno,
    /// ICMP type, code and sender; `None` if the host itself found out.
    pub icmp: Option<(u8, u8, Ipv4Addr)>,
}

/// The sockets of a namespace.
#[derive(Clone, Debug, Default)]
pub struct SocketTable {
    socks: LiteMap<SocketId, Socket>,
    next: u32,
    next_port: u16,
}

/// `ip_local_port_range`
const LOCAL_PORTS: std::ops::RangeInclusive<u16> = 32768..=60999;

impl SocketTable {
    pub(crate) fn add(&mut self, socket: Socket) -> SocketId {
        let id = SocketId(self.next);
        self.next = self.next.wrapping_add(1);
        self.socks.insert(id, socket);
        id
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.socks.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        self.socks.remove(&id)
    }

    /// All sockets in the order of their creation.
    pub fn iter(&self) -> impl Iterator<Item = (SocketId, &Socket)> + '_ {
        self.socks.iter().map(|(id, s)| (*id, s))
    }

    pub(crate) fn tcp(&mut self, id: SocketId) -> Option<&mut TcpSocket> {
        match self.socks.get_mut(&id)? {
            Socket::Tcp(t) => Some(t),
            _ => None,
        }
    }

    pub(crate) fn udp(&mut self, id: SocketId) -> Option<&mut UdpSocket> {
        match self.socks.get_mut(&id)? {
            Socket::Udp(u) => Some(u),
            _ => None,
        }
    }

    /// A local port that no socket of this kind uses, one after the other.
    pub(crate) fn ephemeral_port(&mut self) -> u16 {
        for _ in LOCAL_PORTS {
            self.next_port = match self.next_port {
                p if LOCAL_PORTS.contains(&p) && p != *LOCAL_PORTS.end() => p + 1,
                _ => *LOCAL_PORTS.start(),
            };
            let port = self.next_port;
            let taken = self.socks.values().any(|s| match s {
                Socket::Udp(u) => u.local.1 == port,
                Socket::Tcp(t) => t.local.1 == port,
                Socket::Listen(l) => l.local.1 == port,
                Socket::Ping(_) => false,
            });
            if !taken {
                return port;
            }
        }
        *LOCAL_PORTS.start()
    }
}

/// How an [`Cut`] on the way out looks to the program that sent.
pub(crate) fn send_error(cut: Cut) -> Option<Errno> {
    use crate::route::Unreachable as U;
    Some(match cut.0 {
        DropReason::NetfilterDrop | DropReason::CtInsertFailed => Errno::EPERM,
        DropReason::Unreachable(U::Net) => Errno::ENETUNREACH,
        DropReason::Unreachable(U::Host) => Errno::EHOSTUNREACH,
        DropReason::Unreachable(U::Prohibited) => Errno::EACCES,
        DropReason::Unreachable(U::Invalid) => Errno::EINVAL,
        _ => return None,
    })
}

/// `icmp_unreach`, `tcp_v4_err`, `udp_err`: tells the socket whose packet is quoted.
pub(crate) fn socket_icmp_error(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let parsed = skb.ip().and_then(|ip| {
        let icmp = ip.icmp()?;
        let IcmpBody::Error { inner, .. } = &icmp.body else { return None };
        let (sport, dport) = inner.ports()?;
        let tcp_seq = inner.tcp().map(|t| t.seq);
        let local = (inner.src_v4()?, sport);
        let remote = (inner.dst_v4()?, dport);
        let is_tcp = matches!(inner.l4, L4::Tcp(_));
        Some((icmp.kind, icmp.code, ip.src_v4()?, local, remote, is_tcp, tcp_seq))
    });
    let Some((kind, code, from, local, remote, is_tcp, _seq)) = parsed else {
        return Err(cx.drop(&skb, DropReason::NotForUs));
    };
    let found = if is_tcp { tcp::find(ns, local, remote) } else { udp::find(ns, local, remote) };
    let Some(id) = found else { return Err(cx.drop(&skb, DropReason::NoSocket)) };
    cx.emit(skb.id, || What::Socket { socket: id, step: SocketStep::IcmpError { kind, code } });
    if kind == icmp_type::REDIRECT {
        return Ok(Delivery::Local);
    }
    let Some(errno) = Errno::from_icmp(kind, code) else { return Ok(Delivery::Local) };
    let error = SocketError { errno, icmp: Some((kind, code, from)) };
    match ns.sockets.get_mut(id) {
        Some(Socket::Tcp(t)) => {
            let failed = t.fail_if_connecting(errno);
            cx.out.extend(failed.then_some(Output::Wake(id)));
        }
        Some(Socket::Udp(u)) if u.remote.is_some() || u.recverr => {
            u.errors.push(error);
            cx.out.push(Output::Wake(id));
        }
        _ => {}
    }
    Ok(Delivery::Local)
}

impl Netns {
    /// `close()` of any socket but a TCP connection, which says goodbye first ([`Netns::tcp_close`]).
    pub fn close(&mut self, id: SocketId) {
        self.sockets.remove(id);
    }

    /// Takes the oldest pending error of a socket.
    pub fn take_error(&mut self, id: SocketId) -> Option<SocketError> {
        match self.sockets.get_mut(id)? {
            Socket::Udp(u) if !u.errors.is_empty() => Some(u.errors.remove(0)),
            Socket::Tcp(t) => t.error.take().map(|errno| SocketError { errno, icmp: None }),
            _ => None,
        }
    }
}
