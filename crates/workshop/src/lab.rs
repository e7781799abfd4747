//! What a lab consists of, and how it is run.

use litemap::LiteMap;
use sim::{BuildError, EventId, Run, Scenario};
use std::fmt;

/// The position of every switch of a lab: name and value.
pub type Setting = LiteMap<String, String>;

/// Something that a person flips. Each position is a command on a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Name, as in `--set NAME=VALUE`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// The boxes on which the commands run, each; none for a command that is run once, wherever kubectl is.
    pub hosts: &'static [&'static str],
    /// The values with the command that each stands for.
    pub positions: &'static [(&'static str, &'static str)],
    /// The value at the beginning.
    pub default: &'static str,
}

impl Switch {
    /// The values, in order.
    pub fn values(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.positions.iter().map(|(value, _)| *value)
    }

    /// The command that a value stands for.
    pub fn command(&self, value: &str) -> Option<&'static str> {
        self.positions.iter().find(|(v, _)| *v == value).map(|(_, command)| *command)
    }
}

/// A paragraph of a lab's prose. See [`crate::spans`] for the markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The switch positions for which it is shown; empty means always.
    pub when: &'static [(&'static str, &'static str)],
    /// The text.
    pub text: &'static str,
}

/// A predicate over a run.
pub type Predicate = fn(&Run) -> bool;

/// A fact, with the switch positions for which it is stated.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The fact.
    pub text: &'static str,
    /// The condition; empty means always.
    pub when: &'static [(&'static str, &'static str)],
    /// Is it so?
    pub holds: Predicate,
}

/// What the learner is to reach.
#[derive(Clone, Debug)]
pub struct Goal {
    /// The goal.
    pub text: &'static str,
    /// Is it reached?
    pub reached: Predicate,
}

/// A place in the log that prose links to.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The key used in links.
    pub key: &'static str,
    /// Finds it.
    pub find: fn(&Run) -> Option<EventId>,
}

/// A lab.
#[derive(Clone, Debug)]
pub struct Lab {
    /// Name, as in `nflab lab run NAME`.
    pub name: &'static str,
    /// Title.
    pub title: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The box to look at first.
    pub focus: &'static str,
    /// The prose.
    pub beats: Vec<Beat>,
    /// The switches.
    pub switches: Vec<Switch>,
    /// The world and what is done in it, for a setting. `Err` is a mistake in the lab's own texts.
    pub scenario: fn(&Setting) -> Result<Scenario, String>,
    /// Names of the stimuli.
    pub stimuli: &'static [&'static str],
    /// Facts.
    pub claims: Vec<Claim>,
    /// Goals.
    pub goals: Vec<Goal>,
    /// Places that the prose links to.
    pub moments: Vec<Moment>,
}

/// A lab cannot be run as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabError {
    /// The lab has no such switch: the name, and those that it has.
    UnknownSwitch(String, Vec<&'static str>),
    /// The switch has no such value: switch, value, and those that it has.
    UnknownValue(String, String, Vec<&'static str>),
    /// A text of the lab is wrong.
    Scenario(String),
    /// The world cannot be built.
    Build(BuildError),
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabError::UnknownSwitch(name, known) => {
                write!(f, "this lab has no switch {name:?}; it has: {}", known.join(", "))
            }
            LabError::UnknownValue(name, value, known) => {
                write!(f, "switch {name} has no value {value:?}; it has: {}", known.join(", "))
            }
            LabError::Scenario(e) => f.write_str(e),
            LabError::Build(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for LabError {}

/// A claim, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimResult {
    /// The fact.
    pub text: String,
    /// The condition in words, empty if there is none.
    pub when: String,
    /// The condition is met.
    pub applies: bool,
    /// It is so. A claim that does not apply counts as holding.
    pub holds: bool,
}

/// A goal, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoalResult {
    /// The goal.
    pub text: String,
    /// Is it reached?
    pub reached: bool,
}

/// A stimulus and what it led to, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StimulusResult {
    /// What was done.
    pub name: String,
    /// What came of it.
    pub outcome: String,
}

/// A lab that was run.
#[derive(Clone, Debug)]
pub struct LabRun {
    /// The position of every switch.
    pub setting: Setting,
    /// The run.
    pub run: Run,
    /// What was done, and what came of it.
    pub stimuli: Vec<StimulusResult>,
    /// The claims, judged.
    pub claims: Vec<ClaimResult>,
    /// The goals, judged.
    pub goals: Vec<GoalResult>,
    /// Where the moments are in this run; those that do not occur are left out.
    pub moments: Vec<(&'static str, EventId)>,
}

impl Lab {
    /// The setting with every switch at its default.
    pub fn default_setting(&self) -> Setting {
        let mut setting = Setting::new();
        for s in &self.switches {
            setting.insert(s.name.to_owned(), s.default.to_owned());
        }
        setting
    }

    /// Defaults, changed by `changes`; `Err` names an unknown switch or value and lists the known ones.
    pub fn setting(&self, changes: &Setting) -> Result<Setting, LabError> {
        let mut setting = self.default_setting();
        for (name, value) in changes {
            let Some(switch) = self.switches.iter().find(|s| s.name == name) else {
                let known = self.switches.iter().map(|s| s.name).collect();
                return Err(LabError::UnknownSwitch(name.clone(), known));
            };
            if switch.command(value).is_none() {
                let known = switch.values().collect();
                return Err(LabError::UnknownValue(name.clone(), value.clone(), known));
            }
            setting.insert(name.clone(), value.clone());
        }
        Ok(setting)
    }

    /// Runs the lab; switches that `changes` does not name stand at their defaults.
    pub fn run(&self, changes: &Setting) -> Result<LabRun, LabError> {
        let setting = self.setting(changes)?;
        let scenario = (self.scenario)(&setting).map_err(LabError::Scenario)?;
        let run = scenario.run().map_err(LabError::Build)?;
        let met = |when: &[(&str, &str)]| {
            when.iter().all(|(name, value)| setting.get(*name).is_some_and(|v| v == value))
        };
        let claims = self
            .claims
            .iter()
            .map(|c| {
                let applies = met(c.when);
                ClaimResult {
                    text: c.text.to_owned(),
                    when: condition_text(c.when),
                    applies,
                    holds: !applies || (c.holds)(&run),
                }
            })
            .collect();
        let goals = self
            .goals
            .iter()
            .map(|g| GoalResult { text: g.text.to_owned(), reached: (g.reached)(&run) })
            .collect();
        let stimuli = run
            .steps
            .iter()
            .map(|s| StimulusResult {
                name: self.stimuli.get(s.stimulus).copied().unwrap_or("?").to_owned(),
                outcome: crate::query::outcome_text(&s.outcome),
            })
            .collect();
        let moments = self.moments.iter().filter_map(|m| Some((m.key, (m.find)(&run)?))).collect();
        Ok(LabRun { setting, run, stimuli, claims, goals, moments })
    }

    /// The beats for a setting.
    pub fn beats_for<'a>(&'a self, setting: &'a Setting) -> impl Iterator<Item = &'a Beat> + 'a {
        self.beats
            .iter()
            .filter(|b| b.when.iter().all(|(name, value)| setting.get(*name).is_some_and(|v| v == value)))
    }
}

fn condition_text(when: &[(&str, &str)]) -> String {
    let parts: Vec<String> = when.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join(" and ")
}
