//! sleep(1)

use super::{Parsed, Program, Run};
use crate::operator::CommandOutput;
use kernel::Instant;
use std::time::Duration;

/// Nobody waits longer: a day.
const LONGEST: Duration = Duration::from_secs(86_400);

/// `sleep NUMBER[smhd]...`
pub(super) fn parse(argv: &[String], _: &str) -> Parsed {
    time(argv).map(|time| Box::new(Sleep { time, until: None }) as Box<dyn Program>)
}

/// How long `sleep NUMBER[smhd]...` lasts: the sum.
///
/// # Errors
/// What sleep says of its words.
pub fn time(argv: &[String]) -> Result<Duration, CommandOutput> {
    let refused = |why: String| CommandOutput::failed(1, format!("sleep: {why}"));
    let words =
        argv.get(1..).filter(|w| !w.is_empty()).ok_or_else(|| refused("missing operand".to_owned()))?;
    let mut time = Duration::ZERO;
    for word in words {
        let one = read(word).ok_or_else(|| refused(format!("invalid time interval ‘{word}’")))?;
        time = time.saturating_add(one);
    }
    if time > LONGEST {
        return Err(refused(format!("expected {} seconds at most", LONGEST.as_secs())));
    }
    Ok(time)
}

/// Whole seconds, minutes, hours or days, with at most three decimals.
fn read(word: &str) -> Option<Duration> {
    let (number, unit) = match word.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, word.get(number.len()..)?),
        None => (word, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 86_400,
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 || whole.len() + decimals.len() == 0 {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let thousandths: u64 = format!("{decimals:0<3}").parse().ok()?;
    Some(Duration::from_millis(whole.checked_mul(1_000)?.checked_add(thousandths)?.checked_mul(seconds)?))
}

#[derive(Clone)]
struct Sleep {
    time: Duration,
    until: Option<Instant>,
}

impl Program for Sleep {
    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        match self.until {
            Some(until) if run.now() >= until => Some(0),
            Some(_) => None,
            None => {
                self.until = Some(run.wake_after(self.time));
                None
            }
        }
    }

    fn name(&self) -> &str {
        "sleep"
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn times_are_read() {
        for (word, ms) in [
            ("2", 2_000),
            ("0.5", 500),
            (".25s", 250),
            ("1m", 60_000),
            ("1.5h", 5_400_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(read(word).map(|t| t.as_millis()), Some(ms), "{word}");
        }
        for word in ["", "s", "x", "-1", "1.2345", "1w", "1 "] {
            assert_eq!(read(word), None, "{word}");
        }
    }
}
