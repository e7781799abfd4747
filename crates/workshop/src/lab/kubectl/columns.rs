//! The columns of `kubectl get`.

use crate::lab::rollout::runs;
use cluster::object::{
    AddressType, ClusterIp, EndpointPort, EndpointSlice, NamespacedName, Objects, Pod, Service, ServicePort,
    ServiceType,
};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The titles of a kind's columns behind its name.
pub fn titles(kind: &str, wide: bool) -> &'static [&'static str] {
    match (kind, wide) {
        ("pod", false) => &["READY", "STATUS", "RESTARTS", "AGE"],
        ("pod", true) => {
            &["READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"]
        }
        ("service", false) => &["TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"],
        ("service", true) => &["TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"],
        ("endpoints", _) => &["ENDPOINTS", "AGE"],
        ("endpointslice", _) => &["ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"],
        ("deployment", _) => &["READY", "UP-TO-DATE", "AVAILABLE", "AGE"],
        ("namespace", _) => &["STATUS", "AGE"],
        ("configmap", _) => &["DATA", "AGE"],
        (_, false) => &["STATUS", "ROLES", "AGE", "VERSION"],
        (_, true) => &[
            "STATUS",
            "ROLES",
            "AGE",
            "VERSION",
            "INTERNAL-IP",
            "EXTERNAL-IP",
            "OS-IMAGE",
            "KERNEL-VERSION",
            "CONTAINER-RUNTIME",
        ],
    }
}

/// Without an address it has no node, or none that is there.
pub fn status(p: &Pod) -> &'static str {
    match (p.terminating, p.pod_ips.is_empty()) {
        (true, _) => "Terminating",
        (_, true) => "Pending",
        _ => "Running",
    }
}

/// What stands in them.
pub fn pod(p: &Pod, wide: bool, age: &str) -> Vec<String> {
    let status = status(p);
    let ready = if runs(p) { "1/1" } else { "0/1" };
    let mut fields: Vec<String> = [ready, status, "0", age].map(str::to_owned).to_vec();
    if wide {
        fields.push(p.pod_ips.first().map_or("<none>".to_owned(), ToString::to_string));
        fields.push(if p.node_name.is_empty() { "<none>".to_owned() } else { p.node_name.clone() });
        fields.extend(["<none>", "<none>"].map(str::to_owned));
    }
    fields
}

fn type_name(s: &Service) -> &'static str {
    match s.service_type {
        ServiceType::ClusterIp => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::ExternalName => "ExternalName",
    }
}

fn cluster_ip(s: &Service) -> String {
    match &s.cluster_ip {
        ClusterIp::Addresses(all) => all.first().map_or("<none>".to_owned(), ToString::to_string),
        ClusterIp::None => "None".to_owned(),
        ClusterIp::Unset => "<none>".to_owned(),
    }
}

/// Labels, or annotations that are not a lab's own.
pub fn labels(map: &litemap::LiteMap<String, String>, separator: &str) -> String {
    let own = |k: &&String| !k.starts_with("netfilter-lab/");
    let all: Vec<String> = map.iter().filter(|(k, _)| own(k)).map(|(k, v)| format!("{k}={v}")).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(separator) }
}

/// The same of a Service.
pub fn service(s: &Service, wide: bool, age: &str) -> Vec<String> {
    let port = |p: &ServicePort| match p.node_port {
        0 => format!("{}/{}", p.port, proto(p.protocol)),
        node => format!("{}:{node}/{}", p.port, proto(p.protocol)),
    };
    let mut external: Vec<String> = s.ingress.iter().map(|i| i.ip.to_string()).collect();
    external.extend(s.external_ips.iter().map(ToString::to_string));
    let external = match (external.is_empty(), s.service_type) {
        (_, ServiceType::ExternalName) => s.external_name.clone(),
        (false, _) => external.join(","),
        (true, ServiceType::LoadBalancer) => "<pending>".to_owned(),
        (true, _) => "<none>".to_owned(),
    };
    let ports: Vec<String> = s.ports.iter().map(port).collect();
    let ports = if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") };
    let mut fields = vec![type_name(s).to_owned(), cluster_ip(s), external, ports, age.to_owned()];
    if wide {
        fields.push(labels(&s.selector, ","));
    }
    fields
}

/// The same of an EndpointSlice.
pub fn slice(s: &EndpointSlice, age: &str) -> Vec<String> {
    let unset = |all: Vec<String>| if all.is_empty() { "<unset>".to_owned() } else { all.join(",") };
    let ports = s.ports.iter().filter_map(|p| p.port).map(|p| p.to_string()).collect();
    let all: Vec<String> = s.endpoints.iter().filter_map(|e| e.address).map(|a| a.to_string()).collect();
    vec![address_type(s.address_type), unset(ports), shortened_list(&all, "<unset>"), age.to_owned()]
}

/// `TCP`
fn proto(p: cluster::object::Protocol) -> String {
    p.to_string().to_ascii_uppercase()
}

fn address_type(t: AddressType) -> String {
    match t {
        AddressType::IPv4 => "IPv4",
        AddressType::IPv6 => "IPv6",
        AddressType::Fqdn => "FQDN",
    }
    .to_owned()
}

/// The ready endpoints of a Service, of one port or of all: those of its slices, and of Endpoints that somebody has written.
pub fn addresses(of: &NamespacedName, objects: &Objects, port: Option<&ServicePort>) -> Vec<String> {
    let mut out = Vec::new();
    let mut add = |ports: &[EndpointPort], ips: &[IpAddr]| {
        let asked = |p: &&EndpointPort| port.is_none_or(|sp| sp.name == p.name && sp.protocol == p.protocol);
        for p in ports.iter().filter(asked) {
            out.extend(ips.iter().filter_map(|ip| Some(SocketAddr::new(*ip, p.port?).to_string())));
        }
        // Endpoints may have no ports at all.
        if ports.is_empty() && port.is_none() {
            out.extend(ips.iter().map(ToString::to_string));
        }
    };
    for slice in objects.endpoint_slices.values() {
        if slice.service == of.1 && slice.metadata.namespace == of.0 {
            let ready = slice.endpoints.iter().filter(|e| e.ready).filter_map(|e| e.address);
            add(&slice.ports, &ready.collect::<Vec<_>>());
        }
    }
    for subset in objects.endpoints.get(of).map_or(&[][..], |e| &e.subsets) {
        add(&subset.ports, &subset.addresses.iter().map(|a| a.ip).collect::<Vec<_>>());
    }
    sorted::sort(&mut out);
    out.dedup();
    out
}

/// Three, and how many more.
pub fn shortened(all: &[String]) -> String {
    shortened_list(all, "<none>")
}

fn shortened_list(all: &[String], none: &str) -> String {
    match all.len() {
        0 => none.to_owned(),
        n if n > 3 => format!("{} + {} more...", all[..3].join(","), n - 3),
        _ => all.join(","),
    }
}

/// `45s`, `2m5s`, `12m`, `3h5m`, `2d1h`: the finer unit is told only of few of the coarser (apimachinery, util/duration).
pub fn duration(age: Duration) -> String {
    const UNITS: [(u64, char); 4] = [(1, 's'), (60, 'm'), (3600, 'h'), (86_400, 'd')];
    // Until when a unit is the coarsest, and until when the finer one is told beside it.
    const ENDS: [(u64, u64); 4] = [(120, 0), (10_800, 600), (172_800, 28_800), (u64::MAX, 691_200)];
    let s = age.as_secs();
    let at = ENDS.iter().position(|(end, _)| s < *end).unwrap_or(3);
    let ((unit, letter), (_, both)) = (UNITS[at], ENDS[at]);
    let rest = at.checked_sub(1).map(|finer| UNITS[finer]).filter(|_| s < both);
    let rest = rest.map(|(finer, letter)| (s % unit / finer, letter)).filter(|(n, _)| *n > 0);
    format!("{}{letter}{}", s / unit, rest.map_or(String::new(), |(n, letter)| format!("{n}{letter}")))
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn ages_as_kubectl_tells_them() {
        for (seconds, told) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (605, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (30_000, "8h"),
            (172_799, "47h"),
            (176_400, "2d1h"),
            (691_200, "8d"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), told);
        }
    }
}
