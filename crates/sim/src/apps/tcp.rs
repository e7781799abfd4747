//! A TCP client: connects, asks, waits for the answer, closes.

use super::{AppCx, AppEvent, Endpoint, Outcome, Reply};
use crate::scenario::CloseHow;
use kernel::socket::{Received, TcpStatus};
use kernel::{Instant, NetnsId, SocketId};
use std::time::Duration;

/// A TCP client.
#[derive(Clone, Debug)]
pub struct TcpClient {
    pub(crate) host: NetnsId,
    src: Endpoint,
    dst: Endpoint,
    request: Vec<u8>,
    close: CloseHow,
    timeout: Duration,
    step: Step,
    reply: Option<Reply>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Connecting {
        socket: SocketId,
        since: Instant,
    },
    Waiting {
        socket: SocketId,
        since: Instant,
    },
    /// Got the answer, waits for the server to close.
    Ending {
        socket: SocketId,
        since: Instant,
    },
}

impl TcpClient {
    /// A client; an unspecified address or port 0 in `src` is chosen by the kernel. `timeout` holds for the
    /// connection, for the answer, and for the end.
    pub fn new(
        host: NetnsId,
        src: Endpoint,
        dst: Endpoint,
        request: Vec<u8>,
        close: CloseHow,
        timeout: Duration,
    ) -> TcpClient {
        TcpClient { host, src, dst, request, close, timeout, step: Step::Begin, reply: None }
    }

    pub(super) fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
        let host = self.host;
        if let Step::Begin = self.step {
            let (src, dst) = (self.src, self.dst);
            cx.report(host, AppEvent::Connect { tcp: true, to: dst });
            match cx.with(host, |ns, kcx| ns.tcp_connect(src, dst, kcx))? {
                Err(errno) => {
                    cx.report(host, AppEvent::Failed { to: dst, errno });
                    return Some(Outcome::Tcp { connect: Some(Err(errno)), reply: None });
                }
                Ok(socket) => {
                    cx.world.own(host, socket, cx.id);
                    self.step = Step::Connecting { socket, since: cx.now() };
                    cx.wake_at(cx.now() + self.timeout);
                    // The handshake may be over already, on loopback.
                }
            }
        }
        if let Step::Connecting { socket, since } = self.step {
            let outcome = self.connecting(socket, since, cx);
            if outcome.is_some() {
                return outcome;
            }
        }
        if let Step::Waiting { socket, since } = self.step {
            self.waiting(socket, since, cx);
            if self.reply.is_some() && self.close != CloseHow::Server {
                return Some(self.finish(socket, cx));
            }
        }
        if let Step::Ending { socket, since } = self.step {
            let eof = cx.with(host, |ns, _| ns.tcp_recv(socket)) == Some(Received::Eof);
            if eof || cx.now().since(since) >= self.timeout {
                return Some(self.finish(socket, cx));
            }
        }
        None
    }

    fn connecting(&mut self, socket: SocketId, since: Instant, cx: &mut AppCx<'_>) -> Option<Outcome> {
        let (host, to) = (self.host, self.dst);
        let status = cx.with(host, |ns, _| ns.tcp_info(socket)).flatten().map(|(s, ..)| s);
        match status {
            Some(TcpStatus::SynSent) if cx.now().since(since) < self.timeout => None,
            Some(TcpStatus::SynSent) => {
                let after_ms = millis(self.timeout);
                cx.report(host, AppEvent::TimedOut { to, connecting: true, after_ms });
                self.leave(socket, cx);
                Some(Outcome::Tcp { connect: None, reply: None })
            }
            Some(TcpStatus::Close) | None => {
                let error = cx.with(host, |ns, _| ns.take_error(socket)).flatten();
                self.leave(socket, cx);
                let errno = error.map(|e| e.errno);
                if let Some(errno) = errno {
                    cx.report(host, AppEvent::Failed { to, errno });
                }
                Some(Outcome::Tcp { connect: errno.map(Err), reply: None })
            }
            Some(_) => {
                // A careful program asks SO_ERROR whether connect() succeeded.
                if let Some(Some(errno)) = cx.with(host, |ns, _| ns.tcp_so_error(socket)) {
                    cx.report(host, AppEvent::Failed { to, errno });
                    let outcome = Outcome::Tcp { connect: Some(Err(errno)), reply: None };
                    self.finish(socket, cx);
                    return Some(outcome);
                }
                cx.report(host, AppEvent::Connected { to });
                let request = self.request.clone();
                cx.with(host, |ns, kcx| {
                    let _ = ns.tcp_send(socket, &request, kcx);
                });
                self.step = Step::Waiting { socket, since: cx.now() };
                cx.wake_at(cx.now() + self.timeout);
                None
            }
        }
    }

    fn waiting(&mut self, socket: SocketId, since: Instant, cx: &mut AppCx<'_>) {
        let (host, to) = (self.host, self.dst);
        let reply = match cx.with(host, |ns, _| ns.tcp_recv(socket)) {
            Some(Received::Data(data)) => {
                let text = String::from_utf8_lossy(&data).into_owned();
                cx.report(host, AppEvent::Reply { from: to, text });
                Reply::Data(data)
            }
            Some(Received::Error(errno)) => {
                cx.report(host, AppEvent::Failed { to, errno });
                Reply::Error(errno)
            }
            Some(Received::Eof) | None => Reply::Eof,
            Some(Received::Nothing) if cx.now().since(since) >= self.timeout => {
                let after_ms = millis(self.timeout);
                cx.report(host, AppEvent::TimedOut { to, connecting: false, after_ms });
                Reply::Timeout
            }
            Some(Received::Nothing) => return,
        };
        self.reply = Some(reply);
        if self.close == CloseHow::Server {
            self.step = Step::Ending { socket, since: cx.now() };
            cx.wake_at(cx.now() + self.timeout);
        }
    }

    /// Closes a socket that never connected, unless it is to be kept.
    fn leave(&self, socket: SocketId, cx: &mut AppCx<'_>) {
        if self.close == CloseHow::Hold {
            cx.world.hold(self.host, socket);
        } else {
            cx.with(self.host, |ns, kcx| ns.tcp_close(socket, kcx));
        }
        cx.world.disown(self.host, socket);
    }

    fn finish(&mut self, socket: SocketId, cx: &mut AppCx<'_>) -> Outcome {
        let how = self.close;
        cx.with(self.host, |ns, kcx| match how {
            CloseHow::Reset => ns.tcp_reset(socket, kcx),
            CloseHow::Client | CloseHow::Server => ns.tcp_close(socket, kcx),
            CloseHow::Hold => {}
        });
        if how == CloseHow::Hold {
            cx.world.hold(self.host, socket);
        }
        cx.world.disown(self.host, socket);
        Outcome::Tcp { connect: Some(Ok(())), reply: self.reply.take() }
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
