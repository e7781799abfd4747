//! `-j MARK`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::matches::mark::mark;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::u32_of;
use kernel::netfilter::xtables::targets::Mark;

/// In the order in which iptables names two of them that exclude each other.
const SPELLINGS: [&str; 5] = ["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"];

impl Text for Mark {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["set-xmark"], &["VALUE[/MASK]"]),
        Opt::value(&["set-mark"], &["VALUE[/MASK]"]),
        Opt::value(&["and-mark"], &["VALUE"]),
        Opt::value(&["or-mark"], &["VALUE"]),
        Opt::value(&["xor-mark"], &["VALUE"]),
    ];

    /// Every spelling becomes value and mask.
    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        *self = read("MARK", given)?;
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.only_one_of("MARK", &SPELLINGS)?;
        if !SPELLINGS.iter().any(|s| seen.has(s)) {
            let help = "expected one of --set-xmark, --set-mark, --and-mark, --or-mark, --xor-mark";
            return Err(Fault::new("MARK without a mark", help)
                .usage("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.other(format!("--set-xmark 0x{:x}/0x{:x}", self.value, self.mask));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&listed("MARK", *self));
    }
}

/// One of the five spellings, of MARK or CONNMARK.
pub(super) fn read(target: &str, given: &Given<'_>) -> Result<Mark, Fault> {
    let bits = || {
        u32_of(given.value).ok_or_else(|| {
            Fault::new(
                format!("{} is not a mark", q(given.value)),
                "expected a number of 32 bits such as 0x4000",
            )
            .usage(format!(
                "{target}: bad value for option \"--{}\", or out of range (0-4294967295).\n",
                given.name
            ))
        })
    };
    Ok(match given.name {
        "set-xmark" => {
            let (value, mask) = mark(target, given)?;
            Mark { value, mask }
        }
        "set-mark" => {
            let (value, mask) = mark(target, given)?;
            Mark { value, mask: mask | value }
        }
        "and-mark" => Mark { value: 0, mask: !bits()? },
        "or-mark" => {
            let value = bits()?;
            Mark { value, mask: value }
        }
        _ => Mark { value: bits()?, mask: 0 },
    })
}

/// What `-L` prints of it.
pub(super) fn listed(target: &str, m: Mark) -> String {
    let Mark { value, mask } = m;
    match (value, mask) {
        (0, mask) => format!(" {target} and 0x{:x}", !mask),
        (value, mask) if value == mask => format!(" {target} or 0x{value:x}"),
        (value, 0) => format!(" {target} xor 0x{value:x}"),
        (value, u32::MAX) => format!(" {target} set 0x{value:x}"),
        (value, mask) => format!(" {target} xset 0x{value:x}/0x{mask:x}"),
    }
}
