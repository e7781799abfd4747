//! Objects as the API server has them: as they were given, with what it fills in (pkg/apis/core/v1/defaults.go), what controllers have made of
//! them, and what the kubelet tells of pods and nodes. What nothing here asks for is left out.

use super::apply::{get_mut, items_mut, unset};
use super::effect::{Named, Refusal, identity, is, one_document};
use super::rollout::available;
use crate::session::quoted;
use crate::yaml_text::{Layout, yaml};
use cluster::kube_proxy::Version;
use cluster::object::{
    AddressType, ClusterIp, Endpoint, EndpointPort, EndpointSlice, EndpointSubset, Metadata, NamespacedName,
    Node, Objects, Pod, Service, ServiceType, SessionAffinity,
};
use cluster::yaml::{Value, Yaml};
use litemap::LiteMap;
use std::cmp::Ordering;
use std::net::IpAddr;

/// What the API server knows.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    /// The objects as they were given.
    pub documents: &'a [Yaml],
    /// The same as they are read, with what controllers have made.
    pub objects: &'a Objects,
    /// The kubelets' release.
    pub kubelet: Version,
}

impl Stored<'_> {
    /// An object of this kind (in lower-case letters, in the singular), its fields in the order in which kubectl prints them.
    pub fn get(&self, kind: &str, key: &NamespacedName) -> Option<Yaml> {
        let objects = self.objects;
        // What has no namespace is given without one, as what is in the default one may be.
        let namespace = if key.0.is_empty() { "default" } else { &key.0 };
        let named = Named { kind: kind.to_owned(), namespace: namespace.to_owned(), name: key.1.clone() };
        let given = self.documents.iter().find(|d| is(d, &named));
        let mut tree = given.cloned();
        let (head, rest) = match kind {
            "service" => ("v1, kind: Service", service(objects.services.get(key)?)),
            "pod" => {
                let pod = objects.pods.get(key)?;
                tree = tree.or_else(|| self.template(pod));
                ("v1, kind: Pod", self.pod(pod))
            }
            "deployment" => {
                let deployment = objects.deployments.get(key)?;
                let (n, runs) = (deployment.replicas, available(deployment, objects));
                let counts = [
                    ("availableReplicas", runs),
                    ("readyReplicas", runs),
                    ("replicas", n),
                    ("unavailableReplicas", n - runs),
                    ("updatedReplicas", n),
                ];
                let there = counts.iter().filter(|(_, count)| *count > 0);
                let status: String = there.map(|(field, count)| format!("{field}: {count}, ")).collect();
                ("apps/v1, kind: Deployment", format!("spec: {{replicas: {n}}}, status: {{{status}}}"))
            }
            "node" => ("v1, kind: Node", self.node(objects.nodes.get(&key.1)?)),
            "endpointslice" => {
                let slice = objects.endpoint_slices.get(key)?;
                let rest = if tree.is_some() { ports_of(&slice.ports) } else { self.slice(slice) };
                ("discovery.k8s.io/v1, kind: EndpointSlice", rest)
            }
            "endpoints" => {
                let rest = match objects.endpoints.get(key).filter(|_| tree.is_some()) {
                    None => self.endpoints(objects.services.get(key)?),
                    Some(e) => {
                        let subset = |s: &EndpointSubset| format!("{{{}}}, ", of_endpoints(&s.ports));
                        format!("subsets: [{}]", e.subsets.iter().map(subset).collect::<String>())
                    }
                };
                ("v1, kind: Endpoints", rest)
            }
            "configmap" => {
                objects.config_maps.get(key)?;
                ("v1, kind: ConfigMap", String::new())
            }
            _ => {
                let label =
                    format!("metadata: {{labels: {{kubernetes.io/metadata.name: {}}}}}", quoted(&key.1));
                (
                    "v1, kind: Namespace",
                    format!("{label}, spec: {{finalizers: [kubernetes]}}, status: {{phase: Active}}"),
                )
            }
        };
        let mut tree = tree.unwrap_or_else(mapping);
        let namespace = if key.0.is_empty() { "null".to_owned() } else { quoted(&key.0) };
        let name = format!("metadata: {{name: {}, namespace: {namespace}}}", quoted(&key.1));
        for text in [rest, format!("apiVersion: {head}, {name}")] {
            fill(&mut tree, &text);
        }
        match kind {
            "pod" => get_mut(&mut tree, "spec").into_iter().for_each(pod_spec),
            "deployment" => {
                let template = get_mut(&mut tree, "spec").and_then(|spec| get_mut(spec, "template"));
                template.and_then(|t| get_mut(t, "spec")).into_iter().for_each(pod_spec);
            }
            _ => {}
        }
        order(&mut tree);
        Some(tree)
    }

    /// The ReplicaSet that a pod belongs to.
    pub fn replica_set<'p>(&self, pod: &'p Pod) -> Option<&'p str> {
        let Metadata { namespace, name, labels, .. } = &pod.metadata;
        // Its name is that of the Deployment, and what the ReplicaSet's and its own name add.
        let set = name.rsplit_once('-')?.0;
        let key = (namespace.clone(), set.rsplit_once('-')?.0.to_owned());
        let deployment = self.objects.deployments.get(&key)?;
        let given = self.documents.iter().any(|d| identity(d) == ("Pod", namespace, name));
        let selects = deployment.selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        (selects && !given).then_some(set)
    }

    /// What the Deployment that has made a pod says of it.
    fn template(&self, pod: &Pod) -> Option<Yaml> {
        let Pod { metadata, .. } = pod;
        let set = metadata.name.rsplit_once('-')?.0.rsplit_once('-')?.0;
        let of = ("Deployment", metadata.namespace.as_str(), set);
        let template = self.documents.iter().find(|d| identity(d) == of)?.get("spec")?.get("template");
        let mut tree = template?.clone();
        if let Some(metadata) = get_mut(&mut tree, "metadata") {
            unset(metadata, "labels");
        }
        fill(&mut tree, &format!("metadata: {{labels: {{{}}}}}", texts_of(&metadata.labels)));
        Some(tree)
    }

    fn pod(&self, pod: &Pod) -> String {
        let node = self.objects.nodes.get(&pod.node_name);
        let phase = if pod.pod_ips.is_empty() { "Pending" } else { "Running" };
        let ready = if pod.ready && node.is_some() { "True" } else { "False" };
        let host = addresses("host", node.map_or(&[], |n| &n.internal_ips));
        let own = addresses("pod", &pod.pod_ips);
        let of = if pod.node_name.is_empty() {
            String::new()
        } else {
            format!("nodeName: {}", quoted(&pod.node_name))
        };
        format!(
            "spec: {{{of}}}, status: {{conditions: [{{status: '{ready}', type: Ready}}], {host}phase: {phase}, {own}}}"
        )
    }

    fn node(&self, node: &Node) -> String {
        let all: Vec<String> = node.pod_cidrs.iter().map(|net| quoted(&net.to_string())).collect();
        let cidrs = all.first().map(|first| format!("podCIDR: {first}, podCIDRs: [{}]", all.join(", ")));
        format!(
            "spec: {{{}}}, status: {{conditions: [{{status: 'True', type: Ready}}], nodeInfo: {{kubeletVersion: v{}}}}}",
            cidrs.unwrap_or_default(),
            self.kubelet
        )
    }

    /// A slice that the control plane has made (pkg/controller/endpointslice).
    fn slice(&self, slice: &EndpointSlice) -> String {
        let service = self.objects.services.get(&(slice.metadata.namespace.clone(), slice.service.clone()));
        let mut labels = service.map(labels_of).unwrap_or_default();
        labels += &texts_of(&slice.metadata.labels);
        let family = if slice.address_type == AddressType::IPv6 { "IPv6" } else { "IPv4" };
        let endpoint = |e: &Endpoint| {
            let Endpoint { ready, serving, terminating, .. } = e;
            let names =
                |all: &[String]| all.iter().map(|n| format!("{{name: {}}}, ", quoted(n))).collect::<String>();
            let mut hints = String::new();
            for (key, all) in [("forZones", &e.hints.zones), ("forNodes", &e.hints.nodes)] {
                if !all.is_empty() {
                    hints += &format!("{key}: [{}], ", names(all));
                }
            }
            let hints = if hints.is_empty() { hints } else { format!("hints: {{{hints}}}, ") };
            let zone = if e.zone.is_empty() { String::new() } else { format!("zone: {}, ", quoted(&e.zone)) };
            format!(
                "{{addresses: [{}], conditions: {{ready: {ready}, serving: {serving}, terminating: {terminating}}}, {hints}{zone}{}}}",
                e.address.map_or(String::new(), |ip| quoted(&ip.to_string())),
                self.target(slice, e)
            )
        };
        let endpoints: Vec<String> = slice.endpoints.iter().map(endpoint).collect();
        format!(
            "addressType: {family}, endpoints: [{}], metadata: {{generateName: {}, labels: {{{labels}\
             endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}}}}, {}",
            endpoints.join(", "),
            quoted(&format!("{}-", slice.service)),
            ports_of(&slice.ports)
        )
    }

    /// The node of an endpoint, and whose address it is.
    fn target(&self, slice: &EndpointSlice, e: &Endpoint) -> String {
        let namespace = &slice.metadata.namespace;
        let is = |p: &&Pod| {
            p.metadata.namespace == *namespace && e.address.is_some_and(|ip| p.pod_ips.contains(&ip))
        };
        let pod = self.objects.pods.values().find(is).map(|p| quoted(&p.metadata.name));
        let pod = pod.map(|name| {
            format!(", targetRef: {{kind: Pod, name: {name}, namespace: {}}}", quoted(namespace))
        });
        format!("nodeName: {}{}", quoted(&e.node_name), pod.unwrap_or_default())
    }

    /// The Endpoints that the control plane makes beside the slices of a Service's first family (pkg/controller/endpoint).
    fn endpoints(&self, service: &Service) -> String {
        let family = match &service.cluster_ip {
            ClusterIp::Addresses(all) if all.first().is_some_and(IpAddr::is_ipv6) => AddressType::IPv6,
            _ => AddressType::IPv4,
        };
        let mut subsets = String::new();
        for slice in self.objects.endpoint_slices.values() {
            let of = (&slice.metadata.namespace, &slice.service, slice.address_type);
            if of != (&service.metadata.namespace, &service.metadata.name, family) {
                continue;
            }
            subsets += "{";
            for (key, ready) in [("addresses", true), ("notReadyAddresses", false)] {
                let wanted = |e: &&Endpoint| e.ready == ready && (ready || !e.terminating);
                let one = |e: &Endpoint| {
                    let ip = e.address.map_or(String::new(), |ip| quoted(&ip.to_string()));
                    format!("{{ip: {ip}, {}}}, ", self.target(slice, e))
                };
                let all: String = slice.endpoints.iter().filter(wanted).map(one).collect();
                if !all.is_empty() {
                    subsets += &format!("{key}: [{all}], ");
                }
            }
            subsets += &format!("{}}}, ", of_endpoints(&slice.ports));
        }
        let subsets = if subsets.is_empty() { subsets } else { format!(", subsets: [{subsets}]") };
        format!("metadata: {{labels: {{{}}}}}{subsets}", labels_of(service))
    }
}

/// What the endpoints of a Service have of its labels.
fn labels_of(service: &Service) -> String {
    let headless = service.cluster_ip == ClusterIp::None;
    let mut out = String::from(if headless { "service.kubernetes.io/headless: '', " } else { "" });
    out += &texts_of(&service.metadata.labels);
    out
}

/// Entries of a mapping.
fn texts_of(labels: &LiteMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{}: {}, ", quoted(key), quoted(value))).collect()
}

fn ports_of(ports: &[EndpointPort]) -> String {
    let port = |p: &EndpointPort| {
        let number = p.port.map_or(String::new(), |n| format!(", port: {n}"));
        format!(
            "{{name: {}, protocol: {}{number}}}, ",
            quoted(&p.name),
            p.protocol.name().to_ascii_uppercase()
        )
    };
    format!("ports: [{}]", ports.iter().map(port).collect::<String>())
}

/// The same of Endpoints, where an empty name is left out.
fn of_endpoints(ports: &[EndpointPort]) -> String {
    ports_of(ports).replace("name: \"\", ", "")
}

/// The addresses of a pod, or of its host.
fn addresses(whose: &str, all: &[IpAddr]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let list: String = all.iter().map(|ip| format!("{{ip: {}}}, ", quoted(&ip.to_string()))).collect();
    format!("{whose}IP: {}, {whose}IPs: [{list}], ", quoted(&first.to_string()))
}

/// `SetDefaults_Service`, and what pkg/registry/core/service adds of families.
fn service(s: &Service) -> String {
    let mut spec = "sessionAffinity: None, type: ClusterIP".to_owned();
    if s.service_type != ServiceType::ExternalName {
        let ips: Vec<String> = match &s.cluster_ip {
            ClusterIp::Addresses(all) => all.iter().map(ToString::to_string).collect(),
            ClusterIp::None => vec!["None".to_owned()],
            ClusterIp::Unset => Vec::new(),
        };
        let ips: Vec<String> = ips.iter().map(|ip| quoted(ip)).collect();
        let first = ips.first().map(|ip| format!(", clusterIP: {ip}, clusterIPs: [{}]", ips.join(", ")));
        spec += &first.unwrap_or_default();
        let v6 = |ip: &String| if ip.contains(':') { "IPv6" } else { "IPv4" };
        // One without a selector may have endpoints of both.
        let any = s.cluster_ip == ClusterIp::None && s.selector.is_empty();
        let families = match ips.as_slice() {
            _ if any => vec!["IPv4", "IPv6"],
            [] => vec!["IPv4"],
            ips => ips.iter().map(v6).collect(),
        };
        let policy = if families.len() > 1 { "RequireDualStack" } else { "SingleStack" };
        spec += &format!(
            ", internalTrafficPolicy: Cluster, ipFamilies: [{}], ipFamilyPolicy: {policy}",
            families.join(", ")
        );
    }
    let balanced = s.service_type == ServiceType::LoadBalancer;
    if balanced || s.service_type == ServiceType::NodePort || !s.external_ips.is_empty() {
        spec += ", externalTrafficPolicy: Cluster";
    }
    if balanced {
        spec += ", allocateLoadBalancerNodePorts: true";
    }
    if let SessionAffinity::ClientIp(seconds) = s.session_affinity {
        spec += &format!(", sessionAffinityConfig: {{clientIP: {{timeoutSeconds: {seconds}}}}}");
    }
    let ports: String =
        s.ports.iter().map(|p| format!("{{protocol: TCP, targetPort: {}}}, ", p.port)).collect();
    let modes = "{ipMode: VIP}, ".repeat(if balanced { s.ingress.len() } else { 0 });
    let status = if modes.is_empty() { modes } else { format!("ingress: [{modes}]") };
    let ports = if ports.is_empty() { ports } else { format!(", ports: [{ports}]") };
    format!("spec: {{{spec}{ports}}}, status: {{loadBalancer: {{{status}}}}}")
}

/// What of `SetDefaults_PodSpec` somebody asks for here.
fn pod_spec(spec: &mut Yaml) {
    fill(spec, "dnsPolicy: ClusterFirst");
    for key in ["containers", "initContainers"] {
        for container in get_mut(spec, key).map(items_mut).unwrap_or_default() {
            for port in get_mut(container, "ports").map(items_mut).unwrap_or_default() {
                fill(port, "protocol: TCP");
            }
        }
    }
}

/// What the API server says of a pod that is to be another one (`ValidatePodUpdate`, pkg/apis/core/validation).
///
/// # Errors
/// Fields of its spec would change that cannot.
pub fn check_pod_update(before: &Yaml, after: &Yaml) -> Result<(), Refusal> {
    let fixed = |pod: &Yaml| {
        let mut spec = pod.get("spec").cloned().unwrap_or_else(mapping);
        pod_spec(&mut spec);
        for key in ["activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"] {
            unset(&mut spec, key);
        }
        for key in ["containers", "initContainers"] {
            let all = get_mut(&mut spec, key).map(items_mut).unwrap_or_default();
            all.iter_mut().for_each(|container| unset(container, "image"));
        }
        order(&mut spec);
        yaml(&spec, Layout::Kubectl)
    };
    let (kind, _, name) = identity(before);
    if kind != "Pod" || fixed(before) == fixed(after) {
        return Ok(());
    }
    Err(Refusal::Server(format!(
        "The Pod \"{name}\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
         `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
         `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
    )))
}

/// Whether both say the same, wherever that stands.
pub fn same(a: &Yaml, b: &Yaml) -> bool {
    let text = |object: &Yaml| {
        let mut object = object.clone();
        order(&mut object);
        yaml(&object, Layout::Kubectl)
    };
    text(a) == text(b)
}

/// An empty one.
fn mapping() -> Yaml {
    Yaml { place: Default::default(), value: Value::Mapping(Vec::new()), literal: false }
}

/// Adds the fields of a text that a tree lacks; lists are gone through together.
fn fill(tree: &mut Yaml, text: &str) {
    if let Ok(more) = one_document(&format!("{{{text}}}")) {
        add(tree, more);
    }
}

fn add(into: &mut Yaml, more: Yaml) {
    match (&mut into.value, more.value) {
        (Value::Mapping(have), Value::Mapping(more)) => {
            for e in more {
                match have.iter_mut().find(|h| h.key == e.key) {
                    Some(h) if !h.value.is_null() => add(&mut h.value, e.value),
                    Some(h) => h.value = e.value,
                    None => have.push(e),
                }
            }
        }
        (Value::Sequence(have), Value::Sequence(more)) => {
            have.iter_mut().zip(more).for_each(|(have, more)| add(have, more));
        }
        _ => {}
    }
}

/// The order in which go-yaml writes keys (sorter.go): where two begin to differ letters come behind all other signs, and digits count as
/// numbers.
fn key_order(a: &str, b: &str) -> Ordering {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let (left, right) = (|| a.chars().skip(same), || b.chars().skip(same));
    let (Some(l), Some(r)) = (left().next(), right().next()) else { return a.len().cmp(&b.len()) };
    if l.is_ascii_alphabetic() || r.is_ascii_alphabetic() {
        return (l.is_ascii_alphabetic(), l).cmp(&(r.is_ascii_alphabetic(), r));
    }
    // A zero behind other digits is one of theirs.
    let before = a.chars().take(same).collect::<Vec<_>>();
    let behind = before.iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
    let begin = u64::from(behind && (l == '0' || r == '0'));
    let number = |rest: &mut dyn Iterator<Item = char>| {
        let digits = rest.map_while(|c| c.to_digit(10));
        digits.fold((begin, 0), |(n, length), d| (n.wrapping_mul(10).wrapping_add(u64::from(d)), length + 1))
    };
    (number(&mut left()), l).cmp(&(number(&mut right()), r))
}

/// Fields in the order of [`key_order`]. What is nothing is left out, and so are this program's annotations.
fn order(at: &mut Yaml) {
    match &mut at.value {
        Value::Mapping(entries) => {
            entries.retain(|e| !e.value.is_null() && !e.key.starts_with("netfilter-lab/"));
            entries.iter_mut().for_each(|e| order(&mut e.value));
            let empty = |v: &Yaml| matches!(&v.value, Value::Mapping(all) if all.is_empty());
            entries.retain(|e| !(["annotations", "labels"].contains(&e.key.as_str()) && empty(&e.value)));
            sorted::sort_by(entries, |a, b| key_order(&a.key, &b.key));
        }
        Value::Sequence(items) => items.iter_mut().for_each(order),
        Value::Plain(_) | Value::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::key_order;

    /// The order that go-yaml's own test has (sorter_test.go).
    #[test]
    fn keys_stand_as_go_yaml_writes_them() {
        let keys = "|.1|.2|.a|1|2|a!10|a/0001|a/002|a/3|a/10|a/11|a/0012|a/100|a~10|ab/1|b/1|b/01|b/2|b/02|b/3|b/03|b1|b01|b3|\
                    c2.10|c10.2|d1|d7|d7abc|d12|d12a";
        let mut sorted: Vec<&str> = keys.split('|').rev().collect();
        sorted.sort_by(|a, b| key_order(a, b));
        assert_eq!(sorted.join("|"), keys);
    }
}
