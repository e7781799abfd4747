//! The filter language of ss: `state NAME`, then conditions on addresses and ports. `and`, which may be left out, and `or`
//! bind alike, from the left.

use super::options::states_named;
use super::{SsError, SsRow, states};
use crate::names::service;
use ipnet::Ipv4Net;
use packet::Protocol;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::net::Ipv4Addr;

/// What a socket must be like.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Filter {
    /// Anything.
    #[default]
    Always,
    /// Nothing is.
    Never,
    /// `dst` or `src` (true): an address and a port, where they are given.
    Host(bool, Option<Ipv4Net>, Option<i64>),
    /// `dport` or `sport` (true), and how it compares.
    Port(bool, Op, i64),
    /// `not`
    Not(Box<Filter>),
    /// `and`
    And(Box<[Filter; 2]>),
    /// `or`
    Or(Box<[Filter; 2]>),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `>=`
    Ge,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `<`
    Lt,
}

const OPS: &[(&str, Op)] = &[
    ("=", Op::Eq),
    ("==", Op::Eq),
    ("eq", Op::Eq),
    ("!=", Op::Ne),
    ("ne", Op::Ne),
    ("neq", Op::Ne),
    (">=", Op::Ge),
    ("ge", Op::Ge),
    ("geq", Op::Ge),
    ("<=", Op::Le),
    ("le", Op::Le),
    ("leq", Op::Le),
    (">", Op::Gt),
    ("gt", Op::Gt),
    ("<", Op::Lt),
    ("lt", Op::Lt),
];

impl Filter {
    /// Whether a socket is like that.
    pub fn matches(&self, row: &SsRow) -> bool {
        let end = |own: bool| match own {
            true => row.local,
            false => row.remote.unwrap_or((Ipv4Addr::UNSPECIFIED, 0)),
        };
        match self {
            Filter::Always => true,
            Filter::Never => false,
            Filter::Host(own, net, port) => {
                let (addr, at) = end(*own);
                net.is_none_or(|n| n.contains(&addr)) && port.is_none_or(|p| p == i64::from(at))
            }
            Filter::Port(own, op, port) => {
                let order = i64::from(end(*own).1).cmp(port);
                match op {
                    Op::Eq => order == Ordering::Equal,
                    Op::Ne => order != Ordering::Equal,
                    Op::Ge => order != Ordering::Less,
                    Op::Le => order != Ordering::Greater,
                    Op::Gt => order == Ordering::Greater,
                    Op::Lt => order == Ordering::Less,
                }
            }
            Filter::Not(f) => !f.matches(row),
            Filter::And(both) => both.iter().all(|f| f.matches(row)),
            Filter::Or(both) => both.iter().any(|f| f.matches(row)),
        }
    }
}

fn incomplete() -> SsError {
    SsError::new(255, "Command line is not complete. Try option \"help\"")
}

fn syntax() -> SsError {
    SsError::with_usage("ss: bison bellows (while parsing filter): \"syntax error!\" Sorry.")
}

fn wrong(line: String) -> SsError {
    SsError { status: 1, lines: vec![line, "Cannot parse dst/src address.".to_owned()] }
}

/// Reads the words behind the options: the states, if some are named, and the conditions.
pub(super) fn parse(words: &[&str]) -> Result<(Option<u16>, Filter), SsError> {
    let (mut asked, mut at) = (None, 0);
    while let Some(word) = words.get(at).filter(|w| matches!(**w, "state" | "exclude")) {
        let name = words.get(at + 1).ok_or_else(incomplete)?;
        let named = states_named(name)?;
        asked = Some(match *word {
            "state" => asked.unwrap_or(0) | named,
            _ => asked.unwrap_or(states::ALL) & !named,
        });
        at += 2;
    }
    let text = words.get(at..).unwrap_or_default().join(" ");
    let mut tokens = text.split_whitespace().peekable();
    if tokens.peek().is_none() {
        return Ok((asked, Filter::Always));
    }
    let filter = list(&mut tokens)?;
    match tokens.next() {
        None => Ok((asked, filter)),
        Some(_) => Err(syntax()),
    }
}

type Tokens<'a> = Peekable<std::str::SplitWhitespace<'a>>;

fn list(tokens: &mut Tokens<'_>) -> Result<Filter, SsError> {
    let mut filter = one(tokens)?;
    while let Some(word) = tokens.peek().copied().filter(|w| *w != ")") {
        let or = matches!(word, "or" | "|" | "||");
        if or || matches!(word, "and" | "&" | "&&") {
            tokens.next();
        }
        let both = Box::new([filter, one(tokens)?]);
        filter = if or { Filter::Or(both) } else { Filter::And(both) };
    }
    Ok(filter)
}

fn one(tokens: &mut Tokens<'_>) -> Result<Filter, SsError> {
    let word = tokens.next().ok_or_else(syntax)?;
    match word {
        "(" => {
            let inner = list(tokens)?;
            if tokens.next() == Some(")") { Ok(inner) } else { Err(syntax()) }
        }
        "!" | "not" => Ok(Filter::Not(Box::new(one(tokens)?))),
        "src" | "saddr" => host(true, tokens),
        "dst" | "daddr" => host(false, tokens),
        "sport" => port(true, tokens),
        "dport" => port(false, tokens),
        "dev" | "fwmark" | "cgroup" | "autobound" => {
            let known = "expected one of src, dst, sport, dport";
            Err(SsError::new(1, format!("ss: {word} is not modelled: {known}")))
        }
        // A word that is none of the language is read as an address; one that is, stands in the wrong place.
        ")" | "and" | "or" => Err(syntax()),
        _ => address(word).and_then(|_| Err(syntax())),
    }
}

fn op(tokens: &mut Tokens<'_>) -> Option<Op> {
    let (_, op) = OPS.iter().find(|(w, _)| Some(w) == tokens.peek())?;
    tokens.next();
    Some(*op)
}

fn host(own: bool, tokens: &mut Tokens<'_>) -> Result<Filter, SsError> {
    let op = op(tokens);
    if !matches!(op, None | Some(Op::Eq | Op::Ne)) {
        return Err(syntax());
    }
    let (net, port) = address(tokens.next().ok_or_else(syntax)?)?;
    let filter = Filter::Host(own, net, port);
    Ok(if op == Some(Op::Ne) { Filter::Not(Box::new(filter)) } else { filter })
}

fn port(own: bool, tokens: &mut Tokens<'_>) -> Result<Filter, SsError> {
    let op = op(tokens).unwrap_or(Op::Eq);
    let word = tokens.next().ok_or_else(syntax)?;
    Ok(Filter::Port(own, op, number(word.strip_prefix(':').unwrap_or(word))?))
}

fn number(word: &str) -> Result<i64, SsError> {
    let named = || {
        let found = [Protocol::TCP, Protocol::UDP].into_iter().find_map(|p| service(word, p));
        found.map(i64::from)
    };
    let number = word.parse::<u32>().ok().map(i64::from);
    number.or_else(named).ok_or_else(|| wrong(format!("Error: \"{word}\" does not look like a port.")))
}

/// `ADDRESS[/LENGTH][:PORT]`, `*:PORT`, `:PORT`
fn address(word: &str) -> Result<(Option<Ipv4Net>, Option<i64>), SsError> {
    let (addr, port) = match word.rsplit_once(':') {
        Some((addr, port)) => (addr, Some(port).filter(|p| !matches!(*p, "" | "*"))),
        None => (word, None),
    };
    let net = match addr {
        "" | "*" => None,
        _ => {
            let net =
                addr.parse::<Ipv4Net>().ok().or_else(|| addr.parse::<Ipv4Addr>().ok().map(Ipv4Net::from));
            let say = || wrong(format!("Error: an inet prefix is expected rather than \"{addr}\"."));
            Some(net.ok_or_else(say)?.trunc())
        }
    };
    Ok((net, port.map(number).transpose()?))
}

/// Sockets of a kind that are in one of these states.
pub(super) fn shown(row: &SsRow, kinds: u8, states: [u16; 3], filter: &Filter) -> bool {
    kinds & row.kind.bit() != 0
        && states.get(row.kind as usize).is_some_and(|s| s & row.state.bit() != 0)
        && filter.matches(row)
}
