//! sed(1), as far as it chooses lines and replaces what stands in them: `sed [-n] [-E] [-i] SCRIPT [FILE...]`.
//!
//! POSIX.1-2017, sed: one or two addresses, `p`, `d`, `q`, `=` and `s`; no hold space, no groups in an expression that is replaced.

use super::pattern::{Pattern, Whole};
use super::{Source, words};
use crate::operator::{CommandOutput, write_file};
use std::iter::Peekable;
use std::str::Chars;

const USAGE: &str = "expected a script such as 2,5p, '/RE/d' or 's/RE/TEXT/g'";

pub fn sed(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "nErsi", "e")?;
    let extended = words.has('E') || words.has('r');
    let scripts: Vec<&str> = words.options.iter().filter(|(c, _)| *c == 'e').map(|(_, text)| *text).collect();
    let (script, named) = match words.others.split_first() {
        _ if !scripts.is_empty() => (scripts.join("\n"), words.others.as_slice()),
        Some((script, named)) => ((*script).to_owned(), named),
        None => return Err(USAGE.to_owned()),
    };
    let mut reader = Reader { rest: script.chars().peekable(), extended };
    let commands = reader.script().map_err(|why| format!("{script}: {why}"))?;
    let (files, mut out) = (from.files(named), CommandOutput::default());
    let mut texts = Vec::new();
    for file in files {
        match from.text(&file) {
            Ok(text) => texts.push((file, text)),
            Err(_) => {
                out.stderr.push(format!("sed: can't read {file}: No such file or directory"));
                out.status = 2;
            }
        }
    }
    if words.has('i') {
        for (file, text) in texts {
            let text = edited(commands.clone(), &[text], words.has('n'));
            write_file(from.world, from.host, &file, &text, false)?;
        }
        return Ok(out);
    }
    let texts: Vec<String> = texts.into_iter().map(|(_, text)| text).collect();
    out.print(&edited(commands, &texts, words.has('n')));
    Ok(out)
}

/// What becomes of texts, one behind the other. The last line lacks its line feed if it did.
fn edited(mut commands: Vec<Command>, texts: &[String], quiet: bool) -> String {
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.split_terminator('\n')).collect();
    let mut out = String::new();
    for (number, line) in (1..).zip(&lines) {
        let (mut line, mut shown, mut ends) = ((*line).to_owned(), !quiet, false);
        for command in &mut commands {
            if command.means(number, number == lines.len(), &line) == command.not {
                continue;
            }
            match &command.what {
                What::Print => out += &format!("{line}\n"),
                What::Number => out += &format!("{number}\n"),
                What::Replace(replace) => {
                    if let Some(new) = replace.of(&line) {
                        line = new;
                        out += &if replace.print { format!("{line}\n") } else { String::new() };
                    }
                }
                What::Delete => shown = false,
                What::Quit => ends = true,
            }
            if ends || matches!(command.what, What::Delete) {
                break;
            }
        }
        if shown {
            out += &format!("{line}\n");
        }
        if ends {
            return out;
        }
    }
    if texts.last().is_some_and(|text| !text.is_empty() && !text.ends_with('\n')) {
        out.pop();
    }
    out
}

/// `[ADDRESS[,ADDRESS]][!]COMMAND`
#[derive(Clone)]
struct Command {
    from: Option<Address>,
    to: Option<Address>,
    /// The last line of the range that has begun; 0 outside of one.
    until: usize,
    not: bool,
    what: What,
}

#[derive(Clone)]
enum Address {
    Line(usize),
    Last,
    Has(Pattern),
    /// `+N`, as a second one
    More(usize),
}

#[derive(Clone)]
enum What {
    Print,
    Delete,
    Quit,
    Number,
    Replace(Replace),
}

/// `s/RE/TEXT/FLAGS`
#[derive(Clone)]
struct Replace {
    pattern: Pattern,
    /// `None` stands for what was found.
    text: Vec<Option<char>>,
    /// The first match that is replaced, and whether those behind it are too.
    first: usize,
    all: bool,
    print: bool,
}

impl Command {
    fn means(&mut self, number: usize, last: bool, line: &str) -> bool {
        let hits = |address: &Address| match address {
            Address::Line(n) => *n == number,
            Address::Last => last,
            Address::Has(pattern) => pattern.is_in(line, Whole::Nothing),
            Address::More(_) => false,
        };
        let Some(to) = &self.to else { return self.from.as_ref().is_none_or(hits) };
        if self.until > 0 {
            if number >= self.until || matches!(to, Address::Has(_)) && hits(to) {
                self.until = 0;
            }
            return true;
        }
        let begins = self.from.as_ref().is_some_and(hits);
        if begins {
            let until = match to {
                Address::Line(n) => *n,
                Address::More(n) => number + n,
                Address::Last | Address::Has(_) => usize::MAX,
            };
            self.until = if until > number { until } else { 0 };
        }
        begins
    }
}

impl Replace {
    /// The line with its matches replaced; `None` if there is none.
    fn of(&self, line: &str) -> Option<String> {
        let chars: Vec<char> = line.chars().collect();
        let (mut out, mut at, mut hits) = (String::new(), 0, 0);
        for (from, to) in self.pattern.places(line, Whole::Nothing) {
            // What is empty is none right behind another one.
            if from == to && from == at && hits > 0 {
                continue;
            }
            hits += 1;
            if hits < self.first || hits > self.first && !self.all {
                continue;
            }
            out.extend(chars.get(at..from).unwrap_or_default());
            for part in &self.text {
                match part {
                    Some(c) => out.push(*c),
                    None => out.extend(chars.get(from..to).unwrap_or_default()),
                }
            }
            at = to;
        }
        out.extend(chars.get(at..).unwrap_or_default());
        (hits >= self.first).then_some(out)
    }
}

struct Reader<'s> {
    rest: Peekable<Chars<'s>>,
    extended: bool,
}

impl Reader<'_> {
    fn script(&mut self) -> Result<Vec<Command>, String> {
        let mut all = Vec::new();
        loop {
            while self.rest.next_if(|c| c.is_whitespace() || *c == ';').is_some() {}
            if self.rest.peek().is_none() {
                return Ok(all);
            }
            let from = self.address()?;
            let second = from.is_some() && self.rest.next_if_eq(&',').is_some();
            let to = if second { Some(self.address()?.ok_or("unexpected `,'")?) } else { None };
            let not = self.rest.next_if_eq(&'!').is_some();
            let what = match self.rest.next() {
                Some('p') => What::Print,
                Some('d') => What::Delete,
                Some('q') => What::Quit,
                Some('=') => What::Number,
                Some('s') => What::Replace(self.replace()?),
                other => {
                    return Err(format!(
                        "{:?} is not read here; {USAGE}",
                        other.map_or(String::new(), String::from)
                    ));
                }
            };
            all.push(Command { from, to, until: 0, not, what });
            if !matches!(self.rest.peek(), None | Some(';' | '\n' | ' ')) {
                return Err("extra characters after command".to_owned());
            }
        }
    }

    fn number(&mut self) -> usize {
        let mut n: usize = 0;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            n = n.saturating_mul(10).saturating_add(digit as usize);
            self.rest.next();
        }
        n
    }

    fn address(&mut self) -> Result<Option<Address>, String> {
        Ok(match self.rest.peek() {
            Some('0'..='9') => Some(Address::Line(self.number())),
            Some('$') => self.rest.next().map(|_| Address::Last),
            Some('+') => self.rest.next().map(|_| Address::More(self.number())),
            Some('/') => {
                self.rest.next();
                let text = self.until('/').ok_or("unterminated address regex")?;
                Some(Address::Has(self.pattern(&text, false)?))
            }
            _ => None,
        })
    }

    /// What stands before a sign, which is not one behind a backslash.
    fn until(&mut self, end: char) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                c if c == end => return Some(text),
                '\\' => match self.rest.next()? {
                    c if c == end => text.push(c),
                    c => text.extend(['\\', c]),
                },
                c => text.push(c),
            }
        }
    }

    fn pattern(&self, text: &str, fold: bool) -> Result<Pattern, String> {
        match text {
            "" => Err("an empty expression, which stands for the last one, is not modelled".to_owned()),
            text => Pattern::read(text, self.extended, fold),
        }
    }

    fn replace(&mut self) -> Result<Replace, String> {
        let parts = self.rest.next().and_then(|end| Some((self.until(end)?, self.until(end)?)));
        let (pattern, with) = parts.ok_or("unterminated `s' command")?;
        let (mut text, mut with) = (Vec::new(), with.chars());
        while let Some(c) = with.next() {
            text.push(match c {
                '&' => None,
                '\\' => match with.next() {
                    Some('n') => Some('\n'),
                    Some('t') => Some('\t'),
                    Some(c @ '0'..='9') => {
                        return Err(format!("\\{c} is not modelled; expected &, all that was found"));
                    }
                    other => other.or(Some('\\')),
                },
                c => Some(c),
            });
        }
        let (mut first, mut all, mut print, mut fold) = (1, false, false, false);
        loop {
            match self.rest.peek() {
                Some('g') => all = true,
                Some('p') => print = true,
                Some('i' | 'I') => fold = true,
                Some('1'..='9') => {
                    first = self.number();
                    continue;
                }
                None | Some(';' | '\n' | ' ') => break,
                Some(_) => return Err("unknown option to `s'".to_owned()),
            }
            self.rest.next();
        }
        Ok(Replace { pattern: self.pattern(&pattern, fold)?, text, first, all, print })
    }
}
