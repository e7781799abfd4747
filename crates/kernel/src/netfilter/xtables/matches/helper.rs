//! `-m helper` (net/netfilter/xt_helper.c).

use super::{Checks, MatchCx};
use crate::Skb;
use crate::netfilter::xtables::{Neg, Seen};

/// `--helper NAME`: the packet's flow was announced by a helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperMatch {
    /// The helper's name, perhaps with more behind it, such as a port. Empty for any helper.
    pub name: Neg<String>,
}

impl HelperMatch {
    pub(super) fn eval(&self, skb: &Skb, m: &MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let conn = skb.ct.conn().and_then(|id| m.ns.ct.get(id));
        let helper = conn.and_then(|c| m.ns.ct.get(c.master.as_ref()?.conn)?.helper).map(|h| h.name());
        let ok = self
            .name
            .apply(|name| helper.as_ref().is_some_and(|h| name.is_empty() || name.starts_with(h.as_str())));
        checks.option(ok, || helper.map_or(Seen::Word("not announced by a helper"), Seen::Text))
    }
}
