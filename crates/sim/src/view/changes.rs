//! The header fields that each step changes, and which steps a reader wants to see.

use super::fields::{diff, frame_of};
use super::step::{Area, Step, Tone};
use super::strip::Spot;
use crate::{EventId, World};
use kernel::event::{TapDir, What};
use kernel::netfilter::hook::InetHook;
use kernel::{NetnsId, PacketId};
use packet::{Frame, Payload};
use std::rc::Rc;

/// A header field that a step has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The header.
    pub layer: &'static str,
    /// The field.
    pub name: &'static str,
    /// The value before.
    pub before: String,
    /// The value after.
    pub after: String,
}

impl FieldChange {
    /// It is about the link alone: every router changes it.
    pub fn is_link(&self) -> bool {
        self.layer == "Ethernet"
    }
}

/// What steps change, in order of the steps; a step that changes nothing is not in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(Vec<(usize, Vec<FieldChange>)>);

impl Changes {
    /// What a step changes.
    pub fn of(&self, step: usize) -> &[FieldChange] {
        match self.0.binary_search_by_key(&step, |(i, _)| *i) {
            Ok(at) => &self.0[at].1,
            Err(_) => &[],
        }
    }

    /// True if a step changes more than the frame's addresses.
    pub fn any(&self, step: usize) -> bool {
        self.of(step).iter().any(|c| !c.is_link())
    }

    fn add(&mut self, step: usize, list: Vec<FieldChange>) {
        if list.is_empty() {
            return;
        }
        match self.0.binary_search_by_key(&step, |(i, _)| *i) {
            Ok(at) => self.0[at].1.extend(list),
            Err(at) => self.0.insert(at, (step, list)),
        }
    }
}

/// A packet in a box, as it was when it was seen last.
struct Known {
    packet: PacketId,
    host: NetnsId,
    frame: Rc<Frame>,
    /// The last step about it there.
    step: Option<usize>,
}

/// Reads off the log what each step changes.
pub fn changes(world: &World, steps: &[Step]) -> Changes {
    let mut fold = Fold { world, known: Vec::new(), out: Changes::default() };
    let mut next = 0;
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        while steps.get(next).is_some_and(|s| s.event < event) {
            next += 1;
        }
        let (Some(what), Some(packet)) = (entry.what(), entry.packet) else { continue };
        // The step that an event belongs to is the packet's next one; it is never far.
        let mine = |s: &Step| s.packet == Some(packet) && s.host == entry.host;
        let step = steps.iter().skip(next).take(32).position(mine).map(|at| next + at);
        fold.event((packet, entry.host), what, step);
    }
    fold.out
}

struct Fold<'a> {
    world: &'a World,
    /// By packet and box.
    known: Vec<Known>,
    out: Changes,
}

impl Fold<'_> {
    fn find(&self, packet: PacketId, host: NetnsId) -> Result<usize, usize> {
        self.known.binary_search_by_key(&(packet, host), |k| (k.packet, k.host))
    }

    fn put(&mut self, packet: PacketId, host: NetnsId, frame: &Rc<Frame>, step: Option<usize>) {
        let known = Known { packet, host, frame: Rc::clone(frame), step };
        match self.find(packet, host) {
            Ok(at) => self.known[at] = known,
            Err(at) => self.known.insert(at, known),
        }
    }

    fn event(&mut self, (packet, host): (PacketId, NetnsId), what: &What, step: Option<usize>) {
        // Out of the other end of the link comes what went in there.
        if let What::Tap { dev, dir, frame } = what
            && *dir != TapDir::Out
            && self.world.peer((host, *dev)).is_some()
        {
            return self.put(packet, host, frame, step);
        }
        if let What::Forward { ttl } = what {
            return self.ttl((packet, host), *ttl, step);
        }
        let Some(frame) = frame_of(what) else {
            if let (Ok(at), true) = (self.find(packet, host), step.is_some()) {
                self.known[at].step = step;
            }
            return;
        };
        if let Ok(at) = self.find(packet, host) {
            let old = &self.known[at];
            let said = matches!(what, What::Nat { .. } | What::Ipvs { .. } | What::Tunnel { .. });
            let list = between(&old.frame, frame);
            // Rules and captures see a packet as it comes: what has changed in it, the step before has done. The frame's
            // addresses are written on the way to a device.
            let (link, rest): (Vec<_>, Vec<_>) = list.into_iter().partition(FieldChange::is_link);
            let before = old.step;
            self.out.add_to(step, link);
            self.out.add_to(if said { step } else { before.or(step) }, rest);
        }
        self.put(packet, host, frame, step);
    }

    /// Forwarding takes one from the TTL; it shows in the next event only.
    fn ttl(&mut self, (packet, host): (PacketId, NetnsId), ttl: u8, step: Option<usize>) {
        let Ok(at) = self.find(packet, host) else { return };
        let mut frame = (*self.known[at].frame).clone();
        let Payload::Ip(ip) = &mut frame.payload else { return };
        ip.ttl = ttl;
        let frame = Rc::new(frame);
        let list = between(&self.known[at].frame, &frame);
        // It goes with the routing decision before it.
        let step = step.or(self.known[at].step);
        self.out.add_to(step, list);
        self.put(packet, host, &frame, step);
    }
}

impl Changes {
    fn add_to(&mut self, step: Option<usize>, list: Vec<FieldChange>) {
        if let Some(step) = step {
            self.add(step, list);
        }
    }
}

/// The fields in which two frames differ.
fn between(before: &Rc<Frame>, after: &Rc<Frame>) -> Vec<FieldChange> {
    if Rc::ptr_eq(before, after) || before == after {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (layer, fields) in diff(Some(before), after) {
        for (field, was) in fields {
            // A frame that no device has had yet has no addresses.
            if let Some(before) = was.filter(|was| *was != packet::Mac::ZERO.to_string()) {
                out.push(FieldChange { layer, name: field.name, before, after: field.value });
            }
        }
    }
    out
}

/// What kind of steps a reader wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// All of them.
    #[default]
    All,
    /// Those that change the packet.
    Changes,
    /// Those that decide: a rule that matched, a policy, conntrack, routing, an end.
    Verdicts,
}

/// Which steps a reader wants to see. The default is all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one box only.
    pub host: Option<NetnsId>,
    /// At one hook only.
    pub hook: Option<InetHook>,
    /// In one table, or another part of the system, only.
    pub area: Option<Area>,
    /// Of one kind only.
    pub only: Only,
}

impl Filter {
    /// True if it leaves nothing out.
    pub fn is_off(&self) -> bool {
        *self == Filter::default()
    }

    /// True if a step is to be seen.
    pub fn keeps(&self, steps: &[Step], changes: &Changes, at: usize) -> bool {
        let Some(step) = steps.get(at) else { return false };
        let only = match self.only {
            Only::All => true,
            Only::Changes => changes.any(at),
            Only::Verdicts => is_verdict(step),
        };
        only && self.host.is_none_or(|h| h == step.host)
            && self.hook.is_none_or(|h| step.hook() == Some(h))
            && self.area.is_none_or(|a| a == step.area)
    }
}

/// Something is decided about the packet.
fn is_verdict(step: &Step) -> bool {
    match step.area {
        Area::Table(_) | Area::Nft => {
            step.tone != Tone::Dim && !step.title.starts_with('→') && step.title != "counted"
        }
        Area::Route | Area::Drop | Area::Ipvs => true,
        Area::Conntrack | Area::Bridge | Area::Neigh | Area::Socket => step.tone != Tone::Plain,
        Area::App | Area::Wire => false,
    }
}

impl Step {
    /// The hook that it happens at.
    pub fn hook(&self) -> Option<InetHook> {
        match self.spot? {
            Spot::Hook(h) | Spot::Fn(h, _) | Spot::IpvsOut(h) | Spot::Defrag(h) | Spot::Call(h) => Some(h),
            Spot::Route | Spot::SocketsIn | Spot::SocketsOut | Spot::Bridge => None,
        }
    }
}
