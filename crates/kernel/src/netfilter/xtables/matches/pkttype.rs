//! `-m pkttype` (net/netfilter/xt_pkttype.c).

use super::Checks;
use crate::netfilter::xtables::{Neg, Seen};
use crate::{PktType, Skb};

/// `--pkt-type`: to whom the frame was addressed. Packets of this host count as addressed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PkttypeMatch {
    /// The type.
    pub kind: Neg<PktType>,
}

impl PkttypeMatch {
    pub(super) fn eval(self, skb: &Skb, checks: &mut Checks) -> bool {
        let kind = skb.pkt_type;
        checks.option(self.kind.apply(|k| *k == kind), || Seen::Word(kind.name()))
    }
}
