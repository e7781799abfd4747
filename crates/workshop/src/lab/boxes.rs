//! The boxes that a lab's text may name, and how it names them.

use super::effect::{Effect, file_of};
use super::world::{WorldSpec, objects, objects_after};
use super::{Command, When};
use crate::kube::LAN;
use cluster::Read;
use cluster::controllers::Controllers;
use cluster::fields::{Fields, each, text};
use cluster::object::{Objects, Pod};
use cluster::yaml::{Value, Yaml};
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
        let pods: Vec<Pod> = pods(lab, documents, objects).into_iter().filter(|p| !p.host_network).collect();
        let mut all = nodes.clone();
        for pod in pods.iter().map(|p| &p.metadata.name) {
            if !all.contains(pod) {
                all.push(pod.clone());
            }
        }
        all.extend(world.machines.iter().map(|m| m.name.clone()));
        all.push(LAN.to_owned());
        Ok(Boxes { all, nodes, pods })
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
        Err(v.blame(format!("there is no such box; expected one of {}", self.all.join(", "))))
    }

    /// A box, a list of them, `nodes`, or pods by their labels: `pods: {app: web}`, with the `namespace` if it is not `default`.
    ///
    /// # Errors
    /// A box that is named is not there, or no pod has these labels.
    pub fn some(&self, v: &Yaml) -> Read<Vec<String>> {
        match &v.value {
            Value::Sequence(items) => each(items, |item| self.one(item)),
            Value::Plain(word) if word == "nodes" => Ok(self.nodes.clone()),
            Value::Mapping(_) => {
                let f = Fields::strict(v, &["pods", "namespace"])?;
                f.need("pods")?;
                let (labels, namespace) = (f.texts("pods")?, f.text("namespace")?.unwrap_or("default"));
                let has = |p: &&Pod| {
                    p.metadata.namespace == namespace
                        && labels.iter().all(|(k, v)| p.metadata.labels.get(k) == Some(v))
                };
                let mut names: Vec<String> = Vec::new();
                for pod in self.pods.iter().filter(has) {
                    if !names.contains(&pod.metadata.name) {
                        names.push(pod.metadata.name.clone());
                    }
                }
                if names.is_empty() {
                    return Err(v.blame(format!("no pod in namespace {namespace} has these labels")));
                }
                Ok(names)
            }
            _ => Ok(vec![self.one(v)?]),
        }
    }
}

/// All pods that there may be: those of the objects, and what commands about Deployments and their pods lead to, each done after the
/// ones before it.
fn pods(lab: &Yaml, documents: &[Yaml], objects: Objects) -> Vec<Pod> {
    let mut all: Vec<Pod> = objects.pods.iter().map(|(_, pod)| pod.clone()).collect();
    if objects.deployments.is_empty() {
        return all;
    }
    let mut effects = Vec::new();
    commands(lab, &mut effects);
    let mut now = documents.to_vec();
    let files: Vec<Yaml> = documents.iter().filter(|d| file_of(d).is_some()).cloned().collect();
    let mut controllers = Controllers::default();
    if objects_after(&mut controllers, &now).is_err() {
        return all;
    }
    for effect in effects {
        let made = matches!(&effect, Effect::Delete(o) if o.is_pod() && controllers.delete(&o.key()));
        // What an effect refuses is told where the command is read.
        if !made && effect.change_objects(&mut now, &files).is_err() {
            continue;
        }
        if let Ok(after) = objects_after(&mut controllers, &now) {
            for (key, pod) in after.pods.iter() {
                if !all.iter().any(|p| p.metadata.key() == *key) {
                    all.push(pod.clone());
                }
            }
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
