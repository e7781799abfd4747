//! The world as it stood at an event: a copy that was put aside before, and what has happened since once more.

use crate::log::{EventId, Log, Seen};
use crate::world::World;
use kernel::event::What;

/// A world that was put aside. Its log is that of the world which goes on.
#[derive(Clone, Debug)]
pub struct Keyframe {
    world: World,
    /// How long the log was.
    len: usize,
}

impl Keyframe {
    /// Puts a copy of a world aside.
    pub(crate) fn of(world: &mut World) -> Keyframe {
        // The log is the largest part, and nothing of it is ever changed.
        let log = std::mem::take(world.log_mut());
        let copy = world.clone();
        let len = log.len();
        *world.log_mut() = log;
        Keyframe { world: copy, len }
    }

    /// The number of the next event.
    pub fn next(&self) -> EventId {
        EventId(u32::try_from(self.len).unwrap_or(u32::MAX))
    }

    /// The world that was put aside, with its log: `log` is that of the world which went on. When that event has happened
    /// again, it stands still. What a box does with a packet in one go is done as a whole; see [`World::cut`].
    pub fn resume(&self, log: &Log, until: EventId) -> World {
        let mut world = self.world.clone();
        *world.log_mut() = log.beginning(self.len);
        world.stop = Some(until.index() + 1);
        world
    }
}

impl World {
    /// It waits for nobody and nothing any more.
    pub(crate) fn stands_still(&self) -> bool {
        self.stop.is_some_and(|len| self.log().len() >= len)
    }

    /// Takes back what shows of the events behind this one: entries of the log, and the counters of rules. A box does all that it
    /// has to do with a packet in one go, so a world that stands still may have gone further. What else differs (entries of
    /// conntrack, neighbours) is as it is when the box is done; [`crate::view::conntrack_at`] reads entries off the log.
    pub fn cut(&mut self, last: EventId) {
        let keep = last.index() + 1;
        let behind = self.log().entries().iter().skip(keep);
        let looks: Vec<_> = behind
            .filter_map(|e| match &*e.seen {
                Seen::Kernel(What::Rule(step)) => Some((e.host, step.clone())),
                _ => None,
            })
            .collect();
        for (host, step) in looks {
            if let Some(ns) = self.host_mut(host) {
                ns.uncount(&step);
            }
        }
        self.log_mut().truncate(keep);
        self.stop = None;
    }
}
