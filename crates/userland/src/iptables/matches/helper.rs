//! `-m helper`.

use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang, cut, quoted};
use kernel::netfilter::xtables::matches::HelperMatch;

/// The kernel's field has room for this many bytes and a NUL.
const MAX: usize = 29;

impl Text for HelperMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["helper"], &["NAME"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        self.name = given.neg(cut(given.value, MAX));
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("helper", "helper")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.name.not, "--helper", &quoted(&self.name.value));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" helper match {}\"{}\"", bang(self.name.not), self.name.value));
    }
}
