//! What `sysctl` reads and writes.

use super::settings::settings;
use super::{CommandOutput, refused};
use crate::world::World;
use kernel::NetnsId;
use kernel::sysctl::SysctlError;
use userland::sysctl::{SysctlCommand, SysctlItem, SysctlKey, parse_sysctl, parse_sysctl_conf};

/// `sysctl [-w] NAME=VALUE...`, `sysctl NAME...`, `sysctl -a`, `sysctl -p [FILE]`
pub(super) fn sysctl(world: &mut World, host: NetnsId, argv: &[String]) -> CommandOutput {
    if let Some(output) = wrong_words(argv) {
        return output;
    }
    if let Some(at) = argv.iter().position(|a| matches!(a.as_str(), "-p" | "-f" | "--load")) {
        return load(world, host, argv.get(at + 1).map_or("/etc/sysctl.conf", String::as_str));
    }
    // The pattern of `-r` is no name.
    let at = argv.iter().position(|a| matches!(a.as_str(), "-r" | "--pattern"));
    let pattern = at.and_then(|at| argv.get(at + 1));
    if let Some(bad) = pattern.and_then(|p| p.chars().find(|c| "[](){}|*+?\\".contains(*c))) {
        return CommandOutput::failed(
            1,
            format!("{bad:?} in a pattern is not modelled: expected letters, ., ^ and $"),
        );
    }
    let without = |(i, _): &(usize, &String)| at.is_none_or(|at| *i != at && *i != at + 1);
    let words: Vec<&String> = argv.iter().enumerate().filter(without).map(|(_, w)| w).collect();
    let mut command = match parse_sysctl(&words) {
        Ok(command) => command,
        Err(diagnostic) => return refused(1, &diagnostic),
    };
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    let all = settings(ns);
    let item = |path: &String| {
        let key = SysctlKey(path.split('/').map(str::to_owned).collect());
        SysctlItem { key, value: None }
    };
    if command.all {
        let fits = |path: &String| pattern.is_none_or(|p| matches(p, &item(path).key.dotted()));
        command.items = all.iter().map(|(path, _)| path).filter(|p| fits(p)).map(item).collect();
    } else {
        // A folder stands for what is in it.
        let within = |i: &SysctlItem| {
            let folder = format!("{}/", i.key.0.join("/"));
            let inside =
                all.iter().map(|(path, _)| path).filter(|p| p.starts_with(&folder) && i.value.is_none());
            let inside: Vec<SysctlItem> = inside.map(item).collect();
            if inside.is_empty() { vec![i.clone()] } else { inside }
        };
        command.items = command.items.iter().flat_map(within).collect();
    }
    run(world, host, &command)
}

/// Mistakes of which procps speaks before it does anything.
fn wrong_words(argv: &[String]) -> Option<CommandOutput> {
    let writes = argv.iter().any(|a| matches!(a.as_str(), "-w" | "--write"));
    let mut names = argv.iter().skip(1).filter(|a| !a.starts_with('-'));
    if writes && names.clone().any(|n| n.split_once('=').is_none_or(|(name, _)| name.is_empty())) {
        return Some(CommandOutput::failed(1, "sysctl: command line(0): invalid syntax, continuing..."));
    }
    let empty = names.find_map(|n| n.strip_suffix('='))?;
    Some(CommandOutput::failed(1, format!("sysctl: setting key \"{empty}\": Invalid argument")))
}

/// `-p FILE`
fn load(world: &mut World, host: NetnsId, path: &str) -> CommandOutput {
    let Some(text) = world.file(host, path).map(str::to_owned) else {
        return CommandOutput::failed(
            1,
            format!("sysctl: cannot open \"{path}\": No such file or directory"),
        );
    };
    let (items, wrong) = parse_sysctl_conf(&text);
    let items = items.into_iter().map(|(_, item)| item).collect();
    let plain = SysctlCommand {
        values_only: false,
        names_only: false,
        quiet: false,
        ignore: false,
        items,
        all: false,
    };
    let mut out = run(world, host, &plain);
    out.stderr.extend(
        wrong.iter().map(|d| format!("sysctl: {path}({}): invalid syntax, continuing...", d.span.line)),
    );
    out
}

fn run(world: &mut World, host: NetnsId, command: &SysctlCommand) -> CommandOutput {
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    let (mut stdout, mut stderr, mut status) = (Vec::new(), Vec::new(), 0);
    for item in &command.items {
        let (name, dotted) = (item.key.0.join("/"), item.key.dotted());
        let result = match (ns.sysctl_get(&name), &item.value) {
            (Err(e @ SysctlError::NotModelled(_)), _) => {
                stderr.push(format!("sysctl: {e}"));
                status = 1;
                continue;
            }
            (got, None) => got.map_err(|e| e.to_string()),
            (_, Some(text)) => match number(text.trim()) {
                Some(n) => match ns.sysctl_set(&name, n) {
                    Ok(()) => Ok(n),
                    // procps says the same of both; what cannot be written is no failure to it.
                    Err(SysctlError::ReadOnly(_)) => {
                        stderr.push(format!("sysctl: setting key \"{dotted}\": Invalid argument"));
                        continue;
                    }
                    Err(SysctlError::Invalid(_)) => {
                        Err(format!("setting key \"{dotted}\": Invalid argument"))
                    }
                    Err(e) => Err(e.to_string()),
                },
                None => Err(format!("setting key \"{dotted}\": Invalid argument")),
            },
        };
        // What was set is printed as it was written.
        let result = result.map(|n| item.value.as_ref().map_or(n.to_string(), |text| text.trim().to_owned()));
        match result {
            Ok(_) if item.value.is_some() && command.quiet => {}
            Ok(value) if command.values_only => stdout.push(value),
            Ok(_) if command.names_only => stdout.push(dotted),
            Ok(value) => stdout.push(format!("{dotted} = {value}")),
            Err(_) if command.ignore => {}
            Err(why) => {
                stderr.push(format!("sysctl: {why}"));
                status = 1;
            }
        }
    }
    CommandOutput::ended(status, stdout, stderr)
}

/// A number as the kernel reads it: `0x` begins a hexadecimal one, `0` an octal one (`simple_strtoul` with base 0). What stands behind a
/// blank is left.
pub(super) fn number(text: &str) -> Option<i64> {
    let text = text.split_whitespace().next()?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (digits, base) =
        match (digits.strip_prefix("0x").or(digits.strip_prefix("0X")), digits.strip_prefix('0')) {
            (Some(digits), _) => (digits, 16),
            (None, Some(digits)) if !digits.is_empty() => (digits, 8),
            _ => (digits, 10),
        };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(digits, base).ok().map(|n| sign * n)
}

/// Whether a name fits: `^` and `$` are its ends, `.` is any letter.
fn matches(pattern: &str, name: &str) -> bool {
    let (start, pattern) = pattern.strip_prefix('^').map_or((false, pattern), |p| (true, p));
    let (end, pattern) = pattern.strip_suffix('$').map_or((false, pattern), |p| (true, p));
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    if pattern.is_empty() {
        return true;
    }
    name.windows(pattern.len()).enumerate().any(|(at, part)| {
        let fits = part.iter().zip(&pattern).all(|(n, p)| *p == '.' || n == p);
        fits && (!start || at == 0) && (!end || at + pattern.len() == name.len())
    })
}
