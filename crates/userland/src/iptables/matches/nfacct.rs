//! `-m nfacct`.

use crate::diagnostic::{Fault, ToolError, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, cut, quoted};
use kernel::netfilter::xtables::matches::{Nfacct, NfacctMatch};

impl Text for NfacctMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["nfacct-name"], &["NAME"])];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        if given.value.is_empty() {
            return Err(Fault::new("an empty name", "expected the name of an object that nfacct has added")
                .usage("Argument must have a minimum length of 1 characters\n"));
        }
        self.name = cut(given.value, Nfacct::NAME_MAX);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("nfacct", "nfacct-name")
    }

    fn save(&self, out: &mut Save) {
        // iptables 1.8.9 writes two blanks.
        out.check(0, format!("--nfacct-name  {}", quoted(&self.name)));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" nfacct-name  {}", quoted(&self.name)));
    }
}

/// A rule with an object that does not exist.
pub(in crate::iptables) fn missing(name: &str) -> Fault {
    Fault::new(
        format!("there is no accounting object {}", q(name)),
        "expected one that `nfacct add` has made",
    )
    .says(ToolError::NO_CHAIN)
}
