//! Timers of a pool: nearly all run for the same time, so that they end in the order in which they began.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Times, each with whose it is; those of one time in the order of their owners.
#[derive(Clone, Debug)]
pub(super) struct Timers<T> {
    /// What came in order.
    queue: VecDeque<(u64, T)>,
    /// What did not.
    others: BinaryHeap<Reverse<(u64, T)>>,
}

impl<T: Copy + Ord> Timers<T> {
    pub(super) fn new() -> Timers<T> {
        Timers { queue: VecDeque::new(), others: BinaryHeap::new() }
    }

    pub(super) fn push(&mut self, at: u64, whose: T) {
        let new = (at, whose);
        match self.queue.back() {
            Some(last) if *last > new => self.others.push(Reverse(new)),
            _ => self.queue.push_back(new),
        }
    }

    /// The time of the first.
    pub(super) fn next(&self) -> Option<u64> {
        let others = self.others.peek().map(|Reverse((at, _))| *at);
        let first = self.queue.front().map(|(at, _)| *at);
        others.map_or(first, |other| Some(first.map_or(other, |at| at.min(other))))
    }

    /// Takes the first out.
    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        match (self.queue.front(), self.others.peek()) {
            (Some(first), Some(Reverse(other))) if other < first => self.others.pop().map(|Reverse(t)| t),
            (None, _) => self.others.pop().map(|Reverse(t)| t),
            _ => self.queue.pop_front(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comes_out_first_in_whatever_order_they_came() {
        let mut timers = Timers::new();
        let mut wanted: Vec<(u64, u64)> = (0..500).map(|n| (n * 7919 % 97 + n / 4, n % 13)).collect();
        for (at, whose) in &wanted {
            timers.push(*at, *whose);
        }
        wanted.sort_unstable();
        for one in wanted {
            assert_eq!(timers.next(), Some(one.0));
            assert_eq!(timers.pop(), Some(one));
        }
        assert_eq!((timers.next(), timers.pop()), (None, None));
    }
}
