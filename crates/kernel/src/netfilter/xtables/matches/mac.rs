//! `-m mac` (net/netfilter/xt_mac.c).

use super::{Checks, MatchCx};
use crate::dev::DevKind;
use crate::netfilter::xtables::{Neg, Seen};
use crate::{Skb, SkbOwner};
use packet::Mac;

/// `--mac-source`: the sender in the frame that brought the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacMatch {
    /// The address.
    pub source: Neg<Mac>,
}

impl MacMatch {
    /// A packet that came in by no Ethernet never matches, inverted or not.
    pub(super) fn eval(self, skb: &Skb, m: &MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let dev = skb.dev.and_then(|d| m.ns.device(d)).filter(|d| !matches!(d.kind, DevKind::Loopback));
        // A copy of what this host sends to all has no link-layer header.
        if dev.is_none() || skb.owner != SkbOwner::None {
            return checks.option(false, || Seen::Word("not from an Ethernet"));
        }
        let from = skb.frame.src;
        checks.option(self.source.apply(|mac| *mac == from), || Seen::Text(from.to_string()))
    }
}
