//! A UDP client: sends, waits for answers.

use super::{AppCx, AppEvent, Endpoint, Outcome, UdpReply};
use crate::world::{SYSCALL_TIME, TURN};
use kernel::socket::Errno;
use kernel::{Instant, NetnsId, SocketId};
use std::time::Duration;

/// What a UDP client does.
#[derive(Clone, Debug)]
pub struct UdpClient {
    /// Where it runs.
    pub host: NetnsId,
    /// Bound address and port.
    pub src: Endpoint,
    /// Whom it asks.
    pub dst: Endpoint,
    /// What it sends.
    pub payload: Vec<u8>,
    /// A connected socket takes answers from its peer only, and hears of ICMP errors.
    pub connected: bool,
    /// Datagrams to send, and answers to wait for.
    pub count: usize,
    /// `IP_TTL`
    pub ttl: Option<u8>,
    /// How long to wait; `None` means not at all.
    pub wait: Option<Duration>,
    /// How long to go on listening after the last answer.
    pub linger: Duration,
    busy_until: Instant,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Begin,
    Sending { socket: SocketId, left: usize },
    Waiting { socket: SocketId, until: Instant, got: Vec<UdpReply> },
    Lingering { socket: SocketId, until: Instant, got: Vec<UdpReply> },
}

/// Without waiting the socket stays open this long, so that an error can still be seen.
const NO_REPLY: Duration = Duration::from_millis(20);

impl UdpClient {
    /// A client that sends one datagram from a connected socket and waits 300 ms.
    pub fn new(host: NetnsId, src: Endpoint, dst: Endpoint, payload: Vec<u8>) -> UdpClient {
        UdpClient {
            host,
            src,
            dst,
            payload,
            connected: true,
            count: 1,
            ttl: None,
            wait: Some(Duration::from_millis(300)),
            linger: Duration::ZERO,
            busy_until: Instant(0),
            state: State::Begin,
        }
    }

    pub(super) fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
        if let State::Begin = self.state {
            match self.begin(cx) {
                Ok(socket) => self.state = State::Sending { socket, left: self.count },
                Err(errno) => {
                    cx.report(self.host, AppEvent::Failed { to: self.dst, errno });
                    return Some(Outcome::UdpFailed(errno));
                }
            }
        }
        if let State::Sending { socket, left } = self.state {
            if left == 0 {
                let until = cx.now() + self.wait.unwrap_or(NO_REPLY);
                cx.wake_at(until);
                self.state = State::Waiting { socket, until, got: Vec::new() };
            } else {
                if let Err(errno) = self.send(socket, cx) {
                    cx.report(self.host, AppEvent::Failed { to: self.dst, errno });
                    return Some(Outcome::UdpFailed(errno));
                }
                self.state = State::Sending { socket, left: left - 1 };
                cx.go_on_at(cx.now() + SYSCALL_TIME);
                return None;
            }
        }
        let lingering = matches!(self.state, State::Lingering { .. });
        if let State::Waiting { socket, until, got } | State::Lingering { socket, until, got } =
            &mut self.state
        {
            let (socket, until) = (*socket, *until);
            let limit = if self.wait.is_some() && !lingering { self.count } else { usize::MAX };
            // One in each turn, and no more than it waits for.
            if got.len() < limit
                && cx.now() >= self.busy_until
                && let Some(news) = receive(self.host, socket, cx)
            {
                got.push(news);
                self.busy_until = cx.now() + TURN;
                cx.wake_at(self.busy_until);
            }
            if cx.now() < until && got.len() < limit {
                return None;
            }
        }
        match std::mem::replace(&mut self.state, State::Begin) {
            State::Waiting { socket, got, .. } if !self.linger.is_zero() => {
                let until = cx.now() + self.linger;
                cx.wake_at(until);
                self.state = State::Lingering { socket, until, got };
                None
            }
            State::Waiting { socket, got, .. } | State::Lingering { socket, got, .. } => {
                if got.is_empty()
                    && let Some(wait) = self.wait
                {
                    let after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                    cx.report(self.host, AppEvent::TimedOut { to: self.dst, connecting: false, after_ms });
                }
                cx.with(self.host, |ns, _| ns.close(socket));
                cx.world.disown(self.host, socket);
                Some(Outcome::Udp { got, waited: self.wait.is_some() })
            }
            State::Begin | State::Sending { .. } => None,
        }
    }

    fn begin(&self, cx: &mut AppCx<'_>) -> Result<SocketId, Errno> {
        let host = self.host;
        cx.report(host, AppEvent::Connect { tcp: false, to: self.dst });
        let id = cx.id;
        let made = cx.with(host, |ns, kcx| {
            let socket = ns.udp_bind(self.src, kcx)?;
            ns.udp_options(socket, true, self.ttl);
            let connected = if self.connected { ns.udp_connect(socket, self.dst) } else { Ok(()) };
            if let Err(errno) = connected {
                ns.close(socket);
                return Err(errno);
            }
            Ok(socket)
        });
        let socket = made.unwrap_or(Err(Errno::EINVAL))?;
        cx.world.own(host, socket, id);
        Ok(socket)
    }

    /// One datagram; the socket is closed if it cannot be sent.
    fn send(&self, socket: SocketId, cx: &mut AppCx<'_>) -> Result<(), Errno> {
        let to = (!self.connected).then_some(self.dst);
        let sent = cx.with(self.host, |ns, kcx| ns.udp_send(socket, to, None, self.payload.clone(), kcx));
        if let Some(Err(errno)) = sent {
            cx.with(self.host, |ns, _| ns.close(socket));
            cx.world.disown(self.host, socket);
            return Err(errno);
        }
        Ok(())
    }
}

/// The next error or datagram.
fn receive(host: NetnsId, socket: SocketId, cx: &mut AppCx<'_>) -> Option<UdpReply> {
    if let Some(Some(e)) = cx.with(host, |ns, _| ns.take_error(socket)) {
        return Some(UdpReply::Error(e));
    }
    let d = cx.with(host, |ns, _| ns.udp_recv(socket))??;
    let text = String::from_utf8_lossy(&d.payload).into_owned();
    cx.report(host, AppEvent::Reply { from: d.from, text });
    Some(UdpReply::From(d.from, d.payload.to_vec()))
}
