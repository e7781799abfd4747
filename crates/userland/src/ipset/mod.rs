//! `ipset`: its commands as values, members, and what it prints.

mod entry;
mod icmp;
mod print;

pub use entry::{check_test, elem_text, entry_text, parse_entry};
pub use print::{create_options, entry_options, error_text, list_set, save_set, set_type};

use crate::args::ArgLine;
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::names::number;
use crate::words::{Words, arg_line};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpsetCommand {
    /// `create NAME TYPE ...`
    Create {
        /// The name.
        name: String,
        /// The type, such as `hash:ip,port`.
        kind: String,
        /// What the set is like.
        options: Vec<SetOption>,
        /// `-exist`: no error if there is the same.
        exist: bool,
    },
    /// `add NAME ENTRY ...`
    Add {
        /// The set.
        name: String,
        /// The member.
        entry: String,
        /// What the member is like.
        options: Vec<EntryOption>,
        /// `-exist`
        exist: bool,
    },
    /// `del NAME ENTRY`
    Del {
        /// The set.
        name: String,
        /// The member.
        entry: String,
        /// `-exist`
        exist: bool,
    },
    /// `test NAME ENTRY`
    Test {
        /// The set.
        name: String,
        /// The member.
        entry: String,
        /// What the member is like.
        options: Vec<EntryOption>,
    },
    /// `destroy [NAME]`
    Destroy(Option<String>),
    /// `flush [NAME]`
    Flush(Option<String>),
    /// `list [NAME]`
    List {
        /// The set; all of them without.
        name: Option<String>,
        /// `-name`: names only.
        names: bool,
        /// `-terse`: without members.
        terse: bool,
    },
    /// `save [NAME]`
    Save(Option<String>),
    /// `rename A B`
    Rename(String, String),
    /// `swap A B`
    Swap(String, String),
    /// `restore`, with `-exist` for all its lines.
    Restore {
        /// `-exist`
        exist: bool,
    },
}

/// An option of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOption {
    /// `family inet`
    FamilyInet,
    /// `hashsize N`
    HashSize(u32),
    /// `maxelem N`
    MaxElem(u32),
    /// `bucketsize N`
    BucketSize(u32),
    /// `initval N`
    InitVal(u32),
    /// `netmask N`
    Netmask(u32),
    /// `markmask N`
    MarkMask(u32),
    /// `size N`
    Size(u32),
    /// `timeout N`
    Timeout(u32),
    /// `range FROM-TO`
    Range(String),
    /// `counters`
    Counters,
    /// `comment`
    Comment,
    /// `skbinfo`
    SkbInfo,
    /// `forceadd`
    ForceAdd,
}

/// An option of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryOption {
    /// `timeout N`
    Timeout(u32),
    /// `packets N`
    Packets(u64),
    /// `bytes N`
    Bytes(u64),
    /// `comment TEXT`
    Comment(String),
    /// `nomatch`
    NoMatch,
}

/// The longest name of a set.
pub(crate) const NAME_MAX: usize = 31;

const TYPES: [&str; 15] = [
    "bitmap:ip",
    "bitmap:ip,mac",
    "bitmap:port",
    "hash:ip",
    "hash:ip,mark",
    "hash:ip,port",
    "hash:ip,port,ip",
    "hash:ip,port,net",
    "hash:mac",
    "hash:net",
    "hash:net,iface",
    "hash:net,net",
    "hash:net,port",
    "hash:net,port,net",
    "list:set",
];

#[derive(Clone, Copy)]
enum Verb {
    Create,
    Add,
    Del,
    Test,
    Destroy,
    Flush,
    List,
    Save,
    Rename,
    Swap,
    Restore,
}

const VERBS: &[(&str, &str, Verb)] = &[
    ("create", "-N", Verb::Create),
    ("add", "-A", Verb::Add),
    ("del", "-D", Verb::Del),
    ("test", "-T", Verb::Test),
    ("destroy", "-X", Verb::Destroy),
    ("flush", "-F", Verb::Flush),
    ("list", "-L", Verb::List),
    ("save", "-S", Verb::Save),
    ("rename", "-E", Verb::Rename),
    ("swap", "-W", Verb::Swap),
    ("restore", "-R", Verb::Restore),
];

const KNOWN: &[&str] =
    &["create", "add", "del", "test", "destroy", "flush", "list", "save", "rename", "swap", "restore"];
const NOT_MODELLED: &[&str] = &["help", "version", "-v", "-h", "-"];
const SET_OPTIONS: &[&str] = &[
    "family",
    "hashsize",
    "maxelem",
    "bucketsize",
    "initval",
    "netmask",
    "markmask",
    "size",
    "timeout",
    "range",
    "counters",
    "comment",
    "skbinfo",
    "forceadd",
];
const ENTRY_OPTIONS: &[&str] = &["timeout", "packets", "bytes", "comment", "nomatch"];
const ENTRY_NOT_MODELLED: &[&str] = &["skbmark", "skbprio", "skbqueue", "before", "after"];

/// Reads a command line; `argv[0]` is the name of the program.
pub fn parse_ipset<S: AsRef<str>>(argv: &[S]) -> Result<IpsetCommand, Diagnostic> {
    let line = arg_line(argv)?;
    command(&mut Words::new(&line, 1))
}

/// Reads a text for `ipset restore`: a command in each line, which lacks the word `ipset`.
pub fn parse_ipset_restore(text: &str) -> (Vec<(u32, IpsetCommand)>, Vec<Diagnostic>) {
    let (mut commands, mut diagnostics) = (Vec::new(), Vec::new());
    if let Err(d) = crate::args::check_text(text) {
        return (commands, vec![d]);
    }
    for (n, line) in (1u32..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') || line == "COMMIT" {
            continue;
        }
        let line = ArgLine::split(n, line);
        match command(&mut Words::new(&line, 0)) {
            Ok(command) => commands.push((n, command)),
            Err(d) => diagnostics.push(d),
        }
    }
    (commands, diagnostics)
}

#[derive(Default)]
struct Flags {
    exist: bool,
    names: bool,
    terse: bool,
}

/// Options may stand before or behind the rest.
fn flag(words: &mut Words<'_>, flags: &mut Flags) -> bool {
    let Some(token) = words.peek() else { return false };
    match token.text.as_ref() {
        "-exist" | "--exist" | "-!" => flags.exist = true,
        "-name" | "--name" | "-n" => flags.names = true,
        "-terse" | "--terse" | "-t" => flags.terse = true,
        "-quiet" | "--quiet" | "-q" => {}
        _ => return false,
    }
    words.next();
    true
}

fn command(words: &mut Words<'_>) -> Result<IpsetCommand, Diagnostic> {
    let mut flags = Flags::default();
    while flag(words, &mut flags) {}
    let token = words.need("a command such as create or add")?;
    let text = token.text.trim_start_matches("--");
    let found = VERBS.iter().find(|(long, short, _)| *long == text || *short == token.text);
    let Some((.., verb)) = found else {
        let says = format!("No command specified: unknown argument {}", token.text);
        return words.unexpected(&token, KNOWN, NOT_MODELLED).map_err(|d| saying(d, says));
    };
    let command = match verb {
        Verb::Create => {
            let (name, kind) = (set(words)?, words.value("a type", kind)?);
            let options = options(words, &mut flags, set_option)?;
            IpsetCommand::Create { name, kind, options, exist: flags.exist }
        }
        Verb::Add => {
            let (name, entry) = (set(words)?, words.need("a member")?.text.into_owned());
            let options = options(words, &mut flags, entry_option)?;
            IpsetCommand::Add { name, entry, options, exist: flags.exist }
        }
        Verb::Del => {
            let (name, entry) = (set(words)?, words.need("a member")?.text.into_owned());
            while flag(words, &mut flags) {}
            IpsetCommand::Del { name, entry, exist: flags.exist }
        }
        Verb::Test => {
            let (name, entry) = (set(words)?, words.need("a member")?.text.into_owned());
            IpsetCommand::Test { name, entry, options: options(words, &mut flags, entry_option)? }
        }
        Verb::Destroy => IpsetCommand::Destroy(optional_set(words, &mut flags)?),
        Verb::Flush => IpsetCommand::Flush(optional_set(words, &mut flags)?),
        Verb::Save => IpsetCommand::Save(optional_set(words, &mut flags)?),
        Verb::List => {
            let name = optional_set(words, &mut flags)?;
            IpsetCommand::List { name, names: flags.names, terse: flags.terse }
        }
        Verb::Rename => IpsetCommand::Rename(set(words)?, set(words)?),
        Verb::Swap => IpsetCommand::Swap(set(words)?, set(words)?),
        Verb::Restore => {
            while flag(words, &mut flags) {}
            IpsetCommand::Restore { exist: flags.exist }
        }
    };
    while flag(words, &mut flags) {}
    words.end()?;
    Ok(command)
}

/// The diagnostic with ipset's words for it.
fn saying(mut d: Diagnostic, says: String) -> Diagnostic {
    d.tool = Some(ToolError::Usage(says));
    d
}

fn unknown(d: Diagnostic, word: &str) -> Diagnostic {
    saying(d, format!("Unknown argument: `{word}'"))
}

/// The kernel counts milliseconds in 31 bits.
const TIMEOUT_MAX: u32 = 2_147_483;

fn timeout(words: &mut Words<'_>) -> Result<u32, Diagnostic> {
    words.value("seconds", |t| match number::u32_of(t) {
        Some(n) if n <= TIMEOUT_MAX => Ok(n),
        Some(_) => {
            Err(Fault::new(format!("{} is too long", q(t)), format!("expected at most {TIMEOUT_MAX}"))
                .usage(format!("Syntax error: '{t}' is out of range 0-{TIMEOUT_MAX}")))
        }
        None => Err(Fault::new(format!("{} is not a number", q(t)), "expected seconds")
            .usage(format!("Syntax error: '{t}' is invalid as number"))),
    })
}

fn set(words: &mut Words<'_>) -> Result<String, Diagnostic> {
    words.value("the name of a set", |t| match t.len() {
        1..=NAME_MAX => Ok(t.to_owned()),
        _ => Err(Fault::new(
            format!("{} is not the name of a set", q(t)),
            format!("expected 1 to {NAME_MAX} characters"),
        )
        .usage(format!("Syntax error: setname '{t}' is longer than {NAME_MAX} characters"))),
    })
}

fn optional_set(words: &mut Words<'_>, flags: &mut Flags) -> Result<Option<String>, Diagnostic> {
    while flag(words, flags) {}
    if words.peek().is_some() { set(words).map(Some) } else { Ok(None) }
}

fn kind(text: &str) -> Result<String, Fault> {
    // The names of ipset 4.
    let text = match text {
        "ipmap" => "bitmap:ip",
        "macipmap" => "bitmap:ip,mac",
        "portmap" => "bitmap:port",
        "iphash" => "hash:ip",
        "nethash" => "hash:net",
        "ipporthash" => "hash:ip,port",
        "ipportiphash" => "hash:ip,port,ip",
        "ipportnethash" => "hash:ip,port,net",
        "setlist" => "list:set",
        text => text,
    };
    match TYPES.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(Fault::new(
            format!("unknown type of set {}", q(text)),
            format!("expected one of {}", TYPES.join(", ")),
        )
        .usage(format!("Syntax error: typename '{text}' is unknown"))),
    }
}

fn options<T>(
    words: &mut Words<'_>,
    flags: &mut Flags,
    read: fn(&mut Words<'_>) -> Result<T, Diagnostic>,
) -> Result<Vec<T>, Diagnostic> {
    let mut out = Vec::new();
    while words.peek().is_some() {
        if !flag(words, flags) {
            out.push(read(words)?);
        }
    }
    Ok(out)
}

fn set_option(words: &mut Words<'_>) -> Result<SetOption, Diagnostic> {
    let token = words.need("an option")?;
    Ok(match token.text.as_ref() {
        "family" | "-family" => words.value("a family", |t| match t {
            "inet" | "ipv4" | "-4" => Ok(SetOption::FamilyInet),
            _ => Err(Fault::new(format!("family {} is not modelled", q(t)), "expected inet")),
        })?,
        "hashsize" => SetOption::HashSize(words.number("a number of buckets")?),
        "maxelem" => SetOption::MaxElem(words.number("a number of members")?),
        "bucketsize" => SetOption::BucketSize(words.number("a number of members")?),
        "initval" => SetOption::InitVal(words.number("a number")?),
        "netmask" => SetOption::Netmask(words.number("a prefix length")?),
        "markmask" => SetOption::MarkMask(words.number("a mask")?),
        "size" => SetOption::Size(words.number("a number of members")?),
        "timeout" => SetOption::Timeout(timeout(words)?),
        "range" => SetOption::Range(words.need("a range such as 0-65535")?.text.into_owned()),
        "counters" => SetOption::Counters,
        "comment" => SetOption::Comment,
        "skbinfo" => SetOption::SkbInfo,
        "forceadd" => SetOption::ForceAdd,
        _ => return words.unexpected(&token, SET_OPTIONS, &[]).map_err(|d| unknown(d, &token.text)),
    })
}

fn entry_option(words: &mut Words<'_>) -> Result<EntryOption, Diagnostic> {
    let token = words.need("an option")?;
    let count = |words: &mut Words<'_>| {
        words.value("a number", |t| {
            number::unsigned(t, 0, u64::MAX)
                .ok_or_else(|| Fault::new(format!("{} is not a number", q(t)), "expected a number"))
        })
    };
    Ok(match token.text.as_ref() {
        "timeout" => EntryOption::Timeout(timeout(words)?),
        "packets" => EntryOption::Packets(count(words)?),
        "bytes" => EntryOption::Bytes(count(words)?),
        "comment" => EntryOption::Comment(words.need("a text")?.text.into_owned()),
        "nomatch" => EntryOption::NoMatch,
        _ if ENTRY_NOT_MODELLED.contains(&token.text.as_ref()) => {
            return words.unexpected(&token, ENTRY_OPTIONS, ENTRY_NOT_MODELLED);
        }
        _ => return words.unexpected(&token, ENTRY_OPTIONS, &[]).map_err(|d| unknown(d, &token.text)),
    })
}
