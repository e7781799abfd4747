//! Node (api/core/v1/types.go).

use super::Metadata;
use crate::diagnostic::Read;
use crate::fields::{Fields, address, each, network, text};
use crate::yaml::Yaml;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A Node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Name, labels, annotations.
    pub metadata: Metadata,
    /// `podCIDRs`, or `podCIDR`.
    pub pod_cidrs: Vec<IpNet>,
    /// `status.addresses` of type InternalIP.
    pub internal_ips: Vec<IpAddr>,
    /// The keys of `taints`.
    pub taints: Vec<String>,
    /// It is not `unschedulable`, and no taint keeps pods away.
    #[serde(default)]
    pub takes_pods: bool,
}

const SPEC: [&str; 7] =
    ["configSource", "externalID", "podCIDR", "podCIDRs", "providerID", "taints", "unschedulable"];
const STATUS: [&str; 14] = [
    "addresses",
    "allocatable",
    "capacity",
    "conditions",
    "config",
    "daemonEndpoints",
    "declaredFeatures",
    "features",
    "images",
    "nodeInfo",
    "phase",
    "runtimeHandlers",
    "volumesAttached",
    "volumesInUse",
];

impl Node {
    pub(super) fn read(document: &Yaml) -> Read<Node> {
        let object = Fields::new(document, &["apiVersion", "kind", "metadata", "spec", "status"])?;
        let mut node = Node { metadata: Metadata::read(object, false)?, takes_pods: true, ..Node::default() };
        if let Some(spec) = object.fields("spec", &SPEC)? {
            node.pod_cidrs = each(spec.list("podCIDRs")?, network)?;
            if let (true, Some(v)) = (node.pod_cidrs.is_empty(), spec.get("podCIDR")) {
                node.pod_cidrs.push(network(v)?);
            }
            node.taints = each(spec.list("taints")?, taint)?;
            let kept_away = each(spec.list("taints")?, |v| {
                Ok(Fields::any(v)?.text("effect")? != Some("PreferNoSchedule"))
            })?;
            node.takes_pods = !kept_away.contains(&true) && spec.boolean("unschedulable")? != Some(true);
        }
        if let Some(status) = object.fields("status", &STATUS)? {
            for item in status.list("addresses")? {
                let one = Fields::new(item, &["type", "address"])?;
                if text(one.need("type")?)? == "InternalIP" {
                    node.internal_ips.push(address(one.need("address")?)?);
                }
            }
        }
        Ok(node)
    }
}

/// The key of a taint.
fn taint(v: &Yaml) -> Read<String> {
    let taint = Fields::new(v, &["effect", "key", "timeAdded", "value"])?;
    Ok(text(taint.need("key")?)?.to_owned())
}
