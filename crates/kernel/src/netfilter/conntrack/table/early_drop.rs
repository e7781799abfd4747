//! Who has to make room in a full table (`early_drop`, net/netfilter/nf_conntrack_core.c).

use super::{Conn, Conntrack};
use crate::netfilter::conntrack::hash::hash_conntrack;
use crate::netfilter::conntrack::{Tuple, status};
use crate::{ConnId, Instant};

/// How many buckets early_drop looks at, in old kernels entries (`NF_CT_EVICTION_RANGE`).
const EVICTION_RANGE: usize = 8;

impl Conntrack {
    /// `early_drop`: who has to make room for a new entry with this tuple. Of the eight buckets from its own on, the first that
    /// has anybody who is not assured gives up all of those. Whoever is over in the buckets on the way goes too, and comes
    /// first in the answer; that makes no room.
    pub(crate) fn early_drop(&self, tuple: &Tuple, now: Instant) -> (Vec<ConnId>, Vec<ConnId>) {
        let mut over = Vec::new();
        for bucket in self.buckets_from(tuple).take(EVICTION_RANGE) {
            let mut victims = Vec::new();
            let mut all: Vec<&Conn> =
                bucket.into_iter().filter_map(|node| self.at(node)).map(|(c, _)| c).collect();
            // The newest stands first in its bucket.
            sorted::sort_by_key(&mut all, |c| std::cmp::Reverse(c.id));
            for c in all {
                if c.expires <= now {
                    over.push(c.id);
                } else if c.status & status::ASSURED == 0 && !victims.contains(&c.id) {
                    victims.push(c.id);
                }
            }
            if !victims.is_empty() {
                return (over, victims);
            }
        }
        (over, Vec::new())
    }

    /// `early_drop` of old kernels: the oldest in the first bucket that has anybody who is not assured. It looks at buckets until
    /// it has seen eight entries.
    pub(crate) fn early_drop_one(&self, tuple: &Tuple) -> Option<ConnId> {
        let mut seen = 0;
        for bucket in self.buckets_from(tuple) {
            seen += bucket.len();
            let all = bucket.into_iter().filter_map(|node| self.at(node)).map(|(c, _)| c);
            let victim = all.filter(|c| c.status & status::ASSURED == 0).map(|c| c.id).min();
            if victim.is_some() || seen >= EVICTION_RANGE {
                return victim;
            }
        }
        None
    }

    /// The buckets from that of a tuple on, once round.
    fn buckets_from(&self, tuple: &Tuple) -> impl Iterator<Item = Vec<u32>> + '_ {
        let buckets = self.limits.buckets.max(1) as usize;
        let first = ((u64::from(hash_conntrack(tuple)) * buckets as u64) >> 32) as usize;
        (0..buckets).map(move |i| self.hash.in_bucket((first + i) % buckets, buckets))
    }
}
