//! Many boxes, links and time.
//!
//! [`World`] owns the boxes, delivers frames, fires timers and runs the applications; it appends everything that
//! happens to one [`Log`]. A [`Scenario`] is the description of a world and of what is done in it. The crate does no
//! I/O and has no clock of its own: the same scenario gives the same log, natively and in WebAssembly.

pub mod apps;
mod build;
pub mod load;
mod log;
mod moment;
pub mod operator;
pub mod programs;
pub mod race;
mod run;
mod scenario;
mod sequence;
pub mod view;
mod world;

pub use apps::{AppEvent, Outcome};
pub use build::{BuildError, command_place, extend};
pub use log::{Entry, EventId, Log, Seen};
pub use moment::Keyframe;
pub use run::{BegunStep, Run, Running, StepOutcome, StepRecord};
pub use scenario::{
    Backend, BridgePort, CloseHow, Collect, Doing, HostSpec, LinkSpec, Scenario, ServerMode, ServerSpec,
    Setup, Shell, Start, Stimulus,
};
pub use sequence::InitialNumbers;
pub use world::{AppId, PastEnd, World};
