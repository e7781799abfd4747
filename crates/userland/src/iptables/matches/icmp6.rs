//! `-m icmp6`.

use super::icmp::{Kind, Table, kind, named};
use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::matches::Icmp6Match;

/// The names of ip6tables, as [`super::icmp::NAMES`].
const NAMES: Table = &[
    ("destination-unreachable", 1, None),
    ("no-route", 1, Some(0)),
    ("communication-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)),
    ("address-unreachable", 1, Some(3)),
    ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)),
    ("reject-route", 1, Some(6)),
    ("packet-too-big", 2, None),
    ("time-exceeded", 3, None),
    ("ttl-exceeded", 3, None),
    ("ttl-zero-during-transit", 3, Some(0)),
    ("ttl-zero-during-reassembly", 3, Some(1)),
    ("parameter-problem", 4, None),
    ("bad-header", 4, Some(0)),
    ("unknown-header-type", 4, Some(1)),
    ("unknown-option", 4, Some(2)),
    ("echo-request", 128, None),
    ("ping", 128, None),
    ("echo-reply", 129, None),
    ("pong", 129, None),
    ("router-solicitation", 133, None),
    ("router-advertisement", 134, None),
    ("neighbour-solicitation", 135, None),
    ("neighbor-solicitation", 135, None),
    ("neighbour-advertisement", 136, None),
    ("neighbor-advertisement", 136, None),
    ("redirect", 137, None),
];

impl Text for Icmp6Match {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["icmpv6-type"], &["TYPE[/CODE] or a name"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        self.kind = given.neg(kind(NAMES, "ICMPv6", given.value)?);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("icmp6", "icmpv6-type")
    }

    fn save(&self, out: &mut Save) {
        let (kind, min, max) = self.kind.value;
        let text = if (min, max) == (0, 255) { kind.to_string() } else { format!("{kind}/{min}") };
        out.value(0, self.kind.not, "--icmpv6-type", &text);
    }

    fn list(&self, names: &Names, out: &mut String) {
        let (kind, min, max): Kind = self.kind.value;
        match (named(NAMES, self.kind.value).filter(|_| !names.numeric), self.kind.not) {
            (Some(name), not) => out.push_str(&format!(" ipv6-icmp {}{name}", if not { "!" } else { "" })),
            (None, false) => out.push_str(&format!(" ipv6-icmptype {kind}")),
            (None, true) => out.push_str(&format!(" ipv6-icmp !type {kind}")),
        }
        if (min, max) != (0, 255) && !out.ends_with(|c: char| c.is_ascii_alphabetic()) {
            out.push_str(&format!(" code {min}"));
        }
    }
}
