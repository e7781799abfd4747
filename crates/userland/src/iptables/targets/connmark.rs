//! `-j CONNMARK`.

use super::mark;
use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::u32_of;
use kernel::netfilter::xtables::targets::{Connmark, Mark};

/// What it does: one of them.
const OPERATIONS: [&str; 7] =
    ["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark", "save-mark", "restore-mark"];

impl Text for Connmark {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["set-xmark"], &["VALUE[/MASK]"]),
        Opt::value(&["set-mark"], &["VALUE[/MASK]"]),
        Opt::value(&["and-mark"], &["VALUE"]),
        Opt::value(&["or-mark"], &["VALUE"]),
        Opt::value(&["xor-mark"], &["VALUE"]),
        Opt::flag(&["save-mark"]),
        Opt::flag(&["restore-mark"]),
        Opt::value(&["nfmask"], &["MASK"]),
        Opt::value(&["ctmask"], &["MASK"]),
        Opt::value(&["mask"], &["MASK"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        // Masks may stand before the operation: a target begins as `save-mark` with all bits.
        *self = match (given.name, *self) {
            ("save-mark" | "restore-mark", Connmark::Set(_)) => *self,
            ("save-mark", Connmark::Save { nfmask, ctmask } | Connmark::Restore { nfmask, ctmask }) => {
                Connmark::Save { nfmask, ctmask }
            }
            ("restore-mark", Connmark::Save { nfmask, ctmask } | Connmark::Restore { nfmask, ctmask }) => {
                Connmark::Restore { nfmask, ctmask }
            }
            ("nfmask" | "ctmask" | "mask", operation) => with_mask(operation, given)?,
            _ => Connmark::Set(mark::read("CONNMARK", given)?),
        };
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.only_one_of("CONNMARK", &OPERATIONS)?;
        seen.only_one("CONNMARK", "nfmask", "mask")?;
        seen.only_one("CONNMARK", "ctmask", "mask")?;
        if !OPERATIONS.iter().any(|o| seen.has(o)) {
            let help = "expected one of --set-xmark, --set-mark, --and-mark, --or-mark, --xor-mark, --save-mark, \
                        --restore-mark";
            return Err(Fault::new("CONNMARK without an operation", help)
                .usage("CONNMARK target: No operation specified"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        match self {
            Connmark::Set(m) => m.save(out),
            Connmark::Save { nfmask, ctmask } => {
                out.other(format!("--save-mark --nfmask 0x{nfmask:x} --ctmask 0x{ctmask:x}"));
            }
            Connmark::Restore { nfmask, ctmask } => {
                out.other(format!("--restore-mark --nfmask 0x{nfmask:x} --ctmask 0x{ctmask:x}"));
            }
        }
    }

    fn list(&self, _: &Names, out: &mut String) {
        let masks = |nf: u32, ct: u32, not_nf: bool| match (nf, ct) {
            (u32::MAX, u32::MAX) => String::new(),
            (nf, ct) if nf == ct => format!(" mask 0x{nf:x}"),
            (nf, ct) if not_nf => format!(" ctmask 0x{ct:x} nfmask ~0x{nf:x}"),
            (nf, ct) => format!(" nfmask 0x{nf:x} ctmask ~0x{ct:x}"),
        };
        match *self {
            Connmark::Set(m) => out.push_str(&mark::listed("CONNMARK", m)),
            Connmark::Save { nfmask, ctmask } => {
                out.push_str(&format!(" CONNMARK save{}", masks(nfmask, ctmask, false)));
            }
            Connmark::Restore { nfmask, ctmask } => {
                out.push_str(&format!(" CONNMARK restore{}", masks(nfmask, ctmask, true)));
            }
        }
    }
}

/// `--nfmask`, `--ctmask`, or `--mask` for both.
fn with_mask(operation: Connmark, given: &Given<'_>) -> Result<Connmark, Fault> {
    let n = u32_of(given.value).ok_or_else(|| bad_mask(given))?;
    let new = |nf: u32, ct: u32| match given.name {
        "nfmask" => (n, ct),
        "ctmask" => (nf, n),
        _ => (n, n),
    };
    Ok(match operation {
        Connmark::Save { nfmask, ctmask } => {
            let (nfmask, ctmask) = new(nfmask, ctmask);
            Connmark::Save { nfmask, ctmask }
        }
        Connmark::Restore { nfmask, ctmask } => {
            let (nfmask, ctmask) = new(nfmask, ctmask);
            Connmark::Restore { nfmask, ctmask }
        }
        Connmark::Set(m) => Connmark::Set(Mark { mask: new(0, m.mask).1, ..m }),
    })
}

fn bad_mask(given: &Given<'_>) -> Fault {
    Fault::new(format!("{} is not a mask", q(given.value)), "expected a number of 32 bits such as 0xff")
        .usage(format!(
            "CONNMARK: bad value for option \"--{}\", or out of range (0-4294967295).\n",
            given.name
        ))
}
