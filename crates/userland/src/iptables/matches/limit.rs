//! `-m limit`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::matches::{LIMIT_SCALE, Limit};

/// Units of time with their seconds, the longest first, as iptables prints them and as it reads them.
const UNITS: [(&str, &str, u32); 4] =
    [("day", "day", 86_400), ("hour", "hour", 3600), ("min", "minute", 60), ("sec", "second", 1)];

/// `XT_LIMIT_BURST`
const BURST: u32 = 5;

/// Before any option is read: 3/hour.
pub(super) fn new() -> Limit {
    Limit { avg: LIMIT_SCALE * 3600 / 3, burst: BURST }
}

impl Text for Limit {
    const OPTIONS: &'static [Opt] =
        &[Opt::value(&["limit"], &["PACKETS[/UNIT]"]), Opt::value(&["limit-burst"], &["NUMBER"])];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        if given.name == "limit" {
            self.avg = rate(given.value)?;
            return Ok(());
        }
        let n = unsigned(given.value, 0, 10_000).and_then(|n| u32::try_from(n).ok());
        self.burst = n.ok_or_else(|| {
            Fault::new(
                format!("{} is not a number of packets", q(given.value)),
                "expected a number from 1 to 10000",
            )
            .usage("limit: bad value for option \"--limit-burst\", or out of range (0-10000).\n")
        })?;
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.value(0, false, "--limit", &rate_text(self.avg));
        if self.burst != BURST {
            out.other(format!("--limit-burst {}", self.burst));
        }
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" limit: avg {} burst {}", rate_text(self.avg), self.burst));
    }
}

/// `PACKETS/UNIT` as the time between two packets. The beginning of a unit is enough, in upper or lower case; what stands
/// behind the number is not looked at.
fn rate(text: &str) -> Result<u32, Fault> {
    let bad = || {
        Fault::new(
            format!("{} is not a rate", q(text)),
            "expected a rate such as 5/second, 10/minute, 3/hour or 1/day",
        )
        .usage(format!("bad rate \"{text}\"'"))
    };
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let unit = unit.to_ascii_lowercase();
    let found = UNITS.iter().find(|(_, name, _)| !unit.is_empty() && name.starts_with(&unit));
    let seconds = found.map(|(_, _, s)| *s).ok_or_else(bad)?;
    let packets = atoi(number);
    if packets == 0 {
        return Err(bad());
    }
    match LIMIT_SCALE * seconds / packets {
        0 => {
            Err(Fault::new(format!("{} is too fast", q(text)), "expected at most 10000 packets in a second")
                .usage(format!("Rate too fast \"{text}\"")))
        }
        avg => Ok(avg),
    }
}

/// C's `atoi`, kept in 32 bits.
fn atoi(text: &str) -> u32 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let (minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let n = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0i64, |n, d| n.saturating_mul(10).saturating_add(i64::from(d - b'0')));
    let n = if minus { n.wrapping_neg() } else { n };
    (n & 0xffff_ffff) as u32
}

/// The largest unit of time that does not round too much.
fn rate_text(avg: u32) -> String {
    let mut shown = UNITS[0];
    for unit in UNITS.into_iter().skip(1) {
        let period = LIMIT_SCALE * unit.2;
        if avg > period || period / avg.max(1) < period % avg.max(1) {
            break;
        }
        shown = unit;
    }
    format!("{}/{}", LIMIT_SCALE * shown.2 / avg.max(1), shown.0)
}
