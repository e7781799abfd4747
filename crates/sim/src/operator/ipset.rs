//! What `ipset` changes and prints.

use super::CommandOutput;
use crate::world::World;
use kernel::netfilter::ipset::{Elems, IpSet, SetError, SetType};
use kernel::{Instant, Netns, NetnsId};
use userland::ipset::{
    EntryOption, IpsetCommand, check_test, create_options, entry_options, entry_text, error_text, list_set,
    parse_entry, parse_ipset, parse_ipset_restore, save_set, set_type,
};
use userland::{Diagnostic, ToolError};

#[cfg(test)]
mod tests;

/// With what ipset signs its messages.
const TOOL: &str = "ipset v7.17: ";

/// What a command prints: standard output, and what `test` says on standard error.
#[derive(Default)]
pub(super) struct Said {
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
    match parse_ipset(argv) {
        Err(d) => failed(&says(&d), ""),
        Ok(IpsetCommand::Restore { exist }) => {
            load(ns, stdin.unwrap_or_default(), exist, now, say).unwrap_or_else(|failed| failed)
        }
        Ok(command) => match change(ns, &command, false, now).and_then(|()| say(ns, &command, now)) {
            Ok(said) => CommandOutput {
                status: i32::from(said.absent),
                stdout: said.out,
                stderr: said.err.into_iter().collect(),
            },
            Err(why) => failed(&why, ""),
        },
    }
}

/// What ipset says about a line that it cannot read.
fn says(d: &Diagnostic) -> String {
    match &d.tool {
        Some(ToolError::Usage(text)) => text.clone(),
        _ => format!("{}: {}", d.message, d.help),
    }
}

/// The error with ipset's name. Words that belong to no command are usage, with another status.
fn failed(why: &str, place: &str) -> CommandOutput {
    let usage = ["Unknown argument", "Mandatory option", "No command", "Missing "];
    if usage.iter().any(|u| why.starts_with(u)) {
        return CommandOutput::failed(2, format!("{TOOL}{why}\nTry `ipset help' for more information."));
    }
    CommandOutput::failed(1, format!("{TOOL}{place}{why}"))
}

/// What a command that has been done prints.
type Say = fn(&Netns, &IpsetCommand, Instant) -> Result<Said, String>;

/// `restore`: what stands before the first mistake is done. `Err` is what it prints if there is one.
pub(super) fn load(
    ns: &mut Netns,
    text: &str,
    exist: bool,
    now: Instant,
    say: Say,
) -> Result<CommandOutput, CommandOutput> {
    let (commands, diagnostics) = parse_ipset_restore(text);
    let wrong = diagnostics.first();
    let end = wrong.map_or(u32::MAX, |d| d.span.line);
    let mut stdout = Vec::new();
    for (line, command) in commands.iter().filter(|(line, _)| *line < end) {
        match change(ns, command, exist, now).and_then(|()| say(ns, command, now)) {
            Ok(said) => stdout.extend(said.out),
            Err(why) => {
                return Err(CommandOutput { stdout, ..failed(&why, &format!("Error in line {line}: ")) });
            }
        }
    }
    match wrong {
        None => Ok(CommandOutput::lines(stdout)),
        Some(d) => Err(CommandOutput { stdout, ..failed(&says(d), &format!("Error in line {end}: ")) }),
    }
}

fn kind_of(ns: &Netns, name: &str) -> Result<SetType, String> {
    ns.ipsets.get(name).map(|s| s.kind).ok_or_else(|| error_text(SetError::NoSet).to_owned())
}

/// What a command changes. `Err` is what ipset says.
fn change(ns: &mut Netns, command: &IpsetCommand, all_exist: bool, now: Instant) -> Result<(), String> {
    let done = match command {
        IpsetCommand::Create { name, kind, options, exist } => {
            let modelled = set_type(kind).ok_or_else(|| format!("type {kind} is not modelled"))?;
            let options = create_options(modelled, options)?;
            ns.ipsets.create(name, modelled, options, all_exist || *exist)
        }
        IpsetCommand::Add { name, entry, options, exist } => {
            let kind = kind_of(ns, name)?;
            let (elems, info) = (parse_entry(kind, entry)?, entry_options(kind, options)?);
            ns.ipsets.add(name, &elems, &info, all_exist || *exist, now)
        }
        IpsetCommand::Del { name, entry, exist } => {
            let elems = parse_entry(kind_of(ns, name)?, entry)?;
            ns.ipsets.del(name, &elems, all_exist || *exist, now)
        }
        IpsetCommand::Test { name, entry, options } => {
            return found(ns, name, entry, options, now).map(|_| ());
        }
        IpsetCommand::Destroy(name) => {
            let mut sets = std::mem::take(&mut ns.ipsets);
            let references = |name: &str| ns.set_references(name);
            let done = match name {
                Some(name) => sets.destroy(name, &references),
                None => sets.destroy_all(&references),
            };
            ns.ipsets = sets;
            done
        }
        IpsetCommand::Rename(old, new) => {
            let mut sets = std::mem::take(&mut ns.ipsets);
            let done = sets.rename(old, new, &|name: &str| ns.set_references(name));
            ns.ipsets = sets;
            done
        }
        IpsetCommand::Flush(name) => ns.ipsets.flush(name.as_deref()),
        IpsetCommand::Swap(a, b) => ns.ipsets.swap(a, b),
        IpsetCommand::List { name, .. } | IpsetCommand::Save(name) => {
            return chosen(ns, name.as_ref()).map(|_| ());
        }
        IpsetCommand::Restore { .. } => return Err("restore in restore is not modelled".to_owned()),
    };
    done.map_err(|e| error_text(e).to_owned())
}

/// `test`: the members that are meant, and whether they are in the set.
fn found(
    ns: &Netns,
    name: &str,
    entry: &str,
    options: &[EntryOption],
    now: Instant,
) -> Result<(SetType, Elems, bool), String> {
    let kind = kind_of(ns, name)?;
    let elems = parse_entry(kind, entry)?;
    check_test(kind, &elems)?;
    let info = entry_options(kind, options)?;
    match ns.ipsets.test(name, &elems, info.nomatch, now) {
        Ok(is) => Ok((kind, elems, is)),
        // What a set cannot hold is not in it.
        Err(SetError::OutOfRange | SetError::InvalidCidr) => Ok((kind, elems, false)),
        Err(e) => Err(error_text(e).to_owned()),
    }
}

/// What a command prints, after it was done.
fn say(ns: &Netns, command: &IpsetCommand, now: Instant) -> Result<Said, String> {
    match command {
        IpsetCommand::Test { name, entry, options } => {
            let (kind, elems, is) = found(ns, name, entry, options, now)?;
            let text = entry_text(kind, &elems);
            let err = match is {
                true => format!("Warning: {text} is in set {name}."),
                false => format!("{text} is NOT in set {name}."),
            };
            Ok(Said { err: Some(err), absent: !is, ..Said::default() })
        }
        IpsetCommand::List { name, names, terse } => list(ns, name.as_ref(), *names, *terse, now),
        IpsetCommand::Save(name) => {
            let sets = chosen(ns, name.as_ref())?;
            Ok(Said::lines(sets.into_iter().flat_map(|s| save_set(s, now)).collect()))
        }
        _ => Ok(Said::default()),
    }
}

fn chosen<'a>(ns: &'a Netns, name: Option<&String>) -> Result<Vec<&'a IpSet>, String> {
    let Some(name) = name else { return Ok(ns.ipsets.iter().collect()) };
    match ns.ipsets.get(name) {
        Some(set) => Ok(vec![set]),
        None => Err(error_text(SetError::NoSet).to_owned()),
    }
}

fn list(ns: &Netns, name: Option<&String>, names: bool, terse: bool, now: Instant) -> Result<Said, String> {
    let mut out = Vec::new();
    for (i, set) in chosen(ns, name)?.into_iter().enumerate() {
        if names {
            out.push(set.name.clone());
            continue;
        }
        if i > 0 {
            out.push(String::new());
        }
        out.extend(list_set(set, ns.set_references(&set.name), terse, now));
    }
    Ok(Said::lines(out))
}
