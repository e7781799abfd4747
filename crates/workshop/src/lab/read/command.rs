//! Commands: of a setup, of a switch's values, of a step.

use super::super::effect::Effect;
use super::super::{Boxes, Command, Switch, When, split};
use super::when;
use cluster::Read;
use cluster::fields::{Fields, each, text};
use cluster::yaml::{Place, Value, Yaml};
use sim::operator::PROGRAMS;

/// A command line, a mapping with `run`, or a list of these.
pub(super) fn commands(
    at: Option<&Yaml>,
    boxes: &Boxes,
    switches: &[Switch],
    default_on: &[String],
) -> Read<Vec<Command>> {
    match at {
        None => Ok(Vec::new()),
        Some(Yaml { value: Value::Sequence(items), .. }) => {
            each(items, |item| command(item, boxes, switches, default_on))
        }
        Some(one) => Ok(vec![command(one, boxes, switches, default_on)?]),
    }
}

pub(super) fn command(v: &Yaml, boxes: &Boxes, switches: &[Switch], default_on: &[String]) -> Read<Command> {
    if !matches!(v.value, Value::Mapping(_)) {
        return line(v, None, When::default(), default_on.to_vec(), boxes);
    }
    let f = Fields::strict(v, &["run", "on", "stdin", "when"])?;
    let on = match f.get("on") {
        Some(on) => boxes.some(on)?,
        None => default_on.to_vec(),
    };
    line(f.need("run")?, f.text("stdin")?, when(&f, switches)?, on, boxes)
}

pub(super) fn line(
    v: &Yaml,
    stdin: Option<&str>,
    when: When,
    on: Vec<String>,
    boxes: &Boxes,
) -> Read<Command> {
    let run = text(v)?.trim_end();
    let command = command_of(run, on, stdin.map(str::to_owned)).map_err(|e| v.blame(e))?;
    if command.lacks_box() {
        let all = boxes.all.join(", ");
        return Err(v.blame(format!("expected {{run: COMMAND, on: BOX}} with nodes or one of {all} as BOX")));
    }
    Ok(Command { when, place: v.place, ..command })
}

/// A command from its line ([`Command::lacks_box`] tells whether a box is still to be named). `Err` says what of it is not read, and what
/// was expected.
pub(crate) fn command_of(run: &str, on: Vec<String>, stdin: Option<String>) -> Result<Command, String> {
    let (run, mut argv) = (run.trim_end().to_owned(), split(run)?);
    let mut on = on;
    if let Some((pod, words)) = executed(&argv)? {
        (on, argv) = (vec![pod], words);
    }
    let (when, place) = (When::default(), Place::default());
    let mut command = Command { on, run, argv, stdin, when, background: false, place };
    match Effect::of(&command)? {
        Some(_) => command.on.clear(),
        None if !can_run(command.program()) => {
            let clients = sim::programs::PROGRAMS.iter().map(|(n, _)| *n);
            let known: Vec<&str> =
                clients.chain(["tcpdump", "systemctl"]).chain(PROGRAMS.iter().copied()).collect();
            let known = known.join(", ");
            return Err(format!("{} is not modelled; these are: {known}", command.program()));
        }
        None if command.on.is_empty() => command.on.push(String::new()),
        None => {}
    }
    Ok(command)
}

/// `kubectl exec [-it] POD -- COMMAND`: the pod whose command it is, and the command.
fn executed(argv: &[String]) -> Result<Option<(String, Vec<String>)>, String> {
    const USAGE: &str = "expected kubectl exec POD -- COMMAND";
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    if words.first() != Some(&"kubectl") || !words.iter().take_while(|w| **w != "--").any(|w| *w == "exec") {
        return Ok(None);
    }
    let at = words.iter().position(|w| *w == "--").ok_or(USAGE)?;
    let (mut pod, mut before) = (None, words.get(1..at).unwrap_or_default().iter());
    while let Some(word) = before.next() {
        match *word {
            "exec" | "-i" | "-t" | "-it" | "-ti" | "--stdin" | "--tty" => {}
            // A name says which pod it is, whatever its namespace; a pod is one box, whatever its containers.
            "-n" | "--namespace" | "-c" | "--container" => {
                before.next();
            }
            option if option.starts_with('-') => return Err(format!("{option:?} is not read here; {USAGE}")),
            name if pod.is_none() => pod = Some(name.trim_start_matches("pod/").to_owned()),
            other => return Err(format!("{other:?} is not read here; {USAGE}")),
        }
    }
    let command: Vec<String> = argv.get(at + 1..).unwrap_or_default().to_vec();
    match pod {
        Some(pod) if !command.is_empty() => Ok(Some((pod, command))),
        _ => Err(USAGE.to_owned()),
    }
}

/// Whether there is such a program.
fn can_run(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    PROGRAMS.contains(&name)
        || sim::programs::PROGRAMS.iter().any(|(n, _)| *n == name)
        || ["systemctl", "tcpdump", "time"].contains(&name)
}
