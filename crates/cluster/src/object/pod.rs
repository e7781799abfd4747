//! Pod (api/core/v1/types.go).

use super::{Metadata, Protocol};
use crate::diagnostic::Read;
use crate::fields::{Fields, address, dns_name};
use crate::pod_dns::PodDns;
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
    /// It is not to be scheduled here: it says what its node is to be like, or it is `Pending` as given.
    #[serde(default)]
    pub waits: bool,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `status.podIPs`, or `status.podIP`.
    pub pod_ips: Vec<IpAddr>,
    /// The ports of its containers.
    pub ports: Vec<ContainerPort>,
    /// The ports of its containers that are also ports of the node.
    pub host_ports: Vec<HostPort>,
    /// The condition `Ready` is not `False`, and it is not over.
    pub ready: bool,
    /// It has a `deletionTimestamp`: it is about to end.
    pub terminating: bool,
    /// `spec.dnsPolicy` and `spec.dnsConfig`.
    #[serde(default)]
    pub dns: PodDns,
}

/// One of a container's `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerPort {
    /// `name`, by which a Service may know it; empty if it has none.
    pub name: String,
    /// `protocol`.
    pub protocol: Protocol,
    /// `containerPort`.
    pub port: u16,
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

pub(super) const SPEC: [&str; 42] = [
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
pub(super) const PORT: [&str; 5] = ["containerPort", "hostIP", "hostPort", "name", "protocol"];
pub(super) const CONTAINER: [&str; 25] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
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
    fn read(port: Fields<'_>, protocol: Protocol, number: Option<u16>) -> Read<Option<HostPort>> {
        let Some(host_port) = port.port("hostPort", 0)?.filter(|n| *n != 0) else { return Ok(None) };
        let said = port.text("hostIP")?.is_some_and(|ip| !ip.is_empty());
        let host_ip = port.get("hostIP").filter(|_| said).map(address).transpose()?;
        Ok(Some(HostPort { host_port, container_port: number.unwrap_or(host_port), protocol, host_ip }))
    }
}

impl Pod {
    pub(super) fn read(document: &Yaml) -> Read<Pod> {
        let object = Fields::new(document, &["apiVersion", "kind", "metadata", "spec", "status"])?;
        let mut pod = Pod { metadata: Metadata::read(object, true)?, ready: true, ..Pod::default() };
        let metadata = object.get("metadata").map(Fields::any).transpose()?;
        pod.terminating = metadata.is_some_and(|m| m.get("deletionTimestamp").is_some());
        if let Some(spec) = object.get("spec") {
            pod.read_spec(spec)?;
        }
        if let Some(status) = object.fields("status", &STATUS)? {
            for item in status.list("podIPs")? {
                pod.pod_ips.push(address(Fields::new(item, &["ip"])?.need("ip")?)?);
            }
            if let (true, Some(v)) = (pod.pod_ips.is_empty(), status.get("podIP")) {
                pod.pod_ips.push(address(v)?);
            }
            for item in status.list("conditions")? {
                let condition = Fields::any(item)?;
                if condition.text("type")? == Some("Ready") && condition.text("status")? == Some("False") {
                    pod.ready = false;
                }
            }
            if matches!(status.text("phase")?, Some("Succeeded" | "Failed" | "Pending")) {
                pod.ready = false;
                pod.waits = true;
            }
        }
        Ok(pod)
    }

    /// A pod's `spec`, or a template's.
    pub(super) fn read_spec(&mut self, spec: &Yaml) -> Read<()> {
        let spec = Fields::new(spec, &SPEC)?;
        self.node_name = spec.text("nodeName")?.unwrap_or_default().to_owned();
        const PLACING: [&str; 4] =
            ["affinity", "nodeSelector", "schedulingGates", "topologySpreadConstraints"];
        self.waits = PLACING.iter().any(|key| spec.get(key).is_some());
        self.dns = PodDns::read(&spec)?;
        self.host_network = spec.boolean("hostNetwork")?.unwrap_or(false);
        for key in ["initContainers", "containers"] {
            for container in spec.list(key)? {
                for item in Fields::any(container)?.list("ports")? {
                    let port = Fields::new(item, &PORT)?;
                    let protocol = port.word("protocol", &Protocol::WORDS)?.unwrap_or_default();
                    let number = port.port("containerPort", 1)?;
                    let name = port.get("name").map_or(Ok(String::new()), |name| dns_name(name, 15))?;
                    if let (Some(port), "containers") = (number, key) {
                        self.ports.push(ContainerPort { name, protocol, port });
                    }
                    self.host_ports.extend(HostPort::read(port, protocol, number)?);
                }
            }
        }
        Ok(())
    }
}
