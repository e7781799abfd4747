//! `-m icmp`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::matches::IcmpMatch;

/// Type and the codes from .. to.
pub(super) type Kind = (u8, u8, u8);

/// Names: name, type, code or all of them. The first name of a type and code is the one printed.
pub(super) type Table = &'static [(&'static str, u8, Option<u8>)];

/// Every type.
pub(super) const ANY: Kind = (IcmpMatch::ANY, 0, 255);

/// The names of iptables.
const NAMES: Table = &[
    ("any", IcmpMatch::ANY, None),
    ("echo-reply", 0, None),
    ("pong", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)),
    ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)),
    ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)),
    ("host-unknown", 3, Some(7)),
    ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)),
    ("TOS-network-unreachable", 3, Some(11)),
    ("TOS-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)),
    ("source-quench", 4, None),
    ("redirect", 5, None),
    ("network-redirect", 5, Some(0)),
    ("host-redirect", 5, Some(1)),
    ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)),
    ("echo-request", 8, None),
    ("ping", 8, None),
    ("router-advertisement", 9, None),
    ("router-solicitation", 10, None),
    ("time-exceeded", 11, None),
    ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)),
    ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None),
    ("ip-header-bad", 12, Some(0)),
    ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None),
    ("timestamp-reply", 14, None),
    ("address-mask-request", 17, None),
    ("address-mask-reply", 18, None),
];

fn codes(code: Option<u8>) -> (u8, u8) {
    code.map_or((0, 255), |c| (c, c))
}

impl Text for IcmpMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["icmp-type"], &["TYPE[/CODE] or a name"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        self.kind = given.neg(kind(NAMES, "ICMP", given.value)?);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("icmp", "icmp-type")
    }

    fn save(&self, out: &mut Save) {
        let (kind, min, max) = self.kind.value;
        let text = match (kind, min, max) {
            (IcmpMatch::ANY, ..) => "any".to_owned(),
            (kind, 0, 255) => kind.to_string(),
            (kind, code, _) => format!("{kind}/{code}"),
        };
        out.value(0, self.kind.not, "--icmp-type", &text);
    }

    fn list(&self, names: &Names, out: &mut String) {
        let (kind, min, max) = self.kind.value;
        let name = named(NAMES, self.kind.value).filter(|_| !names.numeric);
        out.push_str(&match (name, self.kind.not) {
            (Some(name), not) => format!(" icmp {}{name}", if not { "!" } else { "" }),
            (None, false) => format!(" icmptype {kind}"),
            (None, true) => format!(" icmp !type {kind}"),
        });
        if name.is_none() && (min, max) != (0, 255) {
            out.push_str(&format!(" code {min}"));
        }
    }
}

/// The name of a type with its codes.
pub(super) fn named(names: Table, (kind, min, max): Kind) -> Option<&'static str> {
    names.iter().find(|(_, k, code)| *k == kind && codes(*code) == (min, max)).map(|(name, ..)| *name)
}

/// `TYPE`, `TYPE/CODE`, or the beginning of a name that no other name has.
pub(super) fn kind(names: Table, protocol: &str, text: &str) -> Result<Kind, Fault> {
    let lower = text.to_ascii_lowercase();
    let mut named = names.iter().filter(|(name, ..)| name.to_ascii_lowercase().starts_with(&lower));
    if let Some(&(name, kind, code)) = named.next() {
        if let Some((other, ..)) = named.next() {
            return Err(Fault::new(
                format!("ambiguous {protocol} type {}", q(text)),
                format!("expected the whole name, {name} or {other}"),
            )
            .usage(format!("Ambiguous {protocol} type `{text}': `{name}' or `{other}'?")));
        }
        let (min, max) = codes(code);
        return Ok((kind, min, max));
    }
    let (kind, code) = text.split_once('/').map_or((text, None), |(k, c)| (k, Some(c)));
    let byte = |t: &str| unsigned(t, 0, 255).and_then(|n| u8::try_from(n).ok());
    let Some(kind) = byte(kind) else {
        return Err(Fault::new(
            format!("unknown {protocol} type {}", q(text)),
            "expected a number from 0 to 255, TYPE/CODE, or a name such as echo-request or port-unreachable",
        )
        .usage(format!("Unknown {protocol} type `{text}'")));
    };
    let Some(code) = code else { return Ok((kind, 0, 255)) };
    match byte(code) {
        Some(code) => Ok((kind, code, code)),
        None => Err(Fault::new(
            format!("unknown {protocol} code {}", q(code)),
            "expected a number from 0 to 255 after the slash",
        )
        .usage(format!("Unknown {protocol} code `{text}'"))),
    }
}
