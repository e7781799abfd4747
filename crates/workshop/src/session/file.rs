//! A session as a file: the text of its lab with one more field, `session`, that says how the switches stand and what was typed.

use super::{At, Session, Typed};
use crate::exercises::TEXTS;
use crate::lab::{Lab, Step, Switch, switched, value_of};
use crate::{Setting, labs};
use cluster::Read;
use cluster::fields::{Fields, each, text};
use cluster::yaml::Yaml;

/// Reads the field.
pub(crate) fn read(at: &Yaml, switches: &[Switch], steps: &[Step]) -> Read<(Setting, Vec<Typed>)> {
    let f = Fields::strict(at, &["set", "commands"])?;
    let mut changes = Setting::new();
    if let Some(set) = f.get("set") {
        for (switch, value) in switched(set, switches)? {
            changes.insert(switch.name.clone(), value_of(switch, value)?);
        }
    }
    let typed = each(f.list("commands")?, |v| {
        let f = Fields::strict(v, &["run", "on", "at", "stdin"])?;
        let at = match f.get("at") {
            None => At::End,
            Some(at) => match at.token() {
                "setup" => At::Setup,
                "end" => At::End,
                step => {
                    let number =
                        step.parse::<usize>().ok().filter(|n| (1..=steps.len()).contains(n)).map(|n| n - 1);
                    let id = steps.iter().position(|s| s.id == step);
                    let wrong =
                        || at.blame("expected setup, end, or the id or number of a step, counted from 1");
                    At::Before(id.or(number).ok_or_else(wrong)?)
                }
            },
        };
        let typed = Typed {
            at,
            on: f.text("on")?.map(str::to_owned),
            line: text(f.need("run")?)?.to_owned(),
            stdin: f.text("stdin")?.unwrap_or_default().to_owned(),
        };
        Ok(typed.tidy())
    })?;
    Ok((changes, typed))
}

impl Session {
    /// A text that is a lab file, and brings this session back.
    ///
    /// # Errors
    /// The lab's text is written in a way that leaves no place for the session.
    pub fn to_file(&self) -> Result<String, String> {
        let known = labs::TEXTS.iter().chain(TEXTS);
        let own = known.into_iter().find(|(name, _)| *name == self.lab.name).map(|(_, text)| *text);
        let source = self.source.as_deref().or(own).ok_or("this lab has no text")?;
        let out = with_session(&without_session(source), &self.block());
        let same = Session::from_text(&out).is_ok_and(|s| s.changes == self.changes && s.typed == self.typed);
        let why =
            "the lab's text has no `kind: Lab` in a line of its own: there is no place for what was done";
        if same { Ok(out) } else { Err(why.to_owned()) }
    }

    /// The lines of the field; none if nothing was done.
    fn block(&self) -> String {
        let mut out = String::new();
        if self.changes.is_empty() && self.typed.is_empty() {
            return out;
        }
        out += "session:\n";
        if !self.changes.is_empty() {
            out += "  set:\n";
            for (name, value) in &self.changes {
                out += &format!("    {name}: {}\n", quoted(value));
            }
        }
        if !self.typed.is_empty() {
            out += "  commands:\n";
        }
        for t in &self.typed {
            out += &format!("    - run: {}\n", quoted(&t.line));
            if let Some(on) = &t.on {
                out += &format!("      on: {on}\n");
            }
            out += &format!("      at: {}\n", at_text(&self.lab, t.at));
            if !t.stdin.is_empty() {
                out += &format!("      stdin: {}\n", quoted(&t.stdin));
            }
        }
        out
    }
}

fn at_text(lab: &Lab, at: At) -> String {
    match at {
        At::Setup => "setup".to_owned(),
        At::End => "end".to_owned(),
        At::Before(n) => match lab.steps.get(n) {
            Some(step) if !step.id.is_empty() => quoted(&step.id),
            Some(_) => (n + 1).to_string(),
            None => "end".to_owned(),
        },
    }
}

/// Text in double quotes, as YAML and JSON have it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            c if c.is_control() => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// The lines of a text, with their documents' numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut document = 0;
    text.split_inclusive('\n').map(move |line| {
        if line.trim_end() == "---" {
            document += 1;
        }
        (document, line)
    })
}

/// The number of the lab's document.
fn lab_number(text: &str) -> Option<usize> {
    lines(text).find(|(_, line)| line.trim_end() == "kind: Lab").map(|(document, _)| document)
}

/// What stands before the lab's document, the document, and what stands behind it; without the lines between documents next to it.
pub(crate) fn lab_document(text: &str) -> Option<(&str, &str, &str)> {
    let lab = lab_number(text)?;
    let until = |number: usize| -> usize {
        lines(text).take_while(|(document, _)| *document < number).map(|(_, line)| line.len()).sum()
    };
    // A line `---` is the first one of its document.
    let inner = |part: &str| part.strip_prefix("---").map_or(0, |rest| part.len() - rest.trim_start().len());
    let (begin, end) = (until(lab), until(lab + 1));
    let document = text.get(begin..end)?;
    let behind = text.get(end..)?;
    Some((text.get(..begin)?, document.get(inner(document)..)?, behind.get(inner(behind)..)?))
}

/// A lab's text without its session.
pub(super) fn without_session(text: &str) -> String {
    let Some(lab) = lab_number(text) else { return text.to_owned() };
    let mut inside = false;
    let mut out = String::new();
    for (document, line) in lines(text) {
        let begins = line.bytes().next().is_some_and(|b| !b.is_ascii_whitespace());
        if begins {
            inside = document == lab && line.starts_with("session:");
        }
        if !inside {
            out += line;
        }
    }
    out
}

fn with_session(text: &str, block: &str) -> String {
    let Some(lab) = lab_number(text) else { return text.to_owned() };
    let mut out = String::new();
    let mut placed = false;
    for (document, line) in lines(text) {
        if document > lab && !placed {
            end_line(&mut out);
            out += block;
            placed = true;
        }
        out += line;
    }
    if !placed {
        end_line(&mut out);
        out += block;
    }
    out
}

fn end_line(out: &mut String) {
    if !out.ends_with('\n') && !out.is_empty() {
        out.push('\n');
    }
}
