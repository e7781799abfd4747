//! The forwarding database (net/bridge/br_fdb.c).

use crate::{DevId, Instant};
use litemap::LiteMap;
use packet::Mac;
use std::time::Duration;

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbEntry {
    /// The port, or the bridge device itself for its own address.
    pub dev: DevId,
    /// An address of this host (of the bridge or of a port): frames to it go up.
    pub local: bool,
    /// Set by hand: does not age, and learning does not move it.
    pub is_static: bool,
    /// When it was last seen.
    pub updated: Instant,
}

/// The forwarding database of a bridge.
#[derive(Clone, Debug, Default)]
pub struct Fdb {
    /// Each with a number that grows: listings begin with the newest.
    entries: LiteMap<Mac, (u32, FdbEntry)>,
    made: u32,
}

impl Fdb {
    /// The entry for an address, unless it has aged.
    pub fn find(&self, mac: Mac, now: Instant, ageing: Duration) -> Option<FdbEntry> {
        let (_, e) = self.entries.get(&mac)?;
        (e.local || e.is_static || now.since(e.updated) < ageing).then_some(*e)
    }

    /// The entry for an address, however old it is.
    pub(crate) fn get(&self, mac: Mac) -> Option<FdbEntry> {
        self.entries.get(&mac).map(|(_, e)| *e)
    }

    /// `br_fdb_update`: the address was seen on the port. True if that is news.
    pub(crate) fn learn(&mut self, mac: Mac, port: DevId, now: Instant, ageing: Duration) -> bool {
        if let Some((_, e)) = self.entries.get_mut(&mac) {
            if e.local || e.is_static {
                return false;
            }
            let fresh = now.since(e.updated) < ageing && e.dev == port;
            e.dev = port;
            e.updated = now;
            return !fresh;
        }
        self.set(mac, FdbEntry { dev: port, local: false, is_static: false, updated: now });
        true
    }

    /// Adds or replaces an entry by hand.
    pub fn set(&mut self, mac: Mac, entry: FdbEntry) {
        match self.entries.get_mut(&mac) {
            Some((_, e)) => *e = entry,
            None => {
                self.made = self.made.wrapping_add(1);
                self.entries.insert(mac, (self.made, entry));
            }
        }
    }

    /// Removes an entry; false if there is none.
    pub fn remove(&mut self, mac: Mac) -> bool {
        self.entries.remove(&mac).is_some()
    }

    /// Removes what was learned behind a port that leaves.
    pub fn flush(&mut self, port: DevId) {
        self.entries.retain(|_, (_, e)| e.dev != port);
    }

    /// Forgets what was learned, behind one port or all.
    pub(crate) fn forget_learned(&mut self, port: Option<DevId>) {
        self.entries.retain(|_, (_, e)| e.local || e.is_static || port.is_some_and(|p| e.dev != p));
    }

    /// All entries that have not aged, the newest first.
    pub fn entries(&self, now: Instant, ageing: Duration) -> Vec<(Mac, FdbEntry)> {
        let mut all: Vec<(u32, Mac, FdbEntry)> = self
            .entries
            .iter()
            .filter_map(|(mac, (n, _))| Some((*n, *mac, self.find(*mac, now, ageing)?)))
            .collect();
        sorted::sort_by_key(&mut all, |(n, ..)| std::cmp::Reverse(*n));
        all.into_iter().map(|(_, mac, e)| (mac, e)).collect()
    }

    /// `bridge fdb flush`: forgets everything.
    pub fn clear(&mut self) {
        self.entries = LiteMap::new();
    }
}
