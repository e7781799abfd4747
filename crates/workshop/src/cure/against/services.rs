//! Services whose packets find no socket and no endpoint.

use super::{Met, typed};
use crate::session::{Typed, quoted};
use cluster::object::{ClusterIp, Pod, Protocol, Service, ServicePort};
use kernel::socket::Socket;
use kernel::{DropReason, Netns};
use packet::L4;
use std::net::IpAddr;

/// Of more pods or Services not every one is tried.
const MAX_OBJECTS: usize = 8;

/// Against the end of a packet that was to come to a Service, or to one of its endpoints.
pub(super) fn against(met: &Met<'_>) -> Vec<Typed> {
    let Some(begun) = met.begun else { return Vec::new() };
    let Some((protocol, to, port)) = addressed(met) else { return Vec::new() };
    let services = || begun.objects.services.values().filter(|s| !s.selector.is_empty());
    let mut out = Vec::new();
    match met.end.reason {
        DropReason::NoSocket if met.at_node() => {
            let shut = |s: &&Service| s.ports.iter().all(|p| p.node_port != port);
            for service in services().filter(shut).take(MAX_OBJECTS) {
                let wanted = |p: &&ServicePort| p.protocol == protocol;
                let ports = service.ports.iter().find(wanted).filter(|_| (30_000..=32_767).contains(&port));
                out.extend(ports.map(|p| {
                    let ports = format!("[{{\"port\":{},\"nodePort\":{port}}}]", p.port);
                    patch(service, &format!("\"type\":\"NodePort\",\"ports\":{ports}"))
                }));
            }
        }
        DropReason::NoSocket => {
            for service in services() {
                let here =
                    begun.objects.pods.values().any(|p| p.pod_ips.contains(&to) && selects(service, p));
                let wanted = |p: &&ServicePort| p.protocol == protocol;
                for (p, open) in service
                    .ports
                    .iter()
                    .filter(wanted)
                    .flat_map(|p| open(met.ns, protocol).map(move |o| (p, o)))
                {
                    if here {
                        let ports = format!("\"ports\":[{{\"port\":{},\"targetPort\":{open}}}]", p.port);
                        out.push(patch(service, &ports));
                    }
                }
            }
        }
        DropReason::NetfilterDrop | DropReason::IpvsNoServer => {
            let called = |p: &ServicePort, s: &Service| {
                p.protocol == protocol
                    && (p.node_port == port && p.node_port != 0 || p.port == port && at(s, to))
            };
            let pods = || begun.objects.pods.values();
            for service in services().filter(|s| s.ports.iter().any(|p| called(p, s))) {
                if pods().any(|p| selects(service, p)) {
                    continue;
                }
                let near = pods().filter(|p| p.metadata.namespace == service.metadata.namespace);
                let mut lines: Vec<Typed> =
                    near.filter_map(|p| Some(patch(service, &selector(service, p)?))).collect();
                lines.dedup();
                lines.truncate(MAX_OBJECTS);
                out.extend(lines);
            }
        }
        _ => {}
    }
    let astray =
        matches!(met.end.reason, DropReason::NoSocket | DropReason::Unreachable(_) | DropReason::NeighFailed);
    if astray && met.at_node() && begun.spec.mode.is_some() {
        out.push(met.here("systemctl restart kube-proxy".to_owned()));
    }
    out
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

fn patch(service: &Service, spec: &str) -> Typed {
    let (namespace, name) = service.metadata.key();
    typed(None, format!("kubectl -n {namespace} patch service {name} -p '{{\"spec\":{{{spec}}}}}'"))
}

/// The ports at which programs of a box wait for whoever calls.
fn open(ns: &Netns, protocol: Protocol) -> impl Iterator<Item = u16> + '_ {
    ns.sockets.iter().filter_map(move |(_, socket)| match (socket, protocol) {
        (Socket::Listen(l), Protocol::Tcp) => Some(l.local.1),
        (Socket::Udp(u), Protocol::Udp) if u.remote.is_none() => Some(u.local.1),
        _ => None,
    })
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
