//! `nflab lab`

use super::kube_proxy::say;
use super::{print, read};
use kernel::Netns;
use nflab::kernels::{KernelJson, kernel_json};
use nflab::typed;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;
use workshop::cure::{Search, Wanted};
use workshop::session::{At, Typed};
use workshop::{Lab, LabError, LabRun, Session, Setting, StimulusResult};

/// `lab list`
pub fn list() -> Result<ExitCode, String> {
    let mut out = String::new();
    for lab in workshop::labs() {
        out += &format!("{:<24} {}\n", lab.name, lab.summary);
        for s in &lab.switches {
            let values: Vec<&str> = s.values().collect();
            out += &format!("{:<24} --set {}={}   (default {})\n", "", s.name, values.join("|"), s.default);
        }
    }
    out += &nflab::load::listing();
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// The commands of `--type`; before the first step, or at the end.
pub fn typed_lines(lines: &[String], first: bool) -> Vec<Typed> {
    let at = if first { At::Before(0) } else { At::End };
    lines.iter().map(|line| Typed::of_line(line, at)).collect()
}

/// `lab run conntrack-load`
pub fn load(set: &[String], scale: Option<&str>, as_json: bool, typed: &[Typed]) -> Result<ExitCode, String> {
    let (text, all_hold) = nflab::load::run(set, scale, as_json, typed)?;
    print(&text)?;
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A lab that comes with the program, or one in a file.
fn find_lab(name: &str) -> Result<Lab, String> {
    if let Some(lab) = workshop::lab(name).or_else(|| workshop::exercise::exercise(name)) {
        return Ok(lab);
    }
    // No lab's name looks like a file's.
    if Path::new(name).is_file() || name.contains(['/', '.']) {
        let text = read(Path::new(name))?;
        return workshop::read_lab(&text).map_err(|d| d.show(name, &text));
    }
    let known: Vec<String> =
        workshop::labs().into_iter().map(|l| l.name).chain([workshop::load::NAME.to_owned()]).collect();
    Err(format!("there is no lab {name:?}; these are: {}; nor is there such a file", known.join(", ")))
}

/// Why a lab cannot be run, with the line of its file that is wrong.
fn why_not(name: &str, e: &LabError) -> String {
    match (e, std::fs::read_to_string(name)) {
        (LabError::SetUp(d), Ok(text)) => d.show(name, &text),
        _ => e.to_string(),
    }
}

/// The positions that `--set` gives.
fn positions(set: &[String]) -> Result<Setting, String> {
    let mut changes = Setting::new();
    for word in set {
        let Some((switch, value)) = word.split_once('=') else {
            return Err(format!("--set {word:?}: expected SWITCH=VALUE"));
        };
        changes.insert(switch.to_owned(), value.to_owned());
    }
    Ok(changes)
}

/// A lab's session, with these positions of switches besides.
fn session(name: &str, set: &[String]) -> Result<Session, String> {
    let (lab, changes) = (find_lab(name)?, positions(set)?);
    let mut session = Session::new(std::rc::Rc::new(lab));
    changes.into_iter().for_each(|(name, value)| drop(session.changes.insert(name, value)));
    Ok(session)
}

/// `lab why`
pub fn why(name: &str, set: &[String], step: Option<usize>) -> Result<ExitCode, String> {
    let session = session(name, set)?;
    let run = session.run().map_err(|e| why_not(name, &e))?;
    let wanted = match step {
        None => Wanted::Goals,
        Some(n) if (1..=run.stimuli.len()).contains(&n) => Wanted::Exchange(n - 1),
        Some(n) => return Err(format!("there is no step {n}; expected 1 to {}", run.stimuli.len())),
    };
    let Some(search) = Search::new(&session, &run, wanted) else {
        print("nothing is left to be wished for\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    let cures = search.all();
    let missed = run.goals.iter().filter(|g| step.is_none() && !g.reached);
    let mut out: String = missed.map(|g| format!("not reached: {}\n", g.text)).collect();
    for cure in &cures {
        out += &format!("{}\n  {}\n", cure.name, cure.text());
    }
    if cures.is_empty() {
        out += "nothing that was tried helps\n";
    }
    print(&out)?;
    Ok(if cures.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// `lab diff`
pub fn diff(name: &str, set: &[String]) -> Result<ExitCode, String> {
    let (lab, changes) = (find_lab(name)?, positions(set)?);
    let before = lab.run(&Setting::new()).map_err(|e| why_not(name, &e))?;
    let after = lab.run(&changes).map_err(|e| why_not(name, &e))?;
    let (old_world, world) = (&before.run.world, &after.run.world);
    let mut out = String::new();
    for new in world.hosts() {
        let Some(old) = old_world.host_by_name(&new.name).and_then(|id| old_world.host(id)) else { continue };
        for change in sim::view::changes((old_world, old), (world, new)) {
            out += &format!("{}# {}\n", new.name, change.command);
            for line in &change.lines {
                out += &format!("{}\n", line.text());
            }
        }
    }
    print(if out.is_empty() { "nothing differs\n" } else { &out })?;
    Ok(ExitCode::SUCCESS)
}

/// `lab run`
pub fn run(
    name: &str,
    set: &[String],
    typed: Vec<Typed>,
    as_json: bool,
    capture: Option<(&Path, Option<&str>)>,
) -> Result<ExitCode, String> {
    let mut session = session(name, set)?;
    let own = session.typed.len();
    session.typed.extend(typed);
    session.lab.notes().iter().for_each(|note| say(note));
    let (lab, run) = (&session.lab, session.run().map_err(|e| why_not(name, &e))?);
    for (n, (typed, result)) in session.typed.iter().zip(&run.typed).enumerate() {
        // What is typed here prints what it complains of.
        if let Some(wrong) = result.wrong().filter(|_| n < own) {
            return Err(format!("{}: {wrong}", typed.line));
        }
    }
    if let Some((file, place)) = capture {
        let bytes = nflab::capture::pcapng(&run.run.world, place)?;
        std::fs::write(file, bytes).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let printed = if as_json { json(&session, &run, own)? } else { text(lab, &run) };
    print(&if as_json { printed } else { printed + &typed::text(&session.typed, &run, own) })?;
    let well = run.claims.iter().all(|c| c.holds) && run.typed.iter().all(|t| t.refused.is_none());
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `lab run --json` prints.
#[derive(Serialize)]
struct LabJson<'a> {
    lab: &'a str,
    switches: &'a Setting,
    stimuli: Vec<StimulusJson<'a>>,
    outputs: Vec<OutputJson<'a>>,
    claims: Vec<ClaimJson<'a>>,
    goals: Vec<GoalJson<'a>>,
    refused: Vec<RefusedJson<'a>>,
    kernels: Vec<KernelJson>,
}

#[derive(Serialize)]
struct StimulusJson<'a> {
    name: &'a str,
    outcome: &'a str,
}

#[derive(Serialize)]
struct OutputJson<'a> {
    stimulus: usize,
    command: &'a str,
    status: i32,
    stdout: &'a [String],
    stderr: &'a [String],
}

#[derive(Serialize)]
struct ClaimJson<'a> {
    text: &'a str,
    when: &'a str,
    applies: bool,
    holds: bool,
}

#[derive(Serialize)]
struct GoalJson<'a> {
    text: &'a str,
    reached: bool,
}

/// A command that was typed and cannot be run.
#[derive(Serialize)]
struct RefusedJson<'a> {
    on: Option<&'a str>,
    command: &'a str,
    message: &'a str,
}

/// What the command of a stimulus printed; stimuli are counted from 0.
fn output_json((stimulus, s): (usize, &StimulusResult)) -> Option<OutputJson<'_>> {
    let (command, output) = s.command.as_ref()?;
    let (status, stdout, stderr) = (output.status, &output.stdout[..], &output.stderr[..]);
    Some(OutputJson { stimulus, command, status, stdout, stderr })
}

/// `first` is the number of the first command that was typed here.
fn json(session: &Session, run: &LabRun, first: usize) -> Result<String, String> {
    let typed = session.typed.iter().zip(&run.typed).skip(first);
    let eras: Vec<kernel::Era> = run.run.world.hosts().iter().map(Netns::era).collect();
    let object = LabJson {
        lab: &session.lab.name,
        switches: &run.setting,
        stimuli: run.stimuli.iter().map(|s| StimulusJson { name: &s.name, outcome: &s.outcome }).collect(),
        outputs: run.stimuli.iter().enumerate().filter_map(output_json).collect(),
        claims: run
            .claims
            .iter()
            .map(|c| ClaimJson { text: &c.text, when: &c.when, applies: c.applies, holds: c.holds })
            .collect(),
        goals: run.goals.iter().map(|g| GoalJson { text: &g.text, reached: g.reached }).collect(),
        refused: typed
            .filter_map(|(typed, result)| {
                let message = &result.refused.as_ref()?.message;
                Some(RefusedJson { on: typed.on.as_deref(), command: &typed.line, message })
            })
            .collect(),
        kernels: kernel::Era::ALL.into_iter().filter(|era| eras.contains(era)).map(kernel_json).collect(),
    };
    serde_json::to_string(&object).map(|s| s + "\n").map_err(|e| e.to_string())
}

fn text(lab: &Lab, run: &LabRun) -> String {
    let mut out = format!("{}\n", lab.title);
    for switch in &lab.switches {
        let value = run.setting.get(&switch.name).map_or("", String::as_str);
        let set = format!("{}={value}", switch.name);
        out += &format!("  {set:<32} # {}\n", switch.command(value).unwrap_or_default());
    }
    for s in &run.stimuli {
        out += &format!("{}: {}\n", s.name, s.outcome);
    }
    out += "claims\n";
    for c in run.claims.iter().filter(|c| c.applies) {
        out += &format!("  {} {}\n", if c.holds { "holds" } else { "FAILS" }, c.text);
    }
    out += "goals\n";
    for g in &run.goals {
        out += &format!("  {} {}\n", if g.reached { "reached    " } else { "not reached" }, g.text);
    }
    out
}
