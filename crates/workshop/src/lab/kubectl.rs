//! `kubectl get` and `kubectl describe`: the objects of a cluster as kubectl prints them (staging/src/k8s.io/kubectl,
//! pkg/printers/internalversion). Ages are the time since the run began; what nobody has told is `<none>` or `<unknown>`.

use super::apply::{items, word};
use super::describe;
use super::effect::{Named, labels_of, one_document, resource, singular};
use super::rollout::available;
use super::selector::Selector;
use super::stored::Stored;
use crate::yaml_text::{Layout, json, yaml};
use cluster::object::{
    AddressType, ClusterIp, EndpointSlice, Metadata, Objects, Pod, Service, ServicePort, ServiceType,
};
use cluster::yaml::{Value, Yaml};
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
    output: Output,
    /// `-l`
    selector: Selector,
    /// `describe`
    describe: bool,
    /// `--show-labels`
    labels: bool,
}

/// `-o`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Table { wide: bool },
    Name,
    Yaml,
    Json,
}

/// What is looked at, besides kinds and names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looks<'a> {
    /// `-n`
    pub namespace: &'a str,
    /// `-A`
    pub all: bool,
    /// `-o`
    pub output: Option<&'a str>,
    /// `-l`
    pub selector: Option<&'a str>,
    /// `--show-labels`
    pub labels: bool,
}

/// Kinds that are listed.
const KINDS: [&str; 8] =
    ["pod", "service", "node", "endpoints", "endpointslice", "deployment", "namespace", "configmap"];

/// Kinds that are described.
const DESCRIBED: [&str; 2] = ["pod", "service"];

/// Kinds that the API server has besides, and their short names.
const OTHERS: [&str; 15] = [
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
    "rs",
    "secret",
    "servicecidr",
    "statefulset",
    "sts",
];

/// What the API server says of a kind that EndpointSlices have replaced (since 1.33).
const ENDPOINTS_WARNING: &str =
    "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/// The namespaces that each cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Reads the words behind `kubectl get` or `describe`.
///
/// # Errors
/// Says which word is not read, and what was expected.
pub fn query(verb: &str, words: &[&str], looks: Looks<'_>) -> Result<Query, String> {
    let describe = verb == "describe";
    let output = match looks.output {
        None => Output::Table { wide: false },
        Some("wide") if !describe => Output::Table { wide: true },
        Some("name") if !describe => Output::Name,
        Some("yaml") if !describe => Output::Yaml,
        Some("json") if !describe => Output::Json,
        Some(other) => {
            return Err(format!(
                "kubectl's output {other:?} is not modelled; expected -o wide, name, yaml, json or nothing"
            ));
        }
    };
    let selector = looks.selector.map(Selector::read).transpose()?.unwrap_or_default();
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
        let lower = kind.to_ascii_lowercase();
        let kind = singular(&lower);
        if ![kind, kind.trim_end_matches('s')].iter().any(|k| KINDS.contains(k) || OTHERS.contains(k)) {
            return Err(format!("error: the server doesn't have a resource type \"{kind}\""));
        }
        if !KINDS.contains(&kind) || describe && !DESCRIBED.contains(&kind) {
            let what = if describe { format!("expected {}", DESCRIBED.join(" or ")) } else { known() };
            return Err(format!("kubectl {verb} {kind:?} is not modelled; {what}"));
        }
        long.push(kind.to_owned());
    }
    if !names.is_empty() && looks.selector.is_some() {
        return Err("error: name cannot be provided when a selector is specified".to_owned());
    }
    let namespace = (!looks.all).then(|| looks.namespace.to_owned());
    Ok(Query { kinds: long, names, namespace, output, selector, describe, labels: looks.labels })
}

impl Query {
    /// What kubectl prints: standard output, standard error. Its status is 1 if something that was named is not there.
    pub fn print(&self, stored: &Stored<'_>, age: Duration) -> (Vec<String>, Vec<String>) {
        let (mut out, mut missing, mut trees) = (Vec::new(), Vec::new(), Vec::new());
        let mut warnings = Vec::new();
        for kind in &self.kinds {
            if kind == "endpoints" {
                warnings.push(ENDPOINTS_WARNING.to_owned());
            }
            let mut rows = self.rows(kind, stored, age);
            for name in &self.names {
                if !rows.iter().any(|r| r.key.1 == *name) {
                    missing.push(not_found(kind, name));
                }
            }
            rows.retain(|r| self.names.is_empty() || self.names.contains(&r.key.1));
            let tree = |r: &Row| stored.get(kind, &r.key);
            match self.output {
                _ if rows.is_empty() => {}
                Output::Name => out.extend(rows.iter().map(|r| resource(kind, &r.key.1))),
                Output::Yaml | Output::Json => trees.extend(rows.iter().filter_map(tree)),
                Output::Table { .. } if self.describe => {
                    for (row, tree) in rows.iter().filter_map(|r| Some((r, tree(r)?))) {
                        if !out.is_empty() {
                            out.extend([String::new(), String::new()]);
                        }
                        let objects = stored.objects;
                        let service = objects.services.get(&row.key).filter(|_| kind == "service");
                        let pod = objects.pods.get(&row.key).filter(|_| kind == "pod");
                        out.extend(service.map(|s| described(s, &tree, objects)).unwrap_or_default());
                        out.extend(pod.map(|p| describe::pod(p, &tree, stored)).unwrap_or_default());
                    }
                }
                Output::Table { wide } => {
                    out.extend((!out.is_empty()).then(String::new));
                    out.extend(self.table(kind, &rows, wide));
                }
            }
        }
        match self.output {
            Output::Yaml | Output::Json => {
                // One that is named stands by itself.
                let one = self.names.len() == 1 && self.kinds.len() == 1;
                let tree = if one { trees.pop() } else { list(trees) };
                let text = tree
                    .map(|t| if self.output == Output::Json { json(&t) } else { yaml(&t, Layout::Kubectl) });
                out.extend(text.iter().flat_map(|t| t.lines()).map(str::to_owned));
            }
            Output::Table { .. } if out.is_empty() && missing.is_empty() => {
                missing.push(match &self.namespace {
                    Some(ns) if !self.kinds.iter().all(|k| ["node", "namespace"].contains(&k.as_str())) => {
                        format!("No resources found in {ns} namespace.")
                    }
                    _ => "No resources found".to_owned(),
                });
            }
            _ => {}
        }
        warnings.extend(missing);
        (out, warnings)
    }

    /// The objects that are asked for.
    pub fn named(&self, stored: &Stored<'_>) -> Vec<Named> {
        let mut out = Vec::new();
        for kind in &self.kinds {
            for row in self.rows(kind, stored, Duration::ZERO) {
                let (namespace, name) = row.key;
                out.push(Named { kind: kind.clone(), namespace, name });
            }
        }
        out
    }

    /// The columns as far as they are wide: each is as wide as its widest field and three blanks.
    fn table(&self, kind: &str, rows: &[Row], wide: bool) -> Vec<String> {
        let all = self.namespace.is_none() && !matches!(kind, "node" | "namespace");
        let with = |namespace: &str, name: &str, fields: &[String]| {
            let prefixed = self.kinds.len() > 1 && name != "NAME";
            let mut line: Vec<String> = if all { vec![namespace.to_owned()] } else { Vec::new() };
            line.push(if prefixed { resource(kind, name) } else { name.to_owned() });
            line.extend(fields.iter().cloned());
            line
        };
        let more = self.labels.then_some("LABELS");
        let titles: Vec<String> = titles(kind, wide).iter().copied().chain(more).map(str::to_owned).collect();
        let mut lines = vec![with("NAMESPACE", "NAME", &titles)];
        lines.extend(rows.iter().map(|r| with(&r.key.0, &r.key.1, &r.fields)));
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

    fn rows(&self, kind: &str, stored: &Stored<'_>, age: Duration) -> Vec<Row> {
        let objects = stored.objects;
        let wide = self.output == Output::Table { wide: true };
        let age = duration(age);
        let of = |m: &Metadata, fields: Vec<String>| Row { key: m.key(), fields };
        let mut rows: Vec<Row> = match kind {
            "pod" => objects.pods.values().map(|p| of(&p.metadata, pod(p, wide, &age))).collect(),
            "service" => objects.services.values().map(|s| of(&s.metadata, service(s, wide, &age))).collect(),
            "endpoints" => {
                let fields = |s: &Service| vec![shortened(&addresses(s, objects, None)), age.clone()];
                objects.services.values().map(|s| of(&s.metadata, fields(s))).collect()
            }
            "endpointslice" => {
                objects.endpoint_slices.values().map(|s| of(&s.metadata, slice(s, &age))).collect()
            }
            "deployment" => {
                let fields = |d: &cluster::object::Deployment| {
                    let (n, runs) = (d.replicas, available(d, objects));
                    vec![format!("{runs}/{n}"), n.to_string(), runs.to_string(), age.clone()]
                };
                objects.deployments.values().map(|d| of(&d.metadata, fields(d))).collect()
            }
            "configmap" => {
                let fields = |c: &cluster::object::ConfigMap| vec![c.data.len().to_string(), age.clone()];
                objects.config_maps.values().map(|c| of(&c.metadata, fields(c))).collect()
            }
            "namespace" => {
                let given = objects.namespaces.values().map(|m| m.name.as_str());
                let used = objects.services.keys().chain(objects.pods.keys()).map(|(ns, _)| ns.as_str());
                let mut names: Vec<&str> = NAMESPACES.into_iter().chain(given).chain(used).collect();
                sorted::sort(&mut names);
                names.dedup();
                let row = |name: &&str| Row {
                    key: (String::new(), (*name).to_owned()),
                    fields: vec!["Active".to_owned(), age.clone()],
                };
                names.iter().map(row).collect()
            }
            _ => {
                let fields = |n: &cluster::object::Node| {
                    let release = format!("v{}", stored.kubelet);
                    let mut f = vec!["Ready".to_owned(), "<none>".to_owned(), age.clone(), release];
                    if wide {
                        f.push(n.internal_ips.first().map_or("<none>".to_owned(), ToString::to_string));
                        f.extend(["<none>", "<unknown>", "<unknown>", "<unknown>"].map(str::to_owned));
                    }
                    f
                };
                objects.nodes.values().map(|n| of(&n.metadata, fields(n))).collect()
            }
        };
        rows.retain(|r| {
            let here = r.key.0.is_empty() || self.namespace.as_ref().is_none_or(|n| *n == r.key.0);
            here && (self.selector.is_empty() || self.selects(stored.get(kind, &r.key).as_ref()))
        });
        for row in rows.iter_mut().filter(|_| self.labels) {
            let all = stored.get(kind, &row.key).map(|tree| labels_of(&tree)).unwrap_or_default();
            let all: Vec<String> =
                all.into_iter().map(|(key, value)| format!("{key}={}", value.unwrap_or_default())).collect();
            row.fields.push(if all.is_empty() { "<none>".to_owned() } else { all.join(",") });
        }
        // The API server lists by name.
        sorted::sort_by(&mut rows, |a, b| a.key.cmp(&b.key));
        rows
    }

    /// An object has the labels that are asked for.
    fn selects(&self, tree: Option<&Yaml>) -> bool {
        let labels = tree.and_then(|t| t.get("metadata")?.get("labels"));
        self.selector.selects(|key| labels.and_then(|l| l.get(key)).map(Yaml::token))
    }
}

/// An object in a list.
struct Row {
    /// Namespace and name.
    key: (String, String),
    fields: Vec<String>,
}

/// Several objects, or none.
fn list(trees: Vec<Yaml>) -> Option<Yaml> {
    let mut list =
        one_document("{apiVersion: v1, items: [], kind: List, metadata: {resourceVersion: ''}}").ok()?;
    if let Value::Mapping(entries) = &mut list.value
        && let Some(items) = entries.iter_mut().find(|e| e.key == "items")
    {
        items.value.value = Value::Sequence(trees);
    }
    Some(list)
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

fn pod(p: &Pod, wide: bool, age: &str) -> Vec<String> {
    // Without an address it has no node, or none that is there.
    let status = match (p.terminating, p.pod_ips.is_empty()) {
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

pub(super) fn labels(map: &litemap::LiteMap<String, String>, separator: &str) -> String {
    let own = |k: &&String| !k.starts_with("netfilter-lab/");
    let all: Vec<String> = map.iter().filter(|(k, _)| own(k)).map(|(k, v)| format!("{k}={v}")).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(separator) }
}

fn service(s: &Service, wide: bool, age: &str) -> Vec<String> {
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

fn slice(s: &EndpointSlice, age: &str) -> Vec<String> {
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

/// Lines of `describe service` that are fields of the spec, before its ports and behind them; what stands there without the field,
/// and no line if that is nothing.
const BEFORE_PORTS: [(&str, &str, Option<&str>); 8] = [
    ("Type", "type", None),
    ("IP Family Policy", "ipFamilyPolicy", None),
    ("IP Families", "ipFamilies", Some("<none>")),
    ("IP", "clusterIP", Some("")),
    ("IPs", "clusterIPs", Some("<none>")),
    ("External IPs", "externalIPs", None),
    ("Desired LoadBalancer IP", "loadBalancerIP", None),
    ("External Name", "externalName", None),
];
const BEHIND_PORTS: [(&str, &str, Option<&str>); 5] = [
    ("Session Affinity", "sessionAffinity", None),
    ("External Traffic Policy", "externalTrafficPolicy", None),
    ("Internal Traffic Policy", "internalTrafficPolicy", None),
    ("HealthCheck NodePort", "healthCheckNodePort", None),
    ("LoadBalancer Source Ranges", "loadBalancerSourceRanges", None),
];

/// What `describe service` prints (kubectl, pkg/describe): names, and values two blanks behind the longest.
fn described(s: &Service, tree: &Yaml, objects: &Objects) -> Vec<String> {
    let mut out: Vec<(&str, String)> = vec![
        ("Name", s.metadata.name.clone()),
        ("Namespace", s.metadata.namespace.clone()),
        ("Labels", labels(&s.metadata.labels, "\n")),
        ("Annotations", labels(&s.metadata.annotations, "\n")),
        ("Selector", labels(&s.selector, ",")),
    ];
    let spec = tree.get("spec");
    let fields = |out: &mut Vec<(&str, String)>, titles: &[(&'static str, &str, Option<&str>)]| {
        for (title, key, without) in titles {
            let value = spec.and_then(|s| s.get(key)).map(|v| match &v.value {
                Value::Sequence(all) => all.iter().map(Yaml::token).collect::<Vec<_>>().join(","),
                _ => v.token().to_owned(),
            });
            out.extend(value.or(without.map(str::to_owned)).map(|value| (*title, value)));
        }
    };
    fields(&mut out, &BEFORE_PORTS);
    let ingress = tree.get("status").and_then(|s| s.get("loadBalancer")?.get("ingress"));
    let ingress: Vec<String> = ingress
        .map_or(&[][..], items)
        .iter()
        .filter_map(|i| match (word(i, "ip"), word(i, "ipMode")) {
            (Some(ip), Some(mode)) => Some(format!("{ip} ({mode})")),
            (ip, _) => ip.or(word(i, "hostname")).map(str::to_owned),
        })
        .collect();
    if !ingress.is_empty() {
        out.push(("LoadBalancer Ingress", ingress.join(", ")));
    }
    let ports = spec.and_then(|s| s.get("ports")).map_or(&[][..], items);
    for (port, tree) in s.ports.iter().zip(ports) {
        let name = if port.name.is_empty() { "<unset>" } else { &port.name };
        let with_protocol = |value| format!("{value}/{}", word(tree, "protocol").unwrap_or_default());
        let value = |key| word(tree, key).map(with_protocol);
        out.extend(value("port").map(|port| ("Port", format!("{name}  {port}"))));
        out.extend(value("targetPort").map(|port| ("TargetPort", port)));
        out.extend(value("nodePort").map(|port| ("NodePort", format!("{name}  {port}"))));
        out.push(("Endpoints", shortened(&addresses(s, objects, Some(port)))));
    }
    fields(&mut out, &BEHIND_PORTS);
    out.push(("Events", "<none>".to_owned()));
    let width = out.iter().map(|(name, _)| name.len() + 3).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, value) in out {
        let mut title = format!("{name}:");
        for part in value.split('\n') {
            lines.push(format!("{title:<width$}{part}"));
            title.clear();
        }
    }
    lines
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
