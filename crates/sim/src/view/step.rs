//! Steps: the entries of the log that a person wants to stop at.
//!
//! A step ends at one event of the log. Events that explain it (rules that did not match, a lookup in a cache) are
//! folded into it, so that the state at a step is the state after its event.

use super::assoc::Assoc;
use super::nft;
use super::place::{Place, place_of};
use super::strip::{Spot, ipvs_spot};
use super::title;
use super::unclaimed::{unclaimed, waiting};
use crate::log::{Entry, Seen};
use crate::{EventId, World};
use kernel::event::{
    BrNfStep, BridgeStep, CtEventKind, CtStep, HookCtx, IpvsStep, NeighStep, NftOutcome, Origin, RuleOutcome,
    TapDir, What,
};
use kernel::netfilter::conntrack::Direction;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::TableId;
use kernel::{Instant, NetnsId, PacketId};
use packet::Frame;
use std::rc::Rc;

/// What part of the system a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// A program.
    App,
    /// A socket, or the kernel as the maker of a packet.
    Socket,
    /// A table.
    Table(TableId),
    /// A chain of nf_tables.
    Nft,
    /// Connection tracking.
    Conntrack,
    /// IPVS.
    Ipvs,
    /// Routing.
    Route,
    /// A bridge, and br_netfilter.
    Bridge,
    /// A device: what a capture sees.
    Wire,
    /// Neighbours.
    Neigh,
    /// The end of a packet.
    Drop,
}

impl Area {
    /// The letter that goes with its colour.
    pub fn letter(self) -> &'static str {
        match self {
            Area::App => "A",
            Area::Socket => "S",
            Area::Table(TableId::Raw) => "R",
            Area::Table(TableId::Mangle) => "M",
            Area::Table(TableId::Nat) => "N",
            Area::Table(TableId::Filter) => "F",
            Area::Table(TableId::Security) => "S",
            Area::Nft => "T",
            Area::Conntrack => "C",
            Area::Ipvs => "V",
            Area::Route => "→",
            Area::Bridge => "B",
            Area::Wire => "W",
            Area::Neigh => "?",
            Area::Drop => "✕",
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Area::App => "program",
            Area::Socket => "socket",
            Area::Table(t) => t.name(),
            Area::Nft => "nft",
            Area::Conntrack => "track",
            Area::Ipvs => "IPVS",
            Area::Route => "route",
            Area::Bridge => "bridge",
            Area::Wire => "device",
            Area::Neigh => "neigh",
            Area::Drop => "drop",
        }
    }
}

/// How a step is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Plain,
    /// It changes the packet or decides its way.
    Strong,
    /// It is an end, or the reason of one.
    Bad,
    /// Hardly worth a look.
    Dim,
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its last event.
    pub event: EventId,
    /// The event that it is about.
    pub key: EventId,
    /// Rules that were tried before and did not match.
    pub skipped: Vec<EventId>,
    /// When.
    pub at: Instant,
    /// In which box.
    pub host: NetnsId,
    /// The packet, if it is about one.
    pub packet: Option<PacketId>,
    /// What part of the system.
    pub area: Area,
    /// Where in the hook diagram.
    pub spot: Option<Spot>,
    /// The heading under which it stands: hook and devices, or the bridge.
    pub section: String,
    /// What happens, in a few words.
    pub title: String,
    /// A number, a route, a remark.
    pub note: String,
    /// A chain that the user made, in which the rule stands.
    pub chain: Option<Rc<str>>,
    /// How to read it.
    pub tone: Tone,
    /// Background: ARP.
    pub noise: bool,
    /// Where the packet is.
    pub place: Place,
}

/// What is known of a packet on its way through a box.
#[derive(Default)]
struct Pending {
    skipped: Vec<EventId>,
    note: String,
    ctx: Option<HookCtx>,
    dir: Option<Direction>,
    frame: Option<Rc<Frame>>,
    place: Option<Place>,
    noise: bool,
}

/// What a title function gives.
pub(super) struct Draft {
    pub area: Area,
    pub spot: Option<Spot>,
    pub section: String,
    pub title: String,
    pub note: String,
    pub chain: Option<Rc<str>>,
    pub tone: Tone,
}

impl Draft {
    pub(super) fn new(area: Area, title: impl Into<String>) -> Draft {
        let (section, note) = (String::new(), String::new());
        Draft { area, spot: None, section, title: title.into(), note, chain: None, tone: Tone::Plain }
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Draft {
        self.note = note.into();
        self
    }

    pub(super) fn at(mut self, spot: Spot) -> Draft {
        self.spot = Some(spot);
        self
    }

    pub(super) fn tone(mut self, tone: Tone) -> Draft {
        self.tone = tone;
        self
    }

    pub(super) fn section(mut self, section: impl Into<String>) -> Draft {
        self.section = section.into();
        self
    }
}

/// All steps of a log.
pub fn steps(world: &World) -> Vec<Step> {
    let mut fold = Fold { world, out: Vec::new(), pending: Assoc::default() };
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        fold.entry(event, entry);
    }
    let mut steps = fold.out;
    for event in unclaimed(world).into_iter().chain(waiting(world)) {
        let at = steps.partition_point(|s| s.event < event);
        if let (Some(step), Some(entry)) = (steps.get_mut(at), world.log().get(event)) {
            step.tone = Tone::Bad;
            step.title = match entry.what() {
                Some(What::Drop { frame, .. }) => title::unclaimed(frame),
                _ => format!("still {}", step.title),
            };
        }
    }
    steps
}

struct Fold<'a> {
    world: &'a World,
    out: Vec<Step>,
    pending: Assoc<PacketId, Pending>,
}

impl Fold<'_> {
    fn entry(&mut self, event: EventId, entry: &Entry) {
        match (&*entry.seen, entry.packet) {
            (Seen::App(app), _) => {
                let draft = title::app(app);
                self.push(event, entry, draft);
            }
            (Seen::Kernel(what), Some(packet)) => self.kernel(event, entry, packet, what),
            _ => {}
        }
    }

    fn kernel(&mut self, event: EventId, entry: &Entry, packet: PacketId, what: &What) {
        let next = self.world.log().get(EventId(event.0 + 1)).filter(|e| e.packet == Some(packet));
        let world = self.world;
        let Some(ns) = world.host(entry.host) else { return };
        let p = self.pending.or_default(packet);
        if let Some(place) = place_of(world, entry.host, what) {
            p.place = Some(place);
        }
        if let Some(frame) = super::fields::frame_of(what) {
            p.frame = Some(Rc::clone(frame));
        }
        let hook = |draft: Draft, p: &Pending| match &p.ctx {
            Some(ctx) => draft.section(title::hook_section(ns, ctx)),
            None => draft,
        };
        let at = |area| p.ctx.as_ref().map(|c| Spot::Fn(c.hook, area));
        let draft = match what {
            What::Created { origin, frame, .. } => {
                p.noise = *origin == Origin::Arp;
                title::created(*origin, frame)
            }
            What::Tap { dev, dir, frame } => {
                p.ctx = None;
                let note = std::mem::take(&mut p.note);
                p.noise |= frame.ip().is_none();
                let draft = title::tap(ns, *dev, *dir, frame);
                if note.is_empty() { draft } else { draft.note(note) }
            }
            What::Hook(ctx) => {
                p.ctx = Some(ctx.clone());
                return;
            }
            What::HookSkipped(ctx) => {
                Draft::new(Area::Bridge, format!("{} is skipped: the bridge has run it", ctx.hook))
                    .at(Spot::Hook(ctx.hook))
                    .section(title::hook_section(ns, ctx))
            }
            What::Rule(step) => match &step.outcome {
                RuleOutcome::NoMatch { .. } => {
                    p.skipped.push(event);
                    return;
                }
                _ => {
                    p.ctx = Some(step.ctx.clone());
                    title::rule(ns, step, p.skipped.len())
                }
            },
            What::Nft(step) => {
                if matches!(step.outcome, NftOutcome::NoMatch { .. }) {
                    p.skipped.push(event);
                    return;
                }
                p.ctx = Some(step.ctx.clone());
                nft::title(ns, step, p.skipped.len())
            }
            What::Conntrack { ctx, state, dir, conn, step, .. } => {
                (p.ctx, p.dir) = (Some(ctx.clone()), *dir);
                hook(title::conntrack(*step, *state, *dir, *conn), p).at(Spot::Fn(ctx.hook, Area::Conntrack))
            }
            What::Confirmed(conn) => {
                let spot = at(Area::Conntrack);
                let draft = Draft::new(Area::Conntrack, "confirmed: the entry is in the table")
                    .note(title::entry(*conn));
                Draft { spot, ..hook(draft, p) }
            }
            What::Parked { ctx, cpu, stop } => {
                p.ctx = Some(ctx.clone());
                hook(title::parked(*cpu, *stop, true), p)
            }
            What::Resumed { ctx, cpu, stop } => {
                p.ctx = Some(ctx.clone());
                hook(title::parked(*cpu, *stop, false), p)
            }
            What::Clash { winner, step, .. } => {
                Draft { spot: at(Area::Conntrack), ..hook(title::clash(*step, *winner), p) }
            }
            What::CtEvent(e) => match e.kind {
                // The message goes with what caused it.
                CtEventKind::New => return self.extend(event, packet, None),
                kind => {
                    let spot = at(Area::Conntrack);
                    Draft { spot, ..hook(title::ct_event(kind, &e.row), p) }
                }
            },
            What::Ipvs { ctx, step } => {
                let reply = matches!(step, IpvsStep::Rewritten { .. }) && p.dir == Some(Direction::Reply);
                hook(title::ipvs(step, reply), p).at(ipvs_spot(ctx.hook, step))
            }
            What::ExpectEvent(e) => {
                let spot = at(Area::Conntrack);
                Draft { spot, ..hook(title::expect_event(e), p) }
            }
            What::CtProbe { .. } | What::NatSetup { .. } => return,
            What::Nat { hook: h, manip, before, after, .. } => {
                let reply = p.dir == Some(Direction::Reply);
                hook(title::nat(*manip, reply, before, after), p).at(Spot::Fn(*h, Area::Table(TableId::Nat)))
            }
            What::Route(route) => {
                p.ctx = None;
                title::route(ns, route)
            }
            What::Forward { ttl } => {
                let note = format!("TTL {} → {ttl}", u16::from(*ttl) + 1);
                return self.extend(event, packet, Some(note));
            }
            What::Bridge { step: BridgeStep::Learned { mac, port }, .. } => {
                p.note = format!("learned: {mac} is behind {}", ns.dev_name(*port));
                return;
            }
            What::Bridge { bridge, from, step } => {
                p.ctx = None;
                let walks = matches!(
                    next.and_then(Entry::what),
                    Some(What::BrNetfilter { step: BrNfStep::Calls(InetHook::Forward), .. })
                );
                let note = std::mem::take(&mut p.note);
                title::bridge(ns, *bridge, *from, step, p.frame.as_deref(), walks).note(note)
            }
            What::BrNetfilter { bridge, step } => {
                p.ctx = None;
                title::br_netfilter(ns, *bridge, step)
            }
            What::Neigh { dev, addr, step } => match step {
                NeighStep::Resolved(mac) => {
                    p.note = format!("{addr} is at {mac}");
                    return;
                }
                step => title::neigh(ns, *dev, *addr, *step),
            },
            What::Tunnel { dev, step } => {
                p.ctx = None;
                title::tunnel(ns, *dev, step)
            }
            What::Fragment(step) => match title::fragment(step) {
                Some(draft) => draft,
                None => return,
            },
            What::Socket { step, .. } => title::socket(step),
            What::Drop { reason, frame, .. } => {
                p.ctx = None;
                title::drop(*reason, frame)
            }
            // Where it is printed there is a line of the ring buffer as well.
            What::NfLog(_) => return,
            What::KernelLog(line) => return self.extend(event, packet, Some(line.clone())),
        };
        self.push(event, entry, draft);
    }

    fn push(&mut self, event: EventId, entry: &Entry, draft: Draft) {
        let p = entry.packet.and_then(|id| self.pending.get_mut(&id));
        let (skipped, place, noise) = match p {
            Some(p) => (std::mem::take(&mut p.skipped), p.place, p.noise),
            None => (Vec::new(), None, false),
        };
        let arp = draft.area == Area::Neigh && noise;
        self.out.push(Step {
            event,
            key: event,
            skipped,
            at: entry.at,
            host: entry.host,
            packet: entry.packet,
            area: draft.area,
            spot: draft.spot,
            section: draft.section,
            title: draft.title,
            note: draft.note,
            chain: draft.chain,
            tone: draft.tone,
            noise: noise || arp,
            place: place.unwrap_or(Place::Stack(entry.host)),
        });
    }

    /// The event belongs to the step before it, if that is about the same packet.
    fn extend(&mut self, event: EventId, packet: PacketId, note: Option<String>) {
        let Some(last) = self.out.last_mut().filter(|s| s.packet == Some(packet)) else { return };
        last.event = event;
        if let Some(note) = note {
            if !last.note.is_empty() {
                last.note.push_str(" · ");
            }
            last.note.push_str(&note);
        }
    }
}

/// True if a frame in this direction is addressed to the device that sees it.
pub(super) fn is_for_us(dir: TapDir) -> bool {
    matches!(dir, TapDir::In | TapDir::InBroadcast | TapDir::InMulticast)
}

/// What conntrack did is not alarming.
pub(super) fn ct_is_fine(step: CtStep) -> bool {
    !matches!(step, CtStep::Invalid(_) | CtStep::TableFull)
}
