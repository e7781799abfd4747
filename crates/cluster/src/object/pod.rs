//! Pod (api/core/v1/types.go).

use super::Metadata;
use crate::diagnostic::Read;
use crate::fields::{Fields, address};
use crate::yaml::Yaml;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A Pod: where it runs and its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Name, namespace, labels, annotations.
    pub metadata: Metadata,
    /// `spec.nodeName`; empty if it is not scheduled.
    pub node_name: String,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `status.podIPs`, or `status.podIP`.
    pub pod_ips: Vec<IpAddr>,
}

const SPEC: [&str; 42] = [
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
    "workloadRef",
];
const STATUS: [&str; 19] = [
    "allocatedResources",
    "conditions",
    "containerStatuses",
    "ephemeralContainerStatuses",
    "extendedResourceClaimStatus",
    "hostIP",
    "hostIPs",
    "initContainerStatuses",
    "message",
    "nominatedNodeName",
    "observedGeneration",
    "phase",
    "podIP",
    "podIPs",
    "qosClass",
    "reason",
    "resize",
    "resourceClaimStatuses",
    "startTime",
];

impl Pod {
    pub(super) fn read(document: &Yaml) -> Read<Pod> {
        let object = Fields::new(document, &["apiVersion", "kind", "metadata", "spec", "status"])?;
        let mut pod = Pod { metadata: Metadata::read(object, true)?, ..Pod::default() };
        if let Some(spec) = object.fields("spec", &SPEC)? {
            pod.node_name = spec.text("nodeName")?.unwrap_or_default().to_owned();
            pod.host_network = spec.boolean("hostNetwork")?.unwrap_or(false);
        }
        if let Some(status) = object.fields("status", &STATUS)? {
            for item in status.list("podIPs")? {
                pod.pod_ips.push(address(Fields::new(item, &["ip"])?.need("ip")?)?);
            }
            if let (true, Some(v)) = (pod.pod_ips.is_empty(), status.get("podIP")) {
                pod.pod_ips.push(address(v)?);
            }
        }
        Ok(pod)
    }
}
