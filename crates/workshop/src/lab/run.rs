//! Running a lab.

use super::effect::{Effect, file_of};
use super::live::Live;
use super::{Act, Command, Lab, LabError, Setting};
use crate::fact::Judge;
use crate::query::outcome_text;
use cluster::yaml::Yaml;
use sim::operator::{CommandOutput, command};
use sim::{EventId, HostSpec, Run, Scenario, Setup, StepOutcome, Stimulus};

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

/// A step and what it led to, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StimulusResult {
    /// What was done.
    pub name: String,
    /// What came of it.
    pub outcome: String,
    /// The command, and what it printed; `None` for a wait, and for a program whose output is only the outcome.
    pub command: Option<(String, CommandOutput)>,
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
    pub moments: Vec<(String, EventId)>,
}

/// The boxes of a lab in a setting, and the cluster behind them.
struct Made {
    scenario: Scenario,
    live: Live,
}

impl Lab {
    /// Runs the lab; switches that `changes` does not name stand at their defaults.
    pub fn run(&self, changes: &Setting) -> Result<LabRun, LabError> {
        let setting = self.setting(changes)?;
        let Made { scenario, mut live } = self.make(&setting).map_err(LabError::Scenario)?;
        let mut running = scenario.begin().map_err(LabError::Build)?;
        let (mut names, mut ids) = (Vec::new(), Vec::new());
        let steps = self.steps.iter().filter(|s| s.when.met(&setting));
        for (n, step) in steps.enumerate() {
            match &step.act {
                Act::Wait(ms) => running.step(n, &Stimulus::Sleep { ms: *ms }),
                Act::Run(c) => match stimulus(c) {
                    Some(stimulus) => running.step(n, &stimulus),
                    None => {
                        let host = c.on.first().and_then(|name| running.world().host_by_name(name));
                        running.with(n, host, |world| StepOutcome::Command(live.command(world, c)));
                    }
                },
            }
            let line = match &step.act {
                Act::Run(c) => Some(c.run.clone()),
                Act::Wait(_) => None,
            };
            names.push((step.title.clone(), line));
            ids.push((step.id.clone(), n));
        }
        let run = running.finish();
        let judge = Judge::new(&run, &ids, command);
        let claims = self.claims.iter().map(|c| {
            let applies = c.when.met(&setting);
            let holds = !applies || judge.holds(&c.that);
            ClaimResult { text: c.text.clone(), when: c.when.text(), applies, holds }
        });
        let claims = claims.collect();
        let goals = self.goals.iter();
        let goals =
            goals.map(|g| GoalResult { text: g.text.clone(), reached: judge.holds(&g.that) }).collect();
        let moments = self.moments.iter();
        let moments = moments.filter_map(|m| Some((m.key.clone(), judge.first(&m.that)?))).collect();
        let stimuli = names.into_iter().zip(&run.steps).map(|((name, line), s)| {
            let command = match &s.outcome {
                StepOutcome::Command(output) => line.map(|line| (line, output.clone())),
                _ => None,
            };
            StimulusResult { name, outcome: outcome_text(&s.outcome), command }
        });
        let stimuli = stimuli.collect();
        Ok(LabRun { setting, stimuli, claims, goals, moments, run })
    }

    /// The boxes in a setting, with the steps that are no affair of the cluster's.
    ///
    /// # Errors
    /// As for [`Lab::run`].
    pub fn scenario(&self, changes: &Setting) -> Result<Scenario, LabError> {
        let setting = self.setting(changes)?;
        let Made { mut scenario, .. } = self.make(&setting).map_err(LabError::Scenario)?;
        let steps = self.steps.iter().filter(|s| s.when.met(&setting));
        scenario.stimuli = steps
            .filter_map(|step| match &step.act {
                Act::Wait(ms) => Some(Stimulus::Sleep { ms: *ms }),
                Act::Run(c) => stimulus(c),
            })
            .collect();
        Ok(scenario)
    }

    /// The boxes in a setting. `Err` says which of the lab's texts is wrong.
    fn make(&self, setting: &Setting) -> Result<Made, String> {
        let (files, mut documents): (Vec<Yaml>, Vec<Yaml>) =
            self.objects.iter().cloned().partition(|d| file_of(d).is_some());
        let mut spec = self.world.clone();
        let mut commands: Vec<&Command> = self.setup.iter().filter(|c| c.when.met(setting)).collect();
        for switch in &self.switches {
            let value = setting.get(&switch.name).filter(|v| **v != switch.default);
            let position = value.and_then(|v| switch.position(v));
            commands.extend(position.into_iter().flat_map(|p| &p.commands).filter(|c| c.when.met(setting)));
        }
        let mut on_boxes = Vec::new();
        for c in commands {
            match Effect::of(c)? {
                Some(effects) => {
                    for effect in effects {
                        effect.change_objects(&mut documents, &files)?;
                        effect.change_world(&mut spec);
                    }
                }
                None => on_boxes.push(c),
            }
        }
        let kube = spec.kube(&documents)?;
        let mut boxes = kube.boxes()?;
        for app in self.apps.iter().filter(|a| a.when.met(setting)) {
            app.on.iter().for_each(|name| boxes.serve(name, app.server.clone()));
        }
        on_boxes.into_iter().for_each(|c| set_up(&mut boxes.hosts, c));
        let live = Live::new(spec, documents, files, kube, command)?;
        let settle_ms = live.spec().settle_ms;
        let scenario = Scenario { hosts: boxes.hosts, links: boxes.links, stimuli: Vec::new(), settle_ms };
        Ok(Made { scenario, live })
    }
}

/// A command that sets boxes up.
fn set_up(hosts: &mut [HostSpec], c: &Command) {
    for host in hosts.iter_mut().filter(|h| c.on.contains(&h.name)) {
        host.setup.push(Setup::Command { shell: command, argv: c.argv.clone(), stdin: c.stdin.clone() });
    }
}

/// What a box does by itself; `None` for a command about the cluster.
fn stimulus(c: &Command) -> Option<Stimulus> {
    let host = c.on.first()?.clone();
    if c.program() == "systemctl" {
        return None;
    }
    super::glue::stimulus(&host, &c.argv).or_else(|| {
        Some(Stimulus::Command { shell: command, host, argv: c.argv.clone(), stdin: c.stdin.clone() })
    })
}

impl Live {
    fn command(&mut self, world: &mut sim::World, c: &Command) -> CommandOutput {
        match (Effect::of(c), c.on.first()) {
            (Ok(Some(effects)), _) => self.effects(world, &effects),
            (_, Some(node)) => self.systemctl(world, node, &c.argv),
            _ => CommandOutput { status: 127, ..CommandOutput::default() },
        }
    }
}
