//! For a load test, which has a time of its own: a box is visited, and what it puts out is the caller's.

use super::World;
use kernel::{Cx, Instant, Netns, NetnsId, Output, SocketId};
use std::cmp::Reverse;

impl World {
    /// Runs `f` on a box and leaves what it puts out to the caller ([`World::swap_left`]).
    pub(crate) fn visit<T>(
        &mut self,
        host: NetnsId,
        f: impl FnOnce(&mut Netns, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let mut cx = Cx {
            now: self.now,
            netns: host,
            rng: &mut self.rng,
            ids: &mut self.ids,
            log: None,
            out: &mut self.left,
        };
        Some(f(self.hosts.get_mut(host.index())?, &mut cx))
    }

    /// True if visits have left something since.
    #[inline]
    pub(crate) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// What visits have left since, if that is one thing.
    #[inline]
    pub(crate) fn only_left(&mut self) -> Option<Output> {
        if self.left.len() == 1 { self.left.pop() } else { None }
    }

    /// What visits have left since, for an empty list.
    pub(crate) fn swap_left(&mut self, empty: &mut Vec<Output>) {
        std::mem::swap(&mut self.left, empty);
    }

    /// The world takes it over after all.
    pub(crate) fn leave(&mut self, host: NetnsId, output: Output) {
        self.take(host, output);
    }

    /// It is then; never earlier than it was.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse(due)| due.at)
    }

    /// From now on the sockets with news are kept that belong to no application.
    pub(crate) fn keep_orphans(&mut self) {
        self.orphans.get_or_insert_default();
    }

    /// Those since the last time.
    pub(crate) fn take_orphans(&mut self) -> Vec<(NetnsId, SocketId)> {
        self.orphans.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
