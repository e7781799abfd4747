//! What becomes of packets on a node: `nflab flows`.
//!
//! Nothing here knows Services. A packet walks the rules that kube-proxy has written, in the engine, again and again until
//! everything that chance can do has been done; what it became is read off the packet. The question is the one that
//! kube-proxy's own tests of its rules ask (pkg/proxy/iptables/proxier_test.go and pkg/proxy/nftables/helpers_test.go,
//! `tracePacket`): every packet comes in at PREROUTING, whoever sent it; then it meets the filter chains of kube-proxy one
//! after the other, with its first new destination address and its old port.

mod judge;
pub mod node;

pub use judge::{Flow, Kind, Outcome};

use cluster::kube_proxy::{Case, Family, Mode};
use node::Node;
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

/// Judges flows on the node of a case after its sync `step`, counted from 1.
///
/// # Errors
/// There is no such step or family, or a flow is not of that family, or rules cannot be loaded.
pub fn judge(case: &Case, flows: &[Flow], family: Family, step: usize) -> Result<Report, String> {
    let mut node = Node::new(&case.config, family);
    node.load_iptables(case, family, step)?;
    let mut judged = Vec::new();
    for flow in flows {
        let iptables = judge::iptables(&mut node, flow)?;
        judged.push(Judged { name: flow.name.clone(), iptables, nftables: None });
    }
    let _ = Mode::Nftables;
    Ok(Report { flows: judged })
}
