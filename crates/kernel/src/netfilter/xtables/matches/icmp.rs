//! `-m icmp` (net/ipv4/netfilter/ip_tables.c, `icmp_match`).

use super::Checks;
use crate::Skb;
use crate::netfilter::xtables::{Neg, Seen};
use packet::L4;

/// `--icmp-type TYPE[/CODE]`. Type 255 with all codes is "any".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpMatch {
    /// Type and the range of codes, both ends included.
    pub kind: Neg<(u8, u8, u8)>,
}

impl IcmpMatch {
    /// The type that matches every type.
    pub const ANY: u8 = 255;

    pub(super) fn eval(self, skb: &Skb, checks: &mut Checks) -> bool {
        let headers = skb.ip().map(packet::Ip::headers);
        let Some(L4::Icmp(icmp)) = headers.as_deref() else { return checks.short_header(skb) };
        let ok = self.kind.apply(|&(kind, min, max)| {
            kind == IcmpMatch::ANY || (icmp.kind == kind && min <= icmp.code && icmp.code <= max)
        });
        checks.option(ok, || Seen::Text(format!("{}/{}", icmp.kind, icmp.code)))
    }
}
