//! What a lab consists of. docs/LABS.md describes the text that it is read from ([`read_lab`]).

mod apply;
mod boxes;
mod command;
mod effect;
mod error;
mod forward;
mod health;
mod history;
mod invalid;
mod kubectl;
mod live;
mod logs;
mod made;
mod pods;
mod read;
mod rollout;
mod run;
mod script;
mod segment;
mod selector;
mod stored;
mod world;

pub(crate) use apply::{objects_of, special};
pub use boxes::{Boxes, Where};
pub use command::{Command, split};
pub(crate) use effect::{Effect, identity, is_about_cluster};
pub use error::LabError;
pub use read::read_lab;
pub(crate) use read::{check_new, command_of, prose, switched, value_of};
pub(crate) use run::{Begun, no_box, unheard};
pub use run::{By, ClaimResult, GoalResult, LabRun, PARTS_AT_ONCE, StimulusResult};
pub use segment::Segment;
pub use world::WorldSpec;

use crate::exercise::Exercise;
use crate::fact::Fact;
use crate::session::Typed;
use cluster::yaml::Yaml;
use kernel::netfilter::Hold;
use litemap::LiteMap;
use sim::ServerSpec;
use sim::programs::dns_server::Table;
use std::net::Ipv4Addr;

/// The position of every switch of a lab: name and value.
pub type Setting = LiteMap<String, String>;

/// Switches with the values in which something holds; all must stand so. Empty means always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When(pub Vec<(String, Vec<String>)>);

impl When {
    /// Whether a setting meets it.
    pub fn met(&self, setting: &Setting) -> bool {
        self.0.iter().all(|(name, values)| setting.get(name).is_some_and(|v| values.contains(v)))
    }

    /// In words: `mode=ipvs and kernel=3.10|4.19`.
    pub fn text(&self) -> String {
        let parts: Vec<String> =
            self.0.iter().map(|(name, values)| format!("{name}={}", values.join("|"))).collect();
        parts.join(" and ")
    }
}

/// A lab.
#[derive(Clone, Debug)]
pub struct Lab {
    /// Name, as in `nflab lab run NAME`.
    pub name: String,
    /// Title.
    pub title: String,
    /// One sentence.
    pub summary: String,
    /// The box to look at first.
    pub focus: String,
    /// How the boxes are made.
    pub world: WorldSpec,
    /// The Kubernetes objects, as they stand in the text.
    pub objects: Vec<Yaml>,
    /// What is done before anything is looked at.
    pub setup: Vec<Command>,
    /// Files of boxes.
    pub files: Vec<File>,
    /// Programs that listen.
    pub apps: Vec<App>,
    /// What is done, one after the other.
    pub steps: Vec<Step>,
    /// The switches.
    pub switches: Vec<Switch>,
    /// The prose.
    pub beats: Vec<Beat>,
    /// Facts.
    pub claims: Vec<Claim>,
    /// Goals.
    pub goals: Vec<Goal>,
    /// Places that the prose links to.
    pub moments: Vec<Moment>,
    /// The switches that do not stand at their defaults, and what was typed, if the text keeps a session.
    pub session: Option<(Setting, Vec<Typed>)>,
    /// What there is to do, if the lab is an exercise.
    pub exercise: Option<Box<Exercise>>,
}

/// A file of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The boxes.
    pub on: Where,
    /// The positions of the switches in which it is there.
    pub when: When,
    /// Its path.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Programs that listen on some boxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The boxes.
    pub on: Where,
    /// The positions of the switches in which they run.
    pub when: When,
    /// The program.
    pub server: Listens,
}

/// A page of a web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPage {
    /// Its path.
    pub path: String,
    /// How many bytes it has.
    pub bytes: usize,
    /// How long it takes to make, in milliseconds.
    pub after_ms: u64,
}

/// A program that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listens {
    /// One of the engine's own.
    Server(ServerSpec),
    /// A web server, with pages of so many bytes besides its first.
    Http {
        /// Address and port.
        bind: (Ipv4Addr, u16),
        /// Further pages.
        pages: Vec<HttpPage>,
    },
    /// A DNS server with records of a zone.
    Dns {
        /// Address and port.
        bind: (Ipv4Addr, u16),
        /// What it knows.
        table: Table,
    },
    /// CoreDNS; its Corefile is that of the ConfigMap of this namespace and name.
    CoreDns {
        /// Address and port.
        bind: (Ipv4Addr, u16),
        /// Namespace and name of the ConfigMap.
        config: (String, String),
    },
}

/// Something that is done in the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How facts refer to it; empty if they do not.
    pub id: String,
    /// In words.
    pub title: String,
    /// When it is done.
    pub when: When,
    /// What.
    pub act: Act,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A command is run on a box, or wherever kubectl is.
    Run(Command),
    /// Time passes, in milliseconds.
    Wait(u64),
    /// Until the programs in the background have ended.
    Join,
    /// Packets of a box stop from now on; with the order in which they go on, if that is said.
    Hold(String, Hold, Option<Vec<usize>>),
    /// On a box, the packet on this processor goes on to its next stop; or all go on to their ends.
    Release(String, Option<usize>),
    /// A box sends a TCP segment that no program made.
    Send(String, Box<Segment>),
}

/// Something that a person flips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Name, as in `--set NAME=VALUE`.
    pub name: String,
    /// What it is, in a few words.
    pub title: String,
    /// The boxes on which the commands run, each; none for a command that is run once, wherever kubectl is.
    pub hosts: Vec<String>,
    /// The values with what each stands for.
    pub positions: Vec<Position>,
    /// The value at the beginning: the lab's text describes this state.
    pub default: String,
}

/// A position of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its value.
    pub value: String,
    /// The commands. Those of the default undo the others.
    pub commands: Vec<Command>,
}

impl Switch {
    /// The values, in order.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.positions.iter().map(|p| p.value.as_str())
    }

    /// The position of a value.
    pub fn position(&self, value: &str) -> Option<&Position> {
        self.positions.iter().find(|p| p.value == value)
    }

    /// The commands that a value stands for, joined by `;`.
    pub fn command(&self, value: &str) -> Option<String> {
        let lines: Vec<&str> = self.position(value)?.commands.iter().map(|c| c.run.as_str()).collect();
        Some(lines.join("; "))
    }
}

/// A paragraph of a lab's prose. See [`crate::spans`] for the markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The switch positions for which it is shown.
    pub when: When,
    /// The text.
    pub text: String,
}

/// A fact, with the switch positions for which it is stated.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The fact in words.
    pub text: String,
    /// The condition.
    pub when: When,
    /// What makes it true.
    pub that: Fact,
}

/// What the learner is to reach.
#[derive(Clone, Debug)]
pub struct Goal {
    /// The goal in words.
    pub text: String,
    /// What makes it reached.
    pub that: Fact,
}

/// A place in the log that prose links to: the first event that makes a fact true.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The key used in links.
    pub key: String,
    /// What is looked for.
    pub that: Fact,
}

impl Lab {
    /// What of its text changes nothing, for people to know.
    pub fn notes(&self) -> Vec<String> {
        let objects = world::objects(&self.objects).ok();
        let warning = objects.and_then(|o| o.kube_proxy).and_then(|c| c.warning());
        warning.into_iter().map(|line| format!("kube-proxy logs {line}, and goes on without it")).collect()
    }

    /// The setting with every switch at its default.
    pub fn default_setting(&self) -> Setting {
        let mut setting = Setting::new();
        for s in &self.switches {
            setting.insert(s.name.clone(), s.default.clone());
        }
        setting
    }

    /// Defaults, changed by `changes`; `Err` names an unknown switch or value and lists the known ones.
    pub fn setting(&self, changes: &Setting) -> Result<Setting, LabError> {
        let mut setting = self.default_setting();
        for (name, value) in changes {
            let Some(switch) = self.switches.iter().find(|s| s.name == *name) else {
                let known = self.switches.iter().map(|s| s.name.clone()).collect();
                return Err(LabError::UnknownSwitch(name.clone(), known));
            };
            if switch.position(value).is_none() {
                let known = switch.values().map(str::to_owned).collect();
                return Err(LabError::UnknownValue(name.clone(), value.clone(), known));
            }
            setting.insert(name.clone(), value.clone());
        }
        Ok(setting)
    }

    /// The beats for a setting.
    pub fn beats_for<'a>(&'a self, setting: &'a Setting) -> impl Iterator<Item = &'a Beat> + 'a {
        self.beats.iter().filter(|b| b.when.met(setting))
    }
}
