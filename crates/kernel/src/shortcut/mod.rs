//! What a box does with the packets of a flow, noted once, for the next ones.
//!
//! A load test sends tens of packets through each flow, and nothing but conntrack's entry and counters changes from one to the next.
//! Here the box notes what it did with one: which rules counted it, what the translation made of it, by which device and neighbour
//! it left, or that it was for a socket ([`Noted`]). Whoever has been given that may have the same done to the next one
//! ([`Netns::pass`]). It has to go the whole way if anything is not as it was (state of the entry or of the neighbour, length, TTL),
//! and a way is noted only if nothing was asked on it that another packet might be answered differently. A way on which nobody asked for
//! ports is that of all flows between the same addresses, so that it is gone from the first answer of a flow on
//! ([`Netns::pass_alike`]). A box takes notes when it is told to ([`Netns::take_shortcuts`]); whoever changes its configuration from then on says so.

mod plain;

pub use plain::{Ends, Plain};

use crate::netfilter::conntrack::{
    Conn, ConnInfo, CtState, CtStats, CtWork, Direction, L4Key, Tuple, status,
};
use crate::netfilter::hook::{HookFn, HookPoint, InetHook};
use crate::netfilter::xtables::{Counters, TableId};
use crate::socket::udp_find;
use crate::{ConnId, Cx, DevId, Instant, Netns, Output, PacketId, SocketId};
use packet::{Family, Frame, Mac, Protocol};
use plain::datagram;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// Ways that differ from each other.
const WAYS: usize = 256;
/// Places for what flows between two addresses have in common: a power of two.
const ALIKE: usize = 1024;

/// A way through a box, which many flows go. No number is used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WayId(u16);

/// What a box has noted of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The device by which it came; without, it was sent here.
    pub dev: Option<DevId>,
    /// As it came.
    pub ends: Ends,
    /// What translation made of it.
    pub becomes: Ends,
    /// The device by which it left; without, it was for a socket here.
    pub out: Option<DevId>,
    /// Its way.
    pub way: WayId,
    /// Its entry of conntrack, if the way asks for one.
    pub conn: ConnId,
}

/// Where a packet goes that has passed a box by what was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// To this socket.
    Here(SocketId),
    /// Out, to the neighbour that the frame names now.
    Out,
}

/// Which counter a packet adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    Rule(TableId, u32),
    Policy(TableId, u16),
}

/// How flows go that differ only in their ends and entries.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way {
    /// The device by which they come, and its address.
    dev: Option<(DevId, Mac)>,
    /// The device by which they leave, its address, and the neighbour to whom; without, they are for a socket here.
    out: Option<(DevId, Mac, Ipv4Addr)>,
    /// Bytes of payload of the packet that has gone it: a longer one may not fit.
    len: usize,
    /// Their direction in their entries of conntrack, and the status of those.
    conn: Option<(Direction, u32)>,
    /// Look-ups in conntrack.
    hits: u64,
    counters: Vec<Counter>,
}

/// What flows have in common that go one way, whatever their ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alike {
    /// The device by which they come; without, they are sent here.
    dev: Option<DevId>,
    /// Source and destination, as they come and as translation leaves them.
    was: (Ipv4Addr, Ipv4Addr),
    becomes: (Ipv4Addr, Ipv4Addr),
}

impl Alike {
    fn new(dev: Option<DevId>, was: Ends, becomes: Ends) -> Alike {
        let addrs = |ends: Ends| (ends.from.0, ends.to.0);
        Alike { dev, was: addrs(was), becomes: addrs(becomes) }
    }

    /// Its place.
    fn place(self) -> usize {
        let word = |(a, b): (Ipv4Addr, Ipv4Addr)| u64::from(a.to_bits()) << 32 | u64::from(b.to_bits());
        let dev = self.dev.map_or(0, |dev| u64::from(dev.0) + 1);
        let hash = (word(self.was) ^ word(self.becomes).rotate_left(17) ^ dev << 50)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as usize % ALIKE
    }
}

/// A way, and what has gone it that its counters have not been told of yet: one by one that would be most of a packet's cost.
#[derive(Clone, Debug)]
struct Used {
    way: Way,
    packets: u64,
    bytes: u64,
}

/// The way of the packet that is inside now.
#[derive(Clone, Debug, Default)]
struct Note {
    /// Something was asked or done that is not noted.
    spoilt: bool,
    /// Somebody asked for the packet's ports.
    by_ports: bool,
    conn: Option<(ConnId, ConnInfo)>,
    /// Conntrack's figures before it was asked about the packet.
    was: (CtStats, CtWork),
    neigh: Option<(DevId, Ipv4Addr)>,
}

/// What a box has noted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shortcuts {
    ways: Vec<Used>,
    /// The number of the first of these ways.
    first: u16,
    /// Which of them flows go that are alike.
    alike: Vec<Option<(Alike, WayId)>>,
    note: Option<Note>,
    /// Which counters the packet that is noted has added to so far.
    counted: Vec<Counter>,
    /// What came of the last note, until somebody takes it.
    noted: Option<Noted>,
}

/// A packet that is on its whole way and is noted.
pub(crate) struct Noting {
    dev: Option<DevId>,
    ends: Ends,
    len: usize,
    out: usize,
}

/// What the first packets of a flow add to the status of its entry.
const ANSWERED: u32 = status::SEEN_REPLY | status::ASSURED;
/// Of a flow in this state conntrack expects nothing new.
const SETTLED: u32 = status::CONFIRMED | ANSWERED;

/// No helper reads what this flow says, nor are its sequence numbers changed.
fn is_simple(c: &Conn) -> bool {
    c.helper.is_none() && c.seqadj().is_none()
}

/// A flow that is masqueraded leaves by the device whose address it has.
fn leaves_by_own(c: &Conn, out: Option<DevId>) -> bool {
    c.masq.is_none_or(|own| out.is_none_or(|out| out == own))
}

impl Netns {
    /// From now on the box notes the ways of flows. Whoever changes its configuration (rules, routes, devices, settings) calls
    /// [`Netns::forget_shortcuts`].
    pub fn take_shortcuts(&mut self) {
        self.shortcuts = Some(Box::default());
    }

    /// Its configuration may have changed: no way is gone again that has been noted.
    pub fn forget_shortcuts(&mut self) {
        self.count_shortcuts();
        if let Some(all) = self.shortcuts.as_deref_mut() {
            let used = u16::try_from(all.ways.len()).unwrap_or(u16::MAX);
            let first = all.first.saturating_add(used);
            *all = Shortcuts { first, ..Shortcuts::default() };
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

    /// What the packet inside meets may depend on its ports.
    pub(crate) fn note_ports(&mut self) {
        if let Some(note) = self.note() {
            note.by_ports = true;
        }
    }

    /// The packet inside is to leave by this neighbour.
    pub(crate) fn note_neigh(&mut self, dev: DevId, addr: Ipv4Addr) {
        if let Some(note) = self.note() {
            note.neigh = Some((dev, addr));
        }
    }

    /// A frame comes in where ways are noted.
    pub(crate) fn receive_noted(&mut self, dev: DevId, id: PacketId, frame: Rc<Frame>, cx: &mut Cx<'_>) {
        let own = self.device(dev).is_some_and(|d| d.up && d.mac == frame.dst);
        let plain = frame.ip().filter(|_| own).and_then(datagram);
        self.take_noted();
        let noting = plain.map(|(ends, udp)| self.begin_note((Some(dev), ends), udp.payload.len(), cx));
        self.receive_whole(dev, id, frame, cx);
        if let Some(noting) = noting {
            self.end_note(&noting, cx);
        }
    }

    /// What was noted of the last packet.
    #[inline]
    pub fn take_noted(&mut self) -> Option<Noted> {
        self.shortcuts.as_deref_mut()?.noted.take()
    }

    /// Reads what [`Netns::pass`] will ask of this entry, for whoever reads several such things at once.
    #[inline]
    pub fn read_entry(&self, conn: ConnId) -> u32 {
        self.ct.get(conn).map_or(0, |c| c.status)
    }

    /// Does to a packet with so many bytes of payload what was noted of its flow: it is translated, counted wherever it would be
    /// counted, and addressed to the neighbour. `None`, and nothing is done, if anything is not as it was.
    #[inline]
    pub fn pass(
        &mut self,
        (way, conn): (WayId, ConnId),
        (plain, len): (&mut Plain, usize),
        becomes: Ends,
        now: Instant,
    ) -> Option<Passed> {
        let as_it_was = |c: &Conn, way: &Way| way.conn.is_some_and(|(_, status)| c.status == status);
        self.pass_if(as_it_was, (way, conn), (plain, len), becomes, now)
    }

    /// Does to a packet what was noted of another flow between the same addresses, if that depends on nothing that these two do not
    /// have in common: for the first answer of a flow, and what comes after it. It comes by a device, or is sent here. `None`, and
    /// nothing is done, if no such way is known.
    pub fn pass_alike(
        &mut self,
        dev: Option<DevId>,
        (plain, len): (&mut Plain, usize),
        now: Instant,
    ) -> Option<(Noted, Passed)> {
        let hook = if dev.is_some() { InetHook::PreRouting } else { InetHook::LocalOut };
        let point = HookPoint { family: Family::V4, hook };
        let tracks = (0..).map_while(|n| self.hooks.get(point, n)).any(|f| matches!(f, HookFn::ConntrackIn));
        let ends = plain.ends;
        let (conn, dir, becomes) = match tracks {
            true => self.entry_of(ends, now)?,
            false => (ConnId::default(), Direction::Original, ends),
        };
        let alike = Alike::new(dev, ends, becomes);
        let all = self.shortcuts.as_deref()?;
        let (_, way) = (*all.alike.get(alike.place())?).filter(|(of, _)| *of == alike)?;
        let noted = &all.ways.get(usize::from(way.0.checked_sub(all.first)?))?.way;
        let out = noted.out.map(|(dev, ..)| dev);
        let to_tunnel = cfg!(feature = "tunnels") && out.is_none() && self.vxlan_listens(becomes.to.1);
        if noted.conn.is_some() != tracks || to_tunnel || !(plain.df || dev.is_some()) {
            return None;
        }
        let as_it_was = |c: &Conn, way: &Way| {
            let answered = dir == Direction::Reply || c.status & status::SEEN_REPLY != 0;
            answered
                && way.conn == Some((dir, c.status | ANSWERED))
                && is_simple(c)
                && leaves_by_own(c, way.out.map(|(dev, ..)| dev))
        };
        let passed = self.pass_if(as_it_was, (way, conn), (plain, len), becomes, now)?;
        Some((Noted { dev, ends, becomes, out, way, conn }, passed))
    }

    /// The entry of a datagram with these ends, its direction, and what translation makes of the ends.
    fn entry_of(&self, Ends { from, to }: Ends, now: Instant) -> Option<(ConnId, Direction, Ends)> {
        let key = L4Key::Ports { sport: from.1, dport: to.1 };
        let tuple = Tuple::new(IpAddr::V4(from.0), IpAddr::V4(to.0), Protocol::UDP, key);
        let (c, dir) = self.ct.peek(&tuple, now)?;
        let answer = c.tuple(dir.flip());
        let (IpAddr::V4(from), IpAddr::V4(to)) = (answer.dst(), answer.src()) else { return None };
        let L4Key::Ports { sport, dport } = answer.key() else { return None };
        Some((c.id, dir, Ends { from: (from, dport), to: (to, sport) }))
    }

    #[inline(always)]
    fn pass_if(
        &mut self,
        as_it_was: impl Fn(&Conn, &Way) -> bool,
        (way, conn): (WayId, ConnId),
        (plain, len): (&mut Plain, usize),
        becomes: Ends,
        now: Instant,
    ) -> Option<Passed> {
        let stream_after = self.era.udp_stream_after();
        let all = self.shortcuts.as_deref_mut()?;
        let used = all.ways.get_mut(usize::from(way.0.checked_sub(all.first)?))?;
        let way = &used.way;
        if len > way.len || way.dev.is_some_and(|(_, mac)| mac != plain.dst) {
            return None;
        }
        let leaves = match way.out {
            // Which socket takes it is asked each time.
            None => Err(udp_find(&self.sockets, becomes.to, becomes.from)?),
            Some((dev, own, addr)) if plain.ttl > 1 || way.dev.is_none() => {
                Ok((own, self.neigh.cached(dev, addr)?))
            }
            Some(_) => return None,
        };
        let bytes = len + 28;
        if let Some((dir, _)) = way.conn {
            let as_it_was = |c: &Conn| as_it_was(c, way) && c.expires > now && !c.has_news();
            self.ct.one_more((conn, dir), as_it_was, (bytes, way.hits), stream_after, now)?;
        }
        plain.ends = becomes;
        let passed = match leaves {
            Err(socket) => Passed::Here(socket),
            Ok(macs) => {
                (plain.src, plain.dst) = macs;
                plain.ttl -= u8::from(way.dev.is_some());
                Passed::Out
            }
        };
        used.packets += 1;
        used.bytes += bytes as u64;
        Some(passed)
    }

    /// A packet with so many bytes of payload sets out on its whole way: it comes by a device, or is sent here.
    pub(crate) fn begin_note(
        &mut self,
        (dev, ends): (Option<DevId>, Ends),
        len: usize,
        cx: &Cx<'_>,
    ) -> Noting {
        let was = (self.ct.stats, self.ct.work());
        if let Some(all) = self.shortcuts.as_deref_mut() {
            all.note = Some(Note { was, ..Note::default() });
            all.counted.clear();
        }
        Noting { dev, ends, len, out: cx.out.len() }
    }

    /// Notes the way that a packet has gone, if the next one will go the same.
    pub(crate) fn end_note(&mut self, was: &Noting, cx: &Cx<'_>) {
        let Some(mut all) = self.shortcuts.take() else { return };
        all.noted = None;
        if let Some(note) = all.note.take().filter(|note| !note.spoilt)
            && let Some((becomes, conn, way)) = self.noted(was, &note, std::mem::take(&mut all.counted), cx)
        {
            let out = way.out.map(|(dev, ..)| dev);
            let Noting { dev, ends, .. } = *was;
            all.noted = all.number(way).map(|way| Noted { dev, ends, becomes, out, way, conn });
            if let Some(noted) = all.noted.filter(|_| !note.by_ports) {
                all.serve_alike(&noted);
            }
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
    ) -> Option<(Ends, ConnId, Way)> {
        let (stats, work) = (note.was.0, self.ct.work());
        let asked =
            (work.misses, work.made) == (note.was.1.misses, note.was.1.made) && self.ct.stats == stats;
        let port = |dev: DevId| self.device(dev).is_none_or(|d| d.master.is_some());
        if !asked || self.fib.rules.is_custom() || !self.pmtu.is_empty() || was.dev.is_some_and(port) {
            return None;
        }
        let (becomes, out) = match cx.out.get(was.out..) {
            Some([Output::Wake(_)]) if was.dev.is_some() => (was.ends, None),
            Some([Output::Transmit { dev, frame, .. }]) => {
                let ip = frame.ip().filter(|ip| ip.frag.df || was.dev.is_some())?;
                let ((ends, _), neigh) = (datagram(ip)?, note.neigh?);
                // Who comes in where it leaves is told of a better way, which is another packet each time.
                if neigh.0 != *dev || was.dev == Some(*dev) || port(*dev) {
                    return None;
                }
                (ends, Some((neigh.0, frame.src, neigh.1)))
            }
            _ => return None,
        };
        let conn = match note.conn {
            Some((conn, info)) => {
                let settled = |c: &&Conn| (c.status | status::ASSURED) & SETTLED == SETTLED && is_simple(c);
                Some((info.dir, self.ct.get(conn).filter(settled)?.status | status::ASSURED))
            }
            // Its tables were not looked at.
            None if TableId::ALL.iter().any(|table| self.table(*table).is_some()) => return None,
            None => None,
        };
        let hits = work.hits - note.was.1.hits;
        let dev = was.dev.and_then(|dev| Some((dev, self.device(dev)?.mac)));
        let way = Way { dev, out, len: was.len, conn, hits, counters };
        Some((becomes, note.conn.map(|(conn, _)| conn).unwrap_or_default(), way))
    }
}

impl Shortcuts {
    /// All flows that are like this one go its way.
    fn serve_alike(&mut self, noted: &Noted) {
        let alike = Alike::new(noted.dev, noted.ends, noted.becomes);
        if self.alike.is_empty() {
            self.alike = vec![None; ALIKE];
        }
        if let Some(place) = self.alike.get_mut(alike.place()) {
            *place = Some((alike, noted.way));
        }
    }

    /// The number of a way.
    fn number(&mut self, way: Way) -> Option<WayId> {
        let known = self.ways.iter().position(|used| used.way == way);
        let at = known.unwrap_or(self.ways.len());
        match known {
            // Its list is of use again.
            Some(_) => self.counted = way.counters,
            None if at < WAYS => self.ways.push(Used { way, packets: 0, bytes: 0 }),
            None => return None,
        }
        u16::try_from(at).ok()?.checked_add(self.first).map(WayId)
    }
}
