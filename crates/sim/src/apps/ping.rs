//! ping: one echo request, one answer.

use super::{AppCx, AppEvent, Outcome};
use kernel::{Instant, NetnsId, SocketId};
use std::net::Ipv4Addr;
use std::time::Duration;

/// What ping does.
#[derive(Clone, Debug)]
pub struct Ping {
    /// Where it runs.
    pub host: NetnsId,
    /// Source address, or unspecified.
    pub src: Ipv4Addr,
    /// Whom it asks.
    pub dst: Ipv4Addr,
    /// Identifier.
    pub id: u16,
    /// Sequence number.
    pub seq: u16,
    /// `IP_TTL`
    pub ttl: Option<u8>,
    /// How long to wait.
    pub timeout: Duration,
    socket: Option<(SocketId, Instant)>,
}

impl Ping {
    /// A ping with id 1, sequence number 1, that waits 300 ms.
    pub fn new(host: NetnsId, dst: Ipv4Addr) -> Ping {
        Ping {
            host,
            src: Ipv4Addr::UNSPECIFIED,
            dst,
            id: 1,
            seq: 1,
            ttl: None,
            timeout: Duration::from_millis(300),
            socket: None,
        }
    }

    pub(super) fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
        let (host, to) = (self.host, (self.dst, 0));
        let Some((socket, since)) = self.socket else {
            let (id, seq) = (self.id, self.seq);
            let made = cx.with(host, |ns, _| ns.ping_open(self.src, self.ttl, None))?;
            let sent = made.and_then(|socket| {
                cx.world.own(host, socket, cx.id);
                let payload = b"ping".repeat(4);
                let sent = cx.with(host, |ns, kcx| ns.ping_send(socket, self.dst, id, seq, payload, kcx));
                sent.unwrap_or(Ok(())).map(|()| socket)
            });
            return match sent {
                Ok(socket) => {
                    self.socket = Some((socket, cx.now()));
                    cx.wake_at(cx.now() + self.timeout);
                    None
                }
                Err(errno) => {
                    cx.report(host, AppEvent::Failed { to, errno });
                    Some(Outcome::PingFailed(errno))
                }
            };
        };
        let got = cx.with(host, |ns, _| ns.ping_recv(socket)).flatten();
        if got.is_none() && cx.now().since(since) < self.timeout {
            return None;
        }
        match &got {
            Some(ip) => {
                let kind = ip.icmp().map_or(0, |i| i.kind);
                let from = ip.src_v4().unwrap_or(Ipv4Addr::UNSPECIFIED);
                cx.report(host, AppEvent::Reply { from: (from, 0), text: format!("icmp type {kind}") });
            }
            None => {
                let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
                cx.report(host, AppEvent::TimedOut { to, connecting: false, after_ms });
            }
        }
        cx.with(host, |ns, _| ns.close(socket));
        cx.world.disown(host, socket);
        Some(Outcome::Ping(got))
    }
}
