//! `-m connmark`.

use super::mark::{mark, mark_text};
use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::matches::ConnmarkMatch;

impl Text for ConnmarkMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["mark"], &["VALUE[/MASK]"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        self.mark = given.neg(mark("connmark", given)?);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("connmark", "mark")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.mark.not, "--mark", &mark_text(self.mark.value));
    }

    fn list(&self, _: &Names, out: &mut String) {
        // Two blanks where the exclamation mark would stand.
        let bang = if self.mark.not { "!" } else { "" };
        out.push_str(&format!(" connmark match {bang} {}", mark_text(self.mark.value)));
    }
}
