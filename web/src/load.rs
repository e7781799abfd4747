//! A lab that has been run, with everything that the page shows of it.

use sim::view::{Alert, Story};
use sim::{EventId, World};
use std::rc::Rc;
use workshop::{Lab, LabRun, Setting};

/// A lab's run.
#[derive(Debug)]
pub struct Loaded {
    /// The lab.
    pub lab: Lab,
    /// Its run.
    pub run: LabRun,
    /// The run as people look at it.
    pub story: Story,
    /// What was done, one after the other.
    pub exchanges: Vec<Exchange>,
}

/// Something that was done, with all packets that came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was done.
    pub name: String,
    /// What came of it.
    pub outcome: String,
    /// Its first step, and one past its last.
    pub steps: (usize, usize),
}

impl Loaded {
    /// Runs a lab. `Err` says why it cannot be run.
    pub fn new(lab: Lab, changes: &Setting) -> Result<Rc<Loaded>, String> {
        let run = lab.run(changes).map_err(|e| e.to_string())?;
        let story = Story::new(&run.run.world);
        if story.steps.is_empty() {
            return Err(format!("nothing happens in the lab {}", lab.name));
        }
        let at = |event: EventId| story.steps.partition_point(|s| s.event < event);
        let exchanges = run.run.steps.iter().zip(&run.stimuli).map(|(record, s)| Exchange {
            name: s.name.clone(),
            outcome: s.outcome.clone(),
            steps: (at(record.first), at(record.end)),
        });
        let exchanges = exchanges.collect();
        Ok(Rc::new(Loaded { lab, run, story, exchanges }))
    }

    /// The switches that do not stand at their defaults.
    pub fn changes(&self) -> Setting {
        let mut set = self.run.setting.clone();
        for (name, value) in &self.lab.default_setting() {
            if set.get(name) == Some(value) {
                set.remove(name);
            }
        }
        set
    }

    /// What must not be missed at a step, of what is going on there.
    pub fn alert_at(&self, step: usize) -> Option<&Alert> {
        let begun = self.exchanges.get(self.exchange_at(step)).map_or(0, |e| e.steps.0);
        self.story.alert_at(step).filter(|a| a.step >= begun)
    }

    /// The step at which the first packet of an exchange sets out; where there is none, the exchange's first step.
    pub fn first_packet(&self, exchange: usize) -> Option<usize> {
        let (first, end) = self.exchanges.get(exchange)?.steps;
        let steps = self.story.steps.get(first..end)?;
        let at = steps.iter().position(|s| s.packet.is_some() && !s.noise).unwrap_or(0);
        Some(first + at)
    }

    /// The exchange that a step belongs to.
    pub fn exchange_at(&self, step: usize) -> usize {
        self.exchanges.partition_point(|e| e.steps.0 <= step).saturating_sub(1)
    }

    /// The world at the end of the run, with its log.
    pub fn world(&self) -> &World {
        &self.run.run.world
    }

    /// The event of a moment.
    pub fn moment(&self, key: &str) -> Option<EventId> {
        self.run.moments.iter().find(|(k, _)| *k == key).map(|(_, id)| *id)
    }

    /// The step at which a visitor begins.
    pub fn start(&self) -> usize {
        self.moment("start").map_or(0, |id| self.story.step_at(id))
    }

    /// True if every goal is reached.
    pub fn solved(&self) -> bool {
        self.run.goals.iter().all(|g| g.reached)
    }

    /// Single changes of a switch, to be tried; none if nothing is to be cured.
    pub fn trials(&self) -> Vec<Cure> {
        if self.solved() {
            return Vec::new();
        }
        let mut out = Vec::new();
        for switch in &self.lab.switches {
            let now = self.run.setting.get(&switch.name);
            for value in switch.values().filter(|v| now.is_none_or(|n| n != v)) {
                let mut setting = self.run.setting.clone();
                setting.insert(switch.name.clone(), value.to_owned());
                let command = switch.command(value).unwrap_or_default();
                out.push(Cure { hosts: switch.hosts.clone(), command, setting });
            }
        }
        out
    }

    /// Runs the lab with a change: whether every goal is reached then.
    pub fn helps(&self, cure: &Cure) -> bool {
        self.lab.run(&cure.setting).is_ok_and(|run| run.goals.iter().all(|g| g.reached))
    }
}

/// A change that lets it through.
#[derive(Clone, Debug, PartialEq)]
pub struct Cure {
    /// Where the command runs; nowhere in particular if empty.
    pub hosts: Vec<String>,
    /// The command.
    pub command: String,
    /// The setting with it.
    pub setting: Setting,
}
