//! `-m comment`.

use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, cut, quoted};

/// The kernel's field has room for this many bytes and a NUL.
const MAX: usize = 255;

/// The comment itself is the whole match.
impl Text for String {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["comment"], &["TEXT"])];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        *self = cut(given.value, MAX);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("comment", "comment")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, false, "--comment", &quoted(self));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" /* {self} */"));
    }
}
