//! UDP and VXLAN (packet-udp.c, packet-vxlan.c).

use super::Dissector;
use super::ip::Above;
use crate::wireshark::follow::App;

impl Dissector<'_> {
    pub(super) fn udp(&mut self, a: Above) -> Option<()> {
        let (at, end) = (a.at, a.end);
        let t = &mut self.t;
        t.group("udp", at, 8);
        let (sport, dport) = (t.word(at)?, t.word(at + 2)?);
        t.number("udp.srcport", at, 2)?;
        t.number("udp.dstport", at + 2, 2)?;
        for at in [at, at + 2] {
            t.number("udp.port", at, 2)?;
            t.hide();
        }
        t.number("udp.length", at + 4, 2)?;
        t.number("udp.checksum", at + 6, 2)?;
        let payload = at + 8;
        // Read request or write request.
        let asks = dport == 69;
        let flow = self.source.flow(|f| f.udp((a.src, sport), (a.dst, dport), asks));
        t.add_number("udp.stream", payload, 0, flow.stream);
        let rest = end.saturating_sub(payload);
        if rest > 0 {
            t.raw("udp.payload", payload, rest)?;
        }
        t.close();
        let either = |port| sport == port || dport == port;
        match () {
            () if rest == 0 => Some(()),
            () if either(53) => self.dns(payload, end),
            () if dport == 4789 || dport == 8472 => self.vxlan(payload, end),
            () if flow.app == App::Tftp => self.tftp(payload, end),
            () => self.data(payload, rest),
        }
    }

    fn vxlan(&mut self, at: usize, end: usize) -> Option<()> {
        let t = &mut self.t;
        t.group("vxlan", at, 8);
        t.number("vxlan.flags", at, 2)?;
        t.number("vxlan.gbp", at + 2, 2)?;
        t.number("vxlan.vni", at + 4, 3)?;
        t.number("vxlan.reserved8", at + 7, 1)?;
        t.close();
        if at + 8 < end { self.ethernet(at + 8) } else { Some(()) }
    }
}
