//! YAML text as a tree whose values know their place.
//!
//! Only what Kubernetes manifests use: mappings with scalar keys, sequences, scalars. Anchors may stand there, but an
//! alias, a tag or a key that is given twice is refused.

use crate::diagnostic::{Diagnostic, Read};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// Nesting beyond this is refused: the deepest field of a Pod is at about 15.
const MAX_DEPTH: usize = 50;

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    fn of(mark: Marker) -> Place {
        Place { line: mark.line(), column: mark.col() + 1 }
    }

    /// Something is wrong here.
    pub fn blame(self, token: &str, message: impl Into<String>) -> Box<Diagnostic> {
        /// A token is quoted up to this many characters.
        const SHOWN: usize = 60;
        let mut shown: String = token.chars().take(SHOWN).collect();
        if shown.len() < token.len() {
            shown.push_str("...");
        }
        Box::new(Diagnostic { line: self.line, column: self.column, token: shown, message: message.into() })
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yaml {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
    /// It is literal block text (`|`): its lines are those of the text, from the place on.
    pub literal: bool,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Plain text, which may mean a number, a boolean or nothing.
    Plain(String),
    /// Quoted or block text, which is always text.
    Text(String),
    /// `- ...`
    Sequence(Vec<Yaml>),
    /// `key: ...`, in the order of the text.
    Mapping(Vec<Entry>),
}

/// One `key: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the key stands.
    pub place: Place,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Yaml,
}

impl Yaml {
    /// Absent, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Plain(t) if matches!(t.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value behind a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// What to show of it in a message.
    pub fn token(&self) -> &str {
        match &self.value {
            Value::Plain(t) | Value::Text(t) => t,
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// Something in the text that this value is, is wrong: `what` is what the text is called.
    pub(crate) fn blame_within(&self, what: &str, wrong: Diagnostic) -> Box<Diagnostic> {
        let Diagnostic { line, column, token, message } = wrong;
        if self.literal {
            let place = Place { line: self.place.line + line - 1, column: self.place.column + column - 1 };
            return place.blame(&token, message);
        }
        self.place.blame(&token, format!("line {line} of {what}, column {column}: {message}"))
    }

    /// This value is wrong.
    pub fn blame(&self, message: impl Into<String>) -> Box<Diagnostic> {
        self.place.blame(self.token(), message)
    }
}

/// A collection whose end has not been seen.
enum Open {
    Sequence(Place, Vec<Yaml>),
    Mapping(Place, Vec<Entry>, Option<(Place, String)>),
}

/// The documents of a text. Empty documents are left out.
///
/// # Errors
/// The text is not YAML, or uses what is not read here.
pub fn documents(text: &str) -> Read<Vec<Yaml>> {
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(e) => e,
            Err(e) => return Err(not_yaml(text, Place::of(*e.marker()), e.info())),
        };
        let place = Place::of(span.start);
        let done = match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => continue,
            Event::Alias(_) => {
                return Err(place.blame("", "aliases (*name) are not read; write the value out"));
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err(place.blame("", "tags (!name) are not read"));
            }
            Event::Scalar(text, style, _, None) => {
                let value = match style {
                    ScalarStyle::Plain => Value::Plain(text.into_owned()),
                    _ => Value::Text(text.into_owned()),
                };
                Yaml { place, value, literal: style == ScalarStyle::Literal }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() >= MAX_DEPTH {
                    return Err(place.blame("", format!("nested deeper than {MAX_DEPTH} levels")));
                }
                open.push(match event {
                    Event::SequenceStart(..) => Open::Sequence(place, Vec::new()),
                    _ => Open::Mapping(place, Vec::new(), None),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence(place, items)) => {
                    Yaml { place, value: Value::Sequence(items), literal: false }
                }
                Some(Open::Mapping(place, entries, _)) => {
                    Yaml { place, value: Value::Mapping(entries), literal: false }
                }
                None => return Err(place.blame("", "an end without a beginning")),
            },
        };
        match open.last_mut() {
            Some(Open::Sequence(_, items)) => items.push(done),
            Some(Open::Mapping(_, entries, key)) => add(entries, key, done)?,
            None if done.is_null() => {}
            None => documents.push(done),
        }
    }
    Ok(documents)
}

/// The parser names the place where what it was reading began; a tab in front of a line is told where it stands.
fn not_yaml(text: &str, at: Place, info: &str) -> Box<Diagnostic> {
    let indented = |line: &str| line.trim_start_matches(' ').starts_with('\t') && !line.trim().is_empty();
    let tab = (1..).zip(text.lines()).skip(at.line.saturating_sub(1)).find(|(_, line)| indented(line));
    match tab.filter(|(number, _)| *number == at.line || info.contains("tab")) {
        Some((number, line)) => {
            let place = Place { line: number, column: line.find('\t').unwrap_or_default() + 1 };
            place.blame("", "not YAML: a tab in front of a line; expected blanks")
        }
        None => at.blame("", format!("not YAML: {info}")),
    }
}

/// Adds a key or a value to a mapping, whichever is its turn.
fn add(entries: &mut Vec<Entry>, key: &mut Option<(Place, String)>, done: Yaml) -> Read<()> {
    if let Some((place, key)) = key.take() {
        entries.push(Entry { place, key, value: done });
        return Ok(());
    }
    let place = done.place;
    let (Value::Plain(name) | Value::Text(name)) = done.value else {
        return Err(done.blame("expected a key"));
    };
    if let Some(first) = entries.iter().find(|e| e.key == name) {
        return Err(place.blame(&name, format!("this key is already given on line {}", first.place.line)));
    }
    *key = Some((place, name));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Value, documents};

    #[test]
    fn documents_are_separated() {
        let docs = documents("a: 1\n---\n---\nb: [x, 'y']\n").unwrap();
        assert_eq!(docs.len(), 2);
        let Value::Mapping(entries) = &docs[1].value else { panic!() };
        assert_eq!((entries[0].place.line, entries[0].place.column, entries[0].key.as_str()), (4, 1, "b"));
        assert_eq!((entries[0].value.place.line, entries[0].value.place.column), (4, 4));
    }

    #[test]
    fn errors_have_a_place() {
        for (text, message) in [
            ("a: 1\na: 2\n", "line 2, column 1: \"a\": this key is already given on line 1"),
            ("a: *b\n", "line 1, column 4: "),
            ("a: !t b\n", "line 1, column 4: tags (!name) are not read"),
            ("a: [1\n", "not YAML: "),
            ("[a]: 1\n", "line 1, column 1: \"a list\": expected a key"),
        ] {
            let e = documents(text).unwrap_err().to_string();
            assert!(e.contains(message), "{e}");
        }
        let deep = "[".repeat(60);
        assert!(documents(&deep).unwrap_err().to_string().contains("nested deeper than 50 levels"));
    }
}
