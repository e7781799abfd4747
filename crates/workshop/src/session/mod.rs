//! What a person does with a lab: switches that are flipped, and commands that are typed.
//!
//! A [`Session`] is a plain value, and its run follows from it alone. What is typed is never lost: a command that is refused stays where it
//! is, and the result says what was expected.

mod asked;
mod file;
pub mod objects;
pub mod text;

pub(crate) use asked::Asked;
pub(crate) use file::{lab_document, quoted, read as read_session};

use crate::lab::{Lab, LabError, LabRun, Setting, read_lab, unheard};
use crate::{exercises, labs};
use cluster::{Diagnostic, Read};
use sim::operator::CommandOutput;
use std::rc::Rc;

/// When a command is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// Before the boxes are looked at, after the switches. Only here can the cluster itself be made another way: nodes, pods, machines,
    /// kernels, kube-proxy's mode.
    Setup,
    /// Before the lab's step of this number, counted from 0, whether that is done in this setting or not.
    Before(usize),
    /// When all steps are done.
    #[default]
    End,
}

/// A command that a person has typed: what a step or a command of `setup` is in a lab's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// When.
    pub at: At,
    /// The box; `nodes` for each node, none for what is run wherever kubectl is.
    pub on: Option<String>,
    /// The line.
    pub line: String,
    /// Standard input; empty for none.
    pub stdin: String,
}

impl Typed {
    /// A line as it is typed where one line is all there is: `BOX: COMMAND`, or a command without a box.
    pub fn of_line(line: &str, at: At) -> Typed {
        let boxed = line.split_once(": ").map(|(on, line)| (on.trim_start(), line));
        let boxed = boxed.filter(|(on, _)| !on.is_empty() && !on.contains(char::is_whitespace));
        let (on, line) = boxed.map_or((None, line), |(on, line)| (Some(on.to_owned()), line));
        Typed { at, on, line: line.to_owned(), stdin: String::new() }.tidy()
    }

    /// As it comes back from a link: one line, and standard input with a line feed at its end.
    pub fn tidy(self) -> Typed {
        let mut typed = self;
        typed.line = typed.line.split('\n').collect::<Vec<_>>().join(" ").trim().to_owned();
        if !typed.stdin.is_empty() && !typed.stdin.ends_with('\n') {
            typed.stdin.push('\n');
        }
        typed
    }
}

/// Why a command was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was expected, with the word that is wrong.
    pub message: String,
    /// Where in standard input it is wrong, if it is there.
    pub place: Option<Diagnostic>,
}

/// What came of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypedResult {
    /// It was not run, and why.
    pub refused: Option<Refused>,
    /// Its exchange, the first if it was run on several boxes; none for a command of [`At::Setup`].
    pub exchange: Option<usize>,
    /// What it printed, of several boxes that of the last one that complained.
    pub output: Option<CommandOutput>,
}

impl TypedResult {
    /// What is wrong, in words; `None` if the command was run and ended well.
    pub fn wrong(&self) -> Option<String> {
        if let Some(refused) = &self.refused {
            return Some(refused.message.clone());
        }
        let output = self.output.as_ref().filter(|o| o.status != 0)?;
        let mut told = Vec::new();
        for line in output.stderr.iter().take(TOLD) {
            // Where more can be read about a command is not what is wrong with it.
            if !line.trim().is_empty() && !line.starts_with("Try `") {
                told.push(line.clone());
            }
        }
        Some(if told.is_empty() { format!("exit status {}", output.status) } else { told.join("\n") })
    }
}

/// So many lines of what a command says of its failure are told; the rest is usage.
const TOLD: usize = 4;

/// A lab, how its switches stand, and what was typed.
#[derive(Clone, Debug)]
pub struct Session {
    /// The lab.
    pub lab: Rc<Lab>,
    /// The switches that do not stand at their defaults.
    pub changes: Setting,
    /// What was typed. Of one moment, the order is that of the list.
    pub typed: Vec<Typed>,
    /// The text that the lab was read from, if it did not come with the program.
    pub source: Option<Rc<str>>,
}

impl Session {
    /// A lab as it begins; one whose text has a session begins with that.
    pub fn new(lab: Rc<Lab>) -> Session {
        let (changes, typed) = lab.session.clone().unwrap_or_default();
        Session { lab, changes, typed, source: None }
    }

    /// A lab from its text. Its diagnostics have line, column and the token that is wrong, and can be shown underlined
    /// ([`Diagnostic::show`]).
    ///
    /// # Errors
    /// As for [`crate::read_lab`].
    pub fn from_text(text: &str) -> Read<Session> {
        let lab = read_lab(text)?;
        let source = file::without_session(text);
        let own = labs::TEXTS.iter().chain(exercises::TEXTS).any(|(_, known)| *known == source);
        Ok(Session { source: (!own).then(|| source.into()), ..Session::new(Rc::new(lab)) })
    }

    /// Runs it.
    ///
    /// # Errors
    /// The lab has no such switch or value, or its own text cannot be run. What is wrong with a command that was typed stands in
    /// [`LabRun::typed`].
    pub fn run(&self) -> Result<LabRun, LabError> {
        parts::finish(self.run_in_parts(unheard))
    }

    /// The same in parts. `told` hears how many of the lab's steps are done, and of how many.
    ///
    /// # Errors
    /// As for [`Session::run`].
    pub async fn run_in_parts(&self, told: fn(usize, usize)) -> Result<LabRun, LabError> {
        self.lab.run_in_parts(&self.changes, &self.typed, told).await
    }

    /// Whether two sessions are about the same lab.
    pub fn same_lab(&self, other: &Session) -> bool {
        self.lab.name == other.lab.name && self.source == other.source
    }

    /// Whether two sessions are about the same lab, stand alike, and have the same commands.
    pub fn same(&self, other: &Session) -> bool {
        self.same_lab(other) && self.changes == other.changes && self.typed == other.typed
    }
}
