//! An exercise in the making: what somebody does with a lab becomes the text of an exercise.

use super::ground::Ground;
use super::{Marks, Move, looks, moves_of};
use crate::fact::Readable;
use crate::read_lab;
use crate::session::{Session, Typed, quoted};
use std::rc::Rc;

/// What an author has said and done so far.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Small letters, digits and hyphens.
    pub name: String,
    /// Title.
    pub title: String,
    /// What is the matter, in a sentence.
    pub summary: String,
    /// What the learner reads first.
    pub prose: String,
    /// What is to be done.
    pub task: String,
    /// Minutes that most people need.
    pub minutes: u32,
    /// What is to be predicted before anything moves.
    pub questions: Vec<Asked>,
    /// From a nudge to nearly the answer.
    pub hints: Vec<String>,
    /// What is to be understood.
    pub explanation: Vec<String>,
    /// For the trainer.
    pub notes: String,
    /// The lab, and what breaks it.
    pub start: Session,
    /// The ids of the steps whose commands are to end well.
    pub goals: Vec<String>,
    /// Ways that lead there: what was typed beyond the start.
    pub solutions: Vec<Vec<Typed>>,
    /// Ways that do not, each with what there is to say.
    pub wrong: Vec<(String, Vec<Typed>)>,
    ground: Ground,
}

/// A question in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub ask: String,
    /// Answers to choose from: words, and the text of a fact ([`crate::fact::recorded`] makes one of an event).
    pub answers: Vec<(String, String)>,
    /// What is to be written, if there is nothing to choose from: what is read, and the text of the fact that says where.
    pub read: Option<(Readable, String)>,
    /// Said once it has been answered.
    pub because: String,
}

impl Asked {
    /// Its lines in an exercise.
    fn print(&self) -> String {
        let mut out = format!("    - ask: {}\n", quoted(self.ask.trim()));
        if let Some((what, that)) = &self.read {
            out += &format!("      read: {}\n      that: {}\n", what.word(), one_line(that));
        } else {
            out += "      answers:\n";
        }
        for (text, that) in &self.answers {
            out += &format!("        - text: {}\n          that: {}\n", quoted(text.trim()), one_line(that));
        }
        out + &format!("      because: {}\n", quoted(self.because.trim()))
    }
}

/// What an author writes for YAML must not end the line that it stands on.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Draft {
    /// A draft for the lab of a session, broken as it stands.
    ///
    /// # Errors
    /// The lab's text is written in a way that leaves no place for an exercise.
    pub fn new(start: &Session) -> Result<Draft, String> {
        let ground = Ground::of(start)?;
        Ok(Draft {
            name: String::new(),
            title: String::new(),
            summary: String::new(),
            prose: String::new(),
            task: String::new(),
            minutes: 5,
            questions: Vec::new(),
            hints: Vec::new(),
            explanation: Vec::new(),
            notes: String::new(),
            start: start.clone(),
            goals: Vec::new(),
            solutions: Vec::new(),
            wrong: Vec::new(),
            ground,
        })
    }

    /// What was typed in a session beyond the start, without what only looks.
    ///
    /// # Errors
    /// Nothing was, or something of the start is gone.
    pub fn way(&self, session: &Session) -> Result<Vec<Typed>, String> {
        if session.lab.name != self.start.lab.name || session.changes != self.start.changes {
            return Err("the lab or its switches are not those of the start".to_owned());
        }
        let Some(rest) = session.typed.strip_prefix(self.start.typed.as_slice()) else {
            return Err("a command of the start is gone".to_owned());
        };
        let alone = |typed: &Typed| {
            let session =
                Session { changes: crate::Setting::new(), typed: vec![typed.clone()], ..session.clone() };
            moves_of(&session).iter().all(|m: &Move| !looks(m))
        };
        let way: Vec<Typed> = rest.iter().filter(|t| alone(t)).cloned().collect();
        if way.is_empty() { Err("no command was typed since the start".to_owned()) } else { Ok(way) }
    }

    /// The text of the exercise. What is missing in it, [`super::check`] finds.
    pub fn print(&self) -> String {
        let line = |key: &str, text: &str| format!("{key}: {}\n", quoted(text.trim()));
        let mut out = format!(
            "apiVersion: netfilter-lab/v1\nkind: Lab\nmetadata: {{name: {}}}\n",
            quoted(self.name.trim())
        );
        out += &line("title", &self.title);
        out += &line("summary", &self.summary);
        let setup = self.setup();
        out += &self.ground.print(|indent| commands(&setup, indent));
        if !self.prose.trim().is_empty() {
            out += &format!("prose:\n  - {}", line("text", &self.prose));
        }
        out += "goals:\n";
        for id in &self.goals {
            let title = self.start.lab.steps.iter().find(|s| s.id == *id).map_or("", |s| s.title.as_str());
            out += &format!("  - {}", line("text", &format!("this succeeds: {title}")));
            out += &format!("    that: {{step: {}, status: 0}}\n", quoted(id));
        }
        out += "exercise:\n";
        out += &format!("  {}", line("task", &self.task));
        out += &format!("  minutes: {}\n", self.minutes);
        if !self.questions.is_empty() {
            out += "  questions:\n";
        }
        out.extend(self.questions.iter().map(Asked::print));
        out += &lines("hints", &self.hints);
        if !self.solutions.is_empty() {
            out += "  solutions:\n";
        }
        for way in &self.solutions {
            out += "    - moves:\n";
            out += &commands(way, 8);
        }
        if !self.wrong.is_empty() {
            out += "  wrong:\n";
        }
        for (text, way) in &self.wrong {
            out += "    - moves:\n";
            out += &commands(way, 8);
            let typed: Vec<String> = way.iter().map(|t| quoted(&t.line)).collect();
            out += &format!("      typed: [{}]\n", typed.join(", "));
            out += &format!("      {}", line("text", text));
        }
        out += &lines("explanation", &self.explanation);
        if !self.notes.trim().is_empty() {
            out += &format!("  {}", line("notes", &self.notes));
        }
        out + self.ground.objects()
    }

    /// How the start answers a question: which of its answers hold there, or what is to be written.
    ///
    /// # Errors
    /// Says what is wrong with the text of a fact.
    pub fn marks(&self, asked: &Asked) -> Result<Marks, String> {
        let mut question = asked.clone();
        if question.read.is_none() && question.answers.len() < 2 {
            // Two are wanted of an exercise, not of one in the making.
            let first = question.answers.first().cloned().ok_or("there is no answer")?;
            question.answers.push(first);
        }
        let probe = Draft {
            name: "draft".to_owned(),
            title: "draft".to_owned(),
            goals: Vec::new(),
            solutions: Vec::new(),
            wrong: Vec::new(),
            questions: vec![question],
            ..self.clone()
        };
        let lab = read_lab(&probe.print()).map_err(|d| format!("{:?}: {}", d.token, d.message))?;
        let run = Session::new(Rc::new(lab)).run().map_err(|e| e.to_string())?;
        let mut marks = run.marks.unwrap_or_default();
        marks.answers.iter_mut().for_each(|all| all.truncate(asked.answers.len()));
        Ok(marks)
    }

    /// The commands that break the lab: those of switches that do not stand at their default, and what was typed.
    fn setup(&self) -> Vec<Typed> {
        let default = self.start.lab.default_setting();
        let mut out = Vec::new();
        for switch in &self.start.lab.switches {
            let Some(value) =
                self.start.changes.get(&switch.name).filter(|v| default.get(&switch.name) != Some(*v))
            else {
                continue;
            };
            for c in switch.position(value).map(|p| p.commands.as_slice()).unwrap_or_default() {
                let typed = |on: Option<&String>| Typed {
                    on: on.cloned(),
                    line: c.run.clone(),
                    stdin: c.stdin.clone().unwrap_or_default(),
                    ..Typed::default()
                };
                match c.on.is_empty() {
                    true => out.push(typed(None)),
                    false => out.extend(c.on.iter().map(|on| typed(Some(on)))),
                }
            }
        }
        out.extend(self.start.typed.iter().cloned());
        out
    }
}

/// Commands as a list of YAML, so many blanks from the left.
fn commands(all: &[Typed], indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut out = String::new();
    for t in all {
        out += &format!("{margin}- run: {}\n", quoted(&t.line));
        if let Some(on) = &t.on {
            // In quotes it would be a box of that name.
            let on = if on == "nodes" { on.clone() } else { quoted(on) };
            out += &format!("{margin}  on: {on}\n");
        }
        if !t.stdin.is_empty() {
            out += &format!("{margin}  stdin: {}\n", quoted(&t.stdin));
        }
    }
    out
}

fn lines(key: &str, all: &[String]) -> String {
    let mut out = String::new();
    let all = all.iter().map(|l| l.trim()).filter(|l| !l.is_empty());
    for (n, text) in all.enumerate() {
        if n == 0 {
            out += &format!("  {key}:\n");
        }
        out += &format!("    - {}\n", quoted(text));
    }
    out
}
