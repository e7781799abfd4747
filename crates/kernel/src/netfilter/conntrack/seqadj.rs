//! Sequence numbers of a connection whose payload NAT has made longer or shorter (net/netfilter/nf_conntrack_seqadj.c).

use super::{ConnInfo, Direction};
use crate::{ConnId, Netns, Skb};
use packet::{L4, Tcp, TcpFlags};

/// What one side's numbers are off by, before and after the place of the last change (`struct nf_ct_seqadj`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqAdjust {
    /// Sequence number of the segment that was changed last.
    pub correction_pos: u32,
    /// Added up to there.
    pub offset_before: u32,
    /// Added behind it.
    pub offset_after: u32,
}

fn after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}

impl SeqAdjust {
    /// `nf_ct_seqadj_set`: a segment has grown by `by` (modulo 2^32). The same segment again changes nothing.
    fn set(&mut self, seq: u32, by: u32) {
        if self.offset_before == self.offset_after || after(seq, self.correction_pos) {
            self.correction_pos = seq;
            self.offset_before = self.offset_after;
            self.offset_after = self.offset_after.wrapping_add(by);
        }
    }

    /// `nf_ct_seq_offset`
    fn at(&self, seq: u32) -> u32 {
        if after(seq, self.correction_pos) { self.offset_after } else { self.offset_before }
    }
}

/// The offsets of both sides, by the direction in which they send.
pub type SeqAdjusts = [SeqAdjust; 2];

fn side(all: &SeqAdjusts, dir: Direction) -> &SeqAdjust {
    match dir {
        Direction::Original => &all[0],
        Direction::Reply => &all[1],
    }
}

/// Notes that the payload of a segment in this direction has changed its length.
pub(crate) fn nf_ct_seqadj_set(all: &mut SeqAdjusts, dir: Direction, seq: u32, by: u32) {
    let [original, reply] = all;
    match dir {
        Direction::Original => original.set(seq, by),
        Direction::Reply => reply.set(seq, by),
    }
}

/// A segment as conntrack measures it: every side's numbers are those that it sends itself, so what the other side
/// acknowledges is put back.
pub(super) fn as_measured(all: &SeqAdjusts, dir: Direction, tcp: &Tcp) -> Tcp {
    let offset = side(all, dir.flip()).at(tcp.ack.wrapping_sub(1));
    Tcp { ack: tcp.ack.wrapping_sub(offset), ..tcp.clone() }
}

/// `nf_ct_seq_adjust`: the segment as the other side expects it.
pub(super) fn nf_ct_seq_adjust(ns: &Netns, skb: &mut Skb, conn: ConnId, info: ConnInfo) {
    let Some(all) = ns.ct.get(conn).and_then(super::Conn::seqadj) else { return };
    let (this, other) = (side(all, info.dir), side(all, info.dir.flip()));
    let Some(tcp) = skb.tcp() else { return };
    let seq = tcp.seq.wrapping_add(this.at(tcp.seq));
    let ack = match tcp.flags.has(TcpFlags::ACK) {
        // The other side counts what it has got; the place of the change is where the sender counts.
        true => tcp.ack.wrapping_sub(other.at(tcp.ack.wrapping_sub(other.offset_before))),
        false => tcp.ack,
    };
    if (seq, ack) == (tcp.seq, tcp.ack) {
        return;
    }
    if let Some(L4::Tcp(tcp)) = skb.ip_mut().map(|ip| &mut ip.l4) {
        (tcp.seq, tcp.ack) = (seq, ack);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_behind_the_change_are_shifted() {
        let mut s = SeqAdjust::default();
        s.set(1000, 3);
        assert_eq!([s.at(999), s.at(1000), s.at(1001)], [0, 0, 3]);
        // The same segment again, then a later one.
        s.set(1000, 3);
        s.set(1100, 2);
        assert_eq!([s.at(1100), s.at(1101)], [3, 5]);
    }

    #[test]
    fn a_shorter_payload_shifts_back_across_the_end_of_the_numbers() {
        let mut s = SeqAdjust::default();
        s.set(u32::MAX - 1, 2_u32.wrapping_neg());
        assert_eq!(5_u32.wrapping_add(s.at(5)), 3);
        assert_eq!(s.at(u32::MAX - 2), 0);
    }
}
