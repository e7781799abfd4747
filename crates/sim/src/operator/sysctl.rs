//! What `sysctl` reads and writes.

use super::{CommandOutput, refused};
use crate::world::World;
use kernel::NetnsId;
use kernel::sysctl::SysctlError;
use userland::sysctl::parse_sysctl;

/// `sysctl [-w] NAME=VALUE...`, `sysctl NAME...`
pub(super) fn sysctl(world: &mut World, host: NetnsId, argv: &[String]) -> CommandOutput {
    let command = match parse_sysctl(argv) {
        Ok(command) => command,
        Err(diagnostic) => return refused(1, &diagnostic),
    };
    if command.all {
        return CommandOutput::failed(1, "sysctl -a is not modelled; name the settings");
    }
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    let (mut stdout, mut stderr, mut status) = (Vec::new(), Vec::new(), 0);
    for item in &command.items {
        let (name, dotted) = (item.key.0.join("/"), item.key.dotted());
        let result = match &item.value {
            None => ns.sysctl_get(&name).map_err(|e| e.to_string()),
            Some(text) => match text.trim().parse::<i64>() {
                Ok(n) => match ns.sysctl_set(&name, n) {
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
                Err(_) => Err(format!("setting key \"{dotted}\": Invalid argument")),
            },
        };
        match result {
            Ok(_) if item.value.is_some() && command.quiet => {}
            Ok(n) if command.values_only => stdout.push(n.to_string()),
            Ok(_) if command.names_only => stdout.push(dotted),
            Ok(n) => stdout.push(format!("{dotted} = {n}")),
            Err(_) if command.ignore => {}
            Err(why) => {
                stderr.push(format!("sysctl: {why}"));
                status = 1;
            }
        }
    }
    CommandOutput { status, stdout, stderr }
}
