//! `-m tcpmss` (net/netfilter/xt_tcpmss.c).

use super::Checks;
use crate::Skb;
use crate::netfilter::xtables::{Neg, Seen};

/// `--mss`: the option of that name in a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcpmss {
    /// Least and greatest size, both included.
    pub mss: Neg<(u16, u16)>,
}

impl Tcpmss {
    /// A segment without the option is like one with another size.
    pub(super) fn eval(self, skb: &Skb, checks: &mut Checks) -> bool {
        let mss = skb.tcp().and_then(|t| t.options.mss);
        let ok = self.mss.apply(|(min, max)| mss.is_some_and(|m| *min <= m && m <= *max));
        checks.option(ok, || mss.map_or(Seen::Word("no MSS"), |m| Seen::Text(format!("MSS {m}"))))
    }
}
