//! `-j NFLOG`.

use super::number_in;
use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, cut, quoted};
use kernel::netfilter::xtables::targets::Nflog;

/// The kernel's field has room for this many bytes and a NUL.
const PREFIX_MAX: usize = 63;

impl Text for Nflog {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["nflog-group"], &["NUMBER"]),
        Opt::value(&["nflog-prefix"], &["TEXT"]),
        Opt::value(&["nflog-range"], &["BYTES"]),
        Opt::value(&["nflog-size"], &["BYTES"]),
        Opt::value(&["nflog-threshold"], &["NUMBER"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let word = || number_in("NFLOG", given, 0, u64::from(u16::MAX)).map(|n| (n & 0xffff) as u16);
        match given.name {
            "nflog-group" => self.group = word()?,
            "nflog-threshold" => self.threshold = word()?,
            "nflog-prefix" => {
                super::log::some_prefix(given)?;
                self.prefix = cut(given.value, PREFIX_MAX);
            }
            name => {
                let n = number_in("NFLOG", given, 0, u64::from(u32::MAX))?;
                (self.len, self.copy_len) = ((n & 0xffff_ffff) as u32, name == "nflog-size");
            }
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.only_one("NFLOG", "nflog-range", "nflog-size")
    }

    fn save(&self, out: &mut Save) {
        for (word, value) in words(self) {
            out.other(format!("--nflog-{word} {value}"));
        }
    }

    fn list(&self, _: &Names, out: &mut String) {
        for (word, value) in words(self) {
            out.push_str(&format!(" nflog-{word} {value}"));
        }
    }
}

/// What is not as it would be without options, in the order in which it is printed.
fn words(nflog: &Nflog) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if !nflog.prefix.is_empty() {
        out.push(("prefix", quoted(&nflog.prefix)));
    }
    let length = if nflog.copy_len { "size" } else { "range" };
    let numbers = [
        ("group", u32::from(nflog.group), nflog.group != 0),
        (length, nflog.len, nflog.copy_len || nflog.len != 0),
        ("threshold", u32::from(nflog.threshold), nflog.threshold != 0),
    ];
    out.extend(numbers.iter().filter(|(.., set)| *set).map(|(word, n, _)| (*word, n.to_string())));
    out
}
