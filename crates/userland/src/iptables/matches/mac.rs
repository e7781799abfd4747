//! `-m mac`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang};
use kernel::netfilter::xtables::matches::MacMatch;

impl Text for MacMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["mac-source"], &["MAC"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let mac = given.value.parse().map_err(|_| {
            let help = "expected six pairs of hexadecimal digits such as 02:00:00:00:01:0a";
            Fault::new(format!("{} is not a MAC address", q(given.value)), help)
                .usage("Invalid MAC address specified.")
        })?;
        self.source = given.neg(mac);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("mac", "mac-source")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.source.not, "--mac-source", &self.source.value.to_string());
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" MAC {}{}", bang(self.source.not), self.source.value));
    }
}
