//! The table of expectations: in the order of their announcement, found by what they look for and by who announced them
//! (`nf_ct_expect_hash` and the list of `struct nf_conn_help`, net/netfilter/nf_conntrack_expect.c).

use super::hash::hash_conntrack;
use super::{Expect, Tuple};
use crate::{ConnId, Instant};

/// The end of a list.
const END: u32 = u32::MAX;
/// Lists of each kind. Nothing but speed depends on it.
const LISTS: usize = 1024;

#[derive(Clone, Debug)]
struct Node {
    expect: Expect,
    before: u32,
    after: u32,
}

/// Expectations.
#[derive(Clone, Debug)]
pub(crate) struct ExpectTable {
    nodes: Vec<Option<Node>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    len: usize,
    /// No expectation ends before.
    ends: Instant,
    /// None before the first one.
    by_tuple: Vec<Vec<u32>>,
    by_master: Vec<Vec<u32>>,
}

impl Default for ExpectTable {
    fn default() -> ExpectTable {
        ExpectTable {
            nodes: Vec::new(),
            free: Vec::new(),
            oldest: END,
            newest: END,
            len: 0,
            ends: Instant(u64::MAX),
            by_tuple: Vec::new(),
            by_master: Vec::new(),
        }
    }
}

/// Any source port fits, so it does not count.
fn tuple_list(t: &Tuple) -> usize {
    hash_conntrack(&t.with_sport(0)) as usize % LISTS
}

fn master_list(master: ConnId) -> usize {
    master.slot() as usize % LISTS
}

impl ExpectTable {
    /// How many there are (`expect_count`).
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)?.as_ref()
    }

    /// All of them, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Expect> {
        self.places().map(|(_, e)| e)
    }

    fn places(&self) -> impl Iterator<Item = (u32, &Expect)> {
        let mut at = self.oldest;
        std::iter::from_fn(move || {
            let here = at;
            let node = self.node(here)?;
            at = node.after;
            Some((here, &node.expect))
        })
    }

    fn listed<'a>(&'a self, lists: &'a [Vec<u32>], list: usize) -> impl Iterator<Item = (u32, &'a Expect)> {
        let places = lists.get(list).into_iter().flatten().copied();
        places.filter_map(|at| Some((at, &self.node(at)?.expect)))
    }

    /// Those that may look for this tuple, the oldest first, with their places.
    pub(super) fn like(&self, tuple: &Tuple) -> impl Iterator<Item = (u32, &Expect)> {
        self.listed(&self.by_tuple, tuple_list(tuple))
    }

    /// Those that a flow has announced, the oldest first.
    pub(super) fn of(&self, master: ConnId) -> impl Iterator<Item = (u32, &Expect)> {
        self.listed(&self.by_master, master_list(master)).filter(move |(_, e)| e.master == master)
    }

    /// The oldest one.
    pub(super) fn first(&self) -> Option<u32> {
        self.places().next().map(|(at, _)| at)
    }

    /// The oldest one that is over.
    pub(super) fn over(&mut self, now: Instant) -> Option<u32> {
        if now < self.ends {
            return None;
        }
        let found = self.places().find(|(_, e)| e.expires <= now).map(|(at, _)| at);
        if found.is_none() {
            self.ends = self.iter().map(|e| e.expires).min().unwrap_or(Instant(u64::MAX));
        }
        found
    }

    pub(super) fn push(&mut self, expect: Expect) {
        if self.by_tuple.is_empty() {
            self.by_tuple.resize_with(LISTS, Vec::new);
            self.by_master.resize_with(LISTS, Vec::new);
        }
        let (tuple, master) = (tuple_list(&expect.tuple), master_list(expect.master));
        self.ends = self.ends.min(expect.expires);
        let before = self.newest;
        let node = Some(Node { expect, before, after: END });
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.nodes.get_mut(at as usize) {
                    *place = node;
                }
                at
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).unwrap_or(END)
            }
        };
        self.link(before, at, true);
        self.newest = at;
        self.len += 1;
        if let (Some(by_tuple), Some(by_master)) =
            (self.by_tuple.get_mut(tuple), self.by_master.get_mut(master))
        {
            by_tuple.push(at);
            by_master.push(at);
        }
    }

    /// Makes one the neighbour of another: `to` comes after `at`, or before it. The ends of the list are places too.
    fn link(&mut self, at: u32, to: u32, after: bool) {
        match (self.nodes.get_mut(at as usize).and_then(Option::as_mut), after) {
            (Some(node), true) => node.after = to,
            (Some(node), false) => node.before = to,
            (None, true) => self.oldest = to,
            (None, false) => self.newest = to,
        }
    }

    pub(super) fn remove(&mut self, at: u32) -> Option<Expect> {
        let Node { expect, before, after } = self.nodes.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.link(before, after, true);
        self.link(after, before, false);
        self.len -= 1;
        let lists = [
            self.by_tuple.get_mut(tuple_list(&expect.tuple)),
            self.by_master.get_mut(master_list(expect.master)),
        ];
        for list in lists.into_iter().flatten() {
            list.retain(|other| *other != at);
        }
        Some(expect)
    }

    pub(super) fn clear(&mut self) {
        *self = ExpectTable::default();
    }
}
