//! `-m icmp6` (net/ipv6/netfilter/ip6_tables.c, `icmp6_match`).

use super::Checks;
use crate::Skb;
use crate::netfilter::xtables::{Neg, Seen};
use packet::L4;

/// `--icmpv6-type TYPE[/CODE]`. Unlike that of ICMP, 255 is a type like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp6Match {
    /// Type and the range of codes, both ends included.
    pub kind: Neg<(u8, u8, u8)>,
}

impl Icmp6Match {
    pub(super) fn eval(self, skb: &Skb, checks: &mut Checks) -> bool {
        let Some(L4::Icmp6(icmp)) = skb.ip().map(|ip| &ip.l4) else { return checks.short_header(skb) };
        let ok =
            self.kind.apply(|&(kind, min, max)| icmp.kind == kind && min <= icmp.code && icmp.code <= max);
        checks.option(ok, || Seen::Text(format!("{}/{}", icmp.kind, icmp.code)))
    }
}
