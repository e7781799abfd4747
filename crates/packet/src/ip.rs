//! IPv4 (RFC 791) and IPv6 (RFC 8200); the family is part of every address.

use crate::{Icmp, Icmp6, Port, Tcp, Udp};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `NFPROTO_IPV4`
    #[default]
    V4,
    /// `NFPROTO_IPV6`
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(addr: IpAddr) -> Family {
        if addr.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// An IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// 1
    pub const ICMP: Protocol = Protocol(1);
    /// 2
    pub const IGMP: Protocol = Protocol(2);
    /// 4: an IPv4 packet in another.
    pub const IPIP: Protocol = Protocol(4);
    /// 6
    pub const TCP: Protocol = Protocol(6);
    /// 17
    pub const UDP: Protocol = Protocol(17);
    /// 33
    pub const DCCP: Protocol = Protocol(33);
    /// 47
    pub const GRE: Protocol = Protocol(47);
    /// 50
    pub const ESP: Protocol = Protocol(50);
    /// 51
    pub const AH: Protocol = Protocol(51);
    /// 58
    pub const ICMPV6: Protocol = Protocol(58);
    /// 103
    pub const PIM: Protocol = Protocol(103);
    /// 132
    pub const SCTP: Protocol = Protocol(132);
    /// 136
    pub const UDPLITE: Protocol = Protocol(136);

    /// True if a packet begins with two ports.
    pub fn has_ports(self) -> bool {
        let with = [Protocol::TCP, Protocol::UDP, Protocol::DCCP, Protocol::SCTP, Protocol::UDPLITE];
        with.contains(&self)
    }

    /// The lower-case name used by conntrack and iptables, if the number has one here.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "icmp",
            2 => "igmp",
            6 => "tcp",
            17 => "udp",
            33 => "dccp",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            58 => "ipv6-icmp",
            89 => "ospf",
            132 => "sctp",
            136 => "udplite",
            _ => return None,
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The fragmentation fields of the IPv4 header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Don't fragment.
    pub df: bool,
    /// More fragments follow.
    pub mf: bool,
    /// Offset in bytes.
    pub offset: u16,
}

/// An IP packet of either family: both addresses are of the same. An IPv6 packet has no extension headers, and of the fields
/// below no `id` and no `frag`; its `ttl` is the hop limit, its `tos` the traffic class. Its flow label is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Time to live (hop limit).
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Fragmentation fields.
    pub frag: Fragment,
    /// Bytes of payload in each of the segments that this one stands for (`skb_shinfo(skb)->gso_size`): a sender leaves
    /// the cutting to the device, and a veth never does it. 0 for all others.
    pub gso_size: u16,
    /// The layer above.
    pub l4: L4,
}

/// What an IP packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum L4 {
    /// Protocol 6.
    Tcp(Tcp),
    /// Protocol 17.
    Udp(Udp),
    /// Protocol 1.
    Icmp(Icmp),
    /// Protocol 58.
    Icmp6(Icmp6),
    /// Any other protocol, with its payload.
    Other(Protocol, Vec<u8>),
}

impl Ip {
    /// A packet with the defaults of a Linux sender: TTL 64, no fragmentation.
    pub fn new(src: IpAddr, dst: IpAddr, l4: L4) -> Ip {
        Ip { src, dst, ttl: 64, tos: 0, id: 0, frag: Fragment::default(), gso_size: 0, l4 }
    }

    /// The family of its addresses.
    #[inline]
    pub fn family(&self) -> Family {
        Family::of(self.dst)
    }

    /// The protocol number of the payload.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        match &self.l4 {
            L4::Tcp(_) => Protocol::TCP,
            L4::Udp(_) => Protocol::UDP,
            L4::Icmp(_) => Protocol::ICMP,
            L4::Icmp6(_) => Protocol::ICMPV6,
            L4::Other(p, _) => *p,
        }
    }

    /// Total length in bytes, IP header included.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub fn total_len(&self) -> usize {
        let header = if self.src.is_ipv4() { 20 } else { 40 };
        header
            + match &self.l4 {
                L4::Tcp(t) => t.len(),
                L4::Udp(u) => 8 + u.payload.len(),
                L4::Icmp(i) => i.len(),
                L4::Icmp6(i) => i.len(),
                L4::Other(_, data) => data.len(),
            }
    }

    /// Length of the longest of the packets that this one stands for ([`Ip::gso_size`]), its own length if it stands for itself.
    pub fn segment_len(&self) -> usize {
        let payload = match (&self.l4, self.gso_size) {
            (_, 0) => return self.total_len(),
            (L4::Tcp(t), _) => t.payload.len(),
            // A segment that a tunnel carries.
            (L4::Udp(u), _) => u.payload.get(8 + 14..).map_or(0, inner_payload),
            (L4::Other(_, b), _) => inner_payload(b),
            (L4::Icmp(_) | L4::Icmp6(_), _) => 0,
        };
        self.total_len() - payload + usize::from(self.gso_size).min(payload)
    }

    /// Source and destination port of a protocol that has them; not of a later fragment.
    pub fn ports(&self) -> Option<(Port, Port)> {
        match &self.l4 {
            L4::Tcp(t) => Some((t.sport, t.dport)),
            L4::Udp(u) => Some((u.sport, u.dport)),
            L4::Other(proto, bytes) if proto.has_ports() && self.frag.offset == 0 => match bytes[..] {
                [a, b, c, d, ..] => Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
                _ => None,
            },
            _ => None,
        }
    }

    /// The source address if it is IPv4.
    #[inline]
    pub fn src_v4(&self) -> Option<Ipv4Addr> {
        v4(self.src)
    }

    /// The destination address if it is IPv4.
    #[inline]
    pub fn dst_v4(&self) -> Option<Ipv4Addr> {
        v4(self.dst)
    }

    /// The TCP segment inside, if there is one.
    pub fn tcp(&self) -> Option<&Tcp> {
        match &self.l4 {
            L4::Tcp(t) => Some(t),
            _ => None,
        }
    }

    /// The ICMP message inside, if there is one.
    pub fn icmp(&self) -> Option<&Icmp> {
        match &self.l4 {
            L4::Icmp(i) => Some(i),
            _ => None,
        }
    }
}

/// Bytes of payload of the TCP segment in an IPv4 packet.
fn inner_payload(packet: &[u8]) -> usize {
    let header = packet.get(20 + 12).map_or(0, |words| usize::from(words >> 4) * 4);
    packet.len().saturating_sub(20 + header)
}

#[inline]
fn v4(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(a) => Some(a),
        IpAddr::V6(_) => None,
    }
}
