//! The way of a flow, gone once and noted, for its next packets.
//!
//! A load test sends tens of packets through each flow, and nothing but conntrack's entry and counters changes from one to the next.
//! Here the box notes what it did with one: which rules counted it, what the translation made of it, by which device and neighbour
//! it left, or that it was for a socket. The next one of the flow has the same done to it without asking again. It goes the whole way
//! if anything is not as it was (state of the entry or of the neighbour, length, TTL), and a way is noted only if nothing was asked
//! on it that another packet might be answered differently. A box takes shortcuts when it is told to ([`Netns::take_shortcuts`]);
//! its configuration must not change from then on.

use crate::netfilter::conntrack::{ConnInfo, CtState, CtStats, CtWork, Direction, status};
use crate::netfilter::xtables::TableId;
use crate::socket::Endpoint;
use crate::{ConnId, Cx, DevId, Instant, Netns, Output, PacketId};
use packet::{Bytes, Frame, Ip, L4, Mac, Payload, Udp};
use std::hint::black_box;
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

/// A flow as it comes: by a device, or from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    ends: Ends,
    dev: Option<DevId>,
}

impl Key {
    /// Its pair of places, and by what it is told from most others there (never 0, which is nobody's).
    fn place(self) -> (usize, u16) {
        let Ends { from, to } = self.ends;
        let addrs = u64::from(from.0.to_bits()) << 32 | u64::from(to.0.to_bits());
        let dev = self.dev.map_or(u64::MAX, |dev| u64::from(dev.0));
        let ports = u64::from(from.1) << 16 | u64::from(to.1) | dev << 32;
        let hash = (addrs.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ports).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((hash >> 40) as usize % PAIRS, (hash >> 24) as u16 | 1)
    }
}

/// Which counter a packet adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    Rule(TableId, u32),
    Policy(TableId, u32),
}

/// How flows go that differ only in their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way {
    counters: Vec<Counter>,
    /// Look-ups in conntrack.
    hits: u64,
    /// The device by which they leave and the neighbour to whom; without, they are for a socket here.
    out: Option<(DevId, Ipv4Addr)>,
    /// The length that has gone it, in bytes: a longer packet may not fit.
    len: usize,
}

/// A flow and its way, in a line of a processor's cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Shortcut {
    key: Key,
    /// What the packet leaves as.
    becomes: Ends,
    conn: Option<(ConnId, Direction)>,
    /// The status of the entry.
    status: u32,
    way: u16,
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
    ways: Vec<Way>,
    note: Option<Note>,
    /// The counters of all rules and policies before the packet came to them.
    before: Vec<u64>,
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

/// The tables, of which conntrack's hook comes behind the first.
const BEFORE_CONNTRACK: &[TableId] = &[TableId::Raw];
const AFTER_CONNTRACK: &[TableId] = &[TableId::Mangle, TableId::Nat, TableId::Filter, TableId::Security];

/// Of these conntrack expects nothing new.
const SETTLED: u32 = status::CONFIRMED | status::SEEN_REPLY | status::ASSURED;

impl Netns {
    /// From now on the box notes the ways of flows, and takes them again, while nobody keeps the log. Its configuration must not change
    /// any more: rules, routes, devices, settings.
    pub fn take_shortcuts(&mut self) {
        let (known, tags) = (vec![[None; 2]; PAIRS], vec![[0; 2]; PAIRS]);
        self.shortcuts =
            Some(Box::new(Shortcuts { known, tags, ways: Vec::new(), note: None, before: Vec::new() }));
    }

    /// From now on each packet goes the whole way.
    pub fn go_whole_ways(&mut self) {
        self.shortcuts = None;
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
        let Some(mut all) = self.shortcuts.take() else { return };
        if let Some(note) = all.note.as_mut().filter(|note| !note.spoilt) {
            let settled = self.ct.get(conn).is_some_and(|c| {
                c.status & SETTLED == SETTLED && c.helper.is_none() && c.seqadj.is_none() && !c.has_news()
            });
            note.spoilt = !settled || note.conn.is_some() || info.state != CtState::Established;
            if !note.spoilt {
                note.conn = Some((conn, info));
                each_counter(self, AFTER_CONNTRACK, |_, n| all.before.push(n));
            }
        }
        self.shortcuts = Some(all);
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
        if let Some(found) = self.shortcut(key, len, cx.now)
            && (ttl > 1 || found.out.is_none())
        {
            let frame = match found.out {
                // Which socket takes it is asked each time.
                None => match self.udp_take((found.becomes.from, found.becomes.to), &udp.payload, id, cx) {
                    true => None,
                    false => return self.receive_whole(dev, id, frame, cx),
                },
                Some(out) => Some((out, frame)),
            };
            self.go(&found, len, cx.now);
            if let Some(((dev, own, mac), mut frame)) = frame {
                let changed = Rc::make_mut(&mut frame);
                (changed.src, changed.dst) = (own, mac);
                if let Payload::Ip(ip) = &mut changed.payload {
                    ip.ttl -= 1;
                    rewrite(ip, found.becomes);
                }
                cx.out.push(Output::Transmit { dev, id, frame });
            }
            return;
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
        let Some(found) = self.shortcut(key, len, cx.now) else {
            return Err(Some(self.begin_note(key, len, cx)));
        };
        let Some((dev, src, dst)) = found.out else { return Err(None) };
        self.go(&found, len, cx.now);
        let Ends { from, to } = found.becomes;
        let udp = Udp { sport: from.1, dport: to.1, checksum_ok: true, payload: payload.clone() };
        let mut ip = Ip::new(IpAddr::V4(from.0), IpAddr::V4(to.0), L4::Udp(udp));
        ip.ttl = ttl;
        ip.frag.df = true;
        ip.id = ip_id(cx);
        let frame = Rc::new(Frame { src, dst, payload: Payload::Ip(ip) });
        cx.out.push(Output::Transmit { dev, id: packet, frame });
        Ok(())
    }

    /// The shortcut of a flow, if everything is as it was.
    fn shortcut(&self, key: Key, len: usize, now: Instant) -> Option<Found> {
        let all = self.shortcuts.as_deref()?;
        let known = all.get(key)?;
        let way = all.ways.get(usize::from(known.way)).filter(|way| len <= way.len)?;
        if let Some((conn, _)) = known.conn {
            let settled = |c: &crate::netfilter::conntrack::Conn| {
                c.status == known.status && c.expires > now && !c.has_news()
            };
            self.ct.get(conn).filter(|c| settled(c))?;
        }
        let out = match way.out {
            None => None,
            Some((dev, addr)) => {
                Some((dev, self.device(dev).filter(|d| d.up)?.mac, self.neigh.cached(dev, addr)?))
            }
        };
        Some(Found { becomes: known.becomes, conn: known.conn, way: known.way, out })
    }

    /// Counts a packet wherever it would be counted.
    fn go(&mut self, found: &Found, len: usize, now: Instant) {
        let stream_after = self.era().udp_stream_after();
        let hits = {
            let Some(all) = self.shortcuts.take() else { return };
            let way = all.ways.get(usize::from(found.way));
            for counter in way.map_or(&[][..], |way| &way.counters) {
                self.count(*counter, len);
            }
            let hits = way.map_or(0, |way| way.hits);
            self.shortcuts = Some(all);
            hits
        };
        if let Some((conn, dir)) = found.conn {
            self.ct.one_more(conn, dir, len, hits, stream_after, now);
        }
    }

    fn count(&mut self, counter: Counter, len: usize) {
        let counters = match counter {
            Counter::Rule(table, at) => self
                .table_mut(table)
                .and_then(|t| t.state.all_mut().get_mut(at as usize))
                .map(|state| &mut state.counters),
            Counter::Policy(table, at) => self.table_mut(table).and_then(|t| t.policy.get_mut(at as usize)),
        };
        if let Some(counters) = counters {
            counters.add(len);
        }
    }

    fn begin_note(&mut self, key: Key, len: usize, cx: &Cx<'_>) -> Noting {
        if let Some(mut all) = self.shortcuts.take() {
            all.note = Some(Note { was: (self.ct.stats, self.ct.work()), ..Note::default() });
            all.before.clear();
            each_counter(self, BEFORE_CONNTRACK, |_, n| all.before.push(n));
            self.shortcuts = Some(all);
        }
        Noting { key, len, out: cx.out.len() }
    }

    /// Notes the way that a packet has gone, if the next one will go the same.
    pub(crate) fn end_note(&mut self, was: &Noting, cx: &Cx<'_>) {
        let Some(mut all) = self.shortcuts.take() else { return };
        if let Some(note) = all.note.take().filter(|note| !note.spoilt)
            && let Some((shortcut, way)) = self.noted(&all.before, was, &note, cx)
            && let Some(at) = all.number(way)
        {
            all.put(Shortcut { way: at, ..shortcut });
        }
        self.shortcuts = Some(all);
    }

    /// The way that a packet has gone, if the next one will go the same.
    fn noted(&mut self, before: &[u64], was: &Noting, note: &Note, cx: &Cx<'_>) -> Option<(Shortcut, Way)> {
        let (stats, work) = (note.was.0, self.ct.work());
        let asked =
            (work.misses, work.made) == (note.was.1.misses, note.was.1.made) && self.ct.stats == stats;
        let port = |dev: DevId| self.device(dev).is_none_or(|d| d.master.is_some());
        if !asked || self.fib.rules.is_custom() || !self.pmtu.is_empty() || was.key.dev.is_some_and(port) {
            return None;
        }
        let (becomes, out) = match cx.out.get(was.out..) {
            Some([Output::Wake(_)]) => (was.key.ends, None),
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
            Some((conn, _)) => self.ct.get(conn)?.status,
            // Its tables were not looked at.
            None if TableId::ALL.iter().any(|table| self.table(*table).is_some()) => return None,
            None => 0,
        };
        let (mut counters, mut old) = (Vec::new(), before.iter());
        if note.conn.is_some() {
            each_counter(self, &TableId::ALL, |counter, n| {
                let times = n - old.next().copied().unwrap_or(n);
                counters.extend((0..times).map(|_| counter));
            });
        }
        let conn = note.conn.map(|(conn, info)| (conn, info.dir));
        let way = Way { counters, hits: work.hits - note.was.1.hits, out, len: was.len };
        Some((Shortcut { key: was.key, becomes, conn, status, way: 0 }, way))
    }

    /// What flows become in this box, for somebody who only looks: many at once, which a processor reads side by side.
    pub fn peek_shortcuts<const N: usize>(&self, flows: &[Option<Flow>; N]) -> [Option<Peeked>; N] {
        let Some(all) = self.shortcuts.as_deref() else { return [None; N] };
        let keys = flows.map(|flow| flow.map(|((from, to), dev)| Key { ends: Ends { from, to }, dev }));
        // Nothing is decided by what is read here, so that no reading waits for another.
        let status = |s: &Option<Shortcut>| s.as_ref().map_or(0, |s| s.status);
        let pairs = keys.iter().filter_map(|key| all.known.get((*key)?.place().0));
        black_box(pairs.fold(0, |sum, [a, b]| sum ^ status(a) ^ status(b)));
        let found = keys.map(|key| all.get(key?));
        let conns = found.iter().filter_map(|s| self.ct.get((*s)?.conn?.0));
        black_box(conns.fold(0, |sum, c| sum ^ c.expires.0));
        found.map(|shortcut| {
            let Ends { from, to } = shortcut?.becomes;
            let out = all.ways.get(usize::from(shortcut?.way))?.out;
            Some(Peeked { ends: (from, to), out: out.map(|(dev, _)| dev) })
        })
    }
}

/// A flow: its ends, and the device by which it comes; without, a socket sends it.
pub type Flow = ((Endpoint, Endpoint), Option<DevId>);

/// A flow beyond a box.
#[derive(Clone, Copy, Debug)]
pub struct Peeked {
    /// Both ends as they are there.
    pub ends: (Endpoint, Endpoint),
    /// The device by which it leaves; without, it is for a socket.
    pub out: Option<DevId>,
}

impl Shortcuts {
    #[inline]
    fn get(&self, key: Key) -> Option<&Shortcut> {
        let (pair, tag) = key.place();
        let [first, second] = *self.tags.get(pair)?;
        let [one, other] = self.known.get(pair)?;
        let one = one.as_ref().filter(|s| first == tag && s.key == key);
        one.or_else(|| other.as_ref().filter(|s| second == tag && s.key == key))
    }

    fn put(&mut self, shortcut: Shortcut) {
        let (pair, tag) = shortcut.key.place();
        let (Some(tags), Some(pair)) = (self.tags.get_mut(pair), self.known.get_mut(pair)) else { return };
        let ([first, second], [one, other]) = (tags, pair);
        if *first != tag || one.as_ref().is_none_or(|known| known.key != shortcut.key) {
            (*second, *other) = (*first, *one);
        }
        (*first, *one) = (tag, Some(shortcut));
    }

    /// The number of a way.
    fn number(&mut self, way: Way) -> Option<u16> {
        let known = self.ways.iter().position(|other| *other == way);
        if known.is_none() && self.ways.len() < WAYS {
            self.ways.push(way);
        }
        u16::try_from(known.unwrap_or(self.ways.len() - 1)).ok()
    }
}

/// What each counter of packets stands at.
fn each_counter(ns: &mut Netns, tables: &[TableId], mut f: impl FnMut(Counter, u64)) {
    for &table in tables {
        let Some(t) = ns.table_mut(table) else { continue };
        for (at, state) in t.state.all_mut().iter().enumerate() {
            f(Counter::Rule(table, at as u32), state.counters.packets);
        }
        for (at, counters) in t.policy.iter().enumerate() {
            f(Counter::Policy(table, at as u32), counters.packets);
        }
    }
}

/// A shortcut that can be taken now.
struct Found {
    becomes: Ends,
    conn: Option<(ConnId, Direction)>,
    way: u16,
    /// Device, its address, the neighbour's.
    out: Option<(DevId, Mac, Mac)>,
}

/// What translation makes of a datagram.
fn rewrite(ip: &mut Ip, Ends { from, to }: Ends) {
    (ip.src, ip.dst) = (IpAddr::V4(from.0), IpAddr::V4(to.0));
    if let L4::Udp(udp) = &mut ip.l4 {
        (udp.sport, udp.dport) = (from.1, to.1);
    }
}
