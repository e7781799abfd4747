//! What an exercise in the making stands on: a lab that comes with the program, by its name, or any other one, by its text.

use super::bases;
use crate::session::{Session, lab_document};
use crate::{Lab, exercises, labs};

/// The fields of a lab that are an exercise's as well. Its prose, claims and goals are its own.
const TAKEN: [&str; 8] = ["base", "focus", "world", "setup", "files", "apps", "steps", "moments"];

/// What an exercise stands on.
#[derive(Clone, Debug)]
pub(super) enum Ground {
    /// A lab that comes with the program.
    Base(String),
    /// A lab's own text.
    Text {
        /// Its fields, but for `setup`.
        fields: String,
        /// Its `setup`, if it has one, with the blanks before each command.
        setup: Option<(String, usize)>,
        /// The documents behind it.
        objects: String,
    },
}

impl Ground {
    /// For the lab of a session.
    ///
    /// # Errors
    /// The lab's text is written in a way that leaves no place for an exercise, or cannot stand without its switches.
    pub(super) fn of(start: &Session) -> Result<Ground, String> {
        let lab = &start.lab;
        let is_base = start.source.is_none() && bases().any(|(name, _)| name == lab.name);
        let needs_switches = asks_for_switches(lab);
        if is_base && !needs_switches {
            return Ok(Ground::Base(lab.name.clone()));
        }
        let default = lab.default_setting();
        if needs_switches && start.changes.iter().any(|(name, value)| default.get(name) != Some(value)) {
            return Err(format!(
                "what {} consists of depends on its switches: put them back, and break it by commands",
                lab.name
            ));
        }
        let known = labs::TEXTS.iter().chain(exercises::TEXTS).chain(exercises::BASES);
        let own = known.into_iter().find(|(name, _)| *name == lab.name).map(|(_, text)| *text);
        let text = start.source.as_deref().or(own).ok_or_else(|| format!("{} has no text", lab.name))?;
        Ground::cut(text, needs_switches).ok_or_else(|| {
            format!(
                "the text of {} leaves no place for an exercise: expected `kind: Lab` in a line of its own, and setup as a list, a line for each",
                lab.name
            )
        })
    }

    /// The parts of a lab's text that are taken over.
    fn cut(text: &str, with_switches: bool) -> Option<Ground> {
        let (before, lab, objects) = lab_document(text)?;
        let (mut fields, mut setup) = (String::new(), None);
        for block in blocks(lab) {
            let key = block.split(':').next().unwrap_or_default().trim_end();
            if block.trim_end() == "setup: []" {
                continue;
            }
            if key == "setup" {
                setup = Some((closed(block), list_indent(block)?));
            } else if TAKEN.contains(&key) || with_switches && key == "switches" {
                fields += &closed(block);
            }
        }
        let mut after = String::new();
        for part in [before, objects].into_iter().filter(|part| !part.trim().is_empty()) {
            after += "---\n";
            after += &closed(part);
        }
        Some(Ground::Text { fields, setup, objects: after })
    }

    /// Its lines in an exercise, which goes on behind them with these commands in its `setup`: given the blanks that stand before each.
    pub(super) fn print(&self, commands: impl Fn(usize) -> String) -> String {
        let (mut out, indent) = match self {
            Ground::Base(name) => (format!("base: {name}\n"), None),
            Ground::Text { fields, setup: None, .. } => (fields.clone(), None),
            Ground::Text { fields, setup: Some((setup, indent)), .. } => {
                (format!("{fields}{setup}"), Some(*indent))
            }
        };
        let more = commands(indent.unwrap_or(2));
        if indent.is_none() && !more.is_empty() {
            out += "setup:\n";
        }
        out + &more
    }

    /// What stands behind the exercise.
    pub(super) fn objects(&self) -> &str {
        match self {
            Ground::Base(_) => "",
            Ground::Text { objects, .. } => objects,
        }
    }
}

/// Whether parts of a lab that an exercise takes over are there only for some positions of its switches.
fn asks_for_switches(lab: &Lab) -> bool {
    let whens = (lab.setup.iter().map(|c| &c.when))
        .chain(lab.files.iter().map(|f| &f.when))
        .chain(lab.apps.iter().map(|a| &a.when))
        .chain(lab.steps.iter().map(|s| &s.when));
    whens.into_iter().any(|when| !when.0.is_empty())
}

/// A document's fields, each with its lines.
fn blocks(document: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut begin, mut at) = (None, 0);
    for line in document.split_inclusive('\n') {
        if line.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()) {
            out.extend(begin.replace(at).and_then(|from| document.get(from..at)));
        }
        at += line.len();
    }
    out.extend(begin.and_then(|from| document.get(from..)));
    out
}

/// The blanks before each item of a list that has a line for each. `None` if it is written in another way.
fn list_indent(block: &str) -> Option<usize> {
    let mut lines = block.lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'));
    let key = lines.next()?.split('#').next()?.trim_end();
    let first = lines.next()?;
    (key == "setup:" && first.trim_start().starts_with("- ")).then(|| first.len() - first.trim_start().len())
}

/// With a line feed at its end.
fn closed(text: &str) -> String {
    format!("{}\n", text.trim_end())
}
