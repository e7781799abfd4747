//! A line becomes a [`Script`].

use super::{Joint, Pipeline, Redirect, Script, Simple, Stage, What};

/// More programs than this in one line are a mistake.
const MOST: usize = 2_000;

/// What begins what is not read.
const UNREAD: [&str; 6] = ["while", "until", "if", "case", "select", "function"];

/// Reads a line. `Err` names what of it is not read, and what was expected.
///
/// # Errors
/// A quote that is not closed, a word that only a whole shell knows, a command or a file that is not there.
pub fn read(line: &str) -> Result<Script, String> {
    let tokens = tokens(line)?;
    let mut parser = Parser { tokens: &tokens, at: 0, variables: Vec::new(), commands: 0 };
    let script = parser.list(&[])?;
    match parser.peek() {
        None if script.list.is_empty() => Err("expected a command".to_owned()),
        None => Ok(script),
        Some(token) => Err(format!("{:?} has nothing to close", token.text())),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
    /// `$(seq FIRST LAST)`
    Seq(i64, i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Whether nothing of it is quoted, and its pieces.
    Word(bool, Vec<Piece>),
    Sign(&'static str),
}

impl Token {
    fn text(&self) -> String {
        match self {
            Token::Sign(sign) => (*sign).to_owned(),
            Token::Word(_, pieces) => {
                let text = |p: &Piece| match p {
                    Piece::Text(text) => text.clone(),
                    Piece::Variable(name) => format!("${name}"),
                    Piece::Seq(first, last) => format!("$(seq {first} {last})"),
                };
                pieces.iter().map(text).collect()
            }
        }
    }

    /// It is this word, not quoted.
    fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(true, pieces) if matches!(pieces.as_slice(), [Piece::Text(t)] if t == word))
    }
}

/// Signs, the longer ones first.
const SIGNS: [&str; 13] = ["2>&1", "2>>", "&>>", "&&", "||", ">&2", "&>", "2>", ">>", "|", ";", ">", "<"];

/// Signs that end a word wherever they stand.
const SINGLE: [(char, &str); 3] = [('(', "("), (')', ")"), ('&', "&")];

fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { rest: line, out: Vec::new(), word: None, bare: true };
    while let Some(c) = lexer.rest.chars().next() {
        lexer.step(c)?;
    }
    lexer.end_word();
    Ok(lexer.out)
}

struct Lexer<'l> {
    rest: &'l str,
    out: Vec<Token>,
    word: Option<Vec<Piece>>,
    /// Nothing of the word is quoted.
    bare: bool,
}

impl Lexer<'_> {
    fn step(&mut self, c: char) -> Result<(), String> {
        match c {
            ' ' | '\t' => self.end_word(),
            '\n' => {
                self.end_word();
                self.out.push(Token::Sign(";"));
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
                if let Some(next) = rest.next() {
                    self.quoted(next.encode_utf8(&mut [0; 4]));
                }
                self.rest = rest.as_str();
                return Ok(());
            }
            '#' if self.word.is_none() => {
                self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]);
                return Ok(());
            }
            '$' => return self.dollar(),
            '`' => return Err("'`': commands in place of words are not read; expected words".to_owned()),
            // `a2>b`: only a number of its own says which stream is meant.
            '2' if self.word.is_some() => self.push('2'),
            _ => {
                let sign = SIGNS.iter().find(|s| self.rest.starts_with(**s)).copied();
                if let Some(sign) = sign {
                    self.end_word();
                    self.out.push(Token::Sign(sign));
                    self.rest = &self.rest[sign.len()..];
                    return Ok(());
                }
                match SINGLE.iter().find(|(single, _)| *single == c) {
                    Some((_, sign)) => {
                        self.end_word();
                        self.out.push(Token::Sign(sign));
                    }
                    None => self.push(c),
                }
            }
        }
        self.rest = &self.rest[c.len_utf8()..];
        Ok(())
    }

    fn push(&mut self, c: char) {
        let word = self.word.get_or_insert_default();
        match word.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => word.push(Piece::Text(c.to_string())),
        }
    }

    fn quoted(&mut self, text: &str) {
        self.bare = false;
        self.word.get_or_insert_default();
        text.chars().for_each(|c| self.push(c));
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.out.push(Token::Word(self.bare, word));
        }
        self.bare = true;
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
                '$' => self.dollar()?,
                '\\' => {
                    match chars.next().ok_or("a quote \" is not closed")? {
                        c @ ('"' | '\\' | '$' | '`') => self.push(c),
                        c => ['\\', c].into_iter().for_each(|c| self.push(c)),
                    }
                    self.rest = chars.as_str();
                }
                c => {
                    self.push(c);
                    self.rest = chars.as_str();
                }
            }
        }
    }

    /// `$NAME`, `${NAME}`, `$(seq FIRST LAST)`; a dollar before anything else is one.
    fn dollar(&mut self) -> Result<(), String> {
        let rest = &self.rest[1..];
        if let Some(inner) = rest.strip_prefix('(') {
            let (words, rest) = inner.split_once(')').ok_or("$( is not closed")?;
            let seq = seq(words).ok_or_else(|| {
                format!("\"$({words})\": commands in place of words are not read; expected $(seq FIRST LAST)")
            })?;
            self.word.get_or_insert_default().push(seq);
            self.rest = rest;
            return Ok(());
        }
        let (name, rest) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or("${ is not closed")?,
            None => rest
                .split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())),
        };
        self.rest = rest;
        match name {
            "" => self.push('$'),
            name => self.word.get_or_insert_default().push(Piece::Variable(name.to_owned())),
        }
        Ok(())
    }
}

/// seq(1) with one or two numbers.
fn seq(words: &str) -> Option<Piece> {
    let words: Vec<&str> = words.split_whitespace().collect();
    match words.as_slice() {
        ["seq", last] => Some(Piece::Seq(1, last.parse().ok()?)),
        ["seq", first, last] => Some(Piece::Seq(first.parse().ok()?, last.parse().ok()?)),
        _ => None,
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    /// Variables of loops, with their values; the innermost last.
    variables: Vec<(String, String)>,
    commands: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn sign(&mut self, sign: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    /// Where a list ends: at one of these words, at `)`, or behind the last token.
    fn list(&mut self, ends: &[&str]) -> Result<Script, String> {
        let mut script = Script::default();
        let mut joint = Joint::Then;
        loop {
            while joint == Joint::Then && self.sign(";") {}
            let ended = match self.peek() {
                None | Some(Token::Sign(")")) => true,
                Some(token) => ends.iter().any(|end| token.is(end)),
            };
            if ended {
                return match joint {
                    Joint::Then => Ok(script),
                    Joint::And => Err("expected a command behind &&".to_owned()),
                    Joint::Or => Err("expected a command behind ||".to_owned()),
                };
            }
            script.list.push((joint, self.pipeline()?));
            joint = match self.peek() {
                Some(Token::Sign("&&")) => Joint::And,
                Some(Token::Sign("||")) => Joint::Or,
                Some(Token::Sign("&")) => {
                    return Err("'&': nothing runs beside the rest of a line; expected ; or &&".to_owned());
                }
                _ => Joint::Then,
            };
            self.at += usize::from(joint != Joint::Then);
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, String> {
        let mut stages = vec![self.stage()?];
        while self.sign("|") {
            stages.push(self.stage()?);
        }
        Ok(Pipeline { stages })
    }

    fn stage(&mut self) -> Result<Stage, String> {
        let mut redirects = Vec::new();
        let what = match self.peek() {
            Some(Token::Sign("(")) => {
                self.at += 1;
                let group = self.list(&[])?;
                if !self.sign(")") {
                    return Err("( is not closed".to_owned());
                }
                What::Group(group)
            }
            Some(token) if token.is("for") => What::Group(self.unrolled()?),
            Some(token) if UNREAD.iter().any(|word| token.is(word)) => {
                let text = token.text();
                return Err(format!(
                    "{text:?} is not read here; expected for NAME in WORDS; do COMMAND; done"
                ));
            }
            _ => What::Simple(Simple { argv: self.words(&mut redirects)?, on: None }),
        };
        while self.redirect(&mut redirects)? {}
        if let What::Simple(one) = &what {
            self.commands += 1;
            if self.commands > MOST {
                return Err(format!("more than {MOST} commands in one line"));
            }
            if one.argv.is_empty() {
                let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
                let behind = before.map_or(String::new(), |t| format!(" behind {:?}", t.text()));
                return Err(format!("expected a command{behind}"));
            }
        }
        Ok(Stage { what, redirects })
    }

    /// The words of a program, without `sudo`: who types is root.
    fn words(&mut self, redirects: &mut Vec<Redirect>) -> Result<Vec<String>, String> {
        let mut argv = Vec::new();
        loop {
            while self.redirect(redirects)? {}
            let Some(Token::Word(_, pieces)) = self.peek() else { break };
            argv.push(self.word(&pieces.clone())?);
            self.at += 1;
        }
        if argv.len() > 1 && argv.first().is_some_and(|w| w == "sudo") {
            argv.remove(0);
        }
        Ok(argv)
    }

    fn word(&self, pieces: &[Piece]) -> Result<String, String> {
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Seq(..) => return Err("$(seq FIRST LAST) is read only behind for NAME in".to_owned()),
                Piece::Variable(name) => {
                    let known = self.variables.iter().rev().find(|(n, _)| n == name);
                    let (_, value) = known.ok_or_else(|| {
                        format!("\"${name}\": there is no such variable; only for NAME in WORDS makes one")
                    })?;
                    out.push_str(value);
                }
            }
        }
        Ok(out)
    }

    /// `> FILE` and the like, if there is one here.
    fn redirect(&mut self, out: &mut Vec<Redirect>) -> Result<bool, String> {
        let Some(Token::Sign(sign)) = self.peek() else { return Ok(false) };
        let sign = *sign;
        if !sign.contains(['<', '>']) {
            return Ok(false);
        }
        self.at += 1;
        let same = match sign {
            "2>&1" => Some(Redirect::ErrToOut),
            ">&2" => Some(Redirect::OutToErr),
            _ => None,
        };
        if let Some(same) = same {
            out.push(same);
            return Ok(true);
        }
        let Some(Token::Word(_, pieces)) = self.peek() else {
            return Err(format!("expected a file behind {sign}"));
        };
        let path = self.word(&pieces.clone())?;
        self.at += 1;
        let err = sign.starts_with(['2', '&']);
        out.push(match sign {
            "<" => Redirect::Input(path),
            _ => Redirect::File { out: !sign.starts_with('2'), err, append: sign.ends_with(">>"), path },
        });
        Ok(true)
    }

    /// `for NAME in WORDS; do LIST; done`: the list once for each word.
    fn unrolled(&mut self) -> Result<Script, String> {
        const USAGE: &str = "expected for NAME in WORDS; do COMMAND; done";
        self.at += 1;
        let name = match self.peek() {
            Some(Token::Word(true, pieces)) => self.word(pieces)?,
            _ => return Err(USAGE.to_owned()),
        };
        self.at += 1;
        if !self.peek().is_some_and(|t| t.is("in")) {
            return Err(USAGE.to_owned());
        }
        self.at += 1;
        let mut values = Vec::new();
        while let Some(Token::Word(bare, pieces)) = self.peek() {
            let (bare, pieces) = (*bare, pieces.clone());
            match pieces.as_slice() {
                [Piece::Seq(first, last)] => values.extend(numbers(*first, *last)?),
                _ => {
                    let word = self.word(&pieces)?;
                    match braces(&word).filter(|_| bare) {
                        Some((first, last)) => values.extend(numbers(first, last)?),
                        None => values.push(word),
                    }
                }
            }
            self.at += 1;
        }
        while self.sign(";") {}
        if !self.peek().is_some_and(|t| t.is("do")) {
            return Err(USAGE.to_owned());
        }
        self.at += 1;
        let (body, mut script) = (self.at, Script::default());
        // Without a word it is read all the same: its end has to be found.
        let none = values.is_empty();
        for value in if none { vec![String::new()] } else { values } {
            self.at = body;
            self.variables.push((name.clone(), value));
            script.list.extend(self.list(&["done"])?.list);
            self.variables.pop();
        }
        if !self.peek().is_some_and(|t| t.is("done")) || script.list.is_empty() {
            return Err(USAGE.to_owned());
        }
        self.at += 1;
        Ok(if none { Script::default() } else { script })
    }
}

/// `{FIRST..LAST}`
fn braces(word: &str) -> Option<(i64, i64)> {
    let (first, last) = word.strip_prefix('{')?.strip_suffix('}')?.split_once("..")?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn numbers(first: i64, last: i64) -> Result<Vec<String>, String> {
    match last.checked_sub(first) {
        Some(n) if n < MOST as i64 => Ok((first..=last).map(|n| n.to_string()).collect()),
        _ => Err(format!("more than {MOST} numbers from {first} to {last}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Joint, Redirect, Script, What};
    use super::read;

    /// Each program with what stands before it, in a form that can be compared.
    fn shape(script: &Script) -> String {
        let mut out = String::new();
        for (joint, pipeline) in &script.list {
            if !out.is_empty() || *joint != Joint::Then {
                out.push_str(match joint {
                    Joint::Then => " ; ",
                    Joint::And => " && ",
                    Joint::Or => " || ",
                });
            }
            let stage = |stage: &super::Stage| {
                let what = match &stage.what {
                    What::Simple(one) => one.argv.join(","),
                    What::Group(group) => format!("({})", shape(group)),
                };
                let redirects = stage.redirects.iter().map(|r| match r {
                    Redirect::Input(path) => format!(" <{path}"),
                    Redirect::File { out, err, append, path } => {
                        format!(
                            " {}{}{}{path}",
                            if *out { "o" } else { "" },
                            if *err { "e" } else { "" },
                            if *append { "+" } else { ">" }
                        )
                    }
                    Redirect::ErrToOut => " e=o".to_owned(),
                    Redirect::OutToErr => " o=e".to_owned(),
                });
                what + &redirects.collect::<String>()
            };
            out.push_str(&pipeline.stages.iter().map(stage).collect::<Vec<_>>().join(" | "));
        }
        out
    }

    #[test]
    fn lines_are_read_as_a_shell_does() {
        for (line, expected) in [
            ("iptables -A X  -j LOG", "iptables,-A,X,-j,LOG"),
            (r#"a 'b "c" d' "e 'f' \" g" h\ i ''  # j"#, r#"a,b "c" d,e 'f' " g,h i,"#),
            ("a#b $ '$x'", "a#b,$,$x"),
            ("iptables-save|grep -c KUBE", "iptables-save | grep,-c,KUBE"),
            ("a && b || c; d\ne", "a && b || c ; d ; e"),
            ("a;", "a"),
            ("echo 1 > f", "echo,1 o>f"),
            ("echo 12>f 2>g", "echo,12 o>f e>g"),
            ("a >> f 2>&1", "a o+f e=o"),
            ("a &> /dev/null < in", "a oe>/dev/null <in"),
            ("a 2>/dev/null | b", "a e>/dev/null | b"),
            ("(a; b) | c", "(a ; b) | c"),
            ("for i in 1 2; do curl $i; done", "(curl,1 ; curl,2)"),
            (
                "for i in {2..4} x; do a \"n$i\" && b ${i}y; done | uniq -c",
                "(a,n2 && b,2y ; a,n3 && b,3y ; a,n4 && b,4y ; a,nx && b,xy) | uniq,-c",
            ),
            ("for i in $(seq 2); do for j in a b; do c $i$j; done; done", "((c,1a ; c,1b) ; (c,2a ; c,2b))"),
            ("for i in $(seq 3 1); do a; done; b", "() ; b"),
            ("sudo iptables -L", "iptables,-L"),
            ("curl 'http://x/?a=1&b=2'", "curl,http://x/?a=1&b=2"),
            ("kubectl patch svc w -p {\"a\":1}", "kubectl,patch,svc,w,-p,{a:1}"),
        ] {
            assert_eq!(shape(&read(line).unwrap()), expected, "{line}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (line, expected) in [
            ("", "expected a command"),
            ("# a", "expected a command"),
            ("'a", "a quote ' is not closed"),
            ("\"a", "a quote \" is not closed"),
            ("a |", "expected a command behind \"|\""),
            ("| a", "expected a command"),
            ("a &&", "expected a command behind &&"),
            ("a & b", "'&': nothing runs beside the rest of a line; expected ; or &&"),
            ("a >", "expected a file behind >"),
            ("a)", "\")\" has nothing to close"),
            ("(a", "( is not closed"),
            ("echo $x", "\"$x\": there is no such variable; only for NAME in WORDS makes one"),
            ("a $(b c)", "\"$(b c)\": commands in place of words are not read; expected $(seq FIRST LAST)"),
            ("a $(seq 3)", "$(seq FIRST LAST) is read only behind for NAME in"),
            ("a `b`", "'`': commands in place of words are not read; expected words"),
            (
                "while true; do a; done",
                "\"while\" is not read here; expected for NAME in WORDS; do COMMAND; done",
            ),
            ("for i in 1; do a", "expected for NAME in WORDS; do COMMAND; done"),
            ("for i in 1; do done", "expected for NAME in WORDS; do COMMAND; done"),
            ("for 1", "expected for NAME in WORDS; do COMMAND; done"),
            ("for i in {1..99999}; do a; done", "more than 2000 numbers from 1 to 99999"),
        ] {
            assert_eq!(read(line).unwrap_err(), expected, "{line}");
        }
    }

    #[test]
    fn programs_are_listed_with_whether_they_are_fed() {
        let script = read("a | b && (c; d | e) | f").unwrap();
        let each: Vec<(&str, bool)> =
            script.each().into_iter().map(|(one, fed)| (one.argv[0].as_str(), fed)).collect();
        assert_eq!(each, [("a", false), ("b", true), ("c", false), ("d", false), ("e", true), ("f", true)]);
    }
}
