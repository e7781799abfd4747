//! `-m length`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::matches::LengthMatch;

impl Text for LengthMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["length"], &["LENGTH or MIN:MAX"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        self.range = given.neg(range("length", given)?);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("length", "length")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.range.not, "--length", &range_text(self.range.value));
    }

    fn list(&self, _: &Names, out: &mut String) {
        let bang = if self.range.not { "!" } else { "" };
        out.push_str(&format!(" length {bang}{}", range_text(self.range.value)));
    }
}

/// `N`, `[N]:[N]`: numbers of 16 bits; an end that is left out is the smallest or largest. The smaller one need not stand
/// first.
pub(super) fn range(ext: &str, given: &Given<'_>) -> Result<(u16, u16), Fault> {
    let (name, text) = (given.name, given.value);
    let fault = |at: &str, says: String| {
        let help = "expected a number from 0 to 65535, or two with a colon between them";
        Fault::new(format!("{} is not a value for --{name}", q(at)), help).usage(says)
    };
    if text.matches(':').count() > 1 {
        return Err(fault(text, format!("{ext}: Too many components for option \"--{name}\" (max: 2)\n")));
    }
    let number = |at: &str, without: u16| {
        if at.is_empty() {
            return Ok(without);
        }
        if let Some(n) = unsigned(at, 0, 65535).and_then(|n| u16::try_from(n).ok()) {
            return Ok(n);
        }
        // A number with something behind it is told apart.
        let digits = at.bytes().take_while(u8::is_ascii_digit).count();
        let (head, tail) = at.split_at_checked(digits).unwrap_or((at, ""));
        Err(match unsigned(head, 0, 65535) {
            Some(_) if !tail.is_empty() => fault(
                at,
                format!("{ext}: Argument to \"--{name}\" has unexpected characters near \"{tail}\".\n"),
            ),
            _ => fault(
                at,
                format!(
                    "{ext}: bad value for option \"--{name}\" near \"{at}\", or out of range (0-65535).\n"
                ),
            ),
        })
    };
    match text.split_once(':') {
        Some((min, max)) => Ok((number(min, 0)?, number(max, u16::MAX)?)),
        None => number(text, 0).map(|n| (n, n)),
    }
}

pub(super) fn range_text((min, max): (u16, u16)) -> String {
    if min == max { min.to_string() } else { format!("{min}:{max}") }
}
