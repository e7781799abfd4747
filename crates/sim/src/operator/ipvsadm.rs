//! What `ipvsadm` does.

use super::{CommandOutput, refused};
use crate::world::World;
use kernel::netfilter::ipvs::IpvsError;
use kernel::{Instant, Netns, NetnsId};
use userland::ipvsadm::{
    IpvsadmCommand, parse_ipvsadm, parse_ipvsadm_restore, print_conns, print_list, print_save,
};

pub(super) fn ipvsadm(
    world: &mut World,
    host: NetnsId,
    argv: &[String],
    stdin: Option<&str>,
) -> CommandOutput {
    let now = world.now();
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    match parse_ipvsadm(argv) {
        Ok(IpvsadmCommand::Restore) => match restore(ns, stdin.unwrap_or_default()) {
            Ok(()) => CommandOutput::default(),
            Err(message) => CommandOutput::failed(255, message),
        },
        Ok(command) => match change(ns, &command) {
            Ok(()) => CommandOutput::lines(show(ns, &command, now).lines().map(str::to_owned).collect()),
            Err(error) => CommandOutput::failed(255, error.to_string()),
        },
        Err(d) => refused(2, &d),
    }
}

/// Reads and does what `ipvsadm -S` prints. `Err` says what is wrong, or what the kernel refuses.
pub(crate) fn restore(ns: &mut Netns, text: &str) -> Result<(), String> {
    for command in parse_ipvsadm_restore(text).map_err(|d| d.to_string())? {
        change(ns, &command).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn change(ns: &mut Netns, command: &IpvsadmCommand) -> Result<(), IpvsError> {
    match command {
        IpvsadmCommand::Service { id, scheduler, edit } => ns.ipvs_service(*id, *scheduler, *edit),
        IpvsadmCommand::DeleteService(id) => ns.ipvs_del_service(*id),
        IpvsadmCommand::Server { id, dest, edit } => ns.ipvs_dest(*id, *dest, *edit),
        IpvsadmCommand::DeleteServer(id, server) => ns.ipvs_del_dest(*id, *server),
        IpvsadmCommand::Clear => {
            ns.ipvs_clear();
            Ok(())
        }
        IpvsadmCommand::List { .. } | IpvsadmCommand::Save | IpvsadmCommand::Restore => Ok(()),
    }
}

/// What a command prints.
fn show(ns: &Netns, command: &IpvsadmCommand, now: Instant) -> String {
    match command {
        IpvsadmCommand::List { conns: true } => print_conns(&ns.ipvs, now),
        IpvsadmCommand::List { conns: false } => print_list(&ns.ipvs, now),
        IpvsadmCommand::Save => print_save(&ns.ipvs),
        _ => String::new(),
    }
}
