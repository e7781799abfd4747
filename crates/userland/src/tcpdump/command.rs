//! The command line of tcpdump(8).

use super::filter::Link;
use super::lex::place;
use super::print::{Dump, Look, Time};
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::words::arg_line;

/// A tcpdump that is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// `-i`: the device; `any` are all. `None` is the first that is up.
    pub device: Option<String>,
    /// How frames are printed.
    pub look: Look,
    /// `-c`: it ends after that many.
    pub count: Option<u64>,
    /// `-Q`: `Some(true)` is `in`, `Some(false)` is `out`.
    pub incoming: Option<bool>,
    /// `-p`: the device is not made promiscuous.
    pub not_promiscuous: bool,
    /// The filter expression, to be read for [`Look::link`]; empty if there is none.
    pub filter: String,
}

/// What tcpdump prints behind a mistake in its options.
const USAGE: &str = "\
tcpdump version 4.99.3
libpcap version 1.10.3 (with TPACKET_V3)
OpenSSL 3.0.19 27 Jan 2026
Usage: tcpdump [-AbdDefhHIJKlLnNOpqStuUvxX#] [ -B size ] [ -c count ] [--count]
\t\t[ -C file_size ] [ -E algo:secret ] [ -F file ] [ -G seconds ]
\t\t[ -i interface ] [ --immediate-mode ] [ -j tstamptype ]
\t\t[ -M secret ] [ --number ] [ --print ] [ -Q in|out|inout ]
\t\t[ -r file ] [ -s snaplen ] [ -T type ] [ --version ]
\t\t[ -V file ] [ -w file ] [ -W filecount ] [ -y datalinktype ]
\t\t[ --time-stamp-precision precision ] [ --micro ] [ --nano ]
\t\t[ -z postrotate-command ] [ -Z user ] [ expression ]";

/// Options that are refused: what they do is not modelled.
const NOT_MODELLED: &[&str] = &[
    "D", "L", "d", "r", "w", "F", "C", "G", "W", "V", "z", "Z", "E", "M", "T", "H", "I", "J", "j", "f", "b",
    "h", "N", "u", "a", "O",
];

/// Options with long names, and the short ones that mean the same.
const LONG: &[(&str, &str)] = &[
    ("interface", "i"),
    ("number", "#"),
    ("direction", "Q"),
    ("linktype", "y"),
    ("snapshot-length", "s"),
    ("dont-verify-checksums", "K"),
    ("absolute-tcp-sequence-numbers", "S"),
    ("no-promiscuous-mode", "p"),
    ("packet-buffered", "U"),
    ("immediate-mode", "l"),
    ("micro", "l"),
    // It counts what a file has; a capture says that anyway.
    ("count", "l"),
    ("buffer-size", "B"),
];

/// Reads the command line; its first word is the program's name.
///
/// # Errors
/// What is wrong, and the words of tcpdump behind `tcpdump: ` where it refuses too.
pub fn parse_command<S: AsRef<str>>(argv: &[S]) -> Result<Command, Diagnostic> {
    let line = arg_line(argv)?;
    let words: Vec<_> = line.args(1).collect();
    let mut command = Command::default();
    let (mut link, mut expression, mut after) = (None, Vec::new(), false);
    let mut hex = 0_u8;
    let mut ascii = 0_u8;
    let mut text_only = false;
    let mut stamps = 0_u8;
    let blame = |at: &crate::args::Token<'_>, fault: Fault| place(line.text(), at.start, at.end, fault);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_ref();
        if after || !text.starts_with('-') || text == "-" {
            // getopt of the GNU library puts options first, wherever they stand; `--` ends them.
            expression.push(text.to_owned());
            continue;
        }
        if text == "--" {
            after = true;
            continue;
        }
        let mut letters: Vec<(String, Option<String>)> = Vec::new();
        if let Some(long) = text.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
            match LONG.iter().find(|(l, _)| *l == name) {
                Some((_, short)) => letters.push(((*short).to_owned(), value)),
                None => {
                    let fault =
                        Fault::new(format!("unknown option {}", q(text)), "expected an option of tcpdump(8)");
                    return Err(blame(word, fault.usage(format!("unrecognized option '{text}'\n{USAGE}"))));
                }
            }
        } else {
            let mut rest = text.get(1..).unwrap_or_default();
            while let Some(c) = rest.chars().next() {
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
                if "icQysB".contains(c) && !rest.is_empty() {
                    letters.push((c.to_string(), Some(rest.to_owned())));
                    rest = "";
                } else {
                    letters.push((c.to_string(), None));
                }
            }
        }
        for (letter, value) in letters {
            let mut argument = || match &value {
                Some(v) => Ok(v.clone()),
                None => words.next().map(|t| t.text.clone().into_owned()).ok_or_else(|| {
                    let fault = Fault::new(format!("-{letter} needs a value"), "expected one behind it");
                    blame(word, fault.usage(format!("option requires an argument -- '{letter}'\n{USAGE}")))
                }),
            };
            let look = &mut command.look;
            match letter.as_str() {
                "i" => command.device = Some(argument()?),
                "c" => {
                    let text = argument()?;
                    command.count = Some(text.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
                        let says = format!("invalid packet count {text}");
                        blame(word, Fault::new(says.clone(), "expected a number above 0").usage(says))
                    })?);
                }
                "Q" => {
                    command.incoming = match argument()?.to_ascii_lowercase().as_str() {
                        "in" => Some(true),
                        "out" => Some(false),
                        "inout" => None,
                        other => {
                            let says = format!("unknown capture direction `{other}'");
                            return Err(blame(
                                word,
                                Fault::new(says.clone(), "expected in, out or inout").usage(says),
                            ));
                        }
                    };
                }
                "y" => {
                    let text = argument()?;
                    link = Some(match text.to_ascii_uppercase().as_str() {
                        "EN10MB" => Link::Ethernet,
                        "LINUX_SLL" => Link::Cooked,
                        "LINUX_SLL2" => Link::Cooked2,
                        _ => {
                            let says = format!("invalid data link type {text}");
                            let help = "expected EN10MB, LINUX_SLL or LINUX_SLL2";
                            return Err(blame(word, Fault::new(says.clone(), help).usage(says)));
                        }
                    });
                }
                "s" => {
                    let text = argument()?;
                    // A frame is shown whole, or not at all.
                    if text.parse::<u32>().map_or(true, |n| n != 0 && n < 65_535) {
                        let fault =
                            Fault::new(format!("-s {text} is not modelled"), "expected 0 or 65535 and more");
                        return Err(blame(word, fault));
                    }
                }
                "B" => {
                    argument()?;
                }
                "n" => look.numeric = true,
                "v" => look.verbose = look.verbose.saturating_add(1),
                "e" => look.ether = true,
                "q" => look.quiet = true,
                "S" => look.absolute = true,
                "K" => look.trust = true,
                "#" => look.count = true,
                "t" => stamps = stamps.saturating_add(1),
                "x" => hex = hex.saturating_add(1),
                "X" => ascii = ascii.saturating_add(1),
                "A" => text_only = true,
                "p" => command.not_promiscuous = true,
                "l" | "U" => {}
                other if NOT_MODELLED.contains(&other) => {
                    let fault =
                        Fault::new(format!("tcpdump -{other} is not modelled"), "expected another option");
                    return Err(blame(word, fault));
                }
                other => {
                    let says = format!("invalid option -- '{other}'\n{USAGE}");
                    let fault =
                        Fault::new(format!("unknown option -{other}"), "expected an option of tcpdump(8)");
                    return Err(blame(word, fault.usage(says)));
                }
            }
        }
    }
    let any = command.device.as_deref() == Some("any");
    command.look.link = match (link, any) {
        (None | Some(Link::Cooked2), true) => Link::Cooked2,
        (Some(Link::Cooked), true) => Link::Cooked,
        (None | Some(Link::Ethernet), false) => Link::Ethernet,
        (Some(asked), _) => {
            let name = match asked {
                Link::Ethernet => "EN10MB",
                Link::Cooked => "LINUX_SLL",
                Link::Cooked2 => "LINUX_SLL2",
            };
            let says = format!("{name} is not one of the DLTs supported by this device");
            let fault = Fault::new(says.clone(), "LINUX_SLL and LINUX_SLL2 are those of -i any").usage(says);
            return Err(place(line.text(), 0, line.text().len(), fault));
        }
    };
    command.look.time = match stamps {
        0 => Time::Day,
        1 => Time::No,
        2 => Time::Seconds,
        3 => Time::Delta,
        4 => Time::Date,
        _ => Time::First,
    };
    command.look.dump = match (ascii, hex, text_only) {
        (1.., ..) => Some((Dump::HexAscii, ascii > 1)),
        (0, 1.., _) => Some((Dump::Hex, hex > 1)),
        (0, 0, true) => Some((Dump::Ascii, false)),
        (0, 0, false) => None,
    };
    command.filter = expression.join(" ");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::parse_command;

    /// tcpdump 4.99.3 captures as without it.
    #[test]
    fn count_is_an_option() {
        assert_eq!(parse_command(&["tcpdump", "--count", "-c", "3"]), parse_command(&["tcpdump", "-c", "3"]));
        assert!(parse_command(&["tcpdump", "--count", "-c", "3"]).is_ok());
    }
}
