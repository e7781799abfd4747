//! `-m physdev` (net/netfilter/xt_physdev.c).

use super::{Checks, MatchCx};
use crate::netfilter::xtables::{IfaceMatch, Neg, Seen};
use crate::{DevId, Skb};

/// Options of physdev, in the order in which iptables prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Physdev {
    /// `--physdev-is-in`; the value is unused
    pub is_in: Option<Neg<()>>,
    /// `--physdev-in`
    pub dev_in: Option<Neg<IfaceMatch>>,
    /// `--physdev-is-out`
    pub is_out: Option<Neg<()>>,
    /// `--physdev-out`
    pub dev_out: Option<Neg<IfaceMatch>>,
    /// `--physdev-is-bridged`
    pub is_bridged: Option<Neg<()>>,
}

impl Physdev {
    pub(super) fn eval(&self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let name = |dev: Option<DevId>| dev.map_or(String::new(), |d| m.ns.dev_name(d).to_string());
        let Some(nf_bridge) = &skb.nf_bridge else {
            // Not from a bridge: only the inverted options can hold.
            let any = self.dev_in.as_ref().is_some_and(|o| !o.not)
                || self.dev_out.as_ref().is_some_and(|o| !o.not)
                || [&self.is_in, &self.is_out, &self.is_bridged].into_iter().flatten().any(|o| !o.not);
            return checks.option(!any, || Seen::Word("not from a bridge port"));
        };
        let (physin, physout) = (name(Some(nf_bridge.physin)), name(nf_bridge.physout));
        let has_out = nf_bridge.physout.is_some();
        checks.optional(self.is_bridged.as_ref(), |()| has_out, || word(has_out, "bridged", "routed"))
            && checks.optional(self.is_in.as_ref(), |()| true, || Seen::Iface(physin.clone()))
            && checks.optional(self.is_out.as_ref(), |()| has_out, || Seen::Iface(physout.clone()))
            && checks.optional(self.dev_in.as_ref(), |i| i.matches(&physin), || Seen::Iface(physin.clone()))
            // While the output port is not known, no name matches and none fails to match.
            && (self.dev_out.is_none() || has_out || checks.option(false, || Seen::Iface(physout.clone())))
            && checks.optional(self.dev_out.as_ref(), |i| i.matches(&physout), || Seen::Iface(physout.clone()))
    }
}

fn word(yes: bool, a: &'static str, b: &'static str) -> Seen {
    Seen::Word(if yes { a } else { b })
}
