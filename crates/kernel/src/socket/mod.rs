//! Sockets: where packets of the host begin and end (net/ipv4/{udp,tcp,raw}.c).
//!
//! Calls never block. A socket that has news makes an [`crate::Output::Wake`]; its owner then looks.

mod diag;
mod errno;
mod raw;
mod table;
mod tcp;
mod tcp_input;
mod tcp_output;
mod tcp_timer;
mod udp;

pub use errno::Errno;
pub use raw::PingSocket;
pub(crate) use raw::{ping_rcv, raw_icmp_deliver};
pub use table::SocketTable;
pub use tcp::{Listener, Received, TcpSocket, TcpStatus};
pub(crate) use tcp_input::tcp_v4_rcv;
pub(crate) use tcp_output::{reset_for, resume_tcp};
pub(crate) use tcp_timer::tcp_timer;
pub use udp::{Datagram, Sending, UdpSocket};
pub(crate) use udp::{udp_find, udp_rcv, udplite_rcv};

use crate::event::{SocketStep, What};
use crate::{Cut, Cx, Delivery, DropReason, Journey, Netns, Output, Skb, SocketId};
use packet::{IcmpBody, Ip, L4, Protocol, icmp_type};
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
    Listen(Box<Listener>),
    /// `SOCK_RAW` for ICMP
    Ping(Box<PingSocket>),
}

impl Socket {
    fn udp_local(&self) -> Option<Endpoint> {
        match self {
            Socket::Udp(u) => Some(u.local),
            _ => None,
        }
    }
}

/// An ICMP error as a socket's error queue shows it (`struct sock_extended_err`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// The error.
    pub errno: Errno,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Who sent it.
    pub from: Ipv4Addr,
}

/// The error that a call on a socket fails with, and what its error queue holds then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketError {
    /// The error.
    pub errno: Errno,
    /// The error queue, the oldest first; empty if the host itself found out.
    pub icmp: Vec<IcmpError>,
}

/// How an [`Cut`] on the way out looks to the program that sent.
pub(crate) fn send_error(cut: Cut) -> Option<Errno> {
    use crate::route::Unreachable as U;
    Some(match cut.0 {
        DropReason::NetfilterDrop
        | DropReason::CtInsertFailed
        | DropReason::CtTableFull
        | DropReason::CtHelper => Errno::EPERM,
        DropReason::PacketTooBig => Errno::EMSGSIZE,
        DropReason::Unreachable(U::Net) => Errno::ENETUNREACH,
        DropReason::Unreachable(U::Host) => Errno::EHOSTUNREACH,
        DropReason::Unreachable(U::Prohibited) => Errno::EACCES,
        DropReason::Unreachable(U::Invalid) => Errno::EINVAL,
        _ => return None,
    })
}

/// `icmp_unreach`, `tcp_v4_err`, `udp_err`: tells the socket whose packet is quoted.
pub(crate) fn socket_icmp_error(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    learn_pmtu(ns, &skb, cx);
    let parsed = skb.ip().and_then(|ip| {
        let icmp = ip.icmp()?;
        let IcmpBody::Error { inner, .. } = &icmp.body else { return None };
        let (sport, dport) = inner.ports()?;
        let tcp_seq = match &*inner.headers() {
            L4::Tcp(t) => Some(t.seq),
            _ => None,
        };
        let local = (inner.src_v4()?, sport);
        let remote = (inner.dst_v4()?, dport);
        let is_tcp = inner.protocol() == Protocol::TCP;
        Some(((icmp.kind, icmp.code, frag_needed(ip)), ip.src_v4()?, local, remote, is_tcp, tcp_seq))
    });
    let Some(((kind, code, mtu), from, local, remote, is_tcp, tcp_seq)) = parsed else {
        return Err(cx.drop(&skb, DropReason::NotForUs));
    };
    let found = if is_tcp { tcp::find(ns, local, remote) } else { udp_find(&ns.sockets, local, remote) };
    let Some(id) = found else { return Err(cx.drop(&skb, DropReason::NoSocket)) };
    cx.emit(skb.id, || What::Socket { socket: id, step: SocketStep::IcmpError { kind, code } });
    if kind == icmp_type::REDIRECT {
        return Ok(Delivery::Local);
    }
    let Some(errno) = Errno::from_icmp(kind, code) else { return Ok(Delivery::Local) };
    if let Some(mtu) = mtu {
        match ns.sockets.get_mut(id) {
            Some(Socket::Tcp(t)) => {
                if tcp_seq.is_some_and(|seq| t.is_in_flight(seq)) {
                    ns.tcp_mtu_reduced(id, mtu, cx);
                }
                return Ok(Delivery::Local);
            }
            Some(Socket::Udp(_)) => ns.update_pmtu(remote.0, mtu, cx.now),
            _ => {}
        }
    }
    match ns.sockets.get_mut(id) {
        // tcp_v4_err: only about something that is on its way.
        Some(Socket::Tcp(t)) if tcp_seq.is_some_and(|seq| t.is_in_flight(seq)) => match t.status {
            TcpStatus::SynSent => {
                t.fail(errno);
                cx.out.push(Output::Wake(id));
            }
            // tcp_req_err: a half-open connection ends silently, and not because of each error.
            TcpStatus::SynRecv if ends_request(kind, code) => {
                ns.sockets.remove(id);
            }
            TcpStatus::SynRecv => {}
            _ => t.soft_error = Some(errno),
        },
        Some(Socket::Udp(u)) if u.remote.is_some() || u.recverr => {
            u.error = Some(errno);
            if u.recverr {
                u.queue.errors_mut().push(IcmpError { errno, kind, code, from });
            }
            cx.out.push(Output::Wake(id));
        }
        _ => {}
    }
    Ok(Delivery::Local)
}

/// The next-hop MTU of "fragmentation needed", if it is to be believed (`icmp_unreach`).
fn frag_needed(ip: &Ip) -> Option<u32> {
    let icmp = ip.icmp().filter(|i| (i.kind, i.code) == (icmp_type::DEST_UNREACH, 4))?;
    match &icmp.body {
        IcmpBody::Error { mtu, .. } => Some(u32::from(*mtu)),
        _ => None,
    }
}

/// `raw_err`, `icmp_err`: pings and answers to pings were too long.
fn learn_pmtu(ns: &mut Netns, skb: &Skb, cx: &Cx<'_>) {
    let Some(ip) = skb.ip() else { return };
    let (Some(mtu), Some(inner)) = (frag_needed(ip), ip.icmp().and_then(|i| i.inner())) else { return };
    let (headers, Some(to)) = (inner.headers(), inner.dst_v4()) else { return };
    let L4::Icmp(icmp) = &*headers else { return };
    let pings = ns.sockets.iter().any(|(_, s)| matches!(s, Socket::Ping(_)));
    if icmp.kind == icmp_type::ECHO_REPLY || pings {
        ns.update_pmtu(to, mtu, cx.now);
    }
}

/// The ICMP errors that `tcp_v4_err` lets end a half-open connection.
fn ends_request(kind: u8, code: u8) -> bool {
    match kind {
        icmp_type::PARAMETER_PROBLEM | icmp_type::TIME_EXCEEDED => true,
        icmp_type::DEST_UNREACH => code <= 1,
        _ => false,
    }
}

/// Sending to 0.0.0.0 is sending to oneself.
fn nobody_is_me(local: Endpoint, remote: Endpoint) -> Endpoint {
    match (remote.0.is_unspecified(), local.0.is_unspecified()) {
        (true, true) => (Ipv4Addr::LOCALHOST, remote.1),
        (true, false) => (local.0, remote.1),
        _ => remote,
    }
}

impl Netns {
    /// `close()` of any socket but a TCP connection, which says goodbye first ([`Netns::tcp_close`]).
    pub fn close(&mut self, id: SocketId) {
        self.sockets.remove(id);
    }

    /// `getsockopt(SO_ERROR)` of a connection: an error that did not end it counts too.
    pub fn tcp_so_error(&mut self, id: SocketId) -> Option<Errno> {
        let t = self.sockets.tcp(id)?;
        t.error.take().or_else(|| t.soft_error.take())
    }

    /// Takes the pending error of a socket, and its error queue.
    pub fn take_error(&mut self, id: SocketId) -> Option<SocketError> {
        match self.sockets.get_mut(id)? {
            Socket::Udp(u) => {
                let errno = u.error.take()?;
                Some(SocketError { errno, icmp: u.queue.take_errors() })
            }
            Socket::Tcp(t) => t.error.take().map(|errno| SocketError { errno, icmp: Vec::new() }),
            _ => None,
        }
    }
}
