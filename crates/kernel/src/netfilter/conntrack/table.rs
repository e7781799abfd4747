//! The table: entries by id, and the hash of both their tuples.

use super::due::{DueQueue, Fate};
use super::expect_table::ExpectTable;
use super::hash::{TupleHash, hash_conntrack};
use super::sctp::{SctpState, SctpTrack};
use super::settings::{CtSettings, Limits};
use super::slab::Slab;
use super::tcp::TcpTrack;
use super::{
    ConnInfo, CtState, Direction, EventMask, FtpLines, Helper, SeqAdjusts, Timeouts, Tuple, Zone, status,
};
use crate::netfilter::nat::BySource;
use crate::{ConnId, DevId, Instant};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Packets and bytes (`struct nf_conn_counter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtCounter {
    /// Packets.
    pub packets: u64,
    /// Bytes, IP headers included.
    pub bytes: u64,
}

/// An entry (`struct nf_conn`). What every packet looks at stands first: of a large table most is in no cache.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
pub struct Conn {
    /// Its number.
    pub id: ConnId,
    /// Bits of [`status`].
    pub status: u32,
    /// The second under which the queue of those that end has it.
    pub(super) queued: u32,
    /// When it ends, once confirmed.
    pub expires: Instant,
    /// The zone of the rule that it came under.
    pub zone: Zone,
    /// Time-out in seconds while unconfirmed.
    pub timeout: u32,
    /// The tuple of the first packet as it came in.
    pub orig: Tuple,
    /// The tuple that the answer will have.
    pub reply: Tuple,
    /// For UDP: when it counts as a stream.
    pub udp_stream_at: Option<Instant>,
    /// `connmark`
    pub mark: u32,
    /// Changes not yet reported: bits of [`ipct`](super::ipct).
    pub(crate) pending: u16,
    /// Who reads its payload.
    pub helper: Option<Helper>,
    /// The device whose address MASQUERADE took (`masq_index`).
    pub(crate) masq: Option<DevId>,
    /// Which messages are sent about it.
    pub(crate) events: EventMask,
    /// Nobody is told of its changes: `nf_conntrack_events` was 0 when it was made.
    pub(crate) silent: bool,
    /// It remembers when it began.
    pub(crate) stamped: bool,
    /// State of TCP.
    pub tcp: Option<Box<TcpTrack>>,
    /// What has passed in each direction, if that is counted.
    pub(crate) counters: Option<Box<[CtCounter; 2]>>,
    /// How the sequence numbers of a changed payload are off.
    pub(crate) seqadj: Option<Box<SeqAdjusts>>,
    /// What the FTP helper remembers.
    pub(crate) ftp: Option<Box<FtpLines>>,
    /// The flow that announced this one.
    pub master: Option<ConnId>,
    /// When it was made.
    pub created: Instant,
    /// When it entered the table.
    pub(crate) began: Instant,
    /// State of SCTP.
    pub sctp: Option<SctpTrack>,
    /// That flow's original direction.
    pub master_tuple: Option<Tuple>,
}

impl Conn {
    /// True if something of a confirmed entry has changed that nobody has been told.
    pub(crate) fn has_news(&self) -> bool {
        self.pending & self.events.conntrack != 0
            && !self.silent
            && self.is_confirmed()
            && self.status & status::DYING == 0
    }

    /// The tuple of one direction.
    pub fn tuple(&self, dir: Direction) -> &Tuple {
        match dir {
            Direction::Original => &self.orig,
            Direction::Reply => &self.reply,
        }
    }

    /// True if the entry is in the table.
    pub fn is_confirmed(&self) -> bool {
        self.status & status::CONFIRMED != 0
    }

    /// True if `conntrack -L` shows it.
    pub fn is_listed(&self) -> bool {
        self.status & (status::CONFIRMED | status::DYING) == status::CONFIRMED
    }

    /// Seconds until it ends.
    pub fn seconds_left(&self, now: Instant) -> u32 {
        if !self.is_confirmed() {
            return self.timeout;
        }
        u32::try_from(self.expires.since(now).as_secs()).unwrap_or(u32::MAX)
    }

    /// `nf_ct_refresh`: the time-out starts anew.
    pub(crate) fn refresh(&mut self, seconds: u32, now: Instant) {
        if self.status & status::FIXED_TIMEOUT == 0 {
            self.set_timeout(seconds, now);
        }
    }

    /// `__nf_ct_set_timeout`
    pub(super) fn set_timeout(&mut self, seconds: u32, now: Instant) {
        self.timeout = seconds;
        if self.is_confirmed() {
            self.expires = now + Duration::from_secs(u64::from(seconds));
        }
    }

    /// `nf_ct_acct_update`
    pub(crate) fn account(&mut self, dir: Direction, bytes: usize) {
        let Some([original, reply]) = self.counters.as_deref_mut() else { return };
        let counter = if dir == Direction::Original { original } else { reply };
        counter.packets += 1;
        counter.bytes += bytes as u64;
    }

    /// Sets status bits; true if one of them is new.
    pub(crate) fn set_status(&mut self, bits: u32) -> bool {
        let new = self.status & bits != bits;
        self.status |= bits;
        new
    }

    /// The entry as ctnetlink prints it.
    pub fn row(&self, now: Instant) -> Row {
        Row {
            id: self.id,
            orig: self.orig,
            reply: self.reply,
            status: self.status,
            tcp: self.tcp.as_deref().copied(),
            sctp: self.sctp.map(|s| s.state),
            mark: self.mark,
            timeout: self.seconds_left(now),
            helper: self.helper,
            master: self.master_tuple,
            counters: self.counters.as_deref().copied(),
            age: (self.stamped && self.is_confirmed()).then(|| now.since(self.began).as_secs()),
            zone: self.zone,
        }
    }
}

/// A line of `conntrack -L`: the state of an entry at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Number of the entry.
    pub id: ConnId,
    /// Original direction.
    pub orig: Tuple,
    /// Reply direction.
    pub reply: Tuple,
    /// Bits of [`status`].
    pub status: u32,
    /// State of TCP.
    pub tcp: Option<TcpTrack>,
    /// State of SCTP.
    pub sctp: Option<SctpState>,
    /// `connmark`
    pub mark: u32,
    /// Seconds left.
    pub timeout: u32,
    /// Who reads its payload.
    pub helper: Option<Helper>,
    /// The original direction of the flow that announced this one.
    pub master: Option<Tuple>,
    /// What has passed in each direction, with `nf_conntrack_acct`.
    pub counters: Option<[CtCounter; 2]>,
    /// Seconds since it entered the table, with `nf_conntrack_timestamp`.
    pub age: Option<u64>,
    /// Its zone.
    pub zone: Zone,
}

/// `conntrack -S`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtStats {
    /// Tuples that NAT could not use, as another entry has them.
    pub found: u64,
    /// Packets that are invalid.
    pub invalid: u64,
    /// Entries made by `conntrack -I`.
    pub insert: u64,
    /// Entries that could not be inserted.
    pub insert_failed: u64,
    /// Packets dropped because of that, or because the table is full.
    pub drop: u64,
    /// Entries that had to make room for others.
    pub early_drop: u64,
    /// ICMP errors about no known flow, or malformed.
    pub error: u64,
    /// Flows that had been announced.
    pub expect_new: u64,
    /// Expectations made.
    pub expect_create: u64,
    /// Expectations that came or were given up.
    pub expect_delete: u64,
    /// Packets of a flow that was entered twice, which went on with the other entry.
    pub clash_resolve: u64,
}

/// What conntrack has done so far, for who reckons with what that costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtWork {
    /// Look-ups that found their entry: half a chain of the hash, on average.
    pub hits: u64,
    /// Look-ups that did not: a whole chain.
    pub misses: u64,
    /// Entries made.
    pub made: u64,
}

impl CtStats {
    fn plus(self, other: CtStats) -> CtStats {
        CtStats {
            found: self.found + other.found,
            invalid: self.invalid + other.invalid,
            insert: self.insert + other.insert,
            insert_failed: self.insert_failed + other.insert_failed,
            drop: self.drop + other.drop,
            early_drop: self.early_drop + other.early_drop,
            error: self.error + other.error,
            expect_new: self.expect_new + other.expect_new,
            expect_create: self.expect_create + other.expect_create,
            expect_delete: self.expect_delete + other.expect_delete,
            clash_resolve: self.clash_resolve + other.clash_resolve,
        }
    }
}

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

/// How many buckets early_drop looks at, in old kernels entries (`NF_CT_EVICTION_RANGE`).
const EVICTION_RANGE: usize = 8;

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
    pub fn get(&self, id: ConnId) -> Option<&Conn> {
        self.slab.get(id.slot()).filter(|c| c.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slab.get_mut(id.slot()).filter(|c| c.id == id)
    }

    /// An entry to change, and how long entries live.
    pub(super) fn get_timed(&mut self, id: ConnId) -> Option<(&mut Conn, &Timeouts)> {
        let conn = self.slab.get_mut(id.slot()).filter(|c| c.id == id)?;
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
        rows.sort_unstable_by_key(|r| r.id);
        rows
    }

    /// `nf_conntrack_count`
    pub fn count(&self) -> usize {
        self.listed
    }

    /// How many hold on to an entry, whoever lists it included: the flows that it announced keep it too.
    pub fn uses(&self, id: ConnId) -> usize {
        1 + self.slab.iter().filter(|c| c.is_listed() && c.master == Some(id)).count()
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

    /// The sums of what `conntrack -S` shows.
    pub fn stats(&self) -> CtStats {
        self.stats_by_cpu().into_iter().reduce(CtStats::plus).unwrap_or_default()
    }

    /// What `conntrack -S` shows, a line a processor.
    pub fn stats_by_cpu(&self) -> Vec<CtStats> {
        let mut all = self.idle.clone();
        all.resize(all.len().max(1), CtStats::default());
        if let Some(mine) = all.get_mut(self.cpu) {
            *mine = CtStats { found: self.found.get(), ..self.stats };
        }
        all
    }

    /// The box has at least so many processors.
    pub(crate) fn set_cpus(&mut self, n: usize) {
        self.idle.resize(self.idle.len().max(n), CtStats::default());
    }

    /// From now on things happen on this processor.
    pub(crate) fn run_on(&mut self, cpu: usize) {
        self.set_cpus(cpu + 1);
        self.idle = self.stats_by_cpu();
        self.cpu = cpu;
        self.stats = self.idle.get(cpu).copied().unwrap_or_default();
        self.found.set(self.stats.found);
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
        let found = self.hash.with_hash(hash).find_map(|node| {
            let (conn, dir) = self.at(node)?;
            let id = conn.zone.id(dir);
            let same = conn.tuple(dir) == tuple && id == zone.id(dir);
            (same && under.is_none_or(|under| id == zone.id(under))).then_some((conn, dir))
        });
        self.count_work(|work| {
            work.hits += u64::from(found.is_some());
            work.misses += u64::from(found.is_none());
        });
        found
    }

    fn at(&self, node: u32) -> Option<(&Conn, Direction)> {
        let dir = if node & 1 == 0 { Direction::Original } else { Direction::Reply };
        Some((self.slab.get(node / 2)?, dir))
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
                orig,
                reply,
                status: 0,
                mark: 0,
                timeout: 0,
                expires: now,
                created: now,
                began: now,
                queued: 0,
                counters: self.settings.acct.then(Default::default),
                stamped: self.settings.timestamp,
                silent: self.settings.events == 0,
                tcp: None,
                sctp: None,
                udp_stream_at: None,
                master: None,
                master_tuple: None,
                helper: None,
                ftp: None,
                seqadj: None,
                masq: None,
                zone,
                events: EventMask::ALL,
                pending: 0,
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
                self.slab.free(id.slot());
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
        if translated && let Some(c) = self.slab.get(id.slot()) {
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
        let (orig, clash) = (c.orig, c.status & status::NAT_CLASH != 0);
        c.created = now;
        self.by_source.remove(&orig, id);
        if !clash {
            self.hash.remove(id.slot() * 2);
        }
        self.hash.remove(id.slot() * 2 + 1);
        self.listed -= 1;
        self.loose.push(id);
        Some(row)
    }

    /// True if there is no room for one more entry.
    pub(crate) fn is_full(&self) -> bool {
        self.limits.max > 0 && self.listed >= self.limits.max as usize
    }

    /// `early_drop`: who has to make room for a new entry with this tuple. Of the eight buckets from its own on, the first that
    /// has anybody who is not assured gives up all of those. Whoever is over in the buckets on the way goes too, and comes
    /// first in the answer; that makes no room.
    pub(crate) fn early_drop(&self, tuple: &Tuple, now: Instant) -> (Vec<ConnId>, Vec<ConnId>) {
        let mut over = Vec::new();
        for bucket in self.buckets_from(tuple).take(EVICTION_RANGE) {
            let mut victims = Vec::new();
            for (c, _) in bucket.into_iter().filter_map(|node| self.at(node)) {
                if c.expires <= now {
                    over.push(c.id);
                } else if c.status & status::ASSURED == 0 && !victims.contains(&c.id) {
                    victims.push(c.id);
                }
            }
            if !victims.is_empty() {
                return (over, victims);
            }
        }
        (over, Vec::new())
    }

    /// `early_drop` of old kernels: the oldest in the first bucket that has anybody who is not assured. It looks at buckets until
    /// it has seen eight entries.
    pub(crate) fn early_drop_one(&self, tuple: &Tuple) -> Option<ConnId> {
        let mut seen = 0;
        for bucket in self.buckets_from(tuple) {
            seen += bucket.len();
            let all = bucket.into_iter().filter_map(|node| self.at(node)).map(|(c, _)| c);
            let victim = all.filter(|c| c.status & status::ASSURED == 0).map(|c| c.id).min();
            if victim.is_some() || seen >= EVICTION_RANGE {
                return victim;
            }
        }
        None
    }

    /// The buckets from that of a tuple on, once round.
    fn buckets_from(&self, tuple: &Tuple) -> impl Iterator<Item = Vec<u32>> + '_ {
        let buckets = self.limits.buckets.max(1) as usize;
        let first = ((u64::from(hash_conntrack(tuple)) * buckets as u64) >> 32) as usize;
        (0..buckets).map(move |i| self.hash.in_bucket((first + i) % buckets, buckets))
    }

    fn ids(&self, which: &dyn Fn(&Conn) -> bool) -> Vec<ConnId> {
        let mut ids: Vec<ConnId> = self.listed().filter(|c| which(c)).map(|c| c.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Takes the entries whose time has come until then out of the queue, oldest first (`gc_worker`): they have to go.
    pub(crate) fn take_expired(&mut self, until: Instant) -> Vec<ConnId> {
        let slab = &mut self.slab;
        let mut ids = self.due.take(until, |id, moved| {
            let Some(c) = slab.get_mut(id.slot()).filter(|c| c.id == id && c.is_listed()) else {
                return Fate::Gone;
            };
            if let Some(second) = moved {
                c.queued = second;
            }
            Fate::Ends(c.expires)
        });
        ids.sort_unstable();
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
            && c.expires.0 / 1_000_000 < u64::from(c.queued)
        {
            self.put_in_queue(id, c.expires);
        }
    }

    fn count_work(&self, add: impl FnOnce(&mut CtWork)) {
        let mut work = self.work.get();
        add(&mut work);
        self.work.set(work);
    }

    /// What has been done so far.
    pub fn work(&self) -> CtWork {
        self.work.get()
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

impl Row {
    /// How a packet that carries `info` looks at this entry, in the words of the page: NEW original and so on.
    pub fn describe(info: ConnInfo) -> String {
        let state = match info.state {
            CtState::New => "new",
            CtState::Established => "established",
            CtState::Related => "related",
            CtState::Invalid => "invalid",
            CtState::Untracked => "untracked",
        };
        format!("{state} {}", info.dir.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::conntrack::L4Key;
    use packet::Protocol;

    fn tuple(sport: u16) -> Tuple {
        let key = L4Key::Ports { sport, dport: 53 };
        Tuple::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), Protocol::UDP, key)
    }

    /// A table with one bucket, and flows from these ports; the first one is assured.
    fn table(ports: &[u16]) -> (Conntrack, Vec<ConnId>) {
        let mut ct = Conntrack::new();
        ct.limits.buckets = 1;
        let mut ids = Vec::new();
        for port in ports {
            let t = tuple(*port);
            let id = ct.alloc(t, t.invert().unwrap_or(t), Zone::default(), Instant(0));
            let c = ct.get_mut(id).into_iter();
            c.for_each(|c| {
                c.timeout = 30;
                c.status |= if ids.is_empty() { status::ASSURED } else { 0 };
            });
            assert_eq!(ct.insert(id, Instant(0)), Ok(()));
            ids.push(id);
        }
        (ct, ids)
    }

    #[test]
    fn a_full_table_gives_up_all_of_a_bucket_that_are_not_assured() {
        let (ct, ids) = table(&[1, 2, 3]);
        let (over, mut victims) = ct.early_drop(&tuple(9), Instant(1));
        victims.sort_unstable();
        assert_eq!((over, victims), (Vec::new(), vec![ids[1], ids[2]]));
    }

    #[test]
    fn an_old_kernel_gives_up_the_oldest_of_them() {
        let (ct, ids) = table(&[1, 2, 3]);
        assert_eq!(ct.early_drop_one(&tuple(9)), Some(ids[1]));
    }

    #[test]
    fn an_assured_entry_never_makes_room() {
        let (ct, _) = table(&[1]);
        assert_eq!(ct.early_drop_one(&tuple(9)), None);
        assert_eq!(ct.early_drop(&tuple(9), Instant(1)), (Vec::new(), Vec::new()));
    }

    #[test]
    fn an_entry_that_got_less_time_leaves_earlier() {
        let (mut ct, ids) = table(&[1]);
        ct.get_mut(ids[0]).into_iter().for_each(|c| c.set_timeout(5, Instant(0)));
        ct.mod_timer(ids[0]);
        assert_eq!(ct.take_expired(Instant(4_999_999)), []);
        assert_eq!(ct.take_expired(Instant(5_000_000)), [ids[0]]);
    }

    #[test]
    fn work_is_counted() {
        let (ct, _) = table(&[1, 2]);
        let before = ct.work();
        ct.find(&tuple(1), Zone::default(), Instant(1));
        ct.find(&tuple(7), Zone::default(), Instant(1));
        let now = ct.work();
        assert_eq!((now.hits - before.hits, now.misses - before.misses, now.made), (1, 1, 2));
    }
}
