//! Commands: of a setup, of a switch's values, of a step.

use super::super::command::script;
use super::super::effect::{Effect, is_about_cluster};
use super::super::{Boxes, Command, Switch, When, split};
use super::when;
use cluster::Read;
use cluster::fields::{Fields, each, text};
use cluster::yaml::{Place, Value, Yaml};
use sim::operator::{PROGRAMS, executed, is_filter};
use sim::programs::sh::{self, Script};
use std::rc::Rc;

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

/// One that sets the lab up, or is a switch's: what is about the cluster is then done before there are boxes, and stands alone.
pub(super) fn command(v: &Yaml, boxes: &Boxes, switches: &[Switch], default_on: &[String]) -> Read<Command> {
    let command = any_command(v, boxes, switches, default_on)?;
    if command.background || command.waits() {
        return Err(v.blame("expected a command that ends: only steps have programs in the background"));
    }
    let cluster = |argv: &&[String]| argv.first().is_some_and(|p| is_about_cluster(p));
    match command.each().into_iter().find(cluster) {
        Some(argv) if command.script.is_some() => Err(
            v.blame(format!("{} is about the cluster; expected it as a command of its own", argv.join(" ")))
        ),
        _ => Ok(command),
    }
}

fn any_command(v: &Yaml, boxes: &Boxes, switches: &[Switch], default_on: &[String]) -> Read<Command> {
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
    // What a person may try is a mistake in a lab.
    for argv in command.each().into_iter().filter(|argv| !sh::has_blank(argv)) {
        let part = Command { argv: argv.to_vec(), script: None, ..command.clone() };
        if let Ok(Some(effects)) = Effect::of(&part)
            && let Some(Effect::Wrong(why)) = effects.first()
        {
            return Err(v.blame(why.clone()));
        }
    }
    Ok(Command { when, place: v.place, ..command })
}

/// What may stand before `&`.
const ONE_BESIDE: &str = "'&': expected one program of a box before it, which runs in the background";

/// A command from its line ([`Command::lacks_box`] tells whether a box is still to be named); with `&` at its end it runs in the background.
/// `Err` says what of it is not read, and what was expected.
pub(crate) fn command_of(run: &str, on: Vec<String>, stdin: Option<String>) -> Result<Command, String> {
    let Some(before) = sh::beside(run) else { return in_front(run, on, stdin) };
    let command = in_front(before, on, stdin)?;
    if !command.may_be_beside() {
        return Err(ONE_BESIDE.to_owned());
    }
    Ok(Command { run: run.trim_end().to_owned(), background: true, ..command })
}

fn in_front(run: &str, on: Vec<String>, stdin: Option<String>) -> Result<Command, String> {
    let (run, argv) = (run.trim_end().to_owned(), split(run)?);
    let (when, place) = (When::default(), Place::default());
    let mut command = Command { on, run, argv, script: None, stdin, when, background: false, place };
    match executed(&command.argv) {
        Ok(Some((pod, words))) => (command.on, command.argv) = (vec![pod], words),
        // kubectl says so itself.
        Err(why) if !why.starts_with("error") => return Err(why),
        _ => {}
    }
    let Some(mut script) = script(&command.argv)? else {
        match kind(&command)? {
            Kind::Cluster => command.on.clear(),
            Kind::Any if command.program() == "sleep" || command.waits() => {}
            Kind::Box | Kind::Any if command.on.is_empty() => command.on.push(String::new()),
            Kind::Box | Kind::Any => {}
        }
        return Ok(command);
    };
    let (fed, mut needs_box) = (fed(&script), false);
    for (one, fed) in script.each_mut().into_iter().zip(fed) {
        if let Some((pod, words)) = executed(&one.argv)? {
            (one.on, one.argv) = (Some(pod), words);
        }
        let part = Command { argv: one.argv.clone(), stdin: fed.then(String::new), ..command.clone() };
        // What a pipe brings, or a command prints, is not known yet.
        let kind = match (fed || sh::has_blank(&part.argv)) && is_about_cluster(part.program()) {
            true if !part.argv.iter().any(|w| w == "port-forward") => Kind::Cluster,
            _ => kind(&part)?,
        };
        needs_box |= kind == Kind::Box && one.on.is_none() && !(fed && is_filter(&one.argv));
    }
    needs_box |= script.has_files();
    match needs_box {
        true if command.on.is_empty() => command.on.push(String::new()),
        true => {}
        false => command.on.clear(),
    }
    command.script = Some(Rc::new(script));
    Ok(command)
}

/// Which programs of a script read what another prints.
fn fed(script: &Script) -> Vec<bool> {
    script.each().into_iter().map(|(_, fed)| fed).collect()
}

/// Who runs a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Box,
    Cluster,
    /// It has to do with neither.
    Any,
}

/// Programs that somebody may look for, and what does the same here.
const INSTEAD: [(&str, &str); 11] = [
    ("ifconfig", "ip addr"),
    ("route", "ip route"),
    ("arp", "ip neigh"),
    ("netstat", "ss"),
    ("brctl", "bridge"),
    ("wget", "curl"),
    ("telnet", "nc"),
    ("host", "dig or nslookup"),
    ("getent", "nslookup, or cat /etc/hosts"),
    ("journalctl", "dmesg or kubectl logs"),
    ("vi", "echo or printf with > FILE, or sed -i"),
];

/// Who runs a command of one program. `Err` if nobody does.
fn kind(command: &Command) -> Result<Kind, String> {
    if let [program, next, ..] = command.argv.as_slice()
        && matches!(program.as_str(), "time" | "watch")
        && is_about_cluster(next)
    {
        return Err(format!("{program} {next} is not modelled; expected {next} without {program}"));
    }
    match Effect::of(command)? {
        Some(_) => Ok(Kind::Cluster),
        None if matches!(command.program(), "sleep" | "echo" | "printf" | "true" | "false") => Ok(Kind::Any),
        None if command.waits() => Ok(Kind::Any),
        None if can_run(command.program()) => Ok(Kind::Box),
        None => {
            let clients = sim::programs::PROGRAMS.iter().map(|(n, _)| *n);
            let known: Vec<&str> =
                clients.chain(["tcpdump", "nsenter", "systemctl"]).chain(PROGRAMS.iter().copied()).collect();
            let program = command.program();
            match INSTEAD.iter().find(|(absent, _)| *absent == program) {
                Some((_, instead)) => Err(format!("{program} is not modelled; expected {instead}")),
                None => Err(format!("{program} is not modelled; these are: {}", known.join(", "))),
            }
        }
    }
}

/// Whether there is such a program.
fn can_run(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    PROGRAMS.contains(&name)
        || sim::programs::PROGRAMS.iter().any(|(n, _)| *n == name)
        || ["systemctl", "tcpdump", "nsenter", "time", "sh", "bash"].contains(&name)
}
