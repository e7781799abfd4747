//! A query that is sent on to another server, over UDP or TCP, and the sockets that are kept for the next one.

use crate::programs::Run;
use crate::programs::dns_stream::{Lost, Stream};
use kernel::socket::Errno;
use kernel::{Instant, SocketId};
use packet::Dns;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long a socket is kept for the next query (plugin/pkg/proxy, `defaultExpire`), and how often those are looked at.
const EXPIRE: Duration = Duration::from_secs(10);

/// How it was sent on: as it came in.
#[derive(Clone, Debug)]
pub(super) enum Upstream {
    Udp(SocketId),
    Tcp(Stream),
}

impl Upstream {
    /// The answer to a query; `None` while it is waited for.
    pub(super) fn listen(&mut self, run: &mut Run<'_, '_>, id: u16) -> Option<Result<Dns, Failure>> {
        loop {
            let message = match self {
                Upstream::Udp(socket) => {
                    let socket = *socket;
                    if let Some(e) = run.kernel(|ns, _| ns.take_error(socket)).flatten() {
                        return Some(Err(Failure::Read(e.errno)));
                    }
                    run.kernel(|ns, _| ns.udp_recv(socket)).flatten()?.payload.to_vec()
                }
                Upstream::Tcp(stream) => match stream.next(run)? {
                    Ok(message) => message,
                    Err(Lost::Connect(errno)) => return Some(Err(Failure::Dial(errno))),
                    Err(Lost::Broken(errno)) => return Some(Err(Failure::Read(errno))),
                    Err(Lost::Eof) => return Some(Err(Failure::Eof)),
                },
            };
            if let Some(answer) = Dns::parse(&message).filter(|a| a.response && a.id == id) {
                return Some(Ok(answer));
            }
        }
    }

    /// Sends one more query. False if the server had closed the connection: it is to be asked by another.
    fn say(&mut self, run: &mut Run<'_, '_>, query: &Dns) -> Result<bool, Errno> {
        let bytes = query.to_bytes();
        match self {
            Upstream::Udp(socket) => {
                let socket = *socket;
                let sent = run.kernel(|ns, kcx| ns.udp_send(socket, None, None, bytes, kcx));
                sent.unwrap_or(Err(Errno::EINVAL)).map(|_| true)
            }
            Upstream::Tcp(stream) => Ok(!stream.say(run, &bytes)),
        }
    }

    pub(super) fn close(self, run: &mut Run<'_, '_>) {
        match self {
            Upstream::Udp(socket) => run.close(socket),
            Upstream::Tcp(stream) => stream.close(run),
        }
    }
}

/// Why a server has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Dial(Errno),
    Read(Errno),
    Eof,
    Timeout,
}

impl Failure {
    /// As Go words it.
    pub(super) fn text(self, proto: &str, local: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> String {
        let ((a, b), (c, d)) = (local, to);
        let read = |why: &str| format!("read {proto} {a}:{b}->{c}:{d}: {why}");
        match self {
            Failure::Dial(errno) => {
                format!("dial {proto} {c}:{d}: connect: {}", errno.text().to_ascii_lowercase())
            }
            Failure::Read(errno) => read(&format!("read: {}", errno.text().to_ascii_lowercase())),
            Failure::Eof => "EOF".to_owned(),
            Failure::Timeout => read("i/o timeout"),
        }
    }
}

/// Sends a query from a socket of its own.
pub(super) fn datagram(run: &mut Run<'_, '_>, to: (Ipv4Addr, u16), query: &Dns) -> Result<Upstream, Errno> {
    let bytes = query.to_bytes();
    let sent = run.kernel(|ns, kcx| {
        let socket = ns.udp_bind((Ipv4Addr::UNSPECIFIED, 0), kcx)?;
        let done = ns.udp_connect(socket, to).and_then(|()| ns.udp_send(socket, None, None, bytes, kcx));
        if let Err(errno) = done {
            ns.close(socket);
            return Err(errno);
        }
        Ok(socket)
    });
    let socket = sent.unwrap_or(Err(Errno::EINVAL))?;
    run.own(socket);
    Ok(Upstream::Udp(socket))
}

/// A server that is asked: the block whose `forward` it stands in, its address, and whether over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub block: usize,
    pub to: (Ipv4Addr, u16),
    pub tcp: bool,
}

#[derive(Clone, Debug)]
struct Idle {
    line: Line,
    way: Upstream,
    used: Instant,
}

/// Sockets that wait for the next query (plugin/pkg/proxy, `Transport`).
#[derive(Clone, Debug)]
pub(super) struct Pool {
    /// In the order in which they were used.
    idle: Vec<Idle>,
    /// When those that nobody has used for long are closed the next time.
    next: Instant,
}

impl Pool {
    /// Of a server that begins now.
    pub(super) fn new(now: Instant) -> Pool {
        Pool { idle: Vec::new(), next: now + EXPIRE }
    }

    /// Sends a query by the socket that was used last. `None` if none is left; `Err` closes it.
    pub(super) fn ask(
        &mut self,
        run: &mut Run<'_, '_>,
        line: Line,
        query: &Dns,
    ) -> Option<Result<Upstream, Errno>> {
        loop {
            let at = self.idle.iter().rposition(|i| i.line == line)?;
            if run.now().since(self.idle.get(at)?.used) >= EXPIRE {
                self.close(run, |i| i.line == line);
                return None;
            }
            let Idle { mut way, .. } = self.idle.remove(at);
            match way.say(run, query) {
                Ok(true) => return Some(Ok(way)),
                Ok(false) => way.close(run),
                Err(errno) => {
                    way.close(run);
                    return Some(Err(errno));
                }
            }
        }
    }

    /// A socket whose query is answered.
    pub(super) fn give(&mut self, run: &mut Run<'_, '_>, line: Line, way: Upstream) {
        self.look(run);
        self.idle.push(Idle { line, way, used: run.now() });
        run.wake_at(self.next);
    }

    /// Closes sockets if it is time to.
    pub(super) fn look(&mut self, run: &mut Run<'_, '_>) {
        let now = run.now();
        if now < self.next {
            return;
        }
        let late = now.since(self.next).as_secs() / EXPIRE.as_secs();
        self.next = self.next + Duration::from_secs(late * EXPIRE.as_secs());
        let tick = self.next;
        self.close(run, |i| tick.since(i.used) >= EXPIRE);
        self.next = self.next + EXPIRE;
        if !self.idle.is_empty() {
            run.wake_at(self.next);
        }
    }

    fn close(&mut self, run: &mut Run<'_, '_>, which: impl Fn(&Idle) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.idle).into_iter().partition(which);
        self.idle = kept;
        let gone: Vec<Idle> = gone;
        gone.into_iter().for_each(|i| i.way.close(run));
    }
}
