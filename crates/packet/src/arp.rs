//! ARP for IPv4 over Ethernet (RFC 826).

use crate::Mac;
use std::net::Ipv4Addr;

/// The operation field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOp {
    /// 1
    Request,
    /// 2
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub op: ArpOp,
    /// Sender hardware address.
    pub sha: Mac,
    /// Sender protocol address.
    pub spa: Ipv4Addr,
    /// Target hardware address (zero in a request).
    pub tha: Mac,
    /// Target protocol address.
    pub tpa: Ipv4Addr,
}
