//! Datagrams that may take a shortcut: whole, intact, with no options.

use crate::socket::Endpoint;
use packet::{Bytes, Frame, Ip, L4, Mac, Payload, Udp};
use std::net::IpAddr;

/// Both ends of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Source.
    pub from: Endpoint,
    /// Destination.
    pub to: Endpoint,
}

impl Ends {
    /// Those of the answer.
    pub fn reversed(self) -> Ends {
        Ends { from: self.to, to: self.from }
    }
}

/// What there is to say of a datagram on a link besides its payload, where it is whole and intact and has no options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The frame's source.
    pub src: Mac,
    /// The frame's destination.
    pub dst: Mac,
    /// Addresses and ports.
    pub ends: Ends,
    /// Time to live.
    pub ttl: u8,
    /// Don't fragment.
    pub df: bool,
    /// Identification.
    pub id: u16,
}

impl Plain {
    /// A frame that is such a datagram, and its payload.
    pub fn of(frame: &Frame) -> Option<(Plain, &Bytes)> {
        let ip = frame.ip()?;
        let (ends, udp) = datagram(ip)?;
        let (ttl, df, id) = (ip.ttl, ip.frag.df, ip.id);
        Some((Plain { src: frame.src, dst: frame.dst, ends, ttl, df, id }, &udp.payload))
    }

    /// Its frame.
    pub fn frame(self, payload: Bytes) -> Frame {
        let Plain { src, dst, ends: Ends { from, to }, ttl, df, id } = self;
        let udp = Udp { sport: from.1, dport: to.1, checksum_ok: true, payload };
        let mut ip = Ip { ttl, id, ..Ip::new(IpAddr::V4(from.0), IpAddr::V4(to.0), L4::Udp(udp)) };
        ip.frag.df = df;
        Frame { src, dst, payload: Payload::Ip(ip) }
    }
}

/// A datagram that may take a shortcut: whole, intact, with no options.
pub(super) fn datagram(ip: &Ip) -> Option<(Ends, &Udp)> {
    let L4::Udp(udp) = &ip.l4 else { return None };
    let (from, to) = (ip.src_v4()?, ip.dst_v4()?);
    let plain = udp.checksum_ok && ip.tos == 0 && !ip.is_fragment() && ip.gso_size == 0;
    plain.then_some((Ends { from: (from, udp.sport), to: (to, udp.dport) }, udp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(change: impl FnOnce(&mut Ip)) -> Frame {
        let udp = Udp { sport: 2000, dport: 69, checksum_ok: true, payload: vec![0, 1, b'f'].into() };
        let mut ip = Ip::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), L4::Udp(udp));
        (ip.ttl, ip.id, ip.frag.df) = (63, 77, true);
        change(&mut ip);
        Frame { src: Mac([2, 0, 0, 0, 0, 1]), dst: Mac([2, 0, 0, 0, 0, 2]), payload: Payload::Ip(ip) }
    }

    #[test]
    fn a_plain_datagram_is_its_frame_again() {
        for df in [true, false] {
            let frame = frame(|ip| ip.frag.df = df);
            let again = Plain::of(&frame).map(|(plain, payload)| plain.frame(payload.clone()));
            assert_eq!(again, Some(frame));
        }
    }

    #[test]
    fn what_is_not_plain_stays_a_frame() {
        let udp = |ip: &mut Ip, change: fn(&mut Udp)| {
            if let L4::Udp(udp) = &mut ip.l4 {
                change(udp);
            }
        };
        let others = [
            frame(|ip| ip.tos = 4),
            frame(|ip| ip.frag.mf = true),
            frame(|ip| ip.frag.offset = 8),
            frame(|ip| ip.gso_size = 100),
            frame(|ip| udp(ip, |udp| udp.checksum_ok = false)),
            frame(|ip| ip.l4 = L4::Other(packet::Protocol::UDPLITE, vec![0; 8])),
        ];
        for frame in others {
            assert_eq!(Plain::of(&frame), None, "{frame:?}");
        }
    }
}
