//! ICMP and ICMPv6 (packet-icmp.c, packet-icmpv6.c).

use super::Dissector;
use super::ip::Above;
use packet::{icmp_type, icmp6_type};

impl Dissector<'_> {
    pub(super) fn icmp(&mut self, a: Above) -> Option<()> {
        let (at, end) = (a.at, a.end);
        let quoted = self.quoted;
        let t = &mut self.t;
        t.group("icmp", at, end.saturating_sub(at));
        let kind = t.number("icmp.type", at, 1)? as u8;
        t.note(type_name(kind));
        let code = t.number("icmp.code", at + 1, 1)?;
        t.note(code_name(kind, code));
        t.number("icmp.checksum", at + 2, 2)?;
        let status =
            t.bytes(at, a.len).filter(|_| !a.cut && !quoted).map_or(2, |b| i64::from(sum(b) == 0xffff));
        t.add_number("icmp.checksum.status", at + 2, 0, status);
        t.note(match status {
            0 => "Bad",
            1 => "Good",
            _ => "Unverified",
        });
        match kind {
            icmp_type::ECHO | icmp_type::ECHO_REPLY => {
                t.number("icmp.ident", at + 4, 2)?;
                // Once more as a little-endian machine would have written it.
                let swapped = t.word(at + 4)?.swap_bytes();
                t.add_number("icmp.ident_le", at + 4, 2, swapped);
                t.number("icmp.seq", at + 6, 2)?;
                let swapped = t.word(at + 6)?.swap_bytes();
                t.add_number("icmp.seq_le", at + 6, 2, swapped);
                self.data(at + 8, end.saturating_sub(at + 8))?;
            }
            icmp_type::DEST_UNREACH
            | icmp_type::TIME_EXCEEDED
            | icmp_type::REDIRECT
            | icmp_type::SOURCE_QUENCH => {
                match (kind, code) {
                    (icmp_type::REDIRECT, _) => {
                        t.ipv4("icmp.redir_gw", at + 4)?;
                    }
                    (icmp_type::DEST_UNREACH, 4) => {
                        t.raw("icmp.unused", at + 4, 2)?;
                        t.number("icmp.mtu", at + 6, 2)?;
                    }
                    _ => t.raw("icmp.unused", at + 4, 4)?,
                }
                self.quoted(at + 8);
            }
            _ => {}
        }
        self.t.close();
        Some(())
    }

    /// The packet that an error is about, as much of it as there is.
    fn quoted(&mut self, at: usize) {
        let was = std::mem::replace(&mut self.quoted, true);
        let depth = self.t.depth();
        let _ = self.network(at);
        self.t.back_to(depth);
        self.quoted = was;
    }

    pub(super) fn icmpv6(&mut self, a: Above) -> Option<()> {
        let (at, end) = (a.at, a.end);
        let t = &mut self.t;
        t.group("icmpv6", at, end.saturating_sub(at));
        let kind = t.number("icmpv6.type", at, 1)? as u8;
        t.number("icmpv6.code", at + 1, 1)?;
        t.number("icmpv6.checksum", at + 2, 2)?;
        match kind {
            icmp6_type::ECHO_REQUEST | icmp6_type::ECHO_REPLY => {
                t.number("icmpv6.echo.identifier", at + 4, 2)?;
                t.number("icmpv6.echo.sequence_number", at + 6, 2)?;
                self.data(at + 8, end.saturating_sub(at + 8))?;
            }
            icmp6_type::DEST_UNREACH | icmp6_type::TIME_EXCEEDED | icmp6_type::PACKET_TOO_BIG => {
                self.quoted(at + 8);
            }
            _ => {}
        }
        self.t.close();
        Some(())
    }
}

/// The one's complement sum of RFC 1071.
fn sum(bytes: &[u8]) -> u32 {
    let word = |w: &[u8]| w.iter().chain(&[0]).take(2).fold(0, |n, b| n << 8 | u32::from(*b));
    let mut sum: u32 = bytes.chunks(2).map(word).fold(0, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

fn type_name(kind: u8) -> &'static str {
    match kind {
        icmp_type::ECHO => "Echo (ping) request",
        icmp_type::ECHO_REPLY => "Echo (ping) reply",
        icmp_type::DEST_UNREACH => "Destination unreachable",
        icmp_type::TIME_EXCEEDED => "Time-to-live exceeded",
        icmp_type::REDIRECT => "Redirect",
        icmp_type::SOURCE_QUENCH => "Source quench",
        _ => "",
    }
}

fn code_name(kind: u8, code: i64) -> &'static str {
    match (kind, code) {
        (icmp_type::DEST_UNREACH, 0) => "Network unreachable",
        (icmp_type::DEST_UNREACH, 1) => "Host unreachable",
        (icmp_type::DEST_UNREACH, 2) => "Protocol unreachable",
        (icmp_type::DEST_UNREACH, 3) => "Port unreachable",
        (icmp_type::DEST_UNREACH, 4) => "Fragmentation needed",
        (icmp_type::DEST_UNREACH, 9) => "Network administratively prohibited",
        (icmp_type::DEST_UNREACH, 10) => "Host administratively prohibited",
        (icmp_type::DEST_UNREACH, 13) => "Communication administratively filtered",
        (icmp_type::TIME_EXCEEDED, 0) => "Time to live exceeded in transit",
        (icmp_type::TIME_EXCEEDED, 1) => "Fragment reassembly time exceeded",
        (icmp_type::REDIRECT, 1) => "Redirect for host",
        _ => "",
    }
}
