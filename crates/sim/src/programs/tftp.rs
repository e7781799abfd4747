//! tftp of tftp-hpa 5.2: `tftp HOST [PORT] -c get FILE`, or a dialogue whose commands are the lines of standard input.

use super::args::not_modelled;
use super::resolve::Lookup;
use super::{Parsed, Program, Run};
use crate::operator::CommandOutput;
use kernel::socket::Errno;
use kernel::{Instant, SocketId};
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

/// A message is sent again after this time, and given up after [`MAX_TIMEOUT`].
const REXMT: Duration = Duration::from_secs(5);
const MAX_TIMEOUT: Duration = Duration::from_secs(25);
/// Bytes of a block; a shorter one is the last.
const BLOCK: usize = 512;

const USAGE: &str = "Usage: tftp [-4][-6][-v][-l][-m mode] [host [port]] [-c command]";
const USAGE_STATUS: i32 = 64;
/// `EX_UNAVAILABLE`
const UNAVAILABLE: i32 = 69;

mod op {
    pub const RRQ: u16 = 1;
    pub const DATA: u16 = 3;
    pub const ACK: u16 = 4;
    pub const ERROR: u16 = 5;
}

/// What the commands of a dialogue set.
#[derive(Clone, Debug)]
struct Settings {
    mode: &'static str,
    verbose: bool,
    trace: bool,
    literal: bool,
    rexmt: Duration,
    max_timeout: Duration,
}

#[derive(Clone, Debug)]
struct Tftp {
    host: Option<String>,
    port: u16,
    addr: Option<Ipv4Addr>,
    settings: Settings,
    /// `-R`: the first local port.
    local: u16,
    /// `-m` came behind `-v`, and is said.
    says_mode: bool,
    /// The commands: one with `-c`, otherwise the lines of standard input.
    script: VecDeque<String>,
    dialogue: bool,
    /// A prompt that stands on the line that comes next.
    prompt: String,
    step: Step,
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Looking(Box<Lookup>),
    Ready,
    Getting(Transfer, String),
}

#[derive(Clone, Debug)]
struct Transfer {
    socket: SocketId,
    /// Whom it answers: the host that was asked, at the port from which the last message came.
    peer: (Ipv4Addr, u16),
    message: Vec<u8>,
    /// The block that is expected.
    block: u16,
    content: Vec<u8>,
    begun: Instant,
    waited: Duration,
    again: Instant,
    /// What `trace` says.
    traced: Vec<String>,
}

pub(super) fn parse(argv: &[String], stdin: &str) -> Parsed {
    let usage = || CommandOutput::failed(USAGE_STATUS, USAGE);
    let mut settings = Settings {
        mode: "netascii",
        verbose: false,
        trace: false,
        literal: false,
        rexmt: REXMT,
        max_timeout: MAX_TIMEOUT,
    };
    let (mut local, mut says_mode) = (0_u16, false);
    let (mut host, mut port, mut command) = (None, 69, Vec::new());
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-v" => settings.verbose = true,
            "-l" => settings.literal = true,
            "-4" => {}
            "-6" => return Err(not_modelled("tftp", "-6")),
            "-V" => return Err(CommandOutput::lines(vec!["tftp-hpa 5.2, without readline".to_owned()])),
            "-m" => {
                says_mode |= settings.verbose;
                let text = words.next().ok_or_else(usage)?;
                let bad = || CommandOutput::failed(USAGE_STATUS, format!("tftp: invalid mode: {text}"));
                settings.mode = mode(text).ok_or_else(bad)?;
            }
            "-R" => {
                let both = words.next().and_then(|r| r.split_once(':'));
                let range = both.and_then(|(a, b)| Some((a.parse().ok()?, b.parse::<u16>().ok()?)));
                let Some((first, _)) = range else {
                    return Err(CommandOutput::failed(USAGE_STATUS, "Bad port range"));
                };
                local = first;
            }
            "-c" => command = words.by_ref().cloned().collect(),
            option if option.starts_with('-') && option.len() > 1 => return Err(usage()),
            word if host.is_none() => host = Some(word.to_owned()),
            word => {
                let bad = || CommandOutput::failed(USAGE_STATUS, format!("{word}: bad port number"));
                port = port_of(word).ok_or_else(bad)?;
            }
        }
    }
    let dialogue = command.is_empty();
    match command.first().map(String::as_str) {
        None | Some("get") if dialogue || command.len() > 1 => {}
        Some("put") => return Err(not_modelled("tftp", "put")),
        _ => return Err(CommandOutput::failed(USAGE_STATUS, "tftp: invalid command: (null)")),
    }
    let mut script: VecDeque<String> =
        if dialogue { stdin.lines().map(str::to_owned).collect() } else { [command.join(" ")].into() };
    let mut prompt = String::new();
    if dialogue && host.is_none() {
        prompt = "(to) ".to_owned();
        if let Some(line) = script.front_mut() {
            *line = format!("connect {line}");
        }
    }
    let step = Step::Begin;
    Ok(Box::new(Tftp { host, port, addr: None, settings, local, says_mode, script, dialogue, prompt, step }))
}

/// What came in mode netascii, as a text of this system.
fn local_text(text: &str) -> String {
    let (mut out, mut chars) = (String::with_capacity(text.len()), text.chars().peekable());
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\r', Some('\n')) => {}
            ('\r', Some('\0')) => {
                chars.next();
                out.push('\r');
            }
            (c, _) => out.push(c),
        }
    }
    out
}

fn mode(text: &str) -> Option<&'static str> {
    match text {
        "ascii" | "netascii" => Some("netascii"),
        "binary" | "octet" | "image" => Some("octet"),
        _ => None,
    }
}

fn port_of(text: &str) -> Option<u16> {
    if text == "tftp" { Some(69) } else { text.parse().ok() }
}

impl Program for Tftp {
    fn name(&self) -> &str {
        "tftp"
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        loop {
            match std::mem::replace(&mut self.step, Step::Ready) {
                Step::Begin => {
                    if let Some(host) = &self.host {
                        self.step = Step::Looking(Box::new(Lookup::new(run, host, false)));
                    }
                }
                Step::Looking(mut lookup) => match lookup.run(run) {
                    None => {
                        self.step = Step::Looking(lookup);
                        return None;
                    }
                    Some(Ok(found)) => {
                        self.addr = found.first().copied();
                        if self.settings.verbose && !self.dialogue {
                            self.greet(run);
                        }
                    }
                    Some(Err(why)) => {
                        let host = self.host.take().unwrap_or_default();
                        self.say(run, &format!("Error: {}", why.text()));
                        self.say(run, &format!("{host}: unknown host"));
                    }
                },
                Step::Ready => {
                    if self.dialogue && self.prompt.is_empty() {
                        self.prompt = PROMPT.to_owned();
                    }
                    let Some(line) = self.script.pop_front() else {
                        // The end of standard input.
                        return Some(self.leave(run));
                    };
                    if let Some(status) = self.command(run, &line) {
                        return Some(status);
                    }
                    if self.dialogue && matches!(self.step, Step::Ready) {
                        self.prompt += PROMPT;
                    }
                }
                Step::Getting(mut transfer, to_file) => match self.get_on(run, &mut transfer, &to_file) {
                    None => {
                        self.step = Step::Getting(transfer, to_file);
                        return None;
                    }
                    Some(status) if !self.dialogue => return Some(status),
                    Some(_) => self.prompt += PROMPT,
                },
            }
        }
    }
}

const PROMPT: &str = "tftp> ";

/// Commands of the dialogue and what help says of them.
const COMMANDS: &[(&str, &str)] = &[
    ("connect", "connect to remote tftp"),
    ("mode", "set file transfer mode"),
    ("put", "send file"),
    ("get", "receive file"),
    ("quit", "exit tftp"),
    ("verbose", "toggle verbose mode"),
    ("trace", "toggle packet tracing"),
    ("literal", "toggle literal mode, ignore ':' in file name"),
    ("status", "show current status"),
    ("binary", "set mode to octet"),
    ("ascii", "set mode to netascii"),
    ("rexmt", "set per-packet transmission timeout"),
    ("timeout", "set total retransmission timeout"),
    ("?", "print help information"),
    ("help", "print help information"),
];

/// How a transfer ends.
enum End {
    Done,
    Error(u16, String),
}

impl Tftp {
    /// A line, behind the prompt that waits for one.
    fn say(&mut self, run: &mut Run<'_, '_>, line: &str) {
        let prompt = std::mem::take(&mut self.prompt);
        run.print(format!("{prompt}{line}"));
    }

    fn leave(&mut self, run: &mut Run<'_, '_>) -> i32 {
        if !self.prompt.is_empty() {
            self.say(run, "");
        }
        0
    }

    fn greet(&mut self, run: &mut Run<'_, '_>) {
        if self.says_mode {
            self.say(run, &format!("mode set to {}", self.settings.mode));
        }
        let (host, addr) =
            (self.host.clone().unwrap_or_default(), self.addr.unwrap_or(Ipv4Addr::UNSPECIFIED));
        self.say(run, &format!("Connected to {host} ({addr}), port {}", self.port));
    }

    /// Does a command; `Some` ends the program.
    fn command(&mut self, run: &mut Run<'_, '_>, line: &str) -> Option<i32> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (first, args) = words.split_first()?;
        let fits: Vec<&str> = COMMANDS.iter().map(|(n, _)| *n).filter(|n| n.starts_with(first)).collect();
        let name = match fits.as_slice() {
            [] => {
                self.say(run, "?Invalid command");
                return None;
            }
            [name] => *name,
            all => match all.iter().find(|n| *n == first) {
                Some(name) => name,
                None => {
                    self.say(run, "?Ambiguous command");
                    return None;
                }
            },
        };
        let on = |is: bool| if is { "on" } else { "off" };
        let seconds = args.first().and_then(|n| n.parse().ok()).map(Duration::from_secs);
        match (name, args) {
            ("quit", _) => return Some(self.leave(run)),
            ("connect", [host, rest @ ..]) => {
                if let Some(port) = rest.first().and_then(|p| port_of(p)) {
                    self.port = port;
                }
                self.host = Some((*host).to_owned());
                self.step = Step::Begin;
                // Its answer is behind the prompt of what comes next.
                self.prompt =
                    if self.prompt == "(to) " { "(to) ".to_owned() } else { self.prompt.clone() + PROMPT };
            }
            ("get", [file, rest @ ..]) => {
                let to = rest.first().unwrap_or(&file.rsplit('/').next().unwrap_or(file)).to_string();
                return self.get(run, file, to);
            }
            ("put", [file, ..]) => match run.file(file) {
                None => run.complain(format!("tftp: {file}: No such file or directory")),
                Some(_) => run.complain("tftp: put is not modelled"),
            },
            ("mode", []) => self.say(run, &format!("Using {} mode to transfer files.", self.settings.mode)),
            ("mode", [text, ..]) => match mode(text) {
                Some(mode) => self.set_mode(run, mode),
                None => self.say(run, &format!("{text}: unknown mode")),
            },
            ("binary", _) => self.set_mode(run, "octet"),
            ("ascii", _) => self.set_mode(run, "netascii"),
            ("verbose", _) => {
                self.settings.verbose = !self.settings.verbose;
                self.say(run, &format!("Verbose mode {}.", on(self.settings.verbose)));
            }
            ("trace", _) => {
                self.settings.trace = !self.settings.trace;
                self.say(run, &format!("Packet tracing {}.", on(self.settings.trace)));
            }
            ("literal", _) => {
                self.settings.literal = !self.settings.literal;
                self.say(run, &format!("Literal mode {}.", on(self.settings.literal)));
            }
            ("rexmt", _) => self.settings.rexmt = seconds.unwrap_or(self.settings.rexmt),
            ("timeout", _) => self.settings.max_timeout = seconds.unwrap_or(self.settings.max_timeout),
            ("status", _) => {
                let s = self.settings.clone();
                match &self.host {
                    Some(host) => self.say(run, &format!("Connected to {host}.")),
                    None => self.say(run, "Not connected."),
                }
                let (verbose, trace, literal) = (on(s.verbose), on(s.trace), on(s.literal));
                self.say(
                    run,
                    &format!("Mode: {} Verbose: {verbose} Tracing: {trace} Literal: {literal}", s.mode),
                );
                let (rexmt, max) = (s.rexmt.as_secs(), s.max_timeout.as_secs());
                self.say(run, &format!("Rexmt-interval: {rexmt} seconds, Max-timeout: {max} seconds"));
            }
            ("?" | "help", _) => {
                self.say(run, "tftp-hpa 5.2");
                self.say(run, "Commands may be abbreviated.  Commands are:");
                self.say(run, "");
                for (name, help) in COMMANDS {
                    self.say(run, &format!("{name:<8}\t{help}"));
                }
            }
            (name, _) => self.say(run, &format!("usage: {name} needs an argument")),
        }
        None
    }

    fn set_mode(&mut self, run: &mut Run<'_, '_>, mode: &'static str) {
        self.settings.mode = mode;
        if self.settings.verbose {
            self.say(run, &format!("mode set to {mode}"));
        }
    }

    fn get(&mut self, run: &mut Run<'_, '_>, file: &str, to_file: String) -> Option<i32> {
        let (Some(addr), Some(host)) = (self.addr, self.host.clone()) else {
            self.say(run, "usage: get host:file host:file ... file, or");
            self.say(run, "       get file file ... file if connected");
            return (!self.dialogue).then_some(0);
        };
        // The file is opened first.
        if let Some((dir, _)) = to_file.rsplit_once('/')
            && !["", "/tmp", "/dev"].contains(&dir)
        {
            run.complain(format!("tftp: {to_file}: No such file or directory"));
            return (!self.dialogue).then_some(0);
        }
        if self.settings.verbose {
            self.say(run, &format!("getting from {host}:{file} to {to_file} [{}]", self.settings.mode));
        }
        match self.begin(run, addr, file) {
            Ok(transfer) => {
                if self.settings.trace {
                    self.say(run, &format!("sent RRQ <file={file}, mode={}>", self.settings.mode));
                }
                self.step = Step::Getting(transfer, to_file);
                None
            }
            Err(errno) => {
                run.complain(format!("tftp: sendto: {}", errno.text()));
                (!self.dialogue).then_some(UNAVAILABLE)
            }
        }
    }

    /// Goes on with a transfer; `Some` is its status when it is over.
    fn get_on(&mut self, run: &mut Run<'_, '_>, transfer: &mut Transfer, to_file: &str) -> Option<i32> {
        let rexmt = self.settings.rexmt;
        while let Some(Some(d)) = run.kernel(|ns, _| ns.udp_recv(transfer.socket)) {
            let end = transfer.take(run, d.from.1, &d.payload, rexmt);
            for line in std::mem::take(&mut transfer.traced) {
                if self.settings.trace {
                    self.say(run, &line);
                }
            }
            if let Some(end) = end {
                run.close(transfer.socket);
                self.finish(run, transfer, to_file, end);
                return Some(0);
            }
        }
        if run.now() >= transfer.again {
            transfer.waited += rexmt;
            if transfer.waited >= self.settings.max_timeout {
                run.close(transfer.socket);
                self.say(run, "Transfer timed out.");
                self.say(run, "");
                return Some(UNAVAILABLE);
            }
            transfer.send(run, rexmt);
        }
        None
    }

    fn begin(&self, run: &mut Run<'_, '_>, addr: Ipv4Addr, file: &str) -> Result<Transfer, Errno> {
        let local = self.local;
        let made = run.kernel(|ns, kcx| ns.udp_bind((Ipv4Addr::UNSPECIFIED, local), kcx));
        let socket = made.unwrap_or(Err(Errno::EINVAL))?;
        run.own(socket);
        let mode = self.settings.mode.as_bytes();
        let message = [&op::RRQ.to_be_bytes(), file.as_bytes(), b"\0", mode, b"\0"].concat();
        let mut transfer = Transfer {
            socket,
            peer: (addr, self.port),
            message,
            block: 1,
            content: Vec::new(),
            begun: run.now(),
            waited: Duration::ZERO,
            again: run.now(),
            traced: Vec::new(),
        };
        let (peer, message) = (transfer.peer, transfer.message.clone());
        let sent = run.kernel(|ns, kcx| ns.udp_send(socket, Some(peer), None, message, kcx));
        if let Some(Err(errno)) = sent {
            run.close(socket);
            return Err(errno);
        }
        transfer.again = run.wake_after(self.settings.rexmt);
        Ok(transfer)
    }

    fn finish(&mut self, run: &mut Run<'_, '_>, transfer: &Transfer, to_file: &str, end: End) {
        match end {
            End::Error(code, text) => self.say(run, &format!("Error code {code}: {text}")),
            End::Done => {
                let text: String = transfer.content.iter().map(|b| char::from(*b)).collect();
                // What is counted is what came.
                let netascii = self.settings.mode == "netascii";
                run.write_file(to_file, if netascii { local_text(&text) } else { text });
                if self.settings.verbose {
                    let us = run.now().0.saturating_sub(transfer.begun.0).max(1);
                    let bytes = transfer.content.len() as u64;
                    let tenths = (us + 50_000) / 100_000;
                    let rate = (bytes * 8 * 1_000_000 * 2 + us) / (us * 2);
                    let (whole, tenth) = (tenths / 10, tenths % 10);
                    self.say(
                        run,
                        &format!("Received {bytes} bytes in {whole}.{tenth} seconds [{rate} bit/s]"),
                    );
                }
            }
        }
    }
}

impl Transfer {
    fn send(&mut self, run: &mut Run<'_, '_>, rexmt: Duration) {
        let (socket, peer, message) = (self.socket, self.peer, self.message.clone());
        run.kernel(|ns, kcx| {
            let _ = ns.udp_send(socket, Some(peer), None, message, kcx);
        });
        self.again = run.wake_after(rexmt);
    }

    /// A message from anybody: only its port is looked at (`sa_set_port`), the answer goes to the host that was asked.
    fn take(&mut self, run: &mut Run<'_, '_>, from: u16, payload: &[u8], rexmt: Duration) -> Option<End> {
        let word = |at: usize| Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]));
        self.peer.1 = from;
        match (word(0)?, word(2)?) {
            (op::ERROR, code) => {
                let text = payload.get(4..).unwrap_or_default().split(|b| *b == 0).next().unwrap_or_default();
                Some(End::Error(code, String::from_utf8_lossy(text).into_owned()))
            }
            (op::DATA, block) if block == self.block => {
                let data = payload.get(4..).unwrap_or_default();
                self.content.extend(data);
                self.message = [op::ACK.to_be_bytes(), block.to_be_bytes()].concat();
                self.block = self.block.wrapping_add(1);
                self.waited = Duration::ZERO;
                self.send(run, rexmt);
                self.traced.push(format!("received DATA <block={block}, {} bytes>", data.len()));
                if data.len() == BLOCK {
                    self.traced.push(format!("sent ACK <block={block}>"));
                }
                (data.len() < BLOCK).then_some(End::Done)
            }
            // The acknowledgement was lost.
            (op::DATA, block) if block == self.block.wrapping_sub(1) => {
                self.send(run, rexmt);
                None
            }
            _ => None,
        }
    }
}
