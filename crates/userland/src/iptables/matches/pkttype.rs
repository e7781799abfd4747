//! `-m pkttype`.

use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, one_of};
use kernel::PktType;
use kernel::netfilter::xtables::matches::PkttypeMatch;

const TYPES: [(&str, PktType); 7] = [
    ("unicast", PktType::Host),
    ("broadcast", PktType::Broadcast),
    ("multicast", PktType::Multicast),
    ("otherhost", PktType::OtherHost),
    ("bcast", PktType::Broadcast),
    ("mcast", PktType::Multicast),
    ("host", PktType::Host),
];

impl Text for PkttypeMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["pkt-type"], &["TYPE"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let says = format!("Bad packet type '{}'", given.value);
        self.kind = given.neg(one_of(given.value, &TYPES, "packet type").map_err(|f| f.usage(says))?);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("pkttype", "pkt-type")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.kind.not, "--pkt-type", self.kind.value.name());
    }

    fn list(&self, _: &Names, out: &mut String) {
        let sign = if self.kind.not { "!=" } else { "=" };
        out.push_str(&format!(" PKTTYPE {sign} {}", self.kind.value.name()));
    }
}
