//! `-m ttl` (net/netfilter/xt_hl.c).

use super::Checks;
use crate::Skb;
use crate::netfilter::xtables::Seen;

/// How the packet's TTL is compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlMatch {
    /// `--ttl-eq`
    Equal(u8),
    /// `! --ttl-eq`
    NotEqual(u8),
    /// `--ttl-lt`
    Less(u8),
    /// `--ttl-gt`
    Greater(u8),
}

impl TtlMatch {
    pub(super) fn eval(self, skb: &Skb, checks: &mut Checks) -> bool {
        let ttl = skb.ip().map_or(0, |ip| ip.ttl);
        let ok = match self {
            TtlMatch::Equal(n) => ttl == n,
            TtlMatch::NotEqual(n) => ttl != n,
            TtlMatch::Less(n) => ttl < n,
            TtlMatch::Greater(n) => ttl > n,
        };
        checks.option(ok, || Seen::Text(format!("TTL {ttl}")))
    }
}
