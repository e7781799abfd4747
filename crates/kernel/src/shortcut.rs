//! The way of a flow, gone once and noted, for its next packets.
//!
//! A load test sends tens of packets through each flow, and nothing but conntrack's entry and counters changes from one to the next.
//! Here the box notes what it did with one: which rules counted it, what the translation made of it, by which device and neighbour
//! it left, or that it was for a socket. The next one of the flow has the same done to it without asking again. It goes the whole way
//! if anything is not as it was (state of the entry or of the neighbour, length, TTL), and a way is noted only if nothing was asked
//! on it that another packet might be answered differently. A box takes shortcuts when it is told to ([`Netns::take_shortcuts`]);
//! whoever changes its configuration from then on says so.

use crate::netfilter::conntrack::{Conn, ConnInfo, CtState, CtStats, CtWork, Direction, status};
use crate::netfilter::xtables::{Counters, TableId};
use crate::socket::{Datagram, Endpoint, udp_deliver, udp_find};
use crate::{ConnId, Cx, DevId, Instant, Netns, Output, PacketId, SocketId};
use packet::{Bytes, Frame, Ip, L4, Mac, Payload, Udp};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// Pairs of places for flows: a power of two.
const PAIRS: usize = 1 << 13;
/// Ways that differ from each other.
const WAYS: usize = 256;

/// Both ends of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    from: Endpoint,
    to: Endpoint,
}

impl Ends {
    /// Those of the answer.
    fn reversed(self) -> Ends {
        Ends { from: self.to, to: self.from }
    }
}

/// A flow as it comes: by a device, or from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    ends: Ends,
    dev: Option<DevId>,
}

impl Key {
    /// Its pair of places, and by what it is told from most others there (never 0, which is nobody's). Both directions of a flow have
    /// the same where its ends stay as they are.
    fn place(self) -> (usize, u16) {
        let mixed = |(addr, port): Endpoint| {
            let end = u64::from(addr.to_bits()) << 16 | u64::from(port);
            let hash = end.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^ hash >> 32
        };
        let hash =
            mixed(self.ends.from).wrapping_add(mixed(self.ends.to)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((hash >> 40) as usize % PAIRS, (hash >> 24) as u16 | 1)
    }
}

/// Which counter a packet adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    Rule(TableId, u32),
    Policy(TableId, u16),
}

/// How flows go that differ only in their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way {
    /// The device by which they leave and the neighbour to whom; without, they are for a socket here.
    out: Option<(DevId, Ipv4Addr)>,
    /// The length that has gone it, in bytes: a longer packet may not fit.
    len: usize,
    /// Look-ups in conntrack.
    hits: u64,
    counters: Vec<Counter>,
}

/// A way, and what has gone it that its counters have not been told of yet: one by one that would be most of a shortcut's cost.
#[derive(Clone, Debug)]
struct Used {
    way: Way,
    packets: u64,
    bytes: u64,
}

/// How one direction of a flow comes and goes.
#[derive(Clone, Copy, Debug)]
struct Leg {
    dev: Option<DevId>,
    way: u16,
}

/// A flow and its ways, in a line of a processor's cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Shortcut {
    ends: Ends,
    /// What the packet leaves as. An answer comes with the reverse of that, and leaves with the reverse of `ends`.
    becomes: Ends,
    there: Leg,
    /// The answer's, once it has been noted.
    back: Option<Leg>,
    /// The entry, and the direction of those that go there.
    conn: Option<(ConnId, Direction)>,
    /// The status of the entry.
    status: u32,
}

const _: () = assert!(size_of::<Option<Shortcut>>() == 64, "one line");

/// What a shortcut says of a packet.
struct Known {
    becomes: Ends,
    way: u16,
    /// The entry, and the packet's direction.
    conn: Option<(ConnId, Direction)>,
    status: u32,
}

impl Shortcut {
    /// What it says of a packet, in whichever direction that goes.
    #[inline]
    fn of(&self, key: Key) -> Option<Known> {
        let Shortcut { becomes, there, conn, status, .. } = *self;
        if self.ends == key.ends && there.dev == key.dev {
            return Some(Known { becomes, way: there.way, conn, status });
        }
        let back = self.back.filter(|back| back.dev == key.dev && becomes.reversed() == key.ends)?;
        let conn = conn.map(|(conn, dir)| (conn, dir.flip()));
        Some(Known { becomes: self.ends.reversed(), way: back.way, conn, status })
    }

    /// Takes over the other one as the answer's direction, if it is that.
    fn answered(&mut self, other: &Shortcut) -> bool {
        let conn = self.conn.map(|(conn, dir)| (conn, dir.flip()));
        let same = (self.becomes.reversed(), self.ends.reversed(), conn, self.status)
            == (other.ends, other.becomes, other.conn, other.status);
        if same {
            self.back = Some(other.there);
        }
        same
    }
}

/// The way of the packet that is inside now.
#[derive(Clone, Debug, Default)]
struct Note {
    /// Something was asked or done that is not noted.
    spoilt: bool,
    conn: Option<(ConnId, ConnInfo)>,
    /// Conntrack's figures before it was asked about the packet.
    was: (CtStats, CtWork),
    neigh: Option<(DevId, Ipv4Addr)>,
}

/// What a box has noted.
#[derive(Clone, Debug)]
pub(crate) struct Shortcuts {
    /// In each pair the one that was noted last stands first.
    known: Vec<[Option<Shortcut>; 2]>,
    /// What the flows there are told by: most that are not known are found out by this alone, which fits into a cache.
    tags: Vec<[u16; 2]>,
    ways: Vec<Used>,
    note: Option<Note>,
    /// Which counters the packet that is noted has added to so far.
    counted: Vec<Counter>,
}

/// A packet that is on its whole way and is noted.
pub(crate) struct Noting {
    key: Key,
    len: usize,
    out: usize,
}

/// A datagram that may take a shortcut: whole, intact, with no options.
fn datagram(ip: &Ip) -> Option<(Ends, &Udp)> {
    let L4::Udp(udp) = &ip.l4 else { return None };
    let (from, to) = (ip.src_v4()?, ip.dst_v4()?);
    let plain = udp.checksum_ok && ip.tos == 0 && !ip.is_fragment() && ip.gso_size == 0;
    plain.then_some((Ends { from: (from, udp.sport), to: (to, udp.dport) }, udp))
}

/// Of a flow in this state conntrack expects nothing new.
const SETTLED: u32 = status::CONFIRMED | status::SEEN_REPLY | status::ASSURED;

impl Netns {
    /// From now on the box notes the ways of flows, and takes them again, while nobody keeps the log. Whoever changes its configuration
    /// (rules, routes, devices, settings) calls [`Netns::forget_shortcuts`].
    pub fn take_shortcuts(&mut self) {
        let (known, tags) = (vec![[None; 2]; PAIRS], vec![[0; 2]; PAIRS]);
        self.shortcuts =
            Some(Box::new(Shortcuts { known, tags, ways: Vec::new(), note: None, counted: Vec::new() }));
    }

    /// Its configuration may have changed: what has been noted is forgotten.
    pub fn forget_shortcuts(&mut self) {
        if self.shortcuts.is_some() {
            self.count_shortcuts();
            self.take_shortcuts();
        }
    }

    /// From now on each packet goes the whole way.
    pub fn go_whole_ways(&mut self) {
        self.count_shortcuts();
        self.shortcuts = None;
    }

    /// Tells the counters of rules and policies of all packets that took shortcuts: whoever reads them asks for that before.
    pub fn count_shortcuts(&mut self) {
        let Some(mut all) = self.shortcuts.take() else { return };
        for used in &mut all.ways {
            let (packets, bytes) = (std::mem::take(&mut used.packets), std::mem::take(&mut used.bytes));
            for counter in &used.way.counters {
                if let Some(counters) = self.counters_mut(*counter) {
                    counters.packets += packets;
                    counters.bytes += bytes;
                }
            }
        }
        self.shortcuts = Some(all);
    }

    fn counters_mut(&mut self, counter: Counter) -> Option<&mut Counters> {
        match counter {
            Counter::Rule(table, at) => {
                let states = self.table_mut(table)?.state.all_mut();
                states.get_mut(at as usize).map(|state| &mut state.counters)
            }
            Counter::Policy(table, at) => self.table_mut(table)?.policy.get_mut(usize::from(at)),
        }
    }

    /// How many ways the box has noted that differ from each other.
    pub fn ways_noted(&self) -> usize {
        self.shortcuts.as_ref().map_or(0, |all| all.ways.len())
    }

    /// Something happens to the packet inside that the next one of its flow may be spared, or that may be otherwise then.
    pub(crate) fn spoil(&mut self) {
        if let Some(note) = self.note() {
            note.spoilt = true;
        }
    }

    fn note(&mut self) -> Option<&mut Note> {
        self.shortcuts.as_mut()?.note.as_mut()
    }

    /// The packet inside belongs to this entry.
    pub(crate) fn note_conn(&mut self, conn: ConnId, info: ConnInfo) {
        if let Some(note) = self.note() {
            note.spoilt |= note.conn.is_some() || info.state != CtState::Established;
            note.conn = Some((conn, info));
        }
    }

    /// True if it is of use to tell which counters the packet inside adds to.
    #[inline]
    pub(crate) fn notes_counters(&self) -> bool {
        let note = self.shortcuts.as_deref().and_then(|all| all.note.as_ref());
        note.is_some_and(|note| !note.spoilt)
    }

    /// The packet inside adds to the counters of these rules of a table, or of a chain's policy.
    pub(crate) fn note_counted(&mut self, table: TableId, rules: &[u32], policy: Option<u16>) {
        if let Some(all) = self.shortcuts.as_deref_mut() {
            all.counted.extend(rules.iter().map(|at| Counter::Rule(table, *at)));
            all.counted.extend(policy.map(|at| Counter::Policy(table, at)));
        }
    }

    /// The packet inside is to leave by this neighbour.
    pub(crate) fn note_neigh(&mut self, dev: DevId, addr: Ipv4Addr) {
        if let Some(note) = self.note() {
            note.neigh = Some((dev, addr));
        }
    }

    /// A frame comes in where shortcuts are taken.
    pub(crate) fn receive_shortly(&mut self, dev: DevId, id: PacketId, frame: Rc<Frame>, cx: &mut Cx<'_>) {
        let own = self.device(dev).filter(|d| d.up && d.mac == frame.dst).is_some();
        let parts = frame.ip().filter(|_| own && !cx.explains()).and_then(|ip| Some((datagram(ip)?, ip.ttl)));
        let Some(((ends, udp), ttl)) = parts else { return self.receive_whole(dev, id, frame, cx) };
        let (key, len) = (Key { ends, dev: Some(dev) }, 28 + udp.payload.len());
        match self.shortcut(key, len, ttl, cx.now) {
            Some((ends, Leads::Here(socket))) => {
                let datagram = Datagram { from: ends.from, to: ends.to.0, payload: udp.payload.clone() };
                return udp_deliver(self, id, socket, datagram, cx);
            }
            Some((becomes, Leads::Out(dev, own, mac))) => {
                let mut frame = frame;
                let changed = Rc::make_mut(&mut frame);
                (changed.src, changed.dst) = (own, mac);
                if let Payload::Ip(ip) = &mut changed.payload {
                    ip.ttl -= 1;
                    rewrite(ip, becomes);
                }
                cx.out.push(Output::Transmit { dev, id, frame });
                return;
            }
            None => {}
        }
        let noting = self.begin_note(key, len, cx);
        self.receive_whole(dev, id, frame, cx);
        self.end_note(&noting, cx);
    }

    /// A program sends a datagram where shortcuts are taken.
    ///
    /// # Errors
    /// It has to go the whole way, and what to give to [`Netns::end_note`] when it has, if that is to be noted.
    pub(crate) fn send_shortly(
        &mut self,
        (from, to): (Endpoint, Endpoint),
        (packet, payload): (PacketId, &Bytes),
        (ttl, ip_id): (u8, impl FnOnce(&mut Cx<'_>) -> u16),
        cx: &mut Cx<'_>,
    ) -> Result<(), Option<Noting>> {
        if self.shortcuts.is_none() || cx.explains() {
            return Err(None);
        }
        let (key, len) = (Key { ends: Ends { from, to }, dev: None }, 28 + payload.len());
        let Some((Ends { from, to }, Leads::Out(dev, src, dst))) = self.shortcut(key, len, ttl, cx.now)
        else {
            return Err(Some(self.begin_note(key, len, cx)));
        };
        let udp = Udp { sport: from.1, dport: to.1, checksum_ok: true, payload: payload.clone() };
        let mut ip = Ip::new(IpAddr::V4(from.0), IpAddr::V4(to.0), L4::Udp(udp));
        ip.ttl = ttl;
        ip.frag.df = true;
        ip.id = ip_id(cx);
        let frame = Rc::new(Frame { src, dst, payload: Payload::Ip(ip) });
        cx.out.push(Output::Transmit { dev, id: packet, frame });
        Ok(())
    }

    /// Takes the shortcut of a flow, if everything is as it was: what the packet becomes, and where it goes. It is counted wherever it would
    /// be counted.
    fn shortcut(&mut self, key: Key, len: usize, ttl: u8, now: Instant) -> Option<(Ends, Leads)> {
        let stream_after = self.era.udp_stream_after();
        let all = self.shortcuts.as_deref_mut()?;
        let Known { becomes, way, conn, status } = all.get(key)?;
        let used = all.ways.get_mut(usize::from(way)).filter(|used| len <= used.way.len)?;
        let leads = match used.way.out {
            // Which socket takes it is asked each time.
            None => Leads::Here(udp_find(&self.sockets, becomes.to, becomes.from)?),
            Some((dev, addr)) => {
                let lives = ttl > 1 || key.dev.is_none();
                let own = self.devices.get(dev.index()).filter(|d| d.up && lives)?.mac;
                Leads::Out(dev, own, self.neigh.cached(dev, addr)?)
            }
        };
        if let Some((conn, dir)) = conn {
            let as_it_was = |c: &Conn| c.status == status && c.expires > now && !c.has_news();
            self.ct.one_more((conn, dir), as_it_was, (len, used.way.hits), stream_after, now)?;
        }
        used.packets += 1;
        used.bytes += len as u64;
        Some((becomes, leads))
    }

    fn begin_note(&mut self, key: Key, len: usize, cx: &Cx<'_>) -> Noting {
        let was = (self.ct.stats, self.ct.work());
        if let Some(all) = self.shortcuts.as_deref_mut() {
            all.note = Some(Note { was, ..Note::default() });
            all.counted.clear();
        }
        Noting { key, len, out: cx.out.len() }
    }

    /// Notes the way that a packet has gone, if the next one will go the same.
    pub(crate) fn end_note(&mut self, was: &Noting, cx: &Cx<'_>) {
        let Some(mut all) = self.shortcuts.take() else { return };
        if let Some(note) = all.note.take().filter(|note| !note.spoilt)
            && let Some((mut shortcut, way)) = self.noted(was, &note, std::mem::take(&mut all.counted), cx)
            && let Some(at) = all.number(way)
        {
            shortcut.there.way = at;
            all.put(shortcut);
        }
        self.shortcuts = Some(all);
    }

    /// The way that a packet has gone, if the next one will go the same.
    fn noted(
        &self,
        was: &Noting,
        note: &Note,
        counters: Vec<Counter>,
        cx: &Cx<'_>,
    ) -> Option<(Shortcut, Way)> {
        let (stats, work) = (note.was.0, self.ct.work());
        let asked =
            (work.misses, work.made) == (note.was.1.misses, note.was.1.made) && self.ct.stats == stats;
        let port = |dev: DevId| self.device(dev).is_none_or(|d| d.master.is_some());
        if !asked || self.fib.rules.is_custom() || !self.pmtu.is_empty() || was.key.dev.is_some_and(port) {
            return None;
        }
        let (becomes, out) = match cx.out.get(was.out..) {
            Some([Output::Wake(_)]) if was.key.dev.is_some() => (was.key.ends, None),
            Some([Output::Transmit { dev, frame, .. }]) => {
                let ip = frame.ip().filter(|ip| ip.frag.df || was.key.dev.is_some())?;
                let ((ends, _), neigh) = (datagram(ip)?, note.neigh?);
                // Who comes in where it leaves is told of a better way, which is another packet each time.
                if neigh.0 != *dev || was.key.dev == Some(*dev) || port(*dev) {
                    return None;
                }
                (ends, Some(neigh))
            }
            _ => return None,
        };
        let status = match note.conn {
            Some((conn, _)) => {
                let settled = |c: &&Conn| {
                    (c.status | status::ASSURED) & SETTLED == SETTLED
                        && c.helper.is_none()
                        && c.seqadj().is_none()
                };
                self.ct.get(conn).filter(settled)?.status | status::ASSURED
            }
            // Its tables were not looked at.
            None if TableId::ALL.iter().any(|table| self.table(*table).is_some()) => return None,
            None => 0,
        };
        let conn = note.conn.map(|(conn, info)| (conn, info.dir));
        let way = Way { out, len: was.len, hits: work.hits - note.was.1.hits, counters };
        let Key { ends, dev } = was.key;
        let there = Leg { dev, way: 0 };
        Some((Shortcut { ends, becomes, there, back: None, conn, status }, way))
    }
}

impl Shortcuts {
    /// The shortcut of a packet.
    #[inline]
    fn get(&self, key: Key) -> Option<Known> {
        let (pair, tag) = key.place();
        let known = self.tags.get(pair)?.iter().zip(self.known.get(pair)?);
        known.filter(|(of, _)| **of == tag).find_map(|(_, shortcut)| shortcut.as_ref()?.of(key))
    }

    fn put(&mut self, shortcut: Shortcut) {
        let key = Key { ends: shortcut.ends, dev: shortcut.there.dev };
        let (pair, tag) = key.place();
        let (Some(tags), Some(pair)) = (self.tags.get_mut(pair), self.known.get_mut(pair)) else { return };
        for (of, known) in tags.iter().zip(pair.iter_mut()) {
            if *of == tag
                && let Some(known) = known
            {
                if known.answered(&shortcut) {
                    return;
                }
                if known.ends == key.ends && known.there.dev == key.dev {
                    *known = shortcut;
                    return;
                }
            }
        }
        let ([first, second], [one, other]) = (tags, pair);
        (*second, *other) = (*first, *one);
        (*first, *one) = (tag, Some(shortcut));
    }

    /// The number of a way.
    fn number(&mut self, way: Way) -> Option<u16> {
        let known = self.ways.iter().position(|used| used.way == way);
        let at = known.unwrap_or(self.ways.len());
        match known {
            // Its list is of use again.
            Some(_) => self.counted = way.counters,
            None if at < WAYS => self.ways.push(Used { way, packets: 0, bytes: 0 }),
            None => return None,
        }
        u16::try_from(at).ok()
    }
}

/// Where a packet goes that takes a shortcut.
enum Leads {
    /// To this socket.
    Here(SocketId),
    /// Out of this device, from its address to the neighbour's.
    Out(DevId, Mac, Mac),
}

/// What translation makes of a datagram.
fn rewrite(ip: &mut Ip, Ends { from, to }: Ends) {
    (ip.src, ip.dst) = (IpAddr::V4(from.0), IpAddr::V4(to.0));
    if let L4::Udp(udp) = &mut ip.l4 {
        (udp.sport, udp.dport) = (from.1, to.1);
    }
}
