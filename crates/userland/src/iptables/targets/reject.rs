//! `-j REJECT`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::targets::{Reject, RejectWith};

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

impl Text for Reject {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["reject-with"], &["TYPE"])];

    /// The beginning of a name is enough, the first that fits is taken.
    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let lower = given.value.to_ascii_lowercase();
        let names = ALIASES.iter().map(|&(alias, with)| (with.name(), alias, with));
        let mut fits = names.filter(|(name, alias, _)| name.starts_with(&lower) || alias.starts_with(&lower));
        self.with = fits.next().map(|(.., with)| with).ok_or_else(|| {
            let names: Vec<&str> = RejectWith::ALL.iter().map(|w| w.name()).collect();
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
