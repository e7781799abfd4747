//! The commands of a session while it is run.

use super::{At, Refused, Typed, TypedResult};
use crate::lab::{By, Command, Effect, StimulusResult, WorldSpec, check_new, command_of, objects_of};
use cluster::yaml::Yaml;
use cluster::{Diagnostic, read_objects};
use sim::operator::CommandOutput;

/// Commands that were typed, and what has come of them so far.
pub(crate) struct Asked {
    list: Vec<One>,
    /// The nodes of the cluster.
    nodes: Vec<String>,
    /// What the lab's own set-up does to boxes and objects is left out.
    pub bare: bool,
}

struct One {
    at: At,
    command: Option<Command>,
    /// What it changes in the cluster, of [`At::Setup`].
    effects: Vec<Effect>,
    result: TypedResult,
}

impl Asked {
    /// Reads the commands for a lab of so many steps; those that cannot be read are refused.
    pub fn new(typed: &[Typed], steps: usize) -> Asked {
        Asked { list: typed.iter().map(|t| One::read(t, steps)).collect(), nodes: Vec::new(), bare: false }
    }

    /// Changes the cluster as commands of [`At::Setup`] say. What does not fit into it is refused.
    pub fn change(&mut self, documents: &mut Vec<Yaml>, spec: &mut WorldSpec, files: &[Yaml]) {
        for one in self.list.iter_mut().filter(|o| o.result.refused.is_none() && !o.effects.is_empty()) {
            match changed(&one.effects, documents, spec, files) {
                Ok(after) => (*documents, *spec) = after,
                Err(Unfit::Text(message)) => one.refuse(message),
                Err(Unfit::Object(wrong)) => {
                    let text = one.command.as_ref().and_then(|c| c.stdin.as_deref()).unwrap_or_default();
                    one.result.refused = Some(match stands_in(&wrong, text) {
                        true => Refused { message: wrong.to_string(), place: Some(*wrong) },
                        false => {
                            Refused { message: format!("{:?}: {}", wrong.token, wrong.message), place: None }
                        }
                    });
                }
            }
        }
        let is_node = |d: &&Yaml| d.get("kind").is_some_and(|k| k.token() == "Node");
        let name = |d: &Yaml| d.get("metadata")?.get("name").map(|n| n.token().to_owned());
        self.nodes = documents.iter().filter(is_node).filter_map(name).collect();
    }

    /// Refuses the last command that has changed the cluster; false if there is none.
    pub fn refuse_last(&mut self, why: &str) -> bool {
        let changes = |o: &&mut One| o.result.refused.is_none() && !o.effects.is_empty();
        let last = self.list.iter_mut().rev().find(changes);
        last.map(|one| one.refuse(why.to_owned())).is_some()
    }

    /// What is to be run now, with the numbers of the commands. What has changed the cluster is done already.
    pub fn take(&self, at: At) -> Vec<(usize, Command)> {
        let mut out = Vec::new();
        for (n, one) in self.list.iter().enumerate() {
            let Some(command) = one.command.as_ref().filter(|_| one.at == at) else { continue };
            if one.result.refused.is_some() || !one.effects.is_empty() {
                continue;
            }
            if command.on.first().is_some_and(|on| on == "nodes") {
                let each = |node: &String| (n, Command { on: vec![node.clone()], ..command.clone() });
                out.extend(self.nodes.iter().map(each));
            } else {
                out.push((n, command.clone()));
            }
        }
        out
    }

    /// A command has been run, or could not be.
    pub fn ran(&mut self, n: usize, done: Result<CommandOutput, String>) {
        let Some(one) = self.list.get_mut(n) else { return };
        match done {
            Ok(output) => one.note(&output),
            Err(e) => one.refuse(e),
        }
    }

    /// What has come of each command.
    pub fn results(mut self, stimuli: &[StimulusResult]) -> Vec<TypedResult> {
        for (exchange, s) in stimuli.iter().enumerate() {
            let By::Typed(n) = s.by else { continue };
            let Some(one) = self.list.get_mut(n) else { continue };
            one.result.exchange.get_or_insert(exchange);
            match &s.command {
                Some((_, output)) => one.note(output),
                None => one.refuse(s.outcome.clone()),
            }
        }
        self.list.into_iter().map(|one| one.result).collect()
    }
}

impl One {
    fn read(typed: &Typed, steps: usize) -> One {
        let at = match typed.at {
            At::Before(n) if n >= steps => At::End,
            at => at,
        };
        let stdin = (!typed.stdin.is_empty()).then(|| typed.stdin.clone());
        let mut one = One { at, command: None, effects: Vec::new(), result: TypedResult::default() };
        match command_of(&typed.line, typed.on.iter().cloned().collect(), stdin) {
            Ok(command) if at == At::Setup && command.background => {
                one.refuse("nothing runs in the background before the first step".to_owned());
            }
            Ok(command) => {
                if at == At::Setup {
                    one.effects = Effect::of(&command).ok().flatten().unwrap_or_default();
                }
                one.command = Some(command);
            }
            Err(message) => one.result.refused = Some(Refused { message, place: place_in(typed) }),
        }
        one
    }

    fn refuse(&mut self, message: String) {
        let stdin =
            self.command.as_ref().filter(|c| c.program() == "kubectl").and_then(|c| c.stdin.as_deref());
        let place = stdin.and_then(|text| read_objects(text).err()).map(|d| *d);
        self.result.refused = Some(Refused { message, place });
    }

    fn note(&mut self, output: &CommandOutput) {
        if self.result.output.as_ref().is_none_or(|o| o.status == 0) {
            self.result.output = Some(output.clone());
        }
    }
}

/// Where standard input is wrong, if it is.
fn place_in(typed: &Typed) -> Option<Diagnostic> {
    if typed.stdin.is_empty() || !typed.line.starts_with("kubectl") {
        return None;
    }
    objects_of(&typed.stdin).err().map(|d| *d)
}

/// What is wrong stands in this text, not in that of another object.
fn stands_in(wrong: &Diagnostic, text: &str) -> bool {
    let line = text.lines().nth(wrong.line.saturating_sub(1)).unwrap_or_default();
    let mut there = line.chars().skip(wrong.column.saturating_sub(1));
    // A quotation mark may be before it.
    there.by_ref().take(1 + wrong.token.chars().count()).collect::<String>().contains(&wrong.token)
}

/// Why boxes cannot be made.
enum Unfit {
    /// This value of an object is why.
    Object(Box<Diagnostic>),
    Text(String),
}

/// Objects and world after a change, if boxes can be made of them.
fn changed(
    effects: &[Effect],
    documents: &[Yaml],
    spec: &WorldSpec,
    files: &[Yaml],
) -> Result<(Vec<Yaml>, WorldSpec), Unfit> {
    let old = documents;
    let (mut documents, mut spec) = (documents.to_vec(), spec.clone());
    for effect in effects {
        effect.set_up(&mut documents, &mut spec, files).map_err(Unfit::Text)?;
    }
    let (mut checked, new): (Vec<Yaml>, Vec<Yaml>) = documents.iter().cloned().partition(|d| old.contains(d));
    let from = checked.len();
    checked.extend(new);
    check_new(&checked, from, spec.gateway).map_err(Unfit::Object)?;
    spec.kube(&documents).and_then(|kube| kube.boxes()).map_err(Unfit::Text)?;
    Ok((documents, spec))
}
