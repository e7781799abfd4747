//! Reading the fields of a mapping: which there are, of which type, and a message for each that is wrong.

use crate::diagnostic::{Diagnostic, Read};
use crate::yaml::{Entry, Value, Yaml};
use core::str::FromStr;
use ipnet::IpNet;
use litemap::LiteMap;
use std::net::IpAddr;

/// The fields of one mapping.
#[derive(Clone, Copy)]
pub struct Fields<'y> {
    /// The mapping itself, for messages about what is missing.
    pub at: &'y Yaml,
    entries: &'y [Entry],
}

impl<'y> Fields<'y> {
    /// The mapping `at` of a kind of our own, whose keys must be among `known`.
    pub fn strict(at: &'y Yaml, known: &[&str]) -> Read<Fields<'y>> {
        let fields = Fields::any(at)?;
        match fields.entries.iter().find(|e| !known.contains(&e.key.as_str())) {
            Some(e) => {
                Err(e.place.blame(&e.key, format!("no such field; expected one of {}", known.join(", "))))
            }
            None => Ok(fields),
        }
    }

    /// The mapping `at` of a Kubernetes object with the fields `known`. Another is passed over, because a newer Kubernetes may
    /// have it, unless it looks like one of these misspelt.
    pub fn new(at: &'y Yaml, known: &[&str]) -> Read<Fields<'y>> {
        let fields = Fields::any(at)?;
        for e in fields.entries.iter().filter(|e| !known.contains(&e.key.as_str())) {
            if let Some(meant) = meant(&e.key, known.iter().copied()) {
                return Err(e.place.blame(&e.key, format!("no such field; is {meant} meant?")));
            }
        }
        Ok(fields)
    }

    /// The fields that are not among these.
    pub fn others<'k>(&self, known: &'k [&str]) -> impl Iterator<Item = &'y str> + use<'y, 'k> {
        self.entries.iter().map(|e| e.key.as_str()).filter(move |key| !known.contains(key))
    }

    /// The mapping `at`, with any keys.
    pub fn any(at: &'y Yaml) -> Read<Fields<'y>> {
        match &at.value {
            Value::Mapping(entries) => Ok(Fields { at, entries }),
            _ if at.is_null() => Ok(Fields { at, entries: &[] }),
            _ => Err(at.blame("expected a mapping (key: value)")),
        }
    }

    /// A field that is there and not null.
    pub fn get(&self, key: &str) -> Option<&'y Yaml> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.value).filter(|v| !v.is_null())
    }

    /// A field that must be there.
    pub fn need(&self, key: &str) -> Read<&'y Yaml> {
        let empty = |e: &Entry| e.place.blame(key, "nothing stands behind this field; expected its value");
        self.get(key).ok_or_else(|| match self.entries.iter().find(|e| e.key == key) {
            Some(e) => empty(e),
            None => self.at.place.blame("", format!("the field {key} is missing")),
        })
    }

    /// A mapping within; absent is an empty one.
    pub fn fields(&self, key: &str, known: &[&str]) -> Read<Option<Fields<'y>>> {
        self.get(key).map(|v| Fields::new(v, known)).transpose()
    }

    /// A list; absent is an empty one.
    pub fn list(&self, key: &str) -> Read<&'y [Yaml]> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Yaml { value: Value::Sequence(items), .. }) => Ok(items),
            Some(other) => Err(other.blame("expected a list (- ...)")),
        }
    }

    /// Text that may be absent.
    pub fn text(&self, key: &str) -> Read<Option<&'y str>> {
        self.get(key).map(text).transpose()
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &str) -> Read<Option<bool>> {
        self.get(key)
            .map(|v| match &v.value {
                Value::Plain(t) if t == "true" => Ok(true),
                Value::Plain(t) if t == "false" => Ok(false),
                _ => Err(v.blame("expected true or false")),
            })
            .transpose()
    }

    /// A number within a range.
    pub fn number(&self, key: &str, least: u32, most: u32) -> Read<Option<u32>> {
        self.get(key).map(|v| number(v, least, most)).transpose()
    }

    /// A port that may be absent.
    pub fn port(&self, key: &str, least: u32) -> Read<Option<u16>> {
        Ok(self.number(key, least, u32::from(u16::MAX))?.and_then(|n| u16::try_from(n).ok()))
    }

    /// One of some words.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Read<Option<T>> {
        self.get(key).map(|v| word(v, words)).transpose()
    }

    /// Text to text, for labels and annotations.
    pub fn texts(&self, key: &str) -> Read<LiteMap<String, String>> {
        let mut map = LiteMap::new();
        if let Some(v) = self.get(key) {
            for e in Fields::any(v)?.entries {
                map.insert(e.key.clone(), text(&e.value)?.to_owned());
            }
        }
        Ok(map)
    }
}

/// The word that looks most like one that was given: with letters too much, too few or other ones, up to a fifth of them; or
/// in other letters' size.
pub(crate) fn meant<'w>(given: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    words.filter_map(|word| Some((distance(given, word)?, word))).min().map(|(_, word)| word)
}

fn distance(given: &str, meant: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) =
        (given.to_ascii_lowercase().chars().collect(), meant.to_ascii_lowercase().chars().collect());
    let allowed = (b.len() / 5).max(1);
    if a.len().abs_diff(b.len()) > allowed || a.len() > 64 || b.len() < 3 {
        return None;
    }
    // Levenshtein's distance, row by row.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = core::mem::replace(&mut row[j + 1], best);
        }
    }
    row.last().copied().filter(|distance| *distance <= allowed)
}

/// A scalar as text. A number or boolean that is not quoted is an error in Kubernetes too.
pub fn text(v: &Yaml) -> Read<&str> {
    match &v.value {
        Value::Text(t) => Ok(t),
        Value::Plain(_) if v.is_null() => Ok(""),
        Value::Plain(t) if t == "true" || t == "false" || t.parse::<i64>().is_ok() => {
            Err(v.blame("expected text; write it in quotes"))
        }
        Value::Plain(t) => Ok(t),
        _ => Err(v.blame("expected text")),
    }
}

/// A whole number within a range.
pub fn number(v: &Yaml, least: u32, most: u32) -> Read<u32> {
    let bad = || v.blame(format!("expected a number from {least} to {most}"));
    match &v.value {
        // Only digits: `+80` is not a number to kubectl.
        Value::Plain(t) if t.bytes().all(|b| b.is_ascii_digit()) => {
            t.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(bad)
        }
        _ => Err(bad()),
    }
}

/// One of some words.
pub fn word<T: Copy>(v: &Yaml, words: &[(&str, T)]) -> Read<T> {
    let given = text(v)?;
    words.iter().find(|(w, _)| *w == given).map(|(_, t)| *t).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(w, _)| *w).filter(|w| !w.is_empty()).collect();
        v.blame(format!("expected {}", known.join(" or ")))
    })
}

/// What `FromStr` reads.
/// A value that is written as its type reads it. `what` says in an error what was expected.
pub(crate) fn parsed<T: FromStr>(v: &Yaml, given: &str, what: &str) -> Read<T> {
    given.parse().map_err(|_| v.blame(format!("expected {what}")))
}

/// An address.
pub fn address(v: &Yaml) -> Read<IpAddr> {
    parsed(v, text(v)?, "an IP address")
}

/// A network. Blanks around it are cut off, as Kubernetes does.
pub fn network(v: &Yaml) -> Read<IpNet> {
    parsed(v, text(v)?.trim(), "a network, such as 10.244.0.0/16")
}

/// A name of letters, digits, `-` and `.` (apimachinery's validation: DNS labels and subdomains), up to `most` characters.
pub(crate) fn dns_name(v: &Yaml, most: usize) -> Read<String> {
    let name = text(v)?;
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    let inner = bytes.iter().all(|b| edge(Some(*b)) || matches!(b, b'-' | b'.'));
    if inner && edge(bytes.first().copied()) && edge(bytes.last().copied()) && bytes.len() <= most {
        return Ok(name.to_owned());
    }
    Err(v.blame(format!(
        "expected a name: up to {most} of a-z, 0-9, - and ., not beginning or ending with - or ."
    )))
}

/// Reads each item of a list.
pub fn each<T>(items: &[Yaml], read: impl Fn(&Yaml) -> Result<T, Box<Diagnostic>>) -> Read<Vec<T>> {
    items.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn misspellings() {
        let words = ["externalTrafficPolicy", "podCIDR", "podCIDRs", "ports", "forNodes", "ipMode"];
        for (given, word) in [
            ("externalTraficPolicy", Some("externalTrafficPolicy")),
            ("externaltrafficpolicy", Some("externalTrafficPolicy")),
            ("podCIDRS", Some("podCIDRs")),
            ("podCidr", Some("podCIDR")),
            ("port", Some("ports")),
            ("selector", None),
            ("forPods", None),
            ("ip", None),
        ] {
            assert_eq!(meant(given, words.into_iter()), word, "{given}");
        }
    }
}
