//! `-j REJECT`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::targets::{Reject, RejectWith};
use packet::Family;

/// The short names.
const ALIASES: [(&str, RejectWith); 8] = [
    ("net-unreach", RejectWith::NetUnreachable),
    ("host-unreach", RejectWith::HostUnreachable),
    ("proto-unreach", RejectWith::ProtoUnreachable),
    ("port-unreach", RejectWith::PortUnreachable),
    ("net-prohib", RejectWith::NetProhibited),
    ("host-prohib", RejectWith::HostProhibited),
    ("tcp-rst", RejectWith::TcpReset),
    ("admin-prohib", RejectWith::AdminProhibited),
];

/// Those of ip6tables.
const ALIASES6: [(&str, RejectWith); 7] = [
    ("no-route", RejectWith::NoRoute),
    ("adm-prohibited", RejectWith::AdmProhibited),
    ("addr-unreach", RejectWith::AddrUnreachable),
    ("port-unreach", RejectWith::PortUnreachable6),
    ("tcp-reset", RejectWith::TcpReset),
    ("policy-fail", RejectWith::PolicyFail),
    ("reject-route", RejectWith::RejectRoute),
];

/// Before its option is read.
pub(super) fn new(family: Family) -> Reject {
    match family {
        Family::V4 => Reject::default(),
        Family::V6 => Reject { with: RejectWith::PortUnreachable6 },
    }
}

impl Text for Reject {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["reject-with"], &["TYPE"])];

    /// The beginning of a name is enough, the first that fits is taken.
    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let lower = given.value.to_ascii_lowercase();
        let (aliases, all): (&[_], &[RejectWith]) = match given.family {
            Family::V4 => (&ALIASES, &RejectWith::ALL),
            Family::V6 => (&ALIASES6, &RejectWith::ALL6),
        };
        let names = aliases.iter().map(|&(alias, with)| (with.name(), alias, with));
        let mut fits = names.filter(|(name, alias, _)| name.starts_with(&lower) || alias.starts_with(&lower));
        self.with = fits.next().map(|(.., with)| with).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|w| w.name()).collect();
            Fault::new(
                format!("unknown reject type {}", q(given.value)),
                format!("expected one of {}", names.join(", ")),
            )
            .usage(format!("unknown reject type \"{}\"", given.value))
        })?;
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.other(format!("--reject-with {}", self.with.name()));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" reject-with {}", self.with.name()));
    }
}
