//! SCTP packets (RFC 9260), read and changed where they stand: in the bytes of [`crate::L4::Other`].

use crate::Port;

/// Types of chunks.
#[allow(missing_docs, reason = "the names say it: RFC 9260, 3.2")]
pub mod sctp_chunk {
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const HEARTBEAT: u8 = 4;
    pub const HEARTBEAT_ACK: u8 = 5;
    pub const ABORT: u8 = 6;
    pub const SHUTDOWN: u8 = 7;
    pub const SHUTDOWN_ACK: u8 = 8;
    pub const ERROR: u8 = 9;
    pub const COOKIE_ECHO: u8 = 10;
    pub const COOKIE_ACK: u8 = 11;
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// The common header and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sctp<'a> {
    /// Source port.
    pub sport: Port,
    /// Destination port.
    pub dport: Port,
    /// Verification tag.
    pub vtag: u32,
    bytes: &'a [u8],
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SctpChunk<'a> {
    /// See [`sctp_chunk`].
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Length as it says itself, header included.
    pub len: u16,
    body: &'a [u8],
}

/// Bytes of the common header.
const HEADER: usize = 12;

impl<'a> Sctp<'a> {
    /// The packet in these bytes; `None` if they are shorter than the common header.
    pub fn parse(bytes: &'a [u8]) -> Option<Sctp<'a>> {
        let [a, b, c, d, e, f, g, h, _, _, _, _, ..] = *bytes else { return None };
        let (sport, dport) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Some(Sctp { sport, dport, vtag: u32::from_be_bytes([e, f, g, h]), bytes })
    }

    /// True if the checksum is right (CRC32c, RFC 9260, appendix A).
    pub fn checksum_ok(&self) -> bool {
        self.bytes.get(8..HEADER) == Some(&crc32c(self.bytes).to_le_bytes())
    }

    /// The chunks, one behind the other, as far as the bytes go. A length of 0 is the last one's.
    pub fn chunks(&self) -> impl Iterator<Item = SctpChunk<'a>> + use<'a> {
        let mut rest = self.bytes.get(HEADER..).unwrap_or_default();
        std::iter::from_fn(move || {
            let [kind, flags, high, low, ..] = *rest else { return None };
            let len = u16::from_be_bytes([high, low]);
            let chunk = SctpChunk { kind, flags, len, body: rest.get(4..).unwrap_or_default() };
            let next = (usize::from(len) + 3) & !3;
            rest = if len == 0 { &[] } else { rest.get(next..).unwrap_or_default() };
            Some(chunk)
        })
    }

    /// Other ports, with the right checksum.
    pub fn set_ports(bytes: &mut [u8], sport: Port, dport: Port) {
        if bytes.len() < HEADER {
            return;
        }
        bytes[..2].copy_from_slice(&sport.to_be_bytes());
        bytes[2..4].copy_from_slice(&dport.to_be_bytes());
        let sum = crc32c(bytes);
        bytes[8..HEADER].copy_from_slice(&sum.to_le_bytes());
    }
}

impl SctpChunk<'_> {
    /// The tag that an INIT or INIT ACK brings; `None` if it is cut short.
    pub fn init_tag(&self) -> Option<u32> {
        match *self.body {
            [a, b, c, d, _, _, _, _, _, _, _, _, _, _, _, _, ..] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }
}

/// The checksum of a packet; its own place counts as zeros.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for (i, byte) in bytes.iter().enumerate() {
        crc ^= u32::from(if (8..HEADER).contains(&i) { 0 } else { *byte });
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An INIT and a DATA chunk, as a sender makes them.
    fn packet() -> Vec<u8> {
        let mut b = vec![0x13, 0x88, 0x13, 0x89, 0, 0, 0, 7, 0, 0, 0, 0];
        b.extend([1, 0, 0, 20, 0, 0, 0, 9, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
        b.extend([0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, b'x', 0, 0, 0]);
        b
    }

    #[test]
    fn the_checksum_is_that_of_castagnoli() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn chunks_are_padded_to_four_bytes() {
        let bytes = packet();
        let sctp = Sctp::parse(&bytes).unwrap();
        assert_eq!((sctp.sport, sctp.dport, sctp.vtag), (5000, 5001, 7));
        let chunks: Vec<_> = sctp.chunks().map(|c| (c.kind, c.flags, c.len)).collect();
        assert_eq!(chunks, [(1, 0, 20), (0, 3, 17)]);
        assert_eq!(sctp.chunks().next().and_then(|c| c.init_tag()), Some(9));
    }

    #[test]
    fn other_ports_have_a_right_checksum() {
        let mut bytes = packet();
        assert!(!Sctp::parse(&bytes).unwrap().checksum_ok());
        Sctp::set_ports(&mut bytes, 1, 2);
        let sctp = Sctp::parse(&bytes).unwrap();
        assert!(sctp.checksum_ok());
        assert_eq!((sctp.sport, sctp.dport), (1, 2));
    }

    #[test]
    fn no_bytes_make_it_panic_or_run_on() {
        let mut bytes = packet();
        bytes[14..16].copy_from_slice(&[0, 0]);
        for n in 0..bytes.len() {
            if let Some(sctp) = Sctp::parse(&bytes[..n]) {
                assert!(sctp.chunks().count() < 3);
            }
        }
    }
}
