//! Exercises: a lab that is broken, what its learner may do, and how the engine marks what was done.
//!
//! An exercise is a lab's text with a field `exercise` (docs/LABS.md). The lab's goals are the exercise's: they are judged on the
//! run that the learner's commands lead to, never on the commands themselves.

mod base;
mod check;
mod course;
mod draft;
mod ground;
mod judge;
mod lab_check;
mod letters;
mod looks;
mod progress;
mod read;
mod step_code;

pub(crate) use base::{bases, with_base};
pub use check::{attempt, check, moves_of, place};
pub use course::{
    Chapter, Course, CourseFile, course, courses, exercise, is_course, read_course, read_course_file,
};
pub use draft::{Asked, Draft};
pub use judge::{Breach, Marks, Verdict};
pub use lab_check::{check_lab, settings};
pub use looks::looks;
pub use progress::{Coded, Done, NAME_LENGTH, Progress, Stage, read_code};
pub(crate) use read::{Around, read};
pub use step_code::{STEP_CODE_LENGTH, read_step_code, step_code};

use crate::fact::{Fact, Readable};
use crate::lab::{Command, Goal};
use crate::prose::spans;
use crate::{Beat, Span};

/// What makes a lab an exercise.
#[derive(Clone, Debug)]
pub struct Exercise {
    /// What is to be done, in words.
    pub task: String,
    /// Minutes that most people need.
    pub minutes: u32,
    /// The step before which the learner's commands are run; before the first one if empty.
    pub at: String,
    /// What may be used; anything if empty.
    pub allow: Vec<Means>,
    /// What may not.
    pub forbid: Vec<Means>,
    /// What must stay as it is.
    pub keep: Vec<Goal>,
    /// Boxes of which every rule that was there at the beginning must be there at the end.
    pub keep_rules: Vec<String>,
    /// What is to be predicted before anything moves.
    pub questions: Vec<Question>,
    /// From a nudge to nearly the answer. The last tier, the change that the engine finds, is not written down.
    pub hints: Vec<String>,
    /// Ways that lead to the goals.
    pub solutions: Vec<Moves>,
    /// Ways that do not, each with what there is to say to it.
    pub wrong: Vec<WrongTurn>,
    /// What is to be understood, shown afterwards.
    pub explanation: Vec<Beat>,
    /// For the trainer.
    pub notes: String,
}

/// Commands that begin like this: `iptables -t nat`, `kubectl patch service`. `*` stands for any letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means {
    /// The words.
    pub words: String,
    /// Why not, for those that are forbidden.
    pub why: String,
}

/// A question with answers of which the engine knows the right one.
#[derive(Clone, Debug)]
pub struct Question {
    /// The question.
    pub ask: String,
    /// The answers; the fact of one of them holds. None if the answer is to be written.
    pub answers: Vec<Answer>,
    /// What is to be written: something that the engine reads off the first event that a fact speaks of.
    pub read: Option<(Readable, Fact)>,
    /// Said once it has been answered.
    pub because: String,
}

/// What somebody says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The answer of this number, counted from 0.
    Chosen(usize),
    /// This text.
    Written(String),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// In words.
    pub text: String,
    /// It is right if this holds in the run as it is before anything was changed.
    pub that: Fact,
}

/// A way through an exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves {
    /// In words.
    pub title: String,
    /// What is done, one after the other.
    pub moves: Vec<Move>,
}

/// One thing that a learner does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// A switch of the lab is flipped: name and value.
    Set(String, String),
    /// A command is run.
    Run(Command),
}

/// A way that leads nowhere.
#[derive(Clone, Debug)]
pub struct WrongTurn {
    /// An example of it; the lab's check runs it.
    pub example: Moves,
    /// It was taken if a command began like one of these, where there are any...
    pub typed: Vec<String>,
    /// ... and this holds, where it is there.
    pub that: Option<Fact>,
    /// What there is to say.
    pub text: String,
}

impl Exercise {
    /// The fewest moves that a listed solution needs.
    pub fn par(&self) -> usize {
        self.solutions.iter().map(|s| s.moves.len()).min().unwrap_or(0)
    }

    /// It only asks: nothing is to be changed.
    pub fn only_asks(&self) -> bool {
        self.solutions.is_empty()
    }

    /// How many words a learner reads before the first move.
    pub fn words(&self, beats: &[Beat]) -> usize {
        let texts = beats.iter().map(|b| b.text.as_str()).chain([self.task.as_str()]);
        let asked = self
            .questions
            .iter()
            .flat_map(|q| q.answers.iter().map(|a| a.text.as_str()).chain([q.ask.as_str()]));
        texts.chain(asked).map(words).sum()
    }
}

/// The words of a text with markup.
fn words(text: &str) -> usize {
    let plain = |span| match span {
        Span::Text(t) | Span::Code(t) | Span::Strong(t) | Span::Link(t, _) => t,
    };
    spans(text).into_iter().map(plain).map(|t| t.split_whitespace().count()).sum()
}
