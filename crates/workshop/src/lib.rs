//! Labs: a cluster, switches, what is true (claims) and what to reach (goals).
//!
//! A lab is data and a few predicates over the event log. No crate below this one knows any of its names.

pub mod cost;
pub mod kube;
mod lab;
pub mod labs;
mod prose;
pub mod query;

pub use lab::{
    Beat, Claim, ClaimResult, Goal, GoalResult, Lab, LabError, LabRun, Setting, StimulusResult, Switch,
};
pub use prose::{Span, spans};

/// All labs, in the order in which they are offered.
pub fn labs() -> Vec<Lab> {
    vec![
        labs::same_node_clusterip::lab(),
        labs::tftp_ipvs::lab(),
        labs::service_iptables::lab(),
        labs::hooks_and_chains::lab(),
    ]
}

/// The lab of that name.
pub fn lab(name: &str) -> Option<Lab> {
    labs().into_iter().find(|l| l.name == name)
}
