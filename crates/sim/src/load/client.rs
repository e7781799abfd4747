//! The pool of clients: each asks for a file, acknowledges its blocks, and asks for the next one.

use super::machine::Machine;
use super::server::{BLOCK, header, op};
use super::timers::Timers;
use super::{Endpoint, LoadSpec};
use crate::world::World;
use kernel::socket::{Datagram, Errno};
use kernel::{NetnsId, SocketId};
use packet::Bytes;
use std::net::Ipv4Addr;

/// The first requests are spread over so much time.
const BEGIN_NS: u64 = 1_000_000_000;

fn ack(block: u16) -> Bytes {
    let ([a, b], [c, d]) = (op::ACK.to_be_bytes(), block.to_be_bytes());
    vec![a, b, c, d].into()
}

/// One client: half a line of a processor's cache.
#[derive(Clone, Debug, Default)]
#[repr(align(32))]
struct Client {
    socket: SocketId,
    /// It has one.
    open: bool,
    /// Who sends the file.
    peer: Option<Endpoint>,
    /// The last block that came, from 1; 0 while it waits for the first.
    block: u16,
    /// When it sends its last message again.
    again: u64,
    /// When it gives up.
    until: u64,
}

const _: () = assert!(size_of::<Client>() == 32, "half a line");

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub host: NetnsId,
    sources: Vec<Ipv4Addr>,
    ports: (u16, u16),
    target: Endpoint,
    again: u64,
    patience: u64,
    clients: Vec<Client>,
    /// By the clients' numbers.
    timers: Timers<u32>,
    /// How many files were asked for: the source of the next request follows from that.
    pub offered: u64,
    /// Files that came.
    pub done: u64,
    /// Files that were given up.
    pub failed: u64,
    /// Packets sent.
    pub sent: u64,
    request: Bytes,
    /// Acknowledgements by their blocks, which all clients share.
    acks: Vec<Bytes>,
}

impl Clients {
    pub(super) fn new(spec: &LoadSpec, host: NetnsId) -> Clients {
        let ns = |d: std::time::Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let count = spec.clients.max(1);
        let mut timers = Timers::new();
        for c in 0..count {
            timers.push(u64::from(c) * BEGIN_NS / u64::from(count), c);
        }
        Clients {
            host,
            sources: spec.sources.clone(),
            ports: spec.ports,
            target: spec.target,
            again: ns(spec.again),
            patience: ns(spec.patience),
            clients: vec![Client::default(); count as usize],
            timers,
            offered: 0,
            done: 0,
            failed: 0,
            sent: 0,
            request: [&op::RRQ.to_be_bytes(), format!("f-{}\0octet\0", spec.file).as_bytes()].concat().into(),
            acks: Vec::new(),
        }
    }

    /// When a client may have something to do.
    pub(super) fn timer(&self) -> Option<u64> {
        self.timers.next()
    }

    /// A timer fires: it was early if an answer has come since it was set.
    pub(super) fn fire(&mut self, world: &mut World, machine: &mut Machine, at: u64) {
        let Some((_, c)) = self.timers.pop() else { return };
        let Some(client) = self.clients.get(c as usize) else { return };
        match client.open {
            false => self.ask(c, world, machine, at),
            true if at >= client.until => {
                self.failed += 1;
                self.close(c, world);
                self.ask(c, world, machine, at);
            }
            true if at >= client.again => {
                let block = client.block;
                self.send(c, block, world, machine, at);
            }
            true => {}
        }
        if let Some(client) = self.clients.get(c as usize) {
            self.timers.push(client.again.min(client.until), c);
        }
    }

    /// Asks for a file, from a new socket.
    fn ask(&mut self, c: u32, world: &mut World, machine: &mut Machine, at: u64) {
        let (first, last) = self.ports;
        let size = u64::from(last.saturating_sub(first)) + 1;
        let sources = self.sources.len().max(1) as u64;
        // One address after the other, then the next port.
        let source = self.sources.get((self.offered % sources) as usize).copied();
        let port = first + (self.offered / sources % size) as u16;
        self.offered += 1;
        let from = (source.unwrap_or(Ipv4Addr::UNSPECIFIED), port);
        let made = world.visit(self.host, |ns, cx| {
            let socket = ns.udp_bind(from, cx)?;
            ns.udp_tag(socket, c);
            Ok::<_, Errno>(socket)
        });
        let Some(client) = self.clients.get_mut(c as usize) else { return };
        *client = Client { until: at + self.patience, ..Client::default() };
        if let Some(Ok(socket)) = made {
            (client.socket, client.open) = (socket, true);
        }
        self.send(c, 0, world, machine, at);
    }

    /// Asks, or acknowledges a block.
    fn send(&mut self, c: u32, block: u16, world: &mut World, machine: &mut Machine, at: u64) {
        let Some(client) = self.clients.get_mut(c as usize) else { return };
        client.again = at + self.again;
        let Client { socket, open: true, .. } = *client else { return };
        let (to, payload) = match client.peer {
            Some(peer) if block > 0 => {
                let missing = self.acks.len()..=usize::from(block);
                self.acks.extend(missing.map(|n| ack(n as u16)));
                (peer, self.acks.get(usize::from(block)).cloned().unwrap_or_else(|| ack(block)))
            }
            _ => (self.target, self.request.clone()),
        };
        machine.send(world, (self.host, socket), Some(to), payload);
        self.sent += 1;
    }

    /// A socket has news.
    pub(super) fn news(&mut self, socket: SocketId, world: &mut World, machine: &mut Machine, at: u64) {
        if let Some(Some((c, d))) = world.visit(self.host, |ns, _| ns.udp_recv_tagged(socket)) {
            self.data(c, &d, world, machine, at);
        }
    }

    fn data(&mut self, c: u32, d: &Datagram, world: &mut World, machine: &mut Machine, at: u64) {
        let Some(client) = self.clients.get_mut(c as usize) else { return };
        let Some((op::DATA, block)) = header(&d.payload) else { return };
        // Who answers first sends the file; the others are told nothing.
        if *client.peer.get_or_insert(d.from) != d.from {
            return;
        }
        if block == client.block + 1 {
            client.block = block;
            client.until = at + self.patience;
        } else if block != client.block {
            return;
        }
        self.send(c, block, world, machine, at);
        if d.payload.len() < 4 + BLOCK {
            self.done += 1;
            self.close(c, world);
            self.ask(c, world, machine, at);
        }
    }

    fn close(&mut self, c: u32, world: &mut World) {
        if let Some(client) = self.clients.get_mut(c as usize).filter(|client| client.open) {
            client.open = false;
            let socket = client.socket;
            world.visit(self.host, |ns, _| ns.close(socket));
        }
    }
}
