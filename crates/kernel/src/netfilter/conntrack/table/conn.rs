//! An entry of the table, and the line that lists it.

use crate::netfilter::conntrack::sctp::{SctpState, SctpTrack};
use crate::netfilter::conntrack::tcp::TcpTrack;
use crate::netfilter::conntrack::{
    ConnInfo, CtState, Direction, EventMask, FtpLines, Helper, SeqAdjusts, Tuple, Zone, status,
};
use crate::{ConnId, DevId, Instant};
use std::time::Duration;

/// Packets and bytes (`struct nf_conn_counter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtCounter {
    /// Packets.
    pub packets: u64,
    /// Bytes, IP headers included.
    pub bytes: u64,
}

/// An entry (`struct nf_conn`), in three lines of a processor's cache: of a large table most is in none. All that one more packet of a flow
/// asks of it and changes stands in the first.
#[derive(Clone, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Conn {
    /// Its number.
    pub id: ConnId,
    /// Bits of [`status`].
    pub status: u32,
    /// The second under which the queue of those that end has it.
    pub(in crate::netfilter::conntrack) queued: u32,
    /// When it ends, once confirmed.
    pub expires: Instant,
    /// Time-out in seconds while unconfirmed.
    pub timeout: u32,
    /// The zone of the rule that it came under.
    pub zone: Zone,
    /// For UDP: when it counts as a stream; [`Conn::NEVER`] until its first packet.
    pub udp_stream_at: Instant,
    /// What has passed in each direction, if that is counted.
    pub(crate) counters: Option<Box<[CtCounter; 2]>>,
    /// Changes not yet reported: bits of [`ipct`](crate::netfilter::conntrack::ipct).
    pub(crate) pending: u16,
    /// Nobody is told of its changes: `nf_conntrack_events` was 0 when it was made.
    pub(crate) silent: bool,
    /// It remembers when it began.
    pub(crate) stamped: bool,
    /// Which messages are sent about it.
    pub(crate) events: EventMask,
    /// When it was made.
    pub created: Instant,
    /// The tuple of the first packet as it came in.
    pub orig: Tuple,
    /// The tuple that the answer will have.
    pub reply: Tuple,
    /// `connmark`
    pub mark: u32,
    /// The device whose address MASQUERADE took (`masq_index`).
    pub(crate) masq: Option<DevId>,
    /// Who reads its payload.
    pub helper: Option<Helper>,
    /// State of TCP.
    pub tcp: Option<Box<TcpTrack>>,
    /// What few entries have.
    pub(crate) extras: Option<Box<Extras>>,
    /// The flow that announced this one.
    pub(crate) master: Option<Box<Master>>,
    /// When it entered the table.
    pub(crate) began: Instant,
}

/// What few entries have (`struct nf_ct_ext`).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Extras {
    /// State of SCTP.
    pub sctp: Option<SctpTrack>,
    /// How the sequence numbers of a changed payload are off.
    pub seqadj: Option<SeqAdjusts>,
    /// What the FTP helper remembers.
    pub ftp: FtpLines,
}

/// The flow that announced another one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Master {
    /// Its entry.
    pub conn: ConnId,
    /// Its original direction, if it was still there then.
    pub orig: Option<Tuple>,
}

impl Conn {
    /// A time that does not come.
    pub(crate) const NEVER: Instant = Instant(u64::MAX);

    /// What a free place has: it is in no table, and bears nobody's number.
    pub(in crate::netfilter::conntrack) fn vacant() -> Conn {
        Conn {
            id: ConnId::NOBODY,
            status: 0,
            queued: 0,
            expires: Instant(0),
            timeout: 0,
            zone: Zone::default(),
            udp_stream_at: Conn::NEVER,
            counters: None,
            pending: 0,
            silent: false,
            stamped: false,
            events: EventMask::ALL,
            created: Instant(0),
            orig: Tuple::NONE,
            reply: Tuple::NONE,
            mark: 0,
            masq: None,
            helper: None,
            tcp: None,
            extras: None,
            master: None,
            began: Instant(0),
        }
    }

    /// Its place is free from now on.
    pub(in crate::netfilter::conntrack) fn vacate(&mut self) {
        (self.id, self.status) = (ConnId::NOBODY, 0);
        (self.counters, self.tcp, self.extras, self.master) = (None, None, None, None);
    }

    /// What few entries have, to change it.
    pub(crate) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// State of SCTP.
    pub(crate) fn sctp(&self) -> Option<SctpTrack> {
        self.extras.as_deref()?.sctp
    }

    /// How the sequence numbers of a changed payload are off.
    pub(crate) fn seqadj(&self) -> Option<&SeqAdjusts> {
        self.extras.as_deref()?.seqadj.as_ref()
    }

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
            // What was set below 0 is over at once.
            self.set_timeout(u32::try_from(seconds.cast_signed()).unwrap_or(0), now);
        }
    }

    /// `__nf_ct_set_timeout`
    pub(in crate::netfilter::conntrack) fn set_timeout(&mut self, seconds: u32, now: Instant) {
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

    /// It ends before the queue of those that end would look at it.
    pub(super) fn ends_before_queued(&self) -> bool {
        self.expires.0 / 1_000_000 < u64::from(self.queued)
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
            sctp: self.sctp().map(|s| s.state),
            mark: self.mark,
            timeout: self.seconds_left(now),
            helper: self.helper,
            master: self.master.as_deref().and_then(|m| m.orig),
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
