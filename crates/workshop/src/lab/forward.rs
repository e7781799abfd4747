//! `kubectl port-forward` to a Service or a Deployment: to which pod, and to which of its ports (kubectl, pkg/cmd/portforward).

use super::Command;
use super::effect::singular;
use super::kubectl::not_found;
use super::rollout::runs;
use cluster::object::{NamespacedName, Objects, Pod, Service, TargetPort};
use litemap::LiteMap;

/// The same command to a pod; `None` if it is no port-forward, or to a pod already.
///
/// # Errors
/// What kubectl says of it.
pub(super) fn to_pod(command: &Command, objects: &Objects) -> Option<Result<Command, String>> {
    let argv = &command.argv;
    if command.script.is_some() || argv.first()? != "kubectl" || !argv.iter().any(|w| w == "port-forward") {
        return None;
    }
    let at = argv.iter().position(|w| w.contains('/') && !w.starts_with('-'))?;
    let (kind, name) = argv.get(at)?.split_once('/')?;
    let kind = singular(&kind.to_ascii_lowercase()).to_owned();
    let key: NamespacedName = (namespace(argv), name.to_owned());
    let found = match kind.as_str() {
        "pod" => match objects.pods.get(&key) {
            Some(pod) => Ok((pod, None)),
            None => Err(not_found("pod", name)),
        },
        "service" => of_service(&key, objects),
        "deployment" => match objects.deployments.get(&key) {
            Some(d) => first(&d.selector, &key.0, objects).map(|pod| (pod, None)),
            None => Err(not_found("deployment", name)),
        },
        _ => return None,
    };
    Some(found.and_then(|(pod, service)| {
        let mut argv = argv.clone();
        for word in argv.iter_mut().skip(at + 1).filter(|w| !w.starts_with('-')) {
            if let Some(service) = service {
                *word = translated(word, service, pod)?;
            }
        }
        // A pod with the node's network is in the node's box.
        let host = if pod.host_network { &pod.node_name } else { &pod.metadata.name };
        if let Some(word) = argv.get_mut(at) {
            *word = format!("pod/{host}");
        }
        Ok(Command { argv, ..command.clone() })
    }))
}

/// The namespace that is said, or the default one.
fn namespace(argv: &[String]) -> String {
    let behind = argv.iter().position(|w| w == "-n" || w == "--namespace").and_then(|at| argv.get(at + 1));
    let within = argv.iter().find_map(|w| w.strip_prefix("--namespace="));
    behind.map(String::as_str).or(within).unwrap_or("default").to_owned()
}

type Found<'o> = Result<(&'o Pod, Option<&'o Service>), String>;

fn of_service<'o>(key: &NamespacedName, objects: &'o Objects) -> Found<'o> {
    let service = objects.services.get(key).ok_or_else(|| not_found("service", &key.1))?;
    if service.selector.is_empty() {
        return Err(format!(
            "error: cannot attach to *v1.Service: invalid service '{}': Service is defined without a selector",
            key.1
        ));
    }
    Ok((first(&service.selector, &key.0, objects)?, Some(service)))
}

/// The first pod with these labels that runs.
fn first<'o>(
    selector: &LiteMap<String, String>,
    namespace: &str,
    objects: &'o Objects,
) -> Result<&'o Pod, String> {
    let own = |pod: &&Pod| {
        let labels = &pod.metadata.labels;
        pod.metadata.namespace == namespace
            && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    let found = objects.pods.values().filter(own).find(|pod| runs(pod));
    found.ok_or_else(|| "error: timed out waiting for the condition".to_owned())
}

/// `LOCAL:PORT` or `PORT` of a Service, with the pod's port.
fn translated(word: &str, service: &Service, pod: &Pod) -> Result<String, String> {
    let (local, remote) = word.split_once(':').unwrap_or((word, word));
    let name = &service.metadata.name;
    let port = match remote.parse::<u16>() {
        Ok(number) => service.ports.iter().find(|p| p.port == number),
        Err(_) => service.ports.iter().find(|p| p.name == remote),
    };
    let port = port.ok_or_else(|| match remote.parse::<u16>() {
        Ok(_) => format!("error: Service {name} does not have a service port {remote}"),
        Err(_) => format!("error: Service '{name}' does not have a named port '{remote}'"),
    })?;
    let target = match &port.target {
        TargetPort::Same => port.port,
        TargetPort::Number(number) => *number,
        TargetPort::Name(wanted) => {
            let found = pod.ports.iter().find(|p| p.name == *wanted && p.protocol == port.protocol);
            let missing =
                || format!("error: Pod '{}' does not have a named port '{wanted}'", pod.metadata.name);
            found.ok_or_else(missing)?.port
        }
    };
    let local = if local == remote && local.parse::<u16>().is_err() {
        port.port.to_string()
    } else {
        local.to_owned()
    };
    Ok(format!("{local}:{target}"))
}
