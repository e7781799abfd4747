//! Which endpoints a Service port has on this node (pkg/proxy/endpointslicecache.go, pkg/proxy/topology.go).

use super::config::{Config, Family};
use super::service_port::ServicePortInfo;
use crate::object::{
    AddressType, Endpoint, EndpointPort, EndpointSlice, Endpoints, Hints, NamespacedName, Objects, Protocol,
};
use litemap::LiteMap;
use std::net::IpAddr;

/// An endpoint of a Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointInfo {
    /// Address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
    /// `address:port`, in brackets for IPv6.
    pub text: String,
    /// It is on this node.
    pub local: bool,
    /// It takes new connections.
    pub ready: bool,
    /// It answers, even if it is about to end.
    pub serving: bool,
    /// It is about to end.
    pub terminating: bool,
    /// Who should use it.
    pub hints: Hints,
}

/// The EndpointSlices and Endpoints of each Service.
#[derive(Default)]
pub(super) struct ByService<'o> {
    slices: LiteMap<NamespacedName, Vec<&'o EndpointSlice>>,
    endpoints: LiteMap<NamespacedName, &'o Endpoints>,
    family: Family,
    prefers_slices: bool,
}

impl<'o> ByService<'o> {
    /// Sorts the objects by Service.
    pub fn new(config: &Config, family: Family, objects: &'o Objects) -> ByService<'o> {
        let mut all =
            ByService { family, prefers_slices: config.features().endpoint_slices, ..ByService::default() };
        let wanted = if family == Family::V4 { AddressType::IPv4 } else { AddressType::IPv6 };
        for slice in objects.endpoint_slices.values() {
            if slice.address_type == wanted && !slice.service.is_empty() {
                let key = (slice.metadata.namespace.clone(), slice.service.clone());
                if let Some(list) = all.slices.get_mut(&key) {
                    list.push(slice);
                } else {
                    all.slices.insert(key, vec![slice]);
                }
            }
        }
        for e in objects.endpoints.values() {
            all.endpoints.insert(e.metadata.key(), e);
        }
        all
    }

    /// The slices of a Service, in the order of their names.
    pub fn slices(&self, service: &NamespacedName) -> &[&'o EndpointSlice] {
        self.slices.get(service).map_or(&[], Vec::as_slice)
    }

    /// The Endpoints of a Service.
    pub fn endpoints(&self, service: &NamespacedName) -> Option<&'o Endpoints> {
        self.endpoints.get(service).copied()
    }

    /// The endpoints of a Service port, whatever their state.
    ///
    /// A cluster has both kinds of object for each Service. If only one is given, it stands for the other.
    pub fn of(&self, config: &Config, service: &ServicePortInfo) -> Vec<EndpointInfo> {
        let slices = self.slices(&service.service);
        let endpoints = self.endpoints(&service.service);
        let mut found = Found { config, list: LiteMap::new(), order: Vec::new() };
        match endpoints {
            Some(endpoints) if slices.is_empty() || !self.prefers_slices => {
                for subset in &endpoints.subsets {
                    for port in matching(&subset.ports, &service.port_name, service.protocol) {
                        for a in subset.addresses.iter().filter(|a| self.family.has(a.ip)) {
                            found.add(ready_endpoint(a.ip, &a.node_name), port);
                        }
                    }
                }
            }
            _ => {
                for slice in slices {
                    for port in matching(&slice.ports, &service.port_name, service.protocol) {
                        for e in &slice.endpoints {
                            found.add(e.clone(), port);
                        }
                    }
                }
            }
        }
        // Endpoints were never sorted by kube-proxy; what it makes of EndpointSlices is.
        if self.prefers_slices || endpoints.is_none() {
            return found.list.into_iter().map(|(_, e)| e).collect();
        }
        let Found { order, mut list, .. } = found;
        order.iter().filter_map(|text| list.remove(text)).collect()
    }
}

/// The ports with a number that belong to a Service port.
fn matching(ports: &[EndpointPort], name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
    ports.iter().filter(move |p| p.name == name && p.protocol == protocol).filter_map(|p| p.port)
}

fn ready_endpoint(ip: IpAddr, node_name: &str) -> Endpoint {
    Endpoint {
        address: Some(ip),
        ready: true,
        serving: true,
        terminating: false,
        node_name: node_name.to_owned(),
        zone: String::new(),
        hints: Hints::default(),
    }
}

struct Found<'c> {
    config: &'c Config,
    list: LiteMap<String, EndpointInfo>,
    /// The keys as they came.
    order: Vec<String>,
}

impl Found<'_> {
    /// An address may be in two slices for a moment; the first counts, unless a later one is local.
    fn add(&mut self, e: Endpoint, port: u16) {
        let Some(ip) = e.address else { return };
        let text = match ip {
            IpAddr::V4(ip) => format!("{ip}:{port}"),
            IpAddr::V6(ip) => format!("[{ip}]:{port}"),
        };
        let local = !e.node_name.is_empty() && e.node_name == self.config.node_name;
        let known = self.list.contains_key(&text);
        if known && !local {
            return;
        }
        if !known {
            self.order.push(text.clone());
        }
        let Endpoint { ready, serving, terminating, hints, .. } = e;
        let info = EndpointInfo { ip, port, text: text.clone(), local, ready, serving, terminating, hints };
        self.list.insert(text, info);
    }
}

/// The endpoints that this node uses for a Service port.
#[derive(Clone, Debug, Default)]
pub(super) struct Usable {
    /// For traffic with the policy Cluster.
    pub cluster: Vec<EndpointInfo>,
    /// For traffic with the policy Local.
    pub local: Vec<EndpointInfo>,
    /// All that either uses, sorted.
    pub reachable: Vec<EndpointInfo>,
    /// There is an endpoint somewhere, if not for this node.
    pub any: bool,
}

/// Chooses endpoints (`CategorizeEndpoints`).
pub(super) fn usable(config: &Config, service: &ServicePortInfo, all: &[EndpointInfo]) -> Usable {
    let falls_back = config.features().terminating_endpoints;
    let ready = |e: &EndpointInfo| e.ready;
    let fading = |e: &EndpointInfo| falls_back && !e.ready && e.serving && e.terminating;
    let mut usable = Usable { any: all.iter().any(|e| ready(e) || fading(e)), ..Usable::default() };
    if service.uses_cluster_endpoints() {
        let topology = topology(config, service, all);
        usable.cluster = select(all, |e| ready(e) && topology.allows(config, e));
        if usable.cluster.is_empty() {
            usable.cluster = select(all, fading);
        }
    }
    if service.uses_local_endpoints() {
        usable.local = select(all, |e| e.local && ready(e));
        if usable.local.is_empty() {
            usable.local = select(all, |e| e.local && fading(e));
        }
    }
    usable.reachable = merge(&usable.cluster, &usable.local);
    usable
}

/// The union of two sorted parts of one list.
fn merge(cluster: &[EndpointInfo], local: &[EndpointInfo]) -> Vec<EndpointInfo> {
    if local.is_empty() {
        return cluster.to_vec();
    }
    let mut union: LiteMap<&str, &EndpointInfo> = LiteMap::new();
    for e in cluster.iter().chain(local) {
        union.insert(&e.text, e);
    }
    union.values().map(|e| (*e).clone()).collect()
}

fn select(all: &[EndpointInfo], wanted: impl Fn(&EndpointInfo) -> bool) -> Vec<EndpointInfo> {
    all.iter().filter(|e| wanted(e)).cloned().collect()
}

/// Whose hints count (`topologyModeFromHints`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Ignored,
    SameNode,
    SameZone,
}

impl Topology {
    fn allows(self, config: &Config, e: &EndpointInfo) -> bool {
        match self {
            Topology::Ignored => true,
            Topology::SameNode => e.hints.nodes.contains(&config.node_name),
            Topology::SameZone => e.hints.zones.iter().any(|z| z == config.zone()),
        }
    }
}

/// Hints are used only if every ready endpoint has one and one of them is for this node.
fn topology(config: &Config, service: &ServicePortInfo, all: &[EndpointInfo]) -> Topology {
    let mut modes = vec![Topology::SameZone];
    if config.features().hints_always {
        modes.insert(0, Topology::SameNode);
    }
    if !service.uses_hints {
        return Topology::Ignored;
    }
    let ready = || all.iter().filter(|e| e.ready);
    modes
        .into_iter()
        .find(|mode| {
            let hinted = |e: &EndpointInfo| match mode {
                Topology::SameNode => !e.hints.nodes.is_empty(),
                _ => !e.hints.zones.is_empty(),
            };
            let placed = *mode == Topology::SameNode || !config.zone().is_empty();
            placed && ready().all(hinted) && ready().any(|e| mode.allows(config, e))
        })
        .unwrap_or(Topology::Ignored)
}

/// The ready endpoints that hints leave over.
pub(super) fn hinted(config: &Config, service: &ServicePortInfo, all: &[EndpointInfo]) -> Vec<EndpointInfo> {
    let topology = topology(config, service, all);
    select(all, |e| e.ready && topology.allows(config, e))
}

#[cfg(test)]
mod tests {
    use super::{ByService, usable};
    use crate::kube_proxy::{Config, Family, service_port::service_ports};
    use crate::{Objects, read_objects};

    /// What a node in zone a uses: policies, endpoints as `STATE ON [HINTS]` -> cluster, local, all, any.
    fn used(policies: &str, endpoints: &[&str]) -> (String, String, String, bool) {
        let mut text = format!(
            "kind: Service\nmetadata: {{name: s}}\nspec:\n  clusterIP: 10.0.0.1\n  ports: [{{port: 80, nodePort: 30080}}]\n  \
             type: NodePort\n{policies}---\nkind: EndpointSlice\nmetadata: {{name: s-1, labels: {{kubernetes.io/service-name: s}}}}\n\
             addressType: IPv4\nports: [{{port: 1}}]\nendpoints:\n"
        );
        for (i, e) in endpoints.iter().enumerate() {
            let words: Vec<&str> = e.split(' ').collect();
            let (ready, serving, terminating) = match words[0] {
                "ready" => (true, true, false),
                "fading" => (false, true, true),
                _ => (false, false, false),
            };
            text += &format!(
                "- {{addresses: [10.1.0.{i}], nodeName: {}, conditions: {{ready: {ready}, serving: {serving}, terminating: {terminating}}}",
                words[1]
            );
            match words.get(2) {
                Some(zone) => text += &format!(", hints: {{forZones: [{{name: {zone}}}]}}}}\n"),
                None => text += "}\n",
            }
        }
        let mut objects = Objects::default();
        read_objects(&text).unwrap().into_iter().for_each(|o| objects.apply(o));
        let mut config = Config::default();
        config.topology_labels.insert("topology.kubernetes.io/zone".to_owned(), "a".to_owned());
        let services = service_ports(&config, Family::V4, &objects);
        let service = services.first().unwrap().1;
        let all = ByService::new(&config, Family::V4, &objects).of(&config, service);
        let usable = usable(&config, service, &all);
        let last = |list: &[super::EndpointInfo]| -> String {
            list.iter().map(|e| e.ip.to_string().chars().last().unwrap()).collect()
        };
        (last(&usable.cluster), last(&usable.local), last(&usable.reachable), usable.any)
    }

    #[test]
    fn endpoints_are_chosen() {
        let external = "  externalTrafficPolicy: Local\n";
        let internal = "  internalTrafficPolicy: Local\n";
        for (policies, endpoints, cluster, local, all, any) in [
            ("", &["ready node1", "ready node2"][..], "01", "", "01", true),
            ("", &["down node1"], "", "", "", false),
            ("", &["fading node1", "ready node2"], "1", "", "1", true),
            ("", &["fading node1", "fading node2", "down node2"], "01", "", "01", true),
            (external, &["ready node1", "ready node2"], "01", "0", "01", true),
            (external, &["ready node2"], "0", "", "0", true),
            // A local endpoint that ends is used for local traffic although others are ready.
            (external, &["fading node1", "ready node2"], "1", "0", "01", true),
            (external, &["ready node1", "fading node1"], "0", "0", "0", true),
            (internal, &["ready node1", "ready node2"], "01", "0", "01", true),
            ("", &["ready node1 a", "ready node2 b"], "0", "", "0", true),
            ("", &["ready node1 b", "ready node2 b"], "01", "", "01", true),
            ("", &["ready node1 a", "ready node2"], "01", "", "01", true),
            // Hints of endpoints that are not ready do not count.
            ("", &["ready node1 a", "down node2"], "0", "", "0", true),
            (external, &["ready node1 b", "ready node2 a"], "1", "0", "01", true),
        ] {
            let wanted = (cluster.to_owned(), local.to_owned(), all.to_owned(), any);
            assert_eq!(used(policies, endpoints), wanted, "{policies}{endpoints:?}");
        }
    }
}
