//! TCP (packet-tcp.c), each segment for itself: `tcp.desegment_tcp_streams:FALSE`.

use super::Dissector;
use super::app::{begins_with_method, is_http_port, looks_like_http};
use super::ip::Above;
use crate::wireshark::follow::{App, Segment};
use crate::wireshark::tree::{Tree, number};

/// The flags of the byte at 13 in the order of their bits, and their letters.
const FLAGS: [(&str, u8, &str); 8] = [
    ("tcp.flags.cwr", 0x80, "CWR"),
    ("tcp.flags.ece", 0x40, "ECE"),
    ("tcp.flags.urg", 0x20, "URG"),
    ("tcp.flags.ack", 0x10, "ACK"),
    ("tcp.flags.push", 0x08, "PSH"),
    ("tcp.flags.reset", 0x04, "RST"),
    ("tcp.flags.syn", 0x02, "SYN"),
    ("tcp.flags.fin", 0x01, "FIN"),
];

impl Dissector<'_> {
    pub(super) fn tcp(&mut self, a: Above) -> Option<()> {
        let (at, end) = (a.at, a.end);
        let t = &mut self.t;
        let header = t.byte(at + 12).map_or(20, |b| usize::from(b >> 4) * 4);
        t.group("tcp", at, header.min(end.saturating_sub(at)));
        let (sport, dport) = (t.word(at)?, t.word(at + 2)?);
        let payload = at.saturating_add(header).min(end);
        let bytes = t.bytes(payload, end.saturating_sub(payload)).unwrap_or_default();
        let word32 = |at| t.bytes(at, 4).map_or(0, |b| number(b) as u32);
        let is_http = is_http_port(sport) || is_http_port(dport);
        let segment = Segment {
            from: (a.src, sport),
            to: (a.dst, dport),
            seq: word32(at + 4),
            ack: word32(at + 8),
            flags: t.byte(at + 13).unwrap_or(0),
            scale: window_scale(t.bytes(at + 20, header.saturating_sub(20)).unwrap_or_default()),
            http: looks_like_http(bytes),
            quoted: self.quoted,
        };
        let flow = self.source.flow(|f| f.tcp(&segment));
        let len = a.len.saturating_sub(header);
        t.number("tcp.srcport", at, 2)?;
        t.number("tcp.dstport", at + 2, 2)?;
        for at in [at, at + 2] {
            t.number("tcp.port", at, 2)?;
            t.hide();
        }
        if !self.quoted {
            t.add_number("tcp.stream", at, 0, flow.stream);
        }
        t.bytes(at + 4, 4)?;
        t.bytes(at + 8, 4)?;
        t.byte(at + 12)?;
        if !self.quoted {
            t.add_number("tcp.len", at, 0, len as i64);
        }
        let seq = segment.seq.wrapping_sub(flow.seq_base);
        t.add_number("tcp.seq", at + 4, 4, seq);
        if self.quoted {
            t.note("absolute");
            t.add_number("tcp.stream", at, 0, flow.stream);
        } else {
            t.note("relative");
            t.number("tcp.seq_raw", at + 4, 4)?;
            let next = seq.wrapping_add(len as u32).wrapping_add(u32::from(segment.flags & 3 != 0));
            t.add_number("tcp.nxtseq", at, 0, next);
        }
        let acks = segment.flags & 0x10 != 0;
        t.add_number("tcp.ack", at + 8, 4, segment.ack.wrapping_sub(if acks { flow.ack_base } else { 0 }));
        t.note(if self.quoted { "absolute" } else { "relative" });
        t.number("tcp.ack_raw", at + 8, 4)?;
        t.add_number("tcp.hdr_len", at + 12, 1, header as i64);
        flags(t, at)?;
        let window = t.number("tcp.window_size_value", at + 14, 2)?;
        let scaled = flow.scale >= 0 && !self.quoted;
        t.add_number("tcp.window_size", at + 14, 2, if scaled { window << flow.scale } else { window });
        if segment.flags & 2 == 0 && !self.quoted {
            let factor = if flow.scale >= 0 { 1 << flow.scale } else { i64::from(flow.scale) };
            t.add_number("tcp.window_size_scalefactor", at + 14, 2, factor);
            t.note(match flow.scale {
                -1 => "unknown",
                -2 => "no window scaling used",
                _ => "",
            });
        }
        t.number("tcp.checksum", at + 16, 2)?;
        t.number("tcp.urgent_pointer", at + 18, 2)?;
        if header > 20 {
            options(t, at + 20, (at + header).min(end))?;
        }
        let rest = end.saturating_sub(payload);
        if rest > 0 {
            t.raw("tcp.payload", payload, rest)?;
        }
        t.close();
        match flow.app {
            _ if rest == 0 => Some(()),
            App::Http => self.http(payload, end),
            _ if sport == 53 || dport == 53 => self.dns_over_tcp(payload, end),
            _ if is_http && begins_with_method(bytes) => self.http(payload, end),
            // A port of HTTP, where nobody has spoken it yet: only what a server says is taken for it.
            _ if is_http => {
                if is_http_port(sport) {
                    self.t.group("http", payload, rest);
                    self.t.close();
                }
                Some(())
            }
            _ => self.data(payload, rest),
        }
    }
}

fn flags(t: &mut Tree<'_>, at: usize) -> Option<()> {
    let all = t.word(at + 12)? & 0x0fff;
    t.add_number("tcp.flags", at + 12, 2, all);
    let set: Vec<&str> = FLAGS
        .iter()
        .rev()
        .filter(|(_, bit, _)| all & u16::from(*bit) != 0)
        .map(|(_, _, word)| *word)
        .collect();
    t.note(set.join(", "));
    t.open();
    t.add_number("tcp.flags.res", at + 12, 1, i64::from(all & 0x0e00 != 0));
    t.add_number("tcp.flags.ae", at + 12, 1, i64::from(all & 0x0100 != 0));
    for (name, bit, _) in FLAGS {
        t.bit(name, at + 13, bit)?;
    }
    t.close();
    Some(())
}

/// The options of a header: kind, and where each begins and ends.
fn each_option(bytes: &[u8]) -> impl Iterator<Item = (u8, usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let kind = *bytes.get(at)?;
        let len = match kind {
            0 | 1 => 1,
            _ => usize::from(*bytes.get(at + 1)?).max(2),
        };
        let from = at;
        at += len;
        (at <= bytes.len()).then_some((kind, from, at))
    })
}

fn window_scale(bytes: &[u8]) -> Option<u8> {
    each_option(bytes).find(|(kind, ..)| *kind == 3).and_then(|(_, from, _)| bytes.get(from + 2).copied())
}

fn options(t: &mut Tree<'_>, at: usize, end: usize) -> Option<()> {
    let bytes = t.bytes(at, end.checked_sub(at)?)?;
    t.raw("tcp.options", at, bytes.len())?;
    t.open();
    for (kind, from, to) in each_option(bytes) {
        let (at, len) = (at + from, to - from);
        let name = match kind {
            1 => "tcp.options.nop",
            2 => "tcp.options.mss",
            3 => "tcp.options.wscale",
            4 => "tcp.options.sack_perm",
            8 => "tcp.options.timestamp",
            _ => continue,
        };
        t.raw(name, at, len)?;
        t.open();
        t.number("tcp.option_kind", at, 1)?;
        if kind != 1 {
            t.number("tcp.option_len", at + 1, 1)?;
        }
        match kind {
            2 => {
                t.number("tcp.options.mss_val", at + 2, 2)?;
            }
            3 => {
                let shift = t.number("tcp.options.wscale.shift", at + 2, 1)?;
                t.add_number("tcp.options.wscale.multiplier", at + 2, 1, 1_i64 << shift.min(14));
            }
            8 => {
                t.number("tcp.options.timestamp.tsval", at + 2, 4)?;
                t.number("tcp.options.timestamp.tsecr", at + 6, 4)?;
            }
            _ => {}
        }
        t.close();
    }
    t.close();
    Some(())
}
