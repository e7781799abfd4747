//! A line becomes a [`Script`].

use super::expand::expand;
use super::lex::{Token, Unit, Word, tokens};
use super::{Each, Joint, Pipeline, Redirect, Script, Simple, Stage, Values, What, blank, line_of};

/// Names that shells have for others: Ubuntu's, and what people who use kubectl write.
const ALIASES: [(&str, &[&str]); 2] = [("ll", &["ls", "-alF"]), ("k", &["kubectl"])];

/// More programs than this in one line, or words that one stands for, are a mistake.
pub(super) const MOST: usize = 2_000;

/// Groups and loops within each other: each is a call of the reader.
const DEEPEST: usize = 50;

/// What begins what is not read.
const UNREAD: [&str; 8] = ["while", "until", "if", "case", "select", "function", "[[", "!"];

/// Reads a line. `Err` names what of it is not read, and what was expected.
///
/// # Errors
/// A quote that is not closed, a word that only a whole shell knows, a command or a file that is not there.
pub fn read(line: &str) -> Result<Script, String> {
    let mut parser = Parser { tokens: &[], at: 0, variables: Vec::new(), commands: 0, open: 0 };
    parser.inner(&tokens(line)?, Vec::new(), "expected a command")
}

/// The line before `&`, if that is its end: it runs beside what follows.
pub fn beside(line: &str) -> Option<&str> {
    let before = line.trim_end().strip_suffix('&')?;
    let ends = tokens(line).is_ok_and(|tokens| tokens.last() == Some(&Token::Sign("&")));
    ends.then(|| before.trim_end())
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    /// Variables of loops, with their values; the newest last.
    variables: Vec<(String, String)>,
    commands: usize,
    /// Groups and loops that are open.
    open: usize,
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

    fn keyword(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|t| t.is(word));
        self.at += usize::from(found);
        found
    }

    /// What stands here instead of a command.
    fn no_command<T>(&self) -> Result<T, String> {
        let text = |at: usize| self.tokens.get(at).map(|t| format!("{:?}", t.text()));
        let (behind, here) = (self.at.checked_sub(1).and_then(text), text(self.at));
        let place = match (behind, here) {
            (_, Some(here)) => format!(" before {here}"),
            (Some(behind), None) => format!(" behind {behind}"),
            (None, None) => String::new(),
        };
        Err(format!("expected a command{place}"))
    }

    fn ends(&self, ends: &[&str]) -> bool {
        match self.peek() {
            None | Some(Token::Sign(")")) => true,
            Some(token) => ends.iter().any(|end| token.is(end)),
        }
    }

    /// A list ends at one of these words, at `)`, or behind the last token.
    fn list(&mut self, ends: &[&str]) -> Result<Script, String> {
        let mut script = Script::default();
        let mut joint = Joint::Then;
        loop {
            while self.sign("\n") {}
            if self.ends(ends) {
                return if joint == Joint::Then { Ok(script) } else { self.no_command() };
            }
            script.list.push((joint, self.pipeline()?));
            joint = match self.peek() {
                Some(Token::Sign("&&")) => Joint::And,
                Some(Token::Sign("||")) => Joint::Or,
                Some(Token::Sign(";" | "\n")) => Joint::Then,
                Some(Token::Sign("&")) => {
                    return Err("'&': nothing runs beside the rest of a line; expected ; or &&".to_owned());
                }
                // Behind a group the end may stand at once.
                _ if self.ends(ends) => {
                    joint = Joint::Then;
                    continue;
                }
                here => {
                    let text = here.map(Token::text).unwrap_or_default();
                    return Err(format!("expected ; or && before {text:?}"));
                }
            };
            self.at += 1;
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, String> {
        let known = self.variables.len();
        let mut stages = vec![self.stage()?];
        loop {
            let both = self.sign("|&");
            if !both && !self.sign("|") {
                break;
            }
            if let (true, Some(stage)) = (both, stages.last_mut()) {
                stage.redirects.push(Redirect::ErrToOut);
            }
            while self.sign("\n") {}
            stages.push(self.stage()?);
        }
        // Each of several runs in a shell of its own.
        if stages.len() > 1 {
            self.variables.truncate(known);
        }
        Ok(Pipeline { stages })
    }

    fn stage(&mut self) -> Result<Stage, String> {
        let mut redirects = Vec::new();
        let what = match self.peek() {
            Some(Token::Sign("(")) => What::Group(self.nested(Self::group)?),
            Some(token) if token.is("{") => What::Group(self.nested(Self::braced)?),
            Some(token) if token.is("for") => self.nested(Self::repeated)?,
            Some(token) if UNREAD.iter().any(|word| token.is(word)) => {
                let text = token.text();
                return Err(format!(
                    "{text:?} is not read; expected a command, or for NAME in WORDS; do COMMAND; done"
                ));
            }
            _ => What::Simple(Simple { argv: self.words(&mut redirects)?, on: None }),
        };
        while self.redirect(&mut redirects)? {}
        let What::Simple(one) = &what else { return Ok(Stage { what, redirects }) };
        self.commands += 1;
        if self.commands > MOST {
            return Err(format!("more than {MOST} commands in one line"));
        }
        if one.argv.is_empty() && redirects.is_empty() {
            return self.no_command();
        }
        // `> FILE` makes an empty file.
        let nothing = || What::Simple(Simple { argv: vec!["true".to_owned()], on: None });
        let what = match line_of(&one.argv) {
            _ if one.argv.is_empty() => nothing(),
            None => what,
            Some(line) => What::Group(self.within(line?)?),
        };
        Ok(Stage { what, redirects })
    }

    /// The line of `sh -c LINE`, which knows no variables of this one.
    fn within(&mut self, line: &str) -> Result<Script, String> {
        self.deeper()?;
        let script = self.inner(&tokens(line)?, Vec::new(), "expected a command in sh -c LINE")?;
        self.open -= 1;
        Ok(script)
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.open += 1;
        match self.open > DEEPEST {
            true => Err(format!("more than {DEEPEST} groups and loops within each other")),
            false => Ok(()),
        }
    }

    /// What holds a list.
    fn nested<T>(&mut self, read: fn(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.at += 1;
        self.deeper()?;
        let held = read(self)?;
        self.open -= 1;
        Ok(held)
    }

    /// `LIST )`, whose variables nobody sees outside.
    fn group(&mut self) -> Result<Script, String> {
        let known = self.variables.len();
        let group = self.list(&[])?;
        self.variables.truncate(known);
        match self.peek() {
            Some(_) if group.list.is_empty() => self.no_command(),
            Some(_) => {
                self.at += 1;
                Ok(group)
            }
            None => Err("( is not closed".to_owned()),
        }
    }

    /// `LIST }`
    fn braced(&mut self) -> Result<Script, String> {
        let group = self.list(&["}"])?;
        match self.keyword("}") {
            true if group.list.is_empty() => self.no_command(),
            true => Ok(group),
            false => Err("{ is not closed; expected ; } behind its last command".to_owned()),
        }
    }

    /// The words of a program, without `sudo`: who types is root.
    fn words(&mut self, redirects: &mut Vec<Redirect>) -> Result<Vec<String>, String> {
        let mut argv = Vec::new();
        loop {
            while self.redirect(redirects)? {}
            let Some(Token::Word(word)) = self.peek() else { break };
            argv.extend(self.expand(word)?);
            self.at += 1;
        }
        if argv.len() > 1 && argv.first().is_some_and(|w| w == "sudo") {
            argv.remove(0);
        }
        let alias = ALIASES.iter().find(|(name, _)| argv.first().is_some_and(|w| w == name));
        if let Some((_, words)) = alias {
            argv.splice(..1, words.iter().map(|w| (*w).to_owned()));
        }
        Ok(argv)
    }

    fn expand(&self, word: &Word) -> Result<Vec<String>, String> {
        expand(word, |name| {
            self.variables.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
        })
    }

    /// `> FILE` and the like, if there is one here.
    fn redirect(&mut self, out: &mut Vec<Redirect>) -> Result<bool, String> {
        let Some(token @ Token::Redirect(file, sign)) = self.peek() else { return Ok(false) };
        let (file, sign, text) = (*file, *sign, token.text());
        if !matches!(sign, "<" | ">" | ">|" | ">>" | ">&" | "&>" | "&>>") {
            return Err(format!("{text:?} is not read; expected <, >, >> or 2>&1"));
        }
        self.at += 1;
        let Some(Token::Word(word)) = self.peek() else {
            return Err(format!("expected a file behind {text}"));
        };
        let words = self.expand(word)?;
        let [path] = words.as_slice() else {
            return Err(format!("expected one file behind {text}, not {}", words.len()));
        };
        self.at += 1;
        let (err, path) = (file == Some(2), path.clone());
        out.extend(match (sign, path.as_str()) {
            ("<", _) => Some(Redirect::Input(path)),
            (">&", "1") => err.then_some(Redirect::ErrToOut),
            (">&", "2") => (!err).then_some(Redirect::OutToErr),
            (">&", _) if file.is_some() => return Err(format!("expected 1 or 2 behind {text}")),
            _ => {
                let (both, append) = (sign.contains('&'), sign.ends_with(">>"));
                Some(Redirect::File { out: both || !err, err: both || err, append, path })
            }
        });
        Ok(true)
    }

    /// `for NAME in WORDS; do LIST; done` behind `for`: the list once for each word.
    fn repeated(&mut self) -> Result<What, String> {
        const USAGE: &str = "expected for NAME in WORDS; do COMMAND; done";
        let name = match self.peek() {
            Some(Token::Word(word)) => word.text(),
            _ => return Err(USAGE.to_owned()),
        };
        let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("{name:?} is no name of a variable; {USAGE}"));
        }
        self.at += 1;
        if !self.keyword("in") {
            return Err(USAGE.to_owned());
        }
        let words = self.values()?;
        if !self.sign(";") && !self.sign("\n") {
            return Err(USAGE.to_owned());
        }
        while self.sign("\n") {}
        if !self.keyword("do") {
            return Err(USAGE.to_owned());
        }
        let (body, mut script, before) = (self.at, Script::default(), self.variables.len());
        let text = |values: &Values| match values {
            Values::Known(value) => Some(value.clone()),
            Values::Printed(_) => None,
        };
        let known: Option<Vec<String>> = words.iter().map(text).collect();
        // Without a word it is read all the same: its end has to be found.
        let values = match &known {
            Some(values) if values.is_empty() => vec![String::new()],
            Some(values) => values.clone(),
            None => vec![blank(&name)],
        };
        for value in values {
            self.at = body;
            self.variables.push((name.clone(), value));
            script.list.extend(self.list(&["done"])?.list);
        }
        if script.list.is_empty() || !self.keyword("done") {
            return Err(USAGE.to_owned());
        }
        if known.as_ref().is_none_or(Vec::is_empty) {
            self.variables.truncate(before);
        }
        Ok(match known {
            Some(values) if values.is_empty() => What::Group(Script::default()),
            Some(_) => What::Group(script),
            None => What::Each(Each { name, values: words, body: script }),
        })
    }

    /// The words behind `in`.
    fn values(&mut self) -> Result<Vec<Values>, String> {
        let mut values = Vec::new();
        while let Some(Token::Word(word)) = self.peek() {
            match word.units.as_slice() {
                [Unit::Command(_, tokens, false)] => {
                    let tokens = tokens.clone();
                    let variables = self.variables.clone();
                    let script = self.inner(&tokens, variables, "expected a command in $( )")?;
                    values.push(Values::Printed(script));
                }
                _ => values.extend(self.expand(word)?.into_iter().map(Values::Known)),
            }
            self.at += 1;
        }
        Ok(values)
    }

    /// A line within this one, with these variables; `nothing` says that there is no command in it.
    fn inner(
        &mut self,
        tokens: &[Token],
        variables: Vec<(String, String)>,
        nothing: &str,
    ) -> Result<Script, String> {
        let mut parser = Parser { tokens, at: 0, variables, commands: self.commands, open: self.open };
        let script = parser.list(&[])?;
        self.commands = parser.commands;
        match parser.peek() {
            Some(token) => Err(format!("{:?} has nothing to close", token.text())),
            None if script.list.is_empty() => Err(nothing.to_owned()),
            None => Ok(script),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Joint, Redirect, Script, Stage, Values, What};
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
            let stage = |stage: &Stage| {
                let what = match &stage.what {
                    What::Simple(one) => one.argv.join(","),
                    What::Group(group) => format!("({})", shape(group)),
                    What::Each(each) => {
                        let values = each.values.iter().map(|values| match values {
                            Values::Known(value) => value.clone(),
                            Values::Printed(script) => format!("$({})", shape(script)),
                        });
                        let values: Vec<String> = values.collect();
                        let body = shape(&each.body.with(&each.name, "?"));
                        format!("{}:{}{{{body}}}", each.name, values.join(","))
                    }
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
            ("echo a2>f 2>g", "echo,a2 o>f e>g"),
            ("echo a 1>f 2 >g", "echo,a,2 o>f o>g"),
            ("a 1>&2 2>&1 >&1 >& f |& b", "a o=e e=o oe>f e=o | b"),
            ("> f", "true o>f"),
            ("a \\\n b \"c\\\nd\" |\n\n e", "a,b,cd | e"),
            ("a {1..3} x{a,b{c,d}}y {9..7} {08..10}", "a,1,2,3,xay,xbcy,xbdy,9,8,7,08,09,10"),
            (r#"a {b} {} '{c,d}' "{1..2}" {"a":1}"#, "a,{b},{},{c,d},{1..2},{a:1}"),
            ("for i in 'a b' c; do d $i \"$i\"; done", "(d,a,b,a b ; d,c,c)"),
            ("for i in 1; do for i in 2; do a $i; done; a $i; done; a $i", "((a,2) ; a,2) ; a,2"),
            ("a $(seq 3 -1 1) \"$(seq 2)\"", "a,3,2,1,1\n2"),
            ("a >> f 2>&1", "a o+f e=o"),
            ("a &> /dev/null < in", "a oe>/dev/null <in"),
            ("a 2>/dev/null | b", "a e>/dev/null | b"),
            ("(a; b) | c", "(a ; b) | c"),
            ("{ a; (b) } > f && c {", "(a ; (b)) o>f && c,{"),
            ("for i in 1 2; do curl $i; done", "(curl,1 ; curl,2)"),
            (
                "for i in {2..4} x; do a \"n$i\" && b ${i}y; done | uniq -c",
                "(a,n2 && b,2y ; a,n3 && b,3y ; a,n4 && b,4y ; a,nx && b,xy) | uniq,-c",
            ),
            ("for i in $(seq 2); do for j in a b; do c $i$j; done; done", "((c,1a ; c,1b) ; (c,2a ; c,2b))"),
            ("for i in $(seq 3 1); do a; done; b", "() ; b"),
            (
                "for i in a $(b c | d '$1)'); do e \"<$i>\" $i > f$i; done; g",
                "i:a,$(b,c | d,$1)){e,<?>,? o>f?} ; g",
            ),
            (
                "for t in x y; do for c in $(a -t $t); do b $t $c; done; done",
                "(c:$(a,-t,x){b,x,?} ; c:$(a,-t,y){b,y,?})",
            ),
            ("for i in $( (a; b) ); do c; done", "i:$((a ; b)){c}"),
            ("for i in $(for j in $(a); do b $j; done); do c $i; done", "i:$(j:$(a){b,?}){c,?}"),
            ("sudo iptables -L", "iptables,-L"),
            ("a; sh -c 'b | c \"d e\"' > f", "a ; (b | c,d e) o>f"),
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
            ("| a", "expected a command before \"|\""),
            ("a &&", "expected a command behind \"&&\""),
            ("a; ; b", "expected a command before \";\""),
            ("a;; b", "expected ; or && before \";;\""),
            ("()", "expected a command before \")\""),
            ("(a) b", "expected ; or && before \"b\""),
            ("a 12> b", "\"12>\" is not read; expected 0<, 1> or 2>"),
            ("a << b", "\"<<\" is not read; expected <, >, >> or 2>&1"),
            ("a > {b,c}", "expected one file behind >, not 2"),
            ("a 2>&b", "expected 1 or 2 behind 2>&"),
            ("a & b", "'&': nothing runs beside the rest of a line; expected ; or &&"),
            ("a >", "expected a file behind >"),
            ("a)", "\")\" has nothing to close"),
            ("(a", "( is not closed"),
            ("a; sh b", "expected sh -c LINE"),
            ("a; sh -c 'b; (c'", "( is not closed"),
            (
                "for i in 1; do sh -c 'a $i'; done",
                "\"$i\": there is no such variable; only for NAME in WORDS makes one",
            ),
            (
                "for i in {1..100}; do sh -c 'for j in {1..100}; do a; done'; done",
                "more than 2000 commands in one line",
            ),
            ("{ a }", "{ is not closed; expected ; } behind its last command"),
            ("echo $x", "\"$x\": there is no such variable; only for NAME in WORDS makes one"),
            ("a $(b c)", "\"$(b c)\": what a command prints is read only behind for NAME in"),
            (
                "for i in \"$(a)\"; do b; done",
                "\"$(a)\": what a command prints is read only behind for NAME in",
            ),
            ("for i in $(a; do b; done", "$( is not closed"),
            ("for i in $(a |); do b; done", "expected a command behind \"|\""),
            ("for i in $(); do b; done", "expected a command in $( )"),
            ("for i in $(seq a); do b; done", "\"$(seq a)\" is not read; expected $(seq FIRST LAST)"),
            (
                "for i in $(a); do b $i; done; c $i",
                "\"$i\": there is no such variable; only for NAME in WORDS makes one",
            ),
            ("a $?", "\"$?\": there is no such variable; only for NAME in WORDS makes one"),
            (
                "(for i in 1; do a; done); b $i",
                "\"$i\": there is no such variable; only for NAME in WORDS makes one",
            ),
            ("a {a..c}", "\"{a..c}\" is not read; expected numbers such as {1..3}"),
            ("a {1..2}{1..2000}", "braces make more than 2000 words"),
            ("a $'b'", "\"$\" before a quote is not read; expected the quote alone"),
            ("a \"`b`\"", "'`' is not read; expected words, or for NAME in $(COMMAND)"),
            ("a `b`", "'`' is not read; expected words, or for NAME in $(COMMAND)"),
            (
                "while true; do a; done",
                "\"while\" is not read; expected a command, or for NAME in WORDS; do COMMAND; done",
            ),
            ("for i in 1; do a", "expected for NAME in WORDS; do COMMAND; done"),
            ("for i in 1; do done", "expected for NAME in WORDS; do COMMAND; done"),
            ("for i", "expected for NAME in WORDS; do COMMAND; done"),
            (
                "for 1 in a; do b; done",
                "\"1\" is no name of a variable; expected for NAME in WORDS; do COMMAND; done",
            ),
            ("for i in {1..99999}; do a; done", "more than 2000 numbers from 1 to 99999"),
        ] {
            assert_eq!(read(line).unwrap_err(), expected, "{line}");
        }
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        assert_eq!(
            read(&"(".repeat(100_000)).unwrap_err(),
            "more than 50 groups and loops within each other"
        );
        assert_eq!(read(&"$(".repeat(100_000)).unwrap_err(), "more than 8 commands within each other");
        assert_eq!(read(&format!("a {}", "{a,".repeat(100))).map(|s| s.each().len()), Ok(1));
        let deep = format!("a {}b{}", "{a,".repeat(100), "}".repeat(100));
        assert_eq!(read(&deep).unwrap_err(), "more than 20 braces in a word");
    }

    #[test]
    fn programs_are_listed_with_whether_they_are_fed() {
        let script = read("a | b && (c; d | e) | f").unwrap();
        let each: Vec<(&str, bool)> =
            script.each().into_iter().map(|(one, fed)| (one.argv[0].as_str(), fed)).collect();
        assert_eq!(each, [("a", false), ("b", true), ("c", false), ("d", false), ("e", true), ("f", true)]);
    }
}
