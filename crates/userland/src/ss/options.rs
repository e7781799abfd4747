//! The command line of ss.

use super::filter::{self, Filter};
use super::{STATES, SsError, SsKind, states};

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsCommand {
    /// `-V`: the version alone.
    pub version: bool,
    /// `-n`: ports as numbers.
    pub numeric: bool,
    /// `-H`: no titles.
    pub no_header: bool,
    /// `-p`
    pub processes: bool,
    /// `-o`
    pub timers: bool,
    /// `-s`: how many there are comes first.
    pub summary: bool,
    /// Sockets are listed: not if the summary is all that was asked for.
    pub listing: bool,
    /// The kinds that were asked for, as bits.
    pub(super) kinds: u8,
    /// For each kind the states that are shown.
    pub(super) states: [u16; 3],
    /// What sockets must be like.
    pub(super) filter: Filter,
}

impl SsCommand {
    /// All states that are shown of some kind.
    pub(super) fn shown_states(&self) -> u16 {
        let asked = SsKind::ALL.into_iter().filter(|k| self.kinds & k.bit() != 0);
        asked.fold(0, |all, k| all | self.states[k as usize])
    }
}

/// Options that are modelled: letter and word.
const OPTIONS: &[(char, &str)] = &[
    ('n', "numeric"),
    ('a', "all"),
    ('l', "listening"),
    ('p', "processes"),
    ('o', "options"),
    ('H', "no-header"),
    ('O', "oneline"),
    ('t', "tcp"),
    ('u', "udp"),
    ('w', "raw"),
    ('4', "ipv4"),
    ('6', "ipv6"),
    ('s', "summary"),
    ('V', "version"),
];

/// Options that the real tool has besides.
const OTHERS: &[(char, &str)] = &[
    ('h', "help"),
    ('r', "resolve"),
    ('e', "extended"),
    ('m', "memory"),
    ('T', "threads"),
    ('i', "info"),
    ('b', "bpf"),
    ('E', "events"),
    ('Z', "context"),
    ('z', "contexts"),
    ('N', "net"),
    ('0', "packet"),
    ('M', "mptcp"),
    ('S', "sctp"),
    ('d', "dccp"),
    ('x', "unix"),
    ('f', "family"),
    ('K', "kill"),
    ('A', "query"),
    ('D', "diag"),
    ('F', "filter"),
    ('\0', "tipcinfo"),
    ('\0', "tos"),
    ('\0', "cgroup"),
    ('\0', "tipc"),
    ('\0', "vsock"),
    ('\0', "xdp"),
    ('\0', "socket"),
    ('\0', "inet-sockopt"),
];

/// Reads a command line; `argv[0]` is the name of the program.
///
/// # Errors
/// What the real tool says, or what is not modelled.
pub fn parse_ss<S: AsRef<str>>(argv: &[S]) -> Result<SsCommand, SsError> {
    let (mut set, mut rest) = (Vec::new(), Vec::new());
    let mut words = argv.iter().skip(1).map(AsRef::as_ref);
    while let Some(word) = words.next() {
        if word == "--" {
            rest.extend(words);
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            set.push(long_option(long)?);
        } else if let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) {
            for letter in letters.chars() {
                set.push(short_option(letter)?);
            }
        } else {
            // getopt looks for options behind the filter too.
            rest.push(word);
        }
    }
    let has = |c: char| set.contains(&c);
    let mut kinds = 0;
    for (letter, kind) in [('w', SsKind::Raw), ('u', SsKind::Udp), ('t', SsKind::Tcp)] {
        if has(letter) {
            kinds |= kind.bit();
        }
    }
    let listing = !has('s') || kinds != 0 || !rest.is_empty();
    if kinds == 0 {
        kinds = SsKind::ALL.into_iter().fold(0, |all, k| all | k.bit());
    }
    let (asked, filter) = filter::parse(&rest)?;
    let defaults = [states::ESTABLISHED, states::ESTABLISHED, states::CONNECTED];
    let states = match asked {
        Some(states) => [states; 3],
        None if has('a') => [states::ALL; 3],
        None if has('l') => [states::LISTEN | states::CLOSE; 3],
        None => defaults,
    };
    // There are no sockets of IPv6.
    let only_v6 = has('6') && !has('4');
    let filter = if only_v6 { Filter::Never } else { filter };
    Ok(SsCommand {
        version: has('V'),
        numeric: has('n'),
        no_header: has('H'),
        processes: has('p'),
        timers: has('o'),
        summary: has('s'),
        listing,
        kinds,
        states,
        filter,
    })
}

fn not_modelled(option: &str) -> SsError {
    let known: Vec<String> = OPTIONS.iter().map(|(c, word)| format!("-{c} (--{word})")).collect();
    let why = match option {
        "-e" | "--extended" => " (inodes and cookies are not)",
        "-i" | "--info" => " (what TCP measures of times and rates is not)",
        "-m" | "--memory" => " (memory of sockets is not)",
        _ => "",
    };
    SsError::new(1, format!("ss {option} is not modelled{why}: expected one of {}", known.join(", ")))
}

fn short_option(letter: char) -> Result<char, SsError> {
    if OPTIONS.iter().any(|(c, _)| *c == letter) {
        return Ok(letter);
    }
    match OTHERS.iter().any(|(c, _)| *c == letter && letter != '\0') {
        true => Err(not_modelled(&format!("-{letter}"))),
        false => Err(SsError::with_usage(format!("ss: invalid option -- '{letter}'"))),
    }
}

/// The beginning of a word is enough if no other begins so.
fn long_option(word: &str) -> Result<char, SsError> {
    let (name, value) = word.split_once('=').map_or((word, None), |(n, v)| (n, Some(v)));
    let all = || OPTIONS.iter().map(|o| (o, true)).chain(OTHERS.iter().map(|o| (o, false)));
    let exact = all().find(|((_, w), _)| *w == name);
    let mut begin = all().filter(|((_, w), _)| w.starts_with(name));
    let found = match (exact, begin.next(), begin.next()) {
        (Some(found), ..) | (None, Some(found), None) => found,
        (None, Some(_), Some(_)) => {
            let all: Vec<String> = all()
                .map(|((_, w), _)| *w)
                .filter(|w| w.starts_with(name))
                .map(|w| format!("'--{w}'"))
                .collect();
            return Err(SsError::with_usage(format!(
                "ss: option '--{name}' is ambiguous; possibilities: {}",
                all.join(" ")
            )));
        }
        _ => return Err(SsError::with_usage(format!("ss: unrecognized option '--{name}'"))),
    };
    match found {
        ((_, w), false) => Err(not_modelled(&format!("--{w}"))),
        ((_, w), true) if value.is_some() => {
            Err(SsError::with_usage(format!("ss: option '--{w}' doesn't allow an argument")))
        }
        ((c, _), true) => Ok(*c),
    }
}

/// The states that a word behind `state` or `exclude` means.
pub(super) fn states_named(word: &str) -> Result<u16, SsError> {
    use states::{ALL, CLOSE, LISTEN, SYN_RECV, TIME_WAIT};
    const SYN_SENT: u16 = 1 << 1;
    Ok(match word {
        "all" => ALL,
        "connected" => ALL & !(CLOSE | LISTEN),
        "synchronized" => ALL & !(CLOSE | LISTEN | SYN_SENT),
        "bucket" => SYN_RECV | TIME_WAIT,
        "big" => ALL & !(SYN_RECV | TIME_WAIT),
        "unconnected" | "close" => CLOSE,
        _ => {
            // ss compares without regard to case.
            let at = STATES.iter().position(|(_, n)| n.eq_ignore_ascii_case(word));
            return at
                .map(|at| 1 << at)
                .ok_or_else(|| SsError::new(255, format!("ss: wrong state name: {word}")));
        }
    })
}
