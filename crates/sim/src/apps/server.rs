//! Servers: they say whom they saw, or nothing.

use super::{AppCx, AppEvent, Endpoint, Outcome};
use crate::scenario::ServerMode;
use crate::world::{SYSCALL_TIME, TURN};
use kernel::socket::Received;
use kernel::{Instant, NetnsId, SocketId};

/// A TCP server.
#[derive(Clone, Debug)]
pub struct TcpServer {
    pub(crate) host: NetnsId,
    bind: Endpoint,
    mode: ServerMode,
    closes: bool,
    listener: Option<SocketId>,
    open: Vec<(SocketId, Endpoint)>,
    /// Answered, to be closed by the next call.
    closing: Option<SocketId>,
}

impl TcpServer {
    /// A server that answers `HOST saw CLIENT REQUEST`, or nothing; with `closes` it closes after its answer.
    pub fn new(host: NetnsId, bind: Endpoint, mode: ServerMode, closes: bool) -> TcpServer {
        TcpServer { host, bind, mode, closes, listener: None, open: Vec::new(), closing: None }
    }

    pub(super) fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
        let (host, server) = (self.host, self.bind);
        let listener = match self.listener {
            Some(l) => l,
            None => match cx.with(host, |ns, _| ns.tcp_listen(server))? {
                Ok(l) => {
                    cx.world.own(host, l, cx.id);
                    self.listener = Some(l);
                    l
                }
                Err(errno) => {
                    cx.report(host, AppEvent::ServerError { tcp: true, server, errno });
                    return Some(Outcome::None);
                }
            },
        };
        if let Some(id) = self.closing.take() {
            cx.with(host, |ns, kcx| ns.tcp_close(id, kcx));
        }
        while let Some(Some(id)) = cx.with(host, |ns, _| ns.tcp_accept(listener)) {
            let info = cx.with(host, |ns, _| ns.tcp_info(id)).flatten();
            if let Some((_, local, from)) = info {
                cx.report(host, AppEvent::Accept { server, from, local });
                cx.world.own(host, id, cx.id);
                self.open.push((id, from));
            }
        }
        let mut still_open = Vec::new();
        for (id, from) in std::mem::take(&mut self.open) {
            if self.serve(id, from, cx) {
                still_open.push((id, from));
            } else {
                cx.world.disown(host, id);
            }
        }
        self.open = still_open;
        None
    }

    /// False if the connection is finished.
    fn serve(&mut self, id: SocketId, from: Endpoint, cx: &mut AppCx<'_>) -> bool {
        let (host, server) = (self.host, self.bind);
        loop {
            match cx.with(host, |ns, _| ns.tcp_recv(id)) {
                Some(Received::Data(data)) => {
                    if self.mode == ServerMode::Sink {
                        continue;
                    }
                    let (closes, mode) = (self.closes, self.mode);
                    cx.with(host, |ns, kcx| {
                        let answer = match mode {
                            ServerMode::Http => http(&ns.name, from, &data),
                            _ => answer(&ns.name, from, &data),
                        };
                        let _ = ns.tcp_send(id, &answer, kcx);
                    });
                    if closes {
                        self.closing = Some(id);
                        cx.go_on_at(cx.now() + SYSCALL_TIME);
                        return false;
                    }
                }
                Some(Received::Nothing) => return true,
                Some(Received::Error(errno)) => {
                    cx.report(host, AppEvent::ServerError { tcp: true, server, errno });
                    cx.with(host, |ns, kcx| ns.tcp_close(id, kcx));
                    return false;
                }
                Some(Received::Eof) | None => {
                    cx.with(host, |ns, kcx| ns.tcp_close(id, kcx));
                    return false;
                }
            }
        }
    }
}

fn answer(host: &str, from: Endpoint, request: &[u8]) -> Vec<u8> {
    let mut text = format!("{host} saw {}:{} ", from.0, from.1).into_bytes();
    text.extend_from_slice(request);
    text
}

/// An HTTP answer.
fn http(host: &str, from: Endpoint, request: &[u8]) -> Vec<u8> {
    let (status, body) = if request.starts_with(b"GET / ") {
        ("200 OK", format!("hello from {host}, you are {}\n", from.0))
    } else {
        ("404 Not Found", "not found\n".to_owned())
    };
    let len = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n{body}")
        .into_bytes()
}

/// A UDP server.
#[derive(Clone, Debug)]
pub struct UdpServer {
    pub(crate) host: NetnsId,
    bind: Endpoint,
    mode: ServerMode,
    socket: Option<SocketId>,
    busy_until: Instant,
}

impl UdpServer {
    /// A server that answers `HOST saw CLIENT REQUEST` from the address that was asked, or nothing.
    pub fn new(host: NetnsId, bind: Endpoint, mode: ServerMode) -> UdpServer {
        UdpServer { host, bind, mode, socket: None, busy_until: Instant(0) }
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
        if let Some(Some(d)) = cx.with(host, |ns, _| ns.udp_recv(socket)) {
            // One datagram at a time: the kernel is done with the answer before the next one is read.
            self.busy_until = cx.now() + TURN;
            cx.wake_at(self.busy_until);
            cx.report(host, AppEvent::Datagram { server, from: d.from, to: d.to, len: d.payload.len() });
            if self.mode == ServerMode::Sink {
                return None;
            }
            let sent = cx.with(host, |ns, kcx| {
                let text = answer(&ns.name, d.from, &d.payload);
                ns.udp_send(socket, Some(d.from), Some(d.to), text, kcx)
            });
            if let Some(Err(errno)) = sent {
                cx.report(host, AppEvent::SendError { server, errno });
            }
        }
        while let Some(Some(e)) = cx.with(host, |ns, _| ns.take_error(socket)) {
            cx.report(host, AppEvent::ServerError { tcp: false, server, errno: e.errno });
        }
        None
    }
}
