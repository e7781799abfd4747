//! What the engine says of a run that somebody's commands have led to.

use super::{Exercise, Given, Means, Move, looks};
use crate::fact::Judge;
use crate::fact::{has, is_meant};
use crate::{GoalResult, LabRun};

/// The facts of an exercise, judged on one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// What was to stay as it is.
    pub keep: Vec<bool>,
    /// For each question, which answers hold.
    pub answers: Vec<Vec<bool>>,
    /// For each question, what is to be written, if its answer is: nothing if there is no such event.
    pub readings: Vec<Option<String>>,
    /// For each wrong turn, whether its fact holds; true if it has none.
    pub wrong: Vec<bool>,
    /// The rules of the boxes that must keep them, as `iptables-save` and `nft list ruleset` have them, without counters.
    pub rules: Vec<(String, Vec<String>)>,
}

impl Marks {
    /// Judges the facts of an exercise.
    pub(crate) fn of(exercise: &Exercise, judge: &Judge<'_>) -> Marks {
        let rules = |host: &str| {
            let save = |argv: &[&str]| {
                let argv: Vec<String> = argv.iter().map(|w| (*w).to_owned()).collect();
                judge.ask(host, &argv).filter(|o| o.status == 0).map(|o| o.stdout).unwrap_or_default()
            };
            let iptables = save(&["iptables-save"]).into_iter().filter(|l| l.starts_with("-A"));
            iptables
                .chain(save(&["nft", "-s", "list", "ruleset"]).into_iter().map(|l| l.trim().to_owned()))
                .collect()
        };
        Marks {
            keep: exercise.keep.iter().map(|g| judge.holds(&g.that)).collect(),
            answers: exercise
                .questions
                .iter()
                .map(|q| q.answers.iter().map(|a| judge.holds(&a.that)).collect())
                .collect(),
            readings: exercise
                .questions
                .iter()
                .map(|q| q.read.as_ref().and_then(|(what, of)| judge.read(*what, of)))
                .collect(),
            wrong: exercise
                .wrong
                .iter()
                .map(|w| w.that.as_ref().is_none_or(|fact| judge.holds(fact)))
                .collect(),
            rules: exercise.keep_rules.iter().map(|host| (host.clone(), rules(host))).collect(),
        }
    }
}

impl Marks {
    /// Whether this is the answer to the question of that number, counted from 0, of a run as it is before anything was changed.
    pub fn is_right(&self, question: usize, given: &Given) -> bool {
        match given {
            Given::Chosen(n) => self.answers.get(question).and_then(|all| all.get(*n)).is_some_and(|is| *is),
            Given::Written(text) => {
                let is = self.readings.get(question).and_then(Option::as_ref);
                is.is_some_and(|is| is_meant(text, is))
            }
        }
    }
}

/// Something that was not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A command that the exercise does not allow: its line, and why not, if that is said.
    Means(String, String),
    /// What must stay as it is did not: in words.
    Changed(String),
    /// A rule is gone: the box, and the rule.
    Rule(String, String),
}

/// What there is to say of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Everything is reached, by allowed means.
    pub solved: bool,
    /// The goals.
    pub goals: Vec<GoalResult>,
    /// What was not allowed.
    pub breaches: Vec<Breach>,
    /// The wrong turn that was taken: its place in the exercise.
    pub wrong: Option<usize>,
    /// How many moves were made.
    pub moves: usize,
}

impl Exercise {
    /// Whether a command line may be used; `Err` says why not.
    pub fn allows(&self, line: &str) -> Result<(), String> {
        let begins = |m: &&Means| begins(&m.words, line);
        if let Some(m) = self.forbid.iter().find(begins) {
            return Err(m.why.clone());
        }
        match self.allow.is_empty() || self.allow.iter().any(|m| begins(&m)) {
            true => Ok(()),
            false => {
                let known: Vec<&str> = self.allow.iter().map(|m| m.words.as_str()).collect();
                Err(format!("here only these are to be used: {}", known.join(", ")))
            }
        }
    }

    /// Judges an attempt: the run at the start, the run that the moves have led to. Who only looks makes no move.
    pub fn verdict(&self, start: &LabRun, now: &LabRun, moves: &[Move]) -> Verdict {
        let moves: Vec<&Move> = moves.iter().filter(|m| !looks(m)).collect();
        let lines = || {
            moves.iter().filter_map(|m| match m {
                Move::Run(c) => Some(c.run.as_str()),
                Move::Set(..) => None,
            })
        };
        let (then, marks) = (start.marks.clone().unwrap_or_default(), now.marks.clone().unwrap_or_default());
        let means = lines().filter_map(|l| Some(Breach::Means(l.to_owned(), self.allows(l).err()?)));
        let changed = self.keep.iter().zip(&marks.keep).filter(|(_, is)| !**is);
        let changed = changed.map(|(g, _)| Breach::Changed(g.text.clone()));
        let mut breaches: Vec<Breach> = means.chain(changed).collect();
        for ((host, before), (_, after)) in then.rules.iter().zip(&marks.rules) {
            let gone = before.iter().find(|rule| !after.contains(rule));
            breaches.extend(gone.map(|rule| Breach::Rule(host.clone(), rule.clone())));
        }
        let solved = breaches.is_empty() && now.goals.iter().all(|g| g.reached) && !self.only_asks();
        let taken = |(n, is): (usize, &bool)| {
            let w = self.wrong.get(n)?;
            let typed = w.typed.is_empty() || lines().any(|l| w.typed.iter().any(|t| begins(t, l)));
            // Who has done nothing has taken no turn.
            (*is && typed && !moves.is_empty()).then_some(n)
        };
        let wrong = if solved { None } else { marks.wrong.iter().enumerate().find_map(taken) };
        Verdict { solved, goals: now.goals.clone(), breaches, wrong, moves: moves.len() }
    }
}

/// Whether a line begins with these words; with `*`, which stands for any letters, whether it has them anywhere.
fn begins(words: &str, line: &str) -> bool {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.contains('*') {
        true => has(words, &flat(line)),
        false => flat(line).starts_with(&flat(words)),
    }
}
