//! TCP tracking: states and windows (net/netfilter/nf_conntrack_proto_tcp.c; the window rules are those of
//! G. van Rooij, "Real stateful TCP packet filtering in IP Filter").

use super::{Direction, Timeouts};
use packet::{Tcp, TcpFlags};

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
    fn is_closing(self) -> bool {
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
    last_dir: Direction,
    last_kind: Kind,
    last_seq: u32,
    last_ack: u32,
    last_end: u32,
    last_win: u16,
    retrans: u32,
    /// The side that sent a SYN which did not fit, as that SYN describes it.
    ignored_syn: Option<TcpPeer>,
}

/// What matters of a segment's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
    None,
}

fn kind_of(f: TcpFlags) -> Kind {
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
enum Next {
    To(TcpState),
    Ignore,
    Invalid,
}

/// The state machine: state, direction and segment give the next state.
fn next_state(dir: Direction, kind: Kind, state: TcpState) -> Next {
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

/// An acknowledgement may lag behind by this much, whatever the window (`MAXACKWINCONST`).
const MAX_ACK_WINDOW: u32 = 66_000;

fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

fn after(a: u32, b: u32) -> bool {
    before(b, a)
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
}

/// Whether the number of a RST is that at which the receiver stands.
enum RstFits {
    Yes,
    Perhaps,
    No,
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

/// The combinations of flags that exist (`tcp_valid_flags`), ECN and PSH aside.
pub(super) fn flags_are_valid(flags: TcpFlags) -> bool {
    let f = flags.without(TcpFlags::ECE | TcpFlags::CWR | TcpFlags::PSH);
    let (s, a, u) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::URG);
    let (r, fi) = (TcpFlags::RST, TcpFlags::FIN);
    [s, s | u, s | a, r, r | a, fi | a, fi | a | u, a, a | u].contains(&f)
}

impl TcpPeer {
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
            ignored_syn: None,
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
            Next::Ignore => {
                self.ignore(dir, kind, tcp);
                return TcpVerdict::Ignored;
            }
            Next::Invalid => return TcpVerdict::Invalid("nf_ct_tcp: invalid state"),
        };
        if new == TcpState::SynSent && matches!(old, TcpState::TimeWait | TcpState::Close) {
            let closed = (self.seen[0].flags | self.seen[1].flags) & flag::CLOSE_INIT != 0;
            let aborted = self.last_dir == dir && self.last_kind == Kind::Rst;
            if closed || aborted {
                return TcpVerdict::Repeat;
            }
            self.ignore(dir, kind, tcp);
            return TcpVerdict::Ignored;
        }
        // An RST in a connection that is being closed is not measured: the numbers may be those of a later one.
        let measured = kind != Kind::Rst || !old.is_closing();
        if measured && kind == Kind::Rst {
            match self.judge_rst(dir, tcp, is_assured, settings) {
                RstFits::No => return TcpVerdict::Invalid("nf_ct_tcp: invalid rst"),
                // The receiver may ask back (RFC 5961), so the connection goes on for a while.
                RstFits::Perhaps => new = old,
                RstFits::Yes => {}
            }
        }
        if measured && let Err(reason) = self.in_window(dir, tcp, settings) {
            return TcpVerdict::Invalid(reason);
        }
        self.remember(dir, kind, tcp);
        if kind == Kind::Rst && !seen_reply {
            self.state = new;
            return TcpVerdict::Kill;
        }
        if kind == Kind::Syn && !seen_reply && old == TcpState::SynSent && settings.syn_keeps_timeout {
            // The SYN again: a client that reuses its port must not keep the entry, and its NAT, alive.
            self.state = new;
            return TcpVerdict::KeepsTimeout { changed: new != old };
        }
        if kind == Kind::Ack && dir == Direction::Reply && old == TcpState::SynRecv {
            new = TcpState::SynRecv;
        }
        self.state = new;
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
        let assured = !is_assured
            && matches!(old, TcpState::SynRecv | TcpState::Established)
            && new == TcpState::Established
            && seen_reply;
        // Picked up in the middle and never answered: not longer than unacknowledged data.
        let timeout = if !seen_reply && new == TcpState::Established {
            timeout.min(timeouts.tcp_unacknowledged)
        } else {
            timeout
        };
        TcpVerdict::Accept { timeout, changed: old != new, assured }
    }

    /// Compares the number of a RST with what the other side has acknowledged.
    fn judge_rst(&self, dir: Direction, tcp: &Tcp, is_assured: bool, settings: TcpSettings) -> RstFits {
        let other = self.seen[index(dir.flip())];
        let established = self.state == TcpState::Established && is_assured;
        if other.flags & flag::MAXACK_SET == 0
            || self.last_kind == Kind::Syn
            || self.state == TcpState::SynSent
            || (tcp.seq == 0 && !established)
        {
            return RstFits::Yes;
        }
        if before(tcp.seq, other.maxack) && !settings.ignore_invalid_rst {
            return RstFits::No;
        }
        // Right behind the last segment of the same side is good too.
        let follows = self.last_kind == Kind::Ack && self.last_dir == dir && tcp.seq == self.last_end;
        if !established || tcp.seq == other.maxack || follows { RstFits::Yes } else { RstFits::Perhaps }
    }

    /// A SYN/ACK that acknowledges the SYN which was ignored before: the two ends agree, so believe them and begin
    /// anew. True if so.
    fn resync(&mut self, dir: Direction, kind: Kind, tcp: &Tcp) -> bool {
        let answers = kind == Kind::SynAck
            && self.last_kind == Kind::Syn
            && self.last_dir != dir
            && tcp.ack == self.last_end;
        let Some(peer) = self.ignored_syn.filter(|_| answers) else { return false };
        self.seen[index(dir.flip())] = peer;
        self.seen[index(dir)] = TcpPeer::default();
        true
    }

    /// `nf_conntrack_tcp_set_closing`: the box itself ends the connection by a RST. False if it was over already.
    pub(super) fn set_closing(&mut self) -> bool {
        std::mem::replace(&mut self.state, TcpState::Close) != TcpState::Close
    }

    /// Notes a segment that took its way through the state machine. Only acknowledgements are compared with the last
    /// one: the same again and again is a retransmission.
    fn remember(&mut self, dir: Direction, kind: Kind, tcp: &Tcp) {
        if kind == Kind::Ack {
            let end = tcp.seq.wrapping_add(tcp.seq_len());
            let same = self.last_dir == dir
                && self.last_seq == tcp.seq
                && self.last_ack == tcp.ack
                && self.last_end == end
                && self.last_win == tcp.window;
            self.retrans = if same { self.retrans + 1 } else { 0 };
            self.note(tcp);
        }
        self.last_dir = dir;
        self.last_kind = kind;
    }

    /// Notes a segment that does not fit but passes.
    fn ignore(&mut self, dir: Direction, kind: Kind, tcp: &Tcp) {
        self.remember(dir, kind, tcp);
        self.note(tcp);
        let is_syn = kind == Kind::Syn && dir == Direction::Original;
        self.ignored_syn = is_syn.then(|| TcpPeer::of_syn(tcp));
    }

    fn note(&mut self, tcp: &Tcp) {
        self.last_seq = tcp.seq;
        self.last_ack = tcp.ack;
        self.last_end = tcp.seq.wrapping_add(tcp.seq_len());
        self.last_win = tcp.window;
    }

    /// `tcp_in_window`: is the segment inside what both sides have announced? Updates both sides if so.
    fn in_window(&mut self, dir: Direction, tcp: &Tcp, settings: TcpSettings) -> Result<(), &'static str> {
        let has_ack = tcp.flags.has(TcpFlags::ACK);
        let is_syn = tcp.flags.has(TcpFlags::SYN);
        let is_rst = tcp.flags.has(TcpFlags::RST);
        let (mut sender, mut receiver) = (self.seen[index(dir)], self.seen[index(dir.flip())]);
        let mut seq = tcp.seq;
        let mut end = seq.wrapping_add(tcp.seq_len());
        let mut ack = tcp.ack;

        if sender.maxwin == 0 {
            // First segment of this side.
            if is_syn {
                sender.end = end;
                sender.maxend = end;
                sender.maxwin = u32::from(tcp.window).max(1);
                read_options(&mut sender, tcp);
                // RFC 7323: scaling is used only if both sides offered it.
                if sender.flags & receiver.flags & flag::WINDOW_SCALE == 0 {
                    sender.scale = 0;
                    receiver.scale = 0;
                }
                if !has_ack {
                    // Simultaneous open.
                    self.seen[index(dir)] = sender;
                    self.seen[index(dir.flip())] = receiver;
                    return Ok(());
                }
            } else {
                // Picked up in the middle, seen from the other side.
                sender.end = end;
                let win = u32::from(tcp.window) << sender.scale;
                sender.maxwin = win.max(1);
                sender.maxend = end.wrapping_add(sender.maxwin);
                if receiver.maxwin == 0 {
                    receiver.end = ack;
                    receiver.maxend = ack;
                } else if ack == receiver.end.wrapping_add(1) {
                    // A keep-alive of the other side is being answered.
                    receiver.end = receiver.end.wrapping_add(1);
                }
            }
        } else if is_syn
            && matches!(self.state, TcpState::SynSent | TcpState::SynRecv)
            && after(end, sender.end)
        {
            // The SYN was sent again with another sequence number.
            sender.end = end;
            sender.maxend = end;
            sender.maxwin = u32::from(tcp.window).max(1);
            sender.flags = 0;
            sender.scale = 0;
            read_options(&mut sender, tcp);
            if sender.flags & receiver.flags & flag::WINDOW_SCALE == 0 && receiver.maxwin != 0 {
                sender.scale = 0;
                receiver.scale = 0;
            }
        }

        if !has_ack || (is_rst && ack == 0) {
            // No acknowledgement: take the best one for the checks.
            ack = receiver.end;
        }
        if is_rst && seq == 0 && self.state == TcpState::SynSent {
            // RFC 9293: the RST that answers a SYN may carry sequence number 0.
            seq = sender.end;
            end = sender.end;
        }

        let win = if is_syn { u32::from(tcp.window) } else { u32::from(tcp.window) << sender.scale };
        let room = sender.maxwin.max(MAX_ACK_WINDOW);
        let oldest = sender.end.wrapping_sub(receiver.maxwin).wrapping_sub(1);
        let oldest_ack = receiver.end.wrapping_sub(room).wrapping_sub(1);
        let checks = [
            (!before(seq, sender.maxend.wrapping_add(1)), "nf_ct_tcp: SEQ is over upper bound"),
            (receiver.maxwin != 0 && !after(end, oldest), "nf_ct_tcp: SEQ is under lower bound"),
            (after(ack, receiver.end), "nf_ct_tcp: ACK is over upper bound"),
            (!after(ack, oldest_ack), "nf_ct_tcp: ACK is under lower bound"),
        ];
        let fault = checks.into_iter().find(|(bad, _)| *bad).map(|(_, why)| why);
        if let Some(why) = fault {
            let liberal = sender.flags & flag::BE_LIBERAL != 0 || settings.be_liberal;
            if !liberal {
                return Err(why);
            }
            return Ok(());
        }

        sender.maxwin = sender.maxwin.max(win);
        if after(end, sender.end) {
            sender.end = end;
            sender.flags |= flag::DATA_UNACKNOWLEDGED;
        }
        if has_ack && (sender.flags & flag::MAXACK_SET == 0 || after(ack, sender.maxack)) {
            sender.maxack = ack;
            sender.flags |= flag::MAXACK_SET;
        }
        if receiver.maxwin != 0 && after(end, sender.maxend) {
            receiver.maxwin = receiver.maxwin.wrapping_add(end.wrapping_sub(sender.maxend));
        }
        if after(ack.wrapping_add(win), receiver.maxend.wrapping_sub(1)) {
            receiver.maxend = ack.wrapping_add(win).wrapping_add(u32::from(win == 0));
        }
        if ack == receiver.end {
            receiver.flags &= !flag::DATA_UNACKNOWLEDGED;
        }
        self.seen[index(dir)] = sender;
        self.seen[index(dir.flip())] = receiver;
        Ok(())
    }
}

fn index(dir: Direction) -> usize {
    match dir {
        Direction::Original => 0,
        Direction::Reply => 1,
    }
}

/// Window scale and SACK from a SYN.
fn read_options(peer: &mut TcpPeer, tcp: &Tcp) {
    if tcp.options.sack_ok {
        peer.flags |= flag::SACK_PERM;
    }
    if let Some(scale) = tcp.options.wscale {
        peer.flags |= flag::WINDOW_SCALE;
        peer.scale = scale.min(14);
    }
}
