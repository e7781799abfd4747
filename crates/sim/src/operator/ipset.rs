//! What `ipset` changes and prints.

use super::CommandOutput;
use crate::world::World;
use kernel::netfilter::ipset::{Addrs, Elems, IpSet, IpSets, SetError, SetType};
use kernel::{Instant, Netns, NetnsId};
use userland::ipset::{
    IpsetCommand, IpsetError, IpsetFlags, IpsetLine, Output, Verb, entry_text, list_set, list_xml,
    parse_ipset_restore, save_set,
};

#[cfg(test)]
mod tests;

/// With what ipset signs its messages.
const TOOL: &str = "ipset v7.17: ";

/// What a command prints: standard output, and what `test` says on standard error.
#[derive(Default)]
struct Said {
    out: Vec<String>,
    err: Option<String>,
    /// `test` did not find it.
    absent: bool,
}

impl Said {
    fn lines(out: Vec<String>) -> Said {
        Said { out, ..Said::default() }
    }
}

/// `ipset ...`
pub(super) fn ipset(world: &mut World, host: NetnsId, argv: &[String], stdin: Option<&str>) -> CommandOutput {
    let now = world.now();
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    let mut flags = IpsetFlags::default();
    let words = argv.get(1..).unwrap_or_default().to_vec();
    let done = match IpsetLine::parse(words, &mut flags, false) {
        Err(e) => Err(failed(&e, "")),
        Ok(IpsetLine { verb: Verb::Restore, .. }) => restore(ns, stdin.unwrap_or_default(), flags, now),
        Ok(line) => run(ns, &line, &flags, now).map_err(|e| failed(&e, "")).map(|said| {
            CommandOutput::ended(i32::from(said.absent), said.out, said.err.into_iter().collect())
        }),
    };
    let mut out = done.unwrap_or_else(|failed| failed);
    if flags.quiet {
        out.stderr.clear();
    }
    out
}

/// The error with ipset's name. A command line that is not understood has another status, and no line number in `restore`.
fn failed(e: &IpsetError, place: &str) -> CommandOutput {
    let says = &e.says;
    match e.usage {
        true => CommandOutput::failed(2, format!("{TOOL}{says}\nTry `ipset help' for more information.")),
        false => CommandOutput::failed(1, format!("{TOOL}{place}{says}")),
    }
}

/// `restore`. `Err` is what it prints if something is wrong.
pub(super) fn load(ns: &mut Netns, text: &str, now: Instant) -> Result<CommandOutput, CommandOutput> {
    restore(ns, text, IpsetFlags::default(), now)
}

/// What stands before the first mistake is done; but ipset collects members for the same set and hands them to the kernel
/// together, and those that it still holds when it meets a line that it cannot read are lost.
fn restore(
    ns: &mut Netns,
    text: &str,
    mut flags: IpsetFlags,
    now: Instant,
) -> Result<CommandOutput, CommandOutput> {
    let (lines, wrong) = parse_ipset_restore(text, &mut flags);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    // Members that wait, and what is done with them.
    let mut waiting: Vec<(u32, IpsetFlags, IpsetCommand)> = Vec::new();
    let place = |line: u32| format!("Error in line {line}: ");
    let stop =
        |stdout: Vec<String>, line: u32, e: &IpsetError| CommandOutput { stdout, ..failed(e, &place(line)) };
    for (n, flags, line) in &lines {
        let command = match read(ns, line) {
            Ok(command) => command,
            Err(e) => return Err(stop(stdout, *n, &e)),
        };
        if let Some((.., first)) = waiting.first()
            && !together(first, &command)
        {
            hand_over(ns, &mut waiting, now).map_err(|(n, e)| stop(stdout.clone(), n, &e))?;
        }
        if matches!(command, IpsetCommand::Add { .. } | IpsetCommand::Del { .. }) {
            waiting.push((*n, *flags, command));
            continue;
        }
        match execute(ns, &command, flags, now) {
            Ok(said) => {
                stdout.extend(said.out);
                stderr.extend(said.err.filter(|_| !said.absent));
            }
            Err(e) => return Err(stop(stdout, *n, &e)),
        }
    }
    if let Some((n, e)) = wrong {
        return Err(stop(stdout, n, &e));
    }
    hand_over(ns, &mut waiting, now).map_err(|(n, e)| stop(stdout.clone(), n, &e))?;
    Ok(CommandOutput { stdout, stderr, ..CommandOutput::default() })
}

/// True if ipset hands both to the kernel together.
fn together(a: &IpsetCommand, b: &IpsetCommand) -> bool {
    match (a, b) {
        (IpsetCommand::Add { name: a, .. }, IpsetCommand::Add { name: b, .. })
        | (IpsetCommand::Del { name: a, .. }, IpsetCommand::Del { name: b, .. }) => a == b,
        _ => false,
    }
}

fn hand_over(
    ns: &mut Netns,
    waiting: &mut Vec<(u32, IpsetFlags, IpsetCommand)>,
    now: Instant,
) -> Result<(), (u32, IpsetError)> {
    for (line, flags, command) in waiting.drain(..) {
        execute(ns, &command, &flags, now).map_err(|e| (line, e))?;
    }
    Ok(())
}

fn read(ns: &Netns, line: &IpsetLine) -> Result<IpsetCommand, IpsetError> {
    line.command(&|name| ns.ipsets.get(name).map(|s| s.kind))
}

fn run(ns: &mut Netns, line: &IpsetLine, flags: &IpsetFlags, now: Instant) -> Result<Said, IpsetError> {
    let command = read(ns, line)?;
    execute(ns, &command, flags, now)
}

/// Does one command. `Err` is what ipset says.
fn execute(
    ns: &mut Netns,
    command: &IpsetCommand,
    flags: &IpsetFlags,
    now: Instant,
) -> Result<Said, IpsetError> {
    let exist = flags.exist;
    match command {
        IpsetCommand::Create { name, kind, options } => {
            ns.ipsets.create(name, *kind, (**options).clone(), exist)?;
        }
        IpsetCommand::Add { name, elems, info } => ns.ipsets.add(name, elems, info, exist, now)?,
        IpsetCommand::Del { name, elems } => ns.ipsets.del(name, elems, exist, now)?,
        IpsetCommand::Test { name, kind, elems, nomatch } => {
            let text = tested(*kind, elems);
            return match ns.ipsets.test(name, elems, *nomatch, now) {
                Ok(true) => {
                    let err = Some(format!("Warning: {text} is in set {name}."));
                    Ok(Said { err, ..Said::default() })
                }
                // What a set cannot hold is not in it.
                Ok(false) | Err(_) => {
                    let err = Some(format!("{text} is NOT in set {name}."));
                    Ok(Said { err, absent: true, ..Said::default() })
                }
            };
        }
        IpsetCommand::Destroy(name) => with_references(ns, &|sets, references| match name {
            Some(name) => sets.destroy(name, references),
            None => sets.destroy_all(references),
        })?,
        IpsetCommand::Rename(old, new) => {
            with_references(ns, &|sets, references| sets.rename(old, new, references))?;
        }
        IpsetCommand::Flush(name) => ns.ipsets.flush(name.as_deref())?,
        IpsetCommand::Swap(a, b) => ns.ipsets.swap(a, b)?,
        IpsetCommand::List(name) => return list(ns, name.as_ref(), flags, Output::Plain, now),
        IpsetCommand::Save(name) => return list(ns, name.as_ref(), flags, Output::Save, now),
        IpsetCommand::Version => {
            return Ok(Said::lines(vec!["ipset v7.17, protocol version: 7".to_owned()]));
        }
        IpsetCommand::Restore => {}
    }
    Ok(Said::default())
}

/// A member as `test` prints it: without `physdev:` and the end of a range behind a port.
fn tested(kind: SetType, elems: &Elems) -> String {
    let second = match elems.second {
        Addrs::Range(from, _) => Addrs::Net(from, 32),
        net => net,
    };
    entry_text(kind, &Elems { physdev: false, second, ..elems.clone() })
}

type References<'a> = &'a dyn Fn(&str) -> usize;

/// Does something with the sets that depends on what the rules use.
fn with_references(
    ns: &mut Netns,
    change: &dyn Fn(&mut IpSets, References<'_>) -> Result<(), SetError>,
) -> Result<(), SetError> {
    let mut sets = std::mem::take(&mut ns.ipsets);
    let done = change(&mut sets, &|name: &str| ns.set_references(name));
    ns.ipsets = sets;
    done
}

fn chosen<'a>(ns: &'a Netns, name: Option<&String>) -> Result<Vec<&'a IpSet>, IpsetError> {
    let Some(name) = name else { return Ok(ns.ipsets.iter().collect()) };
    Ok(vec![ns.ipsets.get(name).ok_or(SetError::NoSet)?])
}

/// `list` and `save`, in any form.
fn list(
    ns: &Netns,
    name: Option<&String>,
    flags: &IpsetFlags,
    usual: Output,
    now: Instant,
) -> Result<Said, IpsetError> {
    let form = flags.output.unwrap_or(usual);
    let mut out = Vec::new();
    for (i, set) in chosen(ns, name)?.into_iter().enumerate() {
        let references = ns.set_references(&set.name);
        match form {
            Output::Save => out.extend(save_set(set, flags.sorted, ns.era(), now)),
            Output::Plain if flags.names => out.push(set.name.clone()),
            Output::Plain => {
                if i > 0 {
                    out.push(String::new());
                }
                out.extend(list_set(set, references, flags.terse, flags.sorted, ns.era(), now));
            }
            Output::Xml if flags.names => out.push(format!("<ipset name=\"{}\"/>", set.name)),
            Output::Xml => out.extend(list_xml(set, references, flags.terse, ns.era(), now)),
        }
    }
    if form == Output::Xml {
        out.insert(0, "<ipsets>".to_owned());
        out.push("</ipsets>".to_owned());
    }
    Ok(Said::lines(out))
}
