//! The lab `conntrack-load`: a TFTP server under load, nine times with other settings.
//!
//! It is a model and no measurement: packets are simulated one by one, what they cost is reckoned ([`sim::load::Cost`];
//! docs/LOAD-MODEL.md). The figures of the article that it follows stand beside its own ([`ARTICLE`]).

mod article;
mod chart;
mod claim;
mod json;
mod report;
mod setting;
mod setup;
mod shell;
mod switch;
mod text;

pub use article::{ARTICLE, Article};
pub use claim::{Judged, claims, goals, sweep_claims};
pub use json::{json, sweep_json};
pub use report::{BoxSeries, Report, Series};
pub use setting::{DEFAULT_SCALE, SWITCHES, Setting, SettingError, Switch, UdpTimeouts};
pub use setup::COST;
pub use switch::Values;
pub use text::{PROSE, sweep_text, text};

use kernel::Instant;
use sim::load::{LoadRun, LoadSpec, Progress};
use std::fmt;

/// The lab's name.
pub const NAME: &str = "conntrack-load";
/// Its title.
pub const TITLE: &str = "Conntrack under load";
/// What it is about, in a sentence.
pub const SUMMARY: &str =
    "A TFTP server in pods serves a ninth of what it did: which table is full, and in which namespace?";

/// A test cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The kubelet does not run the pods: its reason and message.
    Forbidden(&'static str),
    /// The boxes cannot be built.
    Build(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Forbidden(why) => write!(f, "the kubelet does not run the pods: {why}"),
            LoadError::Build(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LoadError {}

/// A test that goes on step by step, so that whoever shows it can stop it.
#[derive(Clone, Debug)]
pub struct Test {
    setting: Setting,
    spec: LoadSpec,
    run: LoadRun,
}

impl Test {
    /// Builds the boxes.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn new(setting: &Setting) -> Result<Test, LoadError> {
        if let Some(why) = setting.forbidden() {
            return Err(LoadError::Forbidden(why));
        }
        let spec = setup::spec(setting).map_err(LoadError::Build)?;
        let run = LoadRun::new(&spec).map_err(|e| LoadError::Build(e.to_string()))?;
        Ok(Test { setting: setting.clone(), spec, run })
    }

    /// Goes on until then, or to its end.
    pub fn advance(&mut self, until: Instant) -> Progress {
        self.run.advance(until)
    }

    /// The boxes, as they are.
    pub fn world(&self) -> &sim::World {
        self.run.world()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.run.progress()
    }

    /// What there is so far.
    pub fn report(&self) -> Report {
        Report::new(&self.setting, &self.spec, &self.run)
    }
}

/// Runs a test to its end.
///
/// # Errors
/// See [`LoadError`].
pub fn run(setting: &Setting) -> Result<Report, LoadError> {
    let mut test = Test::new(setting)?;
    test.advance(Instant(u64::MAX));
    Ok(test.report())
}

/// What a setting is to [`sim::load`].
///
/// # Errors
/// A text of the lab is wrong.
pub fn spec(setting: &Setting) -> Result<LoadSpec, String> {
    setup::spec(setting)
}
