//! Fields of headers (`nft_payload`, net/netfilter/nft_payload.c).

use super::data::{Data, DataType};
use crate::Skb;
use packet::{Ip, L4, Protocol};
use std::net::IpAddr;

/// Which header a field is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `ether`
    Ether,
    /// `ip`
    Ip,
    /// `ip6`
    Ip6,
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `udplite`
    UdpLite,
    /// `sctp`
    Sctp,
    /// `dccp`
    Dccp,
    /// `th`: whatever transport header there is
    Th,
    /// `icmp`
    Icmp,
    /// `icmpv6`
    Icmpv6,
}

impl Header {
    /// All of them.
    pub const ALL: [Header; 11] = [
        Header::Ether,
        Header::Ip,
        Header::Ip6,
        Header::Tcp,
        Header::Udp,
        Header::UdpLite,
        Header::Sctp,
        Header::Dccp,
        Header::Th,
        Header::Icmp,
        Header::Icmpv6,
    ];

    /// The word of nft.
    pub fn name(self) -> &'static str {
        match self {
            Header::Ether => "ether",
            Header::Ip => "ip",
            Header::Ip6 => "ip6",
            Header::Tcp => "tcp",
            Header::Udp => "udp",
            Header::UdpLite => "udplite",
            Header::Sctp => "sctp",
            Header::Dccp => "dccp",
            Header::Th => "th",
            Header::Icmp => "icmp",
            Header::Icmpv6 => "icmpv6",
        }
    }

    /// The protocol that the packet must have.
    pub fn protocol(self) -> Option<Protocol> {
        Some(match self {
            Header::Tcp => Protocol::TCP,
            Header::Udp => Protocol::UDP,
            Header::UdpLite => Protocol::UDPLITE,
            Header::Sctp => Protocol::SCTP,
            Header::Dccp => Protocol::DCCP,
            Header::Icmp => Protocol::ICMP,
            Header::Icmpv6 => Protocol(58),
            Header::Ether | Header::Ip | Header::Ip6 | Header::Th => return None,
        })
    }

    /// The header of a protocol that has ports.
    pub fn of(protocol: u8) -> Option<Header> {
        Header::ALL.into_iter().find(|h| {
            h.protocol().is_some_and(|p| p.0 == protocol) && !matches!(h, Header::Icmp | Header::Icmpv6)
        })
    }
}

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// In which header.
    pub header: Header,
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub dtype: DataType,
    /// The bit at which it begins, and how many it has.
    bits: (u16, u16),
}

const fn field(header: Header, name: &'static str, dtype: DataType, at: u16, len: u16) -> Field {
    Field { header, name, dtype, bits: (at, len) }
}

/// The fields that are known.
static FIELDS: &[Field] = &[
    field(Header::Ether, "daddr", DataType::EtherAddr, 0, 48),
    field(Header::Ether, "saddr", DataType::EtherAddr, 48, 48),
    field(Header::Ether, "type", DataType::EtherType, 96, 16),
    field(Header::Ip, "version", DataType::Integer(1), 0, 4),
    field(Header::Ip, "hdrlength", DataType::Integer(1), 4, 4),
    field(Header::Ip, "dscp", DataType::Dscp, 8, 6),
    field(Header::Ip, "ecn", DataType::Ecn, 14, 2),
    field(Header::Ip, "length", DataType::Integer(2), 16, 16),
    field(Header::Ip, "id", DataType::Integer(2), 32, 16),
    field(Header::Ip, "frag-off", DataType::Integer(2), 48, 16),
    field(Header::Ip, "ttl", DataType::Integer(1), 64, 8),
    field(Header::Ip, "protocol", DataType::InetProto, 72, 8),
    field(Header::Ip, "saddr", DataType::Ipv4Addr, 96, 32),
    field(Header::Ip, "daddr", DataType::Ipv4Addr, 128, 32),
    field(Header::Ip6, "nexthdr", DataType::InetProto, 48, 8),
    field(Header::Ip6, "hoplimit", DataType::Integer(1), 56, 8),
    field(Header::Ip6, "saddr", DataType::Ipv6Addr, 64, 128),
    field(Header::Ip6, "daddr", DataType::Ipv6Addr, 192, 128),
    field(Header::Tcp, "sport", DataType::InetService, 0, 16),
    field(Header::Tcp, "dport", DataType::InetService, 16, 16),
    field(Header::Tcp, "sequence", DataType::Integer(4), 32, 32),
    field(Header::Tcp, "ackseq", DataType::Integer(4), 64, 32),
    field(Header::Tcp, "doff", DataType::Integer(1), 96, 4),
    field(Header::Tcp, "flags", DataType::TcpFlag, 104, 8),
    field(Header::Tcp, "window", DataType::Integer(2), 112, 16),
    field(Header::Udp, "sport", DataType::InetService, 0, 16),
    field(Header::Udp, "dport", DataType::InetService, 16, 16),
    field(Header::Udp, "length", DataType::Integer(2), 32, 16),
    field(Header::UdpLite, "sport", DataType::InetService, 0, 16),
    field(Header::UdpLite, "dport", DataType::InetService, 16, 16),
    field(Header::Sctp, "sport", DataType::InetService, 0, 16),
    field(Header::Sctp, "dport", DataType::InetService, 16, 16),
    field(Header::Sctp, "vtag", DataType::Integer(4), 32, 32),
    field(Header::Dccp, "sport", DataType::InetService, 0, 16),
    field(Header::Dccp, "dport", DataType::InetService, 16, 16),
    field(Header::Th, "sport", DataType::InetService, 0, 16),
    field(Header::Th, "dport", DataType::InetService, 16, 16),
    field(Header::Icmp, "type", DataType::IcmpType, 0, 8),
    field(Header::Icmp, "code", DataType::IcmpCode, 8, 8),
    field(Header::Icmpv6, "type", DataType::Icmpv6Type, 0, 8),
    field(Header::Icmpv6, "code", DataType::Icmpv6Code, 8, 8),
];

impl Field {
    /// The field of that name.
    pub fn find(header: Header, name: &str) -> Option<&'static Field> {
        FIELDS.iter().find(|f| f.header == header && f.name == name)
    }

    /// Where it is: link layer, network or transport header as 0, 1, 2; its first bit, and how many it has.
    pub fn place(&self) -> (u8, u16, u16) {
        let base = match self.header {
            Header::Ether => 0,
            Header::Ip | Header::Ip6 => 1,
            _ => 2,
        };
        (base, self.bits.0, self.bits.1)
    }

    /// The names of a header's fields.
    pub fn names(header: Header) -> Vec<&'static str> {
        FIELDS.iter().filter(|f| f.header == header).map(|f| f.name).collect()
    }

    /// What the packet has there; `None` if it has no such header.
    pub(super) fn read(&self, skb: &Skb) -> Option<Data> {
        let ip = skb.ip()?;
        match self.header {
            // Before the packet has a link-layer header there is nothing to read.
            Header::Ether => {
                let frame = &skb.frame;
                (frame.src != packet::Mac::ZERO).then_some(())?;
                let mut bytes = [0; 14];
                bytes[..6].copy_from_slice(&frame.dst.0);
                bytes[6..12].copy_from_slice(&frame.src.0);
                bytes[12..].copy_from_slice(if ip.src.is_ipv4() { &[8, 0] } else { &[0x86, 0xdd] });
                self.cut(&bytes)
            }
            Header::Ip if ip.src.is_ipv4() => match self.name {
                "saddr" => Some(Data::addr(ip.src)),
                "daddr" => Some(Data::addr(ip.dst)),
                _ => self.cut(&ip_header(ip)),
            },
            Header::Ip6 if ip.src.is_ipv6() => match self.name {
                "saddr" => Some(Data::addr(ip.src)),
                "daddr" => Some(Data::addr(ip.dst)),
                "hoplimit" => Some(Data::number(u128::from(ip.ttl), 1)),
                _ => Some(Data::number(u128::from(ip.protocol().0), 1)),
            },
            Header::Ip | Header::Ip6 => None,
            header => {
                if header.protocol().is_some_and(|p| p != ip.protocol()) || ip.frag.offset != 0 {
                    return None;
                }
                self.transport(ip)
            }
        }
    }

    /// Out of the transport header.
    fn transport(&self, ip: &Ip) -> Option<Data> {
        let port = |p: u16| Some(Data::number(u128::from(p), 2));
        match (&ip.l4, self.dtype) {
            (L4::Tcp(_) | L4::Udp(_), DataType::InetService) => {
                let (sport, dport) = ip.ports()?;
                port(if self.bits.0 == 0 { sport } else { dport })
            }
            (L4::Tcp(t), DataType::TcpFlag) => Some(Data::number(u128::from(t.flags.0), 1)),
            (L4::Icmp(i), DataType::IcmpType) => Some(Data::number(u128::from(i.kind), 1)),
            (L4::Icmp(i), DataType::IcmpCode) => Some(Data::number(u128::from(i.code), 1)),
            _ => self.cut(&ip.payload_bytes()),
        }
    }

    /// The bits of the field. All are whole bytes, or part of one.
    fn cut(&self, bytes: &[u8]) -> Option<Data> {
        let (at, len) = (usize::from(self.bits.0), usize::from(self.bits.1));
        if len < 8 {
            let byte = *bytes.get(at / 8)?;
            let value = byte >> (8 - at % 8 - len) & ((1 << len) - 1);
            return Some(Data::number(u128::from(value), 1));
        }
        Some(Data::new(bytes.get(at / 8..(at + len) / 8)?))
    }
}

/// The header of an IPv4 packet, without its checksum.
fn ip_header(ip: &Ip) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[0] = 0x45;
    bytes[1] = ip.tos;
    bytes[2..4].copy_from_slice(&(ip.total_len().min(65535) as u16).to_be_bytes());
    bytes[4..6].copy_from_slice(&ip.id.to_be_bytes());
    let flags = if ip.frag.df { 0x4000 } else { 0 } | if ip.frag.mf { 0x2000 } else { 0 };
    bytes[6..8].copy_from_slice(&(flags | (ip.frag.offset / 8)).to_be_bytes());
    bytes[8] = ip.ttl;
    bytes[9] = ip.protocol().0;
    for (at, addr) in [(12, ip.src), (16, ip.dst)] {
        if let IpAddr::V4(a) = addr {
            bytes[at..at + 4].copy_from_slice(&a.octets());
        }
    }
    bytes
}
