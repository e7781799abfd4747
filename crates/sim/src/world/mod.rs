//! The world: boxes, links, the queue of what is due.

mod apps;
mod due;
mod machine;
mod visit;

pub(crate) use machine::Running;

use crate::apps::App;
use crate::log::{Entry, Log, Seen};
use crate::programs::Job;
use crate::race::Order;
use crate::scenario::Backend;
use crate::sequence::InitialNumbers;
use due::{Due, Work};
use kernel::dev::DevKind;
use kernel::{Chance, Cx, DevId, Event, Ids, Instant, Netns, NetnsId, Output, Rest, SocketId};
use litemap::LiteMap;
use packet::Mac;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// An application of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppId(pub usize);

impl AppId {
    /// The number of its process. Numbers below 300 belong to the kernel's own.
    pub(crate) fn pid(self) -> u16 {
        (self.0 as u16).wrapping_add(300)
    }
}

/// The time that a frame needs from one end of a veth to the other.
const LINK_LATENCY: Duration = Duration::from_micros(1);
/// The time from news on a socket until its program runs.
const WAKE_LATENCY: Duration = Duration::from_micros(150);
/// The time that one turn of a program takes, such as reading and answering one datagram.
pub(crate) const TURN: Duration = Duration::from_micros(100);
/// The time between two system calls inside one turn: long enough for the kernel to finish with the first.
pub(crate) const SYSCALL_TIME: Duration = Duration::from_micros(50);

/// So many steps are done between two pauses.
const STEPS_AT_ONCE: u32 = 16;

/// One more step was done.
async fn breathe(steps: &mut u32) {
    *steps += 1;
    if steps.is_multiple_of(STEPS_AT_ONCE) {
        parts::pause().await;
    }
}

/// Which of the generator's sequences is used; any constant does.
const STREAM: u64 = 0x0a02_bdbf_7bb3_c0a7;

/// The end of a link that has been removed, as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEnd {
    /// The device.
    pub end: (NetnsId, DevId),
    /// The other end.
    pub peer: (NetnsId, DevId),
    /// The bridge that it was a port of.
    pub master: Option<DevId>,
    /// Its first address.
    pub addr: Option<std::net::Ipv4Addr>,
}

/// All boxes, and time.
#[derive(Clone, Debug)]
pub struct World {
    now: Instant,
    rng: Chance,
    ids: Ids,
    hosts: Vec<Netns>,
    /// The boxes that have ceased to be.
    retired: Vec<NetnsId>,
    /// The first namespaces of the machines of those that are beside one.
    machines: LiteMap<NetnsId, NetnsId>,
    /// How many addresses each box's devices were given.
    macs: LiteMap<NetnsId, u8>,
    links: LiteMap<(NetnsId, DevId), (NetnsId, DevId)>,
    /// Ends of links that have been removed.
    past: Vec<PastEnd>,
    queue: BinaryHeap<Reverse<Due>>,
    seq: u64,
    log: Log,
    quiet: bool,
    /// Somebody listens to conntrack's messages, also in boxes that are yet to come.
    listened: bool,
    apps: Vec<App>,
    owners: LiteMap<(NetnsId, SocketId), AppId>,
    /// There is one processor for programs: while one is in the middle of its turn, no other begins.
    busy: Option<(AppId, Instant)>,
    /// How many events of applications there were.
    app_events: u64,
    /// Frames on their way, in and between boxes.
    in_flight: usize,
    /// Calls of programs that wait until nothing is in flight.
    resume: VecDeque<(NetnsId, Rest)>,
    /// The initial numbers of the connections that were seen on links.
    numbers: InitialNumbers,
    /// Connections that their clients left open.
    held: Vec<(NetnsId, SocketId)>,
    /// Files of boxes: path and text.
    files: LiteMap<(NetnsId, String), String>,
    /// `nsenter` without `-m`: programs of the first box have the files of the second.
    root: Option<(NetnsId, NetnsId)>,
    /// The event from which on the ring buffer of the kernel's lines has not been cleared, of boxes where it was.
    dmesg: LiteMap<NetnsId, usize>,
    /// Commands in the background.
    jobs: Vec<Job>,
    /// The memory of the last step's output, for the next one.
    spare: Vec<Output>,
    /// What boxes have put out that somebody else than the world takes over ([`World::visit`]).
    left: Vec<Output>,
    /// Sockets with news that belong to no application, if somebody asks.
    orphans: Option<Vec<(NetnsId, SocketId)>>,
    /// Who goes on next where packets are held up.
    pub(crate) orders: Vec<Order>,
    /// The boxes on which `iptables` is iptables-nft.
    #[cfg(feature = "nft")]
    nft_boxes: Vec<NetnsId>,
    /// The boxes whose programs are BusyBox's.
    busybox_boxes: Vec<NetnsId>,
    /// The world stands still as soon as its log is so long ([`crate::Keyframe`]).
    pub(crate) stop: Option<usize>,
}

/// What a box leaves: what it has logged, and what it leaves to do.
struct Left {
    events: Vec<Event>,
    out: Vec<Output>,
}

impl World {
    /// An empty world at time 0. All chance comes from `seed`.
    pub fn new(seed: u64) -> World {
        World {
            now: Instant(0),
            rng: Chance::new(seed, STREAM),
            ids: Ids::default(),
            hosts: Vec::new(),
            retired: Vec::new(),
            machines: LiteMap::new(),
            macs: LiteMap::new(),
            links: LiteMap::new(),
            past: Vec::new(),
            queue: BinaryHeap::new(),
            seq: 0,
            log: Log::default(),
            quiet: false,
            listened: false,
            apps: Vec::new(),
            owners: LiteMap::new(),
            busy: None,
            app_events: 0,
            in_flight: 0,
            resume: VecDeque::new(),
            numbers: InitialNumbers::default(),
            held: Vec::new(),
            files: LiteMap::new(),
            root: None,
            dmesg: LiteMap::new(),
            jobs: Vec::new(),
            spare: Vec::new(),
            left: Vec::new(),
            orphans: None,
            orders: Vec::new(),
            #[cfg(feature = "nft")]
            nft_boxes: Vec::new(),
            busybox_boxes: Vec::new(),
            stop: None,
        }
    }

    /// What `iptables` stands for on a box.
    #[cfg(feature = "nft")]
    pub fn backend(&self, host: NetnsId) -> Backend {
        if self.nft_boxes.contains(&host) { Backend::Nft } else { Backend::Legacy }
    }

    /// What `iptables` stands for on a box: there is one kind.
    #[cfg(not(feature = "nft"))]
    pub fn backend(&self, _: NetnsId) -> Backend {
        Backend::Legacy
    }

    /// `update-alternatives --set iptables`: chooses what `iptables` and its siblings stand for on a box. Rules stay where they are.
    #[cfg(feature = "nft")]
    pub fn set_backend(&mut self, host: NetnsId, backend: Backend) {
        self.nft_boxes.retain(|h| *h != host);
        if backend == Backend::Nft {
            self.nft_boxes.push(host);
        }
    }

    /// `busybox --install` was run on a box: plain names of programs stand for BusyBox's.
    pub fn has_busybox(&self, host: NetnsId) -> bool {
        self.busybox_boxes.contains(&host)
    }

    /// `busybox --install`
    pub fn install_busybox(&mut self, host: NetnsId) {
        if !self.has_busybox(host) {
            self.busybox_boxes.push(host);
        }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The same once more, to go on by itself. What `clone` is, but not made anew in each crate that asks.
    pub fn copy(&self) -> World {
        self.clone()
    }

    /// Everything that has happened.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// From now on somebody listens to conntrack's messages in every box, which a kernel may ask for.
    pub fn listen(&mut self) {
        self.listened = true;
        for ns in &mut self.hosts {
            ns.ct.listened = true;
        }
    }

    /// The next address for a device of a box: `02:00:00:00:HOST:INTERFACE`, both counted from 1.
    pub(crate) fn next_mac(&mut self, host: NetnsId) -> Mac {
        let n = self.macs.entry(host).or_default();
        *n = n.wrapping_add(1);
        let host = u8::try_from(host.0.wrapping_add(1) & 0xff).unwrap_or(0);
        Mac([2, 0, 0, 0, host, *n])
    }

    /// Nothing is logged.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// In quiet mode nothing is logged; everything else is the same.
    pub fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// The log, to be put away or cut.
    pub(crate) fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Forgets the log: what was done to build the world is not part of its story.
    pub fn forget_log(&mut self) {
        self.log = Log::default();
    }

    // ------------------------------------------------------------------ boxes and links

    /// Adds a box.
    pub fn add_host(&mut self, name: &str) -> NetnsId {
        let id = NetnsId(u16::try_from(self.hosts.len()).unwrap_or(u16::MAX));
        let mut ns = Netns::new(id, name);
        ns.ct.listened = self.listened;
        self.hosts.push(ns);
        id
    }

    /// All boxes; the index is the [`NetnsId`].
    pub fn hosts(&self) -> &[Netns] {
        &self.hosts
    }

    /// All boxes, to change their configuration.
    pub fn hosts_mut(&mut self) -> &mut [Netns] {
        &mut self.hosts
    }

    /// The box of that name, if it has not ceased to be.
    pub fn host_by_name(&self, name: &str) -> Option<NetnsId> {
        self.hosts_named(name).find(|h| !self.is_retired(*h))
    }

    /// A box.
    pub fn host(&self, id: NetnsId) -> Option<&Netns> {
        self.hosts.get(id.index())
    }

    /// A box, to change its configuration.
    pub fn host_mut(&mut self, id: NetnsId) -> Option<&mut Netns> {
        self.hosts.get_mut(id.index())
    }

    /// Makes two devices the ends of one veth.
    pub fn connect(&mut self, a: (NetnsId, DevId), b: (NetnsId, DevId)) {
        self.links.insert(a, b);
        self.links.insert(b, a);
    }

    /// The other end of a veth.
    pub fn peer(&self, end: (NetnsId, DevId)) -> Option<(NetnsId, DevId)> {
        self.links.get(&end).copied()
    }

    /// What is known of the end of a link that has been removed.
    pub fn past_end(&self, end: (NetnsId, DevId)) -> Option<&PastEnd> {
        self.past.iter().find(|p| p.end == end)
    }

    /// `ip link del DEV`: a veth's other end goes with it.
    pub fn remove_device(&mut self, host: NetnsId, dev: DevId) {
        let peer = self.links.remove(&(host, dev));
        if let Some(end) = peer {
            self.links.remove(&end);
            for (end, peer) in [((host, dev), end), (end, (host, dev))] {
                let Some(d) = self.host(end.0).and_then(|ns| ns.device(end.1)) else { continue };
                let (master, addr) = (d.master, d.addrs.first().map(|a| a.net.addr()));
                self.past.push(PastEnd { end, peer, master, addr });
            }
        }
        for (host, dev) in [Some((host, dev)), peer].into_iter().flatten() {
            self.with(host, |ns, cx| ns.remove_device(dev, cx));
        }
    }

    /// A box ceases to be: its programs are killed, and its devices go. Its number is not given again, so that the log can
    /// still be read; its name is free.
    pub fn retire(&mut self, host: NetnsId) {
        for app in &mut self.apps {
            app.kill(host);
        }
        let devices = self.host(host).map_or(&[][..], |ns| ns.devices()).iter();
        let devices: Vec<DevId> =
            devices.filter(|d| !matches!(d.kind, DevKind::Loopback)).map(|d| d.id).collect();
        for dev in devices {
            self.remove_device(host, dev);
        }
        if !self.retired.contains(&host) {
            self.retired.push(host);
        }
    }

    /// Whether a box has ceased to be.
    pub fn is_retired(&self, host: NetnsId) -> bool {
        self.retired.contains(&host)
    }

    /// All boxes that have had this name, the oldest first.
    pub fn hosts_named<'w>(&'w self, name: &'w str) -> impl Iterator<Item = NetnsId> + 'w {
        self.hosts.iter().filter(move |h| h.name == name).map(|h| h.id)
    }

    /// Runs `f` on a box with a [`Cx`], then takes over what it leaves to do and what it logs.
    pub fn with<T>(&mut self, host: NetnsId, f: impl FnOnce(&mut Netns, &mut Cx<'_>) -> T) -> Option<T> {
        let mut left = Left { events: Vec::new(), out: std::mem::take(&mut self.spare) };
        let (ns, mut cx) = self.enter(host, &mut left)?;
        let result = f(ns, &mut cx);
        self.take_over(host, left);
        Some(result)
    }

    // The two halves of `with` are functions, as `with` itself is made anew for each `f`.

    fn enter<'w>(&'w mut self, host: NetnsId, left: &'w mut Left) -> Option<(&'w mut Netns, Cx<'w>)> {
        let cx = Cx {
            now: self.now,
            netns: host,
            rng: &mut self.rng,
            ids: &mut self.ids,
            log: (!self.quiet).then_some(&mut left.events),
            out: &mut left.out,
        };
        Some((self.hosts.get_mut(host.index())?, cx))
    }

    fn take_over(&mut self, host: NetnsId, mut left: Left) {
        self.log.extend(left.events);
        for o in left.out.drain(..) {
            self.take(host, o);
        }
        self.spare = left.out;
    }

    fn take(&mut self, host: NetnsId, output: Output) {
        match output {
            Output::Transmit { dev, id, frame } => {
                if let Some(ip) = frame.ip() {
                    self.numbers.see(ip);
                }
                if let Some((host, dev)) = self.peer((host, dev)) {
                    self.schedule(self.now + LINK_LATENCY, Work::Frame { host, dev, id, frame });
                }
            }
            Output::Loopback(skb) => {
                if let Some(ip) = skb.ip() {
                    self.numbers.see(ip);
                }
                self.schedule(self.now + LINK_LATENCY, Work::Loopback { host, skb });
            }
            Output::Resume(rest) => self.resume.push_front((host, rest)),
            Output::Timer { at, timer } => self.schedule(at, Work::Timer { host, timer }),
            Output::Wake(socket) => {
                if let Some(&app) = self.owners.get(&(host, socket)) {
                    self.schedule(self.now + WAKE_LATENCY, Work::App(app));
                } else if let Some(orphans) = &mut self.orphans {
                    orphans.push((host, socket));
                }
            }
        }
    }

    fn schedule(&mut self, at: Instant, work: Work) {
        self.in_flight += usize::from(work.is_frame());
        self.queue.push(Reverse(Due { at, number: self.seq, work }));
        self.seq += 1;
    }

    // ------------------------------------------------------------------ time

    /// Looks at the races again then.
    pub(crate) fn wake_race(&mut self, at: Instant) {
        self.schedule(at, Work::Race);
    }

    /// Does the next thing that is due, if it is due at or before `until`. False if there is none.
    pub fn step(&mut self, until: Instant) -> bool {
        if self.stands_still() {
            return false;
        }
        if !self.orders.is_empty() && self.race_step() {
            return true;
        }
        if self.in_flight == 0
            && let Some((host, rest)) = self.resume.pop_front()
        {
            self.with(host, |ns, cx| ns.resume(rest, cx));
            return true;
        }
        if self.queue.peek().is_none_or(|Reverse(due)| due.at > until) {
            return false;
        }
        let Some(Reverse(Due { at, work, .. })) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        self.in_flight -= usize::from(work.is_frame());
        match work {
            Work::Frame { host, dev, id, frame } => {
                self.with(host, |ns, cx| ns.receive(dev, id, frame, cx));
            }
            Work::Loopback { host, skb } => {
                self.with(host, |ns, cx| ns.receive_loopback(*skb, cx));
            }
            Work::Timer { host, timer } => {
                self.with(host, |ns, cx| ns.timer(timer, cx));
            }
            Work::App(id) => self.run_app(id),
            Work::Race => {}
        }
        true
    }

    /// Does everything that is due until then; afterwards it is `until`.
    pub fn run_until(&mut self, until: Instant) {
        parts::finish(self.pass(until));
    }

    /// The same in parts.
    pub async fn pass(&mut self, until: Instant) {
        let mut steps = 0u32;
        while self.step(until) {
            breathe(&mut steps).await;
        }
        if self.stands_still() {
            return;
        }
        self.now = self.now.max(until);
        self.gc();
    }

    /// Lets time pass until nothing has happened for `quiet`; at most 40 such pauses.
    pub async fn settle(&mut self, quiet: Duration) {
        for _ in 0..40 {
            let before = self.events();
            self.pass(self.now + quiet).await;
            if self.events() == before {
                return;
            }
        }
    }

    /// How many events there were, logged or not.
    fn events(&self) -> u64 {
        self.ids.events() + self.app_events
    }

    /// Takes expired conntrack entries out.
    fn gc(&mut self) {
        for i in 0..self.hosts.len() {
            let id = NetnsId(u16::try_from(i).unwrap_or(u16::MAX));
            self.with(id, |ns, cx| ns.ct_gc(cx));
        }
    }

    pub(crate) fn initial_numbers(&self) -> &InitialNumbers {
        &self.numbers
    }

    /// Tells each end of each veth how long frames may be at the other, and whether that is up.
    pub(crate) fn compare_ends(&mut self) {
        for i in 0..self.links.len() {
            let Some((&(host, dev), &(other, there))) = self.links.get_indexed(i) else { continue };
            let end = self.host(other).and_then(|ns| ns.device(there)).map(|d| (d.mtu, d.up));
            if let (Some((mtu, up)), Some(ns)) = (end, self.host_mut(host)) {
                ns.set_peer(dev, mtu, up);
            }
        }
    }

    /// Marks the beginning of a stimulus in the log.
    pub(crate) fn begin(&mut self, host: NetnsId, stimulus: usize) {
        self.compare_ends();
        if !self.quiet {
            self.log.push(Entry {
                at: self.now,
                host,
                packet: None,
                seen: Rc::new(Seen::Stimulus(stimulus)),
            });
        }
    }
}
