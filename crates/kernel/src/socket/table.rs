//! The sockets of a namespace, by their numbers and by the ports of UDP.

use super::tcp::TcpSocket;
use super::udp::UdpSocket;
use super::{Endpoint, Socket};
use crate::SocketId;
use std::net::Ipv4Addr;

/// A socket in its place: one line of a processor's cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Sock(Socket);

const _: () = assert!(size_of::<usize>() < 8 || size_of::<Option<Sock>>() == 64, "one line");

/// The end of a list.
const END: u32 = u32::MAX;

/// The sockets of a namespace.
#[derive(Clone, Debug, Default)]
pub struct SocketTable {
    /// In the order of their creation; closed ones are taken out now and then.
    ids: Vec<SocketId>,
    /// By the same places.
    socks: Vec<Option<Sock>>,
    /// By the same places: the next UDP socket in the list of its port.
    nexts: Vec<u32>,
    closed: usize,
    /// Where a socket was last put, by the lower bits of its number: a power of two, twice as many as there are sockets. Another
    /// socket may have come there since.
    hints: Vec<u32>,
    /// The places of the last UDP sockets with ports of the same lower bits, once there are many (`udp_table`, net/ipv4/udp.c).
    by_port: Vec<u32>,
    next: u32,
    next_port: u16,
}

/// With so many sockets they are found by their ports.
const MANY: usize = 32;
/// Lists of UDP sockets.
const LISTS: usize = 4096;

/// `ip_local_port_range`
const LOCAL_PORTS: std::ops::RangeInclusive<u16> = 32768..=60999;

impl SocketTable {
    pub(crate) fn add(&mut self, socket: Socket) -> SocketId {
        let id = SocketId(self.next);
        self.next = self.next.wrapping_add(1);
        let place = self.ids.len();
        self.ids.push(id);
        self.socks.push(Some(Sock(socket)));
        self.nexts.push(END);
        self.note_place(place);
        if self.by_port.is_empty() && self.socks.len() > MANY {
            self.list_all();
        } else {
            self.list(place);
        }
        id
    }

    /// Makes the lists anew.
    fn list_all(&mut self) {
        self.by_port.clear();
        self.by_port.resize(LISTS, END);
        for place in 0..self.socks.len() {
            self.list(place);
        }
    }

    /// Puts a socket at the head of its list, if it belongs into one.
    fn list(&mut self, place: usize) {
        if let Some(Some(sock)) = self.socks.get(place)
            && let Some((_, port)) = sock.0.udp_local()
            && let Some(head) = self.by_port.get_mut(usize::from(port) % LISTS)
            && let Some(next) = self.nexts.get_mut(place)
        {
            *next = std::mem::replace(head, u32::try_from(place).unwrap_or(END));
        }
    }

    /// Takes a UDP socket that was in this place out of the list of its port.
    fn unlist(&mut self, place: usize, port: u16) {
        let next = self.nexts.get(place).copied().unwrap_or(END);
        let Some(mut link) = self.by_port.get_mut(usize::from(port) % LISTS) else { return };
        while *link as usize != place {
            let at = *link as usize;
            let Some(after) = self.nexts.get_mut(at) else { return };
            link = after;
        }
        *link = next;
    }

    /// Notes the place of a socket, or of all of them where there are too few notes.
    fn note_place(&mut self, last: usize) {
        let mut first = last;
        if self.hints.len() < self.ids.len() * 2 {
            self.hints = vec![0; (self.ids.len() * 2).next_power_of_two()];
            first = 0;
        }
        let mask = self.hints.len().wrapping_sub(1);
        for (place, id) in self.ids.iter().enumerate().skip(first) {
            if let (Some(hint), Ok(place)) = (self.hints.get_mut(id.0 as usize & mask), u32::try_from(place))
            {
                *hint = place;
            }
        }
    }

    #[inline]
    fn place(&self, id: SocketId) -> Option<usize> {
        let mask = self.hints.len().wrapping_sub(1);
        let hint = self.hints.get(id.0 as usize & mask).map(|place| *place as usize);
        hint.filter(|place| self.ids.get(*place) == Some(&id)).or_else(|| self.ids.binary_search(&id).ok())
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        let place = self.place(id)?;
        self.socks.get_mut(place)?.as_mut().map(|sock| &mut sock.0)
    }

    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        let place = self.place(id)?;
        let Sock(socket) = self.socks.get_mut(place)?.take()?;
        if let Some((_, port)) = socket.udp_local() {
            self.unlist(place, port);
        }
        self.closed += 1;
        if self.closed > MANY && self.closed * 2 > self.socks.len() {
            let mut open = self.socks.iter().map(Option::is_some);
            self.ids.retain(|_| open.next().unwrap_or(false));
            self.socks.retain(Option::is_some);
            self.nexts.truncate(self.socks.len());
            self.closed = 0;
            self.hints.clear();
            self.note_place(0);
            if !self.by_port.is_empty() {
                self.list_all();
            }
        }
        Some(socket)
    }

    /// All sockets in the order of their creation.
    pub fn iter(&self) -> impl Iterator<Item = (SocketId, &Socket)> + '_ {
        self.ids.iter().zip(&self.socks).filter_map(|(id, sock)| Some((*id, &sock.as_ref()?.0)))
    }

    /// The UDP sockets that take what is sent to this address and port, in no order.
    #[inline]
    pub(super) fn bound_to(&self, to: Endpoint) -> impl Iterator<Item = (SocketId, &UdpSocket)> + '_ {
        let takes = move |local: Endpoint| local.1 == to.1 && (local.0.is_unspecified() || local.0 == to.0);
        // Without lists all places are walked.
        let head = self.by_port.get(usize::from(to.1) % LISTS).copied();
        let mut at = head.unwrap_or(0);
        std::iter::from_fn(move || {
            loop {
                let place = at as usize;
                let sock = self.socks.get(place)?;
                at = if head.is_some() { *self.nexts.get(place)? } else { at + 1 };
                if let Some(Sock(Socket::Udp(u))) = sock
                    && takes(u.local)
                {
                    return Some((*self.ids.get(place)?, u));
                }
            }
        })
    }

    /// A UDP socket that was bound to no address gets one.
    pub(super) fn set_address(&mut self, id: SocketId, addr: Ipv4Addr) {
        if let Some(u) = self.udp(id).filter(|u| u.local.0.is_unspecified()) {
            u.local.0 = addr;
        }
    }

    pub(crate) fn tcp(&mut self, id: SocketId) -> Option<&mut TcpSocket> {
        match self.get_mut(id)? {
            Socket::Tcp(t) => Some(t),
            _ => None,
        }
    }

    pub(crate) fn udp(&mut self, id: SocketId) -> Option<&mut UdpSocket> {
        match self.get_mut(id)? {
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
            let taken = self.iter().any(|(_, s)| match s {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    fn socket(port: u16) -> Socket {
        let mut ns = crate::Netns::new(crate::NetnsId(0), "");
        let (mut rng, mut ids, mut out) = (crate::Chance::new(1, 1), crate::Ids::default(), Vec::new());
        let mut cx = crate::Cx {
            now: Instant(0),
            netns: crate::NetnsId(0),
            rng: &mut rng,
            ids: &mut ids,
            log: None,
            out: &mut out,
        };
        let made = ns.udp_bind((Ipv4Addr::UNSPECIFIED, port), &mut cx).ok();
        made.and_then(|id| ns.sockets.remove(id)).into_iter().next().unwrap_or_else(|| unreachable!())
    }

    /// The first one stays, and others come and go: each is found as long as it is open, by its number and by its port.
    #[test]
    fn a_socket_is_found_until_it_is_closed() {
        let mut table = SocketTable::default();
        let first = table.add(socket(1));
        let mut open = std::collections::VecDeque::new();
        for n in 2..1000u16 {
            open.push_back((table.add(socket(n)), n));
            if n > 100 {
                let (id, port) = open.pop_front().unwrap_or_default();
                assert_eq!(table.remove(id).and_then(|s| s.udp_local()).map(|l| l.1), Some(port));
                assert!(table.get_mut(id).is_none() && table.remove(id).is_none());
            }
            assert_eq!(table.get_mut(first).and_then(|s| s.udp_local()).map(|l| l.1), Some(1));
            for (id, port) in &open {
                assert_eq!(table.get_mut(*id).and_then(|s| s.udp_local()).map(|l| l.1), Some(*port));
                let bound = table.bound_to((Ipv4Addr::LOCALHOST, *port)).map(|(id, _)| id);
                assert_eq!(bound.collect::<Vec<_>>(), [*id]);
            }
        }
        assert!(table.iter().map(|(id, _)| id).is_sorted());
    }
}
