//! TCP tracking: is a segment inside what both sides have announced? (`tcp_in_window`, net/netfilter/nf_conntrack_proto_tcp.c; the
//! rules are those of G. van Rooij, "Real stateful TCP packet filtering in IP Filter".)

use super::Direction;
use super::tcp::{TcpPeer, TcpSettings, TcpTrack, flag};
use super::tcp_state::{Kind, TcpState};
use packet::{Tcp, TcpFlags};

/// An acknowledgement may lag behind by this much, whatever the window (`MAXACKWINCONST`).
const MAX_ACK_WINDOW: u32 = 66_000;

pub(super) fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

pub(super) fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// What the windows say of a segment (`enum nf_ct_tcp_action`).
pub(super) enum Window {
    /// It fits.
    In,
    /// It does not, but it may be late or early: it passes, and nothing is learned from it.
    Ignore(Bound),
    /// It cannot be of this connection.
    Out(&'static str, Bound),
}

/// Which bound a segment does not keep.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// It is so much longer than what fits.
    More(u32),
    OverSeq(u32),
    OverAck(u32),
    UnderSeq(u32),
    UnderAck(u32),
}

impl TcpTrack {
    /// `tcp_in_window`: is the segment inside what both sides have announced? Updates both sides if so; what is learned of a
    /// side that was not known before stays in any case.
    pub(super) fn in_window(
        &mut self,
        dir: Direction,
        tcp: &Tcp,
        kind: Kind,
        settings: TcpSettings,
    ) -> Window {
        let (mut sender, mut receiver) = (self.seen[index(dir)], self.seen[index(dir.flip())]);
        let window = self.judge(dir, tcp, kind, &mut sender, &mut receiver);
        let liberal = sender.flags & flag::BE_LIBERAL != 0 || settings.be_liberal;
        self.seen[index(dir)] = sender;
        self.seen[index(dir.flip())] = receiver;
        match window {
            Window::Ignore(_) | Window::Out(..) if liberal => Window::In,
            window => window,
        }
    }

    pub(super) fn judge(
        &mut self,
        dir: Direction,
        tcp: &Tcp,
        kind: Kind,
        sender: &mut TcpPeer,
        receiver: &mut TcpPeer,
    ) -> Window {
        let has_ack = tcp.flags.has(TcpFlags::ACK);
        let is_syn = tcp.flags.has(TcpFlags::SYN);
        let is_rst = tcp.flags.has(TcpFlags::RST);
        let mut seq = tcp.seq;
        let mut end = seq.wrapping_add(tcp.seq_len());
        let mut ack = tcp.ack;

        if sender.maxwin == 0 {
            // First segment of this side.
            if is_syn {
                sender.begin(receiver, tcp, dir);
                if !has_ack {
                    // Simultaneous open.
                    return Window::In;
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
            sender.begin(receiver, tcp, dir);
            if dir == Direction::Reply && !has_ack {
                return Window::In;
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

        let room = sender.maxwin.max(MAX_ACK_WINDOW);
        let oldest = sender.end.wrapping_sub(receiver.maxwin).wrapping_sub(1);
        let ack_is_recent = after(ack, receiver.end.wrapping_sub(room).wrapping_sub(1));
        let ack_is_seen = before(ack, receiver.end.wrapping_add(1));
        if !before(seq, sender.maxend.wrapping_add(1)) {
            let overshot = end.wrapping_sub(sender.maxend).wrapping_add(1);
            let in_window = receiver.maxwin != 0 && after(end, oldest);
            if in_window && ack_is_recent && ack_is_seen && overshot <= receiver.maxwin {
                // More than the receiver has made room for. It may take it all the same.
                sender.end = end;
                sender.flags |= flag::DATA_UNACKNOWLEDGED;
                return Window::Ignore(Bound::More(overshot));
            }
            let bound = Bound::OverSeq(sender.maxend.wrapping_add(1));
            return Window::Out("nf_ct_tcp: SEQ is over upper bound", bound);
        }
        if !ack_is_seen {
            let bound = Bound::OverAck(receiver.end.wrapping_add(1));
            return Window::Out("nf_ct_tcp: ACK is over upper bound", bound);
        }
        if receiver.maxwin != 0 && !after(end, oldest) {
            // Data that was acknowledged long ago.
            return Window::Ignore(Bound::UnderSeq(oldest));
        }
        if !ack_is_recent {
            // An acknowledgement that is very late.
            return Window::Ignore(Bound::UnderAck(receiver.end.wrapping_sub(room).wrapping_sub(1)));
        }

        let win = if is_syn { u32::from(tcp.window) } else { u32::from(tcp.window) << sender.scale };
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
        if kind == Kind::Ack {
            self.count_retransmission(dir, seq, ack, end, tcp.window);
        }
        Window::In
    }

    /// Only acknowledgements are compared with the last one: the same again and again is a retransmission.
    fn count_retransmission(&mut self, dir: Direction, seq: u32, ack: u32, end: u32, win: u16) {
        let now = (dir, seq, ack, end, win);
        if now == (self.last_dir, self.last_seq, self.last_ack, self.last_end, self.last_win) {
            self.retrans += 1;
        } else {
            (self.last_dir, self.last_seq, self.last_ack, self.last_end, self.last_win) = now;
            self.retrans = 0;
        }
    }
}

pub(super) fn index(dir: Direction) -> usize {
    match dir {
        Direction::Original => 0,
        Direction::Reply => 1,
    }
}

/// Window scale and SACK from a SYN.
pub(super) fn read_options(peer: &mut TcpPeer, tcp: &Tcp) {
    if tcp.options.sack_ok {
        peer.flags |= flag::SACK_PERM;
    }
    if let Some(scale) = tcp.options.wscale {
        peer.flags |= flag::WINDOW_SCALE;
        peer.scale = scale.min(14);
    }
}
