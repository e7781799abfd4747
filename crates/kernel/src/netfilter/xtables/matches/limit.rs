//! `-m limit` (net/netfilter/xt_limit.c): a bucket of credits that fills with time; each match takes some out.

use super::{Checks, MatchCx};
use crate::netfilter::xtables::Seen;

/// `XT_LIMIT_SCALE`: the unit of [`Limit::avg`] is this part of a second.
pub const LIMIT_SCALE: u32 = 10_000;

/// `HZ` of the recorded kernel.
const HZ: u32 = 250;

/// `CREDITS_PER_JIFFY`: the largest power of two with which a day of credits still fits into 32 bits.
const CREDITS_PER_JIFFY: u32 = 128;

/// Options of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// `--limit`: the time between two packets, in 1/10000 s; at least 1.
    pub avg: u32,
    /// `--limit-burst`: how many packets match at once when the bucket is full.
    pub burst: u32,
}

impl Limit {
    /// `user2credits`
    fn credits(user: u32) -> u32 {
        if user > u32::MAX / (HZ * CREDITS_PER_JIFFY) {
            (user / LIMIT_SCALE).wrapping_mul(HZ * CREDITS_PER_JIFFY)
        } else {
            user * (HZ * CREDITS_PER_JIFFY) / LIMIT_SCALE
        }
    }

    fn cost(self) -> u32 {
        Limit::credits(self.avg)
    }

    fn cap(self) -> u32 {
        Limit::credits(self.avg.wrapping_mul(self.burst))
    }

    /// False if the kernel refuses the match (`limit_mt_check`): its numbers would overflow.
    pub fn is_valid(self) -> bool {
        self.burst != 0 && self.cap() >= self.cost()
    }

    pub(super) fn eval(self, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let now = m.cx.now.jiffies();
        let (cap, cost) = (self.cap(), self.cost());
        let Some(memory) = m.state.memory(checks.match_index()) else { return false };
        // What is kept is how much is missing, so that the bucket begins full.
        let since = now.wrapping_sub(memory.tick);
        let missing = memory.count.saturating_sub(since.saturating_mul(CREDITS_PER_JIFFY));
        let credit = cap.saturating_sub(missing);
        let ok = credit >= cost;
        memory.tick = now;
        memory.count = cap - if ok { credit - cost } else { credit };
        checks.option(ok, || Seen::Text(format!("room for {} packets", credit / cost.max(1))))
    }
}
