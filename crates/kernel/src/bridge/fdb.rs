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
    entries: LiteMap<Mac, FdbEntry>,
}

/// Entries not seen for so long are gone (`ageing_time`).
pub const AGEING_TIME: Duration = Duration::from_secs(300);

impl Fdb {
    /// The entry for an address, unless it has aged.
    pub fn find(&self, mac: Mac, now: Instant) -> Option<FdbEntry> {
        let e = self.entries.get(&mac)?;
        (e.local || e.is_static || now.since(e.updated) <= AGEING_TIME).then_some(*e)
    }

    /// `br_fdb_update`: the address was seen on the port. True if that is news.
    pub(crate) fn learn(&mut self, mac: Mac, port: DevId, now: Instant) -> bool {
        if mac.is_multicast() || mac == Mac::ZERO {
            return false;
        }
        if let Some(e) = self.entries.get_mut(&mac) {
            if e.local || e.is_static {
                return false;
            }
            let fresh = now.since(e.updated) <= AGEING_TIME && e.dev == port;
            e.dev = port;
            e.updated = now;
            return !fresh;
        }
        self.entries.insert(mac, FdbEntry { dev: port, local: false, is_static: false, updated: now });
        true
    }

    /// Adds or replaces an entry by hand.
    pub fn set(&mut self, mac: Mac, entry: FdbEntry) {
        self.entries.insert(mac, entry);
    }

    /// Removes an entry; false if there is none.
    pub fn remove(&mut self, mac: Mac) -> bool {
        self.entries.remove(&mac).is_some()
    }

    /// Removes what was learned behind a port that leaves.
    pub fn flush(&mut self, port: DevId) {
        self.entries.retain(|_, e| e.dev != port);
    }

    /// All entries that have not aged, by address.
    pub fn entries(&self, now: Instant) -> impl Iterator<Item = (Mac, FdbEntry)> + '_ {
        self.entries.keys().filter_map(move |mac| Some((*mac, self.find(*mac, now)?)))
    }
}
