//! The table: entries by id, and the hash of both their tuples.

use super::tcp::TcpTrack;
use super::{ConnInfo, CtState, Direction, Expect, Helper, Timeouts, Tuple, status};
use crate::{ConnId, DevId, Instant};
use litemap::LiteMap;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// An entry (`struct nf_conn`).
#[derive(Clone, Debug, PartialEq)]
pub struct Conn {
    /// Its number.
    pub id: ConnId,
    /// The tuple of the first packet as it came in.
    pub orig: Tuple,
    /// The tuple that the answer will have.
    pub reply: Tuple,
    /// Bits of [`status`].
    pub status: u32,
    /// `connmark`
    pub mark: u32,
    /// Time-out in seconds while unconfirmed.
    pub timeout: u32,
    /// When it ends, once confirmed.
    pub expires: Instant,
    /// When it was made.
    pub created: Instant,
    /// State of TCP.
    pub tcp: Option<TcpTrack>,
    /// For UDP: when it counts as a stream.
    pub udp_stream_at: Option<Instant>,
    /// The flow that announced this one.
    pub master: Option<ConnId>,
    /// That flow's original direction.
    pub master_tuple: Option<Tuple>,
    /// Who reads its payload.
    pub helper: Option<Helper>,
    /// The device whose address MASQUERADE took (`masq_index`).
    pub(crate) masq: Option<DevId>,
    /// Changes not yet reported: bits of the pending ctnetlink message.
    pub(crate) pending: Pending,
}

/// What a ctnetlink message about an entry is to tell (`IPCT_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// It is in the table (`IPCT_NEW`).
    pub new: bool,
    /// Bits of its status (`IPCT_REPLY`, `IPCT_ASSURED`).
    pub status: bool,
    /// Its protocol's state (`IPCT_PROTOINFO`).
    pub proto: bool,
    /// Its mark (`IPCT_MARK`).
    pub mark: bool,
}

impl Pending {
    fn any(self) -> bool {
        self != Pending::default()
    }
}

impl Conn {
    /// True if something of a confirmed entry has changed that nobody has been told.
    pub(crate) fn has_news(&self) -> bool {
        self.pending.any() && self.is_confirmed() && self.status & status::DYING == 0
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
        if self.status & status::FIXED_TIMEOUT != 0 {
            return;
        }
        self.timeout = seconds;
        if self.is_confirmed() {
            self.expires = now + Duration::from_secs(u64::from(seconds));
        }
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
            tcp: self.tcp,
            mark: self.mark,
            timeout: self.seconds_left(now),
            helper: self.helper,
            master: self.master_tuple,
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
    /// `connmark`
    pub mark: u32,
    /// Seconds left.
    pub timeout: u32,
    /// Who reads its payload.
    pub helper: Option<Helper>,
    /// The original direction of the flow that announced this one.
    pub master: Option<Tuple>,
}

/// `conntrack -S`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtStats {
    /// Packets that found an entry.
    pub found: u64,
    /// Packets that are invalid.
    pub invalid: u64,
    /// Entries inserted.
    pub insert: u64,
    /// Entries that could not be inserted.
    pub insert_failed: u64,
    /// Packets dropped because of that.
    pub drop: u64,
}

/// `nf_conntrack_hash`: which entry has a tuple, in which direction.
#[derive(Clone, Debug, Default)]
struct TupleHash {
    /// None before the first entry.
    buckets: Vec<Vec<(Tuple, ConnId, Direction)>>,
}

/// Number of buckets. Nothing but speed depends on it.
const BUCKETS: usize = 1024;

impl TupleHash {
    fn bucket(tuple: &Tuple) -> usize {
        let mut hasher = FxHasher::default();
        tuple.hash(&mut hasher);
        // The upper bits are the well-mixed ones.
        (hasher.finish() >> 32) as usize % BUCKETS
    }

    fn get(&self, tuple: &Tuple) -> Option<(ConnId, Direction)> {
        let bucket = self.buckets.get(TupleHash::bucket(tuple))?;
        bucket.iter().find(|(t, ..)| t == tuple).map(|(_, id, dir)| (*id, *dir))
    }

    /// Takes the place of an entry with the same tuple.
    fn insert(&mut self, tuple: Tuple, (id, dir): (ConnId, Direction)) {
        self.buckets.resize_with(BUCKETS, Vec::new);
        let Some(bucket) = self.buckets.get_mut(TupleHash::bucket(&tuple)) else { return };
        match bucket.iter_mut().find(|(t, ..)| *t == tuple) {
            Some(old) => *old = (tuple, id, dir),
            None => bucket.push((tuple, id, dir)),
        }
    }

    /// Removes the tuple if it belongs to that entry.
    fn remove(&mut self, tuple: &Tuple, (id, dir): (ConnId, Direction)) {
        if let Some(bucket) = self.buckets.get_mut(TupleHash::bucket(tuple)) {
            bucket.retain(|(t, i, d)| !(t == tuple && *i == id && *d == dir));
        }
    }
}

/// Connection tracking of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Conntrack {
    conns: LiteMap<ConnId, Conn>,
    hash: TupleHash,
    /// When entries that were never confirmed, or are gone, were last freed.
    swept: Instant,
    next: u32,
    /// What helpers have announced, oldest first.
    pub(crate) expects: Vec<Expect>,
    /// `nf_conntrack_expect_max`
    pub expect_max: usize,
    /// `nf_conntrack_helper`: helpers are assigned by port, without a rule.
    pub auto_helper: bool,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Statistics.
    pub stats: CtStats,
    /// `nf_conntrack_tcp_loose`: pick up flows in the middle.
    pub tcp_loose: bool,
    /// `nf_conntrack_tcp_be_liberal`: only RSTs must be in the window.
    pub tcp_be_liberal: bool,
    /// `nf_conntrack_tcp_max_retrans`
    pub tcp_max_retrans: u32,
}

/// An unconfirmed entry lives only as long as the packet that made it is inside the box; it is freed lazily.
const UNCONFIRMED_LIFE: Duration = Duration::from_secs(1);

impl Conntrack {
    /// An empty table with the defaults of Linux.
    pub fn new() -> Conntrack {
        Conntrack { tcp_loose: true, tcp_max_retrans: 3, expect_max: 1024, ..Conntrack::default() }
    }

    /// An entry, confirmed or not.
    pub fn get(&self, id: ConnId) -> Option<&Conn> {
        self.conns.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(&id)
    }

    /// Confirmed entries in the order of their creation.
    pub fn rows(&self, now: Instant) -> Vec<Row> {
        self.conns.values().filter(|c| c.is_listed() && c.expires > now).map(|c| c.row(now)).collect()
    }

    /// `nf_conntrack_find_get`: the entry that has this tuple in one of its directions. Expired entries are not
    /// found.
    pub fn find(&self, tuple: &Tuple, now: Instant) -> Option<(ConnId, Direction)> {
        let (id, dir) = self.hash.get(tuple)?;
        let live = self.conns.get(&id).is_some_and(|c| c.expires > now);
        live.then_some((id, dir))
    }

    /// `__nf_conntrack_alloc`: a new entry, not yet in the table.
    pub(crate) fn alloc(&mut self, orig: Tuple, reply: Tuple, now: Instant) -> ConnId {
        if now.since(self.swept) >= UNCONFIRMED_LIFE {
            self.conns.retain(|_, c| c.is_listed() || now.since(c.created) < UNCONFIRMED_LIFE);
            self.swept = now;
        }
        let id = ConnId(self.next);
        self.next = self.next.wrapping_add(1);
        self.conns.insert(
            id,
            Conn {
                id,
                orig,
                reply,
                status: 0,
                mark: 0,
                timeout: 0,
                expires: now,
                created: now,
                tcp: None,
                udp_stream_at: None,
                master: None,
                master_tuple: None,
                helper: None,
                masq: None,
                pending: Pending::default(),
            },
        );
        id
    }

    /// `__nf_conntrack_hash_insert`; both tuples must be free.
    pub(crate) fn insert(&mut self, id: ConnId, now: Instant) {
        let Some(c) = self.conns.get_mut(&id) else { return };
        c.status |= status::CONFIRMED;
        c.expires = now + Duration::from_secs(u64::from(c.timeout));
        self.hash.insert(c.orig, (id, Direction::Original));
        self.hash.insert(c.reply, (id, Direction::Reply));
        self.stats.insert += 1;
    }

    /// `nf_ct_delete`: takes the entry out of the table. A packet that is still on its way through the box keeps
    /// it alive for a moment. The row is for the DESTROY message.
    pub(crate) fn remove(&mut self, id: ConnId, now: Instant) -> Option<Row> {
        let c = self.conns.get_mut(&id).filter(|c| c.is_listed())?;
        c.status |= status::DYING;
        let row = c.row(now);
        c.created = now;
        let tuples = [(c.orig, Direction::Original), (c.reply, Direction::Reply)];
        for (tuple, dir) in tuples {
            self.hash.remove(&tuple, (id, dir));
        }
        Some(row)
    }

    /// Entries whose time has come, oldest id first (`gc_worker`).
    pub(crate) fn expired(&self, now: Instant) -> Vec<ConnId> {
        self.conns.values().filter(|c| c.is_listed() && c.expires <= now).map(|c| c.id).collect()
    }

    /// The entry that has this tuple but is over, so that nobody finds it.
    pub(crate) fn over(&self, tuple: &Tuple, now: Instant) -> Option<ConnId> {
        let (id, _) = self.hash.get(tuple)?;
        self.conns.get(&id).is_some_and(|c| c.expires <= now).then_some(id)
    }

    /// Flows that MASQUERADE gave an address of `dev`: this one, or any.
    pub(crate) fn masqueraded(&self, dev: DevId, addr: Option<Ipv4Addr>) -> Vec<ConnId> {
        let fits = |c: &&Conn| c.is_listed() && c.masq == Some(dev);
        let with = |c: &&Conn| addr.is_none_or(|a| c.reply.dst == IpAddr::V4(a));
        self.conns.values().filter(fits).filter(with).map(|c| c.id).collect()
    }

    /// Ids of all confirmed entries.
    pub(crate) fn confirmed(&self) -> Vec<ConnId> {
        self.conns.values().filter(|c| c.is_listed()).map(|c| c.id).collect()
    }

    /// `nf_conntrack_tuple_taken`: true if an entry other than `ignore` would see packets with this tuple.
    pub(crate) fn taken(&self, tuple: &Tuple, ignore: ConnId, now: Instant) -> Option<ConnId> {
        self.find(tuple, now).map(|(id, _)| id).filter(|id| *id != ignore)
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
