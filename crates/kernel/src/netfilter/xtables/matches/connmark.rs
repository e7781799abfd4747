//! `-m connmark` (net/netfilter/xt_connmark.c).

use super::{Checks, MatchCx};
use crate::netfilter::xtables::{Neg, Seen};
use crate::{Ct, Skb};

/// `--mark VALUE[/MASK]` of the packet's conntrack entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnmarkMatch {
    /// Value and mask.
    pub mark: Neg<(u32, u32)>,
}

impl ConnmarkMatch {
    /// A packet without an entry never matches, inverted or not.
    pub(super) fn eval(self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let mark = match skb.ct {
            Ct::Tracked { conn, .. } => m.ns.ct.get(conn).map(|c| c.mark),
            Ct::Template(_, id) => Some(m.ns.template_mark(id)),
            _ => None,
        };
        let ok = mark.is_some_and(|mark| self.mark.apply(|&(value, mask)| mark & mask == value));
        checks.option(ok, || mark.map_or(Seen::Word("no conntrack entry"), Seen::Mark))
    }
}
