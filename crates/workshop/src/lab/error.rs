//! Why a lab cannot be run.

use cluster::Diagnostic;
use sim::BuildError;
use std::fmt;

/// A lab cannot be run as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabError {
    /// The lab has no such switch: the name, and those that it has.
    UnknownSwitch(String, Vec<String>),
    /// The switch has no such value: switch, value, and those that it has.
    UnknownValue(String, String, Vec<String>),
    /// A text of the lab is wrong.
    Scenario(String),
    /// A command of its set-up or of a switch fails: the place of its line in the lab's text, and what it says.
    SetUp(Box<Diagnostic>),
    /// The world cannot be built.
    Build(BuildError),
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabError::UnknownSwitch(name, known) if known.is_empty() => {
                write!(f, "this lab has no switch {name:?}; it has none")
            }
            LabError::UnknownSwitch(name, known) => {
                write!(f, "this lab has no switch {name:?}; it has: {}", known.join(", "))
            }
            LabError::UnknownValue(name, value, known) => {
                write!(f, "switch {name} has no value {value:?}; it has: {}", known.join(", "))
            }
            LabError::Scenario(e) => f.write_str(e),
            LabError::SetUp(e) => write!(f, "{e}"),
            LabError::Build(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for LabError {}
