//! `-m length` (net/netfilter/xt_length.c).

use super::Checks;
use crate::Skb;
use crate::netfilter::xtables::{Neg, Seen};

/// `--length MIN:MAX`: the length of the IP packet with its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthMatch {
    /// Least and greatest length. The kernel takes them as they are, also if no length is between them.
    pub range: Neg<(u16, u16)>,
}

impl LengthMatch {
    pub(super) fn eval(self, skb: &Skb, checks: &mut Checks) -> bool {
        let length = skb.ip().map_or(0, packet::Ip::total_len);
        let ok = self.range.apply(|&(min, max)| usize::from(min) <= length && length <= usize::from(max));
        checks.option(ok, || Seen::Text(format!("{length} bytes")))
    }
}
