//! nc of OpenBSD (Debian 1.219).

use super::args::{Args, Mistake, millis, not_modelled};
use super::resolve::Lookup;
use super::{Program, Run, connect};
use crate::operator::CommandOutput;
use kernel::socket::{Errno, Received};
use kernel::{Instant, SocketId};
use packet::Protocol;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

const USAGE: &str = "usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]
\t  [-m minttl] [-O length] [-P proxy_username] [-p source_port]
\t  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]
\t  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]
\t  [destination] [port]";

#[derive(Clone, Debug)]
struct Nc {
    udp: bool,
    listen: bool,
    scan: bool,
    verbose: bool,
    wait: Option<Duration>,
    local: (Ipv4Addr, u16),
    host: String,
    port: u16,
    /// The host's addresses that were not tried yet.
    left: VecDeque<Ipv4Addr>,
    step: Step,
    /// When nothing has happened for the time of `-w`.
    idle: Option<Instant>,
    heard: bool,
    /// Standard input, which is sent once there is somebody.
    input: Vec<u8>,
    /// `-N`: then the connection is closed for writing.
    shuts: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Looking(Box<Lookup>),
    Connecting(SocketId, Ipv4Addr),
    Listening(SocketId),
    Tcp(SocketId),
    Udp(SocketId),
}

pub(super) fn parse(argv: &[String], stdin: &str) -> Result<Box<dyn Program>, CommandOutput> {
    let args = Args::read(argv, "ulzvnN4d", "wpsq", &[], false).map_err(|mistake| match mistake {
        Mistake::Unknown(o) if "6CDFhkrStUZIimMOPTVWxX".contains(o.as_str()) && o.len() == 1 => {
            not_modelled("nc", &format!("-{o}"))
        }
        Mistake::Unknown(o) => CommandOutput::failed(
            1,
            format!("nc: invalid option -- '{}'\n{USAGE}", o.trim_start_matches('-')),
        ),
        Mistake::NeedsValue(o) => {
            CommandOutput::failed(1, format!("nc: option requires an argument -- '{o}'\n{USAGE}"))
        }
    })?;
    let proto = if args.has(&["u"]) { Protocol::UDP } else { Protocol::TCP };
    let port = |text: &str| match (userland::service(text, proto), text.parse::<u16>()) {
        (Some(port), _) => Ok(port),
        (None, Ok(port)) if port > 0 => Ok(port),
        _ => Err(CommandOutput::failed(1, format!("nc: port number invalid: {text}"))),
    };
    let listen = args.has(&["l"]);
    let source_port = args.value(&["p"]).map(port).transpose()?;
    let source = match args.value(&["s"]).map(str::parse) {
        None => Ipv4Addr::UNSPECIFIED,
        Some(Ok(addr)) => addr,
        Some(Err(_)) => return Err(not_modelled("nc", "-s with a name")),
    };
    let wait = match args.value(&["w"]) {
        None => None,
        Some(text) => match millis(text) {
            Some(ms) => Some(Duration::from_millis(ms)),
            None => return Err(CommandOutput::failed(1, format!("nc: timeout invalid: {text}"))),
        },
    };
    let (host, number, local) = match (listen, args.rest.as_slice()) {
        (true, []) if source_port.is_some() => (String::new(), 0, (source, source_port.unwrap_or(0))),
        (true, [p]) => (String::new(), 0, (source, port(p)?)),
        (true, [addr, p]) => match addr.parse() {
            Ok(addr) => (String::new(), 0, (addr, port(p)?)),
            Err(_) => return Err(not_modelled("nc", "-l with a name")),
        },
        (false, [host, p]) if p.contains('-') && userland::service(p, proto).is_none() => {
            return Err(not_modelled("nc", &format!("a range of ports ({host} {p})")));
        }
        (false, [host, p]) => (host.clone(), port(p)?, (source, source_port.unwrap_or(0))),
        _ => return Err(CommandOutput::failed(1, USAGE)),
    };
    Ok(Box::new(Nc {
        udp: proto == Protocol::UDP,
        listen,
        scan: args.has(&["z"]),
        verbose: args.has(&["v"]),
        wait,
        local,
        host,
        port: number,
        left: VecDeque::new(),
        step: Step::Begin,
        idle: None,
        heard: false,
        input: stdin.as_bytes().to_vec(),
        shuts: args.has(&["N"]),
    }))
}

impl Program for Nc {
    fn name(&self) -> &str {
        "nc"
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        loop {
            match self.step.clone() {
                Step::Begin if self.listen => self.begin_to_listen(run)?,
                Step::Begin => {
                    self.step = Step::Looking(Box::new(Lookup::new(run, &self.host, true)));
                }
                Step::Looking(mut lookup) => {
                    let found = lookup.run(run);
                    self.step = Step::Looking(lookup);
                    match found? {
                        Ok(addresses) => {
                            self.left = addresses.into();
                            let addr = self.left.pop_front().unwrap_or(Ipv4Addr::UNSPECIFIED);
                            if let Some(status) = self.begin(run, addr) {
                                return Some(status);
                            }
                        }
                        Err(why) => {
                            let (host, port) = (&self.host, self.port);
                            run.complain(format!(
                                "nc: getaddrinfo for host \"{host}\" port {port}: {}",
                                why.text()
                            ));
                            return Some(1);
                        }
                    }
                }
                Step::Connecting(socket, addr) => match connect::stands(run, socket) {
                    None if self.idle.is_some_and(|at| run.now() >= at) => {
                        run.close_tcp(socket);
                        let ended = self.failed(run, addr, "timed out: Operation now in progress");
                        if ended.is_some() {
                            return ended;
                        }
                    }
                    None => return None,
                    Some(Err(errno)) => {
                        let ended = self.failed(run, addr, &format!("failed: {}", errno.text()));
                        if ended.is_some() {
                            return ended;
                        }
                    }
                    Some(Ok(())) => {
                        self.succeeded(run);
                        if self.scan {
                            run.close_tcp(socket);
                            return Some(0);
                        }
                        self.send_input(run, socket);
                        self.step = Step::Tcp(socket);
                        self.wait_on(run);
                    }
                },
                Step::Listening(socket) if self.udp => return self.hear(run, socket),
                Step::Listening(listener) => {
                    let socket = run.kernel(|ns, _| ns.tcp_accept(listener)).flatten()?;
                    run.own(socket);
                    if self.verbose {
                        let from = run.kernel(|ns, _| ns.tcp_info(socket)).flatten().map(|(.., from)| from);
                        let (addr, port) = from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
                        run.complain(format!("Connection received on {addr} {port}"));
                    }
                    run.close(listener);
                    self.send_input(run, socket);
                    self.step = Step::Tcp(socket);
                }
                Step::Tcp(socket) => return self.talk(run, socket),
                Step::Udp(socket) => return self.hear(run, socket),
            }
        }
    }
}

impl Nc {
    fn wait_on(&mut self, run: &mut Run<'_, '_>) {
        if let Some(wait) = self.wait {
            self.idle = Some(run.wake_after(wait));
        }
    }

    fn begin_to_listen(&mut self, run: &mut Run<'_, '_>) -> Option<()> {
        let (local, udp) = (self.local, self.udp);
        let made = run.kernel(|ns, kcx| if udp { ns.udp_bind(local, kcx) } else { ns.tcp_listen(local) });
        let socket = made.and_then(Result::ok)?;
        run.own(socket);
        run.kernel(|ns, _| ns.tcp_backlog(socket, 1));
        if self.verbose {
            let word = if udp { "Bound" } else { "Listening" };
            run.complain(format!("{word} on {} {}", local.0, local.1));
        }
        self.step = Step::Listening(socket);
        Some(())
    }

    /// Begins to speak with an address; `Some` ends it.
    fn begin(&mut self, run: &mut Run<'_, '_>, addr: Ipv4Addr) -> Option<i32> {
        let (local, to) = (self.local, (addr, self.port));
        if !self.udp {
            return match connect::begin(run, local, to) {
                Ok(socket) => {
                    self.step = Step::Connecting(socket, addr);
                    self.wait_on(run);
                    None
                }
                Err(errno) => self.failed(run, addr, &format!("failed: {}", errno.text())),
            };
        }
        let made = run.kernel(|ns, kcx| {
            let socket = ns.udp_bind(local, kcx)?;
            ns.udp_connect(socket, to)?;
            Ok::<_, Errno>(socket)
        });
        match made {
            Some(Ok(socket)) => {
                run.own(socket);
                self.step = Step::Udp(socket);
                self.wait_on(run);
                let input = std::mem::take(&mut self.input);
                if !input.is_empty() && !self.scan {
                    run.kernel(|ns, kcx| {
                        let _ = ns.udp_send(socket, None, None, input, kcx);
                    });
                }
                if self.scan {
                    // A port is probed with single letters; silence counts as open (`udptest`).
                    run.kernel(|ns, kcx| {
                        let _ = ns.udp_send(socket, None, None, b"X".to_vec(), kcx);
                    });
                    self.idle = Some(run.wake_after(Duration::from_secs(1)));
                }
                None
            }
            Some(Err(errno)) => self.failed(run, addr, &format!("failed: {}", errno.text())),
            None => Some(1),
        }
    }

    /// Sends what stands on standard input.
    fn send_input(&mut self, run: &mut Run<'_, '_>, socket: SocketId) {
        let input = std::mem::take(&mut self.input);
        if !input.is_empty() {
            run.kernel(|ns, kcx| {
                let _ = ns.tcp_send(socket, &input, kcx);
            });
        }
        if self.shuts {
            run.kernel(|ns, kcx| ns.tcp_shutdown(socket, kcx));
        }
    }

    /// An address is not reached: goes on with the next one; `Some` ends it.
    fn failed(&mut self, run: &mut Run<'_, '_>, addr: Ipv4Addr, how: &str) -> Option<i32> {
        if self.verbose {
            let name = if self.host.parse::<Ipv4Addr>().is_ok() {
                self.host.clone()
            } else {
                format!("{} ({addr})", self.host)
            };
            let proto = if self.udp { "udp" } else { "tcp" };
            run.complain(format!("nc: connect to {name} port {} ({proto}) {how}", self.port));
        }
        match self.left.pop_front() {
            Some(next) => self.begin(run, next),
            None => Some(1),
        }
    }

    fn succeeded(&self, run: &mut Run<'_, '_>) {
        if self.verbose {
            let proto = if self.udp { Protocol::UDP } else { Protocol::TCP };
            let name = userland::service_name(self.port, proto).unwrap_or("*");
            run.complain(format!(
                "Connection to {} {} port [{proto}/{name}] succeeded!",
                self.host, self.port
            ));
        }
    }

    fn talk(&mut self, run: &mut Run<'_, '_>, socket: SocketId) -> Option<i32> {
        loop {
            match run.kernel(|ns, _| ns.tcp_recv(socket))? {
                Received::Data(data) => {
                    print_lines(run, &data);
                    self.wait_on(run);
                }
                Received::Nothing => {
                    let late = self.idle.is_some_and(|at| run.now() >= at);
                    if late {
                        run.close_tcp(socket);
                    }
                    return late.then_some(0);
                }
                Received::Eof | Received::Error(_) => {
                    run.close_tcp(socket);
                    return Some(0);
                }
            }
        }
    }

    fn hear(&mut self, run: &mut Run<'_, '_>, socket: SocketId) -> Option<i32> {
        if run.kernel(|ns, _| ns.take_error(socket)).flatten().is_some() {
            run.close(socket);
            return Some(1);
        }
        while let Some(Some(d)) = run.kernel(|ns, _| ns.udp_recv(socket)) {
            if self.listen && self.verbose && !self.heard {
                run.complain(format!("Connection received on {} {}", d.from.0, d.from.1));
            }
            self.heard = true;
            print_lines(run, &d.payload);
            self.wait_on(run);
        }
        if self.idle.is_some_and(|at| run.now() >= at) {
            run.close(socket);
            if self.scan {
                self.succeeded(run);
            }
            return Some(0);
        }
        None
    }
}

fn print_lines(run: &mut Run<'_, '_>, data: &[u8]) {
    run.print_text(&String::from_utf8_lossy(data));
}
