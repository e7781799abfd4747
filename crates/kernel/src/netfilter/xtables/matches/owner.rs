//! `-m owner` (net/netfilter/xt_owner.c).

use super::Checks;
use crate::netfilter::xtables::{Neg, Seen};
use crate::{Skb, SkbOwner};

/// User and group of every program here: root.
const ROOT: u32 = 0;

/// Options of owner, in the order in which iptables prints them. A range that runs backwards is refused by the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// `--socket-exists`
    pub socket_exists: Option<Neg<()>>,
    /// `--uid-owner`, both ends included
    pub uid: Option<Neg<(u32, u32)>>,
    /// `--gid-owner`, both ends included
    pub gid: Option<Neg<(u32, u32)>>,
    /// `--suppl-groups`: the program's other groups count too. root has none here.
    pub suppl_groups: bool,
}

impl Owner {
    pub(super) fn eval(&self, skb: &Skb, checks: &mut Checks) -> bool {
        let exists = skb.owner != SkbOwner::None;
        let word = if exists { "a socket" } else { "no socket" };
        if !checks.optional(self.socket_exists.as_ref(), |()| exists, || Seen::Word(word)) {
            return false;
        }
        for (range, what) in [(&self.uid, "user"), (&self.gid, "group")] {
            let known = skb.owner == SkbOwner::Program;
            let seen = || if known { Seen::Text(format!("{what} {ROOT}")) } else { Seen::Word("no program") };
            // Without a program no user matches, so that an inverted option holds.
            if !checks.optional(range.as_ref(), |(min, max)| known && (*min..=*max).contains(&ROOT), seen) {
                return false;
            }
        }
        true
    }
}
