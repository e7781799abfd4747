//! `-m iprange`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang};
use crate::names::addr::dotted;
use kernel::netfilter::xtables::matches::Iprange;
use std::net::Ipv4Addr;

type Range = (Ipv4Addr, Ipv4Addr);

impl Text for Iprange {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["src-range"], &["ADDRESS[-ADDRESS]"]).or_not(),
        Opt::value(&["dst-range"], &["ADDRESS[-ADDRESS]"]).or_not(),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let range = Some(given.neg(range(given)?));
        match given.name {
            "src-range" => self.src = range,
            _ => self.dst = range,
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if seen.0.is_empty() {
            let says = "iprange match: You must specify `--src-range' or `--dst-range'";
            return Err(
                Fault::new("iprange without a range", "expected --src-range or --dst-range").usage(says)
            );
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.optional(0, self.src.as_ref(), "--src-range", range_text);
        out.optional(1, self.dst.as_ref(), "--dst-range", range_text);
    }

    fn list(&self, _: &Names, out: &mut String) {
        for (word, range) in [("source", &self.src), ("destination", &self.dst)] {
            if let Some(r) = range {
                out.push_str(&format!(" {word} IP range {}{}", bang(r.not), range_text(&r.value)));
            }
        }
    }
}

fn range_text((min, max): &Range) -> String {
    format!("{min}-{max}")
}

/// A range that runs backwards is accepted, though it contains nothing.
fn range(given: &Given<'_>) -> Result<Range, Fault> {
    let one = |text: &str| {
        dotted(text).ok_or_else(|| {
            let help = "expected an address, or two with a hyphen between them such as 10.0.0.1-10.0.0.9";
            Fault::new(format!("{} is not an IPv4 address", q(text)), help)
                .usage(format!("iprange: Bad value for \"--{}\" option: \"{text}\"", given.name))
        })
    };
    let (min, max) = given.value.split_once('-').unwrap_or((given.value, given.value));
    Ok((one(min)?, one(max)?))
}
