//! `-m set` (net/netfilter/xt_set.c).

use super::{Checks, MatchCx};
use crate::event::HookCtx;
use crate::netfilter::ipset::{IpSets, SetCx, SetQuery};
use crate::netfilter::xtables::Seen;
use crate::{DevId, Netns, Skb};

/// Options of set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetMatch {
    /// Written with `!`.
    pub not: bool,
    /// The set. The kernel keeps its place in the list instead; that comes to the same, as a set that a rule uses
    /// cannot be renamed or destroyed, and `swap` leaves the names where they are.
    pub name: String,
    /// The other options.
    pub query: SetQuery,
}

impl SetMatch {
    pub(super) fn eval(&self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let Some(ip) = skb.ip() else { return checks.option(false, || Seen::Word("not IP")) };
        let found = with_sets(m.ns, m.ctx, |sets, devs| {
            sets.test_packet(&self.name, &self.query, &SetCx { ip, devs, now: m.cx.now })
        });
        let hit = found.is_some();
        checks.option(hit != self.not, || Seen::Word(if hit { "in the set" } else { "not in the set" }))
    }
}

/// The sets, and the names of the devices that a packet came in by and goes out by.
pub(in crate::netfilter::xtables) fn with_sets<T>(
    ns: &mut Netns,
    ctx: &HookCtx,
    ask: impl FnOnce(&mut IpSets, (&str, &str)) -> T,
) -> T {
    let mut sets = std::mem::take(&mut ns.ipsets);
    let name = |dev: Option<DevId>| dev.map_or("", |d| ns.dev_name(d));
    let answer = ask(&mut sets, (name(ctx.indev), name(ctx.outdev)));
    ns.ipsets = sets;
    answer
}
