//! `-j CONNMARK`.

use super::{mark, number_in};
use crate::diagnostic::{Fault, ToolError, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::u32_of;
use kernel::netfilter::xtables::targets::{Connmark, ConnmarkOp, Mark, Shift};

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
        Opt::value(&["left-shift-mark"], &["BITS"]),
        Opt::value(&["right-shift-mark"], &["BITS"]),
        Opt::value(&["nfmask"], &["MASK"]),
        Opt::value(&["ctmask"], &["MASK"]),
        Opt::value(&["mask"], &["MASK"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        use ConnmarkOp::{Restore, Save, Set};
        // Masks may stand before the operation: a target begins as `save-mark` with all bits.
        self.op = match (given.name, self.op) {
            ("left-shift-mark" | "right-shift-mark", op) => {
                let bits = (number_in("CONNMARK", given, 0, 32)? & 0xff) as u8;
                self.shift = Shift { right: given.name == "right-shift-mark", bits };
                op
            }
            ("save-mark" | "restore-mark", Set(_)) => self.op,
            ("save-mark", Save { nfmask, ctmask } | Restore { nfmask, ctmask }) => Save { nfmask, ctmask },
            ("restore-mark", Save { nfmask, ctmask } | Restore { nfmask, ctmask }) => {
                Restore { nfmask, ctmask }
            }
            ("nfmask" | "ctmask" | "mask", operation) => with_mask(operation, given)?,
            _ => Set(mark::read("CONNMARK", given)?),
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
        match self.op {
            ConnmarkOp::Set(m) => m.save(out),
            ConnmarkOp::Save { nfmask, ctmask } => {
                out.other(format!("--save-mark --nfmask 0x{nfmask:x} --ctmask 0x{ctmask:x}"));
            }
            ConnmarkOp::Restore { nfmask, ctmask } => {
                out.other(format!("--restore-mark --nfmask 0x{nfmask:x} --ctmask 0x{ctmask:x}"));
            }
        }
        if let Some(text) = shift_text(self.shift) {
            out.other(["--", &text].concat());
        }
    }

    fn list(&self, _: &Names, out: &mut String) {
        let masks = |nf: u32, ct: u32, not_nf: bool| match (nf, ct) {
            (u32::MAX, u32::MAX) => String::new(),
            (nf, ct) if nf == ct => format!(" mask 0x{nf:x}"),
            (nf, ct) if not_nf => format!(" ctmask 0x{ct:x} nfmask ~0x{nf:x}"),
            (nf, ct) => format!(" nfmask 0x{nf:x} ctmask ~0x{ct:x}"),
        };
        match self.op {
            ConnmarkOp::Set(m) => out.push_str(&mark::listed("CONNMARK", m)),
            ConnmarkOp::Save { nfmask, ctmask } => {
                out.push_str(&format!(" CONNMARK save{}", masks(nfmask, ctmask, false)));
            }
            ConnmarkOp::Restore { nfmask, ctmask } => {
                out.push_str(&format!(" CONNMARK restore{}", masks(nfmask, ctmask, true)));
            }
        }
        if let Some(text) = shift_text(self.shift) {
            out.push_str(&[" ", &text].concat());
        }
    }
}

fn shift_text(shift: Shift) -> Option<String> {
    let side = if shift.right { "right" } else { "left" };
    (shift.bits != 0).then(|| format!("{side}-shift-mark {}", shift.bits))
}

/// The kernel refuses to shift everything out.
pub(in crate::iptables) fn check(connmark: &Connmark) -> Result<(), Fault> {
    if connmark.shift.bits < 32 {
        return Ok(());
    }
    let fault = Fault::new("a shift by 32 bits leaves nothing of a mark", "expected a shift by 0 to 31 bits");
    Err(fault.says(ToolError::INVALID))
}

/// `--nfmask`, `--ctmask`, or `--mask` for both.
fn with_mask(operation: ConnmarkOp, given: &Given<'_>) -> Result<ConnmarkOp, Fault> {
    let n = u32_of(given.value).ok_or_else(|| bad_mask(given))?;
    let new = |nf: u32, ct: u32| match given.name {
        "nfmask" => (n, ct),
        "ctmask" => (nf, n),
        _ => (n, n),
    };
    Ok(match operation {
        ConnmarkOp::Save { nfmask, ctmask } => {
            let (nfmask, ctmask) = new(nfmask, ctmask);
            ConnmarkOp::Save { nfmask, ctmask }
        }
        ConnmarkOp::Restore { nfmask, ctmask } => {
            let (nfmask, ctmask) = new(nfmask, ctmask);
            ConnmarkOp::Restore { nfmask, ctmask }
        }
        ConnmarkOp::Set(m) => ConnmarkOp::Set(Mark { mask: new(0, m.mask).1, ..m }),
    })
}

fn bad_mask(given: &Given<'_>) -> Fault {
    Fault::new(format!("{} is not a mask", q(given.value)), "expected a number of 32 bits such as 0xff")
        .usage(format!(
            "CONNMARK: bad value for option \"--{}\", or out of range (0-4294967295).\n",
            given.name
        ))
}
