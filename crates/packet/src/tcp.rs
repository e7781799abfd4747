//! TCP segments (RFC 9293) with the options that Linux sends.

use crate::Port;
use std::fmt;
use std::ops::BitOr;

/// The flag bits of a TCP header.
#[derive(Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// FIN
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// SYN
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// RST
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// PSH
    pub const PSH: TcpFlags = TcpFlags(0x08);
    /// ACK
    pub const ACK: TcpFlags = TcpFlags(0x10);
    /// URG
    pub const URG: TcpFlags = TcpFlags(0x20);
    /// ECE
    pub const ECE: TcpFlags = TcpFlags(0x40);
    /// CWR
    pub const CWR: TcpFlags = TcpFlags(0x80);

    /// True if every bit of `other` is set.
    pub fn has(self, other: TcpFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags in `other` are cleared.
    pub fn without(self, other: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 & !other.0)
    }
}

impl BitOr for TcpFlags {
    type Output = TcpFlags;
    fn bitor(self, rhs: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | rhs.0)
    }
}

/// One letter for each flag in the order FSRPAUEC, `.` if there is none.
impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str(".");
        }
        for (i, c) in "FSRPAUEC".chars().enumerate() {
            if self.0 >> i & 1 == 1 {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// TCP options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size, in bytes.
    pub mss: Option<u16>,
    /// Selective acknowledgements permitted.
    pub sack_ok: bool,
    /// Time stamps: value, echo reply (RFC 7323).
    pub ts: Option<(u32, u32)>,
    /// Window scale shift.
    pub wscale: Option<u8>,
}

impl TcpOptions {
    /// Length in bytes as Linux lays them out: padded to a multiple of four.
    pub fn len(&self) -> usize {
        let mut n = 0;
        if self.mss.is_some() {
            n += 4;
        }
        // SACK-permitted shares its four bytes with the padding of the time stamps.
        match (self.sack_ok, self.ts.is_some()) {
            (_, true) => n += 12,
            (true, false) => n += 4,
            (false, false) => {}
        }
        if self.wscale.is_some() {
            n += 4;
        }
        n
    }

    /// True if an option of that number stands in the header (RFC 9293, 3.1), padding (1) included.
    pub fn has(&self, kind: u8) -> bool {
        match kind {
            // Linux pads in front of an option that would not end on four bytes.
            1 => self.wscale.is_some() || self.sack_ok != self.ts.is_some(),
            2 => self.mss.is_some(),
            3 => self.wscale.is_some(),
            4 => self.sack_ok,
            8 => self.ts.is_some(),
            _ => false,
        }
    }

    /// True if no option is present.
    pub fn is_empty(&self) -> bool {
        *self == TcpOptions::default()
    }
}

/// A TCP segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub sport: Port,
    /// Destination port.
    pub dport: Port,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number (meaningful with ACK).
    pub ack: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window as it stands in the header, unscaled.
    pub window: u16,
    /// Options.
    pub options: TcpOptions,
    /// False if the checksum is wrong.
    pub checksum_ok: bool,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Tcp {
    /// Length in bytes, header included.
    pub fn len(&self) -> usize {
        20 + self.options.len() + self.payload.len()
    }

    /// A segment is never empty: it has a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Sequence space that the segment takes: payload bytes, plus one each for SYN and FIN.
    pub fn seq_len(&self) -> u32 {
        self.payload.len() as u32
            + u32::from(self.flags.has(TcpFlags::SYN))
            + u32::from(self.flags.has(TcpFlags::FIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_in_header_order() {
        assert_eq!((TcpFlags::ACK | TcpFlags::SYN).to_string(), "SA");
        assert_eq!((TcpFlags::ACK | TcpFlags::FIN).to_string(), "FA");
        assert_eq!(TcpFlags::default().to_string(), ".");
    }

    #[test]
    fn a_linux_syn_is_sixty_bytes_with_its_ip_header() {
        let options = TcpOptions { mss: Some(1460), sack_ok: true, ts: Some((1, 0)), wscale: Some(7) };
        assert_eq!(20 + 20 + options.len(), 60);
    }
}
