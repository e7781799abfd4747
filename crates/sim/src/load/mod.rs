//! A load test: a pool of TFTP clients, and servers on a machine whose processors take time for each packet.
//!
//! Every packet goes through the boxes' real path: hooks, conntrack, helpers, NAT, sockets. What is added is a model of time: what
//! a packet costs ([`Cost`]), and that packets and programs wait for a processor. docs/LOAD-MODEL.md has its principles.
//! A run goes on step by step ([`LoadRun::advance`]), so that whoever shows it can stop it.

mod client;
mod cost;
mod machine;
mod paths;
mod sample;
mod server;
mod shell;
mod timers;

pub use cost::Cost;
pub use sample::{BoxSample, Sample, Warning};

use crate::Scenario;
use crate::build::{self, BuildError};
use crate::world::World;
use client::Clients;
use kernel::netfilter::conntrack::Limits;
use kernel::{Instant, NetnsId};
use machine::Machine;
use server::Server;
use std::net::Ipv4Addr;
use std::time::Duration;

/// An IPv4 address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// What is measured, and on what.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// The boxes and links; its stimuli are not done.
    pub scenario: Scenario,
    /// The box of the clients. It takes no time for anything.
    pub client: String,
    /// The addresses that the clients use, one after the other; the box has them.
    pub sources: Vec<Ipv4Addr>,
    /// How many clients there are: each asks for the next file when it has one, or has given up.
    pub clients: u32,
    /// The ports of an address from which clients ask, first and last: one after the other.
    pub ports: (u16, u16),
    /// Whom they ask.
    pub target: Endpoint,
    /// Bytes of the file.
    pub file: usize,
    /// A client sends its last message again after so long without an answer.
    pub again: Duration,
    /// And gives the file up after so long.
    pub patience: Duration,
    /// The first box of the machine that is measured, to which frames come.
    pub node: String,
    /// Where servers run, one in a box, and what each is bound to. Their boxes are of that machine.
    pub servers: Vec<(String, Endpoint)>,
    /// The limits of conntrack, which all namespaces of the machine share.
    pub limits: Limits,
    /// Processors of the machine. Frames that come in are the first one's, programs run on whichever is free.
    pub cpus: usize,
    /// What things cost.
    pub cost: Cost,
    /// How long the test takes, in seconds.
    pub seconds: u32,
    /// Where chance begins.
    pub seed: u64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The time in the run.
    pub now: Instant,
    /// Packets that clients and servers have sent so far.
    pub packets: u64,
    /// The test is over.
    pub done: bool,
}

/// A run of a load test.
#[derive(Clone, Debug)]
pub struct LoadRun {
    world: World,
    client: NetnsId,
    clients: Clients,
    servers: Vec<Server>,
    machine: Machine,
    seconds: u64,
    samples: Vec<Sample>,
    /// How many lines of the kernel's ring buffer have been cleared away.
    dmesg_from: usize,
}

/// From a network card to the next one: half of a quick network's round trip.
const WIRE_NS: u64 = 50_000;
const SECOND_NS: u64 = 1_000_000_000;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A frame comes to the machine's processor.
    Nic,
    /// A server gets a processor.
    Server(usize),
    /// A frame reaches the clients.
    Client,
    /// A client has waited long enough, or begins.
    ClientTimer,
    /// A server has waited long enough.
    ServerTimer(usize),
    /// Something that the world itself has to do: a neighbour's timer.
    World,
    /// A second is over.
    Sample,
}

/// Nanoseconds of a run as an instant of the world.
fn instant(ns: u64) -> Instant {
    Instant(ns / 1000)
}

impl LoadRun {
    /// Builds the boxes.
    ///
    /// # Errors
    /// The description is wrong: where, and what was expected.
    pub fn new(spec: &LoadSpec) -> Result<LoadRun, BuildError> {
        let mut world = build::build(&spec.scenario, spec.seed)?;
        world.set_quiet(true);
        world.keep_orphans();
        let find = |name: &str| {
            let found = world.host_by_name(name);
            found.ok_or_else(|| BuildError {
                place: "load".to_owned(),
                message: format!("there is no host {name:?}"),
            })
        };
        let (client, node) = (find(&spec.client)?, find(&spec.node)?);
        let mut boxes = vec![node];
        let mut servers = Vec::new();
        for (i, (name, bind)) in spec.servers.iter().enumerate() {
            let host = find(name)?;
            if !boxes.contains(&host) {
                boxes.push(host);
            }
            servers.push(Server::new(host, *bind, spec.file, spec.seed.wrapping_add(i as u64)));
        }
        for host in &boxes {
            if let Some(ns) = world.host_mut(*host) {
                ns.ct.limits = spec.limits;
                ns.keep_warnings();
            }
        }
        let machine = Machine::new(&world, client, boxes, spec.cpus, spec.cost);
        let mut run = LoadRun {
            world,
            client,
            clients: Clients::new(spec, client),
            servers,
            machine,
            seconds: u64::from(spec.seconds),
            samples: Vec::new(),
            dmesg_from: 0,
        };
        for host in run.machine.boxes().iter().chain([&client]) {
            if let Some(ns) = run.world.host_mut(*host) {
                ns.take_shortcuts();
            }
        }
        for server in &mut run.servers {
            server.begin(&mut run.world).map_err(|errno| BuildError {
                place: "load, servers".to_owned(),
                message: format!("cannot bind: {errno:?}"),
            })?;
        }
        Ok(run)
    }

    /// From now on each packet goes its whole way, which takes longer and changes nothing.
    pub fn go_whole_ways(&mut self) {
        for host in self.machine.boxes().iter().chain([&self.client]) {
            if let Some(ns) = self.world.host_mut(*host) {
                ns.go_whole_ways();
            }
        }
    }

    /// Goes on until then, or to the end of the test.
    pub fn advance(&mut self, until: Instant) -> Progress {
        let until = until.0.saturating_mul(1000).min(self.seconds * SECOND_NS);
        loop {
            let (at, next) = self.next();
            if at > until {
                break;
            }
            self.step(at, next);
            if next == Next::Sample && self.samples.len() as u64 > self.seconds {
                break;
            }
        }
        self.count_shortcuts();
        self.progress()
    }

    /// Rules count all that has passed them, before somebody looks.
    fn count_shortcuts(&mut self) {
        for ns in self.world.hosts_mut() {
            ns.count_shortcuts();
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let done = self.samples.len() as u64 > self.seconds;
        Progress { now: self.world.now(), packets: self.packets(), done }
    }

    /// Packets that clients and servers have sent so far.
    pub fn packets(&self) -> u64 {
        self.clients.sent + self.servers.iter().map(|s| s.sent).sum::<u64>()
    }

    /// One sample for each second so far, the first at 0. Figures of a second are of the time since the one before.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The warnings of the machine's kernel, by time.
    pub fn warnings(&self) -> Vec<Warning> {
        sample::warnings(&self.world, self.machine.boxes())
    }

    /// The boxes of the machine, as samples have them: the node, then the pods.
    pub fn boxes(&self) -> &[NetnsId] {
        self.machine.boxes()
    }

    /// The boxes, as they are.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What happens next, and when. Of two at the same time the one that stands first here.
    fn next(&self) -> (u64, Next) {
        let mut first = (self.samples.len() as u64 * SECOND_NS, Next::Sample);
        let mut offer = |at: Option<u64>, next: Next| {
            if let Some(at) = at.filter(|at| *at < first.0) {
                first = (at, next);
            }
        };
        offer(self.machine.nic_next(), Next::Nic);
        offer(self.machine.client_next(), Next::Client);
        for (i, server) in self.servers.iter().enumerate() {
            offer(server.ready().map(|ready| self.machine.earliest(ready)), Next::Server(i));
            offer(server.timer(), Next::ServerTimer(i));
        }
        offer(self.clients.timer(), Next::ClientTimer);
        offer(self.world.next_due().map(|at| at.0 * 1000), Next::World);
        first
    }

    fn step(&mut self, at: u64, next: Next) {
        self.world.set_now(instant(at));
        match next {
            Next::Nic => {
                self.machine.nic_job(&mut self.world, at);
                let end = self.machine.first_free();
                self.wake(end);
            }
            Next::Client => {
                self.machine.client_frame(&mut self.world);
                self.wake(at);
                self.machine.sent(&mut self.world, self.client, at);
            }
            Next::ClientTimer => {
                self.clients.fire(&mut self.world, &mut self.machine, at);
                self.machine.sent(&mut self.world, self.client, at);
            }
            Next::Server(i) => {
                let Some(server) = self.servers.get_mut(i) else { return };
                if server.turn(&mut self.world, &mut self.machine, at) {
                    let end = self.machine.turn(&mut self.world, server.host, at);
                    server.free_at(end);
                    self.wake(end);
                }
            }
            Next::ServerTimer(i) => {
                if let Some(server) = self.servers.get_mut(i) {
                    server.fire(at);
                }
            }
            Next::World => {
                self.world.step(instant(at));
                for (host, socket) in self.world.take_orphans() {
                    self.news(host, socket, at);
                }
                self.machine.sent(&mut self.world, self.client, at);
            }
            Next::Sample => self.sample(),
        }
    }

    /// Sockets have got news; their programs know from then on.
    fn wake(&mut self, at: u64) {
        while let Some((host, socket)) = self.machine.woken() {
            self.news(host, socket, at);
        }
    }

    fn news(&mut self, host: NetnsId, socket: kernel::SocketId, at: u64) {
        if host == self.client {
            self.clients.news(socket, &mut self.world, &mut self.machine, at);
        } else if let Some(server) = self.servers.iter_mut().find(|s| s.host == host) {
            server.news(socket, at);
        }
    }

    fn sample(&mut self) {
        let before = self.samples.last().cloned();
        let total = sample::Total {
            offered: self.clients.offered,
            done: self.clients.done,
            failed: self.clients.failed,
            packets: self.packets(),
            busy: self.machine.busy(),
        };
        let second = self.samples.len() as u32;
        self.samples.push(Sample::take(
            &mut self.world,
            self.machine.boxes(),
            second,
            total,
            before.as_ref(),
        ));
    }
}
