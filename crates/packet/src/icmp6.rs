//! ICMPv6 (RFC 4443).

use crate::{IcmpBody, Ip};

/// ICMPv6 types by their names in RFC 4443 and RFC 4861.
pub mod icmp6_type {
    /// Destination unreachable.
    pub const DEST_UNREACH: u8 = 1;
    /// Packet too big.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Router solicitation, the first of the messages of neighbour discovery.
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Redirect, the last of them.
    pub const REDIRECT: u8 = 137;
}

/// An ICMPv6 message. Its body is that of an ICMP message: a query has identifier and sequence number, an error quotes a
/// packet, and of its four bytes before that only the MTU of "packet too big" is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp6 {
    /// Type, see [`icmp6_type`].
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// False if the checksum is wrong.
    pub checksum_ok: bool,
    /// What follows.
    pub body: IcmpBody,
}

/// An error is as long as it can be without being longer than the smallest MTU of IPv6 (RFC 4443, 2.4).
const ERROR_MAX: usize = 1280;

impl Icmp6 {
    /// True for the types that report an error: those below 128.
    pub fn is_error_type(kind: u8) -> bool {
        kind < 128
    }

    /// The quoted packet of an error.
    pub fn inner(&self) -> Option<&Ip> {
        match &self.body {
            IcmpBody::Error { inner, .. } => Some(inner),
            _ => None,
        }
    }

    /// Length in bytes, header included.
    pub fn len(&self) -> usize {
        match &self.body {
            IcmpBody::Query { payload, .. } => 8 + payload.len(),
            IcmpBody::Error { inner, quoted, .. } => {
                let quoted = quoted.map_or(usize::MAX, usize::from);
                (8 + inner.total_len().min(quoted)).min(ERROR_MAX - 40)
            }
            IcmpBody::Raw(data) => 4 + data.len(),
        }
    }

    /// A message is never empty: it has a header.
    pub fn is_empty(&self) -> bool {
        false
    }
}
