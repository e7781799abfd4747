//! Bytes of a packet (print-ascii.c).

use super::{Captured, Dump};
use crate::tcpdump::Link;
use kernel::event::TapDir;

/// The bytes that are dumped.
pub(super) fn bytes(seen: Captured<'_>, link: Link, with_link: bool) -> Vec<u8> {
    let frame = seen.frame.to_bytes();
    let packet = frame.get(14..).unwrap_or_default();
    let kind: u8 = match seen.dir {
        TapDir::In => 0,
        TapDir::InBroadcast => 1,
        TapDir::InMulticast => 2,
        TapDir::InOther => 3,
        TapDir::Out => 4,
    };
    let ethertype = seen.frame.ethertype().to_be_bytes();
    let mut out = Vec::new();
    match link {
        _ if !with_link => {}
        Link::Ethernet => return frame,
        Link::Cooked => {
            out.extend([0, kind, 0, 1, 0, 6]);
            out.extend(seen.frame.src.0);
            out.extend([0, 0]);
            out.extend(ethertype);
        }
        Link::Cooked2 => {
            out.extend(ethertype);
            out.extend([0, 0]);
            out.extend(seen.ifindex.to_be_bytes());
            out.extend([0, 1, kind, 6]);
            out.extend(seen.frame.src.0);
            out.extend([0, 0]);
        }
    }
    out.extend(packet);
    out
}

pub(super) fn dump(how: Dump, bytes: &[u8], out: &mut String) {
    let shown = |b: &u8| if (b'!'..=b'~').contains(b) { char::from(*b) } else { '.' };
    if how == Dump::Ascii {
        out.push('\n');
        for (i, b) in bytes.iter().enumerate() {
            match (b, bytes.get(i + 1)) {
                // CR is left out in front of LF.
                (b'\r', Some(b'\n')) => {}
                (b'\n' | b'\t' | b' '..=b'~', _) => out.push(char::from(*b)),
                _ => out.push('.'),
            }
        }
        return;
    }
    for (row, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> =
            line.chunks(2).map(|pair| pair.iter().map(|b| format!("{b:02x}")).collect()).collect();
        let hex = hex.join(" ");
        *out += &format!("\n\t0x{:04x}:  ", row * 16);
        if how == Dump::HexAscii {
            let text: String = line.iter().map(shown).collect();
            *out += &format!("{hex:<39}  {text}");
        } else {
            *out += &hex;
        }
    }
}
