//! What `dmesg` prints: the lines of the kernel's ring buffer, which the log holds.

use super::CommandOutput;
use crate::world::World;
use kernel::event::What;
use kernel::{Instant, NetnsId};

/// How a line begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamp {
    /// Seconds since the start.
    Seconds,
    /// `-T`: a date.
    Date,
    /// `-t`: nothing.
    None,
}

/// `dmesg [-T|-t] [-c|-C]`
pub(super) fn dmesg(world: &mut World, host: NetnsId, args: &[String]) -> CommandOutput {
    let (mut how, mut clear, mut print) = (Stamp::Seconds, false, true);
    let help = "Try 'dmesg --help' for more information.";
    for arg in args {
        let letters: Vec<&str> = match arg.as_str() {
            "--ctime" => vec!["T"],
            "--notime" => vec!["t"],
            "--read-clear" => vec!["c"],
            "--clear" => vec!["C"],
            "--version" => vec!["V"],
            long if long.starts_with("--") => {
                return CommandOutput::failed(1, format!("dmesg: unrecognized option '{long}'\n{help}"));
            }
            word => match word.strip_prefix('-').filter(|l| !l.is_empty()) {
                Some(letters) => letters.split("").filter(|l| !l.is_empty()).collect(),
                None => return CommandOutput::failed(1, format!("dmesg: bad usage\n{help}")),
            },
        };
        for letter in letters {
            match letter {
                "T" => how = Stamp::Date,
                "t" => how = Stamp::None,
                "c" => clear = true,
                "C" => (clear, print) = (true, false),
                "V" => return CommandOutput::lines(vec!["dmesg from util-linux 2.38.1".to_owned()]),
                "D" | "d" | "E" | "e" | "F" | "f" | "H" | "h" | "J" | "k" | "L" | "l" | "n" | "P" | "p"
                | "r" | "S" | "s" | "u" | "W" | "w" | "x" => {
                    let known = "expected -T, -t, -c or -C";
                    return CommandOutput::failed(1, format!("dmesg -{letter} is not modelled: {known}"));
                }
                _ => return CommandOutput::failed(1, format!("dmesg: invalid option -- '{letter}'\n{help}")),
            }
        }
    }
    let from = world.dmesg_from(host);
    let entries = world.log().entries();
    let lines = entries.iter().skip(from).filter(|e| e.host == host).filter_map(|e| match e.what()? {
        What::KernelLog(line) => Some(match how {
            Stamp::Seconds => format!("{} {line}", stamp(e.at)),
            Stamp::Date => format!("[{}] {line}", date(e.at)),
            Stamp::None => line.clone(),
        }),
        _ => None,
    });
    let lines = if print { lines.collect() } else { Vec::new() };
    if clear {
        world.clear_dmesg(host);
    }
    CommandOutput::lines(lines)
}

/// `[    1.000234]`: seconds since the start (kernel/printk/printk.c, `print_time`).
fn stamp(at: Instant) -> String {
    format!("[{:>5}.{:06}]", at.0 / 1_000_000, at.0 % 1_000_000)
}

/// `Thu Jan  1 00:00:01 1970`: the run begins when 1970 does.
fn date(at: Instant) -> String {
    let seconds = at.0 / 1_000_000;
    let days = seconds / 86_400;
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    format!(
        "{weekday} Jan {:>2} {:02}:{:02}:{:02} 1970",
        // No run is as long as a month.
        days % 31 + 1,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::{date, stamp};
    use kernel::Instant;

    #[test]
    fn time_is_printed_as_the_kernel_does() {
        assert_eq!(stamp(Instant(1_000_234)), "[    1.000234]");
        assert_eq!(stamp(Instant(21_256_871_187)), "[21256.871187]");
    }

    #[test]
    fn dates_begin_with_1970() {
        assert_eq!(date(Instant(1_000_234)), "Thu Jan  1 00:00:01 1970");
        assert_eq!(date(Instant((86_400 + 3_661) * 1_000_000)), "Fri Jan  2 01:01:01 1970");
    }
}
