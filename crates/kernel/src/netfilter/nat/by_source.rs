//! Flows by their source before translation (`nf_nat_bysource`, net/netfilter/nf_nat_core.c): a source that has been
//! translated once is translated the same way for other destinations.

use crate::ConnId;
use crate::netfilter::conntrack::Tuple;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// Number of buckets. Nothing but speed depends on it.
const BUCKETS: usize = 1024;

/// The flows in the table whose source has been decided, the newest last in its bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct BySource {
    /// None before the first flow.
    buckets: Vec<Vec<ConnId>>,
}

fn bucket_of(orig: &Tuple) -> usize {
    let mut hasher = FxHasher::default();
    (orig.src(), orig.proto(), orig.sport()).hash(&mut hasher);
    (hasher.finish() >> 32) as usize % BUCKETS
}

impl BySource {
    /// Adds a flow with that original direction.
    pub(crate) fn insert(&mut self, orig: &Tuple, id: ConnId) {
        if self.buckets.is_empty() {
            self.buckets.resize_with(BUCKETS, Vec::new);
        }
        if let Some(bucket) = self.buckets.get_mut(bucket_of(orig)) {
            bucket.push(id);
        }
    }

    /// Takes it out again.
    pub(crate) fn remove(&mut self, orig: &Tuple, id: ConnId) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(orig)) {
            bucket.retain(|c| *c != id);
        }
    }

    /// The flows that may have this source, the newest first.
    pub(super) fn of(&self, orig: &Tuple) -> impl Iterator<Item = ConnId> + '_ {
        self.buckets.get(bucket_of(orig)).into_iter().flatten().rev().copied()
    }
}
