//! Frames that nobody takes: each box that they come to says that they are addressed to somebody else.

use crate::{EventId, World};
use kernel::event::{TapDir, What};
use kernel::{DropReason, PacketId};
use packet::Mac;
use sorted::Map;

/// A packet as it is sent over a link.
struct Sent {
    /// To whom.
    to: Mac,
    /// A box has taken it.
    taken: bool,
    /// The last box that did not.
    ignored: Option<EventId>,
}

/// The ends of packets that were addressed to the MAC of no box that they came to: for each the last event at which one ignored it. A copy
/// that comes to others while the right one has it too is no end.
pub fn unclaimed(world: &World) -> Vec<EventId> {
    let mut all: Map<PacketId, Sent> = Map::new();
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let (Some(id), Some(what)) = (entry.packet, entry.what()) else { continue };
        match what {
            What::Tap { dir: TapDir::Out, frame, .. }
                if !frame.dst.is_multicast() && all.get(&id).is_none_or(|s| s.to != frame.dst) =>
            {
                all.insert(id, Sent { to: frame.dst, taken: false, ignored: None });
            }
            What::Tap { dir: TapDir::In, frame, .. } => {
                if let Some(sent) = all.get_mut(&id).filter(|s| s.to == frame.dst) {
                    sent.taken = true;
                }
            }
            What::Drop { reason: DropReason::OtherHost, frame, .. } => {
                if let Some(sent) = all.get_mut(&id).filter(|s| s.to == frame.dst) {
                    sent.ignored = Some(event);
                }
            }
            _ => {}
        }
    }
    let mut ends: Vec<EventId> = all.values().filter(|s| !s.taken).filter_map(|s| s.ignored).collect();
    sorted::sort(&mut ends);
    ends
}
