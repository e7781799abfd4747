//! Reading nft's language. Words are read one by one; what a value is depends on what stands in front of it.

mod chain;
mod command;
mod elements;
mod expr;
mod hint;
mod nat;
mod objects;
mod rule;
mod sets;
mod stmt;

pub(super) use command::Command;
pub(crate) use expr::prefix_len;
pub(super) use objects::{HOOKS, PRIORITIES, priority_fits};
pub(super) use rule::RuleCx;
pub(super) use rule::{asks_family, without_implied};
pub(super) use stmt::{LOG_FLAGS, LOG_LEVELS};

use super::Names;
use super::lex::{Kind, Tok, blame, lex};
use crate::diagnostic::{Diagnostic, Fault, q};
use kernel::netfilter::nftables::{NftError, Nftables, TableKey};

/// A text being read.
pub(super) struct Parser<'a> {
    pub src: &'a str,
    pub names: Names<'a>,
    toks: Vec<Tok>,
    at: usize,
    /// Each rule is followed by a look at the whole table, to find the one with which it went wrong.
    pub check_each: bool,
    /// Where the command began that is being read.
    began: usize,
    /// The tables before the text, and the handles that they had given out.
    old: Vec<(TableKey, u64)>,
}

/// A result with a place.
pub(super) type Parsed<T> = Result<T, Diagnostic>;

impl<'a> Parser<'a> {
    pub fn new(src: &'a str, names: Names<'a>, nft: &Nftables) -> Parsed<Parser<'a>> {
        let old = nft.tables().iter().map(|t| (t.key, t.handles())).collect();
        Ok(Parser { src, names, toks: lex(src)?, at: 0, check_each: false, began: 0, old })
    }

    // ------------------------------------------------------------------ tokens

    fn tok(&self) -> Tok {
        let end = Tok { kind: Kind::Eof, start: self.src.len(), end: self.src.len() };
        self.toks.get(self.at).copied().unwrap_or(end)
    }

    fn text_of(&self, t: Tok) -> &'a str {
        self.src.get(t.start..t.end).unwrap_or_default()
    }

    /// The text of the next token; of a quoted one, the end of a line and the end of the text none.
    fn peek(&self) -> &'a str {
        let t = self.tok();
        match t.kind {
            Kind::Quoted | Kind::End | Kind::Eof => "",
            _ => self.text_of(t),
        }
    }

    fn peek_at(&self, n: usize) -> &'a str {
        self.toks.get(self.at + n).map_or("", |t| self.text_of(*t))
    }

    /// Takes the next token if it is this word or sign.
    fn take(&mut self, word: &str) -> bool {
        let is = self.peek() == word;
        self.at += usize::from(is);
        is
    }

    /// The next token must be this.
    fn need(&mut self, word: &str) -> Parsed<()> {
        if self.take(word) { Ok(()) } else { Err(self.unexpected(&q(word))) }
    }

    /// A syntax error at the next token, in nft's words.
    fn unexpected(&self, expected: &str) -> Diagnostic {
        let t = self.tok();
        let what = match t.kind {
            Kind::End if self.text_of(t) == ";" => "semicolon".to_owned(),
            Kind::End => "newline".to_owned(),
            Kind::Eof => "end of file".to_owned(),
            Kind::Quoted => "quoted string".to_owned(),
            Kind::Number => "number".to_owned(),
            _ => bison_name(self.text_of(t)),
        };
        let fault = Fault::new(format!("syntax error, unexpected {what}"), format!("expected {expected}"));
        blame(self.src, t.start, t.end.max(t.start + 1), fault)
    }

    /// An error about what stands from a token on up to the one that is next.
    fn wrong(&self, from: usize, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let first = self.toks.get(from).copied().unwrap_or(self.tok());
        let last = self.toks.get(self.at.saturating_sub(1).max(from)).copied().unwrap_or(first);
        blame(self.src, first.start, last.end.max(first.start + 1), Fault::new(message, help))
    }

    /// The place of a token, for errors of the kernel.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        self.toks.get(at).map_or((0, 0), |t| (t.start, t.end))
    }

    /// Where the next token is.
    pub fn here(&self) -> usize {
        self.at
    }

    /// An error of the kernel about the command that began at a token.
    pub fn blame_command(&self, from: usize, e: NftError) -> Diagnostic {
        let begins = |t: &Tok| t.kind != Kind::End;
        let first =
            self.toks.get(from..).and_then(|rest| rest.iter().position(begins)).map_or(from, |n| from + n);
        let last = self.at.saturating_sub(1).max(first);
        let last = (first..=last).rev().find(|n| self.toks.get(*n).is_some_and(begins)).unwrap_or(first);
        let (start, end) = (self.place(first).0, self.place(last).1);
        let message = format!("Could not process rule: {e}");
        let mut d = blame(self.src, start, end, Fault::new(message, command::help_for(e)));
        // To nft the end of the line belongs to the command.
        if self.src.get(end..).is_some_and(|rest| rest.starts_with('\n')) {
            d.span.len += 1;
        }
        d
    }

    fn not_modelled(&self, what: &str, known: &[&str]) -> Diagnostic {
        let t = self.tok();
        let fault = Fault::new(
            format!("{} is not modelled", q(what)),
            format!("expected one of {}", known.join(", ")),
        );
        blame(self.src, t.start, t.end.max(t.start + 1), fault)
    }

    /// A name: a word or a quoted text.
    fn name(&mut self, what: &str) -> Parsed<&'a str> {
        let t = self.tok();
        match t.kind {
            // Such a word may be a name in quotation marks only where nft takes those.
            Kind::Word if KEYWORDS.contains(&self.text_of(t)) => Err(self.unexpected(what)),
            Kind::Word | Kind::Quoted => {
                self.at += 1;
                Ok(self.text_of(t))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Text in quotation marks.
    fn quoted(&mut self, what: &str) -> Parsed<&'a str> {
        let t = self.tok();
        if t.kind != Kind::Quoted && t.kind != Kind::Word {
            return Err(self.unexpected(what));
        }
        self.at += 1;
        Ok(self.text_of(t))
    }

    fn number(&mut self, what: &str) -> Parsed<u64> {
        let from = self.at;
        let text = self.peek();
        let n = crate::names::number::unsigned(text, 0, u64::MAX);
        match n.filter(|_| self.tok().kind == Kind::Number) {
            Some(n) => {
                self.at += 1;
                Ok(n)
            }
            None if text.is_empty() => Err(self.unexpected(what)),
            None => {
                self.at += 1;
                Err(self.wrong(from, format!("{} is not a number", q(text)), format!("expected {what}")))
            }
        }
    }

    fn number32(&mut self, what: &str) -> Parsed<u32> {
        let from = self.at;
        let n = self.number(what)?;
        u32::try_from(n).map_err(|_| self.wrong(from, "the number is too large", format!("expected {what}")))
    }

    /// A time, in milliseconds.
    fn time(&mut self) -> Parsed<u64> {
        let from = self.at;
        let text = self.peek();
        self.at += 1;
        super::value::time(text).ok_or_else(|| {
            self.wrong(from, format!("{} is not a time", q(text)), "expected a time such as 3h or 10s")
        })
    }

    fn at_end(&self) -> bool {
        matches!(self.tok().kind, Kind::End | Kind::Eof)
    }

    fn at_eof(&self) -> bool {
        self.tok().kind == Kind::Eof
    }

    /// The end of a command: of the line or of the text.
    fn end(&mut self) -> Parsed<()> {
        if self.at_eof() { Ok(()) } else { self.separator("end of file or newline or semicolon") }
    }

    /// The end of a line, which a brace does not replace; these may stand there.
    fn separator(&mut self, expecting: &str) -> Parsed<()> {
        if self.tok().kind != Kind::End {
            let mut d = self.unexpected("a new line or a semicolon");
            d.message.push_str(", expecting ");
            d.message.push_str(expecting);
            return Err(d);
        }
        self.at += 1;
        Ok(())
    }

    fn skip_ends(&mut self) {
        while self.tok().kind == Kind::End {
            self.at += 1;
        }
    }

    /// A name that was not defined in front of it is none: those that were have been replaced.
    fn expand(&self) -> Parsed<()> {
        if self.peek() != "$" {
            return Ok(());
        }
        let (start, end) = self.place(self.at + 1);
        let fault =
            Fault::new(format!("unknown identifier '{}'", self.peek_at(1)), "expected a defined name");
        Err(blame(self.src, start, end, fault))
    }

    /// `$NAME` means these tokens from here on.
    fn replace(&mut self, name: &str, toks: &[Tok]) {
        let mut at = self.at;
        while at + 1 < self.toks.len() {
            let is = |n: usize, text: &str| self.toks.get(n).is_some_and(|t| self.text_of(*t) == text);
            if is(at, "$") && is(at + 1, name) {
                self.toks.splice(at..at + 2, toks.iter().copied());
            }
            at += 1;
        }
    }
}

/// How the parser of nft names a token.
fn bison_name(text: &str) -> String {
    match text {
        "{" | "}" | "(" | ")" | "[" | "]" => format!("'{text}'"),
        "," => "comma".to_owned(),
        ":" => "colon".to_owned(),
        "." => ".".to_owned(),
        "!=" => "!=".to_owned(),
        t if t.starts_with(|c: char| c.is_ascii_alphabetic()) => match KEYWORDS.contains(&t) {
            true => t.to_owned(),
            false => "string".to_owned(),
        },
        t => t.to_owned(),
    }
}

/// Words that cannot be names: the scanner of nft knows them everywhere.
const KEYWORDS: &[&str] = &[
    "accept",
    "add",
    "ah",
    "all",
    "and",
    "arp",
    "auto-merge",
    "bridge",
    "chain",
    "comment",
    "comp",
    "constant",
    "continue",
    "counter",
    "cpu",
    "create",
    "ct",
    "day",
    "dccp",
    "define",
    "delete",
    "describe",
    "device",
    "devices",
    "dnat",
    "drop",
    "dst",
    "dup",
    "dynamic",
    "ecn",
    "element",
    "elements",
    "esp",
    "ether",
    "exists",
    "expires",
    "export",
    "fib",
    "flags",
    "flow",
    "flowtable",
    "flush",
    "frag",
    "fwd",
    "gc-interval",
    "get",
    "goto",
    "handle",
    "hbh",
    "hook",
    "hour",
    "ibriport",
    "ibrname",
    "icmp",
    "icmpv6",
    "igmp",
    "iif",
    "iifgroup",
    "iifname",
    "iiftype",
    "import",
    "include",
    "inet",
    "insert",
    "interval",
    "ip",
    "ip6",
    "ipsec",
    "jhash",
    "jump",
    "limit",
    "list",
    "log",
    "map",
    "mark",
    "masquerade",
    "meta",
    "meter",
    "mh",
    "missing",
    "monitor",
    "netdev",
    "nftrace",
    "notrack",
    "numgen",
    "obriport",
    "obrname",
    "oif",
    "oifgroup",
    "oifname",
    "oiftype",
    "or",
    "osf",
    "pkttype",
    "policy",
    "position",
    "priority",
    "queue",
    "quota",
    "random",
    "redefine",
    "redirect",
    "reject",
    "rename",
    "replace",
    "reset",
    "return",
    "rt",
    "rt0",
    "rt2",
    "rtclassid",
    "rule",
    "ruleset",
    "sctp",
    "secmark",
    "set",
    "size",
    "skgid",
    "skuid",
    "snat",
    "socket",
    "srh",
    "symhash",
    "synproxy",
    "table",
    "tcp",
    "th",
    "time",
    "timeout",
    "tproxy",
    "type",
    "typeof",
    "udp",
    "udplite",
    "undefine",
    "update",
    "vlan",
    "vmap",
    "xor",
    "xt",
];
