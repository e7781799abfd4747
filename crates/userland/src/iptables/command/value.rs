//! Options with a value: what they do to the rule that is being read.

use super::options::{Arg, Key, MAIN};
use super::parse::{Mode, Op, Parser, attached};
use crate::args::Token;
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::iptables::family::program;
use crate::iptables::hints::misplaced;
use crate::names::number;
use kernel::netfilter::xtables::Counters;
use packet::Family;

impl<'a> Parser<'a, '_> {
    /// Any option that is not a command.
    pub fn plain(
        &mut self,
        key: Key,
        token: &Token<'a>,
        value: Option<Token<'a>>,
        not: bool,
    ) -> Result<(), Diagnostic> {
        let expected = MAIN.iter().find(|m| m.key == key).map_or("", |m| match m.arg {
            Arg::One(what) => what,
            _ => "",
        });
        let value = value.unwrap_or_else(|| attached(token, ""));
        let at = value.clone();
        let result = match key {
            Key::Source | Key::Destination => {
                if (value.text == "!" || value.is_option()) && !value.quoted {
                    let fault = misplaced(&token.text, &value, expected, Fault::new("", ""));
                    let says = ToolError::Usage(format!("host/network `{}' not found", value.text));
                    let tool = self.stumbles().unwrap_or(says);
                    return self.blame(&value, fault.says(tool));
                }
                self.spec.address(key == Key::Destination, value, not);
                Ok(())
            }
            Key::Protocol => {
                // An attached protocol is read with its option, as iptables 1.8.9 does.
                let whole = if value.start == token.start { token } else { &value };
                self.spec.protocol(whole, not)
            }
            Key::InIface | Key::OutIface => self.spec.iface(key == Key::OutIface, value, not),
            Key::Jump | Key::Goto => {
                if value.is_option() && !value.quoted {
                    let says = format!("Couldn't load target `{}':No such file or directory\n", value.text);
                    let tool = self.stumbles().unwrap_or(ToolError::Usage(says));
                    let fault = misplaced(&token.text, &value, expected, Fault::new("", "").says(tool));
                    return self.blame(&value, fault);
                }
                self.spec.jump(value, key == Key::Goto)
            }
            Key::Match => self.spec.load_match(&value),
            Key::Fragment => self.spec.fragment(not),
            Key::Counters => self.counters(token, &value),
            Key::Table if matches!(self.mode, Mode::Restore(_)) => {
                Err(Fault::new("-t in a rule of a restore text", "expected the table in a line *TABLE above")
                    .usage(format!("The -t option cannot be used in {}-restore.\n", program(self.family))))
            }
            Key::Table => {
                self.table = Some(value);
                Ok(())
            }
            Key::Wait | Key::WaitInterval => self.wait(key, &value),
            Key::Ipv4 | Key::Ipv6 if (key == Key::Ipv6) == (self.family == Family::V6) => Ok(()),
            Key::Ipv4 | Key::Ipv6 if matches!(self.mode, Mode::Restore(_)) => {
                self.command = Some((key, Op::OtherFamily));
                Ok(())
            }
            Key::Ipv4 | Key::Ipv6 => {
                let (own, other) = (program(self.family), if key == Key::Ipv6 { "IPv6" } else { "IPv4" });
                Err(Fault::new(
                    format!("{own} with {}", token.text),
                    format!("expected the program for {other}"),
                )
                .says(ToolError::TryHelp))
            }
            Key::Version | Key::Help if matches!(self.mode, Mode::Restore(_)) => Err(Fault::new(
                format!("{} changes nothing", token.text),
                "expected a command that changes the table",
            )),
            Key::Version | Key::Help => {
                self.command = Some((key, if key == Key::Help { Op::Help } else { Op::Version }));
                Ok(())
            }
            _ => Ok(()),
        };
        result.map_err(|fault| self.args.blame(&at, misplaced(&token.text, &at, expected, fault)))
    }

    /// iptables takes any word as the value of `-s` or `-j` and stumbles over the next one.
    fn stumbles(&mut self) -> Option<ToolError> {
        let next = self.args.peek().filter(|t| !t.is_option() && t.text != "!")?;
        Some(ToolError::BadArgument(next.text.clone().into_owned()))
    }

    /// `-c PACKETS BYTES`
    fn counters(&mut self, token: &Token<'a>, packets: &Token<'a>) -> Result<(), Fault> {
        let Some(bytes) = self.args.optional() else {
            return Err(Fault::new(format!("{} with one number", token.text), "expected packets and bytes")
                .usage("-c requires packet and byte counter"));
        };
        let number = |text: &str, what: &str| {
            number::unsigned(text, 0, u64::MAX).ok_or_else(|| {
                Fault::new(format!("{} is not a number of {what}s", q(text)), "expected a number")
                    .usage(format!("-c {what} counter not numeric"))
            })
        };
        let (packets, bytes) = (number(&packets.text, "packet")?, number(&bytes.text, "byte")?);
        self.spec.counters = Some(Counters { packets, bytes });
        Ok(())
    }

    /// `-w [SECONDS]`: the lock is always free here.
    fn wait(&mut self, key: Key, value: &Token<'a>) -> Result<(), Fault> {
        let next = if value.text.is_empty() { self.args.optional() } else { Some(value.clone()) };
        let text = next.as_ref().map_or("0", |t| t.text.as_ref());
        if number::unsigned(text, 0, u64::from(u32::MAX)).is_some() {
            return Ok(());
        }
        let says = if key == Key::Wait { "wait seconds not numeric" } else { "wait interval not numeric" };
        Err(Fault::new(format!("{} is not a number of seconds", q(text)), "expected a number").usage(says))
    }
}
