//! Ethernet and ARP (packet-eth.c, packet-arp.c).

use super::Dissector;

impl Dissector<'_> {
    pub(super) fn ethernet(&mut self, at: usize) -> Option<()> {
        let t = &mut self.t;
        t.group("eth", at, 14);
        for (name, at) in [("eth.dst", at), ("eth.src", at + 6)] {
            t.mac(name, at)?;
            t.mac("eth.addr", at)?;
            t.hide();
        }
        let kind = t.number("eth.type", at + 12, 2)?;
        t.note(ether_type(kind));
        t.close();
        match kind {
            0x0806 => self.arp(at + 14),
            0x0800 | 0x86dd => self.network(at + 14),
            _ => self.data(at + 14, self.t.frame.len().saturating_sub(at + 14)),
        }
    }

    fn arp(&mut self, at: usize) -> Option<()> {
        let t = &mut self.t;
        t.group("arp", at, 28);
        t.number("arp.hw.type", at, 2)?;
        t.note("Ethernet");
        let kind = t.number("arp.proto.type", at + 2, 2)?;
        t.note(ether_type(kind));
        t.number("arp.hw.size", at + 4, 1)?;
        t.number("arp.proto.size", at + 5, 1)?;
        let op = t.number("arp.opcode", at + 6, 2)?;
        t.note(match op {
            1 => "request",
            2 => "reply",
            _ => "",
        });
        t.mac("arp.src.hw_mac", at + 8)?;
        t.ipv4("arp.src.proto_ipv4", at + 14)?;
        t.mac("arp.dst.hw_mac", at + 18)?;
        t.ipv4("arp.dst.proto_ipv4", at + 24)?;
        t.close();
        Some(())
    }
}

fn ether_type(kind: i64) -> &'static str {
    match kind {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x86dd => "IPv6",
        _ => "",
    }
}
