//! Services whose packets find no socket and no endpoint.

use super::{Met, Tries};
use crate::lab::Begun;
use crate::session::quoted;
use cluster::object::{ClusterIp, Pod, Protocol, Service, ServicePort};
use kernel::event::What;
use kernel::socket::Socket;
use kernel::{DropReason, Netns};
use packet::L4;
use sim::{Entry, World};
use std::net::{IpAddr, Ipv4Addr};

/// Of more pods not every one is tried.
const MAX_OBJECTS: usize = 8;

/// Against the end of a packet that was to come to a Service, or to one of its endpoints.
pub(super) fn against(met: &Met<'_>, tries: &mut Tries) {
    let (Some(begun), Some((protocol, to, port))) = (met.begun, addressed(met)) else { return };
    let reason = met.end.reason;
    let (here, at_node) = (met.ns, met.at_node());
    let pods: Vec<&Pod> = begun.objects.pods.values().collect();
    for service in begun.objects.services.values().filter(|s| !s.selector.is_empty()) {
        for p in &service.ports {
            if p.protocol != protocol {
                if reason == DropReason::NoSocket || reason == DropReason::NetfilterDrop {
                    another_protocol(met, service, p, (protocol, to, port), tries);
                }
                continue;
            }
            let called = p.node_port == port && port != 0 || p.port == port && at(service, to);
            match reason {
                // The port of a node without a Service behind it.
                DropReason::NoSocket if at_node && !called && (30_000..=32_767).contains(&port) => {
                    let spec = format!(
                        "\"type\":\"NodePort\",\"ports\":[{{\"port\":{},\"nodePort\":{port}}}]",
                        p.port
                    );
                    tries.add("", patch(service, &spec));
                }
                // The port of a pod at which nothing waits.
                DropReason::NoSocket
                    if pods
                        .iter()
                        .any(|pod| is(pod, here) && pod.pod_ips.contains(&to) && selects(service, pod)) =>
                {
                    for port in open(here, protocol) {
                        target_port(service, p, port, tries);
                    }
                }
                // A Service without endpoints.
                DropReason::NetfilterDrop | DropReason::IpvsNoServer if called => {
                    let (chosen, others): (Vec<&Pod>, Vec<&Pod>) = pods
                        .iter()
                        .filter(|p| p.metadata.namespace == service.metadata.namespace)
                        .partition(|p| selects(service, p));
                    if !chosen.is_empty() {
                        tries.add("", patch(service, "\"publishNotReadyAddresses\":true"));
                    }
                    for pod in chosen {
                        let sockets =
                            met.world.host_by_name(&pod.metadata.name).and_then(|id| met.world.host(id));
                        for port in sockets.into_iter().flat_map(|ns| open(ns, protocol)) {
                            target_port(service, p, port, tries);
                        }
                    }
                    for pod in others.into_iter().take(MAX_OBJECTS) {
                        if let Some(spec) = selector(service, pod) {
                            tries.add("", patch(service, &spec));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// What kube-proxy writes is written anew on each node on which a packet was.
pub(super) fn written_anew(met: &Met<'_>, tries: &mut Tries) {
    let Some(begun) = met.begun.filter(|b| b.spec.mode.is_some()) else { return };
    for name in begun.objects.nodes.keys().filter(|name| met.passed(name)) {
        tries.add(name, "systemctl restart kube-proxy".to_owned());
    }
}

/// Against a CoreDNS that asks nobody for names that it does not know, or itself: it asks a box outside the cluster that answers such questions.
pub(super) fn names(begun: &Begun, world: &World, within: &[Entry], tries: &mut Tries) {
    let asks = |e: &Entry| match e.what() {
        Some(What::Created { frame, .. }) => {
            frame.ip().is_some_and(|ip| ip.ports().is_some_and(|p| p.1 == DNS))
        }
        _ => false,
    };
    if !within.iter().any(asks) {
        return;
    }
    let outside = |ns: &&Netns| {
        !begun.objects.pods.values().any(|p| p.metadata.name == ns.name)
            && open(ns, Protocol::Udp).contains(&DNS)
    };
    for ns in world.hosts().iter().filter(outside) {
        let addrs = ns.devices().iter().flat_map(|d| &d.addrs).map(|a| a.net.addr());
        for addr in addrs.filter(|a| !a.is_loopback()) {
            for map in begun.objects.config_maps.values() {
                let Some(corefile) = map.data.get("Corefile").filter(|text| !text.contains('\'')) else {
                    continue;
                };
                let (namespace, name) = map.metadata.key();
                let file = quoted(&forwards(corefile, addr));
                let patch = format!("{{\"data\":{{\"Corefile\":{file}}}}}");
                tries.add("", format!("kubectl -n {namespace} patch configmap {name} -p '{patch}'"));
            }
        }
    }
}

const DNS: u16 = 53;

/// A Corefile that forwards to this address: by the lines that forward elsewhere, or by one at the end of its last block.
fn forwards(corefile: &str, to: Ipv4Addr) -> String {
    let line = format!("    forward . {to}");
    let mut lines: Vec<&str> = corefile.lines().collect();
    let mut elsewhere = false;
    for l in lines.iter_mut().filter(|l| l.trim_start().starts_with("forward . ") && !l.ends_with('{')) {
        (*l, elsewhere) = (&line, true);
    }
    if let (false, Some(end)) = (elsewhere, lines.iter().rposition(|l| l.trim() == "}")) {
        lines.insert(end, &line);
    }
    lines.join("\n") + "\n"
}

/// Against a port of the Service that is one of another protocol.
fn another_protocol(
    met: &Met<'_>,
    service: &Service,
    of: &ServicePort,
    (protocol, to, port): (Protocol, IpAddr, u16),
    tries: &mut Tries,
) {
    if of.node_port == port && port != 0 && met.at_node() || of.port == port && at(service, to) {
        let spec = format!(
            "\"ports\":[{{\"port\":{},\"protocol\":\"{}\"}}]",
            of.port,
            protocol.name().to_ascii_uppercase()
        );
        tries.add("", patch(service, &spec));
    }
}

/// To what a packet is addressed.
fn addressed(met: &Met<'_>) -> Option<(Protocol, IpAddr, u16)> {
    let ip = met.end.frame.ip()?;
    match &ip.l4 {
        L4::Tcp(t) => Some((Protocol::Tcp, ip.dst, t.dport)),
        L4::Udp(u) => Some((Protocol::Udp, ip.dst, u.dport)),
        _ => None,
    }
}

fn patch(service: &Service, spec: &str) -> String {
    let (namespace, name) = service.metadata.key();
    format!("kubectl -n {namespace} patch service {name} -p '{{\"spec\":{{{spec}}}}}'")
}

fn target_port(service: &Service, of: &ServicePort, port: u16, tries: &mut Tries) {
    tries.add("", patch(service, &format!("\"ports\":[{{\"port\":{},\"targetPort\":{port}}}]", of.port)));
}

/// This box is the pod's, or the node whose network it has.
fn is(pod: &Pod, here: &Netns) -> bool {
    pod.metadata.name == here.name || pod.host_network
}

/// The ports of a box at which programs wait.
fn open(ns: &Netns, protocol: Protocol) -> Vec<u16> {
    ns.sockets.iter().filter_map(|(_, socket)| waits(socket, protocol)).collect()
}

/// The port at which a program waits for whoever calls.
fn waits(socket: &Socket, protocol: Protocol) -> Option<u16> {
    match (socket, protocol) {
        (Socket::Listen(l), Protocol::Tcp) => Some(l.local.1),
        (Socket::Udp(u), Protocol::Udp) if u.remote.is_none() => Some(u.local.1),
        _ => None,
    }
}

fn at(service: &Service, ip: IpAddr) -> bool {
    matches!(&service.cluster_ip, ClusterIp::Addresses(all) if all.contains(&ip))
}

fn selects(service: &Service, pod: &Pod) -> bool {
    service.metadata.namespace == pod.metadata.namespace
        && service.selector.iter().all(|(key, value)| pod.metadata.labels.get(key) == Some(value))
}

/// A selector that takes this pod, by the keys that the Service asks for already, or else by the pod's first label.
fn selector(service: &Service, pod: &Pod) -> Option<String> {
    let labels = &pod.metadata.labels;
    let mut fields: Vec<String> = Vec::new();
    for key in service.selector.keys() {
        let value = labels.get(key).map_or("null".to_owned(), |v| quoted(v));
        fields.push(format!("{}:{value}", quoted(key)));
    }
    if !service.selector.keys().any(|key| labels.contains_key(key)) {
        let (key, value) = labels.iter().next()?;
        fields.push(format!("{}:{}", quoted(key), quoted(value)));
    }
    Some(format!("\"selector\":{{{}}}", fields.join(",")))
}
