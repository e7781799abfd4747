//! Ethernet II frames.

use crate::{Arp, Ip};
use std::fmt;
use std::str::FromStr;

/// A 48-bit IEEE 802 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Mac = Mac([0xff; 6]);
    /// `00:00:00:00:00:00`.
    pub const ZERO: Mac = Mac([0; 6]);

    /// True for group addresses (the I/G bit), the broadcast address among them.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// True for `ff:ff:ff:ff:ff:ff`.
    pub fn is_broadcast(self) -> bool {
        self == Mac::BROADCAST
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not six colon-separated pairs of hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseMacError;

impl fmt::Display for ParseMacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a MAC address such as 02:00:00:00:01:01")
    }
}

impl std::error::Error for ParseMacError {}

impl FromStr for Mac {
    type Err = ParseMacError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut out = [0u8; 6];
        let mut parts = s.split(':');
        for byte in &mut out {
            let part = parts.next().ok_or(ParseMacError)?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(ParseMacError);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| ParseMacError)?;
        }
        if parts.next().is_some() { Err(ParseMacError) } else { Ok(Mac(out)) }
    }
}

/// One Ethernet II frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Source address.
    pub src: Mac,
    /// Destination address.
    pub dst: Mac,
    /// What the frame carries (the EtherType follows from it).
    pub payload: Payload,
}

/// The payload of a [`Frame`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// EtherType 0x0806.
    Arp(Arp),
    /// EtherType 0x0800 or 0x86dd.
    Ip(Ip),
}

impl Frame {
    /// The IP packet inside, if there is one.
    #[inline]
    pub fn ip(&self) -> Option<&Ip> {
        match &self.payload {
            Payload::Ip(ip) => Some(ip),
            Payload::Arp(_) => None,
        }
    }

    /// Length of the frame in bytes, header included, without padding and FCS.
    pub fn len(&self) -> usize {
        14 + match &self.payload {
            Payload::Arp(_) => 28,
            Payload::Ip(ip) => ip.total_len(),
        }
    }

    /// A frame is never empty.
    pub fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_text_round_trips() {
        for text in ["02:00:00:00:01:0a", "ff:ff:ff:ff:ff:ff", "9e:d4:7d:ec:b7:6d"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn mac_text_is_checked() {
        for text in ["", "02:00:00:00:01", "02:00:00:00:01:0a:0b", "02:00:00:00:01:zz", "02:00:00:00:01:+a"] {
            assert_eq!(text.parse::<Mac>(), Err(ParseMacError), "{text}");
        }
    }
}
