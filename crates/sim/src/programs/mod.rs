//! Programs that a person starts: curl, ping, dig and the like, in simulated time.
//!
//! A program is a state machine over sockets that prints lines and ends with a status. [`shell`] runs one as a command of a
//! scenario, [`start`] begins one that runs beside what follows, and [`collect`] waits for those. What nobody names is not
//! linked: a world knows a program only as a [`Program`].

pub mod args;
mod busybox;
mod busybox_tftp;
mod connect;
mod curl;
mod dig;
pub mod dns_server;
mod dns_stream;
pub mod http_server;
mod nc;
mod ping;
mod port_forward;
pub mod resolve;
pub mod sh;
pub mod sleep;
mod tftp;

use crate::apps::{App, AppCx, AppEvent, Outcome};
use crate::operator::{self, CommandOutput, Entered};
use crate::scenario::Doing;
use crate::world::{AppId, World};
use crate::{EventId, Log};
use kernel::{Cx, DevId, Instant, Netns, NetnsId, SocketId};
use std::fmt::{self, Debug};
use std::net::Ipv4Addr;
use std::time::Duration;

/// A program: it is run when it starts, when one of its sockets has news, and at the times for which it asked.
pub trait Program {
    /// Goes on as far as it can. `Some` is its exit status.
    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32>;

    /// The name of its process.
    fn name(&self) -> &str {
        "server"
    }

    /// Its command line, as `ps` has it; `None` while nothing of it runs.
    fn command(&self) -> Option<String> {
        Some(self.name().to_owned())
    }

    /// A copy: worlds can be copied.
    fn copy(&self) -> Box<dyn Program>;

    /// If it is the DNS server that is bound there, it answers by these from now on.
    fn reconfigure_dns(&mut self, _: (Ipv4Addr, u16), _: &[dns_server::ServerBlock]) {}

    /// If it is an HTTP server, it has these sites from now on. It listens there when it is run the next time.
    fn reconfigure_http(&mut self, _: &[http_server::Site]) {}

    /// It runs until somebody stops it.
    fn endless(&self) -> bool {
        false
    }
}

/// What a program remembers is not for the log: the page would carry the code that prints it, for each program.
impl Debug for dyn Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program")
    }
}

/// What a program has while it runs.
pub struct Run<'a, 'w> {
    /// The box.
    pub host: NetnsId,
    cx: &'a mut AppCx<'w>,
    out: &'a mut CommandOutput,
}

impl Run<'_, '_> {
    /// The time.
    pub fn now(&self) -> Instant {
        self.cx.now()
    }

    /// The number of the process.
    pub fn pid(&self) -> u16 {
        self.cx.id.pid()
    }

    /// A line on standard output.
    pub fn print(&mut self, line: impl Into<String>) {
        let line = line.into();
        self.cx.report(self.host, AppEvent::Printed { line: line.clone(), error: false });
        self.out.print(&(line + "\n"));
    }

    /// A text on standard output, which may end within a line.
    pub fn print_text(&mut self, text: &str) {
        for line in text.split_terminator('\n') {
            self.cx.report(self.host, AppEvent::Printed { line: line.to_owned(), error: false });
        }
        self.out.print(text);
    }

    /// A line on standard error.
    pub fn complain(&mut self, line: impl Into<String>) {
        let line = line.into();
        self.cx.report(self.host, AppEvent::Printed { line: line.clone(), error: true });
        self.out.stderr.push(line);
    }

    /// A line on standard error that tells of nothing wrong.
    fn remark(&mut self, line: String) {
        self.cx.report(self.host, AppEvent::Printed { line: line.clone(), error: false });
        self.out.stderr.push(line);
    }

    /// Asks to be run again then.
    pub fn wake_at(&mut self, at: Instant) {
        self.cx.wake_at(at);
    }

    /// Asks to be run again after that time, and says when that is.
    pub fn wake_after(&mut self, time: Duration) -> Instant {
        let at = self.now() + time;
        self.cx.wake_at(at);
        at
    }

    /// Goes on with this turn after a system call, before any other program runs.
    pub fn next_call(&mut self) {
        let at = self.now() + crate::world::SYSCALL_TIME;
        self.cx.go_on_at(at);
    }

    /// Calls into the kernel.
    pub fn kernel<T>(&mut self, f: impl FnOnce(&mut Netns, &mut Cx<'_>) -> T) -> Option<T> {
        self.cx.with(self.host, f)
    }

    /// News on this socket wake the program.
    pub fn own(&mut self, socket: SocketId) {
        let (host, id) = (self.host, self.cx.id);
        self.cx.world.own(host, socket, id);
    }

    /// The box of that name.
    pub fn host_by_name(&self, name: &str) -> Option<NetnsId> {
        self.cx.world.host_by_name(name)
    }

    /// Calls into the kernel from a process of the same program in another box.
    pub fn kernel_of<T>(&mut self, host: NetnsId, f: impl FnOnce(&mut Netns, &mut Cx<'_>) -> T) -> Option<T> {
        self.cx.with(host, f)
    }

    /// News on a socket of another box wake the program.
    pub fn own_of(&mut self, host: NetnsId, socket: SocketId) {
        let id = self.cx.id;
        self.cx.world.own(host, socket, id);
    }

    /// Closes a socket that is no TCP connection.
    pub fn close(&mut self, socket: SocketId) {
        self.kernel(|ns, _| ns.close(socket));
        self.cx.world.disown(self.host, socket);
    }

    /// Closes a TCP connection.
    pub fn close_tcp(&mut self, socket: SocketId) {
        self.kernel(|ns, kcx| ns.tcp_close(socket, kcx));
        self.cx.world.disown(self.host, socket);
    }

    /// A number drawn from the world's generator.
    pub fn random(&mut self) -> u32 {
        self.kernel(|_, kcx| kcx.rng.next_u32()).unwrap_or_default()
    }

    /// The text of a file of the box.
    pub fn file(&self, path: &str) -> Option<&str> {
        self.cx.world.file(self.host, path)
    }

    /// Writes a file of the box.
    pub fn write_file(&mut self, path: &str, text: String) {
        self.cx.world.write_file(self.host, path, text);
    }

    /// The name of the box.
    pub fn host_name(&mut self) -> String {
        self.kernel(|ns, _| ns.name.clone()).unwrap_or_default()
    }
}

/// A program that runs, and what it has printed.
pub struct Process {
    host: NetnsId,
    program: Box<dyn Program>,
    out: CommandOutput,
    /// It began with its box.
    daemon: bool,
    /// `time`: how long it took is printed when it ends.
    timed: Option<Instant>,
    /// When it first ran.
    since: Option<Instant>,
}

impl Process {
    /// A process of a box.
    pub fn new(host: NetnsId, program: Box<dyn Program>) -> Process {
        Process { host, program, out: CommandOutput::default(), daemon: false, timed: None, since: None }
    }

    pub(crate) fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
        self.since.get_or_insert(cx.now());
        let mut run = Run { host: self.host, cx, out: &mut self.out };
        let status = self.program.run(&mut run)?;
        if let Some(since) = self.timed {
            for line in time_lines(run.now().since(since)) {
                run.remark(line);
            }
        }
        self.out.status = status;
        Some(Outcome::Command(std::mem::take(&mut self.out)))
    }

    /// Where it runs.
    pub fn host(&self) -> NetnsId {
        self.host
    }

    /// Its name, as `ps` has it.
    pub(crate) fn name(&self) -> &str {
        self.program.name()
    }

    /// See [`Program::command`].
    pub(crate) fn command(&self) -> Option<String> {
        self.program.command()
    }

    /// When it first ran.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// See [`Program::reconfigure_dns`].
    pub(crate) fn reconfigure_dns(&mut self, bind: (Ipv4Addr, u16), blocks: &[dns_server::ServerBlock]) {
        self.program.reconfigure_dns(bind, blocks);
    }

    /// See [`Program::reconfigure_http`].
    pub(crate) fn reconfigure_http(&mut self, sites: &[http_server::Site]) {
        self.program.reconfigure_http(sites);
    }

    /// It began with its box.
    pub(crate) fn is_daemon(&self) -> bool {
        self.daemon
    }

    /// What it has printed so far.
    pub fn output(&self) -> &CommandOutput {
        &self.out
    }
}

impl Clone for Process {
    fn clone(&self) -> Process {
        let Process { host, daemon, timed, since, .. } = *self;
        Process { host, program: self.program.copy(), out: self.out.clone(), daemon, timed, since }
    }
}

impl Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({:?})", self.program)
    }
}

/// A program that is started with its box and does not end: a server.
pub struct Daemon(Box<dyn Program>);

impl Daemon {
    /// This program.
    pub fn new(program: impl Program + 'static) -> Daemon {
        Daemon(Box::new(program))
    }

    pub(crate) fn process(&self, host: NetnsId) -> Process {
        Process { daemon: true, ..Process::new(host, self.0.copy()) }
    }
}

impl Clone for Daemon {
    fn clone(&self) -> Daemon {
        Daemon(self.0.copy())
    }
}

impl Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Daemon({:?})", self.0)
    }
}

/// What bash's `time` prints; of the processor's time nothing is known.
fn time_lines(took: Duration) -> [String; 4] {
    let (s, ms) = (took.as_secs(), took.subsec_millis());
    let real = format!("real\t{}m{}.{ms:03}s", s / 60, s % 60);
    [String::new(), real, "user\t0m0.000s".to_owned(), "sys\t0m0.000s".to_owned()]
}

/// Reads a command line: the program, what it prints at once if that is all, or `None` if it is none of these.
type Parsed = Result<Box<dyn Program>, CommandOutput>;

/// Reads the command line of one program, with its standard input.
type Reader = fn(&[String], &str) -> Parsed;

/// The programs by their names.
pub const PROGRAMS: &[(&str, Reader)] = &[
    ("curl", curl::parse),
    ("dig", dig::parse_dig),
    ("kubectl", port_forward::parse),
    ("nc", nc::parse),
    ("nslookup", dig::parse_nslookup),
    ("ping", ping::parse),
    ("sleep", sleep::parse),
    ("tftp", tftp::parse),
    ("busybox", busybox::parse),
];

fn parse(argv: &[String], stdin: &str) -> Option<Parsed> {
    let program = argv.first()?;
    let name = program.rsplit('/').next().unwrap_or(program);
    PROGRAMS.iter().find(|(n, _)| *n == name).map(|(_, parse)| parse(argv, stdin))
}

/// `time COMMAND` and COMMAND.
fn timed(argv: &[String]) -> (bool, &[String]) {
    match argv.split_first() {
        Some((first, rest)) if first == "time" => (true, rest),
        _ => (false, argv),
    }
}

/// A command line of a program that runs until somebody stops it.
pub fn is_endless(argv: &[String]) -> bool {
    parse(timed(argv).1, "").is_some_and(|parsed| parsed.is_ok_and(|program| program.endless()))
}

/// Runs a command line on a box until it ends: a program of this module, or one of [`operator::shell`].
pub fn shell<'a>(
    world: &'a mut World,
    host: NetnsId,
    argv: &'a [String],
    stdin: Option<&'a str>,
) -> Doing<'a> {
    Box::pin(run(world, host, argv, stdin))
}

async fn run(
    world: &mut World,
    host: NetnsId,
    argv: &[String],
    stdin: Option<&str>,
) -> Result<CommandOutput, String> {
    let (mut timed, argv) = timed(argv);
    let begun = world.now();
    if let Some(entered) = operator::nsenter(world, host, argv) {
        let mut output = match entered {
            Ok(Entered { host: inner, files, argv }) => {
                let before = world.root(inner, if files { inner } else { host });
                let done = shell(world, inner, &argv, stdin).await;
                world.put_root_back(before);
                done?
            }
            Err(output) => output,
        };
        if timed {
            output.stderr.extend(time_lines(world.now().since(begun)));
        }
        return Ok(output);
    }
    let argv = &*busybox::meant(world, host, argv);
    if let Some(done) = busybox::install(world, host, argv) {
        return Ok(done);
    }
    if let Some(("watch", args)) = argv.split_first().map(|(program, args)| (program.as_str(), args)) {
        let watched = match operator::watched(args) {
            Ok(watched) => watched,
            Err(output) => return Ok(output),
        };
        let name = world.host(host).map_or(String::new(), |ns| ns.name.clone());
        let (on, inner) = match operator::executed(&watched.argv)? {
            Some((pod, inner)) => {
                (world.host_by_name(&pod).ok_or_else(|| format!("there is no box {pod:?}"))?, inner)
            }
            None => (host, watched.argv.clone()),
        };
        let output = shell(world, on, &inner, stdin).await?;
        return Ok(watched.screen(begun, &name, output));
    }
    if let Some(line) = sh::line_of(argv) {
        return Ok(match line.and_then(sh::read) {
            Ok(script) => sh::run(world, host, &script, stdin, &mut |_, _, _, _| None).await,
            Err(why) => sh::unread(&why),
        });
    }
    let mut output = match parse(argv, stdin.unwrap_or_default()) {
        Some(Ok(program)) if program.endless() => {
            let text = format!(
                "{} runs until it is stopped: start it in the background, with & behind it",
                argv.join(" ")
            );
            CommandOutput::failed(1, text)
        }
        Some(Ok(program)) => {
            let id = begin(world, host, argv, program, timed);
            // It says itself how long it took.
            timed = false;
            match world.outcome_in_parts(id).await {
                Some(Outcome::Command(output)) => output,
                // Nothing more happens in the world: what waits, waits for ever.
                _ => CommandOutput::failed(1, format!("{} does not end", argv.join(" "))),
            }
        }
        Some(Err(output)) => output,
        None if argv.first().is_some_and(|p| p == "tcpdump") => tcpdump(world, host, EventId(0), argv),
        None => operator::shell(world, host, argv, stdin).await?,
    };
    if timed {
        output.stderr.extend(time_lines(world.now().since(begun)));
    }
    Ok(output)
}

/// Starts a program, to be told how long it takes or not.
fn begin(world: &mut World, host: NetnsId, argv: &[String], program: Box<dyn Program>, timed: bool) -> AppId {
    let line = argv.join(" ");
    let command = if timed { format!("time {line}") } else { line };
    world.app_event(host, AppEvent::Started { command });
    let mut process = Process::new(host, program);
    process.timed = timed.then_some(world.now());
    world.start(App::Process(process))
}

/// A command that runs beside what follows.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where it runs.
    pub host: NetnsId,
    /// Its command line.
    pub argv: Vec<String>,
    kind: JobKind,
}

impl Job {
    /// It is this process.
    pub(crate) fn is(&self, app: AppId) -> bool {
        matches!(self.kind, JobKind::Process(id) if id == app)
    }

    /// The process that somebody waits for. Who does not end by itself gets Ctrl-C.
    pub(crate) fn awaited(&self, world: &World) -> Option<AppId> {
        let JobKind::Process(id) = self.kind else { return None };
        world.process(id).is_none_or(|p| !p.program.endless()).then_some(id)
    }
}

#[derive(Clone, Debug)]
enum JobKind {
    Process(AppId),
    /// It watches what happens from there on; the device is promiscuous because of it.
    Watch(EventId, Watch, Option<DevId>),
    /// It has ended already.
    Done(CommandOutput),
}

/// What a command that watches has seen from an event on.
type Watch = fn(&mut World, NetnsId, EventId, &[String]) -> CommandOutput;

fn tcpdump(world: &mut World, host: NetnsId, from: EventId, argv: &[String]) -> CommandOutput {
    crate::view::tcpdump(world, host, from, argv).map_or_else(|refused| refused, |seen| seen.output)
}

/// Starts a command line beside what follows: `COMMAND &`. A tcpdump sees what happens from now on.
///
/// # Errors
/// It is not modelled, or does not run in the background.
pub fn start(world: &mut World, host: NetnsId, argv: &[String]) -> Result<Job, String> {
    let (timed, inner) = timed(argv);
    let entered = match operator::nsenter(world, host, inner) {
        Some(Ok(entered)) => Some(entered),
        Some(Err(output)) => return Ok(Job { host, argv: argv.to_vec(), kind: JobKind::Done(output) }),
        None => None,
    };
    let (host, inner) = entered.as_ref().map_or((host, inner), |e| (e.host, &e.argv));
    let inner = &*busybox::meant(world, host, inner);
    let kind = match parse(inner, "") {
        Some(Ok(program)) => JobKind::Process(begin(world, host, inner, program, timed)),
        Some(Err(output)) => JobKind::Done(output),
        None if inner.first().is_some_and(|p| p == "tcpdump") => {
            // A bridge hands up what it forwards while somebody listens on it.
            let quiet = |ns: &Netns, dev: &DevId| ns.device(*dev).is_some_and(|d| !d.promisc);
            let listens = |ns: &Netns| crate::view::promiscuous(ns, inner).filter(|d| quiet(ns, d));
            let dev = world.host(host).and_then(listens);
            if let (Some(dev), Some(ns)) = (dev, world.host_mut(host)) {
                ns.set_promisc(dev, true);
            }
            JobKind::Watch(end_of(world.log()), tcpdump, dev)
        }
        None if inner.first().is_some_and(|p| p == "conntrack") => {
            JobKind::Watch(end_of(world.log()), operator::conntrack_since, None)
        }
        None => {
            let name = inner.first().map_or("", String::as_str);
            let known: Vec<&str> = PROGRAMS.iter().map(|(n, _)| *n).collect();
            return Err(format!(
                "{name:?} does not run in the background; these do: {}, conntrack, tcpdump",
                known.join(", ")
            ));
        }
    };
    let argv = if entered.is_some() { inner } else { argv };
    Ok(Job { host, argv: argv.to_vec(), kind })
}

/// The status of what Ctrl-C has stopped: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// `wait`: lets the world run until every process among the jobs has ended. Who only watches is stopped then.
pub fn collect(world: &mut World, jobs: Vec<Job>) -> Vec<(Job, CommandOutput)> {
    let mut ended = Vec::new();
    for id in jobs.iter().filter_map(|job| job.awaited(world)).collect::<Vec<AppId>>() {
        ended.push((id, world.run_to_outcome(id)));
    }
    let listened: Vec<(NetnsId, DevId)> = jobs
        .iter()
        .filter_map(|job| match job.kind {
            JobKind::Watch(_, _, Some(dev)) => Some((job.host, dev)),
            _ => None,
        })
        .collect();
    let output = |world: &mut World, job: &Job| match &job.kind {
        JobKind::Done(output) => output.clone(),
        JobKind::Watch(from, watch, _) => watch(world, job.host, *from, &job.argv),
        JobKind::Process(id) => match ended.iter().find(|(e, _)| e == id) {
            Some((_, Some(Outcome::Command(output)))) => output.clone(),
            None => match world.process(*id) {
                Some(p) => CommandOutput { status: INTERRUPTED, ..p.out.clone() },
                None => CommandOutput::default(),
            },
            _ => CommandOutput::failed(1, format!("{} does not end", job.argv.join(" "))),
        },
    };
    let outputs: Vec<(Job, CommandOutput)> =
        jobs.into_iter().map(|job| (job.clone(), output(world, &job))).collect();
    for (host, dev) in listened {
        if let Some(ns) = world.host_mut(host) {
            ns.set_promisc(dev, false);
        }
    }
    outputs
}

fn end_of(log: &Log) -> EventId {
    EventId(u32::try_from(log.len()).unwrap_or(u32::MAX))
}
