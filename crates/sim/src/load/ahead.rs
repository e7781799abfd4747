//! What waits is read before its turn.
//!
//! A test of full size has more flows than a processor's cache has room for, and a server turns to each after all the others.
//! What a turn asks for (sockets, shortcuts, entries of conntrack on both sides) would be waited for one after the other. Read for many
//! jobs at once, the processor fetches it side by side. Nothing follows from what is read here.

use super::client::Clients;
use super::server::Server;
use crate::world::World;
use kernel::socket::Endpoint;
use kernel::{DevId, NetnsId};
use std::hint::black_box;

/// So many jobs at once: more of them push each other out.
const JOBS: usize = 16;
/// Boxes on the way there and back.
const BOXES: usize = 6;

/// A flow: where from and to, and the device by which it comes, if no socket sends it.
type Flow = ((Endpoint, Endpoint), Option<DevId>);

/// Where flows come to after a box, which is the same box for nearly all. At their end they turn round.
fn onward(
    world: &World,
    clients: &Clients,
    host: NetnsId,
    flows: &mut [Option<Flow>; JOBS],
) -> Option<NetnsId> {
    let ns = world.host(host)?;
    let mut next = None;
    let seen = ns.peek_shortcuts(flows);
    for (flow, seen) in flows.iter_mut().zip(seen) {
        let (to, at) = match seen {
            None => (None, None),
            Some(seen) => match seen.out {
                Some(out) => {
                    let (to, dev) = world.peer((host, out)).unzip();
                    (to, Some((seen.ends, dev)))
                }
                None => {
                    let (from, to) = seen.ends;
                    black_box(ns.udp_lookup(to, from).and_then(|socket| clients.waits(socket)));
                    (Some(host), Some(((to, from), None)))
                }
            },
        };
        next = next.or(to);
        *flow = at.filter(|_| to == next);
    }
    next
}

/// Reads what the next jobs of a server will ask for. How many jobs that was, one at least.
pub(super) fn read(world: &World, server: &Server, clients: &Clients) -> usize {
    let Some(pod) = world.host(server.host) else { return 1 };
    let (mut flows, mut jobs) = ([None::<Flow>; JOBS], 0);
    for ((socket, block), place) in server.waiting().zip(&mut flows) {
        black_box(block);
        let ends = pod.udp_ends(socket).and_then(|(local, remote)| Some((local, remote?)));
        *place = ends.map(|ends| (ends, None));
        jobs += 1;
    }
    let mut host = Some(server.host);
    for _ in 0..BOXES {
        host = host.and_then(|host| onward(world, clients, host, &mut flows));
    }
    jobs.max(1)
}
