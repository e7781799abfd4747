//! The cluster's objects as text, as a session leaves them when the steps begin.

use super::Session;
use crate::lab::LabError;
use cluster::yaml::{Value, Yaml};

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectText {
    /// Its kind.
    pub kind: String,
    /// Its namespace; `default` if it says none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its YAML, as `kubectl apply -f -` takes it.
    pub yaml: String,
}

impl Session {
    /// The objects that were given, in their order; what controllers make of them is left out.
    ///
    /// # Errors
    /// As for [`Session::run`].
    pub fn objects(&self) -> Result<Vec<ObjectText>, LabError> {
        let begun = self.lab.begin(&self.changes, &self.typed)?;
        let text = |d: &Yaml| {
            let metadata = d.get("metadata");
            let of = |key: &str| metadata.and_then(|m| m.get(key)).map(|v| v.token().to_owned());
            ObjectText {
                kind: d.get("kind").map_or(String::new(), |k| k.token().to_owned()),
                namespace: of("namespace").unwrap_or_else(|| "default".to_owned()),
                name: of("name").unwrap_or_default(),
                yaml: print(d),
            }
        };
        Ok(begun.documents.iter().map(text).collect())
    }
}

/// A document as block YAML; short lists and mappings of plain values stay in one line.
pub fn print(document: &Yaml) -> String {
    let mut out = String::new();
    block(document, 0, &mut out);
    out
}

/// So long may a line be that holds a whole list or mapping.
const FLOW: usize = 80;

fn block(at: &Yaml, indent: usize, out: &mut String) {
    match &at.value {
        Value::Mapping(entries) => {
            for e in entries {
                *out += &" ".repeat(indent);
                *out += &scalar(&e.key, false);
                *out += ":";
                after(&e.value, indent + 2, out);
            }
        }
        Value::Sequence(items) => {
            for item in items {
                *out += &" ".repeat(indent);
                *out += "-";
                after(item, indent + 2, out);
            }
        }
        _ => {
            *out += &" ".repeat(indent);
            *out += &flow(at);
            out.push('\n');
        }
    }
}

/// What stands behind a key or a dash.
fn after(value: &Yaml, indent: usize, out: &mut String) {
    if value.literal
        && let Value::Text(text) = &value.value
        && text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
    {
        *out += " |\n";
        for line in text.lines() {
            if !line.is_empty() {
                *out += &" ".repeat(indent);
                *out += line;
            }
            out.push('\n');
        }
        return;
    }
    let inner = flow(value);
    let deep = |v: &Yaml| matches!(v.value, Value::Mapping(_) | Value::Sequence(_));
    let simple = match &value.value {
        Value::Mapping(e) => e.is_empty() || e.len() < 4 && !e.iter().any(|e| deep(&e.value)),
        Value::Sequence(items) => items.is_empty() || !items.iter().any(deep),
        _ => true,
    };
    if simple && inner.len() + indent <= FLOW || !deep(value) {
        *out += " ";
        *out += &inner;
        out.push('\n');
        return;
    }
    out.push('\n');
    block(value, indent, out);
}

fn flow(at: &Yaml) -> String {
    match &at.value {
        Value::Plain(text) => text.clone(),
        Value::Text(text) => scalar(text, true),
        Value::Sequence(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Mapping(entries) => {
            let pair = |e: &cluster::yaml::Entry| format!("{}: {}", scalar(&e.key, false), flow(&e.value));
            format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text that needs no quotes stands without, unless it is `typed` as text and looks like something else.
fn scalar(text: &str, typed: bool) -> String {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    let words = ["true", "false", "null", "yes", "no", "on", "off"];
    let letter = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let plain = text.bytes().all(safe) && !text.is_empty();
    if plain && (!typed || letter && !words.contains(&text.to_ascii_lowercase().as_str())) {
        return text.to_owned();
    }
    super::file::quoted(text)
}
