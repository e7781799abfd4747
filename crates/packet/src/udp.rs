//! UDP datagrams (RFC 768).

use crate::Port;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// The payload of a datagram. It is never changed, so that all who have it share one memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(Rc<[u8]>);

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(bytes.into())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes(bytes.into())
    }
}

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
    pub payload: Bytes,
}
