//! Labs: a cluster, switches, what is true (claims) and what to reach (goals).
//!
//! A lab is a text (docs/LABS.md); what it claims are facts about a run's log and outputs. No crate below this one knows any of
//! its names.

mod bare;
pub mod coredns;
pub mod cost;
pub mod cure;
pub mod exercise;
pub mod exercises;
pub mod fact;
pub mod knobs;
pub mod kube;
mod lab;
pub mod labs;
pub mod load;
mod prose;
pub mod query;
pub mod session;
mod yaml_text;

pub use lab::{
    Beat, By, Claim, ClaimResult, Command, Goal, GoalResult, Lab, LabError, LabRun, PARTS_AT_ONCE, Position,
    Setting, Step, StimulusResult, Switch, When, read_lab,
};
pub use labs::{lab, lab_titles, labs};
pub use prose::{Span, spans};
pub use session::{At, Refused, Session, Typed, TypedResult};
