//! What `ss` prints.

use super::CommandOutput;
use crate::world::World;
use kernel::socket::Socket;
use kernel::{Instant, Netns, NetnsId};
use std::net::Ipv4Addr;
use userland::ss::{SsKind, SsRow, SsState, parse_ss, show};

/// `ss ...`
pub(super) fn ss(world: &World, host: NetnsId, argv: &[String]) -> CommandOutput {
    match parse_ss(argv) {
        Ok(command) => {
            let fragments = world.host(host).map_or(0, Netns::waiting_datagrams);
            CommandOutput::lines(show(&command, &rows(world, host), fragments))
        }
        Err(e) => CommandOutput::ended(e.status, Vec::new(), e.lines),
    }
}

/// The sockets of a box: those that listen first, and of each the newest last.
fn rows(world: &World, host: NetnsId) -> Vec<SsRow> {
    let Some(ns) = world.host(host) else { return Vec::new() };
    let all = || ns.sockets.iter();
    let listens = |s: &Socket| matches!(s, Socket::Listen(_));
    let ordered = all().filter(|(_, s)| listens(s)).chain(all().filter(|(_, s)| !listens(s)));
    let row = |(id, s): (kernel::SocketId, &Socket)| {
        let any = (Ipv4Addr::UNSPECIFIED, 0);
        let (kind, state, local, remote) = match s {
            Socket::Listen(l) => (SsKind::Tcp, "LISTEN", l.local, None),
            Socket::Tcp(t) => (SsKind::Tcp, t.status.name(), t.local, Some(t.remote)),
            Socket::Udp(u) => {
                let state = if u.remote.is_some() { "ESTAB" } else { "UNCONN" };
                (SsKind::Udp, state, u.local, u.remote)
            }
            // Of a raw socket the protocol stands where others have a port.
            Socket::Ping(_) => (SsKind::Raw, "UNCONN", (any.0, 1), None),
        };
        let (recv, send) = s.queues();
        let owner = world.owner(host, id);
        Some(SsRow {
            kind,
            state: SsState::named(state)?,
            recv,
            send,
            local,
            remote,
            // 0, 1 and 2 are the terminal.
            user: owner.map(|(name, pid, nth)| (name.to_owned(), pid, nth + 3)),
            timer: timer(s, world.now()),
        })
    };
    ordered.filter_map(row).collect()
}

fn timer(s: &Socket, now: Instant) -> Option<(&'static str, std::time::Duration, u32)> {
    let (waits, left, again) = s.timer(now)?;
    Some((if waits { "timewait" } else { "on" }, left, again))
}
