//! tftp of tftp-hpa 5.2, with its command on the command line: `tftp HOST [PORT] -c get FILE`.

use super::args::not_modelled;
use super::resolve::Lookup;
use super::{Program, Run};
use crate::operator::CommandOutput;
use kernel::socket::Errno;
use kernel::{Instant, SocketId};
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

#[derive(Clone, Debug)]
struct Tftp {
    host: String,
    port: u16,
    mode: &'static str,
    verbose: bool,
    /// `-m` came behind `-v`, and is said.
    says_mode: bool,
    /// `-R`: the first local port.
    local: u16,
    file: String,
    to_file: String,
    step: Step,
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Looking(Box<Lookup>),
    Getting(Transfer),
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
}

pub(super) fn parse(argv: &[String]) -> Result<Box<dyn Program>, CommandOutput> {
    let usage = || CommandOutput::failed(USAGE_STATUS, USAGE);
    let (mut verbose, mut mode, mut local) = (false, "netascii", 0_u16);
    let mut says_mode = false;
    let (mut host, mut port, mut command) = (None, 69, Vec::new());
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-v" => verbose = true,
            "-4" | "-l" => {}
            "-6" => return Err(not_modelled("tftp", "-6")),
            "-V" => return Err(CommandOutput::lines(vec!["tftp-hpa 5.2, without readline".to_owned()])),
            "-m" => {
                says_mode |= verbose;
                mode = match words.next().map(String::as_str) {
                    Some("ascii" | "netascii") => "netascii",
                    Some("binary" | "octet" | "image") => "octet",
                    Some(other) => {
                        return Err(CommandOutput::failed(
                            USAGE_STATUS,
                            format!("tftp: invalid mode: {other}"),
                        ));
                    }
                    None => return Err(usage()),
                }
            }
            "-R" => {
                let range = words
                    .next()
                    .and_then(|r| r.split_once(':'))
                    .and_then(|(a, b)| Some((a.parse().ok()?, b.parse::<u16>().ok()?)));
                let Some((first, _)) = range else {
                    return Err(CommandOutput::failed(USAGE_STATUS, "Bad port range"));
                };
                local = first;
            }
            "-c" => command = words.by_ref().cloned().collect(),
            option if option.starts_with('-') && option.len() > 1 => return Err(usage()),
            word if host.is_none() => host = Some(word.to_owned()),
            word => {
                port = match userland_port(word) {
                    Some(port) => port,
                    None => {
                        return Err(CommandOutput::failed(USAGE_STATUS, format!("{word}: bad port number")));
                    }
                };
            }
        }
    }
    if command.is_empty() {
        return Err(not_modelled("tftp", "a dialogue (without -c)"));
    }
    let Some(host) = host else { return Err(not_modelled("tftp", "a command without a host")) };
    match command.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["get", file] | ["get", file, _] => {
            let to_file = command
                .get(2)
                .map_or_else(|| file.rsplit('/').next().unwrap_or(file).to_owned(), Clone::clone);
            let file = (*file).to_owned();
            Ok(Box::new(Tftp {
                host,
                port,
                mode,
                verbose,
                says_mode,
                local,
                file,
                to_file,
                step: Step::Begin,
            }))
        }
        ["put", ..] => Err(not_modelled("tftp", "put")),
        _ => Err(CommandOutput::failed(USAGE_STATUS, "tftp: invalid command: (null)")),
    }
}

fn userland_port(text: &str) -> Option<u16> {
    if text == "tftp" { Some(69) } else { text.parse().ok() }
}

impl Program for Tftp {
    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        if let Step::Begin = self.step {
            self.step = Step::Looking(Box::new(Lookup::new(run, &self.host, false)));
        }
        if let Step::Looking(lookup) = &mut self.step {
            let addr = match lookup.run(run)? {
                Ok(found) => found.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED),
                Err(why) => {
                    run.print(format!("Error: {}", why.text()));
                    run.print(format!("{}: unknown host", self.host));
                    run.print("usage: get host:file host:file ... file, or");
                    run.print("       get file file ... file if connected");
                    return Some(0);
                }
            };
            if self.says_mode {
                run.print(format!("mode set to {}", self.mode));
            }
            if self.verbose {
                run.print(format!("Connected to {} ({addr}), port {}", self.host, self.port));
                run.print(format!(
                    "getting from {}:{} to {} [{}]",
                    self.host, self.file, self.to_file, self.mode
                ));
            }
            match self.begin(run, addr) {
                Ok(transfer) => self.step = Step::Getting(transfer),
                Err(errno) => {
                    run.complain(format!("tftp: sendto: {}", errno.text()));
                    return Some(UNAVAILABLE);
                }
            }
        }
        let Step::Getting(transfer) = &mut self.step else { return None };
        while let Some(Some(d)) = run.kernel(|ns, _| ns.udp_recv(transfer.socket)) {
            if let Some(end) = transfer.take(run, d.from.1, &d.payload) {
                let transfer = transfer.clone();
                run.close(transfer.socket);
                return Some(self.finish(run, &transfer, end));
            }
        }
        if run.now() >= transfer.again {
            transfer.waited += REXMT;
            if transfer.waited >= MAX_TIMEOUT {
                let socket = transfer.socket;
                run.close(socket);
                run.print("Transfer timed out.");
                run.print("");
                return Some(UNAVAILABLE);
            }
            transfer.send(run);
        }
        None
    }
}

/// How a transfer ends.
enum End {
    Done,
    Error(u16, String),
}

impl Tftp {
    fn begin(&self, run: &mut Run<'_, '_>, addr: Ipv4Addr) -> Result<Transfer, Errno> {
        let local = self.local;
        let made = run.kernel(|ns, kcx| ns.udp_bind((Ipv4Addr::UNSPECIFIED, local), kcx));
        let socket = made.unwrap_or(Err(Errno::EINVAL))?;
        run.own(socket);
        let message =
            [&op::RRQ.to_be_bytes(), self.file.as_bytes(), b"\0", self.mode.as_bytes(), b"\0"].concat();
        let mut transfer = Transfer {
            socket,
            peer: (addr, self.port),
            message,
            block: 1,
            content: Vec::new(),
            begun: run.now(),
            waited: Duration::ZERO,
            again: run.now(),
        };
        let (peer, message) = (transfer.peer, transfer.message.clone());
        let sent = run.kernel(|ns, kcx| ns.udp_send(socket, Some(peer), None, message, kcx));
        if let Some(Err(errno)) = sent {
            run.close(socket);
            return Err(errno);
        }
        transfer.again = run.wake_after(REXMT);
        Ok(transfer)
    }

    fn finish(&self, run: &mut Run<'_, '_>, transfer: &Transfer, end: End) -> i32 {
        match end {
            End::Error(code, text) => run.print(format!("Error code {code}: {text}")),
            End::Done => {
                let text: String = transfer.content.iter().map(|b| char::from(*b)).collect();
                run.write_file(&self.to_file, text);
                if self.verbose {
                    let us = run.now().since(transfer.begun).as_micros().max(1);
                    let bytes = transfer.content.len() as u128;
                    let tenths = (us + 50_000) / 100_000;
                    let rate = (bytes * 8 * 1_000_000 * 2 + us) / (us * 2);
                    run.print(format!(
                        "Received {bytes} bytes in {}.{} seconds [{rate} bit/s]",
                        tenths / 10,
                        tenths % 10
                    ));
                }
            }
        }
        0
    }
}

impl Transfer {
    fn send(&mut self, run: &mut Run<'_, '_>) {
        let (socket, peer, message) = (self.socket, self.peer, self.message.clone());
        run.kernel(|ns, kcx| {
            let _ = ns.udp_send(socket, Some(peer), None, message, kcx);
        });
        self.again = run.wake_after(REXMT);
    }

    /// A message from anybody: only its port is looked at (`sa_set_port`), the answer goes to the host that was asked.
    fn take(&mut self, run: &mut Run<'_, '_>, from: u16, payload: &[u8]) -> Option<End> {
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
                self.send(run);
                (data.len() < BLOCK).then_some(End::Done)
            }
            // The acknowledgement was lost.
            (op::DATA, block) if block == self.block.wrapping_sub(1) => {
                self.send(run);
                None
            }
            _ => None,
        }
    }
}
