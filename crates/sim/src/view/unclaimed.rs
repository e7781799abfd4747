//! Packets that end without a word: frames that each box ignores which they come to, and what waits for a neighbour to the last.

use crate::{EventId, World};
use kernel::DropReason;
use kernel::event::{NeighStep, TapDir, What};
use packet::Mac;

/// A packet as it was last sent over a link.
#[derive(Clone, Copy, Default)]
struct Sent {
    /// To whom.
    to: Mac,
    /// A box has taken it.
    taken: bool,
    /// The last box that did not.
    ignored: Option<EventId>,
}

/// The ends of packets that were addressed to the MAC of no box that they came to: for each the last event at which one ignored it, in order. A
/// copy that comes to others while the right one has it too is no end.
pub fn unclaimed(world: &World) -> Vec<EventId> {
    // By the packets' numbers, which begin at 0.
    let mut all: Vec<Sent> = Vec::new();
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let (Some(id), Some(what)) = (entry.packet, entry.what()) else { continue };
        let (frame, dir) = match what {
            What::Tap { dir, frame, .. } => (frame, Some(*dir)),
            What::Drop { reason: DropReason::OtherHost, frame, .. } => (frame, None),
            _ => continue,
        };
        if frame.dst.is_multicast() {
            continue;
        }
        if all.len() <= id.index() {
            all.resize(id.index() + 1, Sent::default());
        }
        let Some(sent) = all.get_mut(id.index()) else { continue };
        match dir {
            Some(TapDir::Out) if sent.to != frame.dst => *sent = Sent { to: frame.dst, ..Sent::default() },
            Some(TapDir::In) if sent.to == frame.dst => sent.taken = true,
            None if sent.to == frame.dst => sent.ignored = Some(event),
            _ => {}
        }
    }
    let mut ends: Vec<EventId> = all.iter().filter(|s| !s.taken).filter_map(|s| s.ignored).collect();
    sorted::sort(&mut ends);
    ends
}

/// Where packets wait for a neighbour's MAC when the log ends, in order.
pub fn waiting(world: &World) -> Vec<EventId> {
    // By the packets' numbers; whatever follows for a packet takes it out.
    let mut all: Vec<Option<EventId>> = Vec::new();
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let (Some(id), Some(what)) = (entry.packet, entry.what()) else { continue };
        if all.len() <= id.index() {
            all.resize(id.index() + 1, None);
        }
        if let Some(last) = all.get_mut(id.index()) {
            *last = matches!(what, What::Neigh { step: NeighStep::Waiting, .. }).then_some(event);
        }
    }
    let mut waits: Vec<EventId> = all.into_iter().flatten().collect();
    sorted::sort(&mut waits);
    waits
}
