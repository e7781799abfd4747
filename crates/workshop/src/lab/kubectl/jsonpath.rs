//! `-o jsonpath`, and the paths of `-o custom-columns` and `--sort-by` (client-go, util/jsonpath).

use crate::yaml_text::json_line;
use cluster::yaml::{Value, Yaml};
use std::cmp::Ordering;

/// A template: text, and what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Path(Path),
    /// `{range PATH}`, and what stands before its `{end}`.
    Range(Path, Vec<Part>),
}

/// One step after the other.
pub type Path = Vec<Step>;

/// From values to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `.name`, `['name']`
    Key(String),
    /// `[*]`, `.*`
    All,
    /// `..`: all that is within, and it itself.
    Deep,
    /// `[1]`, `[-1]`
    Index(i64),
    /// `[1:3]`
    Slice(i64, Option<i64>),
    /// `[0,2]`, `['a','b']`
    Union(Vec<Step>),
    /// `[?(@.name=="x")]`: path, operator and what it is held against; without an operator the path leads somewhere.
    Filter(Path, &'static str, Operand),
}

/// What a value is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A text, a number.
    Value(String),
    /// Another value.
    Path(Path),
}

const OPERATORS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];

impl Template {
    /// Reads `{range .items[*]}{.metadata.name}{"\n"}{end}`.
    ///
    /// # Errors
    /// What kubectl says of what it cannot read.
    pub fn read(text: &str) -> Result<Template, String> {
        let mut open: Vec<(Path, Vec<Part>)> = Vec::new();
        let mut parts = Vec::new();
        let mut rest = text;
        let wrong = |why: &str| format!("error: error parsing jsonpath {text}, {why}");
        while let Some((before, inner)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let mut reader = Reader(inner.trim_start());
            loop {
                reader.blanks();
                if reader.eats("}") {
                    break;
                }
                if let Some(text) = reader.quoted() {
                    parts.push(Part::Text(text));
                } else if reader.word("range") {
                    open.push((reader.path().map_err(|why| wrong(&why))?, std::mem::take(&mut parts)));
                } else if reader.word("end") {
                    let (path, before) = open.pop().ok_or_else(|| wrong("not in range, nothing to end"))?;
                    let within = std::mem::replace(&mut parts, before);
                    parts.push(Part::Range(path, within));
                } else {
                    parts.push(Part::Path(reader.path().map_err(|why| wrong(&why))?));
                }
            }
            rest = reader.0;
        }
        if !open.is_empty() {
            return Err(wrong("unmatched range"));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template { text: text.to_owned(), parts })
    }

    /// What kubectl prints of a tree.
    ///
    /// # Errors
    /// An element of a list is asked for that is not there.
    pub fn print(&self, tree: &Yaml) -> Result<String, String> {
        let mut out = String::new();
        print(&self.parts, tree, &mut out).map_err(|why| {
            format!(
                "error: error executing jsonpath \"{0}\": Error executing template: {why}. Printing more information for debugging the \
                 template:\n\ttemplate was:\n\t\t{0}",
                self.text
            )
        })?;
        Ok(out)
    }
}

/// Reads `.metadata.name`, also in braces or without its first full stop.
///
/// # Errors
/// What kubectl says of what it cannot read.
pub fn relaxed(text: &str) -> Result<Path, String> {
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let dotted = if inner.starts_with(['.', '[']) { inner.to_owned() } else { format!(".{inner}") };
    let mut reader = Reader(&dotted);
    match reader.path() {
        Ok(path) if reader.0.is_empty() => Ok(path),
        _ => Err(format!(
            "error: unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{{name1.name2}}' or '{{.name1.name2}}'"
        )),
    }
}

struct Reader<'t>(&'t str);

impl<'t> Reader<'t> {
    fn blanks(&mut self) {
        self.0 = self.0.trim_start();
    }

    fn eats(&mut self, token: &str) -> bool {
        let rest = self.0.strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn word(&mut self, word: &str) -> bool {
        let ends = self.0.strip_prefix(word).is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric()));
        ends && self.eats(word)
    }

    /// Text in quotes, with its escapes.
    fn quoted(&mut self) -> Option<String> {
        let quote = self.0.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (mut out, mut chars) = (String::new(), self.0.char_indices().skip(1));
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next()?.1 {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    other => out.push(other),
                },
                c if c == quote => {
                    self.0 = self.0.get(at + 1..)?;
                    return Some(out);
                }
                c => out.push(c),
            }
        }
        None
    }

    /// Letters until one that ends a name.
    fn name(&mut self) -> String {
        let (mut out, mut chars) = (String::new(), self.0.char_indices());
        let mut end = self.0.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => out.extend(chars.next().map(|(_, c)| c)),
                c if c.is_whitespace() || ".[]{}(),:=!<>'\"".contains(c) => {
                    end = at;
                    break;
                }
                c => out.push(c),
            }
        }
        self.0 = self.0.get(end..).unwrap_or_default();
        out
    }

    fn path(&mut self) -> Result<Path, String> {
        self.blanks();
        let root = self.eats("$") || self.eats("@");
        let (mut path, begin) = (Path::new(), self.0);
        loop {
            if self.eats("..") {
                path.push(Step::Deep);
                if self.0.starts_with('[') {
                    continue;
                }
            } else if self.eats("[") {
                path.push(self.bracket()?);
                continue;
            } else if !self.eats(".") {
                break;
            }
            if self.eats("*") {
                path.push(Step::All);
            } else if !self.0.starts_with('[') {
                match self.name() {
                    name if !name.is_empty() => path.push(Step::Key(name)),
                    _ if self.0.is_empty() || self.0.starts_with(['}', ' ', ')']) => {}
                    _ => return Err(unrecognized(self.0)),
                }
            }
        }
        match self.0 {
            "" if begin.is_empty() && !root => Err("unclosed action".to_owned()),
            rest if rest == begin && !root => Err(unrecognized(rest)),
            _ => Ok(path),
        }
    }

    fn bracket(&mut self) -> Result<Step, String> {
        let unterminated = || "unterminated array".to_owned();
        if self.eats("?(") {
            let filter = self.filter()?;
            self.blanks();
            return if self.eats(")]") { Ok(filter) } else { Err("unterminated filter".to_owned()) };
        }
        let mut all = Vec::new();
        loop {
            self.blanks();
            let step = match self.quoted() {
                Some(name) => Step::Key(name),
                None if self.eats("*") => Step::All,
                None => {
                    let end = self.0.find([',', ']']).ok_or_else(unterminated)?;
                    let (given, rest) = self.0.split_at(end);
                    self.0 = rest;
                    let wrong = || format!("invalid array index {given}");
                    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
                    match given.split_once(':') {
                        None => Step::Index(number(given)?),
                        Some((from, to)) => Step::Slice(
                            if from.is_empty() { 0 } else { number(from)? },
                            if to.is_empty() { None } else { Some(number(to)?) },
                        ),
                    }
                }
            };
            all.push(step);
            self.blanks();
            if self.eats("]") {
                break;
            }
            if !self.eats(",") {
                return Err(unterminated());
            }
        }
        Ok(if all.len() > 1 { Step::Union(all) } else { all.pop().ok_or_else(unterminated)? })
    }

    fn filter(&mut self) -> Result<Step, String> {
        let path = self.path()?;
        self.blanks();
        let Some(operator) = OPERATORS.into_iter().find(|o| self.0.starts_with(o)) else {
            return Ok(Step::Filter(path, "", Operand::Value(String::new())));
        };
        self.eats(operator);
        self.blanks();
        let operand = match self.quoted() {
            Some(text) => Operand::Value(text),
            None if self.0.starts_with(['@', '$', '.']) => Operand::Path(self.path()?),
            None => {
                let end = self.0.find(')').ok_or("unterminated filter")?;
                let (value, rest) = self.0.split_at(end);
                self.0 = rest;
                Operand::Value(value.trim().to_owned())
            }
        };
        Ok(Step::Filter(path, operator, operand))
    }
}

fn unrecognized(rest: &str) -> String {
    match rest.chars().next() {
        Some(c) => format!("unrecognized character in action: U+{:04X} '{c}'", u32::from(c)),
        None => "unclosed action".to_owned(),
    }
}

fn print(parts: &[Part], at: &Yaml, out: &mut String) -> Result<(), String> {
    for part in parts {
        match part {
            Part::Text(text) => *out += text,
            Part::Path(path) => {
                let found: Vec<String> = find(path, at)?.into_iter().map(told).collect();
                *out += &found.join(" ");
            }
            Part::Range(path, within) => {
                for one in find(path, at)? {
                    print(within, one, out)?;
                }
            }
        }
    }
    Ok(())
}

/// A value as it is printed: what is no list and no mapping as it is.
pub fn told(value: &Yaml) -> String {
    match &value.value {
        Value::Plain(text) | Value::Text(text) => text.clone(),
        _ => json_line(value),
    }
}

/// What a path leads to.
///
/// # Errors
/// An element of a list that is not there.
pub fn find<'y>(path: &[Step], at: &'y Yaml) -> Result<Vec<&'y Yaml>, String> {
    let mut now = vec![at];
    for step in path {
        let mut next = Vec::new();
        for one in now {
            follow(step, one, &mut next)?;
        }
        now = next;
    }
    now.retain(|v| !v.is_null());
    Ok(now)
}

fn within(at: &Yaml) -> Vec<&Yaml> {
    match &at.value {
        Value::Sequence(items) => items.iter().collect(),
        Value::Mapping(entries) => entries.iter().map(|e| &e.value).collect(),
        _ => Vec::new(),
    }
}

fn follow<'y>(step: &Step, at: &'y Yaml, out: &mut Vec<&'y Yaml>) -> Result<(), String> {
    let items = if let Value::Sequence(items) = &at.value { &items[..] } else { &[] };
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = |n: i64| usize::try_from(if n < 0 { n + length } else { n }).unwrap_or(usize::MAX);
    match step {
        Step::Key(name) => out.extend(at.get(name)),
        Step::All => out.extend(within(at)),
        Step::Deep => {
            out.push(at);
            within(at).into_iter().try_for_each(|one| follow(step, one, out))?;
        }
        Step::Index(n) => match items.get(place(*n)) {
            Some(item) => out.push(item),
            None if !matches!(at.value, Value::Sequence(_)) => {}
            None => return Err(format!("array index out of bounds: index {n}, length {length}")),
        },
        Step::Slice(from, to) => {
            let to = to.map_or(items.len(), place);
            out.extend(items.iter().take(to).skip(place(*from)));
        }
        Step::Union(steps) => steps.iter().try_for_each(|step| follow(step, at, out))?,
        Step::Filter(path, operator, operand) => {
            for item in items {
                let left = find(path, item)?;
                let right = match operand {
                    Operand::Value(text) => Some(text.clone()),
                    Operand::Path(path) => find(path, item)?.first().map(|v| told(v)),
                };
                let met = match (left.first().map(|v| told(v)), right) {
                    (Some(_), _) if operator.is_empty() => true,
                    (Some(left), Some(right)) => {
                        let order = compare(&left, &right);
                        match *operator {
                            "==" => order.is_eq(),
                            "!=" => order.is_ne(),
                            "<" => order.is_lt(),
                            "<=" => order.is_le(),
                            ">" => order.is_gt(),
                            _ => order.is_ge(),
                        }
                    }
                    _ => false,
                };
                out.extend(met.then_some(item));
            }
        }
    }
    Ok(())
}

/// Numbers by their value, other text by its letters.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}
