//! What waits is read before its turn.
//!
//! A test of full size has more flows than a processor's cache has room for, and a server turns to each after all the others.
//! What a turn asks for (sockets, entries of conntrack on both sides) would be waited for one after the other. Read for many jobs
//! at once, the processor fetches it side by side. Nothing follows from what is read here.

use super::client::Clients;
use super::server::Server;
use crate::world::World;
use kernel::netfilter::conntrack::{Conntrack, L4Key, Tuple};
use kernel::socket::Endpoint;
use kernel::{Netns, NetnsId};
use packet::Protocol;
use std::hint::black_box;
use std::net::IpAddr;

/// So many jobs at once: more of them push each other out.
const JOBS: usize = 16;

/// A flow of a server: its own end and the other one.
type Flow = (Endpoint, Endpoint);

fn tuple((from, to): Flow) -> Tuple {
    let key = L4Key::Ports { sport: from.1, dport: to.1 };
    Tuple::new(IpAddr::V4(from.0), IpAddr::V4(to.0), Protocol::UDP, key)
}

/// The flow whose answers have this tuple.
fn flow(answer: &Tuple) -> Option<Flow> {
    match (answer.src(), answer.dst()) {
        (IpAddr::V4(to), IpAddr::V4(from)) => Some(((from, answer.dport()), (to, answer.sport()))),
        _ => None,
    }
}

/// The flows as they are on the other side of this box, which may have translated them.
fn beyond(ct: &Conntrack, flows: &mut [Option<Flow>; JOBS]) {
    let tuples = flows.map(|flow| flow.map(tuple));
    let answers = ct.peek(&tuples).map(|found| found.map(|(conn, dir)| *conn.tuple(dir.flip())));
    // Which answers will ask for.
    black_box(ct.peek(&answers));
    for (place, answer) in flows.iter_mut().zip(&answers) {
        *place = answer.as_ref().and_then(flow).or(*place);
    }
}

/// Reads what the next jobs of a server will ask for. How many jobs that was, one at least.
pub(super) fn read(world: &World, server: &Server, node: NetnsId, clients: &Clients) -> usize {
    let (Some(pod), Some(outside)) = (world.host(server.host), world.host(clients.host)) else { return 1 };
    let node = world.host(node).filter(|node| node.id != pod.id);
    let (mut flows, mut jobs) = ([None::<Flow>; JOBS], 0);
    for ((socket, block), place) in server.waiting().zip(&mut flows) {
        black_box(block);
        *place = pod.udp_ends(socket).and_then(|(local, remote)| Some((local, remote?)));
        jobs += 1;
    }
    let mut pass = |ns: &Netns| beyond(&ns.ct, &mut flows);
    pass(pod);
    node.map(pass);
    let sockets = flows.map(|flow| flow.and_then(|(from, to)| outside.udp_lookup(to, from)));
    for socket in sockets.into_iter().flatten() {
        black_box(clients.waits(socket));
    }
    jobs.max(1)
}
