//! A line becomes words and signs.

use super::expand::seq;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(Word),
    /// `|`, `;`, the end of a line and the like.
    Sign(&'static str),
    /// `>`, `<` and the like, with the number of the file that stands before it.
    Redirect(Option<u8>, &'static str),
}

/// What stands between blanks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pub units: Vec<Unit>,
    /// Something of it is quoted: it is there though it be empty.
    pub quoted: bool,
}

/// What a word is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    Bare(char),
    Quoted(char),
    /// A variable, and whether it stands in quotes: else its value may be several words.
    Variable(String, bool),
    /// What `$(seq ...)` prints, the same.
    Printed(String, bool),
    /// `$(COMMAND)`: its text, what it consists of, and the same.
    Command(String, Vec<Token>, bool),
}

impl Token {
    /// As it was written, without quotes.
    pub fn text(&self) -> String {
        match self {
            Token::Sign("\n") => "the end of the line".to_owned(),
            Token::Sign(sign) => (*sign).to_owned(),
            Token::Redirect(file, sign) => file.map_or(String::new(), |n| n.to_string()) + sign,
            Token::Word(word) => word.text(),
        }
    }

    /// It is this word, not quoted.
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if !own.quoted && own.units.iter().cloned().eq(word.chars().map(Unit::Bare)))
    }
}

impl Word {
    pub fn text(&self) -> String {
        let mut out = String::new();
        for unit in &self.units {
            match unit {
                Unit::Bare(c) | Unit::Quoted(c) => out.push(*c),
                Unit::Variable(name, _) => out.extend(["$", name]),
                Unit::Printed(text, _) => out.push_str(text),
                Unit::Command(text, ..) => out.extend(["$(", text, ")"]),
            }
        }
        out
    }

    /// Its number, if it is one that may stand before `>`.
    fn number(&self) -> Option<u32> {
        let digits = self.units.iter().all(|u| matches!(u, Unit::Bare(c) if c.is_ascii_digit()));
        (digits && !self.quoted).then(|| self.text().parse().ok()).flatten()
    }
}

/// Signs, the longer ones first.
const SIGNS: [&str; 9] = ["&&", "||", "|&", ";;", "|", ";", "(", ")", "&"];

/// Those that lead to and from files.
const REDIRECTS: [&str; 11] = ["<<<", "&>>", "<<", "<>", "<&", "&>", ">>", ">&", ">|", ">", "<"];

/// `$( )` within each other.
const DEEPEST: usize = 8;

/// The tokens of a line. `Err` names what of it is not read.
pub fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { rest: line, out: Vec::new(), word: None, depth: 0 };
    while let Some(c) = lexer.rest.chars().next() {
        lexer.step(c)?;
    }
    lexer.end_word();
    Ok(lexer.out)
}

struct Lexer<'l> {
    rest: &'l str,
    out: Vec<Token>,
    word: Option<Word>,
    /// In how many `$( )` the text stands.
    depth: usize,
}

impl<'l> Lexer<'l> {
    /// The tokens before the parenthesis that closes, and the line behind it.
    fn within(mut self) -> Result<(Vec<Token>, &'l str), String> {
        let mut open = 0_usize;
        while let Some(c) = self.rest.chars().next() {
            match c {
                ')' if open == 0 => {
                    self.end_word();
                    return Ok((self.out, &self.rest[1..]));
                }
                ')' => open -= 1,
                '(' => open += 1,
                _ => {}
            }
            self.step(c)?;
        }
        Err("$( is not closed".to_owned())
    }

    fn step(&mut self, c: char) -> Result<(), String> {
        match c {
            ' ' | '\t' => self.end_word(),
            '\n' => {
                self.end_word();
                self.out.push(Token::Sign("\n"));
            }
            '\'' => {
                let (quoted, rest) = self.rest[1..].split_once('\'').ok_or("a quote ' is not closed")?;
                self.quoted(quoted);
                self.rest = rest;
                return Ok(());
            }
            '"' => return self.double_quoted(),
            '\\' => {
                let mut rest = self.rest[1..].chars();
                match rest.next() {
                    // The line goes on.
                    Some('\n') => {}
                    next => self.quoted(next.unwrap_or('\\').encode_utf8(&mut [0; 4])),
                }
                self.rest = rest.as_str();
                return Ok(());
            }
            '#' if self.word.is_none() => {
                self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]);
                return Ok(());
            }
            '$' => return self.dollar(false),
            '`' => return Err(BACKQUOTE.to_owned()),
            _ => {
                if let Some(token) = self.sign()? {
                    self.end_word();
                    self.out.push(token);
                    return Ok(());
                }
                self.push(Unit::Bare(c));
            }
        }
        self.rest = &self.rest[c.len_utf8()..];
        Ok(())
    }

    /// The sign that stands here, which ends a word.
    fn sign(&mut self) -> Result<Option<Token>, String> {
        let here = |signs: &[&'static str]| signs.iter().copied().find(|s| self.rest.starts_with(s));
        let token = match here(&REDIRECTS) {
            None => here(&SIGNS).map(|sign| (sign, Token::Sign(sign))),
            Some(sign) => {
                let number = self.word.as_ref().filter(|_| !sign.starts_with('&')).and_then(Word::number);
                let file = match number {
                    None => None,
                    Some(n @ 0..=2) if (n == 0) == sign.starts_with('<') => Some(n as u8),
                    Some(n) => return Err(format!("\"{n}{sign}\" is not read; expected 0<, 1> or 2>")),
                };
                self.word = self.word.take().filter(|_| file.is_none());
                Some((sign, Token::Redirect(file, sign)))
            }
        };
        Ok(token.map(|(sign, token)| {
            self.rest = &self.rest[sign.len()..];
            token
        }))
    }

    fn push(&mut self, unit: Unit) {
        self.word.get_or_insert_default().units.push(unit);
    }

    fn quoted(&mut self, text: &str) {
        let word = self.word.get_or_insert_default();
        word.quoted = true;
        word.units.extend(text.chars().map(Unit::Quoted));
    }

    fn end_word(&mut self) {
        self.out.extend(self.word.take().map(Token::Word));
    }

    fn double_quoted(&mut self) -> Result<(), String> {
        self.quoted("");
        self.rest = &self.rest[1..];
        loop {
            let mut chars = self.rest.chars();
            let c = chars.next().ok_or("a quote \" is not closed")?;
            match c {
                '"' => {
                    self.rest = chars.as_str();
                    return Ok(());
                }
                '$' => {
                    self.dollar(true)?;
                    continue;
                }
                '`' => return Err(BACKQUOTE.to_owned()),
                '\\' => match chars.next().ok_or("a quote \" is not closed")? {
                    '\n' => {}
                    c @ ('"' | '\\' | '$' | '`') => self.push(Unit::Quoted(c)),
                    c => ['\\', c].into_iter().for_each(|c| self.push(Unit::Quoted(c))),
                },
                c => self.push(Unit::Quoted(c)),
            }
            self.rest = chars.as_str();
        }
    }

    /// `$NAME`, `${NAME}`, `$(COMMAND)`; a dollar before anything else is one.
    fn dollar(&mut self, quoted: bool) -> Result<(), String> {
        let rest = &self.rest[1..];
        if let Some(inner) = rest.strip_prefix('(') {
            if self.depth == DEEPEST {
                return Err(format!("more than {DEEPEST} commands within each other"));
            }
            let lexer = Lexer { rest: inner, out: Vec::new(), word: None, depth: self.depth + 1 };
            let (tokens, rest) = lexer.within()?;
            let text = inner.strip_suffix(rest).and_then(|t| t.strip_suffix(')')).unwrap_or_default();
            self.push(match seq(text)? {
                Some(printed) => Unit::Printed(printed, quoted),
                None => Unit::Command(text.to_owned(), tokens, quoted),
            });
            self.rest = rest;
            return Ok(());
        }
        let (name, rest) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or("${ is not closed")?,
            // `$?`, `$1` and the like have one sign.
            None if rest.starts_with(|c: char| "?$!#@*-".contains(c) || c.is_ascii_digit()) => {
                rest.split_at(1)
            }
            None => rest
                .split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())),
        };
        match name {
            "" if !quoted && rest.starts_with(['\'', '"']) => {
                return Err("\"$\" before a quote is not read; expected the quote alone".to_owned());
            }
            "" => self.push(if quoted { Unit::Quoted('$') } else { Unit::Bare('$') }),
            name => self.push(Unit::Variable(name.to_owned(), quoted)),
        }
        self.rest = rest;
        Ok(())
    }
}

const BACKQUOTE: &str = "'`' is not read; expected words, or for NAME in $(COMMAND)";
