//! `kubectl describe` (kubectl, pkg/describe): what of a pod or a Service is known here.

use super::columns::{addresses, labels, shortened, status};
use crate::lab::apply::{items, word};
use crate::lab::rollout::runs;
use crate::lab::stored::Stored;
use cluster::kube_proxy::Version;
use cluster::object::{Pod, Service};
use cluster::yaml::{Value, Yaml};

/// Lines whose values begin in one column, two blanks behind the longest name; the names are indented by so many blanks.
fn block(indent: usize, fields: &[(&str, String)]) -> Vec<String> {
    let width = fields.iter().map(|(name, _)| name.len() + 3).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, value) in fields {
        let mut title = format!("{name}:");
        for part in value.split('\n') {
            lines.push(format!("{:indent$}{title:<width$}{part}", ""));
            title.clear();
        }
    }
    lines
}

/// What `kubectl describe pod` prints of a pod, and of its tree as the API server has it.
pub fn pod(p: &Pod, tree: &Yaml, stored: &Stored<'_>) -> Vec<String> {
    let none = || "<none>".to_owned();
    let node = stored.objects.nodes.get(&p.node_name);
    let on = match (p.node_name.is_empty(), node.and_then(|n| n.internal_ips.first())) {
        (true, _) => none(),
        (false, Some(ip)) => format!("{}/{ip}", p.node_name),
        (false, None) => p.node_name.clone(),
    };
    let ips: Vec<String> = p.pod_ips.iter().map(ToString::to_string).collect();
    let labels = |map| labels(map, "\n");
    let mut fields = vec![
        ("Name", p.metadata.name.clone()),
        ("Namespace", p.metadata.namespace.clone()),
        ("Priority", "0".to_owned()),
        ("Service Account", "default".to_owned()),
        ("Node", on),
        ("Labels", labels(&p.metadata.labels)),
        ("Annotations", labels(&p.metadata.annotations)),
        ("Status", status(p).to_owned()),
        ("IP", ips.first().cloned().unwrap_or_default()),
    ];
    let owner = stored.replica_set(p).map(|set| ("Controlled By", format!("ReplicaSet/{set}")));
    let mut out = match ips.is_empty() {
        true => {
            fields.extend([("IPs", none())].into_iter().chain(owner));
            block(0, &fields)
        }
        false => {
            let mut out = block(0, &fields);
            out.push("IPs:".to_owned());
            let ips: Vec<(&str, String)> = ips.into_iter().map(|ip| ("  IP", ip)).chain(owner).collect();
            out.extend(block(0, &ips));
            out
        }
    };
    out.push("Containers:".to_owned());
    let containers = tree.get("spec").and_then(|s| s.get("containers")).map_or(&[][..], items);
    for container in containers {
        out.push(format!("  {}:", word(container, "name").unwrap_or_default()));
        out.extend(block(4, &of_container(container, p)));
    }
    out.push("Events:  <none>".to_owned());
    out
}

fn of_container<'a>(container: &Yaml, p: &Pod) -> Vec<(&'a str, String)> {
    let ports = container.get("ports").map_or(&[][..], items);
    let list = |key: &str| {
        let number = |port: &Yaml| {
            let protocol = word(port, "protocol").unwrap_or("TCP");
            format!("{}/{protocol}", word(port, key).unwrap_or("0"))
        };
        match ports {
            [] => "<none>".to_owned(),
            all => all.iter().map(number).collect::<Vec<_>>().join(", "),
        }
    };
    let (one, many) = (("Port", "Host Port"), ("Ports", "Host Ports"));
    let (own, host) = if ports.len() > 1 { many } else { one };
    let answers = runs(p);
    let mut fields: Vec<(&str, String)> = Vec::new();
    fields.extend(word(container, "image").map(|image| ("Image", image.to_owned())));
    fields.extend([
        (own, list("containerPort")),
        (host, list("hostPort")),
        ("State", if p.pod_ips.is_empty() { "Waiting" } else { "Running" }.to_owned()),
        ("Ready", if answers { "True" } else { "False" }.to_owned()),
        ("Restart Count", "0".to_owned()),
    ]);
    fields
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
/// Fields that neither a Service nor kubectl knew in 1.17.
const SINCE_1_23: [&str; 4] = ["ipFamilyPolicy", "ipFamilies", "clusterIPs", "internalTrafficPolicy"];

const BEHIND_PORTS: [(&str, &str, Option<&str>); 5] = [
    ("Session Affinity", "sessionAffinity", None),
    ("External Traffic Policy", "externalTrafficPolicy", None),
    ("Internal Traffic Policy", "internalTrafficPolicy", None),
    ("HealthCheck NodePort", "healthCheckNodePort", None),
    ("LoadBalancer Source Ranges", "loadBalancerSourceRanges", None),
];

/// What `kubectl describe service` prints of a Service, and of its tree as the API server has it.
pub fn service(s: &Service, tree: &Yaml, stored: &Stored<'_>) -> Vec<String> {
    let objects = stored.objects;
    let mut out: Vec<(&str, String)> = vec![
        ("Name", s.metadata.name.clone()),
        ("Namespace", s.metadata.namespace.clone()),
        ("Labels", labels(&s.metadata.labels, "\n")),
        ("Annotations", labels(&s.metadata.annotations, "\n")),
        ("Selector", labels(&s.selector, ",")),
    ];
    let spec = tree.get("spec");
    let fields = |out: &mut Vec<(&str, String)>, titles: &[(&'static str, &str, Option<&str>)]| {
        let there = |key: &str| stored.kubelet >= Version::V1_23 || !SINCE_1_23.contains(&key);
        for (title, key, without) in titles.iter().filter(|(_, key, _)| there(key)) {
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
        out.push(("Endpoints", shortened(&addresses(&s.metadata.key(), objects, Some(port)))));
    }
    fields(&mut out, &BEHIND_PORTS);
    out.push(("Events", "<none>".to_owned()));
    block(0, &out)
}
