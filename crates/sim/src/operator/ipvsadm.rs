//! What `ipvsadm` does.

use super::{CommandOutput, refused};
use crate::world::World;
use kernel::netfilter::ipvs::{IpvsConn, IpvsError};
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
        Ok(command) => match run(ns, &command, now) {
            Ok(text) => CommandOutput::lines(text.lines().map(str::to_owned).collect()),
            Err(error) => CommandOutput::failed(255, error.to_string()),
        },
        Err(d) => refused(2, &d),
    }
}

/// Reads and does what `ipvsadm -S` prints. `Err` says what is wrong, or what the kernel refuses.
pub(crate) fn restore(ns: &mut Netns, text: &str) -> Result<(), String> {
    for command in parse_ipvsadm_restore(text).map_err(|d| d.to_string())? {
        run(ns, &command, Instant(0)).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn run(ns: &mut Netns, command: &IpvsadmCommand, now: Instant) -> Result<String, IpvsError> {
    match command {
        IpvsadmCommand::Service { id, scheduler, edit } => ns.ipvs_service(*id, *scheduler, *edit)?,
        IpvsadmCommand::DeleteService(id) => ns.ipvs_del_service(*id)?,
        IpvsadmCommand::Server { id, dest, edit } => ns.ipvs_dest(*id, *dest, *edit)?,
        IpvsadmCommand::DeleteServer(id, server) => ns.ipvs_del_dest(*id, *server)?,
        IpvsadmCommand::Clear => ns.ipvs_clear(),
        IpvsadmCommand::List { conns } => {
            let list: Vec<IpvsConn> = ns.ipvs.conns(now).copied().collect();
            return Ok(if *conns { print_conns(&list, now) } else { print_list(&ns.ipvs, &list) });
        }
        IpvsadmCommand::Save => return Ok(print_save(&ns.ipvs)),
        IpvsadmCommand::Restore => {}
    }
    Ok(String::new())
}
