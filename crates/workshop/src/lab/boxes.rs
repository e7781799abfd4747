//! The boxes that a lab's text may name, and how it names them.

use super::effect::{Effect, file_of};
use super::made::Made;
use super::stored::Stored;
use super::world::{WorldSpec, objects, objects_after};
use super::{Command, When};
use crate::kube::LAN;
use cluster::Read;
use cluster::controllers::Controllers;
use cluster::fields::{Fields, each, text};
use cluster::object::{Objects, Pod};
use cluster::yaml::{Value, Yaml};
use litemap::LiteMap;
use sim::programs::sh;

/// The boxes of a lab, whatever its switches and steps do.
#[derive(Clone, Debug, Default)]
pub struct Boxes {
    /// All of them.
    pub all: Vec<String>,
    /// The nodes among them.
    pub nodes: Vec<String>,
    /// The pods among them, also those that a command of the text makes.
    pods: Vec<Pod>,
    /// Pods that have their nodes' network, and so their boxes: names of both.
    hosted: Vec<(String, String)>,
}

impl Boxes {
    /// Those of a lab's text: its document, its world, and the objects.
    ///
    /// # Errors
    /// An object cannot be used, or there is no node.
    pub fn of(lab: &Yaml, world: &WorldSpec, documents: &[Yaml]) -> Read<Boxes> {
        let objects = objects(documents)?;
        if objects.nodes.is_empty() {
            return Err(lab.place.blame("", "there is no Node among the objects"));
        }
        let nodes: Vec<String> = objects.nodes.keys().cloned().collect();
        let (hosted, pods): (Vec<Pod>, Vec<Pod>) =
            pods(lab, world, documents, objects).into_iter().partition(|p| p.host_network);
        let hosted = hosted.into_iter().filter(|p| nodes.contains(&p.node_name));
        let hosted = hosted.map(|p| (p.metadata.name, p.node_name)).collect();
        let mut all = nodes.clone();
        for pod in pods.iter().map(|p| &p.metadata.name) {
            if !all.contains(pod) {
                all.push(pod.clone());
            }
        }
        all.extend(world.machines.iter().map(|m| m.name.clone()));
        all.push(LAN.to_owned());
        Ok(Boxes { all, nodes, pods, hosted })
    }

    /// The box of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn one(&self, v: &Yaml) -> Read<String> {
        let name = text(v)?;
        if self.all.iter().any(|b| b == name) {
            return Ok(name.to_owned());
        }
        if let Some((_, node)) = self.hosted.iter().find(|(pod, _)| pod == name) {
            return Ok(node.clone());
        }
        Err(v.blame(format!("there is no such box; expected one of {}", self.all.join(", "))))
    }

    /// A box, a list of them, `nodes`, or pods by their labels: `pods: {app: web}`, with the `namespace` if it is not `default`.
    ///
    /// # Errors
    /// A box that is named is not there, or no pod has these labels.
    pub fn some(&self, v: &Yaml) -> Read<Vec<String>> {
        Ok(self.wherever(v)?.boxes)
    }

    /// The same, and pods with these labels that nobody knows of yet.
    ///
    /// # Errors
    /// As those of [`Boxes::some`].
    pub fn wherever(&self, v: &Yaml) -> Read<Where> {
        let boxes = match &v.value {
            Value::Sequence(items) => each(items, |item| self.one(item))?,
            Value::Plain(word) if word == "nodes" => self.nodes.clone(),
            Value::Mapping(_) => {
                let f = Fields::strict(v, &["pods", "namespace"])?;
                f.need("pods")?;
                let (labels, namespace) = (f.texts("pods")?, f.text("namespace")?.unwrap_or("default"));
                let pods = Some((namespace.to_owned(), labels));
                let mut found = Where { boxes: Vec::new(), pods };
                for pod in self.pods.iter().filter(|pod| found.selects(pod)).collect::<Vec<_>>() {
                    if !found.boxes.contains(&pod.metadata.name) {
                        found.boxes.push(pod.metadata.name.clone());
                    }
                }
                if found.boxes.is_empty() {
                    return Err(v.blame(format!("no pod in namespace {namespace} has these labels")));
                }
                return Ok(found);
            }
            _ => vec![self.one(v)?],
        };
        Ok(Where { boxes, pods: None })
    }
}

/// Where a file or a program is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Where {
    /// Boxes, by their names.
    pub boxes: Vec<String>,
    /// All pods of this namespace with these labels.
    pub pods: Option<(String, LiteMap<String, String>)>,
}

impl Where {
    fn selects(&self, pod: &Pod) -> bool {
        let has = |(key, value): (&String, &String)| pod.metadata.labels.get(key) == Some(value);
        self.pods
            .as_ref()
            .is_some_and(|(namespace, labels)| pod.metadata.namespace == *namespace && labels.iter().all(has))
    }

    /// A box of this name is meant, with the pods that there are now.
    pub fn holds(&self, name: &str, objects: &Objects) -> bool {
        let selected = |p: &Pod| !p.host_network && p.metadata.name == name && self.selects(p);
        self.boxes.iter().any(|b| b == name) || objects.pods.values().any(selected)
    }
}

/// All pods that there may be: those of the objects, and what commands about Deployments and their pods lead to, each done after the
/// ones before it.
fn pods(lab: &Yaml, world: &WorldSpec, documents: &[Yaml], objects: Objects) -> Vec<Pod> {
    let mut all: Vec<Pod> = objects.pods.iter().map(|(_, pod)| pod.clone()).collect();
    if objects.deployments.is_empty() {
        return all;
    }
    let mut effects = Vec::new();
    commands(lab, &mut effects);
    let mut now = documents.to_vec();
    let files: Vec<Yaml> = documents.iter().filter(|d| file_of(d).is_some()).cloned().collect();
    let mut controllers = Controllers::default();
    let Ok(mut objects) = objects_after(&mut controllers, &now) else { return all };
    for effect in effects {
        let stored = Stored { documents: &now, objects: &objects, kubelet: world.kubelet };
        let made = Made::of(&effect, &controllers, &stored);
        // What an effect refuses is told where the command is read.
        if made.change(&effect, &mut now, &mut controllers, &files).is_err() {
            continue;
        }
        if let Ok(after) = objects_after(&mut controllers, &now) {
            for (key, pod) in after.pods.iter() {
                if !all.iter().any(|p| p.metadata.key() == *key) {
                    all.push(pod.clone());
                }
            }
            objects = after;
        }
    }
    all
}

/// The effects on Deployments and their pods of the commands in a text, in order.
fn commands(at: &Yaml, out: &mut Vec<Effect>) {
    match &at.value {
        Value::Plain(line) | Value::Text(line) if line.contains("kubectl ") => {
            let Ok(script) = sh::read(line.trim()) else { return };
            for (one, _) in script.each() {
                let command = Command {
                    on: Vec::new(),
                    run: line.clone(),
                    argv: one.argv.clone(),
                    script: None,
                    stdin: None,
                    when: When::default(),
                    background: false,
                    place: at.place,
                };
                let effects = Effect::of(&command).ok().flatten().unwrap_or_default();
                out.extend(effects.into_iter().filter(Effect::is_about_pods));
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| commands(item, out)),
        Value::Mapping(entries) => entries.iter().for_each(|e| commands(&e.value, out)),
        _ => {}
    }
}
