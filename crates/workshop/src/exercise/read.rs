//! The field `exercise` of a lab's text.

use super::{Answer, Exercise, Means, Move, Moves, Question, WrongTurn};
use crate::Beat;
use crate::fact::{Fact, Names, Readable};
use crate::lab::{Command, Goal, Switch, When, prose, switched, value_of};
use cluster::Read;
use cluster::fields::{Fields, each, text};
use cluster::yaml::{Value, Yaml};

const FIELDS: [&str; 13] = [
    "task",
    "minutes",
    "at",
    "allow",
    "forbid",
    "keep",
    "keepRules",
    "questions",
    "hints",
    "solutions",
    "wrong",
    "explanation",
    "notes",
];

/// What is known of the lab when its exercise is read.
pub(crate) struct Around<'a> {
    /// Its switches.
    pub switches: &'a [Switch],
    /// The ids of its steps, and the names of its boxes.
    pub names: &'a Names<'a>,
}

/// Reads an exercise. `command` reads a command of the lab.
///
/// # Errors
/// Names line, column and token of what cannot be used, and what was expected.
pub(crate) fn read(
    at: &Yaml,
    around: &Around<'_>,
    command: &dyn Fn(&Yaml) -> Read<Command>,
) -> Read<Exercise> {
    let f = Fields::strict(at, &FIELDS)?;
    let names = around.names;
    let keep = each(f.list("keep")?, |v| {
        let f = Fields::strict(v, &["text", "that"])?;
        Ok(Goal { text: line(f.need("text")?)?, that: Fact::read(f.need("that")?, names)? })
    })?;
    let exercise = Exercise {
        task: prose(f.need("task")?)?,
        minutes: f
            .number("minutes", 1, 120)?
            .ok_or_else(|| at.place.blame("", "the field minutes is missing"))?,
        at: match f.get("at") {
            None => String::new(),
            Some(id) if names.steps.iter().any(|s| s == id.token()) => id.token().to_owned(),
            Some(id) => {
                return Err(
                    id.blame(format!("no step has this id; expected one of {}", names.steps.join(", ")))
                );
            }
        },
        allow: each(f.list("allow")?, means)?,
        forbid: each(f.list("forbid")?, means)?,
        keep,
        keep_rules: each(f.list("keepRules")?, |v| names.boxes.one(v))?,
        questions: each(f.list("questions")?, |v| question(v, names))?,
        hints: each(f.list("hints")?, line)?,
        solutions: each(f.list("solutions")?, |v| {
            let f = Fields::strict(v, &["title", "moves"])?;
            moves(&f, around, command)
        })?,
        wrong: each(f.list("wrong")?, |v| {
            let f = Fields::strict(v, &["title", "moves", "typed", "that", "text"])?;
            Ok(WrongTurn {
                example: moves(&f, around, command)?,
                typed: each(f.list("typed")?, |v| Ok(text(v)?.to_owned()))?,
                that: f.get("that").map(|v| Fact::read(v, names)).transpose()?,
                text: line(f.need("text")?)?,
            })
        })?,
        explanation: each(f.list("explanation")?, |v| Ok(Beat { when: When::default(), text: prose(v)? }))?,
        notes: f.get("notes").map(line).transpose()?.unwrap_or_default(),
    };
    if exercise.solutions.is_empty() && exercise.questions.is_empty() {
        return Err(at.place.blame("", "expected solutions, or questions"));
    }
    Ok(exercise)
}

fn line(v: &Yaml) -> Read<String> {
    Ok(text(v)?.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Words, or words with a reason.
fn means(v: &Yaml) -> Read<Means> {
    if !matches!(v.value, Value::Mapping(_)) {
        return Ok(Means { words: line(v)?, why: String::new() });
    }
    let f = Fields::strict(v, &["words", "why"])?;
    Ok(Means { words: line(f.need("words")?)?, why: line(f.need("why")?)? })
}

fn question(v: &Yaml, names: &Names<'_>) -> Read<Question> {
    let f = Fields::strict(v, &["ask", "answers", "read", "that", "because"])?;
    let answers = each(f.list("answers")?, |v| {
        let f = Fields::strict(v, &["text", "that"])?;
        Ok(Answer { text: line(f.need("text")?)?, that: Fact::read(f.need("that")?, names)? })
    })?;
    let read = match f.word("read", &Readable::WORDS)? {
        Some(what) => Some((what, Fact::read(f.need("that")?, names)?)),
        None => None,
    };
    match (&read, answers.len(), f.get("that")) {
        (Some(_), 0, _) | (None, 2.., None) => {}
        (Some(_), _, _) => return Err(v.place.blame("", "expected answers or read, not both")),
        (None, _, Some(that)) => {
            return Err(that.place.blame("", "expected read beside it: what is to be read there"));
        }
        (None, ..) => return Err(v.place.blame("", "expected two answers or more, or read")),
    }
    let (ask, because) = (prose(f.need("ask")?)?, prose(f.need("because")?)?);
    Ok(Question { ask, answers, read, because })
}

fn moves(f: &Fields<'_>, around: &Around<'_>, command: &dyn Fn(&Yaml) -> Read<Command>) -> Read<Moves> {
    let moves = each(f.list("moves")?, |v| match Fields::any(v).ok().and_then(|f| f.get("set")) {
        Some(set) => set_move(set, around),
        None => Ok(Move::Run(command(v)?)),
    })?;
    if moves.is_empty() {
        return Err(f.at.place.blame("", "expected moves: commands, or set: {switch: value}"));
    }
    Ok(Moves { title: f.get("title").map(line).transpose()?.unwrap_or_default(), moves })
}

fn set_move(set: &Yaml, around: &Around<'_>) -> Read<Move> {
    match switched(set, around.switches)?.as_slice() {
        [(switch, value)] => Ok(Move::Set(switch.name.clone(), value_of(switch, value)?)),
        _ => Err(set.blame("expected one switch and its value")),
    }
}
