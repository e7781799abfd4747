//! What `modprobe`, `rmmod` and `lsmod` do and print (kmod 30).

use super::CommandOutput;
use crate::world::World;
use kernel::netns::{MODULES, Module, ModuleError};
use kernel::{Netns, NetnsId};

/// Modules of Linux that are built in here: they can be asked for, and never removed.
const BUILT_IN: [&str; 10] = [
    "bridge",
    "dummy",
    "ip_set",
    "ip_tables",
    "nf_conntrack",
    "nf_defrag_ipv4",
    "nf_nat",
    "veth",
    "x_tables",
    "xt_set",
];

fn known(name: &str) -> Option<&'static Module> {
    // A dash is an underscore.
    MODULES.iter().find(|m| m.name == name.replace('-', "_"))
}

fn built_in(name: &str) -> bool {
    BUILT_IN.contains(&name.replace('-', "_").as_str())
}

/// `modprobe [-a] [-v] MODULE [PARAMETER...]`, `modprobe -r [-v] MODULE...`. With `-v` it prints each file that it inserts,
/// and each module that it removes.
pub(super) fn modprobe(world: &mut World, host: NetnsId, args: &[String]) -> CommandOutput {
    let flag = |short: char, long: &str| {
        let bundled = |a: &String| a.starts_with('-') && !a.starts_with("--") && a.contains(short);
        args.iter().any(|a| a == long || bundled(a))
    };
    let (remove, verbose) = (flag('r', "--remove"), flag('v', "--verbose"));
    let all = remove || flag('a', "--all");
    let mut names = args.iter().filter(|a| !a.starts_with('-'));
    let mut list: Vec<&String> = names.by_ref().take(if all { usize::MAX } else { 1 }).collect();
    let parameters: Vec<String> = names.cloned().collect();
    if let [name] = list[..]
        && known(name).is_some_and(|m| m.name == "ip_vs")
        && world.host(host).is_some_and(|ns| !ns.modules.ip_vs)
        && let Some(parameter) = parameters.iter().find(|p| p.starts_with("conn_tab_bits"))
    {
        return CommandOutput::failed(1, format!("modprobe: the parameter {parameter} is not modelled"));
    }
    let done = world.with(host, |ns, cx| {
        let (mut stdout, mut warnings) = (Vec::new(), Vec::new());
        let release = ns.era().release();
        for name in list.drain(..) {
            let Some(module) = known(name) else {
                let text = match (built_in(name), remove) {
                    (true, false) => continue,
                    (true, true) => format!("Module {name} is builtin."),
                    (false, true) => format!("Module {name} not found."),
                    _ => format!("Module {name} not found in directory /lib/modules/{release}"),
                };
                if all && !remove {
                    // One of several: the others are loaded all the same.
                    warnings.push(format!("modprobe: WARNING: {text}"));
                    continue;
                }
                return CommandOutput {
                    stdout: if verbose { stdout } else { Vec::new() },
                    ..CommandOutput::failed(1, format!("modprobe: FATAL: {text}"))
                };
            };
            if !remove {
                let (loaded, done) = ns.load_module_with(module.name, &parameters, cx);
                for m in loaded {
                    let suffix = ns.era().module_suffix();
                    // kmod prints the module's options behind a blank, also if there are none.
                    let options = if m == module { parameters.join(" ") } else { String::new() };
                    stdout.push(format!(
                        "insmod /lib/modules/{release}/kernel/{}/{}{suffix} {options}",
                        m.folder, m.name
                    ));
                }
                if let Err(why) = done {
                    let text = format!("modprobe: ERROR: could not insert '{}': {}", module.name, why.text());
                    return CommandOutput {
                        stdout: if verbose { stdout } else { Vec::new() },
                        ..CommandOutput::failed(1, text)
                    };
                }
                continue;
            }
            match ns.unload_module(module.name, cx) {
                Err(ModuleError::NotLoaded) => {}
                Err(ModuleError::InUse(_)) => {
                    let text = format!("modprobe: FATAL: Module {} is in use.", module.name);
                    let stdout = if verbose { stdout } else { Vec::new() };
                    return CommandOutput { stdout, ..CommandOutput::failed(1, text) };
                }
                Ok(()) => {
                    stdout.push(format!("rmmod {}", module.name));
                    // What it needed goes too, if nobody else needs it.
                    for need in module.needs.iter().filter(|n| ns.unload_module(n, cx).is_ok()) {
                        stdout.push(format!("rmmod {need}"));
                    }
                }
            }
        }
        let status = i32::from(!warnings.is_empty());
        let stdout = if verbose { stdout } else { Vec::new() };
        CommandOutput::ended(status, stdout, warnings)
    });
    done.unwrap_or_default()
}

/// `rmmod MODULE...`
pub(super) fn rmmod(world: &mut World, host: NetnsId, args: &[String]) -> CommandOutput {
    let names = args.iter().filter(|a| !a.starts_with('-'));
    let done = world.with(host, |ns, cx| {
        let mut stderr = Vec::new();
        for name in names {
            let why = match ns.unload_module(&name.replace('-', "_"), cx) {
                Ok(()) => continue,
                Err(ModuleError::NotLoaded) if built_in(name) => "is builtin.".to_owned(),
                Err(ModuleError::NotLoaded) => "is not currently loaded".to_owned(),
                Err(ModuleError::InUse(users)) if users.is_empty() => "is in use".to_owned(),
                Err(ModuleError::InUse(users)) => format!("is in use by: {}", users.join(" ")),
            };
            stderr.push(format!("rmmod: ERROR: Module {name} {why}"));
        }
        CommandOutput::ended(i32::from(!stderr.is_empty()), Vec::new(), stderr)
    });
    done.unwrap_or_default()
}

/// `lsmod`: the modules that are modelled.
pub(super) fn lsmod(ns: &Netns) -> CommandOutput {
    let mut lines = vec!["Module                  Size  Used by".to_owned()];
    for m in ns.loaded_modules() {
        let (count, users) = ns.module_users(m.name);
        let line = format!("{:<19} {:>8}  {count} {}", m.name, m.size, users.join(","));
        lines.push(line.trim_end().to_owned());
    }
    CommandOutput::lines(lines)
}
