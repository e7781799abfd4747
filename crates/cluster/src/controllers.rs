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
use sorted::{Map, Set};
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
    Controllers::default().run(objects)
}

/// The control plane of a cluster that changes: pods that it has made stay, with their names and addresses, as long as what they
/// were made of does.
#[derive(Clone, Debug, Default)]
pub struct Controllers {
    sets: Map<NamespacedName, ReplicaSet>,
    /// The pods that somebody has deleted: their names are not given again.
    deleted: Set<NamespacedName>,
    addresses: Addresses,
}

/// The ReplicaSet of a Deployment that has pods.
#[derive(Clone, Debug)]
struct ReplicaSet {
    /// How many there were before it.
    revision: u32,
    template: Pod,
    /// The pods' numbers, the oldest first.
    pods: Vec<usize>,
}

/// What host-local has given.
#[derive(Clone, Debug, Default)]
struct Addresses {
    given: Map<NamespacedName, (String, Vec<IpAddr>)>,
    /// The last one of each network: the next search begins behind it.
    last: Map<IpNet, IpAddr>,
}

impl Controllers {
    /// Somebody deletes a pod that a Deployment has: another one is made in its place. False if there is none of that name.
    pub fn delete(&mut self, pod: &NamespacedName) -> bool {
        let of = |((namespace, name), set): (&NamespacedName, &ReplicaSet)| {
            let names = set.pods.iter().map(|i| pod_name(namespace, name, set.revision, *i));
            *namespace == pod.0 && names.into_iter().any(|n| n == pod.1)
        };
        let known = self.sets.iter().any(of);
        if known {
            self.deleted.insert(pod.clone());
        }
        known
    }

    /// Does the control plane's work after a change.
    pub fn run(&mut self, objects: &Objects) -> Made {
        let mut made = Made::default();
        let mut pods: Map<NamespacedName, Pod> =
            objects.pods.iter().map(|(key, pod)| (key.clone(), pod.clone())).collect();
        let own = self.deployments(objects, &mut made.notes);
        pods.extend(own.into_iter().map(|pod| (pod.metadata.key(), pod)));
        self.addresses.give(objects, &mut pods, &mut made.notes);
        finish(objects, pods, made)
    }

    /// The pods that Deployments lack.
    fn deployments(&mut self, objects: &Objects, notes: &mut Vec<String>) -> Vec<Pod> {
        let mut made = Vec::new();
        self.sets.retain(|key, _| objects.deployments.get(key).is_some());
        for (key, deployment) in objects.deployments.iter() {
            let (namespace, name) = key;
            let there = objects
                .pods
                .values()
                .filter(|p| p.metadata.namespace == *namespace)
                .filter(|p| matches(&deployment.selector, &p.metadata.labels))
                .count();
            let wanted = usize::try_from(deployment.replicas).unwrap_or(usize::MAX);
            let fresh =
                |revision| ReplicaSet { revision, template: deployment.template.clone(), pods: Vec::new() };
            let set = self.sets.entry(key.clone()).or_insert_with(|| fresh(0));
            if set.template != deployment.template {
                // A rolling update, at its end.
                *set = fresh(set.revision + 1);
            }
            let revision = set.revision;
            let deleted = |i: usize| {
                self.deleted.contains(&(namespace.clone(), pod_name(namespace, name, revision, i)))
            };
            set.pods.retain(|i| !deleted(*i));
            // When there are too many, the youngest go.
            set.pods.truncate(wanted.saturating_sub(there));
            for i in there.. {
                if there + set.pods.len() >= wanted {
                    break;
                }
                if !set.pods.contains(&i) && !deleted(i) {
                    set.pods.push(i);
                }
            }
            for i in &set.pods {
                let mut pod = deployment.template.clone();
                pod.metadata.name = pod_name(namespace, name, revision, *i);
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
}

/// The name of a Deployment's pod: that of its ReplicaSet, and five letters.
fn pod_name(namespace: &str, deployment: &str, revision: u32, number: usize) -> String {
    let of = match revision {
        0 => format!("{namespace}/{deployment}"),
        n => format!("{namespace}/{deployment}/{n}"),
    };
    let set = format!("{deployment}-{}", letters(&of, 10));
    format!("{set}-{}", letters(&format!("{namespace}/{set}/{number}"), 5))
}

/// The slices of Services that have none, and what is new among the pods.
fn finish(objects: &Objects, pods: Map<NamespacedName, Pod>, mut made: Made) -> Made {
    let pods: Vec<Pod> = pods.into_values().collect();
    let mut served: Set<NamespacedName> = objects.endpoints.keys().cloned().collect();
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

impl Addresses {
    /// Gives the pods that run on a node the next free addresses of its networks; the first is the gateway's.
    fn give(&mut self, objects: &Objects, pods: &mut Map<NamespacedName, Pod>, notes: &mut Vec<String>) {
        self.given.retain(|key, (node, _)| pods.get(key).is_some_and(|p| p.node_name == *node));
        let own = pods.values().flat_map(|p| &p.pod_ips);
        let mut used: Set<IpAddr> =
            own.chain(self.given.values().flat_map(|(_, ips)| ips)).copied().collect();
        for (key, pod) in pods.iter_mut() {
            if !pod.pod_ips.is_empty() || pod.node_name.is_empty() {
                continue;
            }
            let (namespace, name) = key;
            let Some(node) = objects.nodes.get(&pod.node_name) else {
                notes.push(format!("Pod {namespace}/{name}: there is no Node {}", pod.node_name));
                pod.ready = false;
                continue;
            };
            if pod.host_network {
                pod.pod_ips.clone_from(&node.internal_ips);
                continue;
            }
            if let Some((_, ips)) = self.given.get(key) {
                pod.pod_ips.clone_from(ips);
                continue;
            }
            for net in &node.pod_cidrs {
                let last = self.last.get(net).copied();
                let free = |ip: &IpAddr| !used.contains(ip);
                let behind = hosts(*net).skip(1).filter(|ip| last.is_none_or(|l| *ip > l)).find(free);
                if let Some(next) = behind.or_else(|| hosts(*net).skip(1).find(free)) {
                    used.insert(next);
                    self.last.insert(*net, next);
                    pod.pod_ips.push(next);
                }
            }
            if pod.pod_ips.is_empty() {
                notes.push(format!("Pod {namespace}/{name}: Node {} has no free address", pod.node_name));
                pod.ready = false;
            } else {
                self.given.insert(key.clone(), (pod.node_name.clone(), pod.pod_ips.clone()));
            }
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
        let mut groups: Map<Vec<Option<u16>>, Vec<Endpoint>> = Map::new();
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
