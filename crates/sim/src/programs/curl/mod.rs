//! curl 7.88.

mod answer;
mod options;
mod output;

use super::resolve::{Lookup, NoAddress, inet_aton};
use super::{Program, Run, connect};
use crate::operator::CommandOutput;
use answer::Answer;
use kernel::socket::{Errno, Received};
use kernel::{Instant, SocketId};
use options::{Options, Target};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Codes of libcurl-errors(3).
mod code {
    pub const UNSUPPORTED_PROTOCOL: i32 = 1;
    pub const FAILED_INIT: i32 = 2;
    pub const URL: i32 = 3;
    pub const RESOLVE: i32 = 6;
    pub const CONNECT: i32 = 7;
    pub const PARTIAL: i32 = 18;
    pub const HTTP_ERROR: i32 = 22;
    pub const WRITE: i32 = 23;
    pub const TIMEOUT: i32 = 28;
    pub const INTERFACE: i32 = 45;
    pub const EMPTY: i32 = 52;
    pub const RECV: i32 = 56;
}

/// A connection that is left open for more: its number, host and port.
#[derive(Clone, Debug)]
struct Kept {
    number: u32,
    host: String,
    port: u16,
    socket: SocketId,
    local: Option<(Ipv4Addr, u16)>,
}

/// A transfer, and those that follow.
#[derive(Clone, Debug)]
struct Curl {
    options: Options,
    /// The URLs, and how many of them are done.
    targets: Vec<Target>,
    done: usize,
    kept: Vec<Kept>,
    /// The number of this transfer's connection.
    number: u32,
    /// How many connections there were.
    connections: u32,
    /// This transfer goes over a connection that stood already.
    reused: bool,
    /// Hosts whose addresses are known (curl's DNS cache).
    cache: Vec<(String, u16, Vec<Ipv4Addr>)>,
    host: String,
    port: u16,
    path: String,
    begun: Option<Instant>,
    addresses: Vec<Ipv4Addr>,
    times: Times,
    local_end: Option<(Ipv4Addr, u16)>,
    step: Step,
    answer: Answer,
}

/// When the phases were over.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    lookup: Duration,
    connect: Duration,
    first: Duration,
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Looking(Box<Lookup>),
    Connect { index: usize },
    Connecting { socket: SocketId, index: usize },
    Reading { socket: SocketId },
}

pub(super) fn parse(argv: &[String], _: &str) -> Result<Box<dyn Program>, CommandOutput> {
    let (options, targets) = options::read(argv)?;
    Ok(Box::new(Curl {
        options,
        targets,
        done: 0,
        kept: Vec::new(),
        number: 0,
        connections: 0,
        reused: false,
        cache: Vec::new(),
        host: String::new(),
        port: 0,
        path: String::new(),
        begun: None,
        addresses: Vec::new(),
        times: Times::default(),
        local_end: None,
        step: Step::Begin,
        answer: Answer::default(),
    }))
}

impl Program for Curl {
    fn name(&self) -> &str {
        "curl"
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        loop {
            // The last transfer's status is curl's.
            let status = self.transfer(run)?;
            self.done += 1;
            if self.done >= self.targets.len() {
                for kept in std::mem::take(&mut self.kept) {
                    run.close_tcp(kept.socket);
                }
                return Some(status);
            }
            (self.begun, self.step) = (None, Step::Begin);
            (self.answer, self.times) = (Answer::default(), Times::default());
            (self.local_end, self.reused) = (None, false);
            self.addresses.clear();
        }
    }
}

impl Curl {
    /// Goes on with a transfer; `Some` is how it ended.
    fn transfer(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let begun = match self.begun {
            Some(begun) => begun,
            None => {
                match self.targets.get(self.done)?.clone() {
                    Ok((host, port, path)) => {
                        let host = inet_aton(&host).map_or(host, |addr| addr.to_string());
                        (self.host, self.port, self.path) = (host, port, path);
                    }
                    Err((status, text)) => return Some(self.fail(run, status, &text)),
                }
                if let Some(limit) = self.options.max_time {
                    run.wake_after(limit);
                }
                *self.begun.insert(run.now())
            }
        };
        loop {
            let step = std::mem::replace(&mut self.step, Step::Begin);
            let went = match step {
                Step::Begin => {
                    let known = self.cache.iter().find(|(h, p, _)| (h, *p) == (&self.host, self.port));
                    let known = known.map(|(.., addresses)| addresses.clone());
                    self.step = if let Some(socket) = self.take_kept(run) {
                        self.addresses = known.unwrap_or_default();
                        self.ask(run, socket);
                        Step::Reading { socket }
                    } else if let Some(addresses) = known {
                        self.note(run, &format!("Hostname {} was found in DNS cache", self.host));
                        self.addresses = addresses;
                        run.wake_after(self.options.connect_timeout);
                        Step::Connect { index: 0 }
                    } else {
                        Step::Looking(Box::new(Lookup::new(run, &self.host, true)))
                    };
                    true
                }
                Step::Looking(mut lookup) => match lookup.run(run) {
                    None => {
                        self.step = Step::Looking(lookup);
                        false
                    }
                    Some(Ok(addresses)) => {
                        self.times.lookup = run.now().since(begun);
                        self.cache.push((self.host.clone(), self.port, addresses.clone()));
                        self.addresses = addresses;
                        run.wake_after(self.options.connect_timeout);
                        self.step = Step::Connect { index: 0 };
                        true
                    }
                    Some(Err(NoAddress::NotModelled(why))) => return Some(self.fail(run, 1, &why)),
                    Some(Err(_)) => {
                        let text = format!("Could not resolve host: {}", self.host);
                        self.note(run, &text);
                        self.note_closing(run);
                        return Some(self.fail(run, code::RESOLVE, &text));
                    }
                },
                Step::Connect { index } => match self.connect(run, index, begun) {
                    Ok(socket) => {
                        self.step = Step::Connecting { socket, index };
                        true
                    }
                    Err(Some(status)) => return Some(status),
                    Err(None) => {
                        self.step = Step::Connect { index: index + 1 };
                        true
                    }
                },
                Step::Connecting { socket, index } => match connect::stands(run, socket) {
                    None => {
                        let waited = run.now().since(begun).saturating_sub(self.times.lookup);
                        if waited >= self.options.connect_timeout {
                            run.close_tcp(socket);
                            let text = self.not_connected(run, begun, "Timeout was reached");
                            return Some(self.fail(run, code::TIMEOUT, &text));
                        }
                        self.step = Step::Connecting { socket, index };
                        false
                    }
                    Some(Ok(())) => {
                        self.connected(run, socket, begun);
                        self.step = Step::Reading { socket };
                        true
                    }
                    Some(Err(errno)) => {
                        self.refused(run, index, errno);
                        self.step = Step::Connect { index: index + 1 };
                        true
                    }
                },
                Step::Reading { socket } => {
                    if let Some(status) = self.read(run, socket, begun) {
                        return Some(status);
                    }
                    self.step = Step::Reading { socket };
                    false
                }
            };
            if !went {
                return self.late(run, begun);
            }
        }
    }

    /// A connection to the same host and port that is still open.
    fn take_kept(&mut self, run: &mut Run<'_, '_>) -> Option<SocketId> {
        let at = self.kept.iter().position(|k| (&k.host, k.port) == (&self.host, self.port))?;
        let kept = self.kept.remove(at);
        let idle = run.kernel(|ns, _| matches!(ns.tcp_recv(kept.socket), Received::Nothing)) == Some(true);
        // curl prints where in memory the bundle is; here there is no such place.
        self.note(run, "Found bundle for host: 0x0 [serially]");
        if !idle {
            self.note(run, &format!("Connection {} seems to be dead!", kept.number));
            self.note(run, &format!("Closing connection {}", kept.number));
            run.close_tcp(kept.socket);
            return None;
        }
        self.note(run, "Can not multiplex, even if we wanted to");
        self.note(run, &format!("Re-using existing connection #{} with host {}", kept.number, self.host));
        (self.number, self.reused, self.local_end) = (kept.number, true, kept.local);
        Some(kept.socket)
    }

    fn not_connected(&self, run: &Run<'_, '_>, begun: Instant, why: &str) -> String {
        let ms = run.now().since(begun).as_millis();
        format!("Failed to connect to {} port {} after {ms} ms: {why}", self.host, self.port)
    }

    /// The next address; `Err(None)` if another may be tried.
    fn connect(
        &mut self,
        run: &mut Run<'_, '_>,
        index: usize,
        begun: Instant,
    ) -> Result<SocketId, Option<i32>> {
        let Some(addr) = self.addresses.get(index).copied() else {
            let text = self.not_connected(run, begun, "Couldn't connect to server");
            self.note(run, &text);
            self.note_closing(run);
            return Err(Some(self.fail(run, code::CONNECT, &text)));
        };
        if index == 0 {
            self.number = self.connections;
            self.connections += 1;
        }
        self.note(run, &format!("  Trying {addr}:{}...", self.port));
        if self.options.local.1 != 0 {
            self.note(run, &format!("Local port: {}", self.options.local.1));
        }
        let own = self.options.local.0;
        match connect::begin(run, self.options.local, (addr, self.port)) {
            Ok(socket) => Ok(socket),
            Err(_) if run.kernel(|ns, _| ns.may_bind(own)) == Some(false) => {
                let text = format!("bind failed with errno 99: {}", Errno::EADDRNOTAVAIL.text());
                self.note(run, &format!("Name '{own}' family 2 resolved to '{own}' family 2"));
                self.note(run, &text);
                let why = self.not_connected(run, begun, "Failed binding local connection end");
                self.note(run, &why);
                self.note_closing(run);
                Err(Some(self.fail(run, code::INTERFACE, &text)))
            }
            Err(Errno::EADDRNOTAVAIL | Errno::EADDRINUSE)
                if self.options.local != (Ipv4Addr::UNSPECIFIED, 0) =>
            {
                let text = format!("bind failed with errno 98: {}", Errno::EADDRINUSE.text());
                self.note(run, &text);
                Err(Some(self.fail(run, code::INTERFACE, &text)))
            }
            Err(errno) => {
                self.note(run, &format!("Immediate connect fail for {addr}: {}", errno.text()));
                Err(None)
            }
        }
    }

    fn refused(&self, run: &mut Run<'_, '_>, index: usize, errno: Errno) {
        if let Some(addr) = self.addresses.get(index) {
            self.note(run, &format!("connect to {addr} port {} failed: {}", self.port, errno.text()));
        }
    }

    fn connected(&mut self, run: &mut Run<'_, '_>, socket: SocketId, begun: Instant) {
        self.times.connect = run.now().since(begun);
        let ends = run.kernel(|ns, _| ns.tcp_info(socket)).flatten();
        self.local_end = ends.map(|(_, local, _)| local);
        let remote = ends.map_or(Ipv4Addr::UNSPECIFIED, |(.., remote)| remote.0);
        let number = self.number;
        self.note(run, &format!("Connected to {} ({remote}) port {} (#{number})", self.host, self.port));
        self.ask(run, socket);
    }

    /// Sends the request.
    fn ask(&self, run: &mut Run<'_, '_>, socket: SocketId) {
        let method = self.options.method.as_deref().unwrap_or(if self.options.head { "HEAD" } else { "GET" });
        let own: Vec<(&str, &str)> = self.options.headers.iter().filter_map(|h| h.split_once(':')).collect();
        let port = if self.port == 80 { String::new() } else { format!(":{}", self.port) };
        let mut lines = vec![format!("{method} {} HTTP/1.1", self.path)];
        for (name, usual) in [
            ("Host", format!(" {}{port}", self.host)),
            ("User-Agent", format!(" {}", self.options.agent)),
            ("Accept", " */*".to_owned()),
        ] {
            // What is given takes its place: a host stands first all the same, the others stand with the rest.
            match own.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
                None => lines.push(format!("{name}:{usual}")),
                Some((_, value)) if name == "Host" && !value.is_empty() => {
                    lines.push(format!("Host:{value}"))
                }
                Some(_) => {}
            }
        }
        // One without a value takes the usual one away.
        let others = own.iter().filter(|(n, value)| !n.eq_ignore_ascii_case("Host") && !value.is_empty());
        lines.extend(others.map(|(n, value)| format!("{n}:{value}")));
        lines.push(String::new());
        if self.options.verbose {
            for line in &lines {
                run.complain(format!("> {line}\r"));
            }
        }
        let request = lines.iter().map(|l| format!("{l}\r\n")).collect::<String>().into_bytes();
        run.kernel(|ns, kcx| {
            let _ = ns.tcp_send(socket, &request, kcx);
        });
    }

    /// Reads what there is; `Some` ends the transfer.
    fn read(&mut self, run: &mut Run<'_, '_>, socket: SocketId, begun: Instant) -> Option<i32> {
        loop {
            match run.kernel(|ns, _| ns.tcp_recv(socket))? {
                Received::Data(data) => {
                    if self.answer.bytes.is_empty() {
                        self.times.first = run.now().since(begun);
                    }
                    self.answer.bytes.extend(data);
                    if self.answer.body.is_none() && self.answer.head() {
                        self.print_head(run);
                    }
                    if self.answer.bytes.len() >= 5 && !self.answer.bytes.starts_with(b"HTTP/") {
                        run.close_tcp(socket);
                        self.note(run, "Received HTTP/0.9 when not allowed");
                        self.note_closing(run);
                        let text = "Received HTTP/0.9 when not allowed";
                        return Some(self.fail(run, code::UNSUPPORTED_PROTOCOL, text));
                    }
                    if self.options.fail && self.answer.body.is_some() && self.answer.status >= 400 {
                        run.close_tcp(socket);
                        let text = format!("The requested URL returned error: {}", self.answer.status);
                        self.note(run, &text);
                        return Some(self.fail(run, code::HTTP_ERROR, &text));
                    }
                    if self.answer.whole(self.options.head) {
                        return Some(self.finish(run, socket));
                    }
                }
                Received::Nothing => return None,
                Received::Eof => return Some(self.ended(run, socket)),
                Received::Error(errno) => {
                    run.close_tcp(socket);
                    let text = format!("Recv failure: {}", errno.text());
                    self.note(run, &text);
                    self.note_closing(run);
                    self.print_body(run);
                    return Some(self.fail(run, code::RECV, &text));
                }
            }
        }
    }

    /// The server has closed.
    fn ended(&mut self, run: &mut Run<'_, '_>, socket: SocketId) -> i32 {
        if self.answer.body.is_none() {
            run.close_tcp(socket);
            let (status, text) = if self.answer.bytes.is_empty() {
                (code::EMPTY, "Empty reply from server")
            } else {
                (code::RECV, "Recv failure: Connection reset by peer")
            };
            self.note(run, text);
            self.note_closing(run);
            return self.fail(run, status, text);
        }
        let missing = self.answer.length.unwrap_or(0).saturating_sub(self.answer.body_len());
        if missing > 0 && !self.options.head {
            run.close_tcp(socket);
            let text = format!("transfer closed with {missing} bytes remaining to read");
            self.note(run, &text);
            self.note_closing(run);
            self.print_body(run);
            return self.fail(run, code::PARTIAL, &text);
        }
        self.finish(run, socket)
    }

    fn finish(&mut self, run: &mut Run<'_, '_>, socket: SocketId) -> i32 {
        if self.answer.body_len() > 0 && self.options.verbose && !self.options.head {
            run.complain(format!("{{ [{} bytes data]", self.answer.body_len()));
        }
        self.print_body(run);
        let no_end = self.answer.length.is_none() && !self.options.head;
        let closes = self.answer.closes || no_end;
        match closes {
            true => self.note_closing(run),
            false => {
                let text = format!("Connection #{} to host {} left intact", self.number, self.host);
                self.note(run, &text);
            }
        }
        if closes || self.done + 1 == self.targets.len() {
            run.close_tcp(socket);
        } else {
            let (host, local) = (self.host.clone(), self.local_end);
            self.kept.push(Kept { number: self.number, host, port: self.port, socket, local });
        }
        self.write_out(run, 0, "");
        0
    }

    /// The time of `--max-time` is over.
    fn late(&mut self, run: &mut Run<'_, '_>, begun: Instant) -> Option<i32> {
        let limit = self.options.max_time?;
        let took = run.now().since(begun);
        if took < limit {
            return None;
        }
        let ms = took.as_millis();
        let text = match &self.step {
            Step::Begin | Step::Looking(_) => format!("Resolving timed out after {ms} milliseconds"),
            Step::Connect { .. } => format!("Connection timed out after {ms} milliseconds"),
            Step::Connecting { socket, .. } => {
                run.close_tcp(*socket);
                format!("Connection timed out after {ms} milliseconds")
            }
            Step::Reading { socket } => {
                run.close_tcp(*socket);
                let got = self.answer.body_len();
                match self.answer.length {
                    Some(all) => {
                        format!(
                            "Operation timed out after {ms} milliseconds with {got} out of {all} bytes received"
                        )
                    }
                    None => format!("Operation timed out after {ms} milliseconds with {got} bytes received"),
                }
            }
        };
        self.note(run, &text);
        self.note_closing(run);
        self.print_body(run);
        Some(self.fail(run, code::TIMEOUT, &text))
    }
}
