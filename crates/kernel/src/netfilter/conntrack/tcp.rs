//! TCP tracking: what a segment does (net/netfilter/nf_conntrack_proto_tcp.c). States are in `tcp_state`, windows in `tcp_window`.

use super::tcp_state::{Kind, Next, TcpState, kind_of, next_state};
use super::tcp_window::{Bound, Window, before, index, read_options};
use super::{Direction, Timeouts};
use packet::Tcp;

/// Flags of one side (include/uapi/linux/netfilter/nf_conntrack_tcp.h).
pub mod flag {
    /// The side offered window scaling.
    pub const WINDOW_SCALE: u8 = 0x01;
    /// The side permits SACK.
    pub const SACK_PERM: u8 = 0x02;
    /// The side sent the first FIN.
    pub const CLOSE_INIT: u8 = 0x04;
    /// Do not judge this side's windows.
    pub const BE_LIBERAL: u8 = 0x08;
    /// The other side has not acknowledged everything.
    pub const DATA_UNACKNOWLEDGED: u8 = 0x10;
    /// `maxack` is valid.
    pub const MAXACK_SET: u8 = 0x20;
}

/// What is known of one side (`struct ip_ct_tcp_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpPeer {
    /// Highest sequence number sent, plus one.
    pub end: u32,
    /// Highest sequence number that the other side has made room for.
    pub maxend: u32,
    /// Largest window that the side announced.
    pub maxwin: u32,
    /// Highest acknowledgement sent.
    pub maxack: u32,
    /// Window scale.
    pub scale: u8,
    /// Bits of [`flag`].
    pub flags: u8,
}

/// TCP part of an entry (`struct ip_ct_tcp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpTrack {
    /// State.
    pub state: TcpState,
    /// What is known of the two sides: `seen[0]` sends in the original direction.
    pub seen: [TcpPeer; 2],
    pub(super) last_dir: Direction,
    last_kind: Kind,
    pub(super) last_seq: u32,
    pub(super) last_ack: u32,
    pub(super) last_end: u32,
    pub(super) last_win: u16,
    pub(super) retrans: u32,
    /// What the last SYN offered that did not fit (`last_flags`, `last_wscale`): bits of [`flag`], window scale.
    last_offer: (u8, u8),
    /// That SYN may be answered by a challenge (`IP_CT_EXP_CHALLENGE_ACK`, RFC 5961).
    challenge: bool,
    /// Both sides have sent a SYN (`IP_CT_TCP_SIMULTANEOUS_OPEN`).
    simultaneous: bool,
}

/// What conntrack says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TcpVerdict {
    /// Valid.
    Accept {
        /// The time-out to set.
        timeout: u32,
        /// The state changed.
        changed: bool,
        /// The flow has just become assured.
        assured: bool,
    },
    /// Passes, but is not believed.
    Ignored,
    /// Passes, and the time-out stays.
    KeepsTimeout {
        /// The state changed.
        changed: bool,
    },
    /// Passes, and the entry goes: a RST answered the SYN.
    Kill,
    /// A SYN reopens a finished connection: forget the entry and begin anew.
    Repeat,
    /// Not valid, with conntrack's reason.
    Invalid(&'static str),
    /// Not valid either, but it answers the other side's FIN or RST: if the entry would stay longer than this many seconds, it
    /// stays only so long.
    InvalidAnswer(&'static str, u32),
}

/// Settings that the tracker reads.
#[derive(Clone, Copy)]
pub(super) struct TcpSettings {
    pub loose: bool,
    pub be_liberal: bool,
    pub max_retrans: u32,
    /// A RST whose number is too low is not invalid.
    pub ignore_invalid_rst: bool,
    /// A repeated SYN leaves the time-out of an unanswered flow as it is.
    pub syn_keeps_timeout: bool,
}

impl TcpPeer {
    /// `tcp_init_sender`: the side that sends this SYN, or SYN/ACK.
    pub(super) fn begin(&mut self, receiver: &mut TcpPeer, tcp: &Tcp, dir: Direction) {
        self.end = tcp.seq.wrapping_add(tcp.seq_len());
        self.maxend = self.end;
        self.maxwin = u32::from(tcp.window).max(1);
        self.flags &= flag::BE_LIBERAL;
        self.scale = 0;
        read_options(self, tcp);
        // RFC 7323: scaling is used only if both sides offered it.
        if dir == Direction::Reply && self.flags & receiver.flags & flag::WINDOW_SCALE == 0 {
            self.scale = 0;
            receiver.scale = 0;
        }
    }

    /// The side that sends this SYN.
    fn of_syn(tcp: &Tcp) -> TcpPeer {
        let end = tcp.seq.wrapping_add(tcp.seq_len());
        let maxwin = u32::from(tcp.window).max(1);
        let mut peer = TcpPeer { end, maxend: end, maxwin, ..TcpPeer::default() };
        read_options(&mut peer, tcp);
        peer
    }
}

impl TcpTrack {
    /// A connection of which a program has told nothing but the state: its windows are not judged.
    pub(super) fn in_state(state: TcpState) -> TcpTrack {
        let closing = if state.is_closing() { flag::CLOSE_INIT } else { 0 };
        let flags = flag::SACK_PERM | flag::BE_LIBERAL | closing;
        let peer = TcpPeer { flags, ..TcpPeer::default() };
        TcpTrack {
            state,
            seen: [peer; 2],
            last_dir: Direction::Original,
            last_kind: Kind::None,
            last_seq: 0,
            last_ack: 0,
            last_end: 0,
            last_win: 0,
            retrans: 0,
            last_offer: (0, 0),
            challenge: false,
            simultaneous: false,
        }
    }

    /// `tcp_new`: can a flow begin with this segment? `Err` gives the reason why not.
    pub(super) fn begin(tcp: &Tcp, settings: TcpSettings) -> Result<TcpTrack, &'static str> {
        let kind = kind_of(tcp.flags);
        let Next::To(state) = next_state(Direction::Original, kind, TcpState::None) else {
            return Err("nf_ct_tcp: invalid new");
        };
        let end = tcp.seq.wrapping_add(tcp.seq_len());
        let mut track = TcpTrack { seen: [TcpPeer::default(); 2], ..TcpTrack::in_state(TcpState::None) };
        if state == TcpState::SynSent {
            track.seen[0] = TcpPeer::of_syn(tcp);
        } else if !settings.loose {
            return Err("nf_ct_tcp: not picking up existing connection");
        } else {
            // In the middle of a connection: the window scale is unknown, so believe every window.
            let peer = &mut track.seen[0];
            peer.end = end;
            peer.maxwin = u32::from(tcp.window).max(1);
            peer.maxend = end.wrapping_add(peer.maxwin);
            for p in &mut track.seen {
                p.flags |= flag::SACK_PERM | flag::BE_LIBERAL;
            }
        }
        Ok(track)
    }

    /// `nf_conntrack_tcp_packet` for a segment whose flags and checksum are in order.
    pub(super) fn packet(
        &mut self,
        dir: Direction,
        tcp: &Tcp,
        seen_reply: bool,
        is_assured: bool,
        settings: TcpSettings,
        timeouts: &Timeouts,
    ) -> TcpVerdict {
        let kind = kind_of(tcp.flags);
        let mut old = self.state;
        let mut new = match next_state(dir, kind, old) {
            Next::To(state) => state,
            Next::Ignore if self.resync(dir, kind, tcp) => {
                old = TcpState::SynSent;
                TcpState::SynRecv
            }
            Next::Ignore => return self.ignore(dir, kind, tcp),
            Next::Invalid => return TcpVerdict::Invalid("nf_ct_tcp: invalid state"),
        };
        let mut measured = true;
        match new {
            TcpState::SynSent if matches!(old, TcpState::TimeWait | TcpState::Close) => {
                let closed = (self.seen[0].flags | self.seen[1].flags) & flag::CLOSE_INIT != 0;
                let aborted = self.last_dir == dir && self.last_kind == Kind::Rst;
                return if closed || aborted { TcpVerdict::Repeat } else { self.ignore(dir, kind, tcp) };
            }
            // A challenge is not the acknowledgement of the last FIN.
            TcpState::TimeWait
                if old == TcpState::LastAck
                    && kind == Kind::Ack
                    && self.last_dir != dir
                    && self.last_kind == Kind::Syn
                    && self.challenge =>
            {
                self.challenge = false;
                return TcpVerdict::Ignored;
            }
            TcpState::SynSent2 => self.simultaneous = true,
            TcpState::SynRecv if dir == Direction::Reply && kind == Kind::Ack && self.simultaneous => {
                new = TcpState::Established;
            }
            TcpState::Close if kind == Kind::Rst => {
                let established = old == TcpState::Established && is_assured;
                match self.reset(dir, tcp, old, seen_reply, is_assured, established, settings) {
                    Reset::Measured => {}
                    Reset::Taken => measured = false,
                    Reset::KeepsState => new = old,
                    Reset::KeepsStateTaken => (new, measured) = (old, false),
                    Reset::Invalid => return TcpVerdict::Invalid("nf_ct_tcp: invalid rst"),
                }
            }
            _ => {}
        }
        if measured {
            match self.in_window(dir, tcp, kind, settings) {
                Window::In => {}
                Window::Ignore(_) => return TcpVerdict::Ignored,
                Window::Out(reason, _) => return self.invalid(dir, kind, reason, is_assured, timeouts),
            }
        }
        (self.last_kind, self.last_dir, self.state) = (kind, dir, new);
        if new != old && new == TcpState::FinWait {
            self.seen[index(dir)].flags |= flag::CLOSE_INIT;
        }
        let normal = timeouts.tcp(new);
        let unacked = (self.seen[0].flags | self.seen[1].flags) & flag::DATA_UNACKNOWLEDGED != 0;
        let timeout = if self.retrans >= settings.max_retrans && normal > timeouts.tcp_max_retrans {
            timeouts.tcp_max_retrans
        } else if kind == Kind::Rst {
            timeouts.tcp_close
        } else if unacked && normal > timeouts.tcp_unacknowledged {
            timeouts.tcp_unacknowledged
        } else if self.last_win == 0 && normal > timeouts.tcp_max_retrans {
            timeouts.tcp_max_retrans
        } else {
            normal
        };
        let changed = old != new;
        if !seen_reply {
            if kind == Kind::Rst {
                return TcpVerdict::Kill;
            }
            if kind == Kind::Syn && old == TcpState::SynSent && settings.syn_keeps_timeout {
                // The SYN again: a client that reuses its port must not keep the entry, and its NAT, alive.
                return TcpVerdict::KeepsTimeout { changed };
            }
            // Picked up in the middle and never answered: not longer than unacknowledged data.
            let most = if new == TcpState::Established { timeouts.tcp_unacknowledged } else { u32::MAX };
            return TcpVerdict::Accept { timeout: timeout.min(most), changed, assured: false };
        }
        let assured = !is_assured
            && matches!(old, TcpState::SynRecv | TcpState::Established)
            && new == TcpState::Established;
        TcpVerdict::Accept { timeout, changed, assured }
    }

    /// What a RST is worth. One that is not exactly at the edge may be answered by a challenge, so the connection stands until
    /// then (RFC 5961).
    #[allow(
        clippy::too_many_arguments,
        reason = "what is known of the connection; a struct would only rename it"
    )]
    fn reset(
        &self,
        dir: Direction,
        tcp: &Tcp,
        old: TcpState,
        seen_reply: bool,
        is_assured: bool,
        established: bool,
        settings: TcpSettings,
    ) -> Reset {
        // While a connection is being closed, the numbers may be those of a later one.
        if old.is_closing() {
            return Reset::Taken;
        }
        let peer = &self.seen[index(dir.flip())];
        let mut keeps = false;
        if peer.flags & flag::MAXACK_SET != 0 && self.last_kind != Kind::Syn {
            if tcp.seq == 0 && !established {
                return Reset::Measured;
            }
            if before(tcp.seq, peer.maxack) && !settings.ignore_invalid_rst {
                return Reset::Invalid;
            }
            let follows = self.last_kind == Kind::Ack && self.last_dir == dir && tcp.seq == self.last_end;
            if !established || tcp.seq == peer.maxack || follows {
                return Reset::Measured;
            }
            keeps = true;
        }
        // It answers a SYN or an ACK that was let through although it did not fit.
        let answers = match self.last_kind {
            Kind::Syn => seen_reply && self.last_dir != dir,
            Kind::Ack => !is_assured,
            _ => false,
        };
        match (keeps, answers && tcp.ack == self.last_end) {
            (false, false) => Reset::Measured,
            (false, true) => Reset::Taken,
            (true, false) => Reset::KeepsState,
            (true, true) => Reset::KeepsStateTaken,
        }
    }

    /// `nf_tcp_handle_invalid`: a FIN or RST out of the window, answered by another one from the other side, shows that the
    /// connection is over and its entry is not.
    fn invalid(
        &mut self,
        dir: Direction,
        kind: Kind,
        reason: &'static str,
        is_assured: bool,
        timeouts: &Timeouts,
    ) -> TcpVerdict {
        let ends = |kind| matches!(kind, Kind::Fin | Kind::Rst);
        if !is_assured || !ends(kind) {
            return TcpVerdict::Invalid(reason);
        }
        if self.last_dir != dir && ends(self.last_kind) {
            return TcpVerdict::InvalidAnswer(reason, timeouts.tcp_unacknowledged);
        }
        (self.last_kind, self.last_dir) = (kind, dir);
        TcpVerdict::Invalid(reason)
    }

    /// What the log says of a segment that was not valid, or not believed; the connection is as the segment has left it.
    pub(super) fn why(mut self, dir: Direction, tcp: &Tcp) -> String {
        let (kind, state) = (kind_of(tcp.flags), self.state);
        let says = match next_state(dir, kind, state) {
            Next::Invalid => "invalid",
            Next::Ignore => "ignored",
            Next::To(TcpState::SynSent) if matches!(state, TcpState::TimeWait | TcpState::Close) => "ignored",
            Next::To(_) => "",
        };
        if !says.is_empty() {
            let (number, dir) = (kind as u8, index(dir));
            return format!("packet (index {number}) in dir {dir} {says}, state {}", state.name());
        }
        let (mut sender, mut receiver) = (self.seen[index(dir)], self.seen[index(dir.flip())]);
        match self.judge(dir, tcp, kind, &mut sender, &mut receiver) {
            Window::In => "challenge-ack ignored".to_owned(),
            Window::Ignore(bound) | Window::Out(_, bound) => match bound {
                Bound::More(n) => format!("{n} bytes more than expected"),
                Bound::OverSeq(n) => format!("SEQ is over upper bound {n} (over the window of the receiver)"),
                Bound::OverAck(n) => format!("ACK is over upper bound {n} (ACKed data not seen yet)"),
                Bound::UnderSeq(n) => {
                    format!("SEQ is under lower bound {n} (already ACKed data retransmitted)")
                }
                Bound::UnderAck(n) => format!("ignored ACK under lower bound {n} (possible overly delayed)"),
            },
        }
    }

    /// A SYN/ACK that acknowledges the SYN which was ignored before: the two ends agree, so believe them and begin
    /// anew. True if so.
    fn resync(&mut self, dir: Direction, kind: Kind, tcp: &Tcp) -> bool {
        let answers = kind == Kind::SynAck
            && self.last_kind == Kind::Syn
            && self.last_dir != dir
            && tcp.ack == self.last_end;
        if answers {
            self.challenge = false;
            let (flags, scale) = self.last_offer;
            let (end, maxwin) = (self.last_end, u32::from(self.last_win).max(1));
            let other = &mut self.seen[index(dir.flip())];
            *other = TcpPeer { end, maxend: end, maxwin, flags, scale, ..*other };
            let own = &mut self.seen[index(dir)];
            *own = TcpPeer { flags: own.flags & flag::BE_LIBERAL, ..TcpPeer::default() };
        }
        answers
    }

    /// `nf_conntrack_tcp_set_closing`: the box itself ends the connection by a RST. False if it was over already.
    pub(super) fn set_closing(&mut self) -> bool {
        std::mem::replace(&mut self.state, TcpState::Close) != TcpState::Close
    }

    /// Notes a segment that does not fit but passes.
    fn ignore(&mut self, dir: Direction, kind: Kind, tcp: &Tcp) -> TcpVerdict {
        (self.last_kind, self.last_dir) = (kind, dir);
        self.last_seq = tcp.seq;
        self.last_end = tcp.seq.wrapping_add(tcp.seq_len());
        self.last_win = tcp.window;
        if kind == Kind::Syn && dir == Direction::Original {
            let mut offer = TcpPeer::default();
            read_options(&mut offer, tcp);
            self.last_offer = (offer.flags, offer.scale);
            self.simultaneous = false;
            self.challenge = self.state == TcpState::LastAck;
        }
        if self.state == TcpState::SynSent && kind == Kind::Ack && dir == Direction::Reply {
            self.last_ack = tcp.ack;
        }
        TcpVerdict::Ignored
    }
}

/// What a RST does.
enum Reset {
    /// It ends the connection if it is in the window.
    Measured,
    /// It ends the connection.
    Taken,
    /// If it is in the window it passes, and the connection stands.
    KeepsState,
    /// It passes, and the connection stands.
    KeepsStateTaken,
    /// It is older than what was acknowledged.
    Invalid,
}
