//! A TCP client that goes on with a connection which it has kept open.

use super::{AppCx, Outcome, Reply};
use kernel::socket::{Errno, Received, TcpStatus};
use kernel::{Instant, NetnsId, SocketId};
use std::time::Duration;

/// Sends something and waits for an answer.
#[derive(Clone, Debug)]
pub struct TcpSender {
    pub(crate) host: NetnsId,
    socket: SocketId,
    data: Vec<u8>,
    timeout: Duration,
    since: Option<Instant>,
}

impl TcpSender {
    /// On this connection.
    pub fn new(host: NetnsId, socket: SocketId, data: Vec<u8>, timeout: Duration) -> TcpSender {
        TcpSender { host, socket, data, timeout, since: None }
    }

    pub(super) fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
        let since = match self.since {
            Some(since) => since,
            None => match self.begin(cx) {
                Ok(since) => since,
                Err(outcome) => return Some(outcome),
            },
        };
        let reply = match self.receive(cx) {
            Received::Data(data) => Reply::Data(data),
            Received::Error(errno) => Reply::Error(errno),
            Received::Eof => Reply::Eof,
            Received::Nothing if cx.now().since(since) >= self.timeout => Reply::Timeout,
            Received::Nothing => return None,
        };
        cx.world.disown(self.host, self.socket);
        Some(Outcome::TcpSent(Ok(reply)))
    }

    /// Sends. What came in since the last answer is read and forgotten; an end that was read then is told now.
    fn begin(&mut self, cx: &mut AppCx<'_>) -> Result<Instant, Outcome> {
        let (host, socket, data) = (self.host, self.socket, std::mem::take(&mut self.data));
        let eof = loop {
            match self.receive(cx) {
                Received::Data(_) => {}
                Received::Error(_) => return Err(Outcome::TcpSent(Err(Errno::EPIPE))),
                Received::Eof => break true,
                Received::Nothing => break false,
            }
        };
        let status = cx.with(host, |ns, _| ns.tcp_info(socket)).flatten().map(|(s, ..)| s);
        if status == Some(TcpStatus::SynSent) {
            return Err(Outcome::TcpSent(Err(Errno::EAGAIN)));
        }
        match cx.with(host, |ns, kcx| ns.tcp_send(socket, &data, kcx)) {
            Some(Ok(())) if eof => Err(Outcome::TcpSent(Ok(Reply::Eof))),
            Some(Ok(())) => {
                cx.world.own(host, socket, cx.id);
                cx.wake_at(cx.now() + self.timeout);
                Ok(*self.since.insert(cx.now()))
            }
            Some(Err(errno)) => Err(Outcome::TcpSent(Err(errno))),
            None => Err(Outcome::TcpSent(Err(Errno::EPIPE))),
        }
    }

    fn receive(&self, cx: &mut AppCx<'_>) -> Received {
        cx.with(self.host, |ns, _| ns.tcp_recv(self.socket)).unwrap_or(Received::Nothing)
    }
}
