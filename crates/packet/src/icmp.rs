//! ICMP (RFC 792).

use crate::Ip;
use std::net::Ipv4Addr;

/// ICMP types by their RFC 792 names.
pub mod icmp_type {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const DEST_UNREACH: u8 = 3;
    /// Source quench.
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
    /// Timestamp request.
    pub const TIMESTAMP: u8 = 13;
    /// Timestamp reply.
    pub const TIMESTAMP_REPLY: u8 = 14;
    /// Address mask request.
    pub const ADDRESS: u8 = 17;
    /// Address mask reply.
    pub const ADDRESS_REPLY: u8 = 18;
}

/// An ICMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type, see [`icmp_type`].
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// False if the checksum is wrong.
    pub checksum_ok: bool,
    /// What follows.
    pub body: IcmpBody,
}

/// The part of an ICMP message after its first four bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IcmpBody {
    /// Echo and the other queries: identifier, sequence number, payload.
    Query {
        /// Identifier; conntrack treats it as the port.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// Payload.
        payload: Vec<u8>,
    },
    /// An error: the packet that it is about. Kept whole; on the wire Linux cuts the message at 576 bytes.
    Error {
        /// Gateway of a redirect; of a parameter problem the four bytes that begin with its pointer.
        gateway: Option<Ipv4Addr>,
        /// The next-hop MTU of "fragmentation needed", otherwise 0.
        mtu: u16,
        /// The quoted packet.
        inner: Box<Ip>,
        /// How many bytes of it are there, if not all that fit: a router may quote as little as the IP header and eight
        /// bytes (RFC 792).
        quoted: Option<u16>,
    },
    /// Anything else, uninterpreted.
    Raw(Vec<u8>),
}

/// Linux sends at most this many bytes of IP packet in an ICMP error (RFC 1812, 4.3.2.3).
const ERROR_MAX: usize = 576;

impl Icmp {
    /// True for the types that report an error about another packet.
    pub fn is_error_type(kind: u8) -> bool {
        matches!(
            kind,
            icmp_type::DEST_UNREACH
                | icmp_type::SOURCE_QUENCH
                | icmp_type::REDIRECT
                | icmp_type::TIME_EXCEEDED
                | icmp_type::PARAMETER_PROBLEM
        )
    }

    /// True for the types of error whose four bytes before the quoted packet are not a number.
    pub fn has_gateway(kind: u8) -> bool {
        matches!(kind, icmp_type::REDIRECT | icmp_type::PARAMETER_PROBLEM)
    }

    /// The quoted packet of an error.
    pub fn inner(&self) -> Option<&Ip> {
        match &self.body {
            IcmpBody::Error { inner, .. } => Some(inner),
            _ => None,
        }
    }

    /// Identifier and sequence number of a query.
    pub fn query(&self) -> Option<(u16, u16)> {
        match &self.body {
            IcmpBody::Query { id, seq, .. } => Some((*id, *seq)),
            _ => None,
        }
    }

    /// Length in bytes, header included.
    pub fn len(&self) -> usize {
        match &self.body {
            IcmpBody::Query { payload, .. } => 8 + payload.len(),
            IcmpBody::Error { inner, quoted, .. } => {
                let quoted = quoted.map_or(usize::MAX, usize::from);
                (8 + inner.total_len().min(quoted)).min(ERROR_MAX - 20)
            }
            IcmpBody::Raw(data) => 4 + data.len(),
        }
    }

    /// A message is never empty: it has a header.
    pub fn is_empty(&self) -> bool {
        false
    }
}
