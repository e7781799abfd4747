//! The grammar of filter expressions (libpcap, grammar.y).
//!
//! `and` and `or` bind equally and from the left. An id without qualifiers takes those of the last head: `port 80 or 443`.

use super::filter::{Arith, Dir, Expr, Group, Link, Relation};
use super::id::{ethertype, ip_protocol};
use super::lex::{Placed, Tok, lex, place, syntax};
use crate::diagnostic::{Diagnostic, Fault};
use packet::Family;

/// Parentheses and negations may be nested this deep.
const DEPTH: usize = 64;

/// The qualifiers in front of an id.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    pub(super) proto: Option<&'static str>,
    pub(super) dir: Option<Dir>,
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Placed<'a>>,
    pub(super) at: usize,
    pub(super) head: Option<Head>,
    pub(super) link: Link,
    pub(super) depth: usize,
}

pub(crate) fn parse(text: &str, link: Link) -> Result<Option<Expr>, Diagnostic> {
    let mut p = Parser { text, tokens: lex(text)?, at: 0, head: None, link, depth: 0 };
    if p.tokens.is_empty() {
        return Ok(None);
    }
    let expr = p.expr()?;
    match p.tokens.get(p.at) {
        None => Ok(Some(expr)),
        Some(_) => Err(p.unexpected("expected \"and\", \"or\" or the end")),
    }
}

fn and(a: Expr, b: Expr) -> Expr {
    Expr::And(Box::new(a), Box::new(b))
}

fn or(a: Expr, b: Expr) -> Expr {
    Expr::Or(Box::new(a), Box::new(b))
}

impl<'a> Parser<'a> {
    pub(super) fn tok(&self, ahead: usize) -> Option<&Tok<'a>> {
        self.tokens.get(self.at + ahead).map(|p| &p.tok)
    }

    pub(super) fn is_op(&self, ahead: usize, op: &str) -> bool {
        matches!(self.tok(ahead), Some(Tok::Op(o)) if *o == op)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.tok(0), Some(Tok::Word(w)) if *w == word)
    }

    pub(super) fn take_op(&mut self, op: &str) -> bool {
        let is = self.is_op(0, op);
        self.at += usize::from(is);
        is
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    pub(super) fn need_op(&mut self, op: &'static str) -> Result<(), Diagnostic> {
        if self.take_op(op) { Ok(()) } else { Err(self.unexpected(format!("expected \"{op}\""))) }
    }

    /// What stands here does not belong here.
    pub(super) fn unexpected(&self, help: impl Into<String>) -> Diagnostic {
        let end = self.text.len();
        let (from, to) = self.tokens.get(self.at).map_or((end, end), |p| (p.start, p.end));
        syntax(self.text, from, to, help)
    }

    /// A fault of the token before this one.
    pub(super) fn blame(&self, fault: Fault) -> Diagnostic {
        let last = self.at.checked_sub(1).and_then(|i| self.tokens.get(i));
        let (from, to) = last.map_or((0, 0), |p| (p.start, p.end));
        place(self.text, from, to, fault)
    }

    /// The words of the tool, and what was expected.
    pub(super) fn refuse(&self, says: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let says = says.into();
        self.blame(Fault::new(says.clone(), help).usage(says))
    }

    pub(super) fn deeper(&mut self) -> Result<(), Diagnostic> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.unexpected(format!("expected at most {DEPTH} levels of parentheses")));
        }
        Ok(())
    }

    pub(super) fn expr(&mut self) -> Result<Expr, Diagnostic> {
        let mut left = self.term()?;
        loop {
            let joined = if self.take_op("and") {
                and
            } else if self.take_op("or") {
                or
            } else {
                return Ok(left);
            };
            // An id alone takes the qualifiers of the last head.
            let right = match self.head {
                Some(head) if self.id_is_next() => self.id(head)?,
                _ => self.term()?,
            };
            left = joined(left, right);
        }
    }

    /// True if what follows is an id without qualifiers, and not arithmetic.
    pub(super) fn id_is_next(&self) -> bool {
        let mut ahead = 0;
        while self.is_op(ahead, "not") || self.is_op(ahead, "(") {
            ahead += 1;
        }
        match self.tok(ahead) {
            Some(Tok::Number(_)) => match self.tok(ahead + 1) {
                None | Some(Tok::Op("and" | "or")) => true,
                // `(80)` may be arithmetic too.
                Some(Tok::Op(")")) => !self.relation_follows(ahead + 1),
                _ => false,
            },
            Some(Tok::Dotted(_) | Tok::V6(_) | Tok::Mac(_) | Tok::Name(_)) => true,
            _ => false,
        }
    }

    pub(super) fn relation_follows(&self, mut ahead: usize) -> bool {
        while self.is_op(ahead, ")") {
            ahead += 1;
        }
        !matches!(self.tok(ahead), None | Some(Tok::Op("and" | "or")))
    }

    pub(super) fn term(&mut self) -> Result<Expr, Diagnostic> {
        self.deeper()?;
        let term = self.term_inside();
        self.depth -= 1;
        term
    }

    pub(super) fn term_inside(&mut self) -> Result<Expr, Diagnostic> {
        if self.take_op("not") {
            return Ok(Expr::Not(Box::new(self.term()?)));
        }
        if let Some(relation) = self.relation()? {
            return Ok(relation);
        }
        if self.take_op("(") {
            let inside = self.expr()?;
            self.need_op(")")?;
            return Ok(inside);
        }
        if let Some(sized) = self.sized()? {
            return Ok(sized);
        }
        self.headed()
    }

    /// `less N`, `greater N`.
    pub(super) fn sized(&mut self) -> Result<Option<Expr>, Diagnostic> {
        let relation = match self.tok(0) {
            Some(Tok::Word("less")) => Relation::LessEqual,
            Some(Tok::Word("greater")) => Relation::GreaterEqual,
            _ => return Ok(None),
        };
        self.at += 1;
        match self.tok(0) {
            Some(Tok::Number(n)) => {
                let n = *n;
                self.at += 1;
                Ok(Some(Expr::Relation(Arith::Len, relation, Arith::Number(n))))
            }
            _ => Err(self.unexpected("expected a length in bytes")),
        }
    }

    /// Qualifiers and what they are about.
    pub(super) fn headed(&mut self) -> Result<Expr, Diagnostic> {
        let begin = self.at;
        let mut head = Head::default();
        if let Some(Tok::Word(w)) = self.tok(0)
            && (ip_protocol(w).is_some() || ["ether", "link", "ip", "ip6", "arp", "rarp"].contains(w))
        {
            head.proto = Some(if *w == "link" { "ether" } else { w });
            self.at += 1;
        }
        for (word, group) in [("broadcast", Group::EtherBroadcast), ("multicast", Group::EtherMulticast)] {
            if self.take_word(word) {
                return self.group(head.proto, word, group);
            }
        }
        head.dir = self.direction()?;
        let kinds = [
            ("host", Kind::Host),
            ("net", Kind::Net),
            ("portrange", Kind::PortRange),
            ("port", Kind::Port),
            ("proto", Kind::Proto),
        ];
        head.kind = kinds.into_iter().find(|(word, _)| self.take_word(word)).map(|(_, kind)| kind);
        if head.dir.is_none() && head.kind.is_none() {
            // The name of a protocol alone.
            return match head.proto {
                Some(word) if !self.id_follows() => self.abbreviation(word),
                Some(_) => Err(self
                    .unexpected("expected \"host\", \"net\", \"port\", \"proto\" or a direction before it")),
                None => {
                    self.at = begin;
                    Err(self.unexpected(
                        "expected a primitive such as \"host 10.0.0.1\", \"port 80\" or \"tcp\", or a comparison",
                    ))
                }
            };
        }
        self.head = Some(head);
        self.id(head)
    }

    pub(super) fn id_follows(&self) -> bool {
        matches!(self.tok(0), Some(Tok::Number(_) | Tok::Dotted(_) | Tok::V6(_) | Tok::Mac(_) | Tok::Name(_)))
    }

    pub(super) fn direction(&mut self) -> Result<Option<Dir>, Diagnostic> {
        let first = if self.take_word("src") {
            Dir::Src
        } else if self.take_word("dst") {
            Dir::Dst
        } else {
            return Ok(None);
        };
        let both = match self.tok(0) {
            Some(Tok::Op("or")) => Dir::Either,
            Some(Tok::Op("and")) => Dir::Both,
            _ => return Ok(Some(first)),
        };
        self.at += 1;
        let other = if first == Dir::Src { "dst" } else { "src" };
        if self.take_word(other) {
            Ok(Some(both))
        } else {
            Err(self.unexpected(format!("expected \"{other}\"")))
        }
    }

    /// `broadcast`, `ip multicast`
    pub(super) fn group(&self, proto: Option<&str>, word: &str, ether: Group) -> Result<Expr, Diagnostic> {
        match (proto, ether) {
            (None | Some("ether"), _) if self.link != Link::Ethernet => {
                Err(self.refuse("not a broadcast link", "expected a capture of one device"))
            }
            (None | Some("ether"), group) => Ok(Expr::Group(group)),
            (Some("ip"), Group::EtherMulticast) => {
                Ok(and(Expr::EtherType(0x0800), Expr::Group(Group::Ipv4Multicast)))
            }
            (Some("ip6"), Group::EtherMulticast) => Ok(Expr::Group(Group::Ipv6Multicast)),
            (Some("ip"), _) => {
                let fault = Fault::new("\"ip broadcast\" is not modelled", "expected \"ether broadcast\"");
                Err(self.blame(fault))
            }
            (Some(_), Group::EtherMulticast) => Err(self.refuse(
                "link-layer multicast filters supported only on ethernet/FDDI/token ring/ARCNET/802.11/ATM LANE/Fibre Channel",
                format!("expected \"ether\", \"ip\" or \"ip6\" before \"{word}\""),
            )),
            _ => Err(self.refuse("only link-layer/IP broadcast filters supported", "expected \"ether broadcast\"")),
        }
    }

    /// A protocol by its name (`gen_proto_abbrev`).
    pub(super) fn abbreviation(&self, word: &str) -> Result<Expr, Diagnostic> {
        if let Some(t) = ethertype(word) {
            return Ok(Expr::EtherType(t));
        }
        Ok(match (word, ip_protocol(word)) {
            ("icmp" | "igmp" | "igrp" | "vrrp" | "carp", Some(n)) => Expr::Proto(Some(Family::V4), n),
            ("icmp6", Some(n)) => Expr::Proto(Some(Family::V6), n),
            (_, Some(n)) => Expr::Proto(None, n),
            (_, None) => {
                return Err(self
                    .refuse("link layer applied in wrong context", "expected \"ether host\" and the like"));
            }
        })
    }

    /// One id, or several in parentheses.
    pub(super) fn id(&mut self, head: Head) -> Result<Expr, Diagnostic> {
        self.deeper()?;
        let id = self.id_inside(head);
        self.depth -= 1;
        id
    }

    pub(super) fn id_inside(&mut self, head: Head) -> Result<Expr, Diagnostic> {
        if self.take_op("not") {
            return Ok(Expr::Not(Box::new(self.id(head)?)));
        }
        if self.take_op("(") {
            let mut left = self.id(head)?;
            loop {
                let joined = if self.take_op("and") {
                    and
                } else if self.take_op("or") {
                    or
                } else {
                    break;
                };
                // As in the grammar, what follows inside may be a whole term too.
                let right = if self.id_is_next() { self.id(head)? } else { self.term()? };
                left = joined(left, right);
            }
            self.need_op(")")?;
            return Ok(left);
        }
        let Some(tok) = self.tok(0).cloned() else {
            return Err(self.unexpected("expected an address, a name or a number"));
        };
        let dir = head.dir.unwrap_or(Dir::Either);
        self.at += 1;
        match (head.kind.unwrap_or(Kind::Host), tok) {
            (kind @ (Kind::Host | Kind::Net), tok) => self.address(head, kind, dir, tok),
            (Kind::Port, Tok::Number(n)) => self.port_number(head, dir, n),
            (Kind::Port, Tok::Name(name)) => self.port_name(head, dir, name),
            (Kind::PortRange, Tok::Number(n)) => self.port_number(head, dir, n),
            (Kind::PortRange, Tok::Name(name)) => self.port_range(head, dir, name),
            (Kind::Proto, Tok::Number(n)) => self.proto(head, n),
            (Kind::Proto, Tok::Name(name)) => self.proto_name(head, name),
            (kind, Tok::Dotted(_)) => {
                let word = match kind {
                    Kind::PortRange => "portrange",
                    Kind::Proto => "proto",
                    _ => "port",
                };
                Err(self
                    .refuse(format!("'{word}' modifier applied to ip host"), "expected a name or a number"))
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected("expected a name or a number"))
            }
        }
    }
}
