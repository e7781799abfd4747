//! Tuples: what identifies a flow (include/net/netfilter/nf_conntrack_tuple.h).

use packet::{Icmp, Icmp6, IcmpBody, Ip, L4, Protocol, icmp_type, icmp6_type};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Direction of a packet in its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// As the first packet.
    Original,
    /// The other way.
    Reply,
}

impl Direction {
    /// The other one.
    pub fn flip(self) -> Direction {
        match self {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        }
    }

    /// "original" or "reply".
    pub fn name(self) -> &'static str {
        match self {
            Direction::Original => "original",
            Direction::Reply => "reply",
        }
    }
}

/// The part of a tuple that belongs to the transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum L4Key {
    /// TCP, UDP, SCTP, ...
    Ports {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// ICMP queries; the id takes the place of the port.
    Echo {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// Identifier.
        id: u16,
    },
    /// Protocols without ports: one flow for each pair of addresses.
    Other,
}

impl L4Key {
    /// Source port, or the ICMP id.
    pub fn sport(self) -> u16 {
        match self {
            L4Key::Ports { sport, .. } => sport,
            L4Key::Echo { id, .. } => id,
            L4Key::Other => 0,
        }
    }

    /// Destination port; for ICMP type and code as in the kernel's union.
    pub fn dport(self) -> u16 {
        match self {
            L4Key::Ports { dport, .. } => dport,
            L4Key::Echo { kind, code, .. } => u16::from_be_bytes([kind, code]),
            L4Key::Other => 0,
        }
    }
}

/// One direction of a flow: addresses, protocol and [`L4Key`]. Kept as plain words, as tuples are compared, copied and turned
/// round for every packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Of an IPv4 address the second word is 0.
    src: [u64; 2],
    dst: [u64; 2],
    /// Source port or id (16 bits), destination port or ICMP type and code (16), protocol (8), kind of the key (8), family (8).
    rest: u64,
}

/// Which [`L4Key`] the last word of a tuple holds.
const PORTS: u64 = 0;
const ECHO: u64 = 1;
const OTHER: u64 = 2;

/// The family in the last word of a tuple.
const IPV6: u64 = 1;

fn to_words(addr: IpAddr) -> [u64; 2] {
    match addr {
        IpAddr::V4(a) => [u64::from(a.to_bits()), 0],
        IpAddr::V6(a) => [(a.to_bits() >> 64) as u64, a.to_bits() as u64],
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} > {} {:?}", self.proto(), self.src(), self.dst(), self.key())
    }
}

impl Tuple {
    /// No packet's.
    pub(super) const NONE: Tuple = Tuple { src: [0; 2], dst: [0; 2], rest: 0 };

    /// Both addresses are of one family.
    #[inline]
    pub fn new(src: IpAddr, dst: IpAddr, proto: Protocol, key: L4Key) -> Tuple {
        let kind = match key {
            L4Key::Ports { .. } => PORTS,
            L4Key::Echo { .. } => ECHO,
            L4Key::Other => OTHER,
        };
        let family = if src.is_ipv6() { IPV6 } else { 0 };
        let ports = u64::from(key.sport()) << 48 | u64::from(key.dport()) << 32;
        let rest = ports | u64::from(proto.0) << 16 | kind << 8 | family;
        Tuple { src: to_words(src), dst: to_words(dst), rest }
    }

    #[inline]
    fn addr(&self, [high, low]: [u64; 2]) -> IpAddr {
        match self.rest & 0xff {
            IPV6 => IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low))),
            _ => IpAddr::V4(Ipv4Addr::from_bits(high as u32)),
        }
    }

    /// Source address.
    #[inline]
    pub fn src(&self) -> IpAddr {
        self.addr(self.src)
    }

    /// Destination address.
    #[inline]
    pub fn dst(&self) -> IpAddr {
        self.addr(self.dst)
    }

    /// Transport protocol.
    #[inline]
    pub fn proto(&self) -> Protocol {
        Protocol((self.rest >> 16) as u8)
    }

    /// Source port, or the ICMP id; 0 if there is none.
    #[inline]
    pub fn sport(&self) -> u16 {
        (self.rest >> 48) as u16
    }

    /// Destination port; for ICMP type and code as in the kernel's union.
    #[inline]
    pub fn dport(&self) -> u16 {
        (self.rest >> 32) as u16
    }

    /// Ports or id.
    #[inline]
    pub fn key(&self) -> L4Key {
        let (sport, dport) = (self.sport(), self.dport());
        match self.rest >> 8 & 0xff {
            PORTS => L4Key::Ports { sport, dport },
            ECHO => {
                let [kind, code] = dport.to_be_bytes();
                L4Key::Echo { kind, code, id: sport }
            }
            _ => L4Key::Other,
        }
    }

    /// The same from another source.
    #[inline]
    pub fn with_src(self, src: IpAddr) -> Tuple {
        Tuple { src: to_words(src), ..self }
    }

    /// The same to another destination.
    #[inline]
    pub fn with_dst(self, dst: IpAddr) -> Tuple {
        Tuple { dst: to_words(dst), ..self }
    }

    /// The same with another source port, or id; without either as it is.
    #[inline]
    pub fn with_sport(self, port: u16) -> Tuple {
        match self.rest >> 8 & 0xff {
            OTHER => self,
            _ => Tuple { rest: self.rest & !(0xffff << 48) | u64::from(port) << 48, ..self },
        }
    }

    /// The same with another destination port; without ports as it is.
    #[inline]
    pub fn with_dport(self, port: u16) -> Tuple {
        match self.rest >> 8 & 0xff {
            PORTS => Tuple { rest: self.rest & !(0xffff << 32) | u64::from(port) << 32, ..self },
            _ => self,
        }
    }

    /// All of it in few bits, for hashing: what tells flows apart is in the lower half of each word.
    #[inline]
    pub(super) fn words(&self) -> [u64; 3] {
        let fold = |[high, low]: [u64; 2]| high ^ low.rotate_left(17);
        [fold(self.src), fold(self.dst), self.rest]
    }
}

/// Query types and their answers.
const PAIRS: [(u8, u8); 4] = [
    (icmp_type::ECHO, icmp_type::ECHO_REPLY),
    (icmp_type::TIMESTAMP, icmp_type::TIMESTAMP_REPLY),
    (15, 16),
    (icmp_type::ADDRESS, icmp_type::ADDRESS_REPLY),
];

/// `gre_pkt_to_tuple`: the call of PPTP (version 1); any other GRE has no key here.
fn gre_key(bytes: &[u8]) -> Option<u16> {
    match *bytes {
        [_, version, proto0, proto1, _, _, high, low, ..] if version & 7 == 1 => {
            (u16::from_be_bytes([proto0, proto1]) == 0x880b).then_some(u16::from_be_bytes([high, low]))
        }
        [_, version, _, _, ..] if version & 7 == 1 => None,
        _ => Some(0),
    }
}

fn invert_icmp(proto: Protocol, kind: u8) -> Option<u8> {
    if proto == Protocol::ICMPV6 {
        // Node information (RFC 4620) as well, though nobody sends it.
        return match kind {
            icmp6_type::ECHO_REQUEST | 139 => Some(kind + 1),
            icmp6_type::ECHO_REPLY | 140 => Some(kind - 1),
            _ => None,
        };
    }
    PAIRS.iter().find_map(|&(a, b)| match kind {
        k if k == a => Some(b),
        k if k == b => Some(a),
        _ => None,
    })
}

impl Tuple {
    /// `nf_ct_get_tuple`: the tuple of a packet; `None` for an ICMP error or a fragment without its header.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub fn of(ip: &Ip) -> Option<Tuple> {
        if ip.frag.offset != 0 {
            return None;
        }
        let key = match &*ip.headers() {
            L4::Tcp(t) => L4Key::Ports { sport: t.sport, dport: t.dport },
            L4::Udp(u) => L4Key::Ports { sport: u.sport, dport: u.dport },
            L4::Icmp(Icmp { kind, code, body: IcmpBody::Query { id, .. }, .. }) => {
                L4Key::Echo { kind: *kind, code: *code, id: *id }
            }
            L4::Icmp6(Icmp6 { kind, code, body: IcmpBody::Query { id, .. }, .. }) => {
                L4Key::Echo { kind: *kind, code: *code, id: *id }
            }
            L4::Icmp(_) | L4::Icmp6(_) => return None,
            L4::Other(Protocol::SCTP | Protocol::UDPLITE | Protocol::TCP | Protocol::UDP, _) => {
                let (sport, dport) = ip.ports()?;
                L4Key::Ports { sport, dport }
            }
            L4::Other(Protocol::GRE, b) => L4Key::Ports { sport: 0, dport: gre_key(b)? },
            L4::Other(..) => L4Key::Other,
        };
        Some(Tuple::new(ip.src, ip.dst, ip.protocol(), key))
    }

    /// `nf_ct_invert_tuple`: the tuple of the answer; `None` if there is no answer to such a packet.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub fn invert(&self) -> Option<Tuple> {
        let (src, dst) = (self.dst, self.src);
        let ports = (self.rest >> 32) as u32;
        let ports = match self.rest >> 8 & 0xff {
            PORTS => ports.rotate_left(16),
            ECHO => {
                let [id0, id1, kind, code] = ports.to_be_bytes();
                u32::from_be_bytes([id0, id1, invert_icmp(self.proto(), kind)?, code])
            }
            _ => ports,
        };
        Some(Tuple { src, dst, rest: u64::from(ports) << 32 | self.rest & 0xffff_ffff })
    }

    /// The same for ICMPv6 (`nf_conntrack_icmpv6_packet`).
    pub fn icmp6_can_begin(kind: u8) -> bool {
        matches!(kind, icmp6_type::ECHO_REQUEST | 139)
    }

    /// True if a flow can begin with this ICMP type (`icmp_new` in nf_conntrack_proto_icmp.c).
    pub fn icmp_can_begin(kind: u8) -> bool {
        PAIRS.iter().any(|&(query, _)| query == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverting_twice_is_the_identity() {
        let t = Tuple::new(
            IpAddr::from([10, 0, 0, 1]),
            IpAddr::from([10, 0, 0, 2]),
            Protocol::ICMP,
            L4Key::Echo { kind: 8, code: 0, id: 7 },
        );
        assert_eq!(t.invert().and_then(|i| i.invert()), Some(t));
        assert_eq!(t.invert().map(|i| i.key()), Some(L4Key::Echo { kind: 0, code: 0, id: 7 }));
    }

    #[test]
    fn an_unknown_icmp_type_has_no_answer() {
        let t = Tuple::new(
            IpAddr::from([10, 0, 0, 1]),
            IpAddr::from([10, 0, 0, 2]),
            Protocol::ICMP,
            L4Key::Echo { kind: 42, code: 0, id: 7 },
        );
        assert_eq!(t.invert(), None);
    }
}
