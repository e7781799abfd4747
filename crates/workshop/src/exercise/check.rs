//! Whether an exercise does what its text says: the start fails, each solution passes, each wrong turn fails and is recognised.

use super::{Exercise, Move, Moves, Verdict};
use crate::lab::{Command, Effect, When, command_of, split};
use crate::session::{At, Session, Typed};
use crate::{Beat, Lab, LabRun, Span, spans};
use cluster::yaml::Place;
use std::rc::Rc;

/// Words that a person reads in a minute, while thinking.
const WORDS_A_MINUTE: usize = 120;

/// When a line is run that somebody types in an exercise: what is about how boxes are made comes before anything else, all other
/// commands before the exercise's step.
pub fn place(lab: &Lab, line: &str, stdin: &str) -> At {
    let stdin = (!stdin.is_empty()).then(|| stdin.to_owned());
    let effects =
        command_of(line, vec!["nodes".to_owned()], stdin).ok().and_then(|c| Effect::of(&c).ok().flatten());
    if effects.is_some_and(|all| all.iter().any(Effect::remakes)) {
        return At::Setup;
    }
    let at = lab.exercise.as_ref().map_or("", |e| e.at.as_str());
    At::Before(lab.steps.iter().position(|s| s.id == at && !at.is_empty()).unwrap_or(0))
}

/// A lab after these moves.
pub fn attempt(lab: &Rc<Lab>, moves: &[Move]) -> Session {
    let mut session = Session::new(Rc::clone(lab));
    for m in moves {
        match m {
            Move::Set(name, value) => {
                session.changes.insert(name.clone(), value.clone());
            }
            Move::Run(c) => {
                let stdin = c.stdin.clone().unwrap_or_default();
                let at = place(lab, &c.run, &stdin);
                let typed = |on| Typed { at, on, line: c.run.clone(), stdin: stdin.clone() };
                match c.on.is_empty() {
                    true => session.typed.push(typed(None)),
                    false => session.typed.extend(c.on.iter().map(|on| typed(Some(on.clone())))),
                }
            }
        }
    }
    session
}

/// What was done in a session, as moves: what is not at its default, then what was typed. Lines that cannot be read count as well.
pub fn moves_of(session: &Session) -> Vec<Move> {
    let default = session.lab.default_setting();
    let set = session.changes.iter().filter(|(k, v)| default.get(*k) != Some(*v));
    let set = set.map(|(k, v)| Move::Set(k.clone(), v.clone()));
    let run = session.typed.iter().map(|t| {
        let (on, stdin): (Vec<String>, _) =
            (t.on.iter().cloned().collect(), (!t.stdin.is_empty()).then(|| t.stdin.clone()));
        let read = command_of(&t.line, on.clone(), stdin.clone()).ok();
        Move::Run(Command {
            on,
            run: t.line.clone(),
            argv: split(&t.line).unwrap_or_default(),
            script: read.and_then(|c| c.script),
            stdin,
            when: When::default(),
            background: false,
            place: Place::default(),
        })
    });
    set.chain(run).collect()
}

/// An exercise while it is checked.
struct Check<'l> {
    lab: &'l Rc<Lab>,
    exercise: &'l Exercise,
    start: LabRun,
    findings: Vec<String>,
}

/// Tries everything that an exercise says. Each finding is a sentence about what is wrong; none if all is well.
///
/// # Errors
/// The lab is no exercise, or cannot be run as it stands.
pub fn check(lab: &Rc<Lab>) -> Result<Vec<String>, String> {
    let Some(exercise) = &lab.exercise else {
        return Err(format!("{} is a lab without an exercise", lab.name));
    };
    let start = Session::new(Rc::clone(lab)).run().map_err(|e| e.to_string())?;
    let mut check = Check { lab, exercise, start, findings: Vec::new() };
    check.start();
    check.questions();
    let first = check.solutions();
    check.wrong_turns();
    check.prose(first.as_ref());
    Ok(check.findings)
}

impl Check<'_> {
    fn find(&mut self, what: impl Into<String>) {
        self.findings.push(what.into());
    }

    fn start(&mut self) {
        let e = self.exercise;
        if e.only_asks() {
            return;
        }
        if self.lab.goals.is_empty() {
            self.find("there is nothing to reach: goals are missing");
        } else if self.start.goals.iter().all(|g| g.reached) {
            self.find("the goals are reached before anything is done");
        }
        let marks = self.start.marks.clone().unwrap_or_default();
        for (goal, _) in e.keep.iter().zip(&marks.keep).filter(|(_, is)| !**is) {
            self.find(format!("keep: {:?} does not hold at the start", goal.text));
        }
        if e.hints.is_empty() {
            self.find("there are no hints");
        }
        if e.wrong.is_empty() {
            self.find("there is no wrong turn");
        }
    }

    fn questions(&mut self) {
        let marks = self.start.marks.clone().unwrap_or_default();
        for ((q, holds), reading) in self.exercise.questions.iter().zip(marks.answers).zip(marks.readings) {
            if q.read.is_some() {
                if reading.is_none() {
                    self.find(format!("nothing can be read at the start: {:?}", q.ask));
                }
                continue;
            }
            match holds.iter().filter(|is| **is).count() {
                1 => {}
                n => self.find(format!("{n} answers are right, expected one: {:?} ({holds:?})", q.ask)),
            }
        }
    }

    /// The run after these moves, and what there is to say of it.
    fn attempt(&mut self, moves: &Moves) -> Option<(LabRun, Verdict)> {
        match attempt(self.lab, &moves.moves).run() {
            Ok(run) => {
                let verdict = self.exercise.verdict(&self.start, &run, &moves.moves);
                Some((run, verdict))
            }
            Err(e) => {
                self.find(format!("{:?} cannot be run: {e}", moves.title));
                None
            }
        }
    }

    fn solutions(&mut self) -> Option<LabRun> {
        let mut first = None;
        for solution in &self.exercise.solutions {
            let Some((run, verdict)) = self.attempt(solution) else { continue };
            let title = &solution.title;
            for typed in run.typed.iter().filter_map(|t| t.wrong()) {
                self.find(format!("solution {title:?}: a command fails: {typed}"));
            }
            if !verdict.solved {
                let missing: Vec<&str> =
                    verdict.goals.iter().filter(|g| !g.reached).map(|g| g.text.as_str()).collect();
                self.find(format!(
                    "solution {title:?} does not pass; not reached: {missing:?}; not allowed: {:?}",
                    verdict.breaches
                ));
            }
            first.get_or_insert(run);
        }
        first
    }

    fn wrong_turns(&mut self) {
        for (n, wrong) in self.exercise.wrong.iter().enumerate() {
            let Some((run, verdict)) = self.attempt(&wrong.example) else { continue };
            let title = &wrong.example.title;
            let refused = run.typed.iter().filter_map(|t| t.refused.as_ref());
            for refused in refused.map(|r| r.message.clone()).collect::<Vec<_>>() {
                self.find(format!("wrong turn {title:?}: a command is not read: {refused}"));
            }
            if verdict.solved {
                self.find(format!("wrong turn {title:?} passes"));
            }
            if verdict.wrong != Some(n) {
                let other = verdict.wrong.and_then(|n| self.exercise.wrong.get(n)).map(|w| &w.example.title);
                self.find(format!("wrong turn {title:?} is not recognised ({other:?} is)"));
            }
        }
    }

    /// Links that lead nowhere, texts that are missing, and too much to read.
    fn prose(&mut self, solved: Option<&LabRun>) {
        let links = |beats: &[Beat]| -> Vec<String> {
            let all = beats.iter().flat_map(|b| spans(&b.text));
            all.filter_map(|s| match s {
                Span::Link(_, key) => Some(key.to_owned()),
                _ => None,
            })
            .collect()
        };
        let has = |run: &LabRun, key: &str| run.moments.iter().any(|(k, _)| k == key);
        for key in links(&self.lab.beats) {
            if !has(&self.start, &key) {
                self.find(format!("prose: the link {key:?} leads nowhere at the start"));
            }
        }
        for key in links(&self.exercise.explanation) {
            if !has(&self.start, &key) && !solved.is_some_and(|run| has(run, &key)) {
                self.find(format!("explanation: the link {key:?} leads nowhere, neither at the start nor with the first solution"));
            }
        }
        if self.exercise.explanation.is_empty() {
            self.find("there is no explanation");
        }
        let words = self.exercise.words(&self.lab.beats);
        let minutes = usize::try_from(self.exercise.minutes).unwrap_or(usize::MAX);
        if words > minutes.saturating_mul(WORDS_A_MINUTE) {
            self.find(format!("{words} words are too many for {minutes} minutes"));
        }
    }
}
