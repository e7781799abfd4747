//! `kubectl get` and `kubectl describe service`: the objects of a cluster as kubectl prints them (staging/src/k8s.io/kubectl,
//! pkg/printers/internalversion). Ages are the time since the run began; what nobody has told is `<none>` or `<unknown>`.

use super::effect::singular;
use cluster::object::{
    AddressType, ClusterIp, EndpointSlice, Objects, Pod, Service, ServicePort, ServiceType, SessionAffinity,
    TargetPort, TrafficPolicy,
};
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The kinds, in their long form.
    kinds: Vec<String>,
    /// The names; all without.
    names: Vec<String>,
    /// `None` for all namespaces.
    namespace: Option<String>,
    /// `-o wide`
    wide: bool,
    /// `describe`
    describe: bool,
}

/// Kinds that are listed.
const KINDS: [&str; 7] = ["pod", "service", "node", "endpoints", "endpointslice", "deployment", "namespace"];

/// Kinds that the API server has besides.
const OTHERS: [&str; 14] = [
    "configmap",
    "cronjob",
    "daemonset",
    "ds",
    "event",
    "ing",
    "ingresse",
    "ingress",
    "job",
    "networkpolicie",
    "replicaset",
    "secret",
    "servicecidr",
    "statefulset",
];

/// Reads the words behind `kubectl get` or `describe`.
///
/// # Errors
/// Says which word is not read, and what was expected.
pub fn query(
    verb: &str,
    words: &[&str],
    (namespace, all): (&str, bool),
    output: Option<&str>,
) -> Result<Query, String> {
    let describe = verb == "describe";
    let wide = match output {
        None => false,
        Some("wide") if !describe => true,
        Some(other) => {
            return Err(format!("kubectl's output {other:?} is not modelled; expected -o wide or nothing"));
        }
    };
    let known = || format!("expected one of {}", KINDS.join(", "));
    let (kinds, names) = words.split_first().ok_or_else(|| format!("kubectl {verb}: {}", known()))?;
    let (kinds, mut names): (Vec<&str>, Vec<String>) =
        (kinds.split(',').collect(), names.iter().map(|n| (*n).to_owned()).collect());
    let mut long = Vec::new();
    for kind in kinds {
        let kind = match kind.split_once('/') {
            Some((kind, name)) => {
                names.push(name.to_owned());
                kind
            }
            None => kind,
        };
        if kind == "all" && !describe {
            long.extend(["pod", "service", "deployment"].map(str::to_owned));
            continue;
        }
        let lower = kind.to_lowercase();
        let kind = singular(&lower);
        if !KINDS.contains(&kind) && !OTHERS.contains(&kind.trim_end_matches('s')) {
            return Err(format!("error: the server doesn't have a resource type \"{kind}\""));
        }
        if !KINDS.contains(&kind) || describe && kind != "service" {
            let what = if describe { "only services are described".to_owned() } else { known() };
            return Err(format!("kubectl {verb} {kind:?} is not modelled; {what}"));
        }
        long.push(kind.to_owned());
    }
    let namespace = (!all).then(|| namespace.to_owned());
    Ok(Query { kinds: long, names, namespace, wide, describe })
}

impl Query {
    /// What kubectl prints: standard output, standard error. Its status is 1 if something that was named is not there.
    pub fn print(&self, objects: &Objects, release: &str, age: Duration) -> (Vec<String>, Vec<String>) {
        let (mut out, mut missing) = (Vec::new(), Vec::new());
        for kind in &self.kinds {
            let rows = self.rows(kind, objects, release, age);
            for name in &self.names {
                if !rows.iter().any(|r| r.name == *name) {
                    missing.push(not_found(kind, name));
                }
            }
            let rows: Vec<Row> =
                rows.into_iter().filter(|r| self.names.is_empty() || self.names.contains(&r.name)).collect();
            if rows.is_empty() {
                continue;
            }
            if !out.is_empty() {
                out.push(String::new());
            }
            if self.describe {
                let found = rows.iter().filter_map(|r| objects.services.get(&r.key));
                for (n, service) in found.enumerate() {
                    out.extend((n > 0).then(String::new));
                    out.extend((n > 0).then(String::new));
                    out.extend(described(service, objects));
                }
            } else {
                out.extend(self.table(kind, &rows));
            }
        }
        if out.is_empty() && missing.is_empty() {
            missing.push(match &self.namespace {
                Some(ns) if !self.kinds.iter().all(|k| k == "node") => {
                    format!("No resources found in {ns} namespace.")
                }
                _ => "No resources found".to_owned(),
            });
        }
        (out, missing)
    }

    /// The columns as far as they are wide: each is as wide as its widest field and three blanks.
    fn table(&self, kind: &str, rows: &[Row]) -> Vec<String> {
        let all = self.namespace.is_none() && !matches!(kind, "node" | "namespace");
        let with = |namespace: &str, name: &str, fields: &[String]| {
            let prefix = if self.kinds.len() > 1 && name != "NAME" {
                format!("{kind}{}/", group(kind))
            } else {
                String::new()
            };
            let mut line: Vec<String> = if all { vec![namespace.to_owned()] } else { Vec::new() };
            line.push(format!("{prefix}{name}"));
            line.extend(fields.iter().cloned());
            line
        };
        let titles: Vec<String> = titles(kind, self.wide).iter().map(|t| (*t).to_owned()).collect();
        let mut lines = vec![with("NAMESPACE", "NAME", &titles)];
        lines.extend(rows.iter().map(|r| with(&r.key.0, &r.name, &r.fields)));
        let columns = lines.first().map_or(0, Vec::len);
        let width = |i: usize| {
            lines.iter().filter_map(|l| l.get(i)).map(|f| f.chars().count() + 3).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |l: &Vec<String>| {
            let padded = l.iter().zip(&widths).enumerate().map(|(i, (field, width))| {
                if i + 1 == columns { field.clone() } else { format!("{field:<width$}") }
            });
            padded.collect::<String>()
        };
        lines.iter().map(line).collect()
    }

    fn rows(&self, kind: &str, objects: &Objects, release: &str, age: Duration) -> Vec<Row> {
        let here = |ns: &str| self.namespace.as_deref().is_none_or(|n| n == ns);
        let age = duration(age);
        let mut rows: Vec<Row> = match kind {
            "pod" => objects
                .pods
                .values()
                .filter(|p| here(&p.metadata.namespace))
                .map(|p| pod(p, self.wide, &age))
                .collect(),
            "service" => {
                let all = objects.services.values().filter(|s| here(&s.metadata.namespace));
                all.map(|s| service(s, self.wide, &age)).collect()
            }
            "endpoints" => {
                let all = objects.services.values().filter(|s| here(&s.metadata.namespace));
                let fields = |s: &Service| vec![shortened(&addresses(s, objects, None)), age.clone()];
                all.map(|s| Row::new(&s.metadata.namespace, &s.metadata.name, fields(s))).collect()
            }
            "endpointslice" => {
                let all = objects.endpoint_slices.values().filter(|s| here(&s.metadata.namespace));
                all.map(|s| slice(s, &age)).collect()
            }
            "deployment" => {
                let all = objects.deployments.values().filter(|d| here(&d.metadata.namespace));
                let fields = |d: &cluster::object::Deployment| {
                    let n = d.replicas;
                    vec![format!("{n}/{n}"), n.to_string(), n.to_string(), age.clone()]
                };
                all.map(|d| Row::new(&d.metadata.namespace, &d.metadata.name, fields(d))).collect()
            }
            "namespace" => {
                let fields = || vec!["Active".to_owned(), age.clone()];
                objects.namespaces.keys().map(|name| Row::new("", name, fields())).collect()
            }
            _ => {
                let fields = |n: &cluster::object::Node| {
                    let mut f =
                        vec!["Ready".to_owned(), "<none>".to_owned(), age.clone(), release.to_owned()];
                    if self.wide {
                        f.push(n.internal_ips.first().map_or("<none>".to_owned(), ToString::to_string));
                        f.extend(["<none>", "<unknown>", "<unknown>", "<unknown>"].map(str::to_owned));
                    }
                    f
                };
                objects.nodes.values().map(|n| Row::new("", &n.metadata.name, fields(n))).collect()
            }
        };
        // The API server lists by name.
        sorted::sort_by(&mut rows, |a, b| a.key.cmp(&b.key));
        rows
    }
}

/// An object in a list.
struct Row {
    key: (String, String),
    name: String,
    fields: Vec<String>,
}

impl Row {
    fn new(namespace: &str, name: &str, fields: Vec<String>) -> Row {
        Row { key: (namespace.to_owned(), name.to_owned()), name: name.to_owned(), fields }
    }
}

fn titles(kind: &str, wide: bool) -> &'static [&'static str] {
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

/// How the API server names a kind in messages: in the plural, with its group. The kind is in lower-case letters, in the singular.
pub(super) fn plural(kind: &str) -> String {
    let plural = match kind {
        "endpoints" => kind.to_owned(),
        "ingress" => "ingresses".to_owned(),
        "networkpolicy" => "networkpolicies".to_owned(),
        _ => format!("{kind}s"),
    };
    plural + group(kind)
}

/// What the API server says of an object that is not there.
pub(super) fn not_found(kind: &str, name: &str) -> String {
    format!("Error from server (NotFound): {} \"{name}\" not found", plural(kind))
}

/// The group of a kind, behind a full stop; none for those of the core.
pub(super) fn group(kind: &str) -> &'static str {
    match kind {
        "daemonset" | "deployment" | "replicaset" | "statefulset" => ".apps",
        "endpointslice" => ".discovery.k8s.io",
        "ingress" | "networkpolicy" | "servicecidr" => ".networking.k8s.io",
        _ => "",
    }
}

fn pod(p: &Pod, wide: bool, age: &str) -> Row {
    let status = match (p.terminating, p.node_name.is_empty()) {
        (true, _) => "Terminating",
        (_, true) => "Pending",
        _ => "Running",
    };
    let ready = if p.ready && status == "Running" { "1/1" } else { "0/1" };
    let mut fields: Vec<String> = [ready, status, "0", age].map(str::to_owned).to_vec();
    if wide {
        fields.push(p.pod_ips.first().map_or("<none>".to_owned(), ToString::to_string));
        fields.push(if p.node_name.is_empty() { "<none>".to_owned() } else { p.node_name.clone() });
        fields.extend(["<none>", "<none>"].map(str::to_owned));
    }
    Row::new(&p.metadata.namespace, &p.metadata.name, fields)
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

fn labels(map: &litemap::LiteMap<String, String>, separator: &str) -> String {
    let own = |k: &&String| !k.starts_with("netfilter-lab/");
    let all: Vec<String> = map.iter().filter(|(k, _)| own(k)).map(|(k, v)| format!("{k}={v}")).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(separator) }
}

fn service(s: &Service, wide: bool, age: &str) -> Row {
    let port = |p: &ServicePort| match p.node_port {
        0 => format!("{}/{}", p.port, proto(p.protocol)),
        node => format!("{}:{node}/{}", p.port, proto(p.protocol)),
    };
    let mut external: Vec<String> = s.ingress.iter().map(|i| i.ip.to_string()).collect();
    external.extend(s.external_ips.iter().map(ToString::to_string));
    let external = match (external.is_empty(), s.service_type) {
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
    Row::new(&s.metadata.namespace, &s.metadata.name, fields)
}

fn slice(s: &EndpointSlice, age: &str) -> Row {
    let unset = |all: Vec<String>| if all.is_empty() { "<unset>".to_owned() } else { all.join(",") };
    let ports = s.ports.iter().filter_map(|p| p.port).map(|p| p.to_string()).collect();
    let all: Vec<String> = s.endpoints.iter().filter_map(|e| e.address).map(|a| a.to_string()).collect();
    Row::new(
        &s.metadata.namespace,
        &s.metadata.name,
        vec![address_type(s.address_type), unset(ports), shortened_list(&all, "<unset>"), age.to_owned()],
    )
}

/// `TCP`
fn proto(p: cluster::object::Protocol) -> String {
    p.to_string().to_uppercase()
}

fn address_type(t: AddressType) -> String {
    match t {
        AddressType::IPv4 => "IPv4",
        AddressType::IPv6 => "IPv6",
        AddressType::Fqdn => "FQDN",
    }
    .to_owned()
}

/// The ready endpoints of a Service, of one port or of all.
fn addresses(s: &Service, objects: &Objects, port: Option<&ServicePort>) -> Vec<String> {
    let mut out = Vec::new();
    let of = objects.endpoint_slices.values();
    for slice in of.filter(|e| e.service == s.metadata.name && e.metadata.namespace == s.metadata.namespace) {
        for p in slice
            .ports
            .iter()
            .filter(|p| port.is_none_or(|sp| sp.name == p.name && sp.protocol == p.protocol))
        {
            let ready = slice.endpoints.iter().filter(|e| e.ready).filter_map(|e| e.address);
            out.extend(ready.filter_map(|a| Some(format!("{a}:{}", p.port?))));
        }
    }
    sorted::sort(&mut out);
    out
}

/// Three, and how many more.
fn shortened(all: &[String]) -> String {
    shortened_list(all, "<none>")
}

fn shortened_list(all: &[String], none: &str) -> String {
    match all.len() {
        0 => none.to_owned(),
        n if n > 3 => format!("{} + {} more...", all[..3].join(","), n - 3),
        _ => all.join(","),
    }
}

fn described(s: &Service, objects: &Objects) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = |name: &str, value: &str| out.push(format!("{:<26}{value}", format!("{name}:")));
    line("Name", &s.metadata.name);
    line("Namespace", &s.metadata.namespace);
    line("Labels", &labels(&s.metadata.labels, "\n                          "));
    line("Annotations", &labels(&s.metadata.annotations, "\n                          "));
    line("Selector", &labels(&s.selector, ","));
    line("Type", type_name(s));
    line("IP", &cluster_ip(s));
    let ingress: Vec<String> = s.ingress.iter().map(|i| i.ip.to_string()).collect();
    if !ingress.is_empty() {
        line("LoadBalancer Ingress", &ingress.join(", "));
    }
    for port in &s.ports {
        let name = if port.name.is_empty() { "<unset>" } else { &port.name };
        line("Port", &format!("{name}  {}/{}", port.port, proto(port.protocol)));
        let target = match &port.target {
            TargetPort::Same => port.port.to_string(),
            TargetPort::Number(n) => n.to_string(),
            TargetPort::Name(name) => name.clone(),
        };
        line("TargetPort", &format!("{target}/{}", proto(port.protocol)));
        if port.node_port != 0 {
            line("NodePort", &format!("{name}  {}/{}", port.node_port, proto(port.protocol)));
        }
        line("Endpoints", &shortened(&addresses(s, objects, Some(port))));
    }
    let affinity = match s.session_affinity {
        SessionAffinity::None => "None",
        SessionAffinity::ClientIp(_) => "ClientIP",
    };
    line("Session Affinity", affinity);
    let policy = |p: TrafficPolicy| if p == TrafficPolicy::Local { "Local" } else { "Cluster" };
    if matches!(s.service_type, ServiceType::NodePort | ServiceType::LoadBalancer) {
        line("External Traffic Policy", policy(s.external_traffic_policy));
    }
    line("Internal Traffic Policy", policy(s.internal_traffic_policy));
    if s.health_check_node_port != 0 {
        line("HealthCheck NodePort", &s.health_check_node_port.to_string());
    }
    line("Events", "<none>");
    out.iter().flat_map(|l| l.split('\n')).map(str::to_owned).collect()
}

/// `45s`, `2m5s`, `12m`, `3h5m`, `2d1h`: the finer unit is told only of few of the coarser (apimachinery, util/duration).
fn duration(age: Duration) -> String {
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
