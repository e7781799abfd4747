//! `nfacct`: counters with a name that rules can refer to (version 1.0.2).

use super::{CommandOutput, refused_option};
use crate::world::World;
use kernel::netfilter::xtables::matches::{Nfacct, NfacctQuota};
use kernel::{Netns, NetnsId};

#[cfg(test)]
mod tests;

/// The commands in the order in which a beginning is looked for.
const COMMANDS: [&str; 9] =
    ["list", "add", "delete", "get", "flush", "restore", "monitor", "version", "help"];

const USAGE: &str = "Usage: nfacct command [parameters]...";

/// What the kernel says.
const BUSY: &str = "error: Device or resource busy";
const NO_ENTRY: &str = "error: No such file or directory";

/// `nfacct list|add|delete|get|flush ...`; the beginning of a command is enough.
pub(super) fn nfacct(world: &mut World, host: NetnsId, args: &[String]) -> CommandOutput {
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    let Some((word, args)) = args.split_first() else { return CommandOutput::failed(1, USAGE) };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match COMMANDS.iter().find(|c| c.starts_with(word.as_str())) {
        Some(&"list") => list(ns, None, &args),
        Some(&"get") => match args.split_first() {
            None => Err("missing object name".to_owned()),
            Some((name, args)) => list(ns, Some(name), args),
        },
        Some(&"add") => add(ns, &args),
        Some(&"delete") => delete(ns, &args),
        Some(&"flush") if !args.is_empty() => Err("too many arguments".to_owned()),
        Some(&"flush") => {
            let used: Vec<bool> = ns.nfacct.iter().map(|o| ns.nfacct_references(&o.name) > 0).collect();
            let mut used = used.into_iter();
            ns.nfacct.retain(|_| used.next().unwrap_or_default());
            Ok(Vec::new())
        }
        Some(other) => return refused_option("nfacct", other),
        None => Err(format!("Unknown command: {word}\n{USAGE}")),
    };
    match done {
        Ok(lines) => CommandOutput::lines(lines),
        Err(why) => CommandOutput::failed(1, format!("nfacct v1.0.2: {why}")),
    }
}

/// `list [reset]`, `get NAME [reset]`
fn list(ns: &mut Netns, name: Option<&str>, args: &[&str]) -> Result<Vec<String>, String> {
    match args.iter().find(|a| **a != "reset") {
        Some(&form @ ("xml" | "json")) => return Err(format!("{form} is not modelled")),
        Some(_) => return Err("unknown argument".to_owned()),
        None => {}
    }
    let mut out = Vec::new();
    for object in ns.nfacct.iter_mut().filter(|o| name.is_none_or(|n| o.name == n)) {
        out.push(line(object));
        if !args.is_empty() {
            object.reset();
        }
    }
    if out.is_empty() && name.is_some() { Err(NO_ENTRY.to_owned()) } else { Ok(out) }
}

fn line(o: &Nfacct) -> String {
    let mut out = format!("{{ pkts = {:020}, bytes = {:020}", o.counters.packets, o.counters.bytes);
    if let Some(quota) = o.quota {
        let (n, mode) = match quota {
            NfacctQuota::Packets(n) => (n, "packet"),
            NfacctQuota::Bytes(n) => (n, "byte"),
        };
        let over = if o.overquota { "yes" } else { "no" };
        out.push_str(&format!(", quota = {n:020}, mode = {mode}, overquota = {over}"));
    }
    out + " } = " + &o.name + ";"
}

/// `add NAME [byte|packet QUOTA]`
fn add(ns: &mut Netns, args: &[&str]) -> Result<Vec<String>, String> {
    let (name, quota) = match args {
        [] => return Err("missing object name".to_owned()),
        [name] => (*name, None),
        [_, _] => return Err("missing quota value".to_owned()),
        [name, kind, n] => {
            let quota: fn(u64) -> NfacctQuota = match *kind {
                "byte" => NfacctQuota::Bytes,
                "packet" => NfacctQuota::Packets,
                _ => return Err("argument must \"byte\" or \"packet\"".to_owned()),
            };
            (*name, Some(quota(leading_number(n).ok_or("error reading quota")?)))
        }
        _ => return Err("too many arguments".to_owned()),
    };
    let end = (0..=name.len().min(Nfacct::NAME_MAX)).rev().find(|i| name.is_char_boundary(*i)).unwrap_or(0);
    let name = name.get(..end).unwrap_or_default();
    if name.is_empty() {
        return Err("error: Invalid argument".to_owned());
    }
    if ns.nfacct.iter().any(|o| o.name == name) {
        return Err(BUSY.to_owned());
    }
    ns.nfacct.push(Nfacct::new(name, quota));
    Ok(Vec::new())
}

/// The number at the beginning, as `scanf` reads it; one that is too large is the largest.
fn leading_number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    let mut any = false;
    let n = digits.fold(0u64, |n, d| {
        any = true;
        n.saturating_mul(10).saturating_add(u64::from(d - b'0'))
    });
    any.then_some(n)
}

/// `delete NAME`
fn delete(ns: &mut Netns, args: &[&str]) -> Result<Vec<String>, String> {
    let name = match args {
        [] => return Err("missing object name".to_owned()),
        [name] => *name,
        _ => return Err("too many arguments".to_owned()),
    };
    let at = ns.nfacct.iter().position(|o| o.name == name).ok_or(NO_ENTRY)?;
    if ns.nfacct_references(name) > 0 {
        return Err(BUSY.to_owned());
    }
    ns.nfacct.remove(at);
    Ok(Vec::new())
}
