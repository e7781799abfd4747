//! `-m multiport` (net/netfilter/xt_multiport.c).

use super::Checks;
use crate::Skb;
use crate::netfilter::xtables::{Neg, PortRange, Seen};

/// Which port multiport looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSide {
    /// `--sports`
    Source,
    /// `--dports`
    Destination,
    /// `--ports`: either
    Either,
}

/// Up to 15 ports; a range takes two places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiport {
    /// Which port.
    pub side: PortSide,
    /// The list.
    pub ports: Neg<Vec<PortRange>>,
}

impl Multiport {
    pub(super) fn eval(&self, skb: &Skb, checks: &mut Checks) -> bool {
        let Some((sport, dport)) = skb.ip().and_then(|ip| ip.ports()) else {
            return checks.short_header(skb);
        };
        let ok = self.ports.apply(|list| {
            list.iter().any(|r| match self.side {
                PortSide::Source => r.contains(sport),
                PortSide::Destination => r.contains(dport),
                PortSide::Either => r.contains(sport) || r.contains(dport),
            })
        });
        checks.option(ok, || match self.side {
            PortSide::Source => Seen::Port(sport),
            PortSide::Destination => Seen::Port(dport),
            PortSide::Either => Seen::Text(format!("{sport}, {dport}")),
        })
    }
}
