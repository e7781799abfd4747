//! Values on the wire.
//!
//! A packet in the engine is a typed value, not a byte string; bytes exist only where bytes matter.
//! Addresses carry their family ([`std::net::IpAddr`]), and that of a packet is theirs.

mod arp;
mod bytes;
mod dns;
mod ethernet;
mod icmp;
mod icmp6;
mod ip;
mod sctp;
mod tcp;
mod udp;
mod vxlan;
mod wire;

pub use arp::{Arp, ArpOp};
pub use bytes::set_ports;
pub use dns::{Dns, DnsData, DnsName, DnsQuestion, DnsRecord, dns_type, rcode};
pub use ethernet::{Frame, Mac, ParseMacError, Payload};
pub use icmp::{Icmp, IcmpBody, icmp_type};
pub use icmp6::{Icmp6, icmp6_type};
pub use ip::{Family, Fragment, Ip, L4, Protocol};
pub use sctp::{Sctp, SctpChunk, sctp_chunk};
pub use tcp::{Tcp, TcpFlags, TcpOptions};
pub use udp::{Bytes, Udp};
pub use vxlan::Vxlan;

/// A transport port number in host order.
pub type Port = u16;
