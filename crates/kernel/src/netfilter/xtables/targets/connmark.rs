//! `-j CONNMARK` (net/netfilter/xt_connmark.c, iptables-extensions(8)).

use super::{Mark, TargetVerdict};
use crate::netfilter::conntrack::ipct;
use crate::{Ct, Netns, Skb};

/// What happens between the mark of a packet and that of its conntrack entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connmark {
    /// Which way the mark goes.
    pub op: ConnmarkOp,
    /// Shifts the mark on its way.
    pub shift: Shift,
}

/// The operations of CONNMARK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnmarkOp {
    /// Changes the entry's mark as [`Mark`] changes the packet's: `--set-xmark` and its other spellings.
    Set(Mark),
    /// `--save-mark`: the entry's mark becomes `(mark & !ctmask) ^ (packet & nfmask)`.
    Save {
        /// Bits of the packet's mark.
        nfmask: u32,
        /// Bits of the entry's mark.
        ctmask: u32,
    },
    /// `--restore-mark`: the packet's mark becomes `(mark & !nfmask) ^ (entry & ctmask)`.
    Restore {
        /// Bits of the packet's mark.
        nfmask: u32,
        /// Bits of the entry's mark.
        ctmask: u32,
    },
}

/// `--left-shift-mark`, `--right-shift-mark`: by 0 to 31 bits, 0 being none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// To the right.
    pub right: bool,
    /// How many bits.
    pub bits: u8,
}

impl Shift {
    fn apply(self, mark: u32) -> u32 {
        let bits = u32::from(self.bits);
        if self.right { mark.checked_shr(bits) } else { mark.checked_shl(bits) }.unwrap_or(0)
    }
}

impl Connmark {
    /// A packet without an entry passes by. The template of `-j CT` is an entry too: what it is given stays with its rule.
    pub(super) fn eval(self, ns: &mut Netns, skb: &mut Skb) -> TargetVerdict {
        let before = match skb.ct {
            Ct::Tracked { conn, .. } => ns.ct.get(conn).map(|c| c.mark),
            Ct::Template(_, id) => Some(ns.template_mark(id)),
            _ => None,
        };
        let Some(before) = before else { return TargetVerdict::Continue };
        let mark = match self.op {
            ConnmarkOp::Set(t) => self.shift.apply(t.apply(before)),
            ConnmarkOp::Save { nfmask, ctmask } => before & !ctmask ^ self.shift.apply(skb.mark & nfmask),
            ConnmarkOp::Restore { nfmask, ctmask } => {
                skb.mark = skb.mark & !nfmask ^ self.shift.apply(before & ctmask);
                before
            }
        };
        match skb.ct {
            _ if mark == before => {}
            Ct::Template(_, id) => ns.set_template_mark(id, mark),
            Ct::Tracked { conn, .. } => {
                if let Some(c) = ns.ct.get_mut(conn) {
                    c.mark = mark;
                    c.pending |= ipct::MARK;
                }
            }
            _ => {}
        }
        TargetVerdict::Continue
    }
}
