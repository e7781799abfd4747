//! The machine that is measured: its namespaces, its processors, and the frames that wait for them.

use super::cost::{Cost, Kind};
use super::paths::{Begin, Paths};
use super::{Endpoint, WIRE_NS};
use crate::world::World;
use kernel::netfilter::conntrack::CtWork;
use kernel::netfilter::hook::{HookFn, InetHook};
use kernel::socket::{Datagram, Sending};
use kernel::{DevId, Ends, Netns, NetnsId, Noted, Output, PacketId, Passed, Plain, SocketId};
use packet::{Bytes, Frame};
use std::collections::VecDeque;
use std::rc::Rc;

/// A frame, or the little that there is to say of most.
#[derive(Clone, Debug)]
enum Parcel {
    Frame(Rc<Frame>),
    Plain(Plain, Bytes),
}

/// A frame on its way to a box.
#[derive(Clone, Debug)]
struct Arrival {
    at: u64,
    host: NetnsId,
    dev: DevId,
    id: PacketId,
    parcel: Parcel,
}

/// A frame at a box of the machine.
#[derive(Clone, Debug)]
struct Inside {
    host: NetnsId,
    dev: DevId,
    id: PacketId,
    frame: Rc<Frame>,
}

/// By boxes and their devices.
type Peers = Vec<Vec<Option<(NetnsId, DevId)>>>;

/// The machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    client: NetnsId,
    boxes: Vec<NetnsId>,
    accounts: Vec<Account>,
    /// The other ends of the devices of each box.
    peers: Peers,
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
    inside: Vec<Inside>,
    paths: Paths,
    /// What boxes have noted of the packet that is on its whole way.
    trail: Vec<(NetnsId, Noted)>,
    /// One of them has noted nothing.
    lost: bool,
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
fn peers(world: &World) -> Peers {
    let ends = |ns: &Netns| ns.devices().iter().map(|d| world.peer((ns.id, d.id))).collect();
    world.hosts().iter().map(ends).collect()
}

/// What is at the other end of a device.
#[inline]
fn peer(peers: &Peers, host: NetnsId, dev: DevId) -> Option<(NetnsId, DevId)> {
    peers.get(host.index()).and_then(|ends| *ends.get(dev.index())?)
}

/// A packet goes through a box.
#[inline]
fn passes(accounts: &mut [Account], host: NetnsId) {
    if let Some(account) = accounts.iter_mut().find(|account| account.host == host) {
        account.passes += 1;
    }
}

/// A packet has passed a box, from which it was sent or not.
#[inline]
fn has_passed(
    accounts: &mut [Account],
    world: &mut World,
    host: NetnsId,
    (sending, plain): (Option<&Sending>, &mut Plain),
) {
    match sending {
        Some(sending) => plain.id = world.visit(host, |_, cx| sending.ip_id(cx)).unwrap_or_default(),
        None => passes(accounts, host),
    }
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
            paths: Paths::new(),
            trail: Vec::new(),
            lost: false,
        }
    }

    /// Somebody has been at the boxes.
    pub(super) fn look(&mut self, world: &World) {
        self.paths = Paths::new();
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

    /// Follows what is inside through the machine, until it leaves or waits in a socket.
    #[inline]
    fn follow(&mut self, world: &mut World) {
        if !self.inside.is_empty() {
            self.follow_whole(world);
        }
    }

    fn follow_whole(&mut self, world: &mut World) {
        while let Some(Inside { host, dev, id, frame }) = self.inside.pop() {
            passes(&mut self.accounts, host);
            world.visit(host, |ns, cx| ns.receive(dev, id, frame, cx));
            self.note(world, host);
            self.collect(world, host);
        }
        self.learn();
    }

    /// A packet has gone its whole way through a box.
    fn note(&mut self, world: &mut World, host: NetnsId) {
        match world.host_mut(host).and_then(Netns::take_noted) {
            Some(noted) => self.trail.push((host, noted)),
            None => self.lost = true,
        }
    }

    /// The next packet of the flow goes as this one did, if each box has noted what it did with it.
    fn learn(&mut self) {
        let meets = |host: NetnsId, noted: &Noted| peer(&self.peers, host, noted.out?);
        let follows = |pair: &[(NetnsId, Noted)]| match pair {
            [(host, one), (then, other)] => {
                one.becomes == other.ends && meets(*host, one) == other.dev.map(|dev| (*then, dev))
            }
            _ => false,
        };
        let ends = |(host, noted): &(NetnsId, Noted)| {
            meets(*host, noted).is_none_or(|(to, _)| to == self.client || *host == self.client)
        };
        if !self.lost && self.trail.windows(2).all(follows) && self.trail.last().is_some_and(ends) {
            self.paths.put(&self.trail);
        }
        self.trail.clear();
    }

    /// What a program sends goes its way, as far as a full table or a missing route lets it.
    pub(super) fn send(
        &mut self,
        world: &mut World,
        (host, socket): (NetnsId, SocketId),
        to: Option<Endpoint>,
        mut payload: Bytes,
    ) {
        let Some(Ok(sending)) = world.visit(host, |ns, cx| ns.udp_begin(socket, to, cx)) else { return };
        if !sending.fails() {
            match self.go(
                world,
                (host, None),
                Some(&sending),
                sending.packet(),
                (&mut sending.plain(), payload),
            ) {
                None => return,
                Some(back) => payload = back,
            }
        }
        self.begin();
        // What fails (EPERM) changes nothing for programs that send again anyhow.
        let _ = world.visit(host, |ns, cx| ns.udp_push(&sending, None, payload, cx));
        self.note(world, host);
        self.collect(world, host);
        if self.inside.is_empty() {
            self.learn();
        }
    }

    fn begin(&mut self) {
        self.trail.clear();
        self.lost = false;
    }

    /// A frame comes to a box.
    fn arrive(&mut self, world: &mut World, a: Arrival) {
        let Arrival { host, dev, id, parcel, .. } = a;
        let begin = (host, Some(dev));
        let frame = match parcel {
            Parcel::Plain(mut plain, payload) => {
                let rest = self.go(world, begin, None, id, (&mut plain, payload));
                rest.map(|payload| Rc::new(plain.frame(payload)))
            }
            Parcel::Frame(frame) => {
                let known = Plain::of(&frame).map(|(plain, payload)| (plain, payload.clone()));
                let went = known.is_some_and(|(mut plain, load)| {
                    self.go(world, begin, None, id, (&mut plain, load)).is_none()
                });
                (!went).then_some(frame)
            }
        };
        if let Some(frame) = frame {
            self.begin();
            self.inside.push(Inside { host, dev, id, frame });
        }
    }

    /// Takes a packet along its path. If there is none the payload is given back, and nothing has been done.
    #[inline]
    fn go(
        &mut self,
        world: &mut World,
        begin: Begin,
        sending: Option<&Sending>,
        id: PacketId,
        (plain, payload): (&mut Plain, Bytes),
    ) -> Option<Bytes> {
        let (now, came, len) = (world.now(), plain.ends, payload.len());
        let Some(path) = self.paths.get(begin, came) else {
            return self.go_alike(world, begin, sending, id, (plain, payload));
        };
        // The second box's entry is read now, as a processor waits for it and for the first one's no longer than for one of them.
        let entry = |(host, conn)| Some(world.host(host)?.read_entry(conn));
        std::hint::black_box(path.second().and_then(entry));
        let mut at = begin;
        let mut out = None;
        for number in 0.. {
            let Some((leg, conn, becomes)) = path.step(number) else { break };
            at = leg.at;
            let Some(ns) = world.host_mut(at.0) else { return Some(payload) };
            let Some(passed) = ns.pass((leg.way, conn), (plain, len), becomes, now) else {
                let (host, Some(dev)) = at else { return Some(payload) };
                if number == 0 {
                    return Some(payload);
                }
                // From here on it goes the whole way, and the next one does so from the beginning.
                self.paths.forget(begin, came);
                self.lost = true;
                self.inside.push(Inside { host, dev, id, frame: Rc::new(plain.frame(payload)) });
                return None;
            };
            if let Passed::Here(socket) = passed {
                let Ends { from, to } = plain.ends;
                ns.udp_queue(socket, Datagram { from, to: to.0, payload });
                self.woken.push((at.0, socket));
                passes(&mut self.accounts, at.0);
                return None;
            }
            has_passed(&mut self.accounts, world, at.0, (sending.filter(|_| number == 0), plain));
            out = leg.out;
        }
        if let Some((host, dev)) = out.and_then(|out| peer(&self.peers, at.0, out)) {
            self.leaving.push(Arrival { at: 0, host, dev, id, parcel: Parcel::Plain(*plain, payload) });
        }
        None
    }

    /// Takes a packet through the boxes that know what to do with flows like its own. The payload is given back, and nothing has been
    /// done, if the first one does not.
    fn go_alike(
        &mut self,
        world: &mut World,
        begin: Begin,
        sending: Option<&Sending>,
        id: PacketId,
        (plain, payload): (&mut Plain, Bytes),
    ) -> Option<Bytes> {
        let (now, len) = (world.now(), payload.len());
        let mut at = begin;
        loop {
            let (host, dev) = at;
            let passed = world.host_mut(host).and_then(|ns| ns.pass_alike(dev, (plain, len), now));
            let Some((noted, passed)) = passed else {
                let Some(dev) = dev.filter(|_| at != begin) else { return Some(payload) };
                // From here on it goes the whole way.
                self.inside.push(Inside { host, dev, id, frame: Rc::new(plain.frame(payload)) });
                return None;
            };
            if at == begin {
                self.begin();
            }
            self.trail.push((host, noted));
            if let Passed::Here(socket) = passed {
                let Ends { from, to } = plain.ends;
                world.host_mut(host)?.udp_queue(socket, Datagram { from, to: to.0, payload });
                self.woken.push((host, socket));
                passes(&mut self.accounts, host);
                break;
            }
            has_passed(&mut self.accounts, world, host, (sending.filter(|_| at == begin), plain));
            let Some((next, dev)) = noted.out.and_then(|out| peer(&self.peers, host, out)) else { break };
            if next == self.client || host == self.client {
                let parcel = Parcel::Plain(*plain, payload);
                self.leaving.push(Arrival { at: 0, host: next, dev, id, parcel });
                break;
            }
            at = (next, Some(dev));
        }
        self.learn();
        None
    }

    /// Sorts what a box has put out.
    #[inline]
    fn collect(&mut self, world: &mut World, from: NetnsId) {
        if world.has_left() {
            self.collect_left(world, from);
        }
    }

    fn collect_left(&mut self, world: &mut World, from: NetnsId) {
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
                let Some((host, dev)) = peer(&self.peers, from, dev) else { return };
                if host == self.client || from == self.client {
                    self.leaving.push(Arrival { at: 0, host, dev, id, parcel: Parcel::Frame(frame) });
                } else {
                    self.inside.push(Inside { host, dev, id, frame });
                }
            }
            Output::Wake(socket) => self.woken.push((from, socket)),
            other => world.leave(from, other),
        }
    }

    /// The first processor takes the next frame through the machine.
    pub(super) fn nic_job(&mut self, world: &mut World, at: u64) {
        let Some(frame) = self.nic.pop_front() else { return };
        self.arrive(world, frame);
        self.follow(world);
        let end = at + self.spent(world);
        self.busy += end - at;
        if let Some(first) = self.cpus.first_mut() {
            *first = end;
        }
        self.finish(end);
    }

    /// A program has had its turn: what it has sent goes its way. When the processor is free again.
    pub(super) fn turn(&mut self, world: &mut World, host: NetnsId, at: u64) -> u64 {
        passes(&mut self.accounts, host);
        self.collect(world, host);
        self.follow(world);
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
        while let Some(a) = self.next_leaving() {
            // Two processors may end in another order than they began.
            let later = self.to_client.iter().rev().take_while(|other| other.at > at).count();
            let place = self.to_client.len() - later;
            self.to_client.insert(place, Arrival { at, ..a });
        }
    }

    /// The first of what leaves. Nearly always it is the only one.
    #[inline]
    fn next_leaving(&mut self) -> Option<Arrival> {
        if self.leaving.len() > 1 { Some(self.leaving.remove(0)) } else { self.leaving.pop() }
    }

    /// The next socket that has got news.
    pub(super) fn woken(&mut self) -> Option<(NetnsId, SocketId)> {
        self.woken.pop()
    }

    /// A frame reaches the clients.
    pub(super) fn client_frame(&mut self, world: &mut World) {
        let Some(a) = self.to_client.pop_front() else { return };
        self.arrive(world, a);
        self.follow(world);
    }

    /// What the clients have sent goes to the machine.
    pub(super) fn sent(&mut self, world: &mut World, client: NetnsId, at: u64) {
        self.collect(world, client);
        while let Some(a) = self.next_leaving() {
            self.nic.push_back(Arrival { at: at + WIRE_NS, ..a });
        }
    }
}
