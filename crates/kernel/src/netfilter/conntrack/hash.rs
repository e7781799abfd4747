//! `nf_conntrack_hash`: which entry has a tuple, in which direction (net/netfilter/nf_conntrack_core.c).
//!
//! A bucket of Linux is a share of the range of hashes (`reciprocal_scale`). How many there are is a setting, and what it leads to
//! is asked by [`TupleHash::in_bucket`]. What tuples are found by is another matter: one flat array in the order of the hashes, as
//! large as the table needs, in which a tuple stands at the place of its hash or soon behind it. A lookup touches one line of the
//! processor's cache.

use super::Tuple;

/// A free place.
const FREE: u32 = u32::MAX;
/// Places of a small table.
const FEWEST: usize = 64;

/// A tuple in its place. Which tuple it is, the owner of the table knows: node 2 * slot is the original direction of the entry in
/// that slot, the next one its reply direction.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    node: u32,
}

/// The tuples of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct TupleHash {
    /// A power of two, or none. At most three of four are taken.
    places: Vec<Place>,
    count: usize,
}

/// `reciprocal_scale`: the share of `n` equal ones in which a hash lies.
fn share(hash: u32, n: usize) -> usize {
    ((u64::from(hash) * n as u64) >> 32) as usize
}

/// `hash_conntrack_raw`. Linux draws a seed when it boots; which tuples share a bucket differs from boot to boot.
pub(super) fn hash_conntrack(t: &Tuple) -> u32 {
    mix(t.words())
}

/// `hash_by_src`: of what comes from one source the same, whatever its destination.
pub(crate) fn hash_by_src(t: &Tuple) -> u32 {
    let [src, _, rest] = t.words();
    mix([src, 0, rest & !DPORT])
}

/// The destination port in the last word of a tuple.
const DPORT: u64 = 0xffff << 32;

/// In 64 bits on every machine: WebAssembly's own words have 32.
fn mix([src, dst, ports]: [u64; 3]) -> u32 {
    let mut h = (src.rotate_left(32) ^ dst).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h = (h ^ (h >> 29) ^ ports).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (h >> 32) as u32
}

impl TupleHash {
    /// Where a hash belongs.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        share(hash, self.places.len())
    }

    /// What stands from a place on until the next free one, with the places.
    #[inline]
    fn run(&self, first: usize) -> impl Iterator<Item = (usize, Place)> + '_ {
        let (mut at, mask) = (first, self.places.len().wrapping_sub(1));
        std::iter::from_fn(move || {
            let here = at & mask;
            let place = *self.places.get(here).filter(|p| p.node != FREE)?;
            at += 1;
            Some((here, place))
        })
    }

    /// The nodes whose tuples have this hash.
    #[inline]
    pub(super) fn with_hash(&self, hash: u32) -> impl Iterator<Item = u32> + '_ {
        self.run(self.home(hash)).filter(move |(_, p)| p.hash == hash).map(|(_, p)| p.node)
    }

    /// What stands where this hash belongs.
    #[inline]
    pub(super) fn peek(&self, hash: u32) -> u32 {
        self.places.get(self.home(hash)).map_or(FREE, |p| p.node)
    }

    /// The nodes in a bucket, if there are `buckets` of them, in no order.
    pub(super) fn in_bucket(&self, bucket: usize, buckets: usize) -> Vec<u32> {
        if self.places.is_empty() || buckets == 0 {
            return Vec::new();
        }
        // The first hash that lies in a share.
        let begin = |i: usize| ((i as u64) << 32).div_ceil(buckets as u64);
        let (first, end) = (begin(bucket), begin(bucket + 1));
        let home = |hash: u64| self.home(u32::try_from(hash).unwrap_or(u32::MAX));
        let (from, last) = (home(first), home(end.saturating_sub(1)));
        let own = |p: &Place| p.node != FREE && (first..end).contains(&u64::from(p.hash));
        // What found its place taken stands behind the last one.
        let within = self.places.get(from..=last).unwrap_or_default().iter().copied();
        let behind = self.run(last + 1).map(|(_, p)| p).take(self.places.len() - (last + 1 - from));
        within.chain(behind).filter(own).map(|p| p.node).collect()
    }

    pub(super) fn insert(&mut self, node: u32, hash: u32) {
        if (self.count + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        self.count += 1;
        self.put(Place { hash, node });
    }

    /// Of equal hashes the newest stands first, as at the head of a chain of Linux: a tuple that is its own reply is found as the reply.
    fn put(&mut self, new: Place) {
        let mask = self.places.len().wrapping_sub(1);
        let (mut at, mut carried) = (self.home(new.hash), new);
        while let Some(place) = self.places.get_mut(at & mask) {
            if place.node == FREE {
                *place = carried;
                return;
            }
            if place.hash == new.hash {
                std::mem::swap(place, &mut carried);
            }
            at += 1;
        }
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(FEWEST);
        let mut old = std::mem::replace(&mut self.places, vec![Place { hash: 0, node: FREE }; size]);
        // From one free place to the next around the end, so that no run is torn; the oldest of equal hashes first.
        let free = old.iter().position(|p| p.node == FREE).unwrap_or(0);
        old.rotate_left(free);
        for place in old.into_iter().rev().filter(|p| p.node != FREE) {
            self.put(place);
        }
    }

    /// Takes a node out that was put in with this hash.
    pub(super) fn remove(&mut self, node: u32, hash: u32) {
        let found = self.run(self.home(hash)).find(|(_, p)| p.node == node).map(|(at, _)| at);
        let Some(mut hole) = found else { return };
        self.count -= 1;
        // What stands behind moves up, unless it would stand before where it belongs.
        let mask = self.places.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let Some(place) = self.places.get(at).copied().filter(|p| p.node != FREE) else { break };
            let from_home = at.wrapping_sub(self.home(place.hash)) & mask;
            if from_home >= (at.wrapping_sub(hole) & mask) {
                if let Some(free) = self.places.get_mut(hole) {
                    *free = place;
                }
                hole = at;
            }
        }
        if let Some(free) = self.places.get_mut(hole) {
            free.node = FREE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that are spread over the whole range.
    fn spread(n: u32) -> u32 {
        n.wrapping_mul(0x9e37_79b1)
    }

    #[test]
    fn a_node_is_found_until_it_is_removed() {
        let mut table = TupleHash::default();
        for n in 0..1000 {
            table.insert(n, spread(n));
        }
        for n in (0..1000).filter(|n| n % 3 == 0) {
            table.remove(n, spread(n));
        }
        for n in 0..1000 {
            assert_eq!(table.with_hash(spread(n)).collect::<Vec<_>>().contains(&n), n % 3 != 0, "{n}");
        }
    }

    #[test]
    fn of_equal_hashes_the_newest_is_found_first() {
        // The middle of the range, its beginning, and its end, behind which a run begins anew.
        for hash in [7, u32::MAX / 2, u32::MAX] {
            let mut table = TupleHash::default();
            for n in 0..5 {
                table.insert(n, hash);
            }
            table.remove(2, hash);
            assert_eq!(table.with_hash(hash).collect::<Vec<_>>(), [4, 3, 1, 0]);
            // Others take their places among them, and the table grows.
            for n in 5..500 {
                table.insert(n, hash.wrapping_add(spread(n) >> 8));
            }
            table.insert(500, hash);
            assert_eq!(
                table.with_hash(hash).filter(|n| *n < 5 || *n == 500).collect::<Vec<_>>(),
                [500, 4, 3, 1, 0]
            );
        }
    }

    /// However many places there are, a bucket holds the tuples whose hashes lie in its share, each in one bucket.
    #[test]
    fn buckets_are_equal_shares_of_the_hashes() {
        for buckets in [1, 7, 512, 100_000] {
            let mut table = TupleHash::default();
            for n in 0..300 {
                table.insert(n, spread(n));
            }
            let mut seen = 0;
            for bucket in 0..buckets {
                for n in table.in_bucket(bucket, buckets) {
                    assert_eq!(share(spread(n), buckets), bucket);
                    seen += 1;
                }
            }
            assert_eq!(seen, 300, "{buckets}");
        }
    }

    /// The last place is followed by the first.
    #[test]
    fn what_finds_no_place_at_the_end_stands_at_the_beginning() {
        let mut table = TupleHash::default();
        for n in 0..10 {
            table.insert(n, u32::MAX - n);
        }
        table.insert(10, 0);
        table.remove(9, u32::MAX - 9);
        for n in 0..9 {
            assert_eq!(table.with_hash(u32::MAX - n).collect::<Vec<_>>(), [n]);
        }
        assert_eq!(table.with_hash(0).collect::<Vec<_>>(), [10]);
        let mut all = table.in_bucket(0, 1);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
        assert_eq!(table.in_bucket(511, 512).len(), 9);
    }

    #[test]
    fn hashes_use_the_whole_range() {
        let (mut shares, mut sources) = ([0u32; 64], [0u32; 64]);
        for port in 0..6400 {
            let key = super::super::L4Key::Ports { sport: 20_000 + port, dport: 53 };
            let t = Tuple::new([10, 0, 0, 2].into(), [10, 1, 0, 2].into(), packet::Protocol::UDP, key);
            shares[share(hash_conntrack(&t), 64)] += 1;
            sources[share(hash_by_src(&t), 64)] += 1;
            let key = super::super::L4Key::Ports { sport: 20_000 + port, dport: 80 };
            let other = Tuple::new([10, 0, 0, 2].into(), [10, 9, 9, 9].into(), packet::Protocol::UDP, key);
            assert_eq!(hash_by_src(&t), hash_by_src(&other));
        }
        assert!(shares.iter().all(|n| (60..140).contains(n)), "{shares:?}");
        assert!(sources.iter().all(|n| (60..140).contains(n)), "{sources:?}");
    }
}
