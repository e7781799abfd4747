//! `-m mark`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang};
use crate::names::number::{BadMark, value_mask};
use kernel::netfilter::xtables::matches::MarkMatch;

impl Text for MarkMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["mark"], &["VALUE[/MASK]"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        self.mark = given.neg(mark("mark", given)?);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("mark", "mark")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.mark.not, "--mark", &mark_text(self.mark.value));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" mark match {}{}", bang(self.mark.not), mark_text(self.mark.value)));
    }
}

/// `VALUE[/MASK]` of an option that iptables calls by the extension's name.
pub(in crate::iptables) fn mark(ext: &str, given: &Given<'_>) -> Result<(u32, u32), Fault> {
    value_mask(given.value).map_err(|bad| {
        let says = match bad {
            BadMark::Number => {
                format!("{ext}: bad integer value for option \"--{}\", or out of range.\n", given.name)
            }
            BadMark::Garbage => {
                format!("{ext}: trailing garbage after value for option \"--{}\".\n", given.name)
            }
        };
        let help = "expected a number of 32 bits such as 0x4000, or with a mask, 0x4000/0x4000";
        Fault::new(format!("{} is not a mark", q(given.value)), help).usage(says)
    })
}

/// The mask is left out if it is all ones.
pub(super) fn mark_text((value, mask): (u32, u32)) -> String {
    if mask == u32::MAX { format!("0x{value:x}") } else { format!("0x{value:x}/0x{mask:x}") }
}
