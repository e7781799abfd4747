//! `-m tcpmss`.

use super::length::{range, range_text};
use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::matches::Tcpmss;

impl Text for Tcpmss {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["mss"], &["SIZE or MIN:MAX"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let (min, max) = range("tcpmss", given)?;
        if min > max {
            return Err(Fault::new(
                format!("the range {min}:{max} runs backwards"),
                "expected the smaller size first",
            )
            .usage("tcpmss: invalid range given"));
        }
        self.mss = given.neg((min, max));
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("tcpmss", "mss")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.mss.not, "--mss", &range_text(self.mss.value));
    }

    fn list(&self, _: &Names, out: &mut String) {
        let bang = if self.mss.not { "!" } else { "" };
        out.push_str(&format!(" tcpmss match {bang}{}", range_text(self.mss.value)));
    }
}
