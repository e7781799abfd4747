//! `-m rpfilter`.

use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::matches::Rpfilter;

impl Text for Rpfilter {
    const OPTIONS: &'static [Opt] = &[
        Opt::flag(&["loose"]),
        Opt::flag(&["validmark"]),
        Opt::flag(&["accept-local"]),
        Opt::flag(&["invert"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "loose" => self.loose = true,
            "validmark" => self.validmark = true,
            "accept-local" => self.accept_local = true,
            _ => self.invert = true,
        }
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        // They are one check.
        let text = words(self, "--").join(" ");
        if !text.is_empty() {
            out.check(0, text);
        }
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(" rpfilter");
        for word in words(self, "") {
            out.push(' ');
            out.push_str(&word);
        }
    }
}

fn words(o: &Rpfilter, before: &str) -> Vec<String> {
    let flags = [
        (o.loose, "loose"),
        (o.validmark, "validmark"),
        (o.accept_local, "accept-local"),
        (o.invert, "invert"),
    ];
    flags.iter().filter(|(set, _)| *set).map(|(_, name)| [before, name].concat()).collect()
}
