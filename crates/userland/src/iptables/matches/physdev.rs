//! `-m physdev`.

use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::rule::iface;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::matches::Physdev;
use kernel::netfilter::xtables::{IfaceMatch, Neg};

impl Text for Physdev {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["physdev-in"], &["DEVICE[+]"]).or_not(),
        Opt::value(&["physdev-out"], &["DEVICE[+]"]).or_not(),
        Opt::flag(&["physdev-is-in"]).or_not(),
        Opt::flag(&["physdev-is-out"]).or_not(),
        Opt::flag(&["physdev-is-bridged"]).or_not(),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let flag = Some(given.neg(()));
        match given.name {
            "physdev-in" => self.dev_in = Some(given.neg(iface(given.value)?)),
            "physdev-out" => self.dev_out = Some(given.neg(iface(given.value)?)),
            "physdev-is-in" => self.is_in = flag,
            "physdev-is-out" => self.is_out = flag,
            _ => self.is_bridged = flag,
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if seen.0.is_empty() {
            let help = "expected at least one option such as --physdev-in DEVICE or --physdev-is-bridged";
            return Err(
                Fault::new("physdev without an option", help).usage("PHYSDEV: no physdev option specified")
            );
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        // Bridged is looked at first and printed last.
        out.condition(1, self.is_in, "--physdev-is-in");
        out.optional(3, self.dev_in.as_ref(), "--physdev-in", iface_text);
        out.condition(2, self.is_out, "--physdev-is-out");
        out.optional(4, self.dev_out.as_ref(), "--physdev-out", iface_text);
        out.condition(0, self.is_bridged, "--physdev-is-bridged");
    }

    fn list(&self, _: &Names, out: &mut String) {
        // The listing differs from -S only in its first words.
        let mut save = Save::default();
        self.save(&mut save);
        out.push_str(" PHYSDEV match");
        for (text, _) in save.options {
            out.push(' ');
            out.push_str(&text);
        }
    }
}

/// A device name with its `+`.
pub(in crate::iptables) fn iface_text(i: &IfaceMatch) -> String {
    format!("{}{}", i.name, if i.wildcard { "+" } else { "" })
}

/// True if the kernel refuses the match where OUTPUT reaches it: the output port is not known there.
pub(in crate::iptables) fn not_from_output(m: &Physdev) -> bool {
    let bridged = m.is_bridged == Some(Neg::plain(()));
    (m.dev_out.is_some() || m.is_out.is_some()) && !bridged
}
