//! A request and its reply side by side: the boxes and places in the order of the request, and beside each what the reply
//! met there.
//!
//! A translation that the request met must be undone for the reply in the same box. Where it is not, the log tells why
//! ([`super::undo`]).

use super::packets::Flow;
use super::place::Place;
use super::step::{Area, Step};
use super::strip::Spot;
use super::title::is_harmless;
use super::{Story, undo};
use crate::{EventId, World};
use kernel::event::{Origin, What};
use kernel::netfilter::hook::InetHook;
use kernel::{DevId, DropReason, Netns, NetnsId, PacketId};
use packet::{Frame, IcmpBody, Ip, L4};
use std::rc::Rc;

/// A place inside a box, the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SidePlace {
    /// Programs, sockets, and the kernel as the maker of packets.
    Sockets,
    /// A device.
    Dev(DevId),
    /// A bridge.
    Bridge(DevId),
    /// A hook.
    Hook(InetHook),
    /// The routing decision.
    Routing,
    /// The neighbour table.
    Neigh,
}

impl SidePlace {
    /// Its name.
    pub fn name(self, ns: &Netns) -> String {
        match self {
            SidePlace::Sockets => "sockets".to_owned(),
            SidePlace::Dev(d) => ns.dev_name(d).to_owned(),
            SidePlace::Bridge(d) => format!("bridge {}", ns.dev_name(d)),
            SidePlace::Hook(h) => h.chain().to_owned(),
            SidePlace::Routing => "routing".to_owned(),
            SidePlace::Neigh => "neighbours".to_owned(),
        }
    }

    /// A reply comes by these in the other order; the hooks of a box run in the same one.
    fn is_reversed(self) -> bool {
        matches!(self, SidePlace::Dev(_) | SidePlace::Bridge(_) | SidePlace::Sockets)
    }
}

/// What a packet met at one place in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The place.
    pub place: SidePlace,
    /// The steps, by number.
    pub steps: Vec<usize>,
}

/// A packet's stay in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The box.
    pub host: NetnsId,
    /// What it met, in order.
    pub legs: Vec<Leg>,
}

/// A place, and what either packet met there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideRow {
    /// The place.
    pub place: SidePlace,
    /// The request's steps.
    pub request: Vec<usize>,
    /// The reply's steps.
    pub reply: Vec<usize>,
}

/// A translation of the request that is not undone for the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why, read off the log.
    pub why: String,
    /// The step of the reply that shows it, if there is one.
    pub step: Option<usize>,
    /// The place where it would have been undone, or where the reply was instead; `None` if it never came to the box.
    pub place: Option<SidePlace>,
}

/// A translation of the request, and what became of it for the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatPair {
    /// The request's step.
    pub made: usize,
    /// The reply's step that undoes it, or why there is none.
    pub undone: Result<usize, Gap>,
}

/// A box, and the stay of either packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideBox {
    /// The box.
    pub host: NetnsId,
    /// The request's stay.
    pub request: Option<Visit>,
    /// The reply's stay.
    pub reply: Option<Visit>,
    /// The places in the order of the request.
    pub rows: Vec<SideRow>,
    /// Translations of the request here.
    pub nat: Vec<NatPair>,
    /// A copy of a flood came here, and the box ignored it.
    pub ignored: bool,
}

impl SideBox {
    /// True if a step of it is this one.
    pub fn has(&self, step: usize) -> bool {
        self.rows.iter().any(|r| r.request.contains(&step) || r.reply.contains(&step))
    }
}

/// A request and its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    /// The packet that asks.
    pub request: PacketId,
    /// The one that answers it.
    pub reply: Option<PacketId>,
    /// Why nobody answers.
    pub silence: Option<String>,
    /// The boxes in the order of the request.
    pub boxes: Vec<SideBox>,
}

/// The pair that a packet belongs to, as request or as reply.
pub fn sides(world: &World, story: &Story, packet: PacketId) -> Option<Sides> {
    let (request, reply) = pair(world, story, packet)?;
    let there = visits(world, &story.steps, request);
    let back = reply.map(|id| visits(world, &story.steps, id)).unwrap_or_default();
    let mut boxes = align(there, back);
    for b in &mut boxes {
        b.rows = rows(b.request.as_ref(), b.reply.as_ref());
        let all = |v: &Option<Visit>| v.as_ref().is_none_or(|v| is_ignored(world, &story.steps, v));
        b.ignored = all(&b.request) && all(&b.reply);
        b.nat = undo::nat_pairs(world, story, b, reply);
    }
    let silence = if reply.is_none() { silence(world, story, request) } else { None };
    Some(Sides { request, reply, silence, boxes })
}

// ---------------------------------------------------------------------- who answers whom

fn created(world: &World, packet: PacketId) -> Option<(EventId, Origin, Option<PacketId>, &Rc<Frame>)> {
    let entries = world.log().entries().iter().zip(0u32..);
    entries.filter(|(e, _)| e.packet == Some(packet)).find_map(|(e, i)| match e.what()? {
        What::Created { origin, parent, frame } => Some((EventId(i), *origin, *parent, frame)),
        _ => None,
    })
}

/// The packet as who took it saw it, or as it ended.
fn arrived(world: &World, packet: PacketId) -> Option<&Rc<Frame>> {
    let mut last = None;
    for entry in world.log().entries().iter().filter(|e| e.packet == Some(packet)) {
        match entry.what()? {
            What::Socket { .. } => return last,
            // A copy that somebody ignored says nothing.
            What::Drop { reason, .. } if is_harmless(*reason) => {}
            What::Drop { frame, .. } => return Some(frame),
            what => last = super::fields::frame_of(what).or(last),
        }
    }
    last
}

/// True if `answer` is what somebody sends who got `asked`.
fn answers(asked: &Ip, answer: &Ip) -> bool {
    if (asked.src, asked.dst) != (answer.dst, answer.src) || asked.protocol() != answer.protocol() {
        return false;
    }
    match (&asked.l4, &answer.l4) {
        (L4::Icmp(a), L4::Icmp(b)) => match (&a.body, &b.body) {
            (IcmpBody::Query { id, seq, .. }, IcmpBody::Query { id: id2, seq: seq2, .. }) => {
                (id, seq) == (id2, seq2) && a.kind != b.kind
            }
            _ => false,
        },
        // A TFTP server answers from a port of its own.
        (L4::Udp(a), L4::Udp(b)) => a.sport == b.dport && (a.dport == b.sport || a.dport == 69),
        _ => match (asked.ports(), answer.ports()) {
            (Some(a), Some(b)) => a == (b.1, b.0),
            _ => true,
        },
    }
}

fn is_redirect(frame: &Frame) -> bool {
    frame.ip().and_then(|ip| ip.icmp()).is_some_and(|i| i.kind == packet::icmp_type::REDIRECT)
}

fn is_about_ip(origin: Origin) -> bool {
    !matches!(origin, Origin::Arp | Origin::Fragment)
}

/// The request and its reply, of which a packet is one.
fn pair(world: &World, story: &Story, packet: PacketId) -> Option<(PacketId, Option<PacketId>)> {
    let info = story.packet(packet)?;
    let (made, origin, parent, frame) = created(world, packet)?;
    let asks = info.flow == Flow::Request || info.flow == Flow::Noise;
    if asks {
        return Some((packet, reply_to(world, story, packet, made)));
    }
    if let Some(parent) = parent.filter(|_| is_about_ip(origin)).filter(|p| story.packet(*p).is_some()) {
        return Some((parent, Some(packet)));
    }
    let mine = frame.ip()?;
    let asked = story.packets.iter().filter(|p| p.id < packet && p.flow == Flow::Request).rev();
    let mut asked =
        asked.filter(|p| arrived(world, p.id).and_then(|f| f.ip()).is_some_and(|a| answers(a, mine)));
    match asked.next() {
        Some(p) => Some((p.id, Some(packet))),
        None => Some((packet, reply_to(world, story, packet, made))),
    }
}

fn reply_to(world: &World, story: &Story, packet: PacketId, made: EventId) -> Option<PacketId> {
    let asked = arrived(world, packet)?;
    let mut fits = None;
    for p in story.packets.iter().filter(|p| p.id > packet) {
        let Some((at, origin, parent, frame)) = created(world, p.id) else { continue };
        // A redirect is a hint beside the way of a packet that goes on.
        if at < made || !is_about_ip(origin) || is_redirect(frame) {
            continue;
        }
        if parent == Some(packet) {
            return Some(p.id);
        }
        let both = asked.ip().zip(frame.ip());
        // A later packet may answer a later one of the same flow: the first is taken.
        if fits.is_none() && both.is_some_and(|(a, b)| answers(a, b)) {
            fits = Some(p.id);
        }
    }
    fits
}

/// Why nobody answers a packet.
fn silence(world: &World, story: &Story, packet: PacketId) -> Option<String> {
    let label = story.packet(packet).map_or("packet", |p| p.label.as_str());
    let mine = |s: &&Step| s.packet == Some(packet);
    let host = |s: &Step| world.host(s.host).map_or("?", |h| h.name.as_str());
    let steps = story.steps.iter().filter(mine);
    let end = steps.rev().find(|s| match world.log().get(s.key).and_then(|e| e.what()) {
        Some(What::Drop { reason, .. }) => !is_harmless(*reason),
        Some(What::Socket { .. }) => true,
        _ => false,
    });
    Some(match end {
        Some(s) if s.area == Area::Drop => format!("The {label} ends in {}: {}.", host(s), s.title),
        Some(s) => format!("{} has it, and sends nothing back.", host(s)),
        None => {
            let last = story.steps.iter().rev().find(mine)?;
            format!("It is last seen in {}: {}.", host(last), last.title)
        }
    })
}

// ---------------------------------------------------------------------- stays

/// What a step's place is; `None` for what happens nowhere in particular.
fn place_of(world: &World, step: &Step) -> Option<SidePlace> {
    let what = world.log().get(step.key).and_then(|e| e.what());
    Some(match (what, step.area, step.spot) {
        (Some(What::Tap { dev, .. } | What::Tunnel { dev, .. }), ..) => SidePlace::Dev(*dev),
        (Some(What::Bridge { bridge, .. } | What::BrNetfilter { bridge, .. }), ..) => {
            SidePlace::Bridge(*bridge)
        }
        (Some(What::Drop { reason: DropReason::NoSocket | DropReason::SocketRefused, .. }), ..) => {
            SidePlace::Sockets
        }
        (_, Area::App | Area::Socket, _) => SidePlace::Sockets,
        (_, _, Some(Spot::Route)) => SidePlace::Routing,
        (_, Area::Neigh, _) => SidePlace::Neigh,
        (_, Area::Drop, _) => return None,
        _ => SidePlace::Hook(step.hook()?),
    })
}

/// The stays of a packet, in order.
fn visits(world: &World, steps: &[Step], packet: PacketId) -> Vec<Visit> {
    let mut out: Vec<Visit> = Vec::new();
    for (i, step) in steps.iter().enumerate().filter(|(_, s)| s.packet == Some(packet)) {
        let comes_in = matches!(
            world.log().get(step.key).and_then(|e| e.what()),
            Some(What::Tap { dev, dir, .. })
                if *dir != kernel::event::TapDir::Out && world.peer((step.host, *dev)).is_some()
        );
        let known = out.iter().rposition(|v| v.host == step.host).filter(|_| !comes_in);
        let at = known.unwrap_or_else(|| {
            out.push(Visit { host: step.host, legs: Vec::new() });
            out.len() - 1
        });
        let legs = &mut out[at].legs;
        let here = legs.last().map(|l| l.place);
        // What has no place of its own happens where the packet is.
        let place = place_of(world, step).or(here).unwrap_or(match step.place {
            Place::Dev(_, d) => SidePlace::Dev(d),
            Place::Bridge(_, d) => SidePlace::Bridge(d),
            Place::Stack(_) => SidePlace::Sockets,
        });
        match legs.last_mut().filter(|l| l.place == place) {
            Some(leg) => leg.steps.push(i),
            None => legs.push(Leg { place, steps: vec![i] }),
        }
    }
    out
}

/// A copy that was not for this box.
fn is_ignored(world: &World, steps: &[Step], visit: &Visit) -> bool {
    let last = visit.legs.last().and_then(|l| l.steps.last()).and_then(|i| steps.get(*i));
    let what = last.and_then(|s| world.log().get(s.key)).and_then(|e| e.what());
    matches!(what, Some(What::Drop { reason, .. }) if is_harmless(*reason))
}

/// The boxes of both: those of the request in its order, with the reply's stay beside; where only the reply was, at its
/// place between them.
fn align(there: Vec<Visit>, mut back: Vec<Visit>) -> Vec<SideBox> {
    let empty = |host| SideBox {
        host,
        request: None,
        reply: None,
        rows: Vec::new(),
        nat: Vec::new(),
        ignored: false,
    };
    let mut out: Vec<SideBox> = Vec::new();
    for visit in there {
        out.push(SideBox { request: Some(visit.clone()), ..empty(visit.host) });
    }
    // The way back, from its end.
    back.reverse();
    let mut at = 0;
    for visit in back {
        let free = |b: &SideBox| b.host == visit.host && b.reply.is_none();
        let found = out.iter().skip(at).position(free).map(|i| at + i).or_else(|| out.iter().position(free));
        match found {
            Some(i) => {
                out[i].reply = Some(visit);
                at = at.max(i + 1);
            }
            None => {
                out.insert(at.min(out.len()), SideBox { reply: Some(visit.clone()), ..empty(visit.host) });
                at += 1;
            }
        }
    }
    out
}

/// The places of a box: the request's in order, each with what the reply met at the same one.
fn rows(request: Option<&Visit>, reply: Option<&Visit>) -> Vec<SideRow> {
    let legs = |v: Option<&Visit>| v.map(|v| v.legs.clone()).unwrap_or_default();
    let (there, back) = (legs(request), legs(reply));
    let mut out: Vec<SideRow> = Vec::new();
    for leg in there {
        out.push(SideRow { place: leg.place, request: leg.steps, reply: Vec::new() });
    }
    // What the reply met at a place for the how manieth time, from the side from which it comes.
    let (reversed, straight): (Vec<_>, Vec<_>) = back.iter().partition(|l| l.place.is_reversed());
    for leg in straight.iter().chain(reversed.iter().rev()) {
        let free = out.iter().position(|r| r.place == leg.place && r.reply.is_empty());
        if let Some(i) = free {
            out[i].reply = leg.steps.clone();
        }
    }
    // The rest goes in where it was on the way back.
    let placed = |out: &[SideRow], leg: &Leg| out.iter().position(|r| r.reply == leg.steps);
    for (i, leg) in back.iter().enumerate() {
        if placed(&out, leg).is_some() {
            continue;
        }
        let later = back[i + 1..].iter().find_map(|l| placed(&out, l));
        let earlier = back[..i].iter().rev().find_map(|l| placed(&out, l));
        let at = match (earlier, later) {
            (_, Some(later)) if leg.place.is_reversed() => later + 1,
            (Some(earlier), _) if leg.place.is_reversed() => earlier,
            (Some(earlier), _) => earlier + 1,
            (None, Some(later)) => later,
            (None, None) => out.len(),
        };
        let row = SideRow { place: leg.place, request: Vec::new(), reply: leg.steps.clone() };
        out.insert(at.min(out.len()), row);
    }
    out
}
