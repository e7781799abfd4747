//! Which packet was lost when a program complains, or is told by ICMP.

use super::{Step, Story, Tone, end};
use crate::apps::AppEvent;
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::What;
use kernel::{NetnsId, PacketId};

impl Story {
    /// The step at which a packet ended, so that a program complains at this one: the last before it since the program was begun, or the first
    /// behind it of a packet that was still on its way. It is of the program's box, or was made because of one of its packets. Of ICMP that
    /// tells of a loss, the end of the packet that it tells of. `None` for a step that has an answer to "why?" of its own ([`end`]), and where
    /// nothing was lost.
    pub fn cause(&self, world: &World, step: usize) -> Option<usize> {
        let told = self.steps.get(step).filter(|s| s.tone == Tone::Bad && !s.noise)?;
        if end(world, told).is_some() {
            return None;
        }
        let of = told.packet.and_then(|p| made(world, p)).and_then(|m| m.parent);
        let lost = |s: &Step| match (told.packet, s.packet) {
            (Some(_), packet) => of.is_some() && packet == of,
            (None, Some(packet)) => s.host == told.host || comes_from(world, packet, told.host),
            (None, None) => false,
        };
        let ends =
            |(_, s): &(usize, &Step)| s.tone == Tone::Bad && !s.noise && lost(s) && end(world, s).is_some();
        let begun = |s: &Step| {
            let seen = world.log().get(s.key).map(|e| &*e.seen);
            s.host == told.host && matches!(seen, Some(Seen::App(AppEvent::Started { .. })))
        };
        let steps = || self.steps.iter().enumerate();
        let mut since = steps().take(step).rev().take_while(|(_, s)| told.packet.is_some() || !begun(s));
        let on_its_way = |s: &Step| s.packet.and_then(|p| made(world, p)).is_some_and(|m| m.at < told.key);
        let mut behind = steps().skip(step + 1).filter(ends);
        let first = || behind.find(|(_, s)| on_its_way(s));
        since.find(ends).or_else(first).map(|(i, _)| i)
    }
}

/// The making of a packet.
struct Made {
    at: EventId,
    host: NetnsId,
    /// The packet because of which.
    parent: Option<PacketId>,
}

fn made(world: &World, packet: PacketId) -> Option<Made> {
    let entries = (0..).map(EventId).zip(world.log().entries()).filter(|(_, e)| e.packet == Some(packet));
    entries.map(|(at, e)| (at, e.host, e.what())).find_map(|(at, host, what)| match what {
        Some(What::Created { parent, .. }) => Some(Made { at, host, parent: *parent }),
        _ => None,
    })
}

/// The box has made the packet, or one to which it is the answer, or the answer to that.
fn comes_from(world: &World, packet: PacketId, host: NetnsId) -> bool {
    let mut at = Some(packet);
    while let Some(made) = at.and_then(|p| made(world, p)) {
        if made.host == host {
            return true;
        }
        at = made.parent;
    }
    false
}
