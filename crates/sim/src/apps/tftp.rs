//! TFTP (RFC 1350): a request to port 69, and data from a port of the server's choice.

use super::{AppCx, AppEvent, Endpoint, Outcome};
use crate::world::TURN;
use kernel::socket::{Datagram, Errno, SocketError};
use kernel::{Instant, NetnsId, SocketId};
use std::rc::Rc;
use std::time::Duration;

/// Bytes of a block; a shorter one is the last.
const BLOCK: usize = 512;

/// Opcodes.
mod op {
    /// Read request.
    pub const RRQ: u16 = 1;
    /// A block of data.
    pub const DATA: u16 = 3;
    /// A block has arrived.
    pub const ACK: u16 = 4;
    /// The end of a transfer, with a code and a text.
    pub const ERROR: u16 = 5;
    /// The options that the server takes (RFC 2347).
    pub const OACK: u16 = 6;
}

/// Opcode and block number.
fn header(payload: &[u8]) -> Option<(u16, u16)> {
    let word = |at: usize| Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]));
    Some((word(0)?, word(2).unwrap_or(0)))
}

fn message(opcode: u16, block: u16, data: &[u8]) -> Vec<u8> {
    [&opcode.to_be_bytes(), &block.to_be_bytes(), data].concat()
}

/// The block sizes that a server takes (RFC 2348).
const BLOCKS: std::ops::RangeInclusive<usize> = 8..=65_464;

/// The options of a request that in.tftpd takes: the block size, and the text of its OACK, which is empty if it takes none.
fn options(request: &[u8], size: usize) -> (usize, Vec<u8>) {
    let mut words = request.get(2..).unwrap_or_default().split(|b| *b == 0).skip(1);
    let octet = words.next().is_some_and(|mode| mode.eq_ignore_ascii_case(b"octet"));
    let (mut block, mut taken) = (BLOCK, Vec::new());
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let asked: Option<usize> = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
        let told = match (name.to_ascii_lowercase().as_slice(), asked) {
            (b"blksize", Some(n)) if n >= *BLOCKS.start() => {
                block = n.min(*BLOCKS.end());
                block
            }
            // The size of a file that is translated is not known.
            (b"tsize", Some(0)) if octet => size,
            _ => continue,
        };
        taken.extend([name, b"\0", told.to_string().as_bytes(), b"\0"].concat());
    }
    (block, taken)
}

/// The mode of a request.
fn is_netascii(request: &[u8]) -> bool {
    let mode = request.get(2..).unwrap_or_default().split(|b| *b == 0).nth(1);
    mode.is_some_and(|mode| mode.eq_ignore_ascii_case(b"netascii"))
}

/// A text as it is sent in mode netascii (RFC 1350, RFC 764): a line ends with CR and LF, and behind another CR stands a zero.
fn netascii(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'\n' => out.extend(b"\r\n"),
            b'\r' => out.extend(b"\r\0"),
            byte => out.push(*byte),
        }
    }
    out
}

/// The code of the error that a file is not there (RFC 1350).
const NOT_FOUND: u16 = 1;

/// The folder of the files that the server's box has (that of Red Hat's tftp-server).
const FOLDER: &str = "/var/lib/tftpboot";

/// The longest file that is made of a name.
const LONGEST: u32 = 1 << 24;

/// A file that the box has not: its content follows from its name: `f-1200` and `f-1200.txt` have 1200 bytes.
fn file(name: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(name);
    let digits = text.split('-').nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?;
    let size = digits.parse().ok().filter(|n| *n <= LONGEST)?;
    Some((0..size).map(|i| (i & 0xff) as u8).collect())
}

/// A server. Each request is answered from a new connected socket on the next port.
#[derive(Clone, Debug)]
pub struct TftpServer {
    pub(crate) host: NetnsId,
    bind: Endpoint,
    data: Endpoint,
    /// A block is sent again after this time, then after twice that, and so on; an error ends the transfer. Without it
    /// a block is sent once, and errors change nothing.
    retransmit: Option<Duration>,
    socket: Option<SocketId>,
    transfers: Vec<Transfer>,
    busy_until: Instant,
}

/// One file on its way.
#[derive(Clone, Debug)]
struct Transfer {
    socket: SocketId,
    port: u16,
    content: Rc<[u8]>,
    /// The bytes of a block; a shorter one is the last.
    size: usize,
    /// The options that were taken; they are sent as block 0.
    options: Vec<u8>,
    /// The block that waits for its acknowledgement, from 1, or from 0 with options. Its lower 16 bits are sent.
    block: u32,
    /// When it is sent again, and how long it waited before that.
    resend: Option<(Instant, Duration)>,
}

/// A server gives a block up when it has waited this long for its acknowledgement (in.tftpd's 63 times its time-out).
const GIVES_UP: u32 = 63;

impl Transfer {
    fn chunk(&self) -> &[u8] {
        let from = (self.block.saturating_sub(1) as usize).saturating_mul(self.size);
        let rest = self.content.get(from..).unwrap_or_default();
        rest.get(..self.size).unwrap_or(rest)
    }

    fn message(&self) -> Vec<u8> {
        match self.block {
            0 if !self.options.is_empty() => [&op::OACK.to_be_bytes(), self.options.as_slice()].concat(),
            block => message(op::DATA, block as u16, self.chunk()),
        }
    }

    /// The block that waits is the last.
    fn is_at_end(&self) -> bool {
        (self.block > 0 || self.options.is_empty()) && self.chunk().len() < self.size
    }
}

impl TftpServer {
    /// A server whose first data socket is bound to `data`.
    pub fn new(host: NetnsId, bind: Endpoint, data: Endpoint, retransmit: Option<Duration>) -> TftpServer {
        let busy_until = Instant(0);
        TftpServer { host, bind, data, retransmit, socket: None, transfers: Vec::new(), busy_until }
    }

    pub(super) fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
        let (host, server) = (self.host, self.bind);
        let socket = match self.socket {
            Some(s) => s,
            None => match cx.udp_server(host, server)? {
                Some(s) => *self.socket.insert(s),
                None => return Some(Outcome::None),
            },
        };
        // It is woken then.
        if cx.now() < self.busy_until {
            return None;
        }
        // One piece of news in each turn: the kernel is done with the answer before the next is read.
        if let Some(Some(d)) = cx.with(host, |ns, _| ns.udp_recv(socket)) {
            self.request(&d, cx);
        } else if !self.progress(cx) {
            self.send_again(cx);
            return None;
        }
        self.busy_until = cx.now() + TURN;
        cx.wake_at(self.busy_until);
        None
    }

    fn request(&mut self, d: &Datagram, cx: &mut AppCx<'_>) {
        let Some((opcode, _)) = header(&d.payload) else { return };
        cx.report(self.host, AppEvent::TftpRequest { server: self.bind, from: d.from, opcode });
        if opcode != op::RRQ {
            return;
        }
        let name = d.payload.get(2..).unwrap_or_default().split(|b| *b == 0).next().unwrap_or_default();
        let (data, peer) = (self.data, d.from);
        self.data.1 = self.data.1.wrapping_add(1);
        let made = cx.with(self.host, |ns, kcx| {
            let socket = ns.udp_bind(data, kcx)?;
            // Errors that come back are seen, as in.tftpd sees them.
            ns.udp_options(socket, true, None);
            ns.udp_connect(socket, peer)?;
            Ok::<_, Errno>(socket)
        });
        let socket = match made {
            Some(Ok(socket)) => socket,
            Some(Err(errno)) => {
                let event =
                    AppEvent::TftpData { port: Some(data.1), error: SocketError { errno, icmp: Vec::new() } };
                return cx.report(self.host, event);
            }
            None => return,
        };
        cx.world.own(self.host, socket, cx.id);
        let path = format!("{FOLDER}/{}", String::from_utf8_lossy(name).trim_start_matches('/'));
        let content = match cx.world.file(self.host, &path) {
            Some(text) if is_netascii(&d.payload) => Some(netascii(text.as_bytes())),
            Some(text) => Some(text.as_bytes().to_vec()),
            // That of the recordings has something under any name.
            None => file(name).or_else(|| self.retransmit.is_none().then(|| file(b"-1000")).flatten()),
        };
        let Some(content) = content else {
            // in.tftpd's process says so and ends.
            let payload = message(op::ERROR, NOT_FOUND, b"File not found\0");
            cx.with(self.host, |ns, kcx| {
                let _ = ns.udp_send(socket, None, None, payload, kcx);
                ns.close(socket);
            });
            return cx.world.disown(self.host, socket);
        };
        let (size, options) = options(&d.payload, content.len());
        let block = u32::from(options.is_empty());
        let content = content.into();
        let mut transfer = Transfer { socket, port: data.1, content, size, options, block, resend: None };
        self.send(&transfer, cx);
        transfer.resend = self.patience(cx);
        self.transfers.push(transfer);
    }

    fn send(&self, t: &Transfer, cx: &mut AppCx<'_>) {
        let payload = t.message();
        let sent = cx.with(self.host, |ns, kcx| ns.udp_send(t.socket, None, None, payload, kcx));
        if let Some(Err(errno)) = sent {
            let error = SocketError { errno, icmp: Vec::new() };
            cx.report(self.host, AppEvent::TftpData { port: Some(t.port), error });
        }
    }

    /// A block has just been sent for the first time.
    fn patience(&self, cx: &mut AppCx<'_>) -> Option<(Instant, Duration)> {
        let after = self.retransmit?;
        let at = cx.now() + after;
        cx.wake_at(at);
        Some((at, after))
    }

    /// Sends the blocks again whose acknowledgement is late.
    fn send_again(&mut self, cx: &mut AppCx<'_>) {
        let Some(first) = self.retransmit else { return };
        for i in 0..self.transfers.len() {
            let Some(t) = self.transfers.get(i).cloned() else { break };
            let Some((_, waited)) = t.resend.filter(|(at, _)| *at <= cx.now()) else { continue };
            let next = waited * 2;
            if next >= first * GIVES_UP {
                return self.end(i, cx);
            }
            self.send(&t, cx);
            let at = cx.now() + next;
            cx.wake_at(at);
            if let Some(t) = self.transfers.get_mut(i) {
                t.resend = Some((at, next));
            }
        }
    }

    fn end(&mut self, transfer: usize, cx: &mut AppCx<'_>) {
        let t = self.transfers.remove(transfer);
        cx.with(self.host, |ns, _| ns.close(t.socket));
        cx.world.disown(self.host, t.socket);
    }

    /// Handles the next error or acknowledgement; false if there is none.
    fn progress(&mut self, cx: &mut AppCx<'_>) -> bool {
        let host = self.host;
        for i in 0..self.transfers.len() {
            let Some(t) = self.transfers.get_mut(i) else { break };
            let socket = t.socket;
            if let Some(Some(error)) = cx.with(host, |ns, _| ns.take_error(socket)) {
                cx.report(host, AppEvent::TftpData { port: None, error });
                if self.retransmit.is_some() {
                    self.end(i, cx);
                }
                return true;
            }
            let Some(Some(d)) = cx.with(host, |ns, _| ns.udp_recv(socket)) else { continue };
            if header(&d.payload) != Some((op::ACK, t.block as u16)) {
                return true;
            }
            if t.is_at_end() {
                cx.report(host, AppEvent::TftpDone { bytes: t.content.len() });
                self.end(i, cx);
            } else {
                t.block += 1;
                let t = t.clone();
                self.send(&t, cx);
                let resend = self.patience(cx);
                if let Some(t) = self.transfers.get_mut(i) {
                    t.resend = resend;
                }
            }
            return true;
        }
        false
    }
}

/// A client that asks for one file.
#[derive(Clone, Debug)]
pub struct TftpClient {
    /// Where it runs.
    pub host: NetnsId,
    /// Bound address and port.
    pub src: Endpoint,
    /// Whom it asks.
    pub dst: Endpoint,
    /// The file's name.
    pub file: String,
    /// Data from another address than the one that was asked is ignored.
    pub strict: bool,
    /// How long it waits: for the whole file, or, if it sends its last message again, for the next block.
    pub timeout: Duration,
    /// After this time without an answer the last message is sent again.
    pub retransmit: Option<Duration>,
    /// How long it goes on listening.
    pub linger: Duration,
    socket: Option<SocketId>,
    until: Instant,
    done: Option<bool>,
    got: TftpGot,
    /// The last message and to whom it went.
    last: Option<(Vec<u8>, Endpoint)>,
    resend_at: Instant,
    busy_until: Instant,
}

/// What a client got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TftpGot {
    /// Bytes of data.
    pub bytes: usize,
    /// From whom, in the order in which they appeared.
    pub peers: Vec<Endpoint>,
    /// Datagrams that it did not take.
    pub ignored: usize,
}

impl TftpClient {
    /// A client that takes data from whomever it comes, and waits 600 ms.
    pub fn new(host: NetnsId, src: Endpoint, dst: Endpoint, file: String) -> TftpClient {
        TftpClient {
            host,
            src,
            dst,
            file,
            strict: false,
            timeout: Duration::from_millis(600),
            retransmit: None,
            last: None,
            resend_at: Instant(0),
            linger: Duration::from_millis(30),
            socket: None,
            until: Instant(0),
            done: None,
            got: TftpGot::default(),
            busy_until: Instant(0),
        }
    }

    pub(super) fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
        let socket = match self.socket {
            Some(s) => s,
            None => match self.begin(cx) {
                Ok(s) => s,
                Err(errno) => {
                    cx.report(self.host, AppEvent::Failed { to: self.dst, errno });
                    return Some(Outcome::UdpFailed(errno));
                }
            },
        };
        if cx.now() >= self.busy_until
            && let Some(Some(d)) = cx.with(self.host, |ns, _| ns.udp_recv(socket))
        {
            self.data(socket, &d, cx);
            self.busy_until = cx.now() + TURN;
            cx.wake_at(self.busy_until);
        }
        if self.done.is_none() && cx.now() >= self.until {
            self.finish(false, cx);
        }
        if self.done.is_none() && self.retransmit.is_some() && cx.now() >= self.resend_at {
            self.send(socket, cx);
        }
        if self.done.is_none() || cx.now() < self.until {
            return None;
        }
        cx.with(self.host, |ns, _| ns.close(socket));
        cx.world.disown(self.host, socket);
        let got = std::mem::take(&mut self.got);
        Some(Outcome::Tftp { done: self.done == Some(true), got })
    }

    fn begin(&mut self, cx: &mut AppCx<'_>) -> Result<SocketId, Errno> {
        cx.report(self.host, AppEvent::TftpGet { to: self.dst, file: self.file.clone() });
        let (src, dst) = (self.src, self.dst);
        let payload = [&op::RRQ.to_be_bytes(), self.file.as_bytes(), b"\0octet\0"].concat();
        let made = cx.with(self.host, |ns, kcx| {
            let socket = ns.udp_bind(src, kcx)?;
            match ns.udp_send(socket, Some(dst), None, payload.clone(), kcx) {
                Ok(_) => Ok(socket),
                Err(errno) => {
                    ns.close(socket);
                    Err(errno)
                }
            }
        });
        let socket = made.unwrap_or(Err(Errno::EINVAL))?;
        cx.world.own(self.host, socket, cx.id);
        self.socket = Some(socket);
        self.last = Some((payload, dst));
        self.wait(cx);
        Ok(socket)
    }

    /// A message has been sent: the time-outs begin anew.
    fn wait(&mut self, cx: &mut AppCx<'_>) {
        self.until = cx.now() + self.timeout;
        cx.wake_at(self.until);
        self.later(cx);
    }

    fn later(&mut self, cx: &mut AppCx<'_>) {
        if let Some(after) = self.retransmit {
            self.resend_at = cx.now() + after;
            cx.wake_at(self.resend_at);
        }
    }

    /// Sends the last message again.
    fn send(&mut self, socket: SocketId, cx: &mut AppCx<'_>) {
        if let Some((payload, to)) = self.last.clone() {
            cx.with(self.host, |ns, kcx| ns.udp_send(socket, Some(to), None, payload, kcx));
        }
        self.later(cx);
    }

    fn data(&mut self, socket: SocketId, d: &Datagram, cx: &mut AppCx<'_>) {
        if !self.got.peers.contains(&d.from) {
            self.got.peers.push(d.from);
        }
        if self.strict && d.from.0 != self.dst.0 {
            self.got.ignored += 1;
            return;
        }
        let Some((op::DATA, block)) = header(&d.payload) else { return };
        let len = d.payload.len().saturating_sub(4);
        self.got.bytes += len;
        self.last = Some((message(op::ACK, block, &[]), d.from));
        self.send(socket, cx);
        if self.retransmit.is_some() {
            self.wait(cx);
        }
        if len < BLOCK && self.done.is_none() {
            self.finish(true, cx);
        }
    }

    fn finish(&mut self, done: bool, cx: &mut AppCx<'_>) {
        self.done = Some(done);
        let event = if done {
            AppEvent::TftpReceived { bytes: self.got.bytes, from: self.got.peers.last().copied() }
        } else {
            AppEvent::TftpTimedOut { to: self.dst }
        };
        cx.report(self.host, event);
        self.until = cx.now() + self.linger;
        cx.wake_at(self.until);
    }
}
