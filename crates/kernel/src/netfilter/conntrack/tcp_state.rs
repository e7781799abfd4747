//! The states of TCP and what leads from one to the next (net/netfilter/nf_conntrack_proto_tcp.c, `tcp_conntracks`).

use super::Direction;
use packet::TcpFlags;

/// State of a tracked connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TcpState {
    /// No packet yet.
    None,
    /// SYN seen.
    SynSent,
    /// SYN/ACK seen.
    SynRecv,
    /// Handshake complete.
    Established,
    /// FIN seen.
    FinWait,
    /// FIN acknowledged.
    CloseWait,
    /// FIN seen from both sides.
    LastAck,
    /// Last ACK seen.
    TimeWait,
    /// RST seen.
    Close,
    /// SYN seen from both sides.
    SynSent2,
}

impl TcpState {
    /// The name that conntrack prints.
    pub fn name(self) -> &'static str {
        match self {
            TcpState::None => "NONE",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait => "FIN_WAIT",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::SynSent2 => "SYN_SENT2",
        }
    }

    /// `tcp_can_early_drop`: past ESTABLISHED.
    pub(super) fn is_closing(self) -> bool {
        matches!(
            self,
            TcpState::FinWait
                | TcpState::CloseWait
                | TcpState::LastAck
                | TcpState::TimeWait
                | TcpState::Close
        )
    }
}

/// What matters of a segment's flags, in the order of `enum tcp_bit_set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
    None,
}

pub(super) fn kind_of(f: TcpFlags) -> Kind {
    if f.has(TcpFlags::RST) {
        Kind::Rst
    } else if f.has(TcpFlags::SYN) {
        if f.has(TcpFlags::ACK) { Kind::SynAck } else { Kind::Syn }
    } else if f.has(TcpFlags::FIN) {
        Kind::Fin
    } else if f.has(TcpFlags::ACK) {
        Kind::Ack
    } else {
        Kind::None
    }
}

/// What the state machine says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    To(TcpState),
    Ignore,
    Invalid,
}

/// The state machine: state, direction and segment give the next state.
pub(super) fn next_state(dir: Direction, kind: Kind, state: TcpState) -> Next {
    use Next::{Ignore, Invalid, To};
    use TcpState::*;
    let original = dir == Direction::Original;
    match kind {
        Kind::None => Invalid,
        Kind::Rst => match state {
            None => Invalid,
            _ => To(Close),
        },
        Kind::Syn if original => match state {
            None | SynSent => To(SynSent),
            TimeWait | Close => To(SynSent),
            SynSent2 => To(SynSent2),
            _ => Ignore,
        },
        Kind::Syn => match state {
            SynSent | SynSent2 => To(SynSent2),
            TimeWait => To(SynSent),
            _ => Invalid,
        },
        Kind::SynAck if original => match state {
            SynRecv | SynSent2 => To(SynRecv),
            _ => Invalid,
        },
        Kind::SynAck => match state {
            None => Invalid,
            SynSent | SynSent2 => To(SynRecv),
            _ => Ignore,
        },
        Kind::Fin => match state {
            None | SynSent | SynSent2 => Invalid,
            SynRecv | Established => To(FinWait),
            FinWait | CloseWait | LastAck => To(LastAck),
            TimeWait => To(TimeWait),
            Close => To(Close),
        },
        Kind::Ack => match state {
            None if original => To(Established),
            None => Invalid,
            SynSent | SynSent2 if original => Invalid,
            SynSent | SynSent2 => Ignore,
            // The handshake ends with the ACK of the side that began.
            SynRecv if original => To(Established),
            SynRecv => To(SynRecv),
            Established => To(Established),
            FinWait | CloseWait => To(CloseWait),
            LastAck | TimeWait => To(TimeWait),
            Close => To(Close),
        },
    }
}

/// The combinations of flags that exist (`tcp_valid_flags`), ECN and PSH aside.
pub(super) fn flags_are_valid(flags: TcpFlags) -> bool {
    let f = flags.without(TcpFlags::ECE | TcpFlags::CWR | TcpFlags::PSH);
    let (s, a, u) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::URG);
    let (r, fi) = (TcpFlags::RST, TcpFlags::FIN);
    [s, s | u, s | a, r, r | a, fi | a, fi | a | u, a, a | u].contains(&f)
}
