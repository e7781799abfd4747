//! The command of a command line, `-A`, `-L`, ..., and the checks of the whole line.

use super::options::{CHECKED, Key, belongs};
use super::parse::{Command, Mode, Number, Op, Parser};
use crate::args::Token;
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::iptables::draft::CHAIN_MAX;
use crate::iptables::list::Format;
use crate::iptables::targets;
use crate::names::number;
use kernel::netfilter::xtables::TableId;
use std::borrow::Cow;

impl<'a> Parser<'a, '_> {
    /// `-A`, `-L`, ...: the chain and what belongs to it.
    pub fn command(
        &mut self,
        key: Key,
        token: Token<'a>,
        value: Option<Token<'a>>,
    ) -> Result<(), Diagnostic> {
        if let Some((old, _)) = &self.command {
            let with_zero = |a: Key, b: Key| a == Key::Zero && matches!(b, Key::List | Key::ListRules);
            if with_zero(key, *old) {
                self.zero = true;
                return Ok(());
            }
            if !with_zero(*old, key) {
                let (new, old) = (key.letter(), old.letter());
                let fault = Fault::new(format!("-{new} together with -{old}"), "expected one command");
                return self.blame(&token, fault.usage(format!("Cannot use -{new} with -{old}")));
            }
            self.zero = true;
        }
        if matches!(self.mode, Mode::Restore(_)) && matches!(key, Key::List | Key::ListRules) {
            let fault = Fault::new(
                format!("-{} changes nothing", key.letter()),
                "expected a command that changes the table",
            );
            return self.blame(&token, fault);
        }
        let op = self.operation(key, &token, value)?;
        self.command = Some((key, op));
        Ok(())
    }

    fn operation(
        &mut self,
        key: Key,
        token: &Token<'a>,
        value: Option<Token<'a>>,
    ) -> Result<Op<'a>, Diagnostic> {
        let needs = |what: &str, says: &str| {
            Fault::new(format!("{} needs {what}", token.text), format!("expected {what}")).usage(says)
        };
        let Some(chain) = value else {
            let chain = self.args.optional();
            if let Some(chain) = &chain {
                self.chain_name(chain)?;
            }
            let has_number = matches!(key, Key::List | Key::ListRules | Key::Zero) && chain.is_some();
            let number = if has_number { self.number()? } else { None };
            return Ok(match key {
                Key::List => Op::List(chain, number),
                Key::ListRules => Op::ListRules(chain, number),
                Key::Flush => Op::Flush(chain),
                Key::Zero => Op::Zero(chain, number),
                _ => Op::DeleteChain(chain),
            });
        };
        if !matches!(key, Key::New | Key::Rename | Key::Policy) {
            self.chain_name(&chain)?;
        }
        Ok(match key {
            Key::Append => Op::Append(chain),
            Key::Check => Op::Check(chain),
            Key::Delete => match self.number()? {
                Some(n) => Op::DeleteNum(chain, n),
                None => Op::Delete(chain),
            },
            Key::Insert => Op::Insert(chain, self.number()?),
            Key::Replace => match self.number()? {
                Some(n) => Op::Replace(chain, n),
                None => return self.blame(token, needs("the number of a rule", "-R requires a rule number")),
            },
            Key::New => {
                new_chain_name(&chain.text).map_err(|f| self.args.blame(&chain, f))?;
                Op::New(chain)
            }
            Key::Rename => match self.args.optional() {
                Some(new) => Op::Rename(chain, new),
                None => {
                    let says = "-E requires old-chain-name and new-chain-name";
                    return self.blame(token, needs("the old and the new name of a chain", says));
                }
            },
            Key::Policy => match self.args.optional() {
                Some(policy) => Op::Policy(chain, policy),
                None => {
                    return self
                        .blame(token, needs("a chain and a policy", "-P requires a chain and a policy"));
                }
            },
            Key::List => Op::List(Some(chain), None),
            Key::ListRules => Op::ListRules(Some(chain), None),
            Key::Flush => Op::Flush(Some(chain)),
            Key::Zero => Op::Zero(Some(chain), None),
            _ => Op::DeleteChain(Some(chain)),
        })
    }

    fn chain_name(&self, chain: &Token<'_>) -> Result<(), Diagnostic> {
        if chain.text.len() <= CHAIN_MAX {
            return Ok(());
        }
        let text = &chain.text;
        let fault = Fault::new(
            format!("chain name {} is too long", q(text)),
            format!("expected at most {CHAIN_MAX} characters"),
        );
        let says = format!("chain name `{text}' too long (must be under {} chars)", CHAIN_MAX + 1);
        self.blame(chain, fault.usage(says))
    }

    /// A rule number, if one follows.
    fn number(&mut self) -> Result<Option<Number<'a>>, Diagnostic> {
        let Some(at) = self.args.optional() else { return Ok(None) };
        match number::unsigned(&at.text, 1, u64::from(u32::MAX)).and_then(|n| usize::try_from(n).ok()) {
            Some(n) => Ok(Some(Number { at, n })),
            None => {
                let fault =
                    Fault::new(format!("{} is not a rule number", q(&at.text)), "expected a number from 1");
                let says = format!("Invalid rule number `{}'", at.text);
                self.blame(&at, fault.usage(says))
            }
        }
    }

    /// The checks after the last word, in the order of iptables.
    pub fn end(mut self) -> Result<Command<'a>, Diagnostic> {
        let whole =
            Token { text: Cow::Borrowed(""), start: 0, end: self.args.source.text.len(), quoted: false };
        if let Some(bang) = &self.not {
            let fault = Fault::new("! at the end", "expected an option after !");
            return self.blame(bang, fault.usage("nothing appropriate following !"));
        }
        self.spec.finish(self.args.source)?;
        let Some((key, op)) = self.command else {
            let fault =
                Fault::new("no command", "expected a command such as -A CHAIN, -D CHAIN, -N CHAIN or -L");
            let says = fault.usage("no command specified");
            return Err(self.args.blame(&whole, says));
        };
        let of_rule = match &op {
            Op::Append(c) | Op::Check(c) | Op::Delete(c) | Op::Insert(c, _) | Op::Replace(c, _) => Some(c),
            _ => None,
        };
        if let Some(chain) = of_rule {
            self.spec.check_addresses(self.args.source, matches!(op, Op::Replace(..)).then_some(chain))?;
        }
        let numbered = matches!(op, Op::DeleteNum(..));
        for checked in CHECKED {
            let given = self.given.iter().find(|(k, _)| *k == checked);
            if let Some((_, at)) = given.filter(|_| key.is_command() && !belongs(checked, key, numbered)) {
                let fault = Fault::new(
                    format!("{} does not belong to -{}", at.text, key.letter()),
                    format!("expected -{} without it", key.letter()),
                );
                let says = format!("Illegal option `-{}' with this command", checked.letter());
                return Err(self.args.blame(at, fault.usage(says)));
            }
        }
        let table = match (self.mode, &self.table) {
            (Mode::Restore(table), _) => table,
            (Mode::Shell, None) => TableId::Filter,
            (Mode::Shell, Some(at)) => {
                TableId::from_name(&at.text).ok_or_else(|| self.args.blame(at, unknown_table(&at.text)))?
            }
        };
        if let Some(chain) = of_rule {
            self.spec.fits_chain(self.args.source, &chain.text)?;
        }
        let has = |key| self.given.iter().any(|(k, _)| *k == key);
        let format = Format {
            numeric: has(Key::Numeric),
            verbose: has(Key::Verbose),
            exact: has(Key::Exact),
            line_numbers: has(Key::LineNumbers),
        };
        Ok(Command { op, table, spec: self.spec, format, zero: self.zero })
    }
}

/// A table that does not exist.
pub(in crate::iptables) fn unknown_table(name: &str) -> Fault {
    let names: Vec<&str> = TableId::ALL.iter().map(|t| t.name()).collect();
    Fault::new(format!("unknown table {}", q(name)), format!("expected one of {}", names.join(", ")))
        .says(ToolError::NoTable(name.to_owned()))
}

/// What a new chain may be called.
pub(in crate::iptables) fn new_chain_name(name: &str) -> Result<(), Fault> {
    let is_target = ["ACCEPT", "DROP", "RETURN", "QUEUE", ""].contains(&name)
        || targets::KNOWN.contains(&name)
        || targets::NOT_MODELLED.contains(&name);
    let fault = |message: String, help: &str, says: String| Err(Fault::new(message, help).usage(says));
    if let Some(c) = name.chars().next().filter(|c| ['-', '!'].contains(c)) {
        let says = format!("chain name not allowed to start with `{c}'");
        return fault(format!("a chain name that begins with {c}"), "expected a letter first", says);
    }
    if is_target {
        let says = "chain name may not clash with target name".to_owned();
        return fault(format!("{} is the name of a target", q(name)), "expected another name", says);
    }
    if name.len() > CHAIN_MAX {
        let says = format!("chain name `{name}' too long (must be under {} chars)", CHAIN_MAX + 1);
        let message = format!("chain name {} is too long", q(name));
        return fault(message, &format!("expected at most {CHAIN_MAX} characters"), says);
    }
    if name.contains(char::is_whitespace) {
        let says = format!("Invalid chain name `{name}'");
        return fault(format!("blank in the chain name {}", q(name)), "expected a name without blanks", says);
    }
    Ok(())
}
