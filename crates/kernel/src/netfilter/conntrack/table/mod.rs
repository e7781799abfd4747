//! The table: entries by id, and the hash of both their tuples.

mod conn;
mod early_drop;
mod stats;
#[cfg(test)]
mod tests;

pub(super) use conn::Master;
pub use conn::{Conn, CtCounter, Row};
pub use stats::{CtStats, CtWork};

use super::due::{DueQueue, Fate};
use super::expect_table::ExpectTable;
use super::hash::{TupleHash, hash_conntrack};
use super::proto::udp_packet;
use super::settings::{CtSettings, Limits};
use super::slab::Slab;
use super::{Direction, Timeouts, Tuple, Zone, ipct, status};
use crate::netfilter::nat::BySource;
use crate::{ConnId, DevId, Instant};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Connection tracking of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Conntrack {
    slab: Slab,
    /// Entries that are not in the table: not yet, or no more. They are freed when no packet can have them any longer.
    loose: Vec<ConnId>,
    /// Entries whose packets are held up on their way; they are not freed.
    pub(crate) held: Vec<ConnId>,
    hash: TupleHash,
    /// When the entries of the table end.
    due: DueQueue,
    /// Where NAT looks for flows from the same source.
    pub(crate) by_source: BySource,
    /// How many entries are in the table.
    listed: usize,
    /// When loose entries were last freed.
    swept: Instant,
    next: u32,
    /// What helpers have announced.
    pub(crate) expects: ExpectTable,
    /// `nf_conntrack_helper`: helpers are assigned by port, without a rule.
    pub auto_helper: bool,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// `nf_conntrack_tcp_loose`: pick up flows in the middle.
    pub tcp_loose: bool,
    /// `nf_conntrack_tcp_be_liberal`: only RSTs must be in the window.
    pub tcp_be_liberal: bool,
    /// `nf_conntrack_tcp_max_retrans`
    pub tcp_max_retrans: u32,
    /// What other sysctls set.
    pub settings: CtSettings,
    /// Somebody listens to messages of conntrack (`nf_ctnetlink_has_listener`).
    pub listened: bool,
    /// `CT --ctevents` has an effect: the rules were loaded while somebody listened, or the kernel does not ask for that.
    pub(crate) masks: bool,
    /// How large the tables may be.
    pub limits: Limits,
    /// Statistics.
    pub stats: CtStats,
    found: Cell<u64>,
    work: Cell<CtWork>,
    /// Whose statistics the last two are, and those of the other processors.
    cpu: usize,
    idle: Vec<CtStats>,
}

/// How long an entry that has left the table is kept for a packet that is still inside the box; it is freed lazily.
const DYING_LIFE: Duration = Duration::from_secs(1);
/// The same of an entry that was never in it. Its packet may wait for a neighbour, which ARP asks three times.
const UNCONFIRMED_LIFE: Duration = Duration::from_secs(5);

impl Conntrack {
    /// An empty table with the defaults of Linux.
    pub fn new() -> Conntrack {
        Conntrack { tcp_loose: true, tcp_max_retrans: 3, ..Conntrack::default() }
    }

    /// Leaves nothing but the settings: as after boot, nothing has been seen. Nobody is told, as `conntrack -F` would.
    pub(crate) fn forget(&mut self) {
        if self.listed > 0 {
            self.hash = TupleHash::default();
            self.by_source = BySource::default();
            self.listed = 0;
        }
        self.slab.clear();
        self.due = DueQueue::default();
        self.loose.clear();
        self.expects.clear();
    }

    /// An entry, confirmed or not.
    #[inline]
    pub fn get(&self, id: ConnId) -> Option<&Conn> {
        self.slab.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slab.get_mut(id)
    }

    /// An entry to change, and how long entries live.
    pub(super) fn get_timed(&mut self, id: ConnId) -> Option<(&mut Conn, &Timeouts)> {
        let conn = self.slab.get_mut(id)?;
        Some((conn, &self.timeouts))
    }

    fn listed(&self) -> impl Iterator<Item = &Conn> {
        self.slab.iter().filter(|c| c.is_listed())
    }

    /// Entries of the table in the order of their creation. Those that are in it in their reply direction alone do not show
    /// (`ctnetlink_dump_table`).
    pub fn rows(&self, now: Instant) -> Vec<Row> {
        let shows = |c: &&Conn| c.expires > now && c.status & status::NAT_CLASH == 0;
        let mut rows: Vec<Row> = self.listed().filter(shows).map(|c| c.row(now)).collect();
        sorted::sort_by_key(&mut rows, |r| r.id);
        rows
    }

    /// `nf_conntrack_count`
    pub fn count(&self) -> usize {
        self.listed
    }

    /// How many hold on to an entry, whoever lists it included: the flows that it announced keep it too.
    pub fn uses(&self, id: ConnId) -> usize {
        1 + self
            .slab
            .iter()
            .filter(|c| c.is_listed() && c.master.as_ref().is_some_and(|m| m.conn == id))
            .count()
    }

    /// How many flows are announced.
    pub fn expect_count(&self) -> usize {
        self.expects.len()
    }

    /// `conntrack -z`: an entry counts anew.
    pub fn zero(&mut self, id: ConnId) {
        if let Some(c) = self.get_mut(id) {
            c.counters = c.counters.take().map(|_| Box::default());
        }
    }

    /// A packet stops that nobody but it knows the entry of. NAT sees it all the same where it has been translated
    /// (`nf_nat_bysource`).
    pub(crate) fn hold(&mut self, id: ConnId) {
        self.held.push(id);
        let translated = self.get(id).filter(|c| c.status & status::SRC_NAT_DONE != 0).map(|c| c.orig);
        if let Some(orig) = translated {
            self.by_source.insert(&orig, id);
        }
    }

    /// It goes on.
    pub(crate) fn release(&mut self, id: ConnId) {
        let Some(at) = self.held.iter().position(|held| *held == id) else { return };
        self.held.remove(at);
        if let Some(orig) = self.get(id).filter(|c| !c.is_confirmed()).map(|c| c.orig) {
            self.by_source.remove(&orig, id);
        }
    }

    /// `nf_conntrack_find_get`: the entry that has this tuple in one of its directions, in that zone. Expired
    /// entries are not found.
    pub fn find(&self, tuple: &Tuple, zone: Zone, now: Instant) -> Option<(ConnId, Direction)> {
        let (conn, dir) = self.holder(tuple, zone)?;
        (conn.expires > now).then_some((conn.id, dir))
    }

    /// The entry that a flow would collide with: it stands under the tuple and the zone's id in that direction of the flow,
    /// which are hashed together.
    fn collides(&self, hash: u32, tuple: &Tuple, zone: Zone, dir: Direction) -> Option<&Conn> {
        self.with_hash(hash, tuple, zone, Some(dir)).map(|(conn, _)| conn)
    }

    /// The entry with this tuple, even if it is over: `Err` then.
    pub(crate) fn find_any(
        &self,
        tuple: &Tuple,
        zone: Zone,
        now: Instant,
    ) -> Option<Result<(ConnId, Direction), ConnId>> {
        let (conn, dir) = self.holder(tuple, zone)?;
        Some(if conn.expires > now { Ok((conn.id, dir)) } else { Err(conn.id) })
    }

    fn holder(&self, tuple: &Tuple, zone: Zone) -> Option<(&Conn, Direction)> {
        let hash = hash_conntrack(tuple);
        // Where the zone counts in one direction only, the id of the original direction is tried first.
        let first = zone.only.and_then(|_| self.with_hash(hash, tuple, zone, Some(Direction::Original)));
        first.or_else(|| self.with_hash(hash, tuple, zone, None))
    }

    /// In each direction the zone counts as that direction has it. With `under`, only what stands under the zone's id in that
    /// direction.
    fn with_hash(
        &self,
        hash: u32,
        tuple: &Tuple,
        zone: Zone,
        under: Option<Direction>,
    ) -> Option<(&Conn, Direction)> {
        let fits = |node: u32| {
            let (conn, dir) = self.at(node)?;
            let id = conn.zone.id(dir);
            let same = conn.tuple(dir) == tuple && id == zone.id(dir);
            (same && under.is_none_or(|under| id == zone.id(under))).then_some((conn, dir))
        };
        let found = self.hash.with_hash(hash).find_map(fits);
        self.count_work(|work| {
            work.hits += u64::from(found.is_some());
            work.misses += u64::from(found.is_none());
        });
        found
    }

    fn at(&self, node: u32) -> Option<(&Conn, Direction)> {
        let dir = if node & 1 == 0 { Direction::Original } else { Direction::Reply };
        Some((self.slab.at(node / 2)?, dir))
    }

    /// `__nf_conntrack_alloc`: a new entry, not yet in the table.
    pub(crate) fn alloc(&mut self, orig: Tuple, reply: Tuple, zone: Zone, now: Instant) -> ConnId {
        self.sweep(now);
        let slot = self.slab.reserve();
        let id = ConnId::new(self.next, slot);
        self.next = self.next.wrapping_add(1);
        self.count_work(|work| work.made += 1);
        self.loose.push(id);
        self.slab.put(
            slot,
            Conn {
                id,
                expires: now,
                zone,
                counters: self.settings.acct.then(Default::default),
                silent: self.settings.events == 0,
                stamped: self.settings.timestamp,
                created: now,
                orig,
                reply,
                began: now,
                ..Conn::vacant()
            },
        );
        id
    }

    fn sweep(&mut self, now: Instant) {
        if now.since(self.swept) < DYING_LIFE {
            return;
        }
        self.swept = now;
        for id in std::mem::take(&mut self.loose) {
            let Some(c) = self.get(id).filter(|c| !c.is_listed()) else { continue };
            let life = if c.is_confirmed() { DYING_LIFE } else { UNCONFIRMED_LIFE };
            if now.since(c.created) < life || self.held.contains(&id) {
                self.loose.push(id);
            } else {
                self.slab.free(id);
            }
        }
    }

    /// `__nf_conntrack_hash_insert`, if no entry has one of its tuples, not even one that is over.
    ///
    /// # Errors
    /// The entry that has one; the tuple of the original direction is looked for first.
    pub(crate) fn insert(&mut self, id: ConnId, now: Instant) -> Result<(), ConnId> {
        let Some(c) = self.get(id) else { return Err(id) };
        let (orig, reply) = (hash_conntrack(&c.orig), hash_conntrack(&c.reply));
        let taken = |hash, tuple, dir| self.collides(hash, tuple, c.zone, dir).map(|c| c.id);
        let holder = taken(orig, &c.orig, Direction::Original);
        if let Some(holder) = holder.or_else(|| taken(reply, &c.reply, Direction::Reply)) {
            return Err(holder);
        }
        let seconds = u64::from(c.timeout);
        self.enter(id, Some(orig), reply, now + Duration::from_secs(seconds), now);
        Ok(())
    }

    /// `nf_ct_resolve_clash_harder`: the entry enters the table in its reply direction alone, for a second.
    ///
    /// # Errors
    /// The entry that has this tuple.
    pub(super) fn insert_reply(&mut self, id: ConnId, now: Instant) -> Result<(), ConnId> {
        let Some(c) = self.get_mut(id) else { return Err(id) };
        let (tuple, zone) = (c.reply, c.zone);
        let reply = hash_conntrack(&tuple);
        if let Some(holder) = self.collides(reply, &tuple, zone, Direction::Reply).map(|c| c.id) {
            return Err(holder);
        }
        if let Some(c) = self.get_mut(id) {
            c.status |= status::FIXED_TIMEOUT | status::NAT_CLASH;
        }
        self.enter(id, None, reply, now + Duration::from_secs(1), now);
        Ok(())
    }

    fn enter(&mut self, id: ConnId, orig: Option<u32>, reply: u32, expires: Instant, now: Instant) {
        let Some(c) = self.get_mut(id) else { return };
        c.status |= status::CONFIRMED;
        c.began = now;
        c.expires = expires;
        let translated = c.status & status::SRC_NAT_DONE != 0;
        if let Some(orig) = orig {
            self.hash.insert(id.slot() * 2, orig);
        }
        self.hash.insert(id.slot() * 2 + 1, reply);
        if translated && let Some(c) = self.slab.get(id) {
            self.by_source.insert(&c.orig, id);
        }
        self.listed += 1;
        // Most enter the table before the next one is made.
        self.loose.pop_if(|last| *last == id);
        self.put_in_queue(id, expires);
    }

    /// `nf_ct_delete`: takes the entry out of the table. A packet that is still on its way through the box keeps
    /// it alive for a moment. `None` if it is not there; else its row for the DESTROY message, if that is wanted.
    pub(crate) fn remove(&mut self, id: ConnId, row: bool, now: Instant) -> Option<Option<Row>> {
        let c = self.get_mut(id).filter(|c| c.is_listed())?;
        c.status |= status::DYING;
        let row = row.then(|| c.row(now));
        let (orig, reply, clash) = (c.orig, c.reply, c.status & status::NAT_CLASH != 0);
        c.created = now;
        self.by_source.remove(&orig, id);
        if !clash {
            self.hash.remove(id.slot() * 2, hash_conntrack(&orig));
        }
        self.hash.remove(id.slot() * 2 + 1, hash_conntrack(&reply));
        self.listed -= 1;
        self.loose.push(id);
        Some(row)
    }

    /// One more packet of a flow that has been answered, or its first answer: as conntrack's hook takes it, without looking for the entry,
    /// which costs so many look-ups. Nobody reads what changes. `None`, and nothing is done, if the entry is gone or not as it was.
    #[inline]
    pub(crate) fn one_more(
        &mut self,
        (id, dir): (ConnId, Direction),
        as_it_was: impl Fn(&Conn) -> bool,
        (len, hits): (usize, u64),
        stream_after: Duration,
        now: Instant,
    ) -> Option<()> {
        let c = self.slab.get_mut(id).filter(|c| as_it_was(c))?;
        let seen_reply = c.status & status::SEEN_REPLY != 0;
        let (timeout, assured) = udp_packet(c, seen_reply, &self.timeouts, stream_after, now);
        c.refresh(timeout, now);
        c.account(dir, len);
        let first = dir == Direction::Reply && c.set_status(status::SEEN_REPLY);
        if first || assured {
            c.pending |= if first { ipct::REPLY } else { 0 } | if assured { ipct::ASSURED } else { 0 };
            c.pending &= if c.has_news() { 0 } else { !0 };
        }
        self.work.get_mut().hits += hits;
        if c.ends_before_queued() {
            let expires = c.expires;
            self.put_in_queue(id, expires);
        }
        Some(())
    }

    /// The entry that a packet belongs to, for whoever wants to know it before conntrack looks for it: it counts as no look-up.
    pub(crate) fn peek(&self, tuple: &Tuple, now: Instant) -> Option<(&Conn, Direction)> {
        let zone = Zone::default();
        let fits = |(conn, dir): &(&Conn, Direction)| {
            conn.tuple(*dir) == tuple && conn.zone.id(*dir) == zone.id(*dir)
        };
        let nodes = self.hash.with_hash(hash_conntrack(tuple));
        let found = nodes.filter_map(|node| self.at(node)).find(fits);
        found.filter(|(conn, _)| conn.zone == zone && conn.expires > now)
    }

    /// Reads what taking these entries out of the table will ask for: many at once, which a processor does side by side.
    pub(crate) fn read_ahead(&self, ids: &[ConnId]) {
        let sum = ids.iter().filter_map(|id| self.slab.get(*id)).fold(0, |sum, c| {
            let (orig, reply) = (hash_conntrack(&c.orig), hash_conntrack(&c.reply));
            sum ^ self.hash.peek(orig) ^ self.hash.peek(reply) ^ self.by_source.peek(&c.orig, c.id)
        });
        std::hint::black_box(sum);
    }

    /// Frees an entry that has just been taken out of the table, while no packet is inside the box.
    pub(crate) fn free_dead(&mut self, id: ConnId) {
        if !self.held.contains(&id) && self.loose.pop_if(|last| *last == id).is_some() {
            self.slab.free(id);
        }
    }

    /// True if there is no room for one more entry.
    pub(crate) fn is_full(&self) -> bool {
        self.limits.max > 0 && self.listed >= self.limits.max as usize
    }

    fn ids(&self, which: &dyn Fn(&Conn) -> bool) -> Vec<ConnId> {
        let mut ids: Vec<ConnId> = self.listed().filter(|c| which(c)).map(|c| c.id).collect();
        sorted::sort(&mut ids);
        ids
    }

    /// Takes the entries whose time has come until then out of the queue, oldest first (`gc_worker`): they have to go.
    pub(crate) fn take_expired(&mut self, until: Instant) -> Vec<ConnId> {
        let slab = &mut self.slab;
        let mut ids = self.due.take(until, |id, moved| {
            let Some(c) = slab.get_mut(id).filter(|c| c.is_listed()) else {
                return Fate::Gone;
            };
            if let Some(second) = moved {
                c.queued = second;
            }
            Fate::Ends(c.expires)
        });
        sorted::sort(&mut ids);
        ids.dedup();
        ids
    }

    fn put_in_queue(&mut self, id: ConnId, ends: Instant) {
        let second = self.due.add(id, ends);
        if let Some(c) = self.get_mut(id) {
            c.queued = second;
        }
    }

    /// An entry has another time-out: one that ends earlier is put forward in the queue.
    #[inline]
    pub(crate) fn mod_timer(&mut self, id: ConnId) {
        if let Some(c) = self.get(id)
            && c.is_listed()
            && c.ends_before_queued()
        {
            self.put_in_queue(id, c.expires);
        }
    }

    /// The entry that has this tuple but is over, so that nobody finds it.
    pub(crate) fn over(&self, tuple: &Tuple, zone: Zone, now: Instant) -> Option<ConnId> {
        let (conn, _) = self.holder(tuple, zone)?;
        (conn.expires <= now).then_some(conn.id)
    }

    /// Flows that MASQUERADE gave an address of `dev`: this one, or any.
    pub(crate) fn masqueraded(&self, dev: DevId, addr: Option<Ipv4Addr>) -> Vec<ConnId> {
        self.ids(&|c| c.masq == Some(dev) && addr.is_none_or(|a| c.reply.dst() == IpAddr::V4(a)))
    }

    /// Ids of all entries in the table.
    pub(crate) fn confirmed(&self) -> Vec<ConnId> {
        self.ids(&|_| true)
    }

    /// `nf_conntrack_tuple_taken`: the entry other than `new` that would see packets with this tuple. With `own` an entry of the
    /// same flow is not in the way, which another processor has just entered: both packets get the same tuple then.
    pub(crate) fn taken(&self, tuple: &Tuple, new: ConnId, own: bool, now: Instant) -> Option<ConnId> {
        let flow = self.get(new)?;
        let holder = self.collides(hash_conntrack(tuple), tuple, flow.zone, Direction::Reply);
        let same = |c: &Conn| {
            let dir = Direction::Original;
            own && c.orig == flow.orig && c.zone.id(dir) == flow.zone.id(dir)
        };
        let holder = holder.filter(|c| c.expires > now && c.id != new && !same(c))?.id;
        self.found.set(self.found.get() + 1);
        Some(holder)
    }
}
