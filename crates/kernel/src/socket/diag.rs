//! What others may know of a socket (net/ipv4/inet_diag.c).

use super::{Socket, TcpStatus};
use crate::Instant;
use std::time::Duration;

/// Memory that a datagram in a queue costs besides its bytes: the `sk_buff` and the end of its buffer, in steps of the allocator.
const SKB_OVERHEAD: usize = 320 + 256;

impl Socket {
    /// What has come in and was not read, and what was sent and is not acknowledged, in bytes; of a listening socket connections that
    /// wait, and how many may. A FIN counts as a byte; a datagram counts as the memory that it takes.
    pub fn queues(&self) -> (usize, usize) {
        match self {
            Socket::Listen(l) => (l.accepted.len(), l.backlog),
            Socket::Tcp(t) if matches!(t.status, TcpStatus::TimeWait | TcpStatus::SynRecv) => (0, 0),
            Socket::Tcp(t) => {
                let out = t.snd_nxt.wrapping_sub(t.snd_una) as usize + t.to_send.len();
                (t.recv.len() + usize::from(t.recv_fin && !t.orphan), out)
            }
            Socket::Udp(u) => {
                let size = |len: usize| (len + 42 + SKB_OVERHEAD).next_multiple_of(256);
                (u.queue.iter().map(|d| size(d.payload.len())).sum(), 0)
            }
            Socket::Ping(_) => (0, 0),
        }
    }

    /// The timer of a connection: whether it is that of TIME-WAIT, how long it has to run, how often something was sent again.
    pub fn timer(&self, now: Instant) -> Option<(bool, Duration, u32)> {
        let Socket::Tcp(t) = self else { return None };
        let waits = t.status == TcpStatus::TimeWait;
        let at = t.rto_at.filter(|at| *at > now && (waits || !t.unacked.is_empty()))?;
        Some((waits, at.since(now), t.retries))
    }
}
