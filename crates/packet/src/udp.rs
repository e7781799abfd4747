//! UDP datagrams (RFC 768).

use crate::Port;

/// A UDP datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub sport: Port,
    /// Destination port.
    pub dport: Port,
    /// False if the checksum is wrong.
    pub checksum_ok: bool,
    /// Payload.
    pub payload: Vec<u8>,
}
