//! The words of an `iptables` command line, in any order, as a [`Command`].

use super::options::{Arg, Key, MAIN, Main};
use crate::args::{Args, Token};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q, shorten};
use crate::iptables::hints::{misplaced, owner_hint};
use crate::iptables::list::Format;
use crate::iptables::rule::{Owner, Spec};
use crate::iptables::text::Opt;
use kernel::netfilter::xtables::TableId;
use packet::Family;
use std::borrow::Cow;

/// What is to be done.
#[derive(Debug)]
pub(in crate::iptables) enum Op<'a> {
    Append(Token<'a>),
    Check(Token<'a>),
    Delete(Token<'a>),
    DeleteNum(Token<'a>, Number<'a>),
    Insert(Token<'a>, Option<Number<'a>>),
    Replace(Token<'a>, Number<'a>),
    List(Option<Token<'a>>, Option<Number<'a>>),
    ListRules(Option<Token<'a>>, Option<Number<'a>>),
    Flush(Option<Token<'a>>),
    Zero(Option<Token<'a>>, Option<Number<'a>>),
    New(Token<'a>),
    DeleteChain(Option<Token<'a>>),
    Rename(Token<'a>, Token<'a>),
    Policy(Token<'a>, Token<'a>),
    Version,
    Help,
    /// A line of a restore text that is for the program of the other family: it is passed over.
    OtherFamily,
}

/// A rule number, from 1.
#[derive(Clone, Debug)]
pub(in crate::iptables) struct Number<'a> {
    pub at: Token<'a>,
    pub n: usize,
}

/// A command line that is right in itself; whether it fits the table is not known yet.
#[derive(Debug)]
pub(in crate::iptables) struct Command<'a> {
    pub op: Op<'a>,
    pub table: TableId,
    /// The rule of the commands that have one.
    pub spec: Spec<'a>,
    /// `-v`, `-n`, ...
    pub format: Format,
    /// `-Z` besides `-L` or `-S`.
    pub zero: bool,
}

/// Where the words come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::iptables) enum Mode {
    /// A command line: `-t` chooses the table.
    Shell,
    /// A line of an iptables-restore text: the table is given, listings have no place.
    Restore(TableId),
}

pub(super) struct Parser<'a, 'b> {
    pub args: &'b mut Args<'a>,
    pub mode: Mode,
    /// The `!` that waits for its option.
    pub not: Option<Token<'a>>,
    pub table: Option<Token<'a>>,
    pub command: Option<(Key, Op<'a>)>,
    pub spec: Spec<'a>,
    pub family: Family,
    /// Every option so far.
    pub given: Vec<(Key, Token<'a>)>,
    pub zero: bool,
}

/// Reads a command line.
pub(in crate::iptables) fn parse<'a>(
    args: &mut Args<'a>,
    mode: Mode,
    family: Family,
) -> Result<Command<'a>, Diagnostic> {
    let mut parser = Parser {
        args,
        mode,
        not: None,
        table: None,
        command: None,
        spec: Spec::new(family),
        family,
        given: Vec::new(),
        zero: false,
    };
    while let Some(token) = parser.args.next() {
        parser.word(token)?;
        // Help and version are printed at once, whatever else is wrong, and a line for others is read no further.
        if let Some((_, op @ (Op::Version | Op::Help | Op::OtherFamily))) = parser.command {
            let (spec, format) = (Spec::default(), Format::default());
            return Ok(Command { op, table: TableId::Filter, spec, format, zero: false });
        }
    }
    parser.end()
}

impl<'a> Parser<'a, '_> {
    pub fn blame<T>(&self, at: &Token<'_>, fault: Fault) -> Result<T, Diagnostic> {
        Err(self.args.blame(at, fault))
    }

    fn word(&mut self, token: Token<'a>) -> Result<(), Diagnostic> {
        let text = token.text.clone();
        if text == "!" {
            if self.not.is_some() {
                let fault = Fault::new("a second !", "expected an option after !");
                return self.blame(&token, fault.usage("multiple consecutive ! not allowed"));
            }
            self.not = Some(token);
            return Ok(());
        }
        if text == "--" {
            let Some(next) = self.args.next() else { return Ok(()) };
            let fault = Fault::new(format!("{} behind --", q(&next.text)), "expected the end of the line");
            return self.blame(&next, fault.usage("unknown arguments found on commandline"));
        }
        if let Some(long) = text.strip_prefix("--").filter(|l| !l.is_empty()) {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
            let value = value.map(|v| attached(&token, v));
            return self.long(token, name, value);
        }
        match text.strip_prefix('-').filter(|s| !s.is_empty() && *s != "-") {
            Some(letters) => self.letters(&token, letters),
            None => {
                let help = match text.starts_with('*') || text.starts_with(':') {
                    true => "expected an option; is COMMIT missing above?",
                    false => "expected an option such as -j; a text with blanks needs quotes",
                };
                let fault = Fault::new(format!("{} belongs to no option", q(&text)), help);
                let says = ToolError::BadArgument(text.into_owned());
                self.blame(&token, fault.says(says))
            }
        }
    }

    /// `-nvL`, `-s10.0.0.1`
    fn letters(&mut self, token: &Token<'a>, letters: &str) -> Result<(), Diagnostic> {
        for (i, c) in letters.char_indices() {
            let rest = letters.get(i + c.len_utf8()..).unwrap_or_default();
            let Some(main) = MAIN.iter().find(|m| m.short == c && c != '\0') else {
                return self.unknown(token);
            };
            let value = (!rest.is_empty() && main.arg != Arg::None).then(|| attached(token, rest));
            let ends = value.is_some();
            self.main(main, token.clone(), value)?;
            if ends {
                break;
            }
        }
        Ok(())
    }

    /// `--name`, or the beginning of a name that no other option has.
    fn long(&mut self, token: Token<'a>, name: &str, value: Option<Token<'a>>) -> Result<(), Diagnostic> {
        match self.find(name) {
            Found::Main(main) => self.main(main, token, value),
            Found::Extension(owner, opt) => self.extension(owner, opt, &token, value),
            Found::Nothing => {
                if self.spec.load_protocol_match(&token).map_err(|f| self.args.blame(&token, f))? {
                    return self.long(token, name, value);
                }
                self.unknown(&token)
            }
        }
    }

    fn find(&self, name: &str) -> Found {
        if let Some(m) = MAIN.iter().find(|m| m.long.contains(&name)) {
            return Found::Main(m);
        }
        if let Some((owner, opt)) = self.spec.option(name) {
            return Found::Extension(owner, opt);
        }
        let options = self.spec.options();
        let begins = |names: &[&str]| names.iter().any(|n| n.starts_with(name));
        let mut main = MAIN.iter().filter(|m| begins(m.long));
        // Of two instances of a match the newer one takes the option.
        let mut fits: Vec<&(Owner, &'static Opt)> = options.iter().filter(|(_, o)| begins(o.names)).collect();
        fits.dedup_by_key(|(_, o)| o.name());
        match (main.next(), main.next(), fits.as_slice()) {
            (Some(m), None, []) => Found::Main(m),
            (None, _, [(owner, opt)]) => Found::Extension(*owner, opt),
            _ => Found::Nothing,
        }
    }

    fn unknown<T>(&self, token: &Token<'_>) -> Result<T, Diagnostic> {
        let text = token.text.as_ref();
        let name = text.strip_prefix("--").unwrap_or_default();
        let known = || {
            let mut names = vec!["-s, -d, -i, -o, -p, -f, -m, -j, -g, -c".to_owned()];
            let mut own: Vec<&str> =
                self.spec.options().iter().filter_map(|(_, o)| o.names.last().copied()).collect();
            sorted::sort_by(&mut own, Ord::cmp);
            own.dedup();
            names.extend(own.into_iter().map(|o| format!("--{o}")));
            format!("expected one of {}", names.join(", "))
        };
        let ambiguous = !name.is_empty()
            && (MAIN.iter().any(|m| m.long.iter().any(|l| l.starts_with(name)))
                || self.spec.options().iter().any(|(_, o)| o.names.iter().any(|n| n.starts_with(name))));
        let fault = match ambiguous {
            true => {
                Fault::new(format!("ambiguous option {}", q(text)), "expected the whole name of the option")
            }
            false => Fault::new(
                format!("unknown option {}", q(text)),
                owner_hint(self.family, name).unwrap_or_else(known),
            ),
        };
        self.blame(token, fault.usage(format!("unknown option \"{text}\"")))
    }

    /// An option of a match or target.
    fn extension(
        &mut self,
        owner: Owner,
        opt: &'static Opt,
        token: &Token<'a>,
        value: Option<Token<'a>>,
    ) -> Result<(), Diagnostic> {
        let shown = || shorten(token.text.split('=').next().unwrap_or_default(), 40);
        let expected = || opt.args.join(" ");
        if opt.args.is_empty() && value.is_some() {
            return self.no_value(token, &shown());
        }
        let mut values = [value, None];
        for (i, place) in values.iter_mut().enumerate().take(opt.args.len()) {
            if place.is_some() {
                continue;
            }
            // A second value must not look like an option.
            *place = if i == 0 { self.args.next() } else { self.args.optional() };
            if place.is_none() {
                let (shown, expected) = (shown(), expected());
                let fault = Fault::new(
                    format!("{shown} is missing its value"),
                    format!("expected {expected} after {shown}"),
                );
                let says = match i {
                    0 => format!("option \"{}\" requires an argument", token.text),
                    _ => format!("--{} requires two args.", opt.name()),
                };
                return self.blame(token, fault.usage(says));
            }
        }
        let [first, second] = values;
        let text =
            |t: Option<&'_ Token<'a>>| -> Cow<'a, str> { t.map_or(Cow::Borrowed(""), |t| t.text.clone()) };
        let not = self.not.take().is_some();
        self.spec.set(owner, opt, not, &shown, (&text(first.as_ref()), &text(second.as_ref()))).map_err(
            |fault| {
                let at = second.as_ref().filter(|_| fault.second).or(first.as_ref());
                let fault = at.map_or(fault.clone(), |v| misplaced(&shown(), v, &expected(), fault));
                self.args.blame(at.unwrap_or(token), fault)
            },
        )
    }

    /// `--syn=5`
    fn no_value<T>(&self, token: &Token<'_>, shown: &str) -> Result<T, Diagnostic> {
        let fault = Fault::new(format!("{shown} takes no value"), format!("expected {shown} alone"));
        self.blame(token, fault.usage(format!("unknown option \"{}\"", token.text)))
    }

    /// An option of iptables itself.
    fn main(&mut self, main: &Main, token: Token<'a>, value: Option<Token<'a>>) -> Result<(), Diagnostic> {
        let key = main.key;
        let value = match (main.arg, value) {
            (Arg::None, Some(_)) => {
                return self.no_value(&token, token.text.split('=').next().unwrap_or_default());
            }
            (Arg::One(what), None) => match self.args.next() {
                // The old spelling of -p looked at the word itself, which shows in its message.
                Some(v) => Some(v),
                None => {
                    let fault = Fault::new(
                        format!("{} is missing its value", token.text),
                        format!("expected {what} after {}", token.text),
                    );
                    return self.blame(
                        &token,
                        fault.usage(format!("option \"{}\" requires an argument", token.text)),
                    );
                }
            },
            (_, value) => value,
        };
        if matches!(key, Key::Wait | Key::WaitInterval) && self.mode != Mode::Shell {
            let fault =
                Fault::new(format!("{} in a line of a text", token.text), "expected a line without it");
            let says = format!("You cannot use `-{}' from iptables-restore", key.letter());
            return self.blame(&token, fault.usage(says));
        }
        let not = self.not.take();
        if let Some(bang) = &not
            && !key.can_negate()
        {
            let fault = Fault::new(
                format!("! before {}", token.text),
                "expected ! only before an option that can be negated",
            );
            return self.blame(bang, fault.usage(format!("cannot have ! before -{}", key.letter())));
        }
        if key.is_command() {
            return self.command(key, token, value);
        }
        // -g counts as a second -j.
        let once = if key == Key::Goto { Key::Jump } else { key };
        let repeats = matches!(
            key,
            Key::Match | Key::Verbose | Key::Wait | Key::WaitInterval | Key::Table | Key::Ipv4 | Key::Ipv6
        );
        if !repeats && self.given.iter().any(|(k, _)| *k == once) {
            let letter = once.letter();
            let fault = Fault::new(format!("{} is given twice", token.text), "expected it only once");
            return self.blame(&token, fault.usage(format!("multiple -{letter} flags not allowed")));
        }
        self.given.push((once, token.clone()));
        self.plain(key, &token, value, not.is_some())
    }
}

enum Found {
    Main(&'static Main),
    Extension(Owner, &'static Opt),
    Nothing,
}

/// The part of a word that is a value, at the place of the whole word.
pub(super) fn attached<'a>(token: &Token<'a>, value: &str) -> Token<'a> {
    Token { text: Cow::Owned(value.to_owned()), ..token.clone() }
}
