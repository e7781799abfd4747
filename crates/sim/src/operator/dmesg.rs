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

/// What a command line asks for.
struct Asked {
    how: Stamp,
    print: bool,
    clear: bool,
}

/// `dmesg [-T|-t] [-c|-C]`
pub(super) fn dmesg(world: &mut World, host: NetnsId, args: &[String]) -> CommandOutput {
    // A machine has one ring buffer.
    let machine = world.machine(host);
    let from = world.dmesg_from(machine);
    let entries = world.log().entries();
    let lines =
        entries.iter().skip(from).filter(|e| world.machine(e.host) == machine).filter_map(|e| {
            match e.what()? {
                What::KernelLog(line) => Some((e.at, line.as_str())),
                _ => None,
            }
        });
    let (out, clear) = dmesg_of(lines, args);
    if clear {
        world.clear_dmesg(machine);
    }
    out
}

/// The same of a ring buffer with these lines; and whether it is emptied.
pub(crate) fn dmesg_of<'l>(
    lines: impl Iterator<Item = (Instant, &'l str)>,
    args: &[String],
) -> (CommandOutput, bool) {
    let asked = match read(args) {
        Ok(asked) => asked,
        Err(output) => return (output, false),
    };
    let shown = lines.filter(|_| asked.print).map(|(at, line)| match asked.how {
        Stamp::Seconds => format!("{} {line}", stamp(at)),
        Stamp::Date => format!("[{}] {line}", date(at)),
        Stamp::None => line.to_owned(),
    });
    (CommandOutput::lines(shown.collect()), asked.clear)
}

/// `Err` is what dmesg says instead.
fn read(args: &[String]) -> Result<Asked, CommandOutput> {
    let mut asked = Asked { how: Stamp::Seconds, print: true, clear: false };
    let help = "Try 'dmesg --help' for more information.";
    for arg in args {
        let letters: Vec<&str> = match arg.as_str() {
            "--ctime" => vec!["T"],
            "--notime" => vec!["t"],
            "--read-clear" => vec!["c"],
            "--clear" => vec!["C"],
            "--follow" => vec!["w"],
            "--version" => vec!["V"],
            long if long.starts_with("--") => {
                return Err(CommandOutput::failed(1, format!("dmesg: unrecognized option '{long}'\n{help}")));
            }
            word => match word.strip_prefix('-').filter(|l| !l.is_empty()) {
                Some(letters) => letters.split("").filter(|l| !l.is_empty()).collect(),
                None => return Err(CommandOutput::failed(1, format!("dmesg: bad usage\n{help}"))),
            },
        };
        for letter in letters {
            match letter {
                // As if Ctrl-C came then.
                "w" => {}
                "T" => asked.how = Stamp::Date,
                "t" => asked.how = Stamp::None,
                "c" => asked.clear = true,
                "C" => (asked.clear, asked.print) = (true, false),
                "V" => return Err(CommandOutput::lines(vec!["dmesg from util-linux 2.38.1".to_owned()])),
                "D" | "d" | "E" | "e" | "F" | "f" | "H" | "h" | "J" | "k" | "L" | "l" | "n" | "P" | "p"
                | "r" | "S" | "s" | "u" | "W" | "x" => {
                    let known = "expected -T, -t, -w, -c or -C";
                    return Err(CommandOutput::failed(
                        1,
                        format!("dmesg -{letter} is not modelled: {known}"),
                    ));
                }
                _ => {
                    return Err(CommandOutput::failed(
                        1,
                        format!("dmesg: invalid option -- '{letter}'\n{help}"),
                    ));
                }
            }
        }
    }
    Ok(asked)
}

/// `[    1.000234]`: seconds since the start (kernel/printk/printk.c, `print_time`).
fn stamp(at: Instant) -> String {
    format!("[{:>5}.{:06}]", at.0 / 1_000_000, at.0 % 1_000_000)
}

/// `Thu Jan  1 00:00:01 1970`: the run begins when 1970 does.
pub(super) fn date(at: Instant) -> String {
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

/// `Jan  1 00:00:01 HOST kernel: LINE`, as rsyslog writes it to /var/log/messages.
pub(crate) fn syslog_line(at: Instant, host: &str, line: &str) -> String {
    let date = date(at);
    let words = date.get(4..date.len() - 5).unwrap_or_default();
    format!("{words} {host} kernel: {line}")
}

#[cfg(test)]
mod tests {
    use super::{date, stamp, syslog_line};
    use kernel::Instant;

    #[test]
    fn time_is_printed_as_the_kernel_does() {
        assert_eq!(stamp(Instant(1_000_234)), "[    1.000234]");
        assert_eq!(stamp(Instant(21_256_871_187)), "[21256.871187]");
    }

    #[test]
    fn syslog_has_no_weekday_and_no_year() {
        let line = syslog_line(Instant(12_000_234), "node", "full");
        assert_eq!(line, "Jan  1 00:00:12 node kernel: full");
    }

    #[test]
    fn dates_begin_with_1970() {
        assert_eq!(date(Instant(1_000_234)), "Thu Jan  1 00:00:01 1970");
        assert_eq!(date(Instant((86_400 + 3_661) * 1_000_000)), "Fri Jan  2 01:01:01 1970");
    }
}
