//! The options of `create` and of members.

use super::{Flags, flag, saying};
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::names::number;
use crate::words::Words;

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

pub(super) const SET_OPTIONS: &[&str] = &[
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
pub(super) const ENTRY_OPTIONS: &[&str] = &["timeout", "packets", "bytes", "comment", "nomatch"];
const ENTRY_NOT_MODELLED: &[&str] = &["skbmark", "skbprio", "skbqueue", "before", "after"];

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

pub(super) fn options<T>(
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

pub(super) fn set_option(words: &mut Words<'_>) -> Result<SetOption, Diagnostic> {
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

pub(super) fn entry_option(words: &mut Words<'_>) -> Result<EntryOption, Diagnostic> {
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
