//! `-m mark` (net/netfilter/xt_mark.c).

use super::Checks;
use crate::Skb;
use crate::netfilter::xtables::{Neg, Seen};

/// `--mark VALUE[/MASK]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkMatch {
    /// Value and mask.
    pub mark: Neg<(u32, u32)>,
}

impl MarkMatch {
    pub(super) fn eval(self, skb: &Skb, checks: &mut Checks) -> bool {
        let ok = self.mark.apply(|&(value, mask)| skb.mark & mask == value);
        checks.option(ok, || Seen::Mark(skb.mark))
    }
}
