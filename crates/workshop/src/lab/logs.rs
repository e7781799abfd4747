//! `kubectl logs`: what the programs of a pod have printed.

use super::effect::singular;
use super::kubectl::not_found;
use cluster::object::{Objects, Pod};
use sim::World;
use sim::operator::CommandOutput;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    namespace: String,
    /// "pod" or "deployment".
    kind: &'static str,
    name: String,
    /// `--tail`: the last lines alone.
    tail: Option<usize>,
}

impl Logs {
    /// Reads `POD`, `pod/POD` or `deployment/NAME`, with the value of `--tail` (-1 for all).
    ///
    /// # Errors
    /// Says which word is not read, and what was expected.
    pub fn read(namespace: &str, words: &[&str], tail: Option<&str>) -> Result<Logs, String> {
        const WANT: &str = "expected kubectl logs POD, pod/POD or deployment/NAME";
        let [word] = words else {
            return Err("error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the \
                        logs command\nSee 'kubectl logs -h' for help and examples"
                .to_owned());
        };
        let (kind, name) = word.split_once('/').unwrap_or(("pod", word));
        let kind = match singular(&kind.to_ascii_lowercase()) {
            "pod" => "pod",
            "deployment" => "deployment",
            other => return Err(format!("kubectl logs of a {other} is not modelled; {WANT}")),
        };
        let tail = match tail {
            None | Some("-1") => None,
            Some(n) => Some(n.parse().map_err(|_| format!("--tail={n}: expected a number of lines, or -1"))?),
        };
        Ok(Logs { namespace: namespace.to_owned(), kind, name: name.to_owned(), tail })
    }

    /// What kubectl prints.
    pub fn print(&self, objects: &Objects, world: &World) -> CommandOutput {
        let (namespace, name) = (&self.namespace, &self.name);
        let not_found = || {
            let text = not_found(self.kind, name);
            CommandOutput::ended(1, Vec::new(), vec![text])
        };
        let here = |p: &&Pod| p.metadata.namespace == *namespace;
        let mut stderr = Vec::new();
        let pod = match self.kind {
            "deployment" => {
                let key = (namespace.clone(), name.clone());
                let Some(deployment) = objects.deployments.values().find(|d| d.metadata.key() == key) else {
                    return not_found();
                };
                let has = |p: &Pod| {
                    let labels = &p.metadata.labels;
                    deployment.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
                };
                let pods: Vec<&Pod> = objects.pods.values().filter(here).filter(|p| has(p)).collect();
                if let [first, _, ..] = pods[..] {
                    stderr.push(format!("Found {} pods, using pod/{}", pods.len(), first.metadata.name));
                }
                pods.first().copied()
            }
            _ => objects.pods.values().filter(here).find(|p| p.metadata.name == *name),
        };
        let Some(pod) = pod else { return not_found() };
        let host = world.host_by_name(&pod.metadata.name);
        let lines: Vec<&str> = host.into_iter().flat_map(|host| world.printed(host)).collect();
        let first = self.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
        let stdout = lines.iter().skip(first).map(|l| (*l).to_owned()).collect();
        CommandOutput::ended(0, stdout, stderr)
    }
}
