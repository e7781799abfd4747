//! `-j LOG`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, cut, quoted};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::targets::Log;

/// The names of the levels for `--log-level`. They are not quite those that `-L` prints.
const LEVELS: [(&str, u8); 9] = [
    ("emerg", 0),
    ("panic", 0),
    ("alert", 1),
    ("crit", 2),
    ("error", 3),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
];

/// The names of the levels in a listing, by number.
const SHOWN: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

/// The kernel's field has room for this many bytes and a NUL.
const PREFIX_MAX: usize = 29;

/// warning, what LOG does if it is not told.
const DEFAULT_LEVEL: u8 = 4;

impl Text for Log {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["log-level"], &["LEVEL"]),
        Opt::value(&["log-prefix"], &["TEXT"]),
        Opt::flag(&["log-tcp-sequence"]),
        Opt::flag(&["log-tcp-options"]),
        Opt::flag(&["log-ip-options"]),
        Opt::flag(&["log-uid"]),
        Opt::flag(&["log-macdecode"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "log-level" => self.level = level(given.value)?,
            "log-prefix" => {
                some_prefix(given)?;
                self.prefix = cut(given.value, PREFIX_MAX);
            }
            "log-tcp-sequence" => self.tcp_sequence = true,
            "log-tcp-options" => self.tcp_options = true,
            "log-ip-options" => self.ip_options = true,
            "log-uid" => self.uid = true,
            _ => self.macdecode = true,
        }
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        if !self.prefix.is_empty() {
            out.other(format!("--log-prefix {}", quoted(&self.prefix)));
        }
        if self.level != DEFAULT_LEVEL {
            out.other(format!("--log-level {}", self.level));
        }
        for (set, word) in flags(self) {
            out.flag(set, &format!("--log-{word}"));
        }
    }

    fn list(&self, names: &Names, out: &mut String) {
        out.push_str(" LOG");
        if names.numeric {
            let bits = flags(self).into_iter().map(|(set, word)| if set { bit(word) } else { 0 });
            out.push_str(&format!(" flags {} level {}", bits.sum::<u32>(), self.level));
        } else {
            match SHOWN.get(usize::from(self.level)) {
                Some(name) => out.push_str(&format!(" level {name}")),
                None => out.push_str(&format!(" UNKNOWN level {}", self.level)),
            }
            for (_, word) in flags(self).iter().filter(|(set, _)| *set) {
                out.push_str(&format!(" {word}"));
            }
        }
        if !self.prefix.is_empty() {
            out.push_str(&format!(" prefix \"{}\"", self.prefix));
        }
    }
}

/// The flags in the order in which they are printed.
fn flags(log: &Log) -> [(bool, &'static str); 5] {
    [
        (log.tcp_sequence, "tcp-sequence"),
        (log.tcp_options, "tcp-options"),
        (log.ip_options, "ip-options"),
        (log.uid, "uid"),
        (log.macdecode, "macdecode"),
    ]
}

/// `XT_LOG_*`; bit 4 (log the MAC of the outgoing frame) has no option.
fn bit(word: &str) -> u32 {
    match word {
        "tcp-sequence" => 1,
        "tcp-options" => 2,
        "ip-options" => 4,
        "uid" => 8,
        _ => 32,
    }
}

/// An empty prefix is none, so it is refused.
pub(super) fn some_prefix(given: &Given<'_>) -> Result<(), Fault> {
    if !given.value.is_empty() {
        return Ok(());
    }
    Err(Fault::new("an empty log prefix", "expected at least one character")
        .usage("Argument must have a minimum length of 1 characters\n"))
}

fn level(text: &str) -> Result<u8, Fault> {
    let number = unsigned(text, 0, 7).and_then(|n| u8::try_from(n).ok());
    let named = LEVELS.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
    number.or(named).ok_or_else(|| {
        let names: Vec<&str> = LEVELS.iter().map(|(n, _)| *n).collect();
        Fault::new(
            format!("unknown log level {}", q(text)),
            format!("expected a number from 0 to 7 or one of {}", names.join(", ")),
        )
        .usage(format!("log level \"{text}\" unknown\n"))
    })
}
