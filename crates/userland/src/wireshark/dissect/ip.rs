//! IPv4 and IPv6 (packet-ip.c, packet-ipv6.c), each fragment for itself: `ip.defragment:FALSE`.

use super::Dissector;
use crate::wireshark::tree::Value;
use std::net::IpAddr;

/// The part of a packet that the layer above IP has.
#[derive(Clone, Copy)]
pub(super) struct Above {
    pub src: IpAddr,
    pub dst: IpAddr,
    /// Where it begins.
    pub at: usize,
    /// Where it ends, by the IP header and by the frame.
    pub end: usize,
    /// How long the IP header says that it is.
    pub len: usize,
    /// Other fragments follow.
    pub cut: bool,
}

impl Dissector<'_> {
    pub(super) fn network(&mut self, at: usize) -> Option<()> {
        match self.t.byte(at)? >> 4 {
            4 => self.ipv4(at),
            6 => self.ipv6(at),
            _ => self.data(at, self.t.frame.len().saturating_sub(at)),
        }
    }

    fn ipv4(&mut self, at: usize) -> Option<()> {
        let t = &mut self.t;
        let first = t.byte(at)?;
        let header = usize::from(first & 15) * 4;
        t.group("ip", at, header);
        t.add_number("ip.version", at, 1, first >> 4);
        t.add_number("ip.hdr_len", at, 1, header as i64);
        let ds = t.number("ip.dsfield", at + 1, 1)?;
        t.open();
        t.add_number("ip.dsfield.dscp", at + 1, 1, ds >> 2);
        t.add_number("ip.dsfield.ecn", at + 1, 1, ds & 3);
        t.close();
        let total = t.number("ip.len", at + 2, 2)?;
        t.number("ip.id", at + 4, 2)?;
        let flags = t.byte(at + 6)?;
        t.add_number("ip.flags", at + 6, 1, flags >> 5);
        t.note(match flags >> 5 & 3 {
            1 => "More fragments",
            2 => "Don't fragment",
            3 => "Don't fragment, More fragments",
            _ => "",
        });
        t.open();
        t.bit("ip.flags.rb", at + 6, 0x80)?;
        t.bit("ip.flags.df", at + 6, 0x40)?;
        let more = t.bit("ip.flags.mf", at + 6, 0x20)?;
        t.close();
        let offset = t.word(at + 6)? & 0x1fff;
        t.add_number("ip.frag_offset", at + 6, 2, offset);
        if offset != 0 {
            t.note(format!("{} bytes", u32::from(offset) * 8));
        }
        t.number("ip.ttl", at + 8, 1)?;
        let protocol = t.number("ip.proto", at + 9, 1)?;
        t.note(protocol_name(protocol));
        t.number("ip.checksum", at + 10, 2)?;
        let src = t.ipv4("ip.src", at + 12)?;
        t.ipv4("ip.addr", at + 12)?;
        t.hide();
        let dst = t.ipv4("ip.dst", at + 16)?;
        t.ipv4("ip.addr", at + 16)?;
        t.hide();
        t.close();
        let len = usize::try_from(total).unwrap_or(0).saturating_sub(header);
        let start = at + header;
        let end = start.saturating_add(len).min(t.frame.len());
        let above = Above { src: src.into(), dst: dst.into(), at: start, end, len, cut: more };
        if offset != 0 {
            return self.data(start, end.saturating_sub(start));
        }
        self.above(protocol, above)
    }

    fn ipv6(&mut self, at: usize) -> Option<()> {
        let t = &mut self.t;
        t.group("ipv6", at, 40);
        t.add_number("ipv6.version", at, 1, 6);
        let len = t.number("ipv6.plen", at + 4, 2)?;
        let next = t.number("ipv6.nxt", at + 6, 1)?;
        t.note(protocol_name(next));
        t.number("ipv6.hlim", at + 7, 1)?;
        let src = t.ipv6("ipv6.src", at + 8)?;
        t.add("ipv6.addr", at + 8, 16, Value::Ip(src.into()));
        t.hide();
        let dst = t.ipv6("ipv6.dst", at + 24)?;
        t.add("ipv6.addr", at + 24, 16, Value::Ip(dst.into()));
        t.hide();
        t.close();
        let len = usize::try_from(len).unwrap_or(0);
        let start = at + 40;
        let end = start.saturating_add(len).min(t.frame.len());
        self.above(next, Above { src: src.into(), dst: dst.into(), at: start, end, len, cut: false })
    }

    fn above(&mut self, protocol: i64, above: Above) -> Option<()> {
        match protocol {
            1 => self.icmp(above),
            4 => self.network(above.at),
            6 => self.tcp(above),
            17 => self.udp(above),
            58 => self.icmpv6(above),
            _ => self.data(above.at, above.end.saturating_sub(above.at)),
        }
    }
}

fn protocol_name(protocol: i64) -> &'static str {
    match protocol {
        1 => "ICMP",
        4 => "IPIP",
        6 => "TCP",
        17 => "UDP",
        47 => "GRE",
        58 => "ICMPv6",
        132 => "SCTP",
        _ => "",
    }
}
