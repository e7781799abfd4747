//! Which endpoints a Service port has on this node (pkg/proxy/endpointslicecache.go, pkg/proxy/topology.go).

use super::config::{Config, Family};
use super::service_port::ServicePortInfo;
use super::tracker::Known;
use crate::object::{Endpoint, EndpointPort, Hints, Protocol};
use core::fmt::Write;
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

impl EndpointInfo {
    fn new(ip: IpAddr, port: u16, local: bool, e: &Endpoint) -> EndpointInfo {
        let Endpoint { ready, serving, terminating, .. } = *e;
        EndpointInfo {
            ip,
            port,
            text: socket(ip, port),
            local,
            ready,
            serving,
            terminating,
            hints: e.hints.clone(),
        }
    }

    /// The address as text.
    pub fn host(&self) -> &str {
        let host = self.text.rsplit_once(':').map_or("", |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }
}

/// `address:port`, in brackets for IPv6.
pub(super) fn socket(ip: IpAddr, port: u16) -> String {
    const LONGEST: usize = "255.255.255.255:65535".len();
    let mut text = String::with_capacity(LONGEST);
    match ip {
        IpAddr::V4(ip) => {
            for (i, byte) in ip.octets().into_iter().enumerate() {
                if i > 0 {
                    text.push('.');
                }
                digits(u16::from(byte), &mut text);
            }
        }
        // A String takes everything.
        IpAddr::V6(ip) => drop(write!(text, "[{ip}]")),
    }
    text.push(':');
    digits(port, &mut text);
    text
}

/// A number. Each endpoint has five, and `write!` takes four times as long.
fn digits(number: u16, out: &mut String) {
    let mut unit = 10_000;
    while unit > 1 && number < unit {
        unit /= 10;
    }
    while unit > 0 {
        out.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

/// The endpoints of a Service port, whatever their state, sorted by their text.
///
/// A cluster has both EndpointSlices and Endpoints for each Service. If only one kind is given, it stands for the other.
pub(super) fn endpoints_of(
    config: &Config,
    family: Family,
    known: &Known,
    service: &ServicePortInfo,
) -> Vec<EndpointInfo> {
    let prefers_slices = config.features().endpoint_slices;
    let has_slices = known.slices(family).next().is_some();
    let local = |name: &str| !name.is_empty() && name == config.node_name;
    let mut found = Vec::new();
    match &known.endpoints {
        Some(endpoints) if !has_slices || !prefers_slices => {
            for subset in &endpoints.subsets {
                for port in matching(&subset.ports, &service.port_name, service.protocol) {
                    for a in subset.addresses.iter().filter(|a| family.has(a.ip)) {
                        found.push(EndpointInfo::new(a.ip, port, local(&a.node_name), &READY));
                    }
                }
            }
            // Endpoints were never sorted by kube-proxy; what it makes of EndpointSlices is.
            if !prefers_slices {
                return without_repetitions(found);
            }
        }
        _ => {
            for slice in known.slices(family) {
                for port in matching(&slice.ports, &service.port_name, service.protocol) {
                    for e in &slice.endpoints {
                        let Some(ip) = e.address else { continue };
                        found.push(EndpointInfo::new(ip, port, local(&e.node_name), e));
                    }
                }
            }
        }
    }
    // Equal ones keep their order.
    sorted::sort_by(&mut found, |a, b| a.text.cmp(&b.text));
    found.dedup_by(|later, first| {
        let same = later.text == first.text;
        if same && later.local {
            core::mem::swap(later, first);
        }
        same
    });
    found
}

/// An address may be in two slices for a moment; the first counts, unless a later one is local.
fn without_repetitions(found: Vec<EndpointInfo>) -> Vec<EndpointInfo> {
    let mut kept: Vec<EndpointInfo> = Vec::new();
    for e in found {
        match kept.iter_mut().find(|k| k.text == e.text) {
            Some(known) if e.local => *known = e,
            Some(_) => {}
            None => kept.push(e),
        }
    }
    kept
}

/// The ports with a number that belong to a Service port.
fn matching(ports: &[EndpointPort], name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
    ports.iter().filter(move |p| p.name == name && p.protocol == protocol).filter_map(|p| p.port)
}

/// The state of every address of Endpoints.
const READY: Endpoint = Endpoint {
    address: None,
    ready: true,
    serving: true,
    terminating: false,
    node_name: String::new(),
    zone: String::new(),
    hints: Hints { zones: Vec::new(), nodes: Vec::new() },
};

/// The endpoints that this node uses for a Service port.
#[derive(Clone, Debug, Default)]
pub(super) struct Usable<'e> {
    /// For traffic with the policy Cluster.
    pub cluster: Vec<&'e EndpointInfo>,
    /// For traffic with the policy Local.
    pub local: Vec<&'e EndpointInfo>,
    /// All that either uses, sorted.
    pub reachable: Vec<&'e EndpointInfo>,
    /// There is an endpoint somewhere, if not for this node.
    pub any: bool,
}

/// Chooses endpoints (`CategorizeEndpoints`).
pub(super) fn usable<'e>(config: &Config, service: &ServicePortInfo, all: &'e [EndpointInfo]) -> Usable<'e> {
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
fn merge<'e>(cluster: &[&'e EndpointInfo], local: &[&'e EndpointInfo]) -> Vec<&'e EndpointInfo> {
    let mut union = cluster.to_vec();
    if !local.is_empty() {
        union.extend(local);
        sorted::sort_by(&mut union, |a, b| a.text.cmp(&b.text));
        union.dedup_by(|a, b| a.text == b.text);
    }
    union
}

fn select(all: &[EndpointInfo], wanted: impl Fn(&EndpointInfo) -> bool) -> Vec<&EndpointInfo> {
    all.iter().filter(|e| wanted(e)).collect()
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
    let nodes = config.features().hints_always.then_some(Topology::SameNode);
    if !service.uses_hints {
        return Topology::Ignored;
    }
    let ready = || all.iter().filter(|e| e.ready);
    nodes
        .into_iter()
        .chain([Topology::SameZone])
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
pub(super) fn hinted<'e>(
    config: &Config,
    service: &ServicePortInfo,
    all: &'e [EndpointInfo],
) -> Vec<&'e EndpointInfo> {
    let topology = topology(config, service, all);
    select(all, |e| e.ready && topology.allows(config, e))
}

#[cfg(test)]
mod tests {
    use super::{socket, usable};
    use crate::kube_proxy::tracker::{Cache, Ports};
    use crate::kube_proxy::{Config, Family};
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
        let ports = Ports::all(&config, Family::V4, &Cache::of(&objects));
        let port = ports.ports.first_key_value().unwrap().1;
        let usable = usable(&config, &port.info, &port.endpoints);
        let last = |list: &[&super::EndpointInfo]| -> String {
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

    #[test]
    fn sockets_are_those_of_the_standard_library() {
        for text in
            ["0.0.0.0:0", "10.0.100.9:65535", "255.1.20.99:80", "[fd00::1]:8080", "[::ffff:1.2.3.4]:9"]
        {
            let wanted: std::net::SocketAddr = text.parse().unwrap();
            assert_eq!(socket(wanted.ip(), wanted.port()), wanted.to_string());
        }
    }
}
