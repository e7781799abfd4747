//! Reading command lines made of keywords and values, as iproute2's are: `dev eth0`, `via 10.0.0.1`.

use crate::args::{ArgLine, Args, Token, check_text};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::names::{addr, number};
use ipnet::Ipv4Net;
use packet::Mac;
use std::net::Ipv4Addr;

/// The kernel's names of devices have room for this many bytes.
const DEVICE_MAX: usize = 15;

/// A command line being read.
pub(crate) struct Words<'a> {
    args: Args<'a>,
    /// The word before the next one: blamed when the next is missing.
    last: Option<Token<'a>>,
    /// The argument that a word without a meaning is taken for.
    bare: &'static str,
}

/// Joins an argument list and refuses what cannot be one.
pub(crate) fn arg_line<S: AsRef<str>>(argv: &[S]) -> Result<ArgLine, Diagnostic> {
    let line = ArgLine::new(argv);
    check_text(line.text())?;
    if let Some(at) = line.text().find('\n') {
        let fault = Fault::new("a line feed in an argument", "expected a command of one line");
        return Err(Diagnostic::new(1, line.text(), at, at + 1, fault));
    }
    Ok(line)
}

impl<'a> Words<'a> {
    /// The words of a line from the `skip`th on.
    pub fn new(line: &'a ArgLine, skip: usize) -> Words<'a> {
        let last = line.args(0).take(skip).last();
        Words { args: line.args(skip), last, bare: "" }
    }

    /// Says which argument a word without a meaning is taken for.
    pub fn taken_for(&mut self, argument: &'static str) {
        self.bare = argument;
    }

    /// The next word.
    pub fn next(&mut self) -> Option<Token<'a>> {
        let token = self.args.next();
        if token.is_some() {
            self.last.clone_from(&token);
        }
        token
    }

    /// The next word, which stays.
    pub fn peek(&mut self) -> Option<&Token<'a>> {
        self.args.peek()
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, word: &str) -> bool {
        let is = self.args.peek().is_some_and(|t| t.text == word);
        if is {
            self.next();
        }
        is
    }

    /// The next word, which must be there.
    pub fn need(&mut self, what: &str) -> Result<Token<'a>, Diagnostic> {
        let nothing = Token { text: "".into(), start: 0, end: 0, quoted: false };
        let last = self.last.clone().unwrap_or(nothing);
        self.next().ok_or_else(|| {
            let fault =
                Fault::new("the command ends too early", format!("expected {what} after {}", last.text))
                    .exits(255, "Command line is not complete. Try option \"help\"");
            self.args.blame(&last, fault)
        })
    }

    /// A value read from the next word.
    pub fn value<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Result<T, Diagnostic> {
        let token = self.need(what)?;
        match read(&token.text) {
            Ok(value) => Ok(value),
            Err(fault) => Err(self.diagnostic(&token, fault)),
        }
    }

    /// A diagnostic about a word.
    #[inline(never)]
    pub fn diagnostic(&self, at: &Token<'_>, fault: Fault) -> Diagnostic {
        self.args.blame(at, fault)
    }

    /// A diagnostic about a word, as an error.
    pub fn blame<T>(&self, at: &Token<'_>, fault: Fault) -> Result<T, Diagnostic> {
        Err(self.args.blame(at, fault))
    }

    /// A diagnostic about the word read last.
    pub fn blame_last<T>(&self, fault: Fault) -> Result<T, Diagnostic> {
        let whole = Token { text: "".into(), start: 0, end: self.args.source.text.len(), quoted: false };
        self.blame(self.last.as_ref().unwrap_or(&whole), fault)
    }

    /// Refuses a keyword that does not belong here.
    pub fn unexpected<T>(
        &self,
        at: &Token<'_>,
        known: &[&str],
        not_modelled: &[&str],
    ) -> Result<T, Diagnostic> {
        Err(self.misplaced(at, known, not_modelled))
    }

    #[inline(never)]
    fn misplaced(&self, at: &Token<'_>, known: &[&str], not_modelled: &[&str]) -> Diagnostic {
        let help = format!("expected one of {}", known.join(", "));
        let known = not_modelled.contains(&at.text.as_ref());
        let message = match known {
            true => format!("{} is not modelled", q(&at.text)),
            false => format!("unknown word {}", q(&at.text)),
        };
        let fault = Fault::new(message, help);
        self.diagnostic(at, if known || self.bare.is_empty() { fault } else { self.garbage(at, fault) })
    }

    fn garbage(&self, at: &Token<'_>, fault: Fault) -> Fault {
        let text = format!("Error: either \"{}\" is duplicate, or \"{}\" is a garbage.", self.bare, at.text);
        fault.exits(255, text)
    }

    /// One of several words, of which the beginning is enough: the first in the list that fits.
    pub fn choose<T: Copy>(
        &mut self,
        what: &str,
        known: &[(&str, T)],
        not_modelled: &[&str],
    ) -> Result<T, Diagnostic> {
        let token = self.need(what)?;
        let fits = |name: &str| !token.text.is_empty() && name.starts_with(token.text.as_ref());
        // A whole word wins over a beginning.
        let exact = known.iter().find(|(name, _)| *name == token.text);
        let whole = not_modelled.contains(&token.text.as_ref());
        let found = exact.or_else(|| known.iter().find(|(name, _)| !whole && fits(name)));
        match found {
            Some((_, value)) => Ok(*value),
            None => {
                let mut names: Vec<&str> = known.iter().map(|(n, _)| *n).collect();
                names.dedup();
                let word: &str = &token.text;
                let other: &[&str] = if not_modelled.iter().any(|n| fits(n)) { &[word] } else { &[] };
                self.unexpected(&token, &names, other)
            }
        }
    }

    /// As [`Words::choose`], of a tool's commands.
    pub fn verb<T: Copy>(
        &mut self,
        tool: &str,
        what: &str,
        known: &[(&str, T)],
        not_modelled: &[&str],
    ) -> Result<T, Diagnostic> {
        let word = self.peek().cloned();
        match (self.choose(what, known, not_modelled), word) {
            (Err(d), Some(word)) => Err(unknown_verb(d, tool, &word.text, not_modelled)),
            (found, _) => found,
        }
    }

    /// Refuses what is left over.
    pub fn end(&mut self) -> Result<(), Diagnostic> {
        match self.next() {
            None => Ok(()),
            Some(t) => {
                let fault =
                    Fault::new(format!("{} is too much", q(&t.text)), "expected the end of the command");
                self.blame(&t, if self.bare.is_empty() { fault } else { self.garbage(&t, fault) })
            }
        }
    }

    /// `dev NAME`
    pub fn device(&mut self) -> Result<String, Diagnostic> {
        self.value("the name of a device", device)
    }

    /// An address.
    pub fn address(&mut self) -> Result<Ipv4Addr, Diagnostic> {
        self.value("an address", address)
    }

    /// A value of which the tool says why it is none.
    pub fn argument<T>(
        &mut self,
        what: &str,
        why: &str,
        read: fn(&str) -> Result<T, Fault>,
    ) -> Result<T, Diagnostic> {
        let token = self.need(what)?;
        match read(&token.text) {
            Ok(value) => Ok(value),
            Err(fault) => Err(self.diagnostic(&token, fault.wrong_argument(&token.text, why))),
        }
    }

    /// A number of 32 bits of which the tool says why it is none.
    pub fn number_or(&mut self, what: &str, why: &str) -> Result<u32, Diagnostic> {
        let token = self.need(what)?;
        match number::u32_of(&token.text) {
            Some(n) => Ok(n),
            None => {
                Err(self.diagnostic(&token, no_number(&token.text, what).wrong_argument(&token.text, why)))
            }
        }
    }

    /// A hardware address.
    pub fn mac(&mut self) -> Result<Mac, Diagnostic> {
        self.value("a MAC address", mac)
    }

    /// A number of 32 bits.
    pub fn number(&mut self, what: &str) -> Result<u32, Diagnostic> {
        self.value(what, |t| number::u32_of(t).ok_or_else(|| no_number(t, what)))
    }

    /// `on` or `off`. With another word the tool says which ones `must` stand there, and ends with this status.
    pub fn switch(&mut self, must: &str, status: i32) -> Result<bool, Diagnostic> {
        let name = self.last.as_ref().map_or(String::new(), |t| t.text.to_string());
        self.value("on or off", |t| match t {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(Fault::new(format!("unknown word {}", q(t)), "expected one of on, off")
                .exits(status, format!("Error: argument of \"{name}\" must be {must}, not \"{t}\""))),
        })
    }
}

#[inline(never)]
fn unknown_verb(mut d: Diagnostic, tool: &str, word: &str, not_modelled: &[&str]) -> Diagnostic {
    if !not_modelled.iter().any(|n| n.starts_with(word)) {
        let text = format!("Command \"{word}\" is unknown, try \"{tool} help\".");
        d.tool = Some(ToolError::Exit(255, text));
    }
    d
}

#[inline(never)]
fn no_number(text: &str, what: &str) -> Fault {
    Fault::new(format!("{} is not a number", q(text)), format!("expected {what}"))
}

/// An address; numbers that are missing at its end are zero.
pub(crate) fn address(text: &str) -> Result<Ipv4Addr, Fault> {
    addr::address(text).map_err(|f| f.expected("inet address", text))
}

impl Fault {
    /// With what iproute2 says of a text that is no address and no prefix.
    #[inline(never)]
    pub(crate) fn expected(self, what: &str, text: &str) -> Fault {
        self.exits(1, format!("Error: {what} is expected rather than \"{text}\"."))
    }
}

/// The name of a device.
pub(crate) fn device(text: &str) -> Result<String, Fault> {
    let bad = |c: char| c == '/' || c.is_whitespace();
    if text.is_empty() || text.len() > DEVICE_MAX || text.contains(bad) || text == "." || text == ".." {
        let help = format!("expected 1 to {DEVICE_MAX} characters without slash and blank");
        return Err(Fault::new(format!("{} is not the name of a device", q(text)), help)
            .exits(1, format!("Cannot find device \"{text}\"")));
    }
    Ok(text.to_owned())
}

/// A hardware address.
pub(crate) fn mac(text: &str) -> Result<Mac, Fault> {
    text.parse().map_err(|e: packet::ParseMacError| {
        let fault = Fault::new(format!("{} is not a MAC address", q(text)), e.to_string());
        let parts: Vec<&str> = text.split(':').collect();
        let bad = |p: &&&str| {
            let digits = p.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(p.len());
            u8::from_str_radix(p.get(..digits).unwrap_or_default(), 16).is_err()
        };
        let says = match parts.iter().find(bad) {
            Some(part) => format!("\"{part}\" is invalid lladdr."),
            None => format!("Invalid address length {} - must be 6 bytes", parts.len()),
        };
        fault.exits(1, says)
    })
}

/// `ADDRESS[/LENGTH]`, the bits behind the prefix kept; without a length it is 32.
pub(crate) fn address_with_prefix(text: &str) -> Result<Ipv4Net, Fault> {
    let (ip, len) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    addr::address(ip).and_then(|ip| prefix(ip, len)).map_err(|f| f.expected("any valid prefix", text))
}

/// A prefix that something is looked for by: `default` and `all` are everything.
pub(crate) fn sought(text: &str) -> Result<Ipv4Net, Fault> {
    if ["default", "any", "all"].contains(&text) {
        return Ok(Ipv4Net::default());
    }
    address_with_prefix(text)
}

/// `PREFIX` of a route, without bits behind it.
pub(crate) fn destination(text: &str) -> Result<Ipv4Net, Fault> {
    let net = sought(text)?;
    if net.trunc() != net {
        return Err(Fault::new(
            format!("{} has bits behind its prefix", q(text)),
            format!("expected {}, the network of it", net.trunc()),
        )
        .exits(2, "Error: Invalid prefix for given prefix length."));
    }
    Ok(net)
}

fn prefix(ip: Ipv4Addr, len: Option<&str>) -> Result<Ipv4Net, Fault> {
    let bad = || {
        let text = len.unwrap_or_default();
        Fault::new(
            format!("{} is not a prefix length", q(text)),
            "expected a number from 0 to 32 after the slash",
        )
    };
    let len = match len {
        None => 32,
        Some(l) if l.contains('.') => addr::mask(l).ok().and_then(addr::prefix_len).ok_or_else(bad)?,
        Some(l) => number::unsigned(l, 0, 32).and_then(|n| u8::try_from(n).ok()).ok_or_else(bad)?,
    };
    Ipv4Net::new(ip, len).map_err(|_| bad())
}
