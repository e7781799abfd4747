//! The event log of a world.

use crate::apps::AppEvent;
use kernel::{Event, Instant, NetnsId, PacketId, What};
use std::rc::Rc;

/// An entry of a [`Log`], by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId(pub u32);

impl EventId {
    /// The id as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// To a packet, in a kernel.
    Kernel(What),
    /// In an application.
    App(AppEvent),
    /// A stimulus of the scenario began: its index.
    Stimulus(usize),
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// In which box.
    pub host: NetnsId,
    /// To which packet, if it is about one.
    pub packet: Option<PacketId>,
    /// What. Copies of a log have it in common.
    pub seen: Rc<Seen>,
}

impl Entry {
    /// The kernel's part, if it is about a packet.
    pub fn what(&self) -> Option<&What> {
        match &*self.seen {
            Seen::Kernel(what) => Some(what),
            _ => None,
        }
    }
}

/// Everything that happened, in order. Only ever appended to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    entries: Vec<Entry>,
}

impl Log {
    /// All entries; the index is the [`EventId`].
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// One entry.
    pub fn get(&self, id: EventId) -> Option<&Entry> {
        self.entries.get(id.index())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Only the first so many entries.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
    }

    /// A copy of the first so many entries.
    pub(crate) fn beginning(&self, len: usize) -> Log {
        Log { entries: self.entries.iter().take(len).cloned().collect() }
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) fn extend(&mut self, events: Vec<Event>) {
        self.entries.extend(events.into_iter().map(|e| Entry {
            at: e.at,
            host: e.netns,
            packet: Some(e.packet),
            seen: Rc::new(Seen::Kernel(e.what)),
        }));
    }
}
