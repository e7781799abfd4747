//! What `ipvsadm` does.

use super::CommandOutput;
use crate::world::World;
use kernel::netfilter::ipvs::{IpvsConn, IpvsError};
use kernel::{Instant, Netns, NetnsId};
use userland::ipvsadm::{
    IpvsadmCommand, IpvsadmError, Show, parse_ipvsadm, parse_ipvsadm_restore, print_conns, print_listing,
    print_save, print_timeouts,
};

pub(super) fn ipvsadm(
    world: &mut World,
    host: NetnsId,
    argv: &[String],
    stdin: Option<&str>,
) -> CommandOutput {
    let done = world.with(host, |ns, cx| {
        ns.ipvs_gc(cx);
        match parse_ipvsadm(argv) {
            Ok(IpvsadmCommand::Restore) => {
                restore_lines(ns, stdin.unwrap_or_default(), cx.now).map_err(|(_, e)| e)
            }
            Ok(command) => {
                let done = run(ns, &command, cx.now);
                if matches!(
                    command,
                    IpvsadmCommand::DeleteService(_)
                        | IpvsadmCommand::DeleteServer(..)
                        | IpvsadmCommand::Clear
                ) {
                    ns.ipvs_flush_nodest(cx);
                }
                done
            }
            Err(e) => Err(e),
        }
    });
    match done {
        None => CommandOutput::default(),
        Some(Ok(text)) => CommandOutput::lines(text.lines().map(str::to_owned).collect()),
        Some(Err(e)) => CommandOutput::failed(e.status, e.message),
    }
}

/// Reads and does what `ipvsadm -S` prints. `Err` names the line and says what is wrong, or what the kernel refuses.
pub(crate) fn restore(ns: &mut Netns, text: &str) -> Result<(), String> {
    let done = restore_lines(ns, text, Instant(0));
    done.map(|_| ()).map_err(|(line, e)| format!("line {line}: {}", e.message))
}

fn restore_lines(ns: &mut Netns, text: &str, now: Instant) -> Result<String, (u32, IpvsadmError)> {
    for (line, command) in parse_ipvsadm_restore(text) {
        command.and_then(|c| run(ns, &c, now)).map_err(|e| (line, e))?;
    }
    Ok(String::new())
}

fn run(ns: &mut Netns, command: &IpvsadmCommand, now: Instant) -> Result<String, IpvsadmError> {
    let refused = |e: IpvsError| IpvsadmError { status: 255, message: e.to_string() };
    match *command {
        IpvsadmCommand::Service { spec, edit } => ns.ipvs_service(spec, edit),
        IpvsadmCommand::DeleteService(id) => ns.ipvs_del_service(id, now),
        IpvsadmCommand::Server { id, dest, edit } => ns.ipvs_dest(id, dest, edit, now),
        IpvsadmCommand::DeleteServer(id, server) => ns.ipvs_del_dest(id, server, now),
        IpvsadmCommand::Clear => {
            ns.ipvs_clear(now);
            Ok(())
        }
        IpvsadmCommand::Zero(only) => ns.ipvs.zero(only),
        IpvsadmCommand::Timeouts([tcp, fin, udp]) => {
            ns.ipvs.set_timeouts(tcp, fin, udp);
            Ok(())
        }
        IpvsadmCommand::Restore => Ok(()),
        IpvsadmCommand::Save { numeric } => return Ok(print_save(&ns.ipvs, numeric)),
        IpvsadmCommand::Version => {
            return Ok("ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)".to_owned());
        }
        IpvsadmCommand::List(listing) => {
            let conns: Vec<IpvsConn> = ns.ipvs.conns(now).copied().collect();
            if listing.only.is_some_and(|id| !ns.ipvs.services().iter().any(|s| s.id == id)) {
                let message = IpvsError::NoService.to_string();
                return Err(IpvsadmError { status: 1, message });
            }
            return Ok(match listing.what {
                Show::Connections => print_conns(&conns, now),
                Show::Timeout => print_timeouts(&ns.ipvs),
                Show::Daemon => String::new(),
                _ => print_listing(&ns.ipvs, &conns, &listing, now),
            });
        }
    }
    .map(|()| String::new())
    .map_err(refused)
}
