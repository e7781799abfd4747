//! A TFTP server (RFC 1350) of one process: it reads one datagram, answers it, and turns to the next.

use super::machine::Machine;
use super::timers::Timers;
use super::{Endpoint, instant};
use crate::world::World;
use kernel::socket::Errno;
use kernel::{Chance, Netns, NetnsId, SocketId};
use packet::Bytes;
use std::collections::VecDeque;

/// Bytes of a block; a shorter one is the last.
pub(super) const BLOCK: usize = 512;
/// A block is sent again after this time, then after twice that, and so on.
const AGAIN_NS: u64 = 1_000_000_000;
/// How often. Then the transfer is given up.
const TIMES: u8 = 5;
/// The ports from which an unbound socket takes one (`ip_local_port_range`).
const PORTS: std::ops::RangeInclusive<u16> = 32768..=60999;
/// Which of the generator's sequences is used; any constant does.
const STREAM: u64 = 0x5851_f42d_4c95_7f2d;

/// Opcodes.
pub(super) mod op {
    pub const RRQ: u16 = 1;
    pub const DATA: u16 = 3;
    pub const ACK: u16 = 4;
}

/// Opcode and block number.
pub(super) fn header(payload: &[u8]) -> Option<(u16, u16)> {
    match payload {
        [a, b, c, d, ..] => Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
        _ => None,
    }
}

/// A file on its way.
#[derive(Clone, Debug)]
struct Transfer {
    /// None where there is none at present.
    socket: Option<SocketId>,
    port: u16,
    /// The block that waits for its acknowledgement, from 1.
    block: u16,
    /// When it is sent again.
    again: u64,
    /// How often it has been.
    times: u8,
}

/// The socket of a transfer, and the transfer's place, in which another one may be by now.
type Owner = (SocketId, u32);

/// Why a socket is looked at.
#[derive(Clone, Copy, Debug)]
enum Job {
    News(SocketId),
    Again(Owner),
}

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub host: NetnsId,
    bind: Endpoint,
    file: usize,
    /// Packets that it has sent.
    pub sent: u64,
    socket: SocketId,
    transfers: Vec<Transfer>,
    /// Places of transfers that have ended.
    places: Vec<u32>,
    jobs: VecDeque<(u64, Job)>,
    timers: Timers<Owner>,
    free: u64,
    used: PortSet,
    chance: Chance,
    content: Vec<u8>,
    /// The blocks of the file as they are sent, from the first one on. All transfers share them.
    blocks: Vec<Bytes>,
}

/// Ports that are in use.
#[derive(Clone, Debug)]
struct PortSet(Vec<u64>);

impl PortSet {
    fn get(&self, port: u16) -> bool {
        self.0.get(usize::from(port) / 64).is_some_and(|word| word >> (port % 64) & 1 == 1)
    }

    fn set(&mut self, port: u16, used: bool) {
        if let Some(word) = self.0.get_mut(usize::from(port) / 64) {
            *word = *word & !(1 << (port % 64)) | u64::from(used) << (port % 64);
        }
    }
}

impl Server {
    pub(super) fn new(host: NetnsId, bind: Endpoint, file: usize, seed: u64) -> Server {
        Server {
            host,
            bind,
            file,
            sent: 0,
            socket: SocketId::default(),
            transfers: Vec::new(),
            places: Vec::new(),
            jobs: VecDeque::new(),
            timers: Timers::new(),
            free: 0,
            used: PortSet(vec![0; 1024]),
            chance: Chance::new(seed, STREAM),
            content: (0..BLOCK).map(|i| (i & 0xff) as u8).collect(),
            blocks: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, world: &mut World) -> Result<(), Errno> {
        let bind = self.bind;
        let socket = world.visit(self.host, |ns, cx| ns.udp_bind(bind, cx)).unwrap_or(Err(Errno::EINVAL))?;
        self.socket = socket;
        Ok(())
    }

    /// When it turns to what waits for it.
    pub(super) fn ready(&self) -> Option<u64> {
        self.jobs.front().map(|(at, _)| self.free.max(*at))
    }

    pub(super) fn free_at(&mut self, at: u64) {
        self.free = self.free.max(at);
    }

    /// When a block may have waited long enough.
    pub(super) fn timer(&self) -> Option<u64> {
        self.timers.next()
    }

    /// A socket has news from then on.
    pub(super) fn news(&mut self, socket: SocketId, at: u64) {
        self.jobs.push_back((at, Job::News(socket)));
    }

    /// A timer fires.
    pub(super) fn fire(&mut self, at: u64) {
        let Some((_, owner)) = self.timers.pop() else { return };
        match self.transfer(owner).map(|t| t.again) {
            Some(again) if again > at => self.timers.push(again, owner),
            Some(_) => self.jobs.push_back((at, Job::Again(owner))),
            None => {}
        }
    }

    /// A transfer that goes on.
    fn transfer(&mut self, (socket, place): Owner) -> Option<&mut Transfer> {
        self.transfers.get_mut(place as usize).filter(|t| t.socket == Some(socket))
    }

    /// Does what is next. False if there was nothing to do.
    pub(super) fn turn(&mut self, world: &mut World, machine: &mut Machine, at: u64) -> bool {
        let Some((_, job)) = self.jobs.pop_front() else { return false };
        world.set_now(instant(at));
        match job {
            Job::Again(owner) => self.again(owner, world, machine, at),
            Job::News(socket) if socket == self.socket => self.request(world, machine, at),
            Job::News(socket) => self.progress(socket, world, machine, at),
        }
    }

    fn request(&mut self, world: &mut World, machine: &mut Machine, at: u64) -> bool {
        let socket = self.socket;
        let Some(Some(d)) = world.visit(self.host, |ns, _| ns.udp_recv(socket)) else { return false };
        if !matches!(header(&d.payload), Some((op::RRQ, _))) {
            return true;
        }
        let Some(port) = self.port() else { return true };
        let place = self.places.last().copied().unwrap_or(self.transfers.len() as u32);
        let made = world.visit(self.host, |ns, cx| {
            let socket = ns.udp_bind((self.bind.0, port), cx)?;
            ns.udp_tag(socket, place);
            ns.udp_options(socket, true, None);
            ns.udp_connect(socket, d.from)?;
            Ok::<_, Errno>(socket)
        });
        let Some(Ok(socket)) = made else { return true };
        self.used.set(port, true);
        let again = at + AGAIN_NS;
        let transfer = Transfer { socket: Some(socket), port, block: 1, again, times: 0 };
        match self.places.pop().and_then(|place| self.transfers.get_mut(place as usize)) {
            Some(free) => *free = transfer,
            None => self.transfers.push(transfer),
        }
        self.timers.push(again, (socket, place));
        self.send(socket, 1, world, machine);
        true
    }

    /// A port that no transfer has, by chance (`udp_lib_get_port`).
    fn port(&mut self) -> Option<u16> {
        let count = u32::from(PORTS.end() - PORTS.start()) + 1;
        let first = ((u64::from(self.chance.next_u32()) * u64::from(count)) >> 32) as u32;
        let ports = (0..count).map(|i| PORTS.start() + ((first + i) % count) as u16);
        ports.into_iter().find(|p| !self.used.get(*p))
    }

    /// A block's datagram. Nobody asks for one before the one before it.
    fn block(&mut self, block: u16) -> Option<Bytes> {
        let before = usize::from(block.checked_sub(1)?);
        if self.blocks.len() <= before {
            let rest = self.file.saturating_sub(before * BLOCK).min(BLOCK);
            let content = self.content.get(..rest).unwrap_or_default();
            let all = [&op::DATA.to_be_bytes(), &block.to_be_bytes(), content].concat();
            self.blocks.push(all.into());
        }
        self.blocks.get(before).cloned()
    }

    fn send(&mut self, socket: SocketId, block: u16, world: &mut World, machine: &mut Machine) {
        let Some(payload) = self.block(block) else { return };
        machine.send(world, (self.host, socket), None, payload);
        self.sent += 1;
    }

    fn progress(&mut self, socket: SocketId, world: &mut World, machine: &mut Machine, at: u64) -> bool {
        let Some(Some((place, d))) = world.visit(self.host, |ns, _| ns.udp_recv_tagged(socket)) else {
            let failed = |ns: &mut Netns| ns.take_error(socket).and_then(|_| ns.udp_tagged(socket));
            let failed = world.visit(self.host, |ns, _| failed(ns)).flatten();
            if let Some(place) = failed {
                self.end((socket, place), world);
            }
            return failed.is_some();
        };
        let owner = (socket, place);
        let Some(t) = self.transfer(owner) else { return true };
        if header(&d.payload) != Some((op::ACK, t.block)) {
            return true;
        }
        t.block += 1;
        t.again = at + AGAIN_NS;
        t.times = 0;
        let block = t.block;
        if usize::from(block - 1) * BLOCK > self.file {
            self.end(owner, world);
            return true;
        }
        self.send(socket, block, world, machine);
        true
    }

    fn again(&mut self, owner: Owner, world: &mut World, machine: &mut Machine, at: u64) -> bool {
        let Some(t) = self.transfer(owner) else { return false };
        if t.again > at {
            // Its acknowledgement came while this waited.
            let again = t.again;
            self.timers.push(again, owner);
            return false;
        }
        t.times += 1;
        if t.times >= TIMES {
            self.end(owner, world);
            return true;
        }
        t.again = at + (AGAIN_NS << t.times);
        let (again, block) = (t.again, t.block);
        self.timers.push(again, owner);
        self.send(owner.0, block, world, machine);
        true
    }

    fn end(&mut self, owner: Owner, world: &mut World) {
        if let Some(t) = self.transfer(owner) {
            t.socket = None;
            let port = t.port;
            self.used.set(port, false);
            self.places.push(owner.1);
        }
        world.visit(self.host, |ns, _| ns.close(owner.0));
    }
}
