//! Flows by their source before translation (`nf_nat_bysource`, net/netfilter/nf_nat_core.c): a source that has been
//! translated once is translated the same way for other destinations.

use crate::ConnId;
use crate::netfilter::conntrack::{Tuple, hash_by_src};

/// The end of a chain.
const END: u32 = u32::MAX;
/// Chains of a small table.
const FEWEST: usize = 64;

/// A flow in its chain.
#[derive(Clone, Copy, Debug)]
struct Node {
    hash: u32,
    next: u32,
    number: u32,
}

/// The flows in the table whose source has been decided, the newest first in its chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct BySource {
    heads: Vec<u32>,
    /// By the place of the flow in conntrack's table.
    nodes: Vec<Node>,
    count: usize,
}

impl BySource {
    fn chain_of(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.heads.len() as u64) >> 32) as usize
    }

    /// Adds a flow with that original direction.
    pub(crate) fn insert(&mut self, orig: &Tuple, id: ConnId) {
        if self.count >= self.heads.len() {
            self.grow();
        }
        let at = id.slot() as usize;
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, Node { hash: 0, next: END, number: 0 });
        }
        self.count += 1;
        self.link(id.slot(), hash_by_src(orig), id.number());
    }

    fn link(&mut self, slot: u32, hash: u32, number: u32) {
        let chain = self.chain_of(hash);
        if let (Some(head), Some(node)) = (self.heads.get_mut(chain), self.nodes.get_mut(slot as usize)) {
            *node = Node { hash, next: std::mem::replace(head, slot), number };
        }
    }

    fn grow(&mut self) {
        let chains: Vec<Vec<u32>> = (0..self.heads.len()).map(|c| self.chain(c).collect()).collect();
        self.heads = vec![END; (self.heads.len() * 2).max(FEWEST)];
        // The oldest first, as each goes to the front.
        for slot in chains.into_iter().flat_map(|c| c.into_iter().rev()) {
            if let Some(&Node { hash, number, .. }) = self.nodes.get(slot as usize) {
                self.link(slot, hash, number);
            }
        }
    }

    fn chain(&self, chain: usize) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.heads.get(chain).copied().unwrap_or(END);
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            Some(std::mem::replace(&mut at, node.next))
        })
    }

    /// Takes it out again, if it is there.
    pub(crate) fn remove(&mut self, orig: &Tuple, id: ConnId) {
        let chain = self.chain_of(hash_by_src(orig));
        let mut before = None;
        for slot in self.chain(chain) {
            if slot == id.slot() {
                break;
            }
            before = Some(slot);
        }
        let next = self.nodes.get(id.slot() as usize).map_or(END, |n| n.next);
        let link = match before {
            Some(slot) => self.nodes.get_mut(slot as usize).map(|n| &mut n.next),
            None => self.heads.get_mut(chain),
        };
        if let Some(link) = link.filter(|link| **link == id.slot()) {
            *link = next;
            self.count -= 1;
        }
    }

    /// What stands where this flow belongs.
    pub(crate) fn peek(&self, orig: &Tuple, id: ConnId) -> u32 {
        let head = self.heads.get(self.chain_of(hash_by_src(orig))).copied().unwrap_or(END);
        head ^ self.nodes.get(id.slot() as usize).map_or(END, |n| n.next)
    }

    /// The flows that may have this source, the newest first.
    pub(super) fn of(&self, orig: &Tuple) -> impl Iterator<Item = ConnId> + '_ {
        let hash = hash_by_src(orig);
        let same =
            self.chain(self.chain_of(hash)).filter_map(|slot| Some((slot, self.nodes.get(slot as usize)?)));
        same.filter(move |(_, n)| n.hash == hash).map(|(slot, n)| ConnId::new(n.number, slot))
    }
}
