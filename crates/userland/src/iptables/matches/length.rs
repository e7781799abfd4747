//! `-m length`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::matches::LengthMatch;

impl Text for LengthMatch {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["length"], &["LENGTH or MIN:MAX"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let number = |text: &str, without: u16| match text {
            "" => Ok(without),
            _ => unsigned(text, 0, 65535).and_then(|n| u16::try_from(n).ok()).ok_or_else(|| {
                let help = "expected a number from 0 to 65535, or two with a colon between them";
                Fault::new(format!("{} is not a length", q(text)), help).usage(format!(
                    "length: bad value for option \"--length\" near \"{text}\", or out of range (0-65535).\n"
                ))
            }),
        };
        let range = match given.value.split_once(':') {
            Some((min, max)) => (number(min, 0)?, number(max, u16::MAX)?),
            None => {
                let n = number(given.value, 0)?;
                (n, n)
            }
        };
        self.range = given.neg(range);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("length", "length")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.range.not, "--length", &text(self.range.value));
    }

    fn list(&self, _: &Names, out: &mut String) {
        let bang = if self.range.not { "!" } else { "" };
        out.push_str(&format!(" length {bang}{}", text(self.range.value)));
    }
}

fn text((min, max): (u16, u16)) -> String {
    if min == max { min.to_string() } else { format!("{min}:{max}") }
}
