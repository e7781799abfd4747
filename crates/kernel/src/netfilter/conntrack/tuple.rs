//! Tuples: what identifies a flow (include/net/netfilter/nf_conntrack_tuple.h).

use packet::{Icmp, Icmp6, IcmpBody, Ip, L4, Protocol, icmp_type, icmp6_type};
use std::fmt;
use std::net::IpAddr;

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

/// One direction of a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Transport protocol.
    pub proto: Protocol,
    /// Ports or id.
    pub key: L4Key,
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} > {} {:?}", self.proto, self.src, self.dst, self.key)
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
        Some(Tuple { src: ip.src, dst: ip.dst, proto: ip.protocol(), key })
    }

    /// `nf_ct_invert_tuple`: the tuple of the answer; `None` if there is no answer to such a packet.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub fn invert(&self) -> Option<Tuple> {
        let key = match self.key {
            L4Key::Ports { sport, dport } => L4Key::Ports { sport: dport, dport: sport },
            L4Key::Echo { kind, code, id } => L4Key::Echo { kind: invert_icmp(self.proto, kind)?, code, id },
            L4Key::Other => L4Key::Other,
        };
        Some(Tuple { src: self.dst, dst: self.src, proto: self.proto, key })
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
        let t = Tuple {
            src: IpAddr::from([10, 0, 0, 1]),
            dst: IpAddr::from([10, 0, 0, 2]),
            proto: Protocol::ICMP,
            key: L4Key::Echo { kind: 8, code: 0, id: 7 },
        };
        assert_eq!(t.invert().and_then(|i| i.invert()), Some(t));
        assert_eq!(t.invert().map(|i| i.key), Some(L4Key::Echo { kind: 0, code: 0, id: 7 }));
    }

    #[test]
    fn an_unknown_icmp_type_has_no_answer() {
        let t = Tuple {
            src: IpAddr::from([10, 0, 0, 1]),
            dst: IpAddr::from([10, 0, 0, 2]),
            proto: Protocol::ICMP,
            key: L4Key::Echo { kind: 42, code: 0, id: 7 },
        };
        assert_eq!(t.invert(), None);
    }
}
