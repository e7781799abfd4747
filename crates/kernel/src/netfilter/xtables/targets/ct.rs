//! `-j CT` (net/netfilter/xt_CT.c).

use super::TargetVerdict;
use crate::netfilter::conntrack::Helper;
use crate::{Ct, Skb};

/// What conntrack shall do with the packet, before it has seen it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtTarget {
    /// `--notrack`
    pub notrack: bool,
    /// `--helper`
    pub helper: Option<Helper>,
}

impl CtTarget {
    /// A packet that conntrack has seen already stays as it is.
    pub(super) fn eval(self, skb: &mut Skb) -> TargetVerdict {
        if skb.ct == Ct::None {
            skb.ct = match (self.notrack, self.helper) {
                (true, _) => Ct::Untracked,
                (false, Some(helper)) => Ct::Template(helper),
                (false, None) => Ct::None,
            };
        }
        TargetVerdict::Continue
    }
}
