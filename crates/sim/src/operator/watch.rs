//! `watch` (procps-ng 4.0.2): one screen of it, as if Ctrl-C came then.

use super::{CommandOutput, dmesg::date};
use crate::programs::sh::{self, Script};
use kernel::Instant;

/// Columns of the screen.
const WIDTH: usize = 80;
/// Between the command and the host's name, where the command is cut.
const CUT: &str = "...  ";

/// The shortest interval, and the one that is not said, in tenths of a second.
const SHORTEST: u32 = 1;
const DEFAULT: u32 = 20;

/// `watch [-n SECONDS] [-t] COMMAND...`
pub(crate) struct Watched {
    tenths: u32,
    title: bool,
    /// What a shell is given: the words as one line.
    line: String,
    /// Its words; of several programs those of `sh -c LINE`.
    pub argv: Vec<String>,
}

/// Reads the words behind `watch`. `Err` is what is printed instead.
pub(crate) fn watched(args: &[String]) -> Result<Watched, CommandOutput> {
    let (mut tenths, mut title, mut rest) = (DEFAULT, true, args);
    while let [option, more @ ..] = rest
        && option.starts_with('-')
    {
        rest = more;
        let interval = match option.as_str() {
            "-t" | "--no-title" => {
                title = false;
                continue;
            }
            "-n" | "--interval" => match more {
                [n, more @ ..] => {
                    rest = more;
                    n.as_str()
                }
                [] => return Err(failed("option requires an argument -- 'n'")),
            },
            long => match long.strip_prefix("--interval=").or_else(|| long.strip_prefix("-n")) {
                Some(n) => n,
                None => return Err(failed(&format!("{option} is not modelled: expected -n or -t"))),
            },
        };
        tenths = match read(interval) {
            Some(n) => n.max(SHORTEST),
            None => return Err(failed(&format!("failed to parse argument: '{interval}': Invalid argument"))),
        };
    }
    if rest.is_empty() {
        return Err(failed("expected a command"));
    }
    let line = rest.join(" ");
    let argv = match sh::read(&line).as_ref().map(Script::plain) {
        Ok(Some(argv)) => argv.to_vec(),
        Ok(None) => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
        Err(why) => return Err(failed(why)),
    };
    Ok(Watched { tenths, title, line, argv })
}

impl Watched {
    /// One screen of it on the box of this name.
    pub fn screen(&self, now: Instant, host: &str, inner: CommandOutput) -> CommandOutput {
        let mut screen = Vec::new();
        if self.title {
            let header = header(self.tenths, &self.line, &format!("{host}: {}", date(now)));
            screen.extend([header, String::new()]);
        }
        // Both outputs are on the screen.
        screen.extend(inner.stdout.into_iter().chain(inner.stderr));
        CommandOutput::lines(screen)
    }
}

/// Reads them, runs the command at once, and prints a screen of it. `Err` if the command is not modelled.
pub(crate) fn watch(
    now: Instant,
    host: &str,
    args: &[String],
    run: impl FnOnce(&[String]) -> Result<CommandOutput, String>,
) -> Result<CommandOutput, String> {
    Ok(match watched(args) {
        Ok(watched) => watched.screen(now, host, run(&watched.argv)?),
        Err(output) => output,
    })
}

fn failed(what: &str) -> CommandOutput {
    CommandOutput::failed(1, format!("watch: {what}"))
}

/// Seconds with at most one decimal, in tenths.
fn read(text: &str) -> Option<u32> {
    let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
    let tenth = tenth.parse::<u32>().ok().filter(|t| *t < 10)?;
    whole.parse::<u32>().ok()?.checked_mul(10)?.checked_add(tenth)
}

/// The first line: the command on the left, cut where it is too long, and on the right whose screen it is, and when.
fn header(tenths: u32, command: &str, right: &str) -> String {
    let every = format!("Every {}.{}s: ", tenths / 10, tenths % 10);
    let room = WIDTH.saturating_sub(every.len() + right.len());
    let left = match command.chars().count() < room {
        true => format!("{every}{command}"),
        false => {
            let kept: String = command.chars().take(room.saturating_sub(CUT.len())).collect();
            format!("{every}{kept}{CUT}")
        }
    };
    format!("{left:<width$}{right}", width = WIDTH.saturating_sub(right.len()))
}

#[cfg(test)]
mod tests {
    use super::{CommandOutput, header, watch, watched};
    use kernel::Instant;

    #[test]
    fn the_first_line_is_that_of_procps() {
        let right = "vm: Sun Nov 22 14:03:22 2026";
        for (command, line) in [
            ("cat /proc/sys/kernel/ostype", "Every 1.0s: cat /proc/sys/kernel/ostype             vm: "),
            (
                "cat /proc/sys/net/netfilter/nf_conntrack_count",
                "Every 1.0s: cat /proc/sys/net/netfilter/nf_conn...  vm: ",
            ),
            (
                "echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                "Every 1.0s: echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx vm: ",
            ),
            (
                "echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                "Every 1.0s: echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...  vm: ",
            ),
        ] {
            assert!(header(10, command, right).starts_with(line), "{}", header(10, command, right));
            assert_eq!(header(10, command, right).len(), 80);
        }
    }

    #[test]
    fn its_options_are_the_interval_and_no_title() {
        let run = |line: &str| {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let out = |_: &[String]| Ok(CommandOutput::lines(vec!["7".to_owned()]));
            watch(Instant(0), "vm", &args, out).unwrap()
        };
        assert_eq!(run("-t cat x").stdout, ["7"]);
        for (line, begin) in [
            ("cat x", "Every 2.0s"),
            ("-n 0 cat x", "Every 0.1s"),
            ("-n2 cat", "Every 2.0s"),
            ("-n 0.5 cat", "Every 0.5s"),
        ] {
            let out = run(line).stdout;
            assert!(out[0].starts_with(begin) && out[1].is_empty() && out[2] == "7", "{out:?}");
        }
        let words = |line: &str| {
            watched(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).ok().map(|w| w.argv)
        };
        assert_eq!(words("-n 1 cat x | wc"), Some(["sh", "-c", "cat x | wc"].map(str::to_owned).to_vec()));
        assert_eq!(run("-n x cat").stderr, ["watch: failed to parse argument: 'x': Invalid argument"]);
    }
}
