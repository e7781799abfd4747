//! `-j CONNMARK` (net/netfilter/xt_connmark.c, iptables-extensions(8)).

use super::{Mark, TargetVerdict};
use crate::{Ct, Netns, Skb};

/// What happens between the mark of a packet and that of its conntrack entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connmark {
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

impl Connmark {
    /// A packet without an entry passes by.
    pub(super) fn eval(self, ns: &mut Netns, skb: &mut Skb) -> TargetVerdict {
        let Ct::Tracked { conn, .. } = skb.ct else { return TargetVerdict::Continue };
        let Some(c) = ns.ct.get_mut(conn) else { return TargetVerdict::Continue };
        let mark = match self {
            Connmark::Set(t) => t.apply(c.mark),
            Connmark::Save { nfmask, ctmask } => (c.mark & !ctmask) ^ (skb.mark & nfmask),
            Connmark::Restore { nfmask, ctmask } => {
                skb.mark = (skb.mark & !nfmask) ^ (c.mark & ctmask);
                c.mark
            }
        };
        if mark != c.mark {
            c.mark = mark;
            c.pending.mark = true;
        }
        TargetVerdict::Continue
    }
}
