//! `-m udp`, and the ports that tcp shares with it.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::port;
use kernel::netfilter::xtables::matches::UdpMatch;
use kernel::netfilter::xtables::{Neg, PortRange};
use packet::Protocol;

impl Text for UdpMatch {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["source-port", "sport"], &["PORT[:PORT]"]).or_not(),
        Opt::value(&["destination-port", "dport"], &["PORT[:PORT]"]).or_not(),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let range = two_at_most("udp", given).and_then(port::resolved_range)?;
        let ports = not_all(given, range);
        match given.name {
            "source-port" => self.sport = ports,
            _ => self.dport = ports,
        }
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        save_ports(self.sport, self.dport, out);
    }

    fn list(&self, names: &Names, out: &mut String) {
        out.push_str(" udp");
        list_ports(self.sport, self.dport, Protocol::UDP, names, out);
    }
}

/// Every port is the same as no option, unless it is inverted: then no packet matches.
pub(super) fn not_all(given: &Given<'_>, range: PortRange) -> Option<Neg<PortRange>> {
    (given.not || range != PortRange::ALL).then(|| given.neg(range))
}

/// `--sport`, `--dport`. Of every port iptables writes nothing, also where that changes what the rule means.
pub(super) fn save_ports(sport: Option<Neg<PortRange>>, dport: Option<Neg<PortRange>>, out: &mut Save) {
    for (order, name, ports) in [(0, "--sport", sport), (1, "--dport", dport)] {
        let shown = ports.filter(|p| p.value != PortRange::ALL);
        out.optional(order, shown.as_ref(), name, |p| port::range_text(*p));
    }
}

/// The value, if it is not more than a range.
pub(super) fn two_at_most<'a>(ext: &str, given: &Given<'a>) -> Result<&'a str, Fault> {
    if given.value.matches(':').count() < 2 {
        return Ok(given.value);
    }
    let name = given.name;
    Err(Fault::new(format!("{} is not a range of ports", q(given.value)), "expected PORT or PORT:PORT")
        .usage(format!("{ext}: Too many components for option \"--{name}\" (max: 2)\n")))
}

/// ` spt:1 dpts:2:3`.
pub(super) fn list_ports(
    sport: Option<Neg<PortRange>>,
    dport: Option<Neg<PortRange>>,
    proto: Protocol,
    names: &Names,
    out: &mut String,
) {
    for (word, ports) in [("spt", sport), ("dpt", dport)] {
        let Some(Neg { not, value: PortRange { min, max } }) = ports else { continue };
        let not = if not { "!" } else { "" };
        let show = |p| port::shown(p, proto, names.numeric);
        out.push_str(&match min == max {
            true => format!(" {word}:{not}{}", show(min)),
            false => format!(" {word}s:{not}{}:{}", show(min), show(max)),
        });
    }
}
