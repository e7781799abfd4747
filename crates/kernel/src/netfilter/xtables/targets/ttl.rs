//! `-j TTL` (net/netfilter/xt_HL.c).

use super::TargetVerdict;
use crate::Skb;

/// What happens to the time to live; it stays from 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// `--ttl-set`
    Set(u8),
    /// `--ttl-inc`
    Inc(u8),
    /// `--ttl-dec`
    Dec(u8),
}

impl Ttl {
    pub(super) fn eval(self, skb: &mut Skb) -> TargetVerdict {
        if let Some(ip) = skb.ip_mut() {
            ip.ttl = match self {
                Ttl::Set(n) => n,
                Ttl::Inc(n) => ip.ttl.saturating_add(n),
                Ttl::Dec(n) => ip.ttl.saturating_sub(n),
            };
        }
        TargetVerdict::Continue
    }
}
