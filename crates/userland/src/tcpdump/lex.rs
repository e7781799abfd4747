//! The words of a filter expression (libpcap, scanner.l).

use crate::diagnostic::{Diagnostic, Fault, q};
use packet::Mac;
use std::net::Ipv6Addr;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tok<'a> {
    /// A number: decimal, octal or hexadecimal.
    Number(u32),
    /// Digits and dots: an IPv4 address or the beginning of one.
    Dotted(&'a str),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A MAC address.
    Mac(Mac),
    /// A word of the language.
    Word(&'static str),
    /// A name, or a word behind a backslash.
    Name(&'a str),
    /// An operator, bracket or comma of the language, in its shortest spelling.
    Op(&'static str),
}

/// A token and its place in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'a> {
    pub tok: Tok<'a>,
    pub start: usize,
    pub end: usize,
}

/// Operators: as they are written, and the spelling that stands for them.
const OPERATORS: &[(&str, &str)] = &[
    ("&&", "and"),
    ("||", "or"),
    ("<=", "<="),
    (">=", ">="),
    ("!=", "!="),
    ("==", "="),
    ("<<", "<<"),
    (">>", ">>"),
    ("!", "not"),
    ("=", "="),
    ("<", "<"),
    (">", ">"),
    ("(", "("),
    (")", ")"),
    ("[", "["),
    ("]", "]"),
    (":", ":"),
    ("+", "+"),
    ("-", "-"),
    ("*", "*"),
    ("/", "/"),
    ("%", "%"),
    ("&", "&"),
    ("|", "|"),
    ("^", "^"),
];

/// Words of the language that are read.
pub(crate) const WORDS: &[&str] = &[
    "src",
    "dst",
    "host",
    "net",
    "mask",
    "port",
    "portrange",
    "proto",
    "less",
    "greater",
    "len",
    "broadcast",
    "multicast",
    "ether",
    "link",
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmp6",
    "igmp",
    "igrp",
    "pim",
    "vrrp",
    "carp",
    "ah",
    "esp",
];

/// Words of the language that are refused.
const NOT_MODELLED: &[&str] = &[
    "vlan",
    "mpls",
    "pppoed",
    "pppoes",
    "geneve",
    "gateway",
    "protochain",
    "byte",
    "inbound",
    "outbound",
    "ifindex",
    "ifname",
    "on",
    "rset",
    "rnr",
    "rulenum",
    "ruleset",
    "srnr",
    "subrulenum",
    "reason",
    "action",
    "fddi",
    "tr",
    "wlan",
    "ppp",
    "slip",
    "radio",
    "atalk",
    "aarp",
    "decnet",
    "iso",
    "clnp",
    "esis",
    "es-is",
    "isis",
    "is-is",
    "lat",
    "moprc",
    "mopdl",
    "stp",
    "ipx",
    "netbeui",
    "llc",
    "lane",
    "vpi",
    "vci",
    "type",
    "subtype",
    "dir",
    "direction",
    "ra",
    "ta",
    "addr1",
    "addr2",
    "addr3",
    "addr4",
    "address1",
    "address2",
    "address3",
    "address4",
];

/// Numbers that have names.
const CONSTANTS: &[(&str, u32)] = &[
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-sourcequench", 4),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11),
    ("icmp-paramprob", 12),
    ("icmp-tstamp", 13),
    ("icmp-tstampreply", 14),
    ("icmp-ireq", 15),
    ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17),
    ("icmp-maskreply", 18),
    ("icmp6type", 0),
    ("icmp6code", 1),
    ("icmp6-destinationunreach", 1),
    ("icmp6-packettoobig", 2),
    ("icmp6-timeexceeded", 3),
    ("icmp6-parameterproblem", 4),
    ("icmp6-echo", 128),
    ("icmp6-echoreply", 129),
    ("icmp6-routersolicit", 133),
    ("icmp6-routeradvert", 134),
    ("icmp6-neighborsolicit", 135),
    ("icmp6-neighboradvert", 136),
    ("icmp6-redirect", 137),
    ("tcpflags", 13),
    ("tcp-fin", 1),
    ("tcp-syn", 2),
    ("tcp-rst", 4),
    ("tcp-push", 8),
    ("tcp-ack", 16),
    ("tcp-urg", 32),
    ("tcp-ece", 64),
    ("tcp-cwr", 128),
];

/// Splits an expression.
///
/// # Errors
/// A character or a word that is not of the language, or one that is not modelled.
pub(crate) fn lex(text: &str) -> Result<Vec<Placed<'_>>, Diagnostic> {
    let mut out = Vec::new();
    let mut brackets = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        if rest.starts_with([' ', '\t', '\n', '\r']) {
            at += 1;
            continue;
        }
        let (tok, len) = if let Some(op) = operator(rest, brackets > 0) {
            op
        } else {
            let len = word_len(rest, brackets > 0);
            let part = rest.get(..len).unwrap_or(rest);
            let what = if len == 0 {
                let len = rest.chars().next().map_or(1, char::len_utf8);
                return Err(syntax(text, at, at + len, "this character is not of the filter language"));
            } else {
                part
            };
            (word(what).map_err(|fault| place(text, at, at + len, fault))?, len)
        };
        match tok {
            Tok::Op("[") => brackets += 1,
            Tok::Op("]") => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        out.push(Placed { tok, start: at, end: at + len });
        at += len;
    }
    Ok(out)
}

fn operator<'a>(rest: &str, in_brackets: bool) -> Option<(Tok<'a>, usize)> {
    // Outside of brackets a colon begins an IPv6 address.
    if !in_brackets && rest.starts_with("::") {
        return None;
    }
    OPERATORS.iter().find(|(w, _)| rest.starts_with(w)).map(|(w, op)| (Tok::Op(op), w.len()))
}

/// The longest word at the beginning.
fn word_len(rest: &str, in_brackets: bool) -> usize {
    if rest.starts_with('\\') {
        return rest.find([' ', '!', '(', ')', '\n', '\t']).unwrap_or(rest.len());
    }
    let part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c) || (c == ':' && !in_brackets);
    let len = rest.find(|c| !part(c)).unwrap_or(rest.len());
    // A word ends with a letter, a digit or a dot (an address may end with a colon).
    rest.get(..len).map_or(0, |w| w.trim_end_matches(['-', '_']).len())
}

fn word(text: &str) -> Result<Tok<'_>, Fault> {
    if let Some(name) = text.strip_prefix('\\') {
        return Ok(Tok::Name(name));
    }
    if text.contains(':') {
        return match (text.parse(), text.parse()) {
            (Ok(mac), _) => Ok(Tok::Mac(mac)),
            (_, Ok(addr)) => Ok(Tok::V6(addr)),
            _ => {
                let fault =
                    Fault::new(format!("{} is no address", q(text)), "expected a MAC or an IPv6 address");
                Err(fault.usage(format!("bogus ethernet address {text}")))
            }
        };
    }
    if let Some(n) = number(text) {
        return Ok(Tok::Number(n));
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.contains('.') {
        return Ok(Tok::Dotted(text));
    }
    let op = match text {
        "and" => Some("and"),
        "or" => Some("or"),
        "not" => Some("not"),
        _ => None,
    };
    if let Some(op) = op {
        return Ok(Tok::Op(op));
    }
    let text = match text {
        "length" => "len",
        text => text,
    };
    if let Some(known) = WORDS.iter().find(|w| **w == text) {
        return Ok(Tok::Word(known));
    }
    if NOT_MODELLED.contains(&text) {
        return Err(Fault::new(
            format!("{} is not modelled", q(text)),
            format!("expected one of {}", WORDS.join(", ")),
        ));
    }
    if let Some((_, n)) = CONSTANTS.iter().find(|(w, _)| *w == text) {
        return Ok(Tok::Number(*n));
    }
    Ok(Tok::Name(text))
}

/// A number as C writes it.
fn number(text: &str) -> Option<u32> {
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (text.get(1..)?, 8),
        None => (text, 10),
    };
    if digits.is_empty() || !digits.bytes().all(|b| char::from(b).is_digit(base)) {
        return None;
    }
    u32::from_str_radix(digits, base).ok()
}

/// A diagnostic about a place in the expression.
pub(crate) fn place(text: &str, start: usize, end: usize, fault: Fault) -> Diagnostic {
    Diagnostic::new(1, text, start, end, fault)
}

/// What tcpdump says when an expression is not of the language.
pub(crate) fn syntax(text: &str, start: usize, end: usize, help: impl Into<String>) -> Diagnostic {
    let fault = Fault::new("the filter cannot be read", help);
    place(text, start, end, fault.usage("can't parse filter expression: syntax error"))
}
