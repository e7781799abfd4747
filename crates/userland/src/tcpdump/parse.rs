//! The grammar of filter expressions (libpcap, grammar.y).
//!
//! `and` and `or` bind equally and from the left. An id without qualifiers takes those of the last head: `port 80 or 443`.

use super::filter::{AddrOf, Arith, ArithOp, Dir, Expr, Group, Layer, Link, Relation, bits};
use super::lex::{Placed, Tok, lex, place, syntax};
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::names::{protocols, services};
use packet::{Family, Port, Protocol};
use std::net::{IpAddr, Ipv4Addr};

/// Parentheses and negations may be nested this deep.
const DEPTH: usize = 64;

const PORT_PROTOCOLS: &[Protocol] = &[Protocol::TCP, Protocol::UDP, Protocol::SCTP];

/// How tightly an operator without a place binds to what is before it.
const LOOSE: u8 = 9;

/// The qualifiers in front of an id.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    proto: Option<&'static str>,
    dir: Option<Dir>,
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed<'a>>,
    at: usize,
    head: Option<Head>,
    link: Link,
    depth: usize,
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

/// The EtherType of a name (libpcap, nametoaddr.c).
fn ethertype(name: &str) -> Option<u16> {
    Some(match name {
        "ip" => 0x0800,
        "arp" => 0x0806,
        "rarp" => 0x8035,
        "ip6" => 0x86dd,
        "vlan" => 0x8100,
        "loopback" => 0x9000,
        _ => return None,
    })
}

/// The number of a protocol above IP that is a word of the language.
fn ip_protocol(word: &str) -> Option<u8> {
    Some(match word {
        "icmp" => 1,
        "igmp" => 2,
        "tcp" => 6,
        "igrp" => 9,
        "udp" => 17,
        "esp" => 50,
        "ah" => 51,
        "icmp6" => 58,
        "pim" => 103,
        "vrrp" | "carp" => 112,
        "sctp" => 132,
        _ => return None,
    })
}

/// The port behind a name, and whose it is: of one protocol, or of all (`pcap_nametoport`).
fn service(name: &str) -> Option<(Port, &'static [Protocol])> {
    match (services::service(name, Protocol::TCP), services::service(name, Protocol::UDP)) {
        (Some(t), Some(u)) if t == u => Some((t, PORT_PROTOCOLS)),
        (Some(t), _) => Some((t, &[Protocol::TCP])),
        (None, Some(u)) => Some((u, &[Protocol::UDP])),
        (None, None) => None,
    }
}

fn and(a: Expr, b: Expr) -> Expr {
    Expr::And(Box::new(a), Box::new(b))
}

fn or(a: Expr, b: Expr) -> Expr {
    Expr::Or(Box::new(a), Box::new(b))
}

impl<'a> Parser<'a> {
    fn tok(&self, ahead: usize) -> Option<&Tok<'a>> {
        self.tokens.get(self.at + ahead).map(|p| &p.tok)
    }

    fn is_op(&self, ahead: usize, op: &str) -> bool {
        matches!(self.tok(ahead), Some(Tok::Op(o)) if *o == op)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.tok(0), Some(Tok::Word(w)) if *w == word)
    }

    fn take_op(&mut self, op: &str) -> bool {
        let is = self.is_op(0, op);
        self.at += usize::from(is);
        is
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    fn need_op(&mut self, op: &'static str) -> Result<(), Diagnostic> {
        if self.take_op(op) { Ok(()) } else { Err(self.unexpected(format!("expected \"{op}\""))) }
    }

    /// What stands here does not belong here.
    fn unexpected(&self, help: impl Into<String>) -> Diagnostic {
        let end = self.text.len();
        let (from, to) = self.tokens.get(self.at).map_or((end, end), |p| (p.start, p.end));
        syntax(self.text, from, to, help)
    }

    /// A fault of the token before this one.
    fn blame(&self, fault: Fault) -> Diagnostic {
        let last = self.at.checked_sub(1).and_then(|i| self.tokens.get(i));
        let (from, to) = last.map_or((0, 0), |p| (p.start, p.end));
        place(self.text, from, to, fault)
    }

    /// The words of the tool, and what was expected.
    fn refuse(&self, says: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let says = says.into();
        self.blame(Fault::new(says.clone(), help).usage(says))
    }

    fn deeper(&mut self) -> Result<(), Diagnostic> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.unexpected(format!("expected at most {DEPTH} levels of parentheses")));
        }
        Ok(())
    }

    fn expr(&mut self) -> Result<Expr, Diagnostic> {
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
    fn id_is_next(&self) -> bool {
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

    fn relation_follows(&self, mut ahead: usize) -> bool {
        while self.is_op(ahead, ")") {
            ahead += 1;
        }
        !matches!(self.tok(ahead), None | Some(Tok::Op("and" | "or")))
    }

    fn term(&mut self) -> Result<Expr, Diagnostic> {
        self.deeper()?;
        let term = self.term_inside();
        self.depth -= 1;
        term
    }

    fn term_inside(&mut self) -> Result<Expr, Diagnostic> {
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
    fn sized(&mut self) -> Result<Option<Expr>, Diagnostic> {
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
    fn headed(&mut self) -> Result<Expr, Diagnostic> {
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

    fn id_follows(&self) -> bool {
        matches!(self.tok(0), Some(Tok::Number(_) | Tok::Dotted(_) | Tok::V6(_) | Tok::Mac(_) | Tok::Name(_)))
    }

    fn direction(&mut self) -> Result<Option<Dir>, Diagnostic> {
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
    fn group(&self, proto: Option<&str>, word: &str, ether: Group) -> Result<Expr, Diagnostic> {
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
    fn abbreviation(&self, word: &str) -> Result<Expr, Diagnostic> {
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
    fn id(&mut self, head: Head) -> Result<Expr, Diagnostic> {
        self.deeper()?;
        let id = self.id_inside(head);
        self.depth -= 1;
        id
    }

    fn id_inside(&mut self, head: Head) -> Result<Expr, Diagnostic> {
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

    // ------------------------------------------------------------------ addresses

    fn address(&mut self, head: Head, kind: Kind, dir: Dir, tok: Tok<'_>) -> Result<Expr, Diagnostic> {
        if let Tok::Mac(mac) = tok {
            return match (head.proto, self.link) {
                (Some("ether"), Link::Ethernet) => Ok(Expr::Mac(dir, mac)),
                (Some("ether"), _) => Err(self.refuse(
                    "ethernet addresses supported only on ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel",
                    "expected a capture of one device",
                )),
                _ => Err(self.refuse("ethernet address used in non-ether expression", "expected \"ether host MAC\"")),
            };
        }
        if head.proto == Some("ether") {
            return Err(match tok {
                Tok::Name(name) => {
                    self.refuse(format!("unknown ether host '{name}'"), "expected a MAC address")
                }
                _ => self.refuse("illegal link layer address", "expected a MAC address"),
            });
        }
        let (addr, bits_given) = match tok {
            Tok::Number(n) if kind == Kind::Net => {
                // A number alone is the head of the address.
                let zeros = if n == 0 { 32 } else { n.leading_zeros() / 8 * 8 };
                let n = if n == 0 { 0 } else { n << zeros };
                (IpAddr::V4(Ipv4Addr::from_bits(n)), if zeros == 32 { 32 } else { 32 - zeros })
            }
            Tok::Number(n) => (IpAddr::V4(Ipv4Addr::from_bits(n)), 32),
            Tok::Dotted(text) => {
                let (addr, len) = self.dotted(text)?;
                (IpAddr::V4(addr), len)
            }
            Tok::V6(addr) => (IpAddr::V6(addr), 128),
            Tok::Name(name) => {
                let what = if kind == Kind::Net { "network" } else { "host" };
                return Err(self.refuse(
                    format!("unknown {what} '{name}'"),
                    "expected an address; names are not looked up",
                ));
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected("expected an address"));
            }
        };
        let mask = self.mask(kind, addr, bits_given)?;
        self.place_of(head, kind, dir, (addr, mask))
    }

    /// The parts of a dotted number, and how many bits they are.
    fn dotted(&self, text: &str) -> Result<(Ipv4Addr, u32), Diagnostic> {
        let parts: Vec<&str> = text.split('.').collect();
        let expected = "expected up to four numbers below 256";
        if parts.len() > 4 || parts.iter().any(|p| p.is_empty()) {
            return Err(self.refuse(format!("unknown host '{text}'"), expected));
        }
        let mut value = 0_u32;
        for part in &parts {
            let Ok(n) = part.parse::<u8>() else {
                return Err(self.refuse(format!("invalid IPv4 address '{text}'"), expected));
            };
            value = value << 8 | u32::from(n);
        }
        let len = 8 * u32::try_from(parts.len()).unwrap_or(4);
        Ok((Ipv4Addr::from_bits(value.checked_shl(32 - len).unwrap_or(value)), len))
    }

    /// `/LENGTH`, `mask MASK`, or as many bits as were written.
    fn mask(&mut self, kind: Kind, addr: IpAddr, given: u32) -> Result<u128, Diagnostic> {
        let written = self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, |p| p.start);
        let full = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = |len: u32| if len == 0 { 0 } else { u128::MAX << (128 - len) };
        let mask = if self.take_op("/") {
            let Some(Tok::Number(n)) = self.tok(0) else {
                return Err(self.unexpected("expected the length of a prefix"));
            };
            let n = *n;
            self.at += 1;
            if n > full {
                return Err(
                    self.refuse(format!("mask length must be <= {full}"), format!("expected 0 to {full}"))
                );
            }
            prefix(n)
        } else if self.take_word("mask") {
            let Some(Tok::Dotted(text)) = self.tok(0) else {
                return Err(self.unexpected("expected a netmask"));
            };
            let text = *text;
            self.at += 1;
            let (mask, _) = self.dotted(text)?;
            bits(mask.into())
        } else {
            return Ok(prefix(given));
        };
        if bits(addr) & !mask != 0 {
            let end = self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(written, |p| p.end);
            let what = self.text.get(written..end).unwrap_or_default();
            let says = format!("non-network bits set in \"{what}\"");
            return Err(self.refuse(says, "expected an address whose bits behind the mask are 0"));
        }
        if kind != Kind::Net {
            return Err(self.refuse("Mask syntax for networks only", "expected \"net\" before a network"));
        }
        Ok(mask)
    }

    fn place_of(
        &self,
        head: Head,
        kind: Kind,
        dir: Dir,
        (addr, mask): (IpAddr, u128),
    ) -> Result<Expr, Diagnostic> {
        let of = match (head.proto, addr) {
            (None, _) => AddrOf::Any,
            (Some("ip"), IpAddr::V4(_)) | (Some("ip6"), IpAddr::V6(_)) => AddrOf::Ip,
            (Some("arp"), IpAddr::V4(_)) => AddrOf::Arp,
            (Some("rarp"), IpAddr::V4(_)) => AddrOf::Rarp,
            (Some("ip6"), IpAddr::V4(_)) => {
                return Err(self.refuse("'ip6' modifier applied to ip host", "expected an IPv6 address"));
            }
            (Some(proto), IpAddr::V6(_)) => {
                return Err(self
                    .refuse(format!("'{proto}' modifier applied to ip6 host"), "expected an IPv4 address"));
            }
            (Some(proto), _) => {
                let word = if kind == Kind::Net { "net" } else { "host" };
                let help = format!("expected \"port\" after \"{proto}\", or \"ip {word}\"");
                return Err(self.refuse(format!("'{proto}' modifier applied to {word}"), help));
            }
        };
        Ok(Expr::Addr { of, dir, net: addr, mask })
    }

    // ------------------------------------------------------------------ ports and protocols

    fn port_protocols(&self, head: Head, what: &str) -> Result<&'static [Protocol], Diagnostic> {
        match head.proto {
            None => Ok(PORT_PROTOCOLS),
            Some("tcp") => Ok(&[Protocol::TCP]),
            Some("udp") => Ok(&[Protocol::UDP]),
            Some("sctp") => Ok(&[Protocol::SCTP]),
            Some(_) => Err(self.refuse(
                format!("illegal qualifier of '{what}'"),
                "expected tcp, udp, sctp or nothing before it",
            )),
        }
    }

    fn port_number(&self, head: Head, dir: Dir, n: u32) -> Result<Expr, Diagnostic> {
        let protos = self.port_protocols(head, "port")?;
        match u16::try_from(n) {
            Ok(port) => Ok(Expr::Port { protos, dir, low: port, high: port }),
            Err(_) => {
                Err(self.refuse(format!("illegal port number {n} > 65535"), "expected a number up to 65535"))
            }
        }
    }

    fn port_name(&self, head: Head, dir: Dir, name: &str) -> Result<Expr, Diagnostic> {
        let protos = self.port_protocols(head, "port")?;
        let Some((port, of)) = service(name) else {
            let says = format!("unknown port '{name}'");
            return Err(self.refuse(says, "expected a number or a name of /etc/services"));
        };
        let of = if of.len() > protos.len() { protos } else { of };
        if head.proto.is_some() && !protos.iter().any(|p| of.contains(p)) {
            let is = of.first().map_or("tcp".to_owned(), ToString::to_string);
            return Err(
                self.refuse(format!("port '{name}' is {is}"), format!("expected \"{is} port {name}\""))
            );
        }
        Ok(Expr::Port { protos: of, dir, low: port, high: port })
    }

    fn port_range(&self, head: Head, dir: Dir, text: &str) -> Result<Expr, Diagnostic> {
        let protos = self.port_protocols(head, "portrange")?;
        // A name is that of one protocol, or of all.
        let port = |word: &str| match word.parse() {
            Ok(port) => Some((port, PORT_PROTOCOLS)),
            Err(_) => service(word),
        };
        match text.split_once('-').and_then(|(a, b)| port(a).zip(port(b))) {
            Some(((a, of), (b, also))) => {
                let protos = if of == also && of.len() < protos.len() { of } else { protos };
                Ok(Expr::Port { protos, dir, low: a.min(b), high: a.max(b) })
            }
            None if !text.contains('-') => self.port_name(head, dir, text),
            None => {
                Err(self
                    .refuse(format!("unknown port in range '{text}'"), "expected two ports as in 1024-2048"))
            }
        }
    }

    fn proto(&self, head: Head, n: u32) -> Result<Expr, Diagnostic> {
        let family = match head.proto {
            None => None,
            Some("ip") => Some(Family::V4),
            Some("ip6") => Some(Family::V6),
            Some("ether") => {
                return Ok(u16::try_from(n).map_or(Expr::Never, Expr::EtherType));
            }
            Some("arp" | "rarp") => {
                let says =
                    format!("{} does not encapsulate another protocol", head.proto.unwrap_or_default());
                return Err(self.refuse(says, "expected \"ip proto\", \"ip6 proto\" or \"ether proto\""));
            }
            Some(other) => {
                return Err(self.refuse(
                    format!("'{other} proto' is bogus"),
                    "expected \"ip proto\", \"ip6 proto\" or \"ether proto\"",
                ));
            }
        };
        // A number above 255 is in no packet.
        Ok(u8::try_from(n).map_or(Expr::Never, |n| Expr::Proto(family, n)))
    }

    fn proto_name(&self, head: Head, name: &str) -> Result<Expr, Diagnostic> {
        if head.proto == Some("ether") {
            return match ethertype(name) {
                Some(t) => Ok(Expr::EtherType(t)),
                None => Err(self.refuse(
                    format!("unknown ether proto '{name}'"),
                    "expected \\ip, \\ip6, \\arp or a number",
                )),
            };
        }
        match protocols::protocol(name) {
            Some(p) => self.proto(head, u32::from(p.0)),
            None => Err(self.refuse(
                format!("unknown ip proto '{name}'"),
                format!("expected a number or a name of /etc/protocols, not {}", q(name)),
            )),
        }
    }

    // ------------------------------------------------------------------ arithmetic

    /// `ARITHMETIC RELATION ARITHMETIC`; `None` if it is something else, and then nothing is taken.
    fn relation(&mut self) -> Result<Option<Expr>, Diagnostic> {
        let begin = self.at;
        // A protocol's name may begin both, and a parenthesis too.
        let accessor = matches!(self.tok(0), Some(Tok::Word(_))) && self.is_op(1, "[");
        let sure =
            accessor || self.is_word("len") || matches!(self.tok(0), Some(Tok::Number(_) | Tok::Op("-")));
        if !sure && !self.is_op(0, "(") {
            return Ok(None);
        }
        let left = match self.arith(0) {
            Ok(left) => left,
            Err(e) if sure => return Err(e),
            Err(_) => {
                self.at = begin;
                return Ok(None);
            }
        };
        let relation = match self.tok(0) {
            Some(Tok::Op("<")) => Relation::Less,
            Some(Tok::Op("<=")) => Relation::LessEqual,
            Some(Tok::Op(">")) => Relation::Greater,
            Some(Tok::Op(">=")) => Relation::GreaterEqual,
            Some(Tok::Op("=")) => Relation::Equal,
            Some(Tok::Op("!=")) => Relation::NotEqual,
            _ if sure => return Err(self.unexpected("expected one of <, <=, >, >=, =, !=")),
            _ => {
                self.at = begin;
                return Ok(None);
            }
        };
        self.at += 1;
        let right = self.arith(0)?;
        Ok(Some(Expr::Relation(left, relation, right)))
    }

    /// Operators by how tightly they bind. grammar.y gives `%` and `^` no place: whatever is before them, they take all that
    /// follows.
    fn operator(&self) -> Option<(ArithOp, u8)> {
        let Some(Tok::Op(op)) = self.tok(0) else { return None };
        Some(match *op {
            "|" => (ArithOp::Or, 1),
            "^" => (ArithOp::Xor, LOOSE),
            "&" => (ArithOp::And, 2),
            "<<" => (ArithOp::Shl, 3),
            ">>" => (ArithOp::Shr, 3),
            "+" => (ArithOp::Add, 4),
            "-" => (ArithOp::Sub, 4),
            "*" => (ArithOp::Mul, 5),
            "/" => (ArithOp::Div, 5),
            "%" => (ArithOp::Rem, LOOSE),
            _ => return None,
        })
    }

    fn arith(&mut self, least: u8) -> Result<Arith, Diagnostic> {
        self.deeper()?;
        let arith = self.arith_inside(least);
        self.depth -= 1;
        arith
    }

    fn arith_inside(&mut self, least: u8) -> Result<Arith, Diagnostic> {
        let mut left = self.operand()?;
        while let Some((op, tight)) = self.operator().filter(|(_, tight)| *tight > least) {
            self.at += 1;
            let right = self.arith(if tight == LOOSE { 0 } else { tight })?;
            if matches!((op, &right), (ArithOp::Div | ArithOp::Rem, Arith::Number(0))) {
                let says = if op == ArithOp::Div { "division by zero" } else { "modulus by zero" };
                return Err(self.refuse(says, "expected another number"));
            }
            left = Arith::Op(Box::new(left), op, Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Arith, Diagnostic> {
        if self.take_op("(") {
            let inside = self.arith(0)?;
            self.need_op(")")?;
            return Ok(inside);
        }
        if self.take_op("-") {
            return Ok(Arith::Minus(Box::new(self.arith(5)?)));
        }
        match self.tok(0) {
            Some(Tok::Number(n)) => {
                let n = *n;
                self.at += 1;
                Ok(Arith::Number(n))
            }
            Some(Tok::Word("len")) => {
                self.at += 1;
                Ok(Arith::Len)
            }
            Some(Tok::Word(word)) if self.is_op(1, "[") => {
                let word = *word;
                self.at += 2;
                self.accessor(word)
            }
            _ => Err(self.unexpected("expected a number, \"len\" or an accessor such as tcp[13]")),
        }
    }

    fn accessor(&mut self, word: &str) -> Result<Arith, Diagnostic> {
        let layer = match (word, ethertype(word), ip_protocol(word)) {
            ("ether" | "link", ..) => Layer::Link,
            (_, Some(t), _) => Layer::Network(t),
            ("icmp6", ..) => Layer::Icmp6,
            ("esp" | "ah", ..) => {
                return Err(self.refuse("unsupported index operation", "expected another protocol"));
            }
            (_, _, Some(n)) => Layer::Transport(n),
            _ => return Err(self.unexpected("expected the name of a protocol before \"[\"")),
        };
        let offset = Box::new(self.arith(0)?);
        let mut size = 1;
        if self.take_op(":") {
            let Some(Tok::Number(n)) = self.tok(0) else {
                return Err(self.unexpected("expected 1, 2 or 4 bytes"));
            };
            let n = *n;
            self.at += 1;
            size = match n {
                1 => 1,
                2 => 2,
                4 => 4,
                _ => return Err(self.refuse("data size must be 1, 2, or 4", "expected 1, 2 or 4")),
            };
        }
        self.need_op("]")?;
        Ok(Arith::Load { layer, offset, size })
    }
}
