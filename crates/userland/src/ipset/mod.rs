//! `ipset`: its commands as values, members, and what it prints.

mod entry;
mod icmp;
mod options;
mod print;

pub use entry::{check_test, elem_text, entry_text, parse_entry};
pub use options::{EntryOption, SetOption};
pub use print::{create_options, entry_options, error_text, list_set, save_set, set_type};

use crate::args::ArgLine;
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::words::{Words, arg_line};
use options::{entry_option, options, set_option};

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
        // Members are listed in order anyway.
        "-sorted" | "--sorted" | "-s" => {}
        "-quiet" | "--quiet" | "-q" => {}
        _ => return false,
    }
    words.next();
    true
}

/// Reads a command; what is wrong with it bears ipset's words as well.
fn command(words: &mut Words<'_>) -> Result<IpsetCommand, Diagnostic> {
    let mut verb = None;
    read(words, &mut verb).map_err(|d| {
        if d.tool.is_some() {
            return d;
        }
        let word = d.token.clone();
        let option =
            options::SET_OPTIONS.contains(&word.as_str()) || options::ENTRY_OPTIONS.contains(&word.as_str());
        let says = match (d.message.as_str(), verb) {
            (m, _) if m.ends_with("is not a number") => {
                format!("Syntax error: '{word}' is invalid as number")
            }
            (m, _) if m.ends_with("is too much") => format!("Unknown argument {word}"),
            ("the command ends too early", None) => "No command specified.".to_owned(),
            ("the command ends too early", _) if option => {
                format!("Missing mandatory argument of option `{word}'")
            }
            ("the command ends too early", Some(verb)) => {
                let which = if word == verb { "" } else { "second " };
                format!("Missing {which}mandatory argument to command {verb}")
            }
            _ => return d,
        };
        saying(d, says)
    })
}

fn read(words: &mut Words<'_>, named: &mut Option<&'static str>) -> Result<IpsetCommand, Diagnostic> {
    let mut flags = Flags::default();
    while flag(words, &mut flags) {}
    let token = words.need("a command such as create or add")?;
    let text = token.text.trim_start_matches("--");
    let found = VERBS.iter().find(|(long, short, _)| *long == text || *short == token.text);
    *named = found.map(|(long, ..)| *long);
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
            while flag(words, &mut flags) {}
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
