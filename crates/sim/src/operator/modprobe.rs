//! What `modprobe` loads and removes.

use super::CommandOutput;
use crate::world::World;
use kernel::{Modules, NetnsId};

/// The modelled modules: name, where Linux keeps the file, and what must be loaded before.
const MODULES: [(&str, &str, Option<&str>); 3] = [
    ("br_netfilter", "net/bridge", None),
    ("nf_conntrack_tftp", "net/netfilter", None),
    ("nf_nat_tftp", "net/netfilter", Some("nf_conntrack_tftp")),
];

fn loaded(modules: Modules, name: &str) -> bool {
    match name {
        "br_netfilter" => modules.br_netfilter,
        "nf_conntrack_tftp" => modules.nf_conntrack_tftp,
        "nf_nat_tftp" => modules.nf_nat_tftp,
        _ => false,
    }
}

fn set(world: &mut World, host: NetnsId, name: &str, on: bool) {
    let Some(ns) = world.host_mut(host) else { return };
    match name {
        "br_netfilter" => ns.set_br_netfilter(on),
        "nf_conntrack_tftp" => ns.modules.nf_conntrack_tftp = on,
        "nf_nat_tftp" => ns.modules.nf_nat_tftp = on,
        _ => {}
    }
}

/// `modprobe [-v] [-r] MODULE...`. With `-v` it prints each file that it inserts, and each module that it removes (kmod,
/// tools/modprobe.c).
pub(super) fn modprobe(world: &mut World, host: NetnsId, args: &[String]) -> CommandOutput {
    let flag = |short: &str, long: &str| args.iter().any(|a| a == short || a == long);
    let (remove, verbose) = (flag("-r", "--remove"), flag("-v", "--verbose"));
    let Some(ns) = world.host(host) else { return CommandOutput::default() };
    let era = ns.era();
    let mut stdout = Vec::new();
    for name in args.iter().filter(|a| !a.starts_with('-')) {
        let Some((name, _, before)) = MODULES.iter().find(|(m, ..)| m == name) else {
            let text = format!("modprobe: FATAL: Module {name} not found: it is not modelled.");
            return CommandOutput { stdout, ..CommandOutput::failed(1, text) };
        };
        let has = |world: &World, name| world.host(host).is_some_and(|ns| loaded(ns.modules, name));
        if remove {
            let users = MODULES.iter().filter(|(_, _, needs)| *needs == Some(name));
            if let Some((user, ..)) = users.into_iter().find(|(m, ..)| has(world, m)) {
                let text = format!("modprobe: FATAL: Module {name} is in use by: {user}");
                return CommandOutput { stdout, ..CommandOutput::failed(1, text) };
            }
            if has(world, name) {
                set(world, host, name, false);
                stdout.push(format!("rmmod {name}"));
            }
            continue;
        }
        for module in before.iter().copied().chain([*name]).filter(|m| !has(world, m)).collect::<Vec<_>>() {
            set(world, host, module, true);
            let folder = MODULES.iter().find(|(m, ..)| *m == module).map_or("", |(_, folder, _)| folder);
            let (release, suffix) = (era.release(), era.module_suffix());
            // kmod prints the module's options behind a blank; there are none.
            stdout.push(format!("insmod /lib/modules/{release}/kernel/{folder}/{module}{suffix} "));
        }
    }
    CommandOutput::lines(if verbose { stdout } else { Vec::new() })
}
