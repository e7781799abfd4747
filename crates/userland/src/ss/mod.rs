//! `ss` (iproute2 6.1, misc/ss.c): the sockets of a box.

mod filter;
mod options;
mod print;

pub use filter::Filter;
pub use options::{SsCommand, parse_ss};
pub use print::show;

use std::net::Ipv4Addr;
use std::time::Duration;

/// What kind a socket is of. The order is that of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SsKind {
    /// `-w`
    Raw,
    /// `-u`
    Udp,
    /// `-t`
    Tcp,
}

impl SsKind {
    const ALL: [SsKind; 3] = [SsKind::Raw, SsKind::Udp, SsKind::Tcp];

    /// The column `Netid`.
    fn name(self) -> &'static str {
        match self {
            SsKind::Raw => "raw",
            SsKind::Udp => "udp",
            SsKind::Tcp => "tcp",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The state of a socket: the kernel's TCP states, of which other kinds have two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SsState(u8);

/// `NAME` in a listing, and in `state NAME`, in the order of the kernel's numbers from 1 (include/net/tcp_states.h).
const STATES: [(&str, &str); 11] = [
    ("ESTAB", "established"),
    ("SYN-SENT", "syn-sent"),
    ("SYN-RECV", "syn-recv"),
    ("FIN-WAIT-1", "fin-wait-1"),
    ("FIN-WAIT-2", "fin-wait-2"),
    ("TIME-WAIT", "time-wait"),
    ("UNCONN", "closed"),
    ("CLOSE-WAIT", "close-wait"),
    ("LAST-ACK", "last-ack"),
    ("LISTEN", "listening"),
    ("CLOSING", "closing"),
];

impl SsState {
    /// The state that a listing calls so.
    pub fn named(name: &str) -> Option<SsState> {
        let at = STATES.iter().position(|(n, _)| *n == name)?;
        u8::try_from(at).ok().map(SsState)
    }

    /// The column `State`.
    pub fn name(self) -> &'static str {
        STATES.get(usize::from(self.0)).map_or("", |(n, _)| n)
    }

    fn bit(self) -> u16 {
        1 << self.0
    }
}

/// States as bits.
mod states {
    pub(super) const ESTABLISHED: u16 = 1;
    pub(super) const SYN_RECV: u16 = 1 << 2;
    pub(super) const TIME_WAIT: u16 = 1 << 5;
    pub(super) const CLOSE: u16 = 1 << 6;
    pub(super) const LISTEN: u16 = 1 << 9;
    pub(super) const ALL: u16 = (1 << 11) - 1;
    /// What is shown of TCP if nothing is asked for.
    pub(super) const CONNECTED: u16 = ALL & !(LISTEN | CLOSE | TIME_WAIT | SYN_RECV);
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsRow {
    /// Its kind.
    pub kind: SsKind,
    /// Its state.
    pub state: SsState,
    /// `Recv-Q`: bytes that the program has not read; of a listening socket connections that it has not accepted.
    pub recv: usize,
    /// `Send-Q`: bytes that are not acknowledged; of a listening socket how many connections may wait.
    pub send: usize,
    /// Address and port; of a raw socket the protocol.
    pub local: (Ipv4Addr, u16),
    /// The other end, if there is one.
    pub remote: Option<(Ipv4Addr, u16)>,
    /// The process: name, number, file descriptor.
    pub user: Option<(String, u16, usize)>,
    /// The timer that runs: `on` or `timewait`, how long yet, how often it ran already.
    pub timer: Option<(&'static str, Duration, u32)>,
}

/// What cannot be done, with the words of the tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsError {
    /// Exit status.
    pub status: i32,
    /// Lines on standard error.
    pub lines: Vec<String>,
}

impl SsError {
    fn new(status: i32, line: impl Into<String>) -> SsError {
        SsError { status, lines: vec![line.into()] }
    }

    /// With the first lines of the tool's help, as it prints them after a mistake.
    fn with_usage(line: impl Into<String>) -> SsError {
        let mut error = SsError::new(255, line);
        error.lines.extend(["Usage: ss [ OPTIONS ]", "       ss [ OPTIONS ] [ FILTER ]"].map(str::to_owned));
        error
    }
}
