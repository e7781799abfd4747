//! Services whose packets find no socket and no endpoint.

use super::{Met, Tries};
use crate::lab::{Begun, special};
use crate::session::quoted;
use cluster::object::{ClusterIp, EndpointPort, Metadata, Pod, Protocol, Service, ServicePort, TargetPort};
use ipnet::IpNet;
use kernel::dev::DevKind;
use kernel::netfilter::ipvs::Forward;
use kernel::socket::Socket;
use kernel::{DropReason, Netns};
use packet::L4;
use std::net::{IpAddr, Ipv4Addr};

/// Of more pods not every one is tried.
const MAX_OBJECTS: usize = 8;

/// Against the end of a packet that was to come to a Service, or to one of its endpoints.
pub(super) fn against(met: &Met<'_>, tries: &mut Tries) {
    let (Some(begun), Some((protocol, to, port))) = (met.begun, addressed(met)) else { return };
    let reason = met.end.reason;
    if reason == DropReason::NoSocket {
        beyond_loopback(met.ns, protocol, port, tries);
    }
    let (here, at_node) = (met.ns, met.at_node());
    let pods: Vec<&Pod> = begun.objects.pods.values().collect();
    let lost = pods.iter().any(|p| p.pod_ips.contains(&to));
    let nobodys = !lost
        && !met.world.hosts().iter().any(|ns| has(ns, to))
        && !begun.objects.services.values().any(|s| in_its_range(s, to));
    by_hand(met, (protocol, to), &pods, tries);
    for service in begun.objects.services.values() {
        let here_by = at_node && has(here, to);
        let open_to = |p: &ServicePort| {
            p.node_port == port && port != 0 && here_by || p.port == port && at(service, to)
        };
        if untranslated(reason) && at(service, to) && !service.ports.iter().any(open_to) {
            one_more_port(service, protocol, port, tries);
        }
        for p in &service.ports {
            let called = open_to(p);
            if p.protocol != protocol {
                if untranslated(reason) && called {
                    another_protocol(service, p, protocol, tries);
                }
                continue;
            }
            match reason {
                // The port of a node without a Service behind it.
                DropReason::NoSocket if here_by && !called && (30_000..=32_767).contains(&port) => {
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
                reason if !untranslated(reason) => {}
                // An address of the node, which the Service does not have.
                DropReason::NoSocket if here_by && !called && p.port == port => {
                    external(begun, service, to, tries);
                }
                _ if called => {
                    if p.node_port == port {
                        node_port_address(begun, to, tries);
                    }
                    endpoints(met, service, p, &pods, tries);
                    one_more_source(service, met, tries);
                }
                // An address that nobody has: of a load balancer, or one that is led to the nodes.
                _ if nobodys && p.port == port && at_node => {
                    external(begun, service, to, tries);
                }
                _ => {}
            }
        }
    }
}

/// Against an address that is not the Service's. Where CoreDNS forwards to it, CoreDNS would ask itself.
fn external(begun: &Begun, service: &Service, to: IpAddr, tries: &mut Tries) {
    let asked = to.to_string();
    let forwards =
        |l: &str| l.trim_start().starts_with("forward ") && l.split([' ', ':']).any(|w| w == asked);
    let mut corefiles = begun.objects.config_maps.values().filter_map(|map| map.data.get("Corefile"));
    if special(to).is_none() && !corefiles.any(|text| text.lines().any(forwards)) {
        let known = service.external_ips.iter().chain([&to]);
        tries.add("", patch(service, &texts("externalIPs", known)));
    }
}

/// Against servers of IPVS that take no more: they have as many connections as they may, or no weight.
pub(super) fn no_server(met: &Met<'_>, tries: &mut Tries) {
    let (DropReason::IpvsNoServer, Some((protocol, to, port))) = (met.end.reason, addressed(met)) else {
        return;
    };
    let flag = if protocol == Protocol::Tcp { "-t" } else { "-u" };
    for service in
        met.ns.ipvs.services().iter().filter(|s| (IpAddr::V4(s.id.addr.0), s.id.addr.1) == (to, port))
    {
        for spec in service.dests.iter().map(|d| d.spec).filter(|d| d.upper > 0 || d.weight == 0) {
            let by = if spec.forward == Forward::Route { "-g" } else { "-m" };
            let (server, weight) = (spec.addr, spec.weight.max(1));
            let line =
                format!("ipvsadm -e {flag} {to}:{port} -r {}:{} {by} -w {weight} -x 0", server.0, server.1);
            tries.add(&met.ns.name, line);
        }
    }
}

/// Against a program that waits at 127.0.0.1 alone: what comes from elsewhere is led there.
fn beyond_loopback(here: &Netns, protocol: Protocol, port: u16, tries: &mut Tries) {
    let at_loopback =
        |socket: &Socket| waits(socket, protocol).is_some_and(|at| at == (Ipv4Addr::LOCALHOST, port));
    if here.sockets.iter().any(|(_, socket)| at_loopback(socket)) {
        let proto = protocol.name().to_ascii_lowercase();
        let rule = format!(
            "iptables -t nat -A PREROUTING -p {proto} --dport {port} -j DNAT --to-destination 127.0.0.1"
        );
        tries.add(&here.name, format!("sysctl -w net.ipv4.conf.all.route_localnet=1 && {rule}"));
    }
}

/// Against a cluster IP that no Service has: one more Service with it, like one that has the port.
pub(super) fn one_more_service(met: &Met<'_>, tries: &mut Tries) {
    let (Some(begun), Some((protocol, to, port))) = (met.begun, addressed(met)) else { return };
    let mut all = begun.objects.services.values();
    if !untranslated(met.end.reason) || all.clone().any(|s| at(s, to)) {
        return;
    }
    let has_port = |s: &&Service| s.ports.iter().any(|p| p.protocol == protocol && p.port == port);
    if let Some(service) = all.find(|s| in_its_range(s, to) && has_port(s)) {
        let (namespace, name) = service.metadata.key();
        let expose = format!("expose service {name} --name={name}-2 --cluster-ip={to}");
        tries.add("", format!("kubectl -n {namespace} {expose}"));
    }
}

/// Against a node port that does not answer on this address of the node (`nodePortAddresses`).
fn node_port_address(begun: &Begun, to: IpAddr, tries: &mut Tries) {
    let known = begun.objects.kube_proxy.as_ref().map(|c| c.node_port_addresses.as_slice());
    if let Some(known) = known.filter(|known| !known.is_empty()) {
        let networks = known.iter().copied().chain([IpNet::from(to)]);
        let networks: Vec<String> = networks.map(|n| n.to_string()).collect();
        tries.add("", format!("kube-proxy --nodeport-addresses={}", networks.join(",")));
    }
    tries.add("", "kube-proxy --nodeport-addresses=0.0.0.0/0".to_owned());
}

/// Against a load balancer that is not for where this packet comes from.
fn one_more_source(service: &Service, met: &Met<'_>, tries: &mut Tries) {
    let known = &service.load_balancer_source_ranges;
    if let (false, Some(ip)) = (known.is_empty(), met.end.frame.ip()) {
        let ranges = known.iter().copied().chain([IpNet::from(ip.src)]);
        tries.add("", patch(service, &texts("loadBalancerSourceRanges", ranges)));
    }
}

/// A field that is a list of texts.
fn texts(field: &str, items: impl Iterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.map(|item| quoted(&item.to_string())).collect();
    format!("\"{field}\":[{}]", items.join(","))
}

/// A packet to a Service ends so where nothing has translated it: by a rule, or on a way that is none.
fn untranslated(reason: DropReason) -> bool {
    matches!(
        reason,
        DropReason::NetfilterDrop
            | DropReason::IpvsNoServer
            | DropReason::NoSocket
            | DropReason::Unreachable(_)
            | DropReason::NeighFailed
            | DropReason::ForwardingDisabled
            | DropReason::OtherHost
            | DropReason::TtlExpired
    )
}

/// Against a Service without endpoints.
fn endpoints(met: &Met<'_>, service: &Service, port: &ServicePort, pods: &[&Pod], tries: &mut Tries) {
    let (chosen, mut others): (Vec<&Pod>, Vec<&Pod>) = pods
        .iter()
        .filter(|p| p.metadata.namespace == service.metadata.namespace && is_there(met, p))
        .partition(|p| selects(service, p));
    if !chosen.is_empty() {
        if chosen.iter().any(|p| !p.ready) {
            tries.add("", patch(service, "\"publishNotReadyAddresses\":true"));
        }
        for pod in chosen {
            let sockets = met.world.host_by_name(&pod.metadata.name).and_then(|id| met.world.host(id));
            for open in sockets.into_iter().flat_map(|ns| open(ns, port.protocol)) {
                target_port(service, port, open, tries);
            }
        }
        return;
    }
    // What is spelled nearly like it is meant, mostly.
    sorted::sort_by_key(&mut others, |pod| std::cmp::Reverse(likeness(service, pod)));
    for pod in others.into_iter().take(MAX_OBJECTS) {
        if let Some(spec) = selector(service, pod) {
            tries.add("", patch(service, &spec));
        }
    }
}

/// Against an address or port of endpoints that were written by hand, as their Service selects no pods: those of a pod instead.
fn by_hand(met: &Met<'_>, (protocol, to): (Protocol, IpAddr), pods: &[&Pod], tries: &mut Tries) {
    let Some(begun) = met.begun else { return };
    let objects = &begun.objects;
    let mut anew = |own: &Metadata, of: &str, ports: &[EndpointPort], is_slice: bool| {
        let (name, namespace) = (&own.name, &own.namespace);
        let service = objects.services.get(&(namespace.clone(), of.to_owned()));
        let Some(service) = service.filter(|s| s.selector.is_empty()) else { return };
        let there = pods.iter().filter(|p| p.metadata.namespace == *namespace && is_there(met, p));
        let mut there: Vec<&&Pod> = there.collect();
        sorted::sort_by_key(&mut there, |pod| {
            std::cmp::Reverse((pod.pod_ips.contains(&to), likeness(service, pod)))
        });
        for pod in there.into_iter().take(MAX_OBJECTS) {
            let ns = met.world.host_by_name(&pod.metadata.name).and_then(|id| met.world.host(id));
            let port = ns.into_iter().flat_map(|ns| open(ns, protocol)).next();
            if let (Some(ip), Some(port)) = (pod.pod_ips.iter().find(|ip| ip.is_ipv4()), port) {
                let like = ports.iter().find(|p| p.protocol == protocol).map_or("", |p| &p.name);
                let (like, node) = (quoted(like), &pod.node_name);
                let kind = protocol.name().to_ascii_uppercase();
                let (named, port) = (
                    format!("{{name: {name}, namespace: {namespace}"),
                    format!("protocol: {kind}, port: {port}"),
                );
                let stdin = if is_slice {
                    format!(
                        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                         metadata: {named}, labels: {{kubernetes.io/service-name: {of}}}}}\n\
                         addressType: IPv4\nports: [{{name: {like}, {port}}}]\n\
                         endpoints: [{{addresses: [{ip}], nodeName: {node}}}]\n"
                    )
                } else {
                    let like = if like.len() > 2 { format!("name: {like}, ") } else { String::new() };
                    format!(
                        "apiVersion: v1\nkind: Endpoints\nmetadata: {named}}}\n\
                         subsets:\n- addresses: [{{ip: {ip}, nodeName: {node}}}]\n  ports: [{{{like}{port}}}]\n"
                    )
                };
                tries.add_all("", "kubectl apply -f -".to_owned(), stdin);
            }
        }
    };
    for slice in objects.endpoint_slices.values() {
        if slice.endpoints.iter().any(|e| e.address == Some(to)) {
            anew(&slice.metadata, &slice.service, &slice.ports, true);
        }
    }
    for e in objects.endpoints.values() {
        for subset in e.subsets.iter().filter(|s| s.addresses.iter().any(|a| a.ip == to)) {
            anew(&e.metadata, &e.metadata.name, &subset.ports, false);
        }
    }
}

/// So many letters at the beginning and the end of a pod's labels are those that the Service asks for.
fn likeness(service: &Service, pod: &Pod) -> usize {
    let alike = |(key, value): (&String, &String)| pod.metadata.labels.get(key).map(|is| common(value, is));
    if service.selector.is_empty() {
        // Nothing says more than its name.
        let name = &service.metadata.name;
        return pod.metadata.labels.values().map(|is| common(name, is)).max().unwrap_or(0);
    }
    service.selector.iter().filter_map(alike).sum()
}

/// So many letters at the beginning and the end two words have in common.
pub(super) fn common(a: &str, b: &str) -> usize {
    let same = |a: &mut dyn Iterator<Item = u8>, b: &mut dyn Iterator<Item = u8>| {
        a.zip(b).take_while(|(x, y)| x == y).count()
    };
    same(&mut a.bytes(), &mut b.bytes()) + same(&mut a.bytes().rev(), &mut b.bytes().rev())
}

/// What kube-proxy writes is written anew on each node on which a packet was.
pub(super) fn written_anew(met: &Met<'_>, tries: &mut Tries) {
    let Some(begun) = met.begun.filter(|b| b.spec.mode.is_some()) else { return };
    for name in begun.objects.nodes.keys().filter(|name| met.passed(name)) {
        tries.add(name, "systemctl restart kube-proxy".to_owned());
    }
}

/// Against a port of the Service that is one of another protocol.
fn another_protocol(service: &Service, of: &ServicePort, protocol: Protocol, tries: &mut Tries) {
    let protocol = protocol.name().to_ascii_uppercase();
    let spec = format!("\"ports\":[{{\"port\":{},\"protocol\":\"{protocol}\"}}]", of.port);
    tries.add("", patch(service, &spec));
}

/// Against a port that the Service does not have: one more, to where its first one of the protocol leads. Of several each needs a name.
fn one_more_port(service: &Service, protocol: Protocol, port: u16, tries: &mut Tries) {
    let Some(like) = service.ports.iter().find(|p| p.protocol == protocol) else { return };
    let named = service.ports.iter().filter(|p| p.name.is_empty());
    let mut ports: Vec<String> =
        named.map(|p| format!("{{\"port\":{},\"name\":\"port-{}\"}}", p.port, p.port)).collect();
    let target = match &like.target {
        TargetPort::Same => like.port.to_string(),
        TargetPort::Number(n) => n.to_string(),
        TargetPort::Name(name) => quoted(name),
    };
    let kind = protocol.name().to_ascii_uppercase();
    ports.push(format!(
        "{{\"port\":{port},\"name\":\"port-{port}\",\"protocol\":\"{kind}\",\"targetPort\":{target}}}"
    ));
    tries.add("", patch(service, &format!("\"ports\":[{}]", ports.join(","))));
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
    if of.target == TargetPort::Number(port) || of.target == TargetPort::Same && of.port == port {
        return;
    }
    tries.add("", patch(service, &format!("\"ports\":[{{\"port\":{},\"targetPort\":{port}}}]", of.port)));
}

/// This box is the pod's, or the node whose network it has.
fn is(pod: &Pod, here: &Netns) -> bool {
    pod.metadata.name == here.name || pod.host_network
}

/// The pod has not been deleted since: its box is there.
fn is_there(met: &Met<'_>, pod: &Pod) -> bool {
    pod.host_network || met.world.host_by_name(&pod.metadata.name).is_some()
}

/// The ports of a box at which programs wait.
pub(super) fn open(ns: &Netns, protocol: Protocol) -> Vec<u16> {
    ns.sockets.iter().filter_map(|(_, socket)| waits(socket, protocol)).map(|(_, port)| port).collect()
}

/// The address and port at which a program waits for whoever calls.
fn waits(socket: &Socket, protocol: Protocol) -> Option<(Ipv4Addr, u16)> {
    match (socket, protocol) {
        (Socket::Listen(l), Protocol::Tcp) => Some(l.local),
        (Socket::Udp(u), Protocol::Udp) if u.remote.is_none() => Some(u.local),
        _ => None,
    }
}

/// The Service has this address: its own one, an external one, or that of its load balancer.
pub(super) fn at(service: &Service, ip: IpAddr) -> bool {
    matches!(&service.cluster_ip, ClusterIp::Addresses(all) if all.contains(&ip))
        || service.external_ips.contains(&ip)
        || service.ingress.iter().any(|i| i.ip == ip)
}

/// The address is one that only cluster IPs have: it begins like that of the Service, as their ranges are of 16 bits or less mostly.
fn in_its_range(service: &Service, ip: IpAddr) -> bool {
    let alike = |own: &IpAddr| match (own, ip) {
        (IpAddr::V4(own), IpAddr::V4(ip)) => own.octets().first_chunk::<2>() == ip.octets().first_chunk(),
        _ => false,
    };
    matches!(&service.cluster_ip, ClusterIp::Addresses(all) if all.iter().any(alike))
}

/// The box has this address, and not by kube-proxy, which puts those of Services on a dummy.
fn has(ns: &Netns, ip: IpAddr) -> bool {
    let mut own = ns.devices().iter().filter(|d| !d.gone && !matches!(d.kind, DevKind::Dummy));
    own.any(|d| d.addrs.iter().any(|a| IpAddr::V4(a.net.addr()) == ip))
}

fn selects(service: &Service, pod: &Pod) -> bool {
    service.metadata.namespace == pod.metadata.namespace
        && !service.selector.is_empty()
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
