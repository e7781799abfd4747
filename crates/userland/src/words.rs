//! Reading command lines made of keywords and values, as iproute2's are: `dev eth0`, `via 10.0.0.1`.

use crate::args::{ArgLine, Args, Token, check_text};
use crate::diagnostic::{Diagnostic, Fault, q};
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
        Words { args: line.args(skip), last }
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
                Fault::new("the command ends too early", format!("expected {what} after {}", last.text));
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
        read(&token.text).map_err(|fault| self.args.blame(&token, fault))
    }

    /// A diagnostic about a word.
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
        let help = format!("expected one of {}", known.join(", "));
        let message = match not_modelled.contains(&at.text.as_ref()) {
            true => format!("{} is not modelled", q(&at.text)),
            false => format!("unknown word {}", q(&at.text)),
        };
        self.blame(at, Fault::new(message, help))
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
                self.unexpected(&token, &names, not_modelled)
            }
        }
    }

    /// Refuses what is left over.
    pub fn end(&mut self) -> Result<(), Diagnostic> {
        match self.next() {
            None => Ok(()),
            Some(t) => self.blame(
                &t,
                Fault::new(format!("{} is too much", q(&t.text)), "expected the end of the command"),
            ),
        }
    }

    /// `dev NAME`
    pub fn device(&mut self) -> Result<String, Diagnostic> {
        self.value("the name of a device", device)
    }

    /// An address.
    pub fn address(&mut self) -> Result<Ipv4Addr, Diagnostic> {
        self.value("an address", addr::whole_address)
    }

    /// A hardware address.
    pub fn mac(&mut self) -> Result<Mac, Diagnostic> {
        self.value("a MAC address", mac)
    }

    /// A number of 32 bits.
    pub fn number(&mut self, what: &str) -> Result<u32, Diagnostic> {
        self.value(what, |t| {
            number::u32_of(t)
                .ok_or_else(|| Fault::new(format!("{} is not a number", q(t)), format!("expected {what}")))
        })
    }

    /// `on` or `off`
    pub fn switch(&mut self) -> Result<bool, Diagnostic> {
        self.choose("on or off", &[("on", true), ("off", false)], &[])
    }
}

/// The name of a device.
pub(crate) fn device(text: &str) -> Result<String, Fault> {
    let bad = |c: char| c == '/' || c.is_whitespace();
    if text.is_empty() || text.len() > DEVICE_MAX || text.contains(bad) || text == "." || text == ".." {
        let help = format!("expected 1 to {DEVICE_MAX} characters without slash and blank");
        return Err(Fault::new(format!("{} is not the name of a device", q(text)), help));
    }
    Ok(text.to_owned())
}

/// A hardware address.
pub(crate) fn mac(text: &str) -> Result<Mac, Fault> {
    text.parse().map_err(|e: packet::ParseMacError| {
        Fault::new(format!("{} is not a MAC address", q(text)), e.to_string())
    })
}

/// `ADDRESS[/LENGTH]`, the bits behind the prefix kept; without a length it is 32.
pub(crate) fn address_with_prefix(text: &str) -> Result<Ipv4Net, Fault> {
    let (ip, len) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let ip = addr::whole_address(ip)?;
    prefix(ip, len)
}

/// `PREFIX` of a route: missing numbers are zero, `default` and `all` are everything.
pub(crate) fn destination(text: &str) -> Result<Ipv4Net, Fault> {
    if ["default", "any", "all"].contains(&text) {
        return Ok(Ipv4Net::default());
    }
    let (ip, len) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let net = prefix(addr::address(ip)?, len)?;
    if net.trunc() != net {
        return Err(Fault::new(
            format!("{} has bits behind its prefix", q(text)),
            format!("expected {}, the network of it", net.trunc()),
        ));
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
        Some(l) => number::unsigned(l, 0, 32).and_then(|n| u8::try_from(n).ok()).ok_or_else(bad)?,
    };
    Ipv4Net::new(ip, len).map_err(|_| bad())
}
