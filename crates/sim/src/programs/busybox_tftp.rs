//! `busybox tftp -g -r FILE [-l LOCAL] [-b SIZE] HOST [PORT]` (networking/tftp.c): a client that knows the block size option, as
//! tftp-hpa's does not.

use super::args::not_modelled;
use super::resolve::Lookup;
use super::{Parsed, Program, Run};
use crate::operator::CommandOutput;
use kernel::{Instant, SocketId};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The first time-out; each is half as long again as the one before, up to [`MAX_TIMEOUT`].
const TIMEOUT: Duration = Duration::from_millis(50);
const MAX_TIMEOUT: Duration = Duration::from_millis(2000);
/// So many are waited for.
const RETRIES: u32 = 12;
/// The block size without the option.
const BLOCK: usize = 512;

mod op {
    pub const RRQ: u16 = 1;
    pub const DATA: u16 = 3;
    pub const ACK: u16 = 4;
    pub const ERROR: u16 = 5;
    pub const OACK: u16 = 6;
}

#[derive(Clone, Debug)]
struct Tftp {
    host: String,
    port: u16,
    remote: String,
    local: String,
    asked: usize,
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
    /// Whom it answers; the port is the server's choice from its first message on.
    peer: (Ipv4Addr, u16),
    known: bool,
    message: Vec<u8>,
    size: usize,
    /// The block that is expected; an OACK is expected as well as the first one.
    block: u16,
    content: Vec<u8>,
    wait: Duration,
    left: u32,
    again: Instant,
}

fn wrong(text: impl Into<String>) -> CommandOutput {
    CommandOutput::failed(1, text)
}

/// `argv` begins with `tftp`.
pub(super) fn parse(argv: &[String]) -> Parsed {
    let mut words = argv.iter().skip(1);
    let (mut get, mut remote, mut local, mut asked, mut plain) = (false, None, None, BLOCK, Vec::new());
    while let Some(word) = words.next() {
        let mut value = || {
            let missing =
                || wrong(format!("tftp: option requires an argument -- '{}'", word.trim_start_matches('-')));
            words.next().cloned().ok_or_else(missing)
        };
        match word.as_str() {
            "-g" => get = true,
            "-p" => return Err(not_modelled("busybox tftp", "-p")),
            "-r" => remote = Some(value()?),
            "-l" => local = Some(value()?),
            "-b" => {
                let text = value()?;
                // `tftp_blksize_check`
                let size = text.parse().ok().filter(|n| (8..=65_464).contains(n));
                asked = size.ok_or_else(|| wrong(format!("tftp: bad blocksize '{text}'")))?;
            }
            word if word.starts_with('-') => return Err(not_modelled("busybox tftp", word)),
            _ => plain.push(word.clone()),
        }
    }
    let remote = remote.or_else(|| local.clone());
    let (true, Some(remote), [host, port @ ..]) = (get, remote, plain.as_slice()) else {
        return Err(wrong("Usage: tftp -g [-l FILE] [-r FILE] [-b SIZE] HOST [PORT]"));
    };
    let port = match port.first() {
        None => 69,
        Some(text) => text.parse().map_err(|_| wrong(format!("tftp: bad port '{text}'")))?,
    };
    let local = local.unwrap_or_else(|| remote.rsplit('/').next().unwrap_or_default().to_owned());
    Ok(Box::new(Tftp { host: host.clone(), port, remote, local, asked, step: Step::Begin }))
}

impl Program for Tftp {
    fn name(&self) -> &str {
        "busybox"
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        loop {
            match std::mem::replace(&mut self.step, Step::Begin) {
                Step::Begin => {
                    self.step = Step::Looking(Box::new(Lookup::new(run, &self.host, false)));
                }
                Step::Looking(mut lookup) => match lookup.run(run) {
                    None => {
                        self.step = Step::Looking(lookup);
                        return None;
                    }
                    Some(Ok(found)) => {
                        let addr = found.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
                        match self.begin(run, addr) {
                            Some(transfer) => self.step = Step::Getting(transfer),
                            None => return Some(1),
                        }
                    }
                    Some(Err(_)) => {
                        run.complain(format!("tftp: bad address '{}'", self.host));
                        return Some(1);
                    }
                },
                Step::Getting(mut transfer) => {
                    let ended = self.get_on(run, &mut transfer);
                    if ended.is_some() {
                        run.close(transfer.socket);
                    }
                    self.step = Step::Getting(transfer);
                    return ended;
                }
            }
        }
    }
}

impl Tftp {
    fn begin(&self, run: &mut Run<'_, '_>, addr: Ipv4Addr) -> Option<Transfer> {
        let socket = run.kernel(|ns, kcx| ns.udp_bind((Ipv4Addr::UNSPECIFIED, 0), kcx))?.ok()?;
        run.own(socket);
        let mut message = [&op::RRQ.to_be_bytes(), self.remote.as_bytes(), b"\0octet\0"].concat();
        if self.asked != BLOCK {
            message.extend(format!("blksize\0{}\0", self.asked).as_bytes());
        }
        let mut transfer = Transfer {
            socket,
            peer: (addr, self.port),
            known: false,
            message,
            size: BLOCK,
            block: 1,
            content: Vec::new(),
            wait: TIMEOUT,
            left: RETRIES,
            again: run.now(),
        };
        transfer.send(run);
        Some(transfer)
    }

    /// Goes on; `Some` is the status when it is over.
    fn get_on(&self, run: &mut Run<'_, '_>, t: &mut Transfer) -> Option<i32> {
        while let Some(Some(d)) = run.kernel(|ns, _| ns.udp_recv(t.socket)) {
            // From the first message on others are not listened to.
            if t.known && d.from != t.peer {
                continue;
            }
            (t.peer, t.known) = (d.from, true);
            let word = |at: usize| Some(u16::from_be_bytes([*d.payload.get(at)?, *d.payload.get(at + 1)?]));
            let (Some(opcode), Some(block)) = (word(0), word(2)) else { continue };
            let rest = d.payload.get(4..).unwrap_or_default();
            match opcode {
                op::ERROR => {
                    let text = rest.split(|b| *b == 0).next().unwrap_or_default();
                    let text = String::from_utf8_lossy(text);
                    run.complain(format!("tftp: server error: ({block}) {text}"));
                    return Some(1);
                }
                op::OACK if t.block == 1 && t.content.is_empty() => {
                    let told = block_size(d.payload.get(2..).unwrap_or_default());
                    match told {
                        Some(n) if (8..=self.asked).contains(&n) => t.size = n,
                        _ => {
                            run.complain("tftp: bad server option");
                            let refusal =
                                [&op::ERROR.to_be_bytes(), &8_u16.to_be_bytes(), &b"bad option\0"[..]];
                            t.message = refusal.concat();
                            t.send(run);
                            return Some(1);
                        }
                    }
                    t.acknowledge(0, run);
                }
                op::DATA if block == t.block => {
                    t.content.extend(rest);
                    t.block = t.block.wrapping_add(1);
                    t.acknowledge(block, run);
                    if rest.len() < t.size {
                        let text: String = t.content.iter().map(|b| char::from(*b)).collect();
                        run.write_file(&self.local, text);
                        return Some(0);
                    }
                }
                // The acknowledgement was lost.
                op::DATA if block == t.block.wrapping_sub(1) => t.send(run),
                _ => {}
            }
        }
        if run.now() >= t.again {
            t.left = t.left.saturating_sub(1);
            if t.left == 0 {
                run.complain("tftp: timeout");
                return Some(1);
            }
            t.wait = (t.wait + t.wait / 2).min(MAX_TIMEOUT);
            t.send(run);
        }
        None
    }
}

impl Transfer {
    fn acknowledge(&mut self, block: u16, run: &mut Run<'_, '_>) {
        self.message = [op::ACK.to_be_bytes(), block.to_be_bytes()].concat();
        (self.wait, self.left) = (TIMEOUT, RETRIES);
        self.send(run);
    }

    fn send(&mut self, run: &mut Run<'_, '_>) {
        let (socket, peer, message) = (self.socket, self.peer, self.message.clone());
        run.kernel(|ns, kcx| {
            let _ = ns.udp_send(socket, Some(peer), None, message, kcx);
        });
        self.again = run.wake_after(self.wait);
    }
}

/// `blksize` among the options of an OACK.
fn block_size(options: &[u8]) -> Option<usize> {
    let mut words = options.split(|b| *b == 0);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        if name.eq_ignore_ascii_case(b"blksize") {
            return std::str::from_utf8(value).ok()?.parse().ok();
        }
    }
    None
}
