//! What becomes of packets on a node: `nflab flows`.
//!
//! Nothing here knows Services. A packet walks the rules that kube-proxy has written, in the engine, again and again until
//! everything that chance can do has been done; what it became is read off the packet. The question is the one that
//! kube-proxy's own tests of its rules ask (pkg/proxy/iptables/proxier_test.go and pkg/proxy/nftables/helpers_test.go,
//! `tracePacket`): every packet comes in at PREROUTING, whoever sent it; then it meets the filter chains of kube-proxy one
//! after the other, with its first new destination address and its old port.

mod explain;
mod judge;
pub mod node;

pub use explain::{Explanation, Part, Step, Visit};
pub use judge::{Flow, Kind, Outcome, Proto};

use cluster::kube_proxy::{Case, Family, Mode};
use node::Node as NodeBox;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A flow's name and what becomes of it in each mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Its name; names may repeat.
    pub name: String,
    /// In mode iptables.
    pub iptables: Outcome,
    /// In mode nftables; absent if the version has no such mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nftables: Option<Outcome>,
}

/// What `nflab flows` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of the file.
    pub flows: Vec<Judged>,
}

/// A file of flows; whatever else stands in it is not looked at.
#[derive(Deserialize)]
struct File {
    flows: Vec<Flow>,
}

/// The flows of a text.
///
/// # Errors
/// Names line and column of what is wrong.
pub fn read_flows(text: &str) -> Result<Vec<Flow>, String> {
    // Twice, so that a text that is no JSON is told from one that has something else in it.
    serde_json::from_str::<Value>(text).map_err(|e| e.to_string())?;
    serde_json::from_str::<File>(text).map(|f| f.flows).map_err(|e| e.to_string())
}

/// kube-proxy's tracer of mode nftables takes `daddr { ... }`, an anonymous set that the destination must be in, for an address that
/// no packet has: to it traffic to cluster IPs that nobody has is not dropped.
fn tracer_reads(rule: &str) -> bool {
    !rule.contains(" daddr { ")
}

/// Judges flows on the node of a case after its sync `step`, counted from 1.
///
/// # Errors
/// There is no such step or family, or a flow is not of that family, or rules cannot be loaded.
pub fn judge(case: &Case, flows: &[Flow], family: Family, step: usize) -> Result<Report, String> {
    let mut iptables = box_of(case, family, Mode::Iptables);
    iptables.load_iptables(case, family, step)?;
    let mut nftables = None;
    if case.config.version.modes().contains(&Mode::Nftables) {
        let node = nftables.insert(box_of(case, family, Mode::Nftables));
        node.load_nftables(case, family, step, tracer_reads)?;
    }
    let mut judged = Vec::new();
    for flow in flows {
        judged.push(Judged {
            name: flow.name.clone(),
            iptables: judge::judge_one(&mut iptables, Mode::Iptables, flow)?,
            nftables: match &mut nftables {
                Some(node) => Some(judge::judge_one(node, Mode::Nftables, flow)?),
                None => None,
            },
        });
    }
    Ok(Report { flows: judged })
}

/// The node that kube-proxy runs on, without rules. Its pods' networks are those of its Node object, if there is one.
fn box_of(case: &Case, family: Family, mode: Mode) -> NodeBox {
    let config = case.config_for(mode);
    let nodes = case.nodes();
    NodeBox::new(&config, family, nodes.get(&config.node_name).map_or(&[], |n| &n.pod_cidrs))
}

/// Explains one packet on the node of a case after its sync `step`, in one mode.
///
/// # Errors
/// As of [`judge`]; or the mode is one whose rules are not followed.
pub fn explain(case: &Case, flow: &Flow, mode: Mode, step: usize, seed: u64) -> Result<Explanation, String> {
    let family = match flow.dst {
        std::net::IpAddr::V4(_) => Family::V4,
        std::net::IpAddr::V6(_) => Family::V6,
    };
    let mut node = box_of(case, family, mode);
    match mode {
        Mode::Iptables => node.load_iptables(case, family, step)?,
        Mode::Nftables => node.load_nftables(case, family, step, |_| true)?,
        Mode::Ipvs => {
            return Err("packets are not followed in mode ipvs; expected iptables or nftables".to_owned());
        }
    }
    explain::explain(&mut node, mode, flow, seed)
}
