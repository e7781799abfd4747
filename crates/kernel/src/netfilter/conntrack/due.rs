//! When entries end: a queue by seconds, as the kernel's timer wheel is one by ticks (kernel/time/timer.c).
//!
//! A packet that gives its entry more time does not come here. Where the queue finds an entry that goes on, it takes the entry to its
//! new second.

use crate::{ConnId, Instant};
use std::collections::VecDeque;

/// Seconds that have a list of their own; what ends later waits in the last of them.
const AHEAD: u64 = 1024;

/// The queue.
#[derive(Clone, Debug, Default)]
pub(super) struct DueQueue {
    /// Entries of the seconds that have begun, the next one last.
    soon: Vec<(Instant, ConnId)>,
    /// The second of the first of `later`.
    first: u64,
    later: VecDeque<Vec<ConnId>>,
    /// How many wait in `later`.
    waiting: usize,
}

/// What the queue learns of an entry.
pub(super) enum Fate {
    /// It is gone, or stands elsewhere in the queue.
    Gone,
    /// It ends then.
    Ends(Instant),
}

fn second(at: Instant) -> u64 {
    at.0 / 1_000_000
}

impl DueQueue {
    /// An entry ends then. The second under which it is found.
    pub(super) fn add(&mut self, id: ConnId, at: Instant) -> u32 {
        let second = second(at);
        if self.waiting == 0 && self.soon.is_empty() {
            self.first = self.first.max(second.saturating_sub(AHEAD / 2));
        }
        if second < self.first {
            let place = self.soon.partition_point(|(a, other)| (*a, *other) > (at, id));
            self.soon.insert(place, (at, id));
        } else {
            let ahead = usize::try_from((second - self.first).min(AHEAD - 1)).unwrap_or(0);
            if self.later.len() <= ahead {
                self.later.resize_with(ahead + 1, Vec::new);
            }
            if let Some(list) = self.later.get_mut(ahead) {
                list.push(id);
            }
            self.waiting += 1;
        }
        u32::try_from(second).unwrap_or(u32::MAX)
    }

    /// Takes out what ends until `now`. `fate` says when an entry ends that was put under that second, and is told the
    /// second under which it is put now.
    pub(super) fn take(
        &mut self,
        now: Instant,
        mut fate: impl FnMut(ConnId, Option<u32>) -> Fate,
    ) -> Vec<ConnId> {
        let mut over = Vec::new();
        loop {
            while let Some((_, id)) = self.soon.pop_if(|(at, _)| *at <= now) {
                match fate(id, None) {
                    Fate::Ends(at) if at > now => {
                        let under = self.add(id, at);
                        fate(id, Some(under));
                    }
                    Fate::Ends(_) => over.push(id),
                    Fate::Gone => {}
                }
            }
            if self.first > second(now) {
                return over;
            }
            if self.waiting == 0 {
                self.first = second(now) + 1;
                self.later.clear();
                continue;
            }
            let list = self.later.pop_front().unwrap_or_default();
            self.waiting -= list.len();
            let passed = self.first;
            self.first += 1;
            for id in list {
                if let Fate::Ends(at) = fate(id, None) {
                    if second(at) <= passed {
                        self.soon.push((at, id));
                    } else {
                        let under = self.add(id, at);
                        fate(id, Some(under));
                    }
                }
            }
            self.soon.sort_unstable();
            self.soon.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> ConnId {
        ConnId::new(n, n)
    }

    fn at(ms: u64) -> Instant {
        Instant(ms * 1000)
    }

    /// Takes what is over by then of entries that end at these times, and nothing later.
    fn take(queue: &mut DueQueue, ends: &[u64], ms: u64) -> Vec<u32> {
        let fate = |id: ConnId, _| match ends.get(id.number() as usize) {
            Some(end) => Fate::Ends(at(*end)),
            None => Fate::Gone,
        };
        queue.take(at(ms), fate).into_iter().map(ConnId::number).collect()
    }

    fn queue(ends: &[u64]) -> DueQueue {
        let mut queue = DueQueue::default();
        for (n, end) in ends.iter().enumerate() {
            queue.add(id(n as u32), at(*end));
        }
        queue
    }

    #[test]
    fn entries_come_out_when_they_end_to_the_microsecond() {
        let ends = [30_000, 30_001, 29_999, 60_500];
        let mut q = queue(&ends);
        assert_eq!(take(&mut q, &ends, 29_998), []);
        assert_eq!(take(&mut q, &ends, 30_000), [2, 0]);
        assert_eq!(take(&mut q, &ends, 60_499), [1]);
        assert_eq!(take(&mut q, &ends, 60_500), [3]);
        assert_eq!(take(&mut q, &ends, 1_000_000), []);
    }

    #[test]
    fn an_entry_that_got_more_time_comes_out_later() {
        let mut q = queue(&[30_000, 30_000]);
        let now = [30_000, 180_000];
        assert_eq!(take(&mut q, &now, 31_000), [0]);
        assert_eq!(take(&mut q, &now, 179_999), []);
        assert_eq!(take(&mut q, &now, 180_000), [1]);
    }

    #[test]
    fn an_entry_far_ahead_is_not_lost() {
        let ends = [432_000_000];
        let mut q = queue(&ends);
        assert_eq!(take(&mut q, &ends, 431_999_999), []);
        assert_eq!(take(&mut q, &ends, 432_000_000), [0]);
    }

    #[test]
    fn an_entry_may_end_in_a_second_that_has_begun() {
        let mut ends = vec![1500, 10_000];
        let mut q = queue(&ends);
        assert_eq!(take(&mut q, &ends, 1600), [0]);
        ends.push(1700);
        q.add(id(2), at(1700));
        assert_eq!(take(&mut q, &ends, 1699), []);
        assert_eq!(take(&mut q, &ends, 1700), [2]);
    }

    #[test]
    fn what_is_gone_does_not_come_out() {
        let mut q = queue(&[1000, 2000]);
        assert_eq!(take(&mut q, &[1000], 5000), [0]);
    }
}
