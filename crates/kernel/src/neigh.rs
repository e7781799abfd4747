//! Neighbours and ARP (net/core/neighbour.c, net/ipv4/arp.c).

use crate::dev::{DevKind, dev_queue_xmit};
use crate::event::{NeighStep, Origin, What};
use crate::route::{Flow, Scope, Verdict};
use crate::{
    Cx, Delivery, DevId, DropReason, Instant, Journey, Netns, Output, PacketId, PktType, Rest, Skb, Timer,
};
use litemap::LiteMap;
use packet::{Arp, ArpOp, Frame, Mac, Payload};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

/// State of an entry (`NUD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nud {
    /// ARP is asking.
    Incomplete,
    /// Answered.
    Reachable,
    /// Known, but not confirmed.
    Stale,
    /// Not confirmed, and in use: somebody may still confirm it.
    Delay,
    /// Not confirmed, and in use: ARP asks the address that is known.
    Probe,
    /// Nobody answered.
    Failed,
    /// Set by hand.
    Permanent,
    /// Set by hand, for a network without ARP.
    Noarp,
}

impl Nud {
    /// The word that `ip neigh` prints.
    pub fn name(self) -> &'static str {
        match self {
            Nud::Incomplete => "INCOMPLETE",
            Nud::Reachable => "REACHABLE",
            Nud::Stale => "STALE",
            Nud::Delay => "DELAY",
            Nud::Probe => "PROBE",
            Nud::Failed => "FAILED",
            Nud::Permanent => "PERMANENT",
            Nud::Noarp => "NOARP",
        }
    }

    /// `NUD_CONNECTED`: confirmed, so that the cached header may be used without asking.
    fn is_connected(self) -> bool {
        self == Nud::Reachable || self.is_by_hand()
    }

    fn is_valid(self) -> bool {
        matches!(self, Nud::Stale | Nud::Delay | Nud::Probe) || self.is_connected()
    }

    /// Nothing that is heard changes it.
    fn is_by_hand(self) -> bool {
        matches!(self, Nud::Permanent | Nud::Noarp)
    }
}

/// An entry of the neighbour table.
#[derive(Clone, Debug)]
pub struct Neigh {
    /// State.
    pub state: Nud,
    /// The address, if the state is valid.
    pub mac: Mac,
    /// The link-layer header is cached: a packet has been sent by this entry (`hh`).
    pub header_cached: bool,
    /// Since when the state holds.
    pub updated: Instant,
    /// When it was last heard of, by ARP or by who got answers.
    confirmed: Instant,
    /// When it was last wanted without being confirmed.
    used: Instant,
    probes: u32,
    /// When the timer of the state ends.
    due: Instant,
    queue: Vec<Skb>,
}

impl Neigh {
    fn new(state: Nud, mac: Mac, now: Instant) -> Neigh {
        Neigh {
            state,
            mac,
            header_cached: false,
            updated: now,
            confirmed: now,
            used: now,
            probes: 0,
            due: now,
            queue: Vec::new(),
        }
    }
}

/// The neighbour table of a namespace.
#[derive(Clone, Debug, Default)]
pub struct NeighTable {
    entries: LiteMap<(DevId, Ipv4Addr), Neigh>,
}

impl Netns {
    /// What an operator's changes lead to: timers of entries that have none yet (`neigh_add_timer`), and packets that wait no
    /// longer (`neigh_update`).
    pub fn neigh_settle(&mut self, cx: &mut Cx<'_>) {
        let waits = |n: &Neigh| n.state.is_valid() && !n.queue.is_empty();
        let known: Vec<(DevId, Ipv4Addr)> =
            self.neigh.entries.iter().filter(|(_, n)| waits(n)).map(|(key, _)| *key).collect();
        for (dev, addr) in known {
            self.neigh_send(dev, addr, cx);
        }
        let fresh = |n: &Neigh| n.state == Nud::Reachable && n.updated == cx.now && n.due == cx.now;
        let made: Vec<(DevId, Ipv4Addr)> =
            self.neigh.entries.iter().filter(|(_, n)| fresh(n)).map(|(key, _)| *key).collect();
        for (dev, addr) in made {
            let due = cx.set_timer(reachable_time(self, dev), Timer::Neigh(dev, addr.to_bits()));
            if let Some(n) = self.neigh.entries.get_mut(&(dev, addr)) {
                n.due = due;
            }
        }
    }
}

impl Netns {
    /// Sends the first packet that waits for a neighbour; the next one follows when the network has done with it, as its softirqs
    /// run before the command goes on.
    pub(crate) fn neigh_send(&mut self, dev: DevId, addr: Ipv4Addr, cx: &mut Cx<'_>) {
        let known = self.neigh.entries.get_mut(&(dev, addr)).filter(|n| n.state.is_valid());
        let Some(queue) = known.map(|n| &mut n.queue).filter(|q| !q.is_empty()) else { return };
        let skb = queue.remove(0);
        if !queue.is_empty() {
            cx.out.push(Output::Resume(Rest::Neigh(dev, addr.to_bits())));
        }
        let _ = neigh_output(self, skb, dev, addr, cx);
    }
}

/// A destination MAC for br_netfilter.
pub(crate) enum NeighMac {
    /// The header is cached.
    Cached(Mac),
    /// It is not: take the way through neighbour output.
    No,
}

/// Pause between two ARP requests (`retrans_time_ms`).
const RETRANS_TIME: Duration = Duration::from_secs(1);
/// Broadcast requests before giving up (`mcast_solicit`).
const MCAST_SOLICIT: u32 = 3;
/// Requests to the address that is known (`ucast_solicit`).
const UCAST_SOLICIT: u32 = 3;
/// Packets that may wait for one neighbour; `unres_qlen_bytes` allows about that many.
const QUEUE_MAX: usize = 101;

impl NeighTable {
    /// The address of a neighbour to whom a packet goes without more ado: it is known, in no doubt yet, and its header is made.
    pub(crate) fn cached(&self, dev: DevId, addr: Ipv4Addr) -> Option<Mac> {
        let n = self.entries.get(&(dev, addr))?;
        (n.state.is_valid() && n.state != Nud::Stale && n.header_cached).then_some(n.mac)
    }

    /// All entries by device and address.
    pub fn entries(&self) -> impl Iterator<Item = (DevId, Ipv4Addr, &Neigh)> + '_ {
        self.entries.iter().map(|((dev, addr), n)| (*dev, *addr, n))
    }

    /// `ip neigh replace`
    pub fn set(&mut self, dev: DevId, addr: Ipv4Addr, mac: Mac, state: Nud, now: Instant) {
        let old = self.entries.remove(&(dev, addr));
        let queue = old.map_or(Vec::new(), |n| n.queue);
        self.entries.insert((dev, addr), Neigh { queue, ..Neigh::new(state, mac, now) });
    }

    /// `ip neigh del`; false if there is no such entry.
    pub fn remove(&mut self, dev: DevId, addr: Ipv4Addr) -> bool {
        self.entries.remove(&(dev, addr)).is_some()
    }

    /// `ip neigh flush dev D` (all devices without one): entries set by hand stay.
    pub fn flush(&mut self, dev: Option<DevId>) {
        self.entries.retain(|(d, _), n| n.state.is_by_hand() || dev.is_some_and(|dev| dev != *d));
    }

    /// There is an entry, in whatever state.
    pub(crate) fn contains(&self, dev: DevId, addr: Ipv4Addr) -> bool {
        self.entries.contains_key(&(dev, addr))
    }

    /// Entries of a device that goes.
    pub(crate) fn forget(&mut self, dev: DevId) {
        self.entries.retain(|(d, _), _| *d != dev);
    }

    /// `neigh_carrier_down`: of a device that has lost its carrier those stay that were entered for ever.
    pub(crate) fn carrier_down(&mut self, dev: DevId) {
        self.entries.retain(|(d, _), n| *d != dev || n.state == Nud::Permanent);
    }

    /// True if this packet still waits for ARP.
    pub(crate) fn is_waiting(&self, packet: PacketId) -> bool {
        self.entries.values().any(|n| n.queue.iter().any(|skb| skb.id == packet))
    }

    pub(crate) fn cached_header(&self, dev: DevId, addr: Ipv4Addr) -> NeighMac {
        match self.entries.get(&(dev, addr)) {
            Some(n) if n.header_cached && n.state.is_connected() => NeighMac::Cached(n.mac),
            _ => NeighMac::No,
        }
    }

    pub(crate) fn is_valid(&self, dev: DevId, addr: Ipv4Addr) -> bool {
        self.entries.get(&(dev, addr)).is_some_and(|n| n.state.is_valid())
    }
}

/// `neigh_resolve_output`: fills the link-layer header in and transmits, or waits for ARP.
pub(crate) fn neigh_output(
    ns: &mut Netns,
    mut skb: Skb,
    dev: DevId,
    addr: Ipv4Addr,
    cx: &mut Cx<'_>,
) -> Journey {
    let own = ns.device(dev).map_or(Mac::ZERO, |d| d.mac);
    if ns.device(dev).is_some_and(|d| matches!(d.kind, DevKind::Dummy)) {
        // NOARP: nobody is asked, the device's own address stands for all.
        let frame = skb.frame_mut();
        (frame.src, frame.dst) = (own, own);
        return dev_queue_xmit(ns, skb, dev, cx);
    }
    if ns.device(dev).is_some_and(|d| matches!(d.kind, DevKind::Ipip(_))) {
        // neigh_direct_output: there is no link-layer header.
        let frame = skb.frame_mut();
        (frame.src, frame.dst) = (Mac::ZERO, Mac::ZERO);
        return dev_queue_xmit(ns, skb, dev, cx);
    }
    let first_probe = delay_first_probe_time(ns, dev);
    ns.note_neigh(dev, addr);
    if let Some(n) = ns.neigh.entries.get_mut(&(dev, addr))
        && n.state.is_valid()
    {
        if std::mem::take(&mut skb.confirms_neigh) {
            // sock_confirm_neigh
            n.confirmed = cx.now;
        }
        if n.state == Nud::Stale {
            // __neigh_event_send
            (n.state, n.updated, n.used) = (Nud::Delay, cx.now, cx.now);
            n.due = cx.set_timer(first_probe, Timer::Neigh(dev, addr.to_bits()));
        }
        let mac = n.mac;
        if !n.header_cached {
            n.header_cached = true;
            cx.emit(skb.id, || What::Neigh { dev, addr, step: NeighStep::Resolved(mac) });
        }
        let frame = skb.frame_mut();
        frame.src = own;
        frame.dst = mac;
        return dev_queue_xmit(ns, skb, dev, cx);
    }
    cx.emit(skb.id, || What::Neigh { dev, addr, step: NeighStep::Waiting });
    let now = cx.now;
    let new = || Neigh::new(Nud::Failed, Mac::ZERO, now);
    let n = ns.neigh.entries.entry((dev, addr)).or_insert_with(new);
    if n.queue.len() >= QUEUE_MAX {
        return Err(cx.drop(&skb, DropReason::NeighQueueFull));
    }
    let asking = n.state == Nud::Incomplete;
    n.queue.push(skb);
    if !asking {
        (n.state, n.updated, n.used) = (Nud::Incomplete, now, now);
        n.probes = 0;
        solicit(ns, dev, addr, cx);
    }
    Ok(Delivery::Queued)
}

/// Starts to ask for a neighbour without a packet (`neigh_event_send` with no skb).
pub(crate) fn neigh_probe(ns: &mut Netns, dev: DevId, addr: Ipv4Addr, cx: &mut Cx<'_>) {
    let now = cx.now;
    let n = Neigh::new(Nud::Incomplete, Mac::ZERO, now);
    if ns.neigh.entries.contains_key(&(dev, addr)) {
        return;
    }
    ns.neigh.entries.insert((dev, addr), n);
    solicit(ns, dev, addr, cx);
}

/// `delay_first_probe_time`: so long an entry in use waits for somebody to confirm it.
fn delay_first_probe_time(ns: &Netns, dev: DevId) -> Duration {
    let seconds = ns.device(dev).map_or(5, |d| d.conf.delay_first_probe_time);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// `neigh_rand_reach_time`: Linux draws between half of it and one and a half; here it is the mean.
fn reachable_time(ns: &Netns, dev: DevId) -> Duration {
    let ms = ns.device(dev).map_or(30_000, |d| d.conf.base_reachable_time_ms);
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// `arp_solicit`: asks all, or in PROBE the address that is known, and sets the timer.
fn solicit(ns: &mut Netns, dev: DevId, addr: Ipv4Addr, cx: &mut Cx<'_>) {
    let Some(n) = ns.neigh.entries.get_mut(&(dev, addr)) else { return };
    n.probes += 1;
    n.due = cx.set_timer(RETRANS_TIME, Timer::Neigh(dev, addr.to_bits()));
    let to = if n.state == Nud::Probe { n.mac } else { Mac::BROADCAST };
    let (cause, src) = match n.queue.last() {
        Some(skb) => (Some(skb.id), skb.ip().and_then(|ip| ip.src_v4())),
        None => (None, None),
    };
    // The packet's own source if it is ours, else an address that suits the target.
    let announce = ns.conf_max(dev, |c| c.arp_announce);
    let spa = src
        .filter(|s| match announce {
            0 => ns.is_local_addr(*s),
            1 => ns.is_local_addr(*s) && ns.inet_addr_onlink(dev, addr, Some(*s)),
            _ => false,
        })
        .or_else(|| ns.inet_select_addr(dev, addr, Scope::Link))
        .unwrap_or(Ipv4Addr::UNSPECIFIED);
    let sha = ns.device(dev).map_or(Mac::ZERO, |d| d.mac);
    let arp = Arp { op: ArpOp::Request, sha, spa, tha: Mac::ZERO, tpa: addr };
    let _ = send_arp(ns, dev, arp, to, cause, cx);
}

fn send_arp(
    ns: &mut Netns,
    dev: DevId,
    arp: Arp,
    to: Mac,
    cause: Option<crate::PacketId>,
    cx: &mut Cx<'_>,
) -> Journey {
    let frame = Rc::new(Frame { src: arp.sha, dst: to, payload: Payload::Arp(arp) });
    let id = cx.ids.packet();
    cx.emit(id, || What::Created { origin: Origin::Arp, parent: cause, frame: Rc::clone(&frame) });
    dev_queue_xmit(ns, Skb::from_frame(id, frame), dev, cx)
}

/// `neigh_timer_handler`: what is confirmed grows stale, what is in use is asked for; ask again, or give up.
pub(crate) fn neigh_timer(ns: &mut Netns, dev: DevId, addr: Ipv4Addr, cx: &mut Cx<'_>) {
    let (reachable, first_probe) = (reachable_time(ns, dev), delay_first_probe_time(ns, dev));
    let Some(n) = ns.neigh.entries.get_mut(&(dev, addr)).filter(|n| cx.now >= n.due) else { return };
    let timer = Timer::Neigh(dev, addr.to_bits());
    match n.state {
        Nud::Reachable if cx.now <= n.confirmed + reachable => {
            n.due = cx.set_timer((n.confirmed + reachable).since(cx.now), timer);
            return;
        }
        Nud::Reachable if cx.now <= n.used + first_probe => {
            (n.state, n.updated) = (Nud::Delay, cx.now);
            n.due = cx.set_timer(first_probe, timer);
            return;
        }
        Nud::Reachable => {
            (n.state, n.updated) = (Nud::Stale, cx.now);
            return;
        }
        Nud::Delay if cx.now <= n.confirmed + first_probe => {
            (n.state, n.updated) = (Nud::Reachable, cx.now);
            n.due = cx.set_timer((n.confirmed + reachable).since(cx.now), timer);
            return;
        }
        Nud::Delay => {
            (n.state, n.updated, n.probes) = (Nud::Probe, cx.now, 0);
            return solicit(ns, dev, addr, cx);
        }
        Nud::Probe if n.probes < UCAST_SOLICIT => return solicit(ns, dev, addr, cx),
        Nud::Incomplete if n.probes < MCAST_SOLICIT => return solicit(ns, dev, addr, cx),
        Nud::Probe | Nud::Incomplete => {}
        Nud::Stale | Nud::Failed | Nud::Permanent | Nud::Noarp => return,
    }
    n.state = Nud::Failed;
    for skb in std::mem::take(&mut n.queue) {
        cx.emit(skb.id, || What::Neigh { dev, addr, step: NeighStep::Failed });
        // ipv4_link_failure: the sender is told that the host is unreachable.
        crate::ipv4::icmp_send(ns, &skb, packet::icmp_type::DEST_UNREACH, 1, None, cx);
        cx.drop(&skb, DropReason::NeighFailed);
    }
}

/// `arp_rcv`, `arp_process`
pub(crate) fn arp_rcv(ns: &mut Netns, skb: Skb, arp: &Arp, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    if skb.pkt_type == PktType::OtherHost {
        return Err(cx.drop(&skb, DropReason::OtherHost));
    }
    let asked = arp.op == ArpOp::Request && (answers(ns, arp, dev));
    if asked {
        learn(ns, &skb, dev, arp, Nud::Stale, true, cx);
        let sha = ns.device(dev).map_or(Mac::ZERO, |d| d.mac);
        let reply = Arp { op: ArpOp::Reply, sha, spa: arp.tpa, tha: arp.sha, tpa: arp.spa };
        let _ = send_arp(ns, dev, reply, arp.sha, Some(skb.id), cx);
        return Ok(Delivery::Local);
    }
    let state =
        if arp.op == ArpOp::Reply && skb.pkt_type == PktType::Host { Nud::Reachable } else { Nud::Stale };
    if learn(ns, &skb, dev, arp, state, false, cx) {
        Ok(Delivery::Local)
    } else {
        Err(cx.drop(&skb, DropReason::NotForUs))
    }
}

/// True if this host answers the request: the address is its own, or it does proxy ARP for it.
fn answers(ns: &Netns, arp: &Arp, dev: DevId) -> bool {
    if arp.spa.is_unspecified() {
        return ns.is_local_addr(arp.tpa) && !arp_ignore(ns, arp, dev);
    }
    let Some(way) = ns.input_way(arp.spa, arp.tpa, dev) else { return false };
    match way.verdict {
        Verdict::Local => !arp_ignore(ns, arp, dev) && !arp_filter(ns, arp, dev),
        // Proxy ARP: only for what is reached by another device.
        Verdict::Out => ns.conf_or(dev, |c| c.proxy_arp) && way.dev != dev,
        Verdict::Broadcast | Verdict::Multicast => false,
    }
}

/// `arp_ignore`: the setting of this name forbids to answer for the address.
fn arp_ignore(ns: &Netns, arp: &Arp, dev: DevId) -> bool {
    // inet_confirm_addr
    let has = |dev: &crate::dev::Device, sip: Option<Ipv4Addr>, scope: Scope| {
        let own = dev.addrs.iter().any(|a| a.net.addr() == arp.tpa && a.scope <= scope);
        let net = |a: &crate::dev::IfAddr| a.net.contains(&arp.tpa) && sip.is_none_or(|s| a.net.contains(&s));
        own && dev.addrs.iter().any(net)
    };
    let here = |sip| ns.device(dev).is_some_and(|d| has(d, sip, Scope::Host));
    match ns.conf_max(dev, |c| c.arp_ignore) {
        1 => !here(None),
        2 => !here(Some(arp.spa)),
        3 => !ns.devices().iter().any(|d| has(d, None, Scope::Link)),
        8 => true,
        _ => false,
    }
}

/// `arp_filter`: only the device by which the asker is reached answers.
fn arp_filter(ns: &Netns, arp: &Arp, dev: DevId) -> bool {
    let back = || ns.ip_route_output(&Flow::to(arp.spa).from(arp.tpa)).ok().map(|(d, _)| d.dev);
    ns.conf_or(dev, |c| c.arp_filter) && back() != Some(dev)
}

/// `neigh_update`: the sender of an ARP packet is at that address. True if an entry was there or was made.
fn learn(
    ns: &mut Netns,
    skb: &Skb,
    dev: DevId,
    arp: &Arp,
    state: Nud,
    create: bool,
    cx: &mut Cx<'_>,
) -> bool {
    let (addr, mac, now) = (arp.spa, arp.sha, cx.now);
    let reachable = reachable_time(ns, dev);
    if addr.is_unspecified() {
        return false;
    }
    let key = (dev, addr);
    if create {
        ns.neigh.entries.entry(key).or_insert_with(|| Neigh::new(Nud::Failed, mac, now));
    }
    let Some(n) = ns.neigh.entries.get_mut(&key) else { return false };
    if n.state.is_by_hand() {
        return true;
    }
    let news = n.mac != mac || !n.state.is_valid();
    if state == Nud::Reachable {
        n.confirmed = now;
    }
    // What is known already does not become stale by being said again.
    if news || state != Nud::Stale {
        if state == Nud::Reachable && n.state != Nud::Reachable {
            n.due = cx.set_timer(reachable, Timer::Neigh(dev, addr.to_bits()));
        }
        (n.state, n.updated) = (state, now);
    }
    n.mac = mac;
    let waiting = std::mem::take(&mut n.queue);
    if news {
        cx.emit(skb.id, || What::Neigh { dev, addr, step: NeighStep::Learned(mac) });
    }
    for skb in waiting {
        let _ = neigh_output(ns, skb, dev, addr, cx);
    }
    true
}
