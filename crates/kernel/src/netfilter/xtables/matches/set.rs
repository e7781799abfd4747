//! `-m set` (net/netfilter/xt_set.c).

use super::{Checks, MatchCx};
use crate::Skb;
use crate::netfilter::ipset::SetDirs;
use crate::netfilter::xtables::Seen;

/// Options of set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetMatch {
    /// Written with `!`.
    pub not: bool,
    /// The set. The kernel keeps its place in the list instead; that comes to the same, as a set that a rule uses
    /// cannot be renamed or destroyed, and `swap` leaves the names where they are.
    pub name: String,
    /// What is looked for in the source and what in the destination.
    pub dirs: SetDirs,
}

impl SetMatch {
    pub(super) fn eval(&self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let Some(ip) = skb.ip() else { return checks.option(false, || Seen::Word("not IP")) };
        let hit = m.ns.ipsets.test_packet(&self.name, self.dirs, ip, m.cx.now);
        checks.option(hit != self.not, || Seen::Word(if hit { "in the set" } else { "not in the set" }))
    }
}
