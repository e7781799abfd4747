//! awk(1), as far as it chooses lines and prints fields: `awk [-F SIGN] 'PATTERN {print FIELDS}' [FILE...]`.
//!
//! POSIX.1-2017, awk: no variables but NR and NF, no functions, and no statement but `print`.

use super::pattern::{Pattern, Whole};
use super::{Source, numbers, words};
use crate::operator::CommandOutput;
use std::cmp::Ordering;

const USAGE: &str = "expected a program such as '$1 ~ /RE/ && NR > 1 {print $2, $NF}'";

/// Patterns deeper than this are a mistake.
const DEEPEST: usize = 50;

pub fn awk(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "", "F")?;
    let [program, named @ ..] = words.others.as_slice() else { return Err(USAGE.to_owned()) };
    let separator = match words.value('F') {
        None | Some(" ") => None,
        Some("\\t") => Some('\t'),
        Some(text) => match *text.chars().collect::<Vec<_>>() {
            [sign] => Some(sign),
            _ => return Err(format!("-F {text}: expected one sign")),
        },
    };
    let rules = Reader { rest: program, depth: 0 }.rules()?;
    let (files, mut out) = (from.files(named), CommandOutput::default());
    let all = from.each("awk", &files, &mut out);
    let lines = all.iter().flat_map(|(_, text)| text.split_terminator('\n'));
    for (number, line) in (1..).zip(lines) {
        let fields = match separator {
            None => line.split_ascii_whitespace().collect(),
            Some(_) if line.is_empty() => Vec::new(),
            Some(sign) => line.split(sign).collect(),
        };
        let row = Row { line, fields, number };
        for rule in rules.iter().filter(|rule| rule.test.as_ref().is_none_or(|test| test.holds(&row))) {
            out.stdout.extend(rule.prints.iter().map(|print| row.printed(print)));
        }
    }
    if out.status != 0 {
        out.status = 2;
    }
    Ok(out)
}

/// A line and its fields.
struct Row<'l> {
    line: &'l str,
    fields: Vec<&'l str>,
    number: usize,
}

/// `PATTERN {print ...}`
struct Rule {
    test: Option<Test>,
    prints: Vec<Print>,
}

/// What stands between commas; each is values in one.
type Print = Vec<Vec<Value>>;

enum Value {
    Text(String),
    /// `$N`; 0 is the line.
    Field(usize),
    LastField,
    LineNumber,
    FieldCount,
}

enum Test {
    /// `~`, or `!~`
    Matches(Value, Pattern, bool),
    Compares(Value, &'static str, Value),
    Is(Value),
    Not(Box<Test>),
    /// `&&`
    All(Vec<Test>),
    /// `||`
    Any(Vec<Test>),
}

impl Row<'_> {
    fn value(&self, value: &Value) -> String {
        let field = |n: usize| self.fields.get(n.wrapping_sub(1)).copied().unwrap_or_default();
        match value {
            Value::Text(text) => text.clone(),
            Value::Field(0) => self.line.to_owned(),
            Value::LastField if self.fields.is_empty() => self.line.to_owned(),
            Value::Field(n) => field(*n).to_owned(),
            Value::LastField => field(self.fields.len()).to_owned(),
            Value::LineNumber => self.number.to_string(),
            Value::FieldCount => self.fields.len().to_string(),
        }
    }

    fn printed(&self, print: &Print) -> String {
        let one = |values: &Vec<Value>| values.iter().map(|v| self.value(v)).collect::<String>();
        print.iter().map(one).collect::<Vec<_>>().join(" ")
    }
}

impl Test {
    fn holds(&self, row: &Row<'_>) -> bool {
        match self {
            Test::Matches(value, pattern, holds) => {
                pattern.is_in(&row.value(value), Whole::Nothing) == *holds
            }
            Test::Compares(a, sign, b) => {
                let order = order(&row.value(a), &row.value(b));
                match *sign {
                    "==" => order == Ordering::Equal,
                    "!=" => order != Ordering::Equal,
                    "<" => order == Ordering::Less,
                    "<=" => order != Ordering::Greater,
                    ">" => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                }
            }
            Test::Is(value) => {
                let text = row.value(value);
                match is_number(&text) {
                    true => order(&text, "0") != Ordering::Equal,
                    false => !text.is_empty(),
                }
            }
            Test::Not(test) => !test.holds(row),
            Test::All(tests) => tests.iter().all(|t| t.holds(row)),
            Test::Any(tests) => tests.iter().any(|t| t.holds(row)),
        }
    }
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    whole && digits.bytes().any(|b| b.is_ascii_digit()) && digits.matches('.').count() < 2
}

/// As numbers if both are; of these a plus says nothing.
fn order(a: &str, b: &str) -> Ordering {
    fn plain(text: &str) -> &str {
        text.trim().trim_start_matches('+')
    }
    match is_number(a) && is_number(b) {
        true => numbers(plain(a), plain(b)),
        false => a.cmp(b),
    }
}

struct Reader<'p> {
    rest: &'p str,
    depth: usize,
}

impl Reader<'_> {
    fn sign(&mut self, sign: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The same of a word, behind which no letter follows.
    fn word(&mut self, word: &str) -> bool {
        let before = self.rest;
        let found =
            self.sign(word) && !self.rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !found {
            self.rest = before;
        }
        found
    }

    fn wrong(&self) -> String {
        match self.rest.trim() {
            "" => USAGE.to_owned(),
            rest => format!("{rest:?} is not read here; {USAGE}"),
        }
    }

    fn rules(mut self) -> Result<Vec<Rule>, String> {
        let mut rules = Vec::new();
        loop {
            while self.sign(";") {}
            if self.rest.trim().is_empty() {
                break;
            }
            let test = if self.rest.trim_start().starts_with('{') { None } else { Some(self.any()?) };
            let prints = if self.sign("{") { self.prints()? } else { vec![vec![vec![Value::Field(0)]]] };
            rules.push(Rule { test, prints });
        }
        if rules.is_empty() { Err(USAGE.to_owned()) } else { Ok(rules) }
    }

    /// What stands in braces.
    fn prints(&mut self) -> Result<Vec<Print>, String> {
        let mut prints = Vec::new();
        loop {
            while self.sign(";") {}
            if self.sign("}") {
                return Ok(prints);
            }
            if !self.word("print") {
                return Err(self.wrong());
            }
            let mut print: Print = Vec::new();
            loop {
                let mut one = Vec::new();
                while let Some(value) = self.value()? {
                    one.push(value);
                }
                let more = self.sign(",");
                match (one.is_empty(), more || !print.is_empty()) {
                    (false, _) => print.push(one),
                    (true, true) => return Err(self.wrong()),
                    (true, false) => print.push(vec![Value::Field(0)]),
                }
                if !more {
                    break;
                }
            }
            prints.push(print);
        }
    }

    fn any(&mut self) -> Result<Test, String> {
        let mut tests = vec![self.all()?];
        while self.sign("||") {
            tests.push(self.all()?);
        }
        Ok(Test::Any(tests))
    }

    fn all(&mut self) -> Result<Test, String> {
        let mut tests = vec![self.one()?];
        while self.sign("&&") {
            tests.push(self.one()?);
        }
        Ok(Test::All(tests))
    }

    fn one(&mut self) -> Result<Test, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("a pattern deeper than {DEEPEST}"));
        }
        let test = self.test();
        self.depth -= 1;
        test
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.sign("!") {
            return Ok(Test::Not(Box::new(self.one()?)));
        }
        if self.sign("(") {
            let test = self.any()?;
            return if self.sign(")") { Ok(test) } else { Err(self.wrong()) };
        }
        if let Some(pattern) = self.pattern()? {
            return Ok(Test::Matches(Value::Field(0), pattern, true));
        }
        let Some(value) = self.value()? else { return Err(self.wrong()) };
        for (sign, holds) in [("~", true), ("!~", false)] {
            if self.sign(sign) {
                let pattern = match self.pattern()? {
                    Some(pattern) => pattern,
                    None => match self.value()? {
                        Some(Value::Text(text)) => Pattern::read(&text, true, false)?,
                        _ => return Err(self.wrong()),
                    },
                };
                return Ok(Test::Matches(value, pattern, holds));
            }
        }
        for sign in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.sign(sign) {
                let other = self.value()?.ok_or_else(|| self.wrong())?;
                return Ok(Test::Compares(value, sign, other));
            }
        }
        Ok(Test::Is(value))
    }

    /// `/RE/`
    fn pattern(&mut self) -> Result<Option<Pattern>, String> {
        if !self.sign("/") {
            return Ok(None);
        }
        let text = self.until('/')?;
        Pattern::read(&text, true, false).map(Some)
    }

    /// What stands before a sign that closes; `\` before that sign is left out.
    fn until(&mut self, end: char) -> Result<String, String> {
        let (mut text, mut chars) = (String::new(), self.rest.chars());
        while let Some(c) = chars.next() {
            match c {
                c if c == end => {
                    self.rest = chars.as_str();
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some(c) if c == end => text.push(c),
                    Some('t') if end == '"' => text.push('\t'),
                    Some(c) if end == '"' && c == '\\' => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(format!("{end} is not closed"))
    }

    fn value(&mut self) -> Result<Option<Value>, String> {
        if self.sign("\"") {
            return self.until('"').map(|text| Some(Value::Text(text)));
        }
        if self.sign("$") {
            if self.word("NF") {
                return Ok(Some(Value::LastField));
            }
            let number = self.digits().parse().map_err(|_| self.wrong())?;
            return Ok(Some(Value::Field(number)));
        }
        for (name, value) in [("NR", Value::LineNumber), ("NF", Value::FieldCount)] {
            if self.word(name) {
                return Ok(Some(value));
            }
        }
        self.rest = self.rest.trim_start();
        let number = self.digits();
        Ok((!number.is_empty()).then(|| Value::Text(number.to_owned())))
    }

    fn digits(&mut self) -> String {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.to_owned()
    }
}
