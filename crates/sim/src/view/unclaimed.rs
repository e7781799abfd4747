//! Frames that nobody takes: each box that they come to says that they are addressed to somebody else.

use crate::{EventId, World};
use kernel::DropReason;
use kernel::event::{TapDir, What};
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
