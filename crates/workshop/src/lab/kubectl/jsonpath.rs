//! `-o jsonpath`, and the paths of `-o custom-columns` and `--sort-by` (client-go, util/jsonpath).

use crate::yaml_text::json_line;
use cluster::yaml::{Value, Yaml};
use std::cmp::Ordering;

/// A template that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

enum Part {
    Text(String),
    Path(Path),
    /// `{range PATH}`, and what stands before its `{end}`.
    Range(Path, Vec<Part>),
}

/// One step after the other.
type Path = Vec<Step>;

/// From values to others.
enum Step {
    /// `.name`, `['name']`
    Key(String),
    /// `[*]`, `.*`
    All,
    /// `..`: all that is within, and it itself.
    Deep,
    /// `[1]`, `[-1]`
    Index(i64),
    /// `[?(@.name=="x")]`: path, operator and what it is held against; without an operator the path leads somewhere.
    Filter(Path, &'static str, Operand),
}

/// What a value is held against.
enum Operand {
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
        let template = Template(text.to_owned());
        template.parts()?;
        Ok(template)
    }

    fn parts(&self) -> Result<Vec<Part>, String> {
        let text = self.0.as_str();
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
        Ok(parts)
    }

    /// The values that its first path leads to.
    pub fn values(&self, tree: &Yaml) -> Vec<String> {
        match self.parts().as_deref() {
            Ok([Part::Path(path), ..]) => {
                find(path, tree).unwrap_or_default().into_iter().map(told).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What kubectl prints of a tree.
    ///
    /// # Errors
    /// An element of a list is asked for that is not there.
    pub fn print(&self, tree: &Yaml) -> Result<String, String> {
        let mut out = String::new();
        print(&self.parts()?, tree, &mut out).map_err(|why| {
            format!(
                "error: error executing jsonpath \"{0}\": Error executing template: {why}. Printing more information for debugging the \
                 template:\n\ttemplate was:\n\t\t{0}",
                self.0
            )
        })?;
        Ok(out)
    }
}

/// Reads `.metadata.name`, also in braces or without its first full stop.
///
/// # Errors
/// What kubectl says of what it cannot read.
pub fn relaxed(text: &str) -> Result<Template, String> {
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let dot = if inner.starts_with(['.', '[', '@', '$']) { "" } else { "." };
    Template::read(&["{", dot, inner, "}"].concat())
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
        let ends =
            self.0.strip_prefix(word).is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_alphanumeric()));
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
        if self.eats("?(") {
            let filter = self.filter()?;
            return if self.eats(")]") { Ok(filter) } else { Err("unterminated filter".to_owned()) };
        }
        let step = match self.quoted() {
            Some(name) => Step::Key(name),
            None if self.eats("*") => Step::All,
            None => {
                let given = self.name();
                Step::Index(given.parse().map_err(|_| format!("invalid array index {given}"))?)
            }
        };
        if self.eats("]") { Ok(step) } else { Err("unterminated array".to_owned()) }
    }

    fn filter(&mut self) -> Result<Step, String> {
        let path = self.path()?;
        self.blanks();
        let operator = OPERATORS.into_iter().find(|o| self.eats(o)).unwrap_or_default();
        self.blanks();
        let operand = match self.quoted() {
            Some(text) => Operand::Value(text),
            None if self.0.starts_with(['@', '$']) => Operand::Path(self.path()?),
            None => Operand::Value(self.name()),
        };
        self.blanks();
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
fn told(value: &Yaml) -> String {
    match &value.value {
        Value::Plain(text) | Value::Text(text) => text.clone(),
        _ => json_line(value),
    }
}

/// What a path leads to.
fn find<'y>(path: &[Step], at: &'y Yaml) -> Result<Vec<&'y Yaml>, String> {
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
        Step::Filter(path, operator, operand) => {
            for item in items {
                let left = find(path, item)?;
                let right = match operand {
                    Operand::Value(text) => Some(text.clone()),
                    Operand::Path(path) => find(path, item)?.first().map(|v| told(v)),
                };
                let met = match (left.first().map(|v| told(v)), right) {
                    (Some(left), Some(right)) => {
                        let order = compare(&left, &right);
                        // No sign at all is one that there is something.
                        operator.is_empty()
                            || operator.contains('=') && order.is_eq() != operator.starts_with('!')
                            || operator.starts_with('<') && order.is_lt()
                            || operator.starts_with('>') && order.is_gt()
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
