//! `kubectl describe pod` (kubectl, pkg/describe): what of a pod is known here.

use super::apply::{items, word};
use super::rollout::runs;
use super::stored::Stored;
use cluster::object::Pod;
use cluster::yaml::Yaml;

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
pub(super) fn pod(p: &Pod, tree: &Yaml, stored: &Stored<'_>) -> Vec<String> {
    let none = || "<none>".to_owned();
    let node = stored.objects.nodes.get(&p.node_name);
    let on = match (p.node_name.is_empty(), node.and_then(|n| n.internal_ips.first())) {
        (true, _) => none(),
        (false, Some(ip)) => format!("{}/{ip}", p.node_name),
        (false, None) => p.node_name.clone(),
    };
    let status = match (p.terminating, p.pod_ips.is_empty()) {
        (true, _) => "Terminating",
        (_, true) => "Pending",
        _ => "Running",
    };
    let ips: Vec<String> = p.pod_ips.iter().map(ToString::to_string).collect();
    let labels = |map| super::kubectl::labels(map, "\n");
    let mut fields = vec![
        ("Name", p.metadata.name.clone()),
        ("Namespace", p.metadata.namespace.clone()),
        ("Priority", "0".to_owned()),
        ("Service Account", "default".to_owned()),
        ("Node", on),
        ("Labels", labels(&p.metadata.labels)),
        ("Annotations", labels(&p.metadata.annotations)),
        ("Status", status.to_owned()),
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
