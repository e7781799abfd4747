//! What the control plane makes of manifests: pods of Deployments (pkg/controller/deployment, replicaset), their nodes (a scheduler
//! that spreads pods), their addresses (the kubelet with host-local), and EndpointSlices of Services that have none
//! (pkg/controller/endpointslice).
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
    /// Pods of Deployments, and given pods that got a node or an address.
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
    /// The labels of pods of Deployments that somebody has changed.
    labels: Map<NamespacedName, Labels>,
    /// Pods that no Deployment has any more, as their labels are others.
    released: Map<NamespacedName, Released>,
    /// The nodes that the scheduler has chosen.
    nodes: Map<NamespacedName, String>,
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

/// A pod that a Deployment had.
#[derive(Clone, Debug)]
struct Released {
    pod: Pod,
    deployment: NamespacedName,
    /// That of its ReplicaSet.
    revision: u32,
    /// Its number there.
    number: usize,
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
        let known = self.has(pod);
        if known {
            self.released.remove(pod);
            self.deleted.insert(pod.clone());
        }
        known
    }

    /// A pod of this name was made here.
    pub fn has(&self, pod: &NamespacedName) -> bool {
        let of = |((namespace, name), set): (&NamespacedName, &ReplicaSet)| {
            let names = set.pods.iter().map(|i| pod_name(namespace, name, set.revision, *i));
            *namespace == pod.0 && names.into_iter().any(|n| n == pod.1)
        };
        self.released.contains_key(pod) || self.sets.iter().any(of)
    }

    /// A pod that was made here has these labels from now on. If its Deployment does not select them it is no pod of it any more, and
    /// another one is made in its place.
    pub fn relabel(&mut self, pod: &NamespacedName, labels: Labels) {
        match self.released.get_mut(pod) {
            Some(released) => released.pod.metadata.labels = labels,
            None => {
                self.labels.insert(pod.clone(), labels);
            }
        }
    }

    /// Does the control plane's work after a change.
    pub fn run(&mut self, objects: &Objects) -> Made {
        let mut made = Made::default();
        let mut pods: Map<NamespacedName, Pod> =
            objects.pods.iter().map(|(key, pod)| (key.clone(), pod.clone())).collect();
        // The pods of a node go with it, whoever has chosen the node.
        let given = self.addresses.given.iter().map(|(key, (node, _))| (key, node));
        let lost = self.nodes.iter().chain(given).filter(|(_, node)| objects.nodes.get(*node).is_none());
        for key in lost.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.delete(&key);
        }
        let own = self.deployments(objects);
        let keys: Vec<NamespacedName> = own.iter().map(|pod| pod.metadata.key()).collect();
        pods.extend(own.into_iter().map(|pod| (pod.metadata.key(), pod)));
        self.schedule(objects, &keys, &mut pods, &mut made.notes);
        self.addresses.give(objects, &mut pods, &mut made.notes);
        finish(objects, pods, made)
    }

    /// The pods that Deployments lack.
    fn deployments(&mut self, objects: &Objects) -> Vec<Pod> {
        let mut made = Vec::new();
        self.sets.retain(|key, _| objects.deployments.get(key).is_some());
        for (key, deployment) in objects.deployments.iter() {
            let (namespace, name) = key;
            if let Some(set) = self.sets.get_mut(key) {
                release(set, deployment, &mut self.labels, &mut self.released);
            }
            self.adopt(key, deployment);
            let there = objects
                .pods
                .values()
                .chain(self.released.values().map(|released| &released.pod))
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
            let released = |i: usize| {
                self.released.contains_key(&(namespace.clone(), pod_name(namespace, name, revision, i)))
            };
            set.pods.retain(|i| !deleted(*i) && !released(*i));
            // When there are too many, the youngest go.
            set.pods.truncate(wanted.saturating_sub(there));
            for i in there.. {
                if there + set.pods.len() >= wanted {
                    break;
                }
                if !set.pods.contains(&i) && !deleted(i) && !released(i) {
                    set.pods.push(i);
                }
            }
            for i in &set.pods {
                let mut pod = deployment.template.clone();
                pod.metadata.name = pod_name(namespace, name, revision, *i);
                if let Some(labels) = self.labels.get(&pod.metadata.key()) {
                    pod.metadata.labels.clone_from(labels);
                }
                pod.ready = true;
                made.push(pod);
            }
        }
        made.extend(self.released.values().map(|released| released.pod.clone()));
        made
    }

    /// Pods that a Deployment had, and selects again, are its pods again. Those of an older template go: their ReplicaSet has none.
    fn adopt(&mut self, key: &NamespacedName, deployment: &crate::object::Deployment) {
        let back =
            |r: &Released| r.deployment == *key && matches(&deployment.selector, &r.pod.metadata.labels);
        let all: Vec<NamespacedName> =
            self.released.iter().filter(|(_, r)| back(r)).map(|(key, _)| key.clone()).collect();
        for pod in all {
            let Some(released) = self.released.remove(&pod) else { continue };
            let own = |set: &&mut ReplicaSet| {
                set.revision == released.revision && set.template == deployment.template
            };
            match self.sets.get_mut(key).filter(own) {
                Some(set) => {
                    set.pods.push(released.number);
                    sorted::sort(&mut set.pods);
                    self.labels.insert(pod, released.pod.metadata.labels);
                }
                None => {
                    self.deleted.insert(pod);
                }
            }
        }
    }

    /// Gives pods a node that have none, those of Deployments (`made`) first: one with the fewest pods of the same labels, then with the
    /// fewest pods, then the first by name. That is what the scheduler's defaults come to where nodes and pods are alike
    /// (pkg/scheduler/framework/plugins: podtopologyspread, noderesources).
    fn schedule(
        &mut self,
        objects: &Objects,
        made: &[NamespacedName],
        pods: &mut Map<NamespacedName, Pod>,
        notes: &mut Vec<String>,
    ) {
        self.nodes.retain(|key, node| pods.contains_key(key) && objects.nodes.get(node).is_some());
        for (key, node) in self.nodes.iter() {
            if let Some(pod) = pods.get_mut(key).filter(|p| p.node_name.is_empty()) {
                pod.node_name.clone_from(node);
            }
        }
        let mut load = Load {
            nodes: objects
                .nodes
                .values()
                .filter(|n| n.takes_pods)
                .map(|n| n.metadata.name.as_str())
                .collect(),
            counts: Vec::new(),
        };
        let given = objects.pods.keys().cloned();
        for key in made.iter().cloned().chain(given) {
            let Some(pod) = pods.get(&key).filter(|pod| pod.node_name.is_empty()) else { continue };
            let node = if pod.waits { None } else { load.least(pod, pods) };
            let Some(pod) = pods.get_mut(&key) else { continue };
            match node {
                Some(node) => {
                    load.add(node, &pod.metadata.labels);
                    pod.node_name = node.to_owned();
                    self.nodes.insert(key, pod.node_name.clone());
                }
                None => {
                    pod.ready = false;
                    notes.push(format!("Pod {}/{} waits for a node", key.0, key.1));
                }
            }
        }
    }
}

type Labels = LiteMap<String, String>;

/// How many pods the nodes have that take pods.
struct Load<'a> {
    nodes: Vec<&'a str>,
    /// How many there are on each node: of those with these labels, or of all.
    counts: Vec<(Option<Labels>, Vec<usize>)>,
}

impl<'a> Load<'a> {
    /// The node that is to have this pod.
    fn least(&mut self, pod: &Pod, pods: &Map<NamespacedName, Pod>) -> Option<&'a str> {
        let alike = self.of(Some(&pod.metadata.labels), pods);
        let all = self.of(None, pods);
        let at = (0..self.nodes.len()).min_by_key(|i| (alike.get(*i).copied(), all.get(*i).copied()))?;
        self.nodes.get(at).copied()
    }

    fn of(&mut self, labels: Option<&Labels>, pods: &Map<NamespacedName, Pod>) -> Vec<usize> {
        if let Some((_, counts)) = self.counts.iter().find(|(l, _)| l.as_ref() == labels) {
            return counts.clone();
        }
        let here = |node: &&str| {
            let counted = |p: &&Pod| p.node_name == **node && labels.is_none_or(|l| p.metadata.labels == *l);
            pods.values().filter(counted).count()
        };
        let counts: Vec<usize> = self.nodes.iter().map(here).collect();
        self.counts.push((labels.cloned(), counts.clone()));
        counts
    }

    fn add(&mut self, node: &str, labels: &Labels) {
        let at = self.nodes.iter().position(|n| *n == node);
        for (_, counts) in self.counts.iter_mut().filter(|(l, _)| l.as_ref().is_none_or(|l| l == labels)) {
            if let Some(count) = at.and_then(|i| counts.get_mut(i)) {
                *count += 1;
            }
        }
    }
}

/// Pods whose labels a Deployment does not select any more are on their own.
fn release(
    set: &mut ReplicaSet,
    deployment: &crate::object::Deployment,
    labels: &mut Map<NamespacedName, Labels>,
    released: &mut Map<NamespacedName, Released>,
) {
    let deployment_key = deployment.metadata.key();
    let (namespace, name) = &deployment_key;
    for i in set.pods.clone() {
        let key = (namespace.clone(), pod_name(namespace, name, set.revision, i));
        if let Some(own) = labels.get(&key).filter(|own| !matches(&deployment.selector, own)) {
            let mut pod = set.template.clone();
            pod.metadata.name.clone_from(&key.1);
            pod.metadata.labels.clone_from(own);
            pod.ready = true;
            labels.remove(&key);
            let (deployment, revision) = (deployment_key.clone(), set.revision);
            released.insert(key, Released { pod, deployment, revision, number: i });
        }
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
