//! The machine that is measured: its namespaces, its processors, and the frames that wait for them.

use super::WIRE_NS;
use super::cost::{Cost, Kind};
use crate::world::World;
use kernel::netfilter::conntrack::CtWork;
use kernel::netfilter::hook::{HookFn, InetHook};
use kernel::{DevId, Netns, NetnsId, Output, PacketId, SocketId};
use packet::Frame;
use std::collections::VecDeque;
use std::rc::Rc;

/// A frame on its way to a box.
#[derive(Clone, Debug)]
struct Arrival {
    at: u64,
    host: NetnsId,
    dev: DevId,
    id: PacketId,
    frame: Rc<Frame>,
}

/// The machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    client: NetnsId,
    boxes: Vec<NetnsId>,
    accounts: Vec<Account>,
    /// The other ends of the devices of each box.
    peers: Vec<Vec<Option<(NetnsId, DevId)>>>,
    cost: Cost,
    /// The namespaces share one hash.
    one_hash: bool,
    /// When each processor is free.
    cpus: Vec<u64>,
    busy: u64,
    nic: VecDeque<Arrival>,
    to_client: VecDeque<Arrival>,
    out: Vec<Output>,
    woken: Vec<(NetnsId, SocketId)>,
    leaving: Vec<Arrival>,
    inside: Vec<Arrival>,
}

/// What is reckoned with of a box.
#[derive(Clone, Debug)]
struct Account {
    host: NetnsId,
    kind: Kind,
    /// What conntrack had done when it was last reckoned with.
    before: CtWork,
    /// How often a packet has gone through it in this job.
    passes: u64,
}

fn kind(ns: &Netns) -> Kind {
    let conntrack = ns.hooks_at(InetHook::PreRouting).contains(&HookFn::ConntrackIn);
    Kind { conntrack, tables: !ns.loaded_tables().is_empty() }
}

/// The other ends of the devices of each box.
fn peers(world: &World) -> Vec<Vec<Option<(NetnsId, DevId)>>> {
    let ends = |ns: &Netns| ns.devices().iter().map(|d| world.peer((ns.id, d.id))).collect();
    world.hosts().iter().map(ends).collect()
}

impl Machine {
    pub(super) fn new(
        world: &World,
        client: NetnsId,
        boxes: Vec<NetnsId>,
        cpus: usize,
        cost: Cost,
    ) -> Machine {
        let all = || boxes.iter().filter_map(|b| world.host(*b));
        let account = |ns: &Netns| Account { host: ns.id, kind: kind(ns), before: ns.ct.work(), passes: 0 };
        Machine {
            client,
            accounts: all().map(account).collect(),
            peers: peers(world),
            // Until 4.7 each namespace had a hash of its own (`net->ct.hash`).
            one_hash: all().any(|ns| ns.era().version() >= (4, 7)),
            boxes,
            cost,
            cpus: vec![0; cpus.max(1)],
            busy: 0,
            nic: VecDeque::new(),
            to_client: VecDeque::new(),
            out: Vec::new(),
            woken: Vec::new(),
            leaving: Vec::new(),
            inside: Vec::new(),
        }
    }

    /// Somebody has been at the boxes.
    pub(super) fn look(&mut self, world: &World) {
        self.peers = peers(world);
        for account in &mut self.accounts {
            account.kind = world.host(account.host).map_or(account.kind, kind);
        }
    }

    pub(super) fn boxes(&self) -> &[NetnsId] {
        &self.boxes
    }

    /// Nanoseconds for which processors have worked.
    pub(super) fn busy(&self) -> u64 {
        self.busy
    }

    /// When the first processor turns to the next frame.
    pub(super) fn nic_next(&self) -> Option<u64> {
        Some(self.nic.front()?.at.max(*self.cpus.first()?))
    }

    pub(super) fn client_next(&self) -> Option<u64> {
        self.to_client.front().map(|a| a.at)
    }

    /// When the first processor is free.
    pub(super) fn first_free(&self) -> u64 {
        self.cpus.first().copied().unwrap_or(0)
    }

    /// When a program that is ready then gets a processor.
    pub(super) fn earliest(&self, ready: u64) -> u64 {
        ready.max(self.cpus.iter().copied().min().unwrap_or(0))
    }

    fn passed(&mut self, host: NetnsId) {
        if let Some(account) = self.accounts.iter_mut().find(|account| account.host == host) {
            account.passes += 1;
        }
    }

    /// The cost of all that has happened in this job.
    fn spent(&mut self, world: &World) -> u64 {
        let entries = |host: &NetnsId| world.host(*host).map_or(0, |ns| ns.ct.count() as u64);
        let all = if self.one_hash { self.boxes.iter().map(entries).sum() } else { 0 };
        let mut sum = 0;
        for account in self.accounts.iter_mut().filter(|account| account.passes > 0) {
            let Some(ns) = world.host(account.host) else { continue };
            let (now, before) = (ns.ct.work(), account.before);
            let work = CtWork {
                hits: now.hits - before.hits,
                misses: now.misses - before.misses,
                made: now.made - before.made,
            };
            let count = if self.one_hash { all } else { ns.ct.count() as u64 };
            // Length of the chains of its hash, in thousandths: each entry stands in two.
            let chain = count * 2000 / u64::from(ns.ct.limits.buckets.max(1));
            sum += self.cost.pass(account.kind, work, chain);
            sum += (account.passes - 1) * self.cost.pass(account.kind, CtWork::default(), 0);
            (account.before, account.passes) = (now, 0);
        }
        sum
    }

    /// Follows what has been put out through the machine, until it leaves or waits in a socket.
    fn follow(&mut self, world: &mut World, from: NetnsId) {
        self.collect(world, from);
        while let Some(next) = self.inside.pop() {
            let (host, dev) = (next.host, next.dev);
            self.passed(host);
            world.visit(host, |ns, cx| ns.receive(dev, next.id, next.frame, cx));
            self.collect(world, host);
        }
    }

    /// Sorts what a box has put out.
    #[inline]
    fn collect(&mut self, world: &mut World, from: NetnsId) {
        // Nearly always there is one thing.
        if let Some(output) = world.only_left() {
            return self.sort(world, from, output);
        }
        let mut out = std::mem::take(&mut self.out);
        world.swap_left(&mut out);
        for output in out.drain(..) {
            self.sort(world, from, output);
        }
        self.out = out;
    }

    #[inline]
    fn sort(&mut self, world: &mut World, from: NetnsId, output: Output) {
        match output {
            Output::Transmit { dev, id, frame } if frame.ip().is_some() => {
                let peer = self.peers.get(from.index()).and_then(|ends| *ends.get(dev.index())?);
                let Some((host, dev)) = peer else { return };
                let arrival = Arrival { at: 0, host, dev, id, frame };
                let leaves = host == self.client || from == self.client;
                if leaves { &mut self.leaving } else { &mut self.inside }.push(arrival);
            }
            Output::Wake(socket) => self.woken.push((from, socket)),
            other => world.leave(from, other),
        }
    }

    /// The first processor takes the next frame through the machine.
    pub(super) fn nic_job(&mut self, world: &mut World, at: u64) {
        let Some(frame) = self.nic.pop_front() else { return };
        self.inside.push(frame);
        self.follow(world, self.client);
        let end = at + self.spent(world);
        self.busy += end - at;
        if let Some(first) = self.cpus.first_mut() {
            *first = end;
        }
        self.finish(end);
    }

    /// A program has had its turn: what it has sent goes its way. When the processor is free again.
    pub(super) fn turn(&mut self, world: &mut World, host: NetnsId, at: u64) -> u64 {
        self.passed(host);
        self.follow(world, host);
        let end = at + self.spent(world) + self.cost.turn();
        self.busy += end - at;
        // The last of those that are free: the first one has frames to care for.
        if let Some(cpu) = self.cpus.iter_mut().rev().find(|free| **free <= at) {
            *cpu = end;
        }
        self.finish(end);
        end
    }

    fn finish(&mut self, end: u64) {
        let at = end + WIRE_NS;
        for a in self.leaving.drain(..) {
            // Two processors may end in another order than they began.
            let later = self.to_client.iter().rev().take_while(|other| other.at > at).count();
            let place = self.to_client.len() - later;
            self.to_client.insert(place, Arrival { at, ..a });
        }
    }

    /// The next socket that has got news.
    pub(super) fn woken(&mut self) -> Option<(NetnsId, SocketId)> {
        self.woken.pop()
    }

    /// A frame reaches the clients.
    pub(super) fn client_frame(&mut self, world: &mut World) {
        let Some(a) = self.to_client.pop_front() else { return };
        world.visit(a.host, |ns, cx| ns.receive(a.dev, a.id, a.frame, cx));
        self.collect(world, a.host);
    }

    /// What the clients have sent goes to the machine.
    pub(super) fn sent(&mut self, world: &mut World, client: NetnsId, at: u64) {
        self.collect(world, client);
        self.nic.extend(self.leaving.drain(..).map(|a| Arrival { at: at + WIRE_NS, ..a }));
    }
}
