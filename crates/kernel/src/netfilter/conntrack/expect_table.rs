//! The table of expectations: in the order of their announcement, found by what they look for and by who announced them
//! (`nf_ct_expect_hash` and the list of `struct nf_conn_help`, net/netfilter/nf_conntrack_expect.c).

use super::hash::hash_conntrack;
use super::{Expect, Tuple};
use crate::{ConnId, Instant};

/// The end of a list.
const END: u32 = u32::MAX;
/// Lists by tuples, and lists by masters. Nothing but speed depends on it.
const LISTS: usize = 1024;

/// Kinds of lists: of all that there are, of those whose tuples have one hash, of those of some masters.
const ALL: usize = 0;
const TUPLE: usize = 1;
const MASTER: usize = 2;
const KINDS: usize = 3;

/// Neighbours in a list. Before a list's first and behind its last one stands the list: its `after` is the first.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
}

const EMPTY: Link = Link { before: END, after: END };

#[derive(Clone, Debug)]
struct Node {
    expect: Expect,
    /// In its list of each kind.
    links: [Link; KINDS],
}

/// Expectations.
#[derive(Clone, Debug)]
pub(crate) struct ExpectTable {
    nodes: Vec<Option<Node>>,
    free: Vec<u32>,
    len: usize,
    /// No expectation ends before.
    ends: Instant,
    /// Of each kind; none before the first expectation.
    lists: [Vec<Link>; KINDS],
}

impl Default for ExpectTable {
    fn default() -> ExpectTable {
        let lists = [const { Vec::new() }; KINDS];
        ExpectTable { nodes: Vec::new(), free: Vec::new(), len: 0, ends: Instant(u64::MAX), lists }
    }
}

/// Any source port fits, so it does not count.
fn tuple_list(t: &Tuple) -> usize {
    hash_conntrack(&t.with_sport(0)) as usize % LISTS
}

fn master_list(master: ConnId) -> usize {
    master.slot() as usize % LISTS
}

/// The lists in which an expectation stands, by their kinds.
fn lists_of(expect: &Expect) -> [usize; KINDS] {
    [0, tuple_list(&expect.tuple), master_list(expect.master)]
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
        self.listed(ALL, 0).map(|(_, e)| e)
    }

    /// Those in a list, the oldest first, with their places.
    fn listed(&self, kind: usize, list: usize) -> impl Iterator<Item = (u32, &Expect)> {
        let first = self.lists.get(kind).and_then(|lists| lists.get(list));
        let mut at = first.map_or(END, |list| list.after);
        std::iter::from_fn(move || {
            let here = at;
            let node = self.node(here)?;
            at = node.links.get(kind)?.after;
            Some((here, &node.expect))
        })
    }

    /// Those that may look for this tuple, the oldest first, with their places.
    pub(super) fn like(&self, tuple: &Tuple) -> impl Iterator<Item = (u32, &Expect)> {
        self.listed(TUPLE, tuple_list(tuple))
    }

    /// Those that a flow has announced, the oldest first.
    pub(super) fn of(&self, master: ConnId) -> impl Iterator<Item = (u32, &Expect)> {
        self.listed(MASTER, master_list(master)).filter(move |(_, e)| e.master == master)
    }

    /// The oldest one.
    pub(super) fn first(&self) -> Option<u32> {
        self.listed(ALL, 0).next().map(|(at, _)| at)
    }

    /// The oldest one that is over.
    pub(super) fn over(&mut self, now: Instant) -> Option<u32> {
        if now < self.ends {
            return None;
        }
        let found = self.listed(ALL, 0).find(|(_, e)| e.expires <= now).map(|(at, _)| at);
        if found.is_none() {
            self.ends = self.iter().map(|e| e.expires).min().unwrap_or(Instant(u64::MAX));
        }
        found
    }

    pub(super) fn push(&mut self, expect: Expect) {
        let [all, tuple, master] = &mut self.lists;
        if all.is_empty() {
            (*all, *tuple, *master) = (vec![EMPTY], vec![EMPTY; LISTS], vec![EMPTY; LISTS]);
        }
        self.ends = self.ends.min(expect.expires);
        let lists = lists_of(&expect);
        let node = Some(Node { expect, links: [EMPTY; KINDS] });
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
        self.len += 1;
        for (kind, list) in lists.into_iter().enumerate() {
            let last = self.link(kind, list, END).map_or(END, |list| list.before);
            self.join(kind, list, (last, at));
            self.join(kind, list, (at, END));
        }
    }

    /// Where a node has its neighbours in a list, or the list has its ends.
    fn link(&mut self, kind: usize, list: usize, at: u32) -> Option<&mut Link> {
        match self.nodes.get_mut(at as usize) {
            Some(node) => node.as_mut()?.links.get_mut(kind),
            None => self.lists.get_mut(kind)?.get_mut(list),
        }
    }

    /// Makes two the neighbours of each other in a list.
    fn join(&mut self, kind: usize, list: usize, (one, next): (u32, u32)) {
        if let Some(link) = self.link(kind, list, one) {
            link.after = next;
        }
        if let Some(link) = self.link(kind, list, next) {
            link.before = one;
        }
    }

    pub(super) fn remove(&mut self, at: u32) -> Option<Expect> {
        let Node { expect, links } = self.nodes.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.len -= 1;
        for (kind, (list, link)) in lists_of(&expect).into_iter().zip(links).enumerate() {
            self.join(kind, list, (link.before, link.after));
        }
        Some(expect)
    }

    pub(super) fn clear(&mut self) {
        *self = ExpectTable::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::conntrack::{Helper, L4Key};
    use packet::Protocol;

    fn expect(dport: u16, master: u32) -> Expect {
        let key = L4Key::Ports { sport: 0, dport };
        let tuple = Tuple::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), Protocol::UDP, key);
        let expires = Instant(u64::from(dport));
        Expect { master: ConnId::new(master, master), tuple, helper: Helper::TFTP, nat: None, expires }
    }

    /// Each list has its own, the oldest first, whichever of them is taken out.
    #[test]
    fn lists_have_what_is_there_the_oldest_first() {
        let (mut table, mut wanted) = (ExpectTable::default(), Vec::new());
        for n in 0..3000u16 {
            // Some masters share a list, and some flows a tuple.
            let e = expect(n % 700, u32::from(n % 5) * LISTS as u32 + u32::from(n % 3));
            wanted.push(e.clone());
            table.push(e);
            for gone in [n / 2, n / 3] {
                if n % 7 != 0 && usize::from(gone) < wanted.len() {
                    let e = wanted.remove(usize::from(gone));
                    let at = table.listed(ALL, 0).nth(usize::from(gone)).map(|(at, _)| at);
                    assert_eq!(at.and_then(|at| table.remove(at)), Some(e));
                }
            }
            assert_eq!(table.len(), wanted.len());
        }
        assert!(wanted.len() > 300, "{}", wanted.len());
        assert_eq!(table.iter().collect::<Vec<_>>(), wanted.iter().collect::<Vec<_>>());
        for e in &wanted {
            let of = |other: &&Expect| other.master == e.master;
            let found = table.of(e.master).map(|(_, e)| e);
            assert_eq!(found.collect::<Vec<_>>(), wanted.iter().filter(of).collect::<Vec<_>>());
            let same = |other: &&Expect| other.tuple == e.tuple;
            let found = table.like(&e.tuple).map(|(_, e)| e).filter(same);
            assert_eq!(found.collect::<Vec<_>>(), wanted.iter().filter(same).collect::<Vec<_>>());
        }
    }
}
