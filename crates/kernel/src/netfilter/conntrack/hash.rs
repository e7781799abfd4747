//! `nf_conntrack_hash`: which entry has a tuple, in which direction (net/netfilter/nf_conntrack_core.c).
//!
//! A bucket of Linux is a share of the range of hashes (`reciprocal_scale`). The chains here are such shares too, but as many
//! as the table needs; so the entries of one of Linux's buckets are those of one or several chains, or of a part of one.

use super::Tuple;

/// The end of a chain.
const END: u32 = u32::MAX;
/// Chains of a small table.
const FEWEST: usize = 64;

/// A tuple in its chain. Which tuple it is, the owner of the table knows: node 2 * slot is the original direction of the
/// entry in that slot, the next one its reply direction.
#[derive(Clone, Copy, Debug)]
struct Node {
    hash: u32,
    next: u32,
}

/// The chains.
#[derive(Clone, Debug, Default)]
pub(super) struct TupleHash {
    heads: Vec<u32>,
    nodes: Vec<Node>,
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
    /// The nodes whose tuples have this hash.
    pub(super) fn with_hash(&self, hash: u32) -> impl Iterator<Item = u32> + '_ {
        let chain = if self.heads.is_empty() { 0 } else { share(hash, self.heads.len()) };
        self.chain(chain).filter(move |n| self.nodes.get(*n as usize).is_some_and(|x| x.hash == hash))
    }

    fn chain(&self, chain: usize) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.heads.get(chain).copied().unwrap_or(END);
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            Some(std::mem::replace(&mut at, node.next))
        })
    }

    /// The nodes in a bucket, if there are `buckets` of them.
    pub(super) fn in_bucket(&self, bucket: usize, buckets: usize) -> Vec<u32> {
        let mut found = Vec::new();
        if self.heads.is_empty() || buckets == 0 {
            return found;
        }
        // The first hash that lies in a share.
        let begin = |i: usize| ((i as u64) << 32).div_ceil(buckets as u64);
        let (first, end) = (begin(bucket), begin(bucket + 1));
        let at = |hash: u64| share(u32::try_from(hash).unwrap_or(u32::MAX), self.heads.len());
        for chain in at(first)..=at(end.saturating_sub(1)) {
            found.extend(self.chain(chain).filter(|n| {
                let hash = self.nodes.get(*n as usize).map_or(0, |x| u64::from(x.hash));
                (first..end).contains(&hash)
            }));
        }
        found
    }

    pub(super) fn insert(&mut self, node: u32, hash: u32) {
        if self.count >= self.heads.len() {
            self.grow();
        }
        let at = node as usize;
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, Node { hash: 0, next: END });
        }
        self.count += 1;
        self.link(node, hash);
    }

    fn link(&mut self, node: u32, hash: u32) {
        let chain = share(hash, self.heads.len());
        if let (Some(head), Some(n)) = (self.heads.get_mut(chain), self.nodes.get_mut(node as usize)) {
            *n = Node { hash, next: std::mem::replace(head, node) };
        }
    }

    fn grow(&mut self) {
        let all: Vec<u32> = (0..self.heads.len()).flat_map(|chain| self.chain(chain)).collect();
        self.heads = vec![END; (self.heads.len() * 2).max(FEWEST)];
        for node in all {
            let hash = self.nodes.get(node as usize).map_or(0, |n| n.hash);
            self.link(node, hash);
        }
    }

    pub(super) fn remove(&mut self, node: u32) {
        let Some(&Node { hash, next }) = self.nodes.get(node as usize) else { return };
        let chain = share(hash, self.heads.len());
        let before = self.chain(chain).find(|n| self.nodes.get(*n as usize).is_some_and(|x| x.next == node));
        let link = match before {
            Some(n) => self.nodes.get_mut(n as usize).map(|n| &mut n.next),
            None => self.heads.get_mut(chain).filter(|head| **head == node),
        };
        if let Some(link) = link {
            *link = next;
            self.count -= 1;
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
            table.remove(n);
        }
        for n in 0..1000 {
            assert_eq!(table.with_hash(spread(n)).collect::<Vec<_>>().contains(&n), n % 3 != 0, "{n}");
        }
    }

    #[test]
    fn equal_hashes_share_a_chain() {
        let mut table = TupleHash::default();
        for n in 0..5 {
            table.insert(n, 7);
        }
        table.remove(2);
        let mut left: Vec<u32> = table.with_hash(7).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 3, 4]);
    }

    /// However many chains there are, a bucket holds the tuples whose hashes lie in its share, each in one bucket.
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
