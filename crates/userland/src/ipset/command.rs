//! The rest of a line, which depends on the type of the set.

use super::NAME_MAX;
use super::entry::parse_entry;
use super::errors::IpsetError;
use super::line::{IpsetFlags, IpsetLine, Output, Verb};
use super::options::{create_options, entry_options};
use crate::args::{ArgLine, check_text};
use kernel::netfilter::ipset::{ElemInfo, Elems, SetError, SetOptions, SetType};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpsetCommand {
    /// `create NAME TYPE ...`
    Create {
        /// The name.
        name: String,
        /// The type.
        kind: SetType,
        /// What the set is like.
        options: Box<SetOptions>,
    },
    /// `add NAME ENTRY ...`
    Add {
        /// The set.
        name: String,
        /// The members.
        elems: Box<Elems>,
        /// What they are like.
        info: Box<ElemInfo>,
    },
    /// `del NAME ENTRY ...`
    Del {
        /// The set.
        name: String,
        /// The members.
        elems: Box<Elems>,
    },
    /// `test NAME ENTRY ...`
    Test {
        /// The set.
        name: String,
        /// Its type.
        kind: SetType,
        /// The member.
        elems: Box<Elems>,
        /// `nomatch`: is it a hole?
        nomatch: bool,
    },
    /// `destroy [NAME]`
    Destroy(Option<String>),
    /// `flush [NAME]`
    Flush(Option<String>),
    /// `list [NAME]`
    List(Option<String>),
    /// `save [NAME]`
    Save(Option<String>),
    /// `rename OLD NEW`
    Rename(String, String),
    /// `swap A B`
    Swap(String, String),
    /// `restore`
    Restore,
    /// `version`
    Version,
}

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

/// The type of that name, or of the name that ipset 4 gave it.
fn set_type(name: &str) -> Result<SetType, IpsetError> {
    let known = match name {
        "ipmap" => "bitmap:ip",
        "macipmap" => "bitmap:ip,mac",
        "portmap" => "bitmap:port",
        "iphash" => "hash:ip",
        "nethash" => "hash:net",
        "ipporthash" => "hash:ip,port",
        "ipportiphash" => "hash:ip,port,ip",
        "ipportnethash" => "hash:ip,port,net",
        "setlist" => "list:set",
        name => name,
    };
    let modelled = SetType::ALL.into_iter().find(|t| t.name() == known);
    modelled.ok_or_else(|| match TYPES.contains(&known) {
        true => IpsetError::not_modelled(&format!("type {name}")),
        false => format!("Syntax error: typename '{name}' is unknown").into(),
    })
}

/// A name of a set.
pub(super) fn set_name(name: &str) -> Result<String, IpsetError> {
    if name.len() > NAME_MAX {
        return Err(format!("Syntax error: setname '{name}' is longer than {NAME_MAX} characters").into());
    }
    Ok(name.to_owned())
}

impl IpsetLine {
    /// The command; `kind_of` knows the types of the sets that there are.
    ///
    /// # Errors
    /// ipset's words about what it does not understand, or about a set that does not exist.
    pub fn command(&self, kind_of: &dyn Fn(&str) -> Option<SetType>) -> Result<IpsetCommand, IpsetError> {
        let word = |n: usize| self.words.get(n).map(String::as_str).unwrap_or_default();
        let one = || self.name().map(set_name).transpose();
        let rest = self.words.get(2..).unwrap_or_default();
        let of_set = || {
            let name = set_name(word(0))?;
            let kind = kind_of(&name).ok_or(SetError::NoSet)?;
            Ok::<_, IpsetError>((name, kind))
        };
        Ok(match self.verb {
            Verb::Create => {
                let (name, kind) = (set_name(word(0))?, set_type(word(1))?);
                IpsetCommand::Create { name, kind, options: Box::new(create_options(kind, rest)?) }
            }
            Verb::Add => {
                let (name, kind) = of_set()?;
                let mut elems = Box::new(parse_entry(kind, word(1))?);
                let info = Box::new(entry_options(self.verb, kind, rest, &mut elems)?);
                IpsetCommand::Add { name, elems, info }
            }
            Verb::Del => {
                let (name, kind) = of_set()?;
                let mut elems = Box::new(parse_entry(kind, word(1))?);
                entry_options(self.verb, kind, rest, &mut elems)?;
                IpsetCommand::Del { name, elems }
            }
            Verb::Test => {
                let (name, kind) = of_set()?;
                let mut elems = Box::new(parse_entry(kind, word(1))?);
                let nomatch = entry_options(self.verb, kind, rest, &mut elems)?.nomatch;
                super::entry::check_test(kind, &elems, word(1))?;
                IpsetCommand::Test { name, kind, elems, nomatch }
            }
            Verb::Destroy => IpsetCommand::Destroy(one()?),
            Verb::Flush => IpsetCommand::Flush(one()?),
            Verb::List => IpsetCommand::List(one()?),
            Verb::Save => IpsetCommand::Save(one()?),
            Verb::Rename => IpsetCommand::Rename(set_name(word(0))?, set_name(word(1))?),
            Verb::Swap => IpsetCommand::Swap(set_name(word(0))?, set_name(word(1))?),
            Verb::Restore => IpsetCommand::Restore,
            Verb::Version => IpsetCommand::Version,
            Verb::Help => return Err(IpsetError::not_modelled("help")),
        })
    }
}

/// A line of a text for `ipset restore`: its number, the options that hold there, and what it says.
pub type RestoreLine = (u32, IpsetFlags, IpsetLine);

/// The lines of a text for `ipset restore` up to the first that is not understood.
pub fn parse_ipset_restore(
    text: &str,
    flags: &mut IpsetFlags,
) -> (Vec<RestoreLine>, Option<(u32, IpsetError)>) {
    let mut lines = Vec::new();
    if let Err(d) = check_text(text) {
        return (lines, Some((d.span.line, format!("{}: {}", d.message, d.help).into())));
    }
    for (n, text) in (1u32..).zip(text.lines()) {
        if text.trim().is_empty() || text.starts_with('#') || text == "COMMIT" {
            continue;
        }
        let words = ArgLine::split(n, text).args(0).map(|t| t.text.into_owned()).collect();
        match IpsetLine::parse(words, flags, true) {
            Ok(line) => {
                // The form of the output stays.
                let save = line.verb == Verb::Save && flags.output.is_none();
                flags.output = if save { Some(Output::Save) } else { flags.output };
                lines.push((n, *flags, line));
            }
            Err(e) => return (lines, Some((n, e))),
        }
    }
    (lines, None)
}
