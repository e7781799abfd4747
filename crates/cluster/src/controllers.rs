//! What the control plane makes of manifests: pods of Deployments (pkg/controller/deployment, replicaset), their addresses
//! (the kubelet with host-local), and EndpointSlices of Services that have none (pkg/controller/endpointslice).
//!
//! Names that are random in a cluster follow from what they belong to, so that the same text always makes the same objects.

use crate::kube_proxy::Family;
use crate::object::{
    AddressType, ClusterIp, Endpoint, EndpointPort, EndpointSlice, Hints, Metadata, NamespacedName, Node,
    Objects, Pod, Service, TargetPort, TrafficDistribution,
};
use ipnet::IpNet;
use litemap::LiteMap;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const LABEL_ZONE: &str = "topology.kubernetes.io/zone";
const LABEL_SERVICE: &str = "kubernetes.io/service-name";
/// One slice holds so many endpoints (`--max-endpoints-per-slice`).
const MAX_ENDPOINTS: usize = 100;

/// What is there besides what was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Pods of Deployments, and given pods that got an address.
    pub pods: Vec<Pod>,
    /// EndpointSlices of Services that have neither slices nor Endpoints.
    pub slices: Vec<EndpointSlice>,
    /// What was not done, and why.
    pub notes: Vec<String>,
}

/// Does the control plane's work once.
pub fn run(objects: &Objects) -> Made {
    let mut made = Made::default();
    let mut pods: BTreeMap<NamespacedName, Pod> =
        objects.pods.iter().map(|(key, pod)| (key.clone(), pod.clone())).collect();
    let own = deployments(objects, &mut made.notes);
    pods.extend(own.into_iter().map(|pod| (pod.metadata.key(), pod)));
    addresses(objects, &mut pods, &mut made.notes);
    let pods: Vec<Pod> = pods.into_values().collect();
    let mut served: BTreeSet<NamespacedName> = objects.endpoints.keys().cloned().collect();
    for slice in objects.endpoint_slices.values() {
        served.insert((slice.metadata.namespace.clone(), slice.service.clone()));
    }
    for (key, service) in objects.services.iter().filter(|(key, _)| !served.contains(*key)) {
        if !service.selector.is_empty() {
            let namespace = pods.iter().filter(|p| p.metadata.namespace == key.0);
            let chosen: Vec<&Pod> =
                namespace.filter(|p| matches(&service.selector, &p.metadata.labels)).collect();
            slices(objects, service, &chosen, &mut made.slices);
        }
    }
    made.pods = pods.into_iter().filter(|p| objects.pods.get(&p.metadata.key()) != Some(p)).collect();
    made
}

fn matches(selector: &LiteMap<String, String>, labels: &LiteMap<String, String>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Letters as Kubernetes has them in generated names (apimachinery, `rand.SafeEncodeString`): no vowels, no words.
fn letters(of: &str, count: usize) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(of.as_bytes());
    digest.iter().take(count).map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])).collect()
}

/// The pods that Deployments lack.
fn deployments(objects: &Objects, notes: &mut Vec<String>) -> Vec<Pod> {
    let mut made = Vec::new();
    for ((namespace, name), deployment) in objects.deployments.iter() {
        let there = objects
            .pods
            .values()
            .filter(|p| p.metadata.namespace == *namespace)
            .filter(|p| matches(&deployment.selector, &p.metadata.labels))
            .count();
        let wanted = usize::try_from(deployment.replicas).unwrap_or(usize::MAX);
        let set = format!("{name}-{}", letters(&format!("{namespace}/{name}"), 10));
        for i in there..wanted {
            let mut pod = deployment.template.clone();
            pod.metadata.name = format!("{set}-{}", letters(&format!("{namespace}/{set}/{i}"), 5));
            pod.ready = !pod.node_name.is_empty();
            made.push(pod);
        }
        if deployment.template.node_name.is_empty() && wanted > there {
            notes.push(format!(
                "Deployment {namespace}/{name}: its pods wait for a node; scheduling is not modelled, give \
                 spec.template.spec.nodeName"
            ));
        }
    }
    made
}

/// Gives the pods that run on a node the next free addresses of its networks; the first is the gateway's.
fn addresses(objects: &Objects, pods: &mut BTreeMap<NamespacedName, Pod>, notes: &mut Vec<String>) {
    let mut used: BTreeSet<IpAddr> = pods.values().flat_map(|p| &p.pod_ips).copied().collect();
    for ((namespace, name), pod) in pods.iter_mut() {
        if !pod.pod_ips.is_empty() || pod.node_name.is_empty() {
            continue;
        }
        let Some(node) = objects.nodes.get(&pod.node_name) else {
            notes.push(format!("Pod {namespace}/{name}: there is no Node {}", pod.node_name));
            pod.ready = false;
            continue;
        };
        if pod.host_network {
            pod.pod_ips.clone_from(&node.internal_ips);
            continue;
        }
        for net in &node.pod_cidrs {
            if let Some(free) = hosts(*net).skip(1).find(|ip| !used.contains(ip)) {
                used.insert(free);
                pod.pod_ips.push(free);
            }
        }
        if pod.pod_ips.is_empty() {
            notes.push(format!("Pod {namespace}/{name}: Node {} has no free address", pod.node_name));
            pod.ready = false;
        }
    }
}

fn hosts(net: IpNet) -> Box<dyn Iterator<Item = IpAddr>> {
    match net {
        IpNet::V4(net) => Box::new(net.hosts().map(IpAddr::V4)),
        // The address whose host part is 0 is every router's.
        IpNet::V6(net) => Box::new(net.hosts().skip(1).map(IpAddr::V6)),
    }
}

/// The slices of a Service: one family and one set of port numbers each.
fn slices(objects: &Objects, service: &Service, pods: &[&Pod], out: &mut Vec<EndpointSlice>) {
    let (namespace, name) = service.metadata.key();
    let families = match &service.cluster_ip {
        ClusterIp::Addresses(all) => {
            all.iter().map(|ip| if ip.is_ipv4() { Family::V4 } else { Family::V6 }).collect()
        }
        _ => vec![Family::V4],
    };
    for family in families {
        let mut groups: BTreeMap<Vec<Option<u16>>, Vec<Endpoint>> = BTreeMap::new();
        for pod in pods {
            if let Some(ip) = family.first(&pod.pod_ips) {
                groups.entry(ports_of(service, pod)).or_default().push(endpoint(objects, service, pod, ip));
            }
        }
        for (ports, endpoints) in groups {
            for part in endpoints.chunks(MAX_ENDPOINTS) {
                let end = letters(&format!("{namespace}/{name}/{family:?}/{}", out.len()), 5);
                let mut metadata = Metadata {
                    namespace: namespace.clone(),
                    name: format!("{name}-{end}"),
                    ..Metadata::default()
                };
                metadata.labels.insert(LABEL_SERVICE.to_owned(), name.clone());
                let port = |(port, number): (&crate::object::ServicePort, &Option<u16>)| {
                    number.map(|n| EndpointPort {
                        name: port.name.clone(),
                        protocol: port.protocol,
                        port: Some(n),
                    })
                };
                out.push(EndpointSlice {
                    metadata,
                    service: name.clone(),
                    address_type: if family == Family::V4 { AddressType::IPv4 } else { AddressType::IPv6 },
                    endpoints: part.to_vec(),
                    ports: service.ports.iter().zip(&ports).filter_map(port).collect(),
                });
            }
        }
    }
}

/// The numbers of a Service's ports in a pod. A name that no container has is no port.
fn ports_of(service: &Service, pod: &Pod) -> Vec<Option<u16>> {
    let number = |port: &crate::object::ServicePort| match &port.target {
        TargetPort::Same => Some(port.port),
        TargetPort::Number(n) => Some(*n),
        TargetPort::Name(name) => {
            let found = pod.ports.iter().find(|p| p.name == *name && p.protocol == port.protocol);
            found.map(|p| p.port)
        }
    };
    service.ports.iter().map(number).collect()
}

fn endpoint(objects: &Objects, service: &Service, pod: &Pod, ip: IpAddr) -> Endpoint {
    let zone = |node: &Node| node.metadata.labels.get(LABEL_ZONE).cloned();
    let zone = objects.nodes.get(&pod.node_name).and_then(zone).unwrap_or_default();
    let serving = pod.ready || service.publish_not_ready;
    let mut hints = Hints::default();
    if service.traffic_distribution != TrafficDistribution::None && !zone.is_empty() {
        hints.zones.push(zone.clone());
    }
    if service.traffic_distribution == TrafficDistribution::SameNode {
        hints.nodes.push(pod.node_name.clone());
    }
    Endpoint {
        address: Some(ip),
        ready: serving && (!pod.terminating || service.publish_not_ready),
        serving,
        terminating: pod.terminating,
        node_name: pod.node_name.clone(),
        zone,
        hints,
    }
}
