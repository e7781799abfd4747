//! `ipset`: its commands as values, members, and what it prints.
//!
//! What stands behind `create`, `add`, `del` and `test` depends on the type of the set, so that a line is read in two steps:
//! [`IpsetLine::parse`] finds the command, [`IpsetLine::command`] reads the rest and has to ask for the types of sets.

mod command;
mod entry;
mod errors;
mod icmp;
mod line;
mod options;
mod print;
mod sorted;

pub use command::{IpsetCommand, RestoreLine, parse_ipset_restore};
pub use entry::{elem_text, entry_text};
pub use errors::{IpsetError, error_text};
pub use line::{IpsetFlags, IpsetLine, Output, Verb};
pub use print::{list_set, list_xml, save_set};

/// The longest name of a set.
pub(crate) const NAME_MAX: usize = 31;
