//! Pod (api/core/v1/types.go).

use super::{Metadata, Protocol};
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
    /// The ports of `spec.containers` and `spec.initContainers` that have a `hostPort`.
    pub host_ports: Vec<HostPort>,
}

/// A port of a container that is also one of the node (api/core/v1 ContainerPort).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// `hostPort`
    pub host_port: u16,
    /// `containerPort`
    pub container_port: u16,
    /// `protocol`
    pub protocol: Protocol,
    /// `hostIP`: the node's address for which it holds; all of them without.
    pub host_ip: Option<IpAddr>,
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

impl HostPort {
    /// `None` for a port that is only the container's.
    fn read(item: &Yaml) -> Read<Option<HostPort>> {
        let port = Fields::new(item, &["name", "hostPort", "containerPort", "protocol", "hostIP"])?;
        let Some(host_port) = port.port("hostPort", 0)?.filter(|n| *n != 0) else { return Ok(None) };
        let said = port.text("hostIP")?.is_some_and(|ip| !ip.is_empty());
        let host_ip = port.get("hostIP").filter(|_| said);
        Ok(Some(HostPort {
            host_port,
            container_port: port.port("containerPort", 1)?.unwrap_or(host_port),
            protocol: port.word("protocol", &Protocol::WORDS)?.unwrap_or_default(),
            host_ip: host_ip.map(address).transpose()?,
        }))
    }
}

impl Pod {
    pub(super) fn read(document: &Yaml) -> Read<Pod> {
        let object = Fields::new(document, &["apiVersion", "kind", "metadata", "spec", "status"])?;
        let mut pod = Pod { metadata: Metadata::read(object, true)?, ..Pod::default() };
        if let Some(spec) = object.fields("spec", &SPEC)? {
            pod.node_name = spec.text("nodeName")?.unwrap_or_default().to_owned();
            pod.host_network = spec.boolean("hostNetwork")?.unwrap_or(false);
            for key in ["initContainers", "containers"] {
                for container in spec.list(key)? {
                    for port in Fields::any(container)?.list("ports")? {
                        pod.host_ports.extend(HostPort::read(port)?);
                    }
                }
            }
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
