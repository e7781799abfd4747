//! Which kernels are modelled, and where they differ.

use kernel::{Era, Switch};
use serde::Serialize;

/// A kernel, as `nflab kernels --json` and `nflab lab run --json` print it.
#[derive(Serialize)]
pub struct KernelJson {
    /// Such as `6.18`.
    version: &'static str,
    /// What its answers are held against.
    held_against: &'static str,
    differences: Vec<DifferenceJson>,
}

/// What that kernel does where others do something else.
#[derive(Serialize)]
struct DifferenceJson {
    name: &'static str,
    does: &'static str,
    held_against: &'static str,
    since: String,
    source: &'static str,
}

/// What is known of a kernel.
pub fn kernel_json(era: Era) -> KernelJson {
    let differences = Switch::ALL.into_iter().map(|switch| {
        let d = switch.difference();
        DifferenceJson {
            name: d.name,
            does: d.says(era),
            held_against: d.held_against(era).name(),
            since: format!("{}.{}", d.since.0, d.since.1),
            source: d.source,
        }
    });
    KernelJson { version: era.name(), held_against: era.held_against(), differences: differences.collect() }
}

/// The kernels and their differences as a table for people.
pub fn kernels_text() -> String {
    let mut out = String::new();
    for era in Era::ALL {
        out += &format!("Linux {:<6} {}\n", era.name(), era.held_against());
    }
    for switch in Switch::ALL {
        let d = switch.difference();
        out += &format!("\n{}   since {}.{}: {}\n", d.name, d.since.0, d.since.1, d.source);
        for era in Era::ALL {
            out += &format!("  {:<6} {} [{}]\n", era.name(), d.says(era), d.held_against(era).name());
        }
    }
    out
}
