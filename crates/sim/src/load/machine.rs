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
    kinds: Vec<Kind>,
    cost: Cost,
    /// The namespaces share one hash.
    one_hash: bool,
    /// When each processor is free.
    cpus: Vec<u64>,
    busy: u64,
    nic: VecDeque<Arrival>,
    to_client: VecDeque<Arrival>,
    /// What conntrack had done in each box when it was last reckoned with.
    before: Vec<CtWork>,
    /// How often a packet has gone through each box in this job.
    passes: Vec<u64>,
    out: Vec<Output>,
    woken: Vec<(NetnsId, SocketId)>,
    leaving: Vec<Arrival>,
    inside: Vec<Arrival>,
}

fn kind(ns: &Netns) -> Kind {
    let conntrack = ns.hooks_at(InetHook::PreRouting).contains(&HookFn::ConntrackIn);
    Kind { conntrack, tables: !ns.loaded_tables().is_empty() }
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
        Machine {
            client,
            kinds: all().map(kind).collect(),
            // Until 4.7 each namespace had a hash of its own (`net->ct.hash`).
            one_hash: all().any(|ns| ns.era().version() >= (4, 7)),
            before: all().map(|ns| ns.ct.work()).collect(),
            passes: vec![0; boxes.len()],
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

    /// Length of the chains of a box's hash, in thousandths: each entry stands in two.
    fn chain(&self, world: &World, ns: &Netns) -> u64 {
        let count = match self.one_hash {
            true => self.boxes.iter().filter_map(|b| world.host(*b)).map(|ns| ns.ct.count()).sum(),
            false => ns.ct.count(),
        };
        count as u64 * 2000 / u64::from(ns.ct.limits.buckets.max(1))
    }

    fn passed(&mut self, host: NetnsId) {
        if let Some(n) = self.boxes.iter().position(|b| *b == host).and_then(|at| self.passes.get_mut(at)) {
            *n += 1;
        }
    }

    /// The cost of all that has happened in this job.
    fn spent(&mut self, world: &World) -> u64 {
        let mut sum = 0;
        for at in 0..self.boxes.len() {
            let n = self.passes.get_mut(at).map_or(0, std::mem::take);
            let ns = self.boxes.get(at).and_then(|b| world.host(*b));
            let (Some(ns), Some(kind), Some(before)) = (ns, self.kinds.get(at), self.before.get(at)) else {
                continue;
            };
            if n == 0 {
                continue;
            }
            let now = ns.ct.work();
            let work = CtWork {
                hits: now.hits - before.hits,
                misses: now.misses - before.misses,
                made: now.made - before.made,
            };
            sum += self.cost.pass(*kind, work, self.chain(world, ns));
            sum += (n - 1) * self.cost.pass(*kind, CtWork::default(), 0);
            if let Some(before) = self.before.get_mut(at) {
                *before = now;
            }
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
                let Some((host, dev)) = world.peer((from, dev)) else { return };
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
