//! Running a scenario: build the world, then do one stimulus after the other.

use crate::apps::{App, Outcome, Ping, TcpClient, TcpSender, TftpClient, UdpClient};
use crate::build::{self, BuildError};
use crate::log::EventId;
use crate::moment::Keyframe;
use crate::operator::CommandOutput;
use crate::scenario::{Scenario, Stimulus};
use crate::world::{AppId, World};
use kernel::netfilter::conntrack::Row;
use kernel::netfilter::xtables::{RuleSet, TableId};
use kernel::{Netns, NetnsId};
use packet::{L4, Payload};
use std::rc::Rc;
use std::time::Duration;

/// What a stimulus led to.
#[derive(Clone, Debug, PartialEq)]
pub enum StepOutcome {
    /// An application ran.
    App(Outcome),
    /// Done, nothing to say.
    Done,
    /// The conntrack table of a box.
    Dump(Vec<Row>),
    /// A crafted packet could not be sent.
    SendError(kernel::socket::Errno),
    /// Clients ran at the same time; what each led to.
    Together(Vec<StepOutcome>),
    /// A command ran.
    Command(CommandOutput),
    /// A command runs in the background.
    Started,
    /// Commands in the background have ended: box, command line, and what they printed.
    Ended(Vec<(String, Vec<String>, CommandOutput)>),
    /// The stimulus was refused: bad text, an unknown name.
    Refused(String),
    /// The stimulus was not run: it is not modelled.
    NotRun(String),
}

/// One stimulus that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// Index in [`Scenario::stimuli`].
    pub stimulus: usize,
    /// Its first log entry.
    pub first: EventId,
    /// One past its last log entry.
    pub end: EventId,
    /// What it led to.
    pub outcome: StepOutcome,
    /// The rules that a recording knows, of each box, of each table: as the box was set up, or as a [`Stimulus::Restore`] has
    /// loaded them since. It does not see what a command changes.
    pub rules: Vec<Tables>,
}

/// The rules of a box by table.
pub type Tables = [Option<Rc<RuleSet>>; TableId::ALL.len()];

fn tables(ns: &Netns) -> Tables {
    TableId::ALL.map(|id| ns.table(id).map(|t| Rc::clone(&t.rules)))
}

/// A scenario that has been run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The world as it is at the end, with its log.
    pub world: World,
    /// The stimuli.
    pub steps: Vec<StepRecord>,
}

/// A step that is being done.
#[derive(Debug)]
pub struct BegunStep {
    stimulus: usize,
    first: EventId,
}

/// Runs what is a program of the scenario's own: who has none does not carry them.
type Clients = fn(&Scenario, &mut World, NetnsId, &Stimulus) -> StepOutcome;

/// A scenario that is being run, step by step.
#[derive(Debug)]
pub struct Running<'s> {
    scenario: &'s Scenario,
    clients: Clients,
    world: World,
    steps: Vec<StepRecord>,
    rules: Vec<Tables>,
}

impl<'s> Running<'s> {
    fn new(scenario: &'s Scenario, mut world: World, clients: Clients) -> Running<'s> {
        // From here on the log listens.
        world.listen();
        let rules = world.hosts().iter().map(tables).collect();
        Running { scenario, clients, world, steps: Vec::new(), rules }
    }

    /// The world as it is now.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The world as it is now, to go on from it once more.
    pub fn keyframe(&mut self) -> Keyframe {
        Keyframe::of(&mut self.world)
    }

    /// The world, for what happens between steps.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// Does a stimulus, and waits until it is quiet, in parts. `index` is what the log calls it.
    pub async fn step(&mut self, index: usize, stimulus: &Stimulus) {
        let host = stimulus.host().and_then(|h| self.world.host_by_name(h));
        let begun = self.begin(index, host);
        let world = &mut self.world;
        let outcome = match (stimulus.host(), host) {
            (Some(name), None) => StepOutcome::Refused(format!("there is no host {name:?}")),
            (_, host) => {
                let host = host.unwrap_or_default();
                // What may take long.
                match stimulus {
                    Stimulus::Command { shell, argv, stdin, .. } => {
                        outcome_of_command(shell(world, host, argv, stdin.as_deref()).await)
                    }
                    Stimulus::Sleep { ms } => {
                        world.pass(world.now() + Duration::from_millis(*ms)).await;
                        StepOutcome::Done
                    }
                    stimulus => {
                        if matches!(stimulus, Stimulus::Wait { .. }) {
                            world.end_jobs().await;
                        }
                        self.scenario.perform(world, host, stimulus, self.clients)
                    }
                }
            }
        };
        self.end(begun, outcome).await;
        if let (Stimulus::Restore { .. }, Some(host)) = (stimulus, host)
            && let (Some(known), Some(ns)) = (self.rules.get_mut(host.index()), self.world.host(host))
            && let Some(last) = self.steps.last_mut()
        {
            *known = tables(ns);
            last.rules.clone_from(&self.rules);
        }
    }

    /// Something begins that is done to the world by somebody else; `index` is what the log calls it.
    pub fn begin(&mut self, index: usize, host: Option<NetnsId>) -> BegunStep {
        let first = end_of_log(&self.world);
        self.world.begin(host.unwrap_or_default(), index);
        BegunStep { stimulus: index, first }
    }

    /// It has been done: waits until it is quiet, in parts.
    pub async fn end(&mut self, begun: BegunStep, outcome: StepOutcome) {
        let world = &mut self.world;
        let settle = if self.scenario.settle_ms == 0 { SETTLE_MS } else { self.scenario.settle_ms };
        // What runs in the background is not waited for.
        if outcome == StepOutcome::Started {
            world.run_until(world.now());
        } else {
            world.settle(Duration::from_millis(settle)).await;
        }
        let end = end_of_log(world);
        // Boxes that have come meanwhile.
        self.rules.extend(world.hosts().iter().skip(self.rules.len()).map(tables));
        let BegunStep { stimulus, first } = begun;
        self.steps.push(StepRecord { stimulus, first, end, outcome, rules: self.rules.clone() });
    }

    /// It is over.
    pub fn finish(self) -> Run {
        Run { world: self.world, steps: self.steps }
    }
}

/// Every world begins with this seed unless its owner chooses another.
const SEED: u64 = 1;
/// A stimulus ends when so many milliseconds pass quietly, unless the scenario says otherwise.
const SETTLE_MS: u64 = 40;

impl Scenario {
    /// Builds the world and does all stimuli.
    ///
    /// # Errors
    /// The description is wrong: where, and what was expected.
    pub fn run(&self) -> Result<Run, BuildError> {
        parts::finish(async { Ok(self.run_in(self.build().await?).await) })
    }

    /// The same without a log: only the state at the end and the outcomes.
    ///
    /// # Errors
    /// As for [`Scenario::run`].
    pub fn run_quiet(&self) -> Result<Run, BuildError> {
        parts::finish(async {
            let mut world = self.build().await?;
            world.set_quiet(true);
            Ok(self.run_in(world).await)
        })
    }

    async fn run_in(&self, world: World) -> Run {
        let mut running = Running::new(self, world, Scenario::with_clients);
        for (i, stimulus) in self.stimuli.iter().enumerate() {
            running.step(i, stimulus).await;
        }
        running.finish()
    }

    /// Builds the world, in parts; what is done in it is told later, see [`Scenario::resume`].
    ///
    /// # Errors
    /// As for [`Scenario::run`].
    pub async fn build(&self) -> Result<World, BuildError> {
        build::build_in_parts(self, SEED).await
    }

    /// Goes on in a world that is there already; its log listens from now on. A step is anything but a client of the scenario's own
    /// ([`Stimulus::Tcp`] and the like).
    pub fn resume(&self, world: World) -> Running<'_> {
        Running::new(self, world, Scenario::without_clients)
    }

    /// The program that a stimulus starts, if it does.
    fn client(&self, host: NetnsId, stimulus: &Stimulus) -> Option<App> {
        match stimulus {
            Stimulus::Tcp { src, dst, request, close, timeout_ms, .. } => {
                let timeout = Duration::from_millis(*timeout_ms);
                let app = TcpClient::new(host, *src, *dst, request.clone(), *close, timeout);
                Some(app.into())
            }
            Stimulus::Udp {
                src, dst, payload, connect, count, ttl, reply, timeout_ms, linger_ms, ..
            } => {
                let mut app = UdpClient::new(host, *src, *dst, payload.clone());
                app.connected = *connect;
                app.count = *count;
                app.ttl = *ttl;
                app.wait = reply.then_some(Duration::from_millis(*timeout_ms));
                app.linger = Duration::from_millis(*linger_ms);
                Some(app.into())
            }
            Stimulus::Tftp { src, dst, file, strict, retransmit_ms, timeout_ms, .. } => {
                let mut app = TftpClient::new(host, *src, *dst, file.clone());
                app.strict = *strict;
                app.timeout = Duration::from_millis(*timeout_ms);
                app.retransmit = (*retransmit_ms > 0).then(|| Duration::from_millis(*retransmit_ms));
                Some(app.into())
            }
            Stimulus::Ping { src, dst, id, seq, ttl, timeout_ms, .. } => {
                let mut app = Ping::new(host, *dst);
                app.src = *src;
                app.id = *id;
                app.seq = *seq;
                app.ttl = *ttl;
                app.timeout = Duration::from_millis(*timeout_ms);
                Some(app.into())
            }
            _ => None,
        }
    }

    /// What programs of the scenario's own do.
    fn with_clients(&self, world: &mut World, host: NetnsId, stimulus: &Stimulus) -> StepOutcome {
        match stimulus {
            Stimulus::TcpSend { id, data, timeout_ms } => match world.held(*id) {
                Some((host, socket)) => {
                    let timeout = Duration::from_millis(*timeout_ms);
                    run_app(world, TcpSender::new(host, socket, data.clone(), timeout).into())
                }
                None => StepOutcome::Refused(format!("connection {id} was not kept open")),
            },
            Stimulus::Together { clients } => {
                let begun: Vec<Begun> = clients.iter().map(|c| self.begin_client(world, c)).collect();
                let end = |b| match b {
                    Begun::App(id) => outcome_of(world, id),
                    Begun::Done(outcome) => outcome,
                };
                StepOutcome::Together(begun.into_iter().map(end).collect())
            }
            stimulus => self.client(host, stimulus).map_or(StepOutcome::Done, |app| run_app(world, app)),
        }
    }

    fn without_clients(&self, _: &mut World, _: NetnsId, _: &Stimulus) -> StepOutcome {
        StepOutcome::NotRun("a client of a scenario is run by the scenario alone".to_owned())
    }

    fn perform(
        &self,
        world: &mut World,
        host: NetnsId,
        stimulus: &Stimulus,
        clients: Clients,
    ) -> StepOutcome {
        match stimulus {
            Stimulus::Tcp { .. }
            | Stimulus::Udp { .. }
            | Stimulus::Tftp { .. }
            | Stimulus::Ping { .. }
            | Stimulus::TcpSend { .. }
            | Stimulus::Together { .. } => clients(self, world, host, stimulus),
            Stimulus::Relative { packet, seq, ack } => {
                let seen = world.initial_numbers();
                match packet.with_numbers(seen.absolute(*seq), seen.absolute(*ack)) {
                    Some(packet) => self.perform(world, host, &packet, clients),
                    None => StepOutcome::Refused("no connection has such an initial number yet".to_owned()),
                }
            }
            Stimulus::Raw { ip, .. } => match world.with(host, |ns, cx| ns.raw_send(ip.clone(), cx)) {
                Some(Err(errno)) => StepOutcome::SendError(errno),
                _ => StepOutcome::Done,
            },
            Stimulus::RawFrame { dev, frame, .. } => {
                let sent = world.with(host, |ns, cx| {
                    let id = ns.device_by_name(dev)?;
                    ns.packet_send(id, frame.clone(), cx);
                    Some(())
                });
                match sent.flatten() {
                    Some(()) => StepOutcome::Done,
                    None => StepOutcome::Refused(format!("there is no device {dev:?}")),
                }
            }
            Stimulus::Sleep { ms } => {
                world.run_until(world.now() + Duration::from_millis(*ms));
                StepOutcome::Done
            }
            Stimulus::Flush { host: only } => {
                let all: Vec<NetnsId> = match only {
                    Some(_) => vec![host],
                    None => world.hosts().iter().map(|h| h.id).collect(),
                };
                for h in all {
                    world.with(h, |ns, cx| ns.ct_flush(cx));
                }
                StepOutcome::Done
            }
            Stimulus::Dump { .. } => {
                world.with(host, |ns, cx| ns.ct_evict(cx));
                let now = world.now();
                StepOutcome::Dump(world.host(host).map_or(Vec::new(), |ns| ns.ct.rows(now)))
            }
            Stimulus::Restore { iptables, noflush, .. } => {
                let spec = stimulus.host().and_then(|name| self.hosts.iter().find(|h| h.name == name));
                let (tables, trace) = spec.map_or((Vec::new(), false), |s| (s.tables.clone(), s.trace));
                let Some(ns) = world.host_mut(host) else { return StepOutcome::Done };
                let done = if *noflush {
                    build::restore_noflush(ns, iptables)
                } else {
                    build::restore(ns, Some(iptables), &tables, trace)
                };
                match done {
                    Ok(()) => StepOutcome::Done,
                    Err(e) => StepOutcome::Refused(e.to_string()),
                }
            }
            Stimulus::ConntrackLimits { max, buckets, expect_max } => {
                for ns in world.hosts_mut() {
                    let limits = &mut ns.ct.limits;
                    limits.max = max.unwrap_or(limits.max);
                    limits.expect_max = expect_max.unwrap_or(limits.expect_max);
                    if let Some(n) = buckets {
                        limits.set_buckets(*n);
                    }
                }
                StepOutcome::Done
            }
            Stimulus::Sysctl { key, value, .. } => {
                let set = world.host_mut(host).map(|ns| ns.sysctl_set(key, *value));
                world.share(host);
                match set {
                    Some(Err(e)) => StepOutcome::Refused(e.to_string()),
                    _ => StepOutcome::Done,
                }
            }
            Stimulus::Command { shell, argv, stdin, .. } => {
                outcome_of_command(parts::finish(shell(world, host, argv, stdin.as_deref())))
            }
            Stimulus::Hold { hold, order, .. } => {
                world.hold_packets(host, hold.clone(), order.clone());
                StepOutcome::Done
            }
            Stimulus::Release { cpu, .. } => match (world.release_packet(host, *cpu), cpu) {
                (false, Some(cpu)) => StepOutcome::Refused(format!("no packet waits on CPU {cpu}")),
                _ => StepOutcome::Done,
            },
            Stimulus::Background { start, argv, .. } => match start(world, host, argv) {
                Ok(job) => {
                    world.add_job(job);
                    StepOutcome::Started
                }
                Err(reason) => StepOutcome::NotRun(reason),
            },
            Stimulus::Wait { collect } => {
                let jobs = world.take_jobs();
                let ended = collect(world, jobs).into_iter();
                let name = |world: &World, id| world.host(id).map_or(String::new(), |ns| ns.name.clone());
                StepOutcome::Ended(ended.map(|(job, out)| (name(world, job.host), job.argv, out)).collect())
            }
            Stimulus::NotRun { reason } => StepOutcome::NotRun(reason.clone()),
        }
    }

    /// Starts one of several clients.
    fn begin_client(&self, world: &mut World, client: &Stimulus) -> Begun {
        let Some(host) = client.host().and_then(|name| world.host_by_name(name)) else {
            let name = client.host().unwrap_or_default();
            return Begun::Done(StepOutcome::Refused(format!("there is no host {name:?}")));
        };
        match self.client(host, client) {
            Some(app) => Begun::App(world.start(app)),
            None => Begun::Done(self.perform(world, host, client, Scenario::with_clients)),
        }
    }
}

fn end_of_log(world: &World) -> EventId {
    EventId(u32::try_from(world.log().len()).unwrap_or(u32::MAX))
}

fn outcome_of_command(done: Result<CommandOutput, String>) -> StepOutcome {
    done.map_or_else(StepOutcome::NotRun, StepOutcome::Command)
}

/// One of several clients.
enum Begun {
    App(AppId),
    Done(StepOutcome),
}

fn run_app(world: &mut World, app: App) -> StepOutcome {
    let id = world.start(app);
    outcome_of(world, id)
}

fn outcome_of(world: &mut World, id: AppId) -> StepOutcome {
    StepOutcome::App(world.run_to_outcome(id).unwrap_or(Outcome::None))
}

impl Stimulus {
    /// The box at which it happens.
    pub fn host(&self) -> Option<&str> {
        match self {
            Stimulus::Tcp { host, .. }
            | Stimulus::Udp { host, .. }
            | Stimulus::Tftp { host, .. }
            | Stimulus::Ping { host, .. }
            | Stimulus::Raw { host, .. }
            | Stimulus::RawFrame { host, .. }
            | Stimulus::Dump { host }
            | Stimulus::Restore { host, .. }
            | Stimulus::Sysctl { host, .. }
            | Stimulus::Hold { host, .. }
            | Stimulus::Release { host, .. }
            | Stimulus::Background { host, .. }
            | Stimulus::Command { host, .. } => Some(host),
            Stimulus::Relative { packet, .. } => packet.host(),
            Stimulus::Flush { host } => host.as_deref(),
            Stimulus::Sleep { .. }
            | Stimulus::Together { .. }
            | Stimulus::TcpSend { .. }
            | Stimulus::ConntrackLimits { .. }
            | Stimulus::Wait { .. }
            | Stimulus::NotRun { .. } => None,
        }
    }

    /// The crafted packet with these numbers where they are asked for; `None` if one is not known.
    fn with_numbers(&self, seq: Option<Option<u32>>, ack: Option<Option<u32>>) -> Option<Stimulus> {
        let mut packet = self.clone();
        let ip = match &mut packet {
            Stimulus::Raw { ip, .. } => ip,
            Stimulus::RawFrame { frame, .. } => match &mut frame.payload {
                Payload::Ip(ip) => ip,
                Payload::Arp(_) => return Some(packet),
            },
            _ => return Some(packet),
        };
        let (seq, ack) = (seq?, ack?);
        if let L4::Tcp(t) = &mut ip.l4 {
            t.seq = seq.unwrap_or(t.seq);
            t.ack = ack.unwrap_or(t.ack);
        }
        Some(packet)
    }
}
