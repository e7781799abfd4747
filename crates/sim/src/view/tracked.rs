//! What conntrack says of a packet at a moment.

use crate::{EventId, World};
use kernel::event::{CtStep, What};
use kernel::netfilter::conntrack::{CtState, Direction};
use kernel::{ConnId, NetnsId, PacketId};

/// What conntrack has said of a packet in a box last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The box.
    pub host: NetnsId,
    /// The state that rules see.
    pub state: CtState,
    /// The direction, if it belongs to an entry.
    pub dir: Option<Direction>,
    /// The entry.
    pub conn: Option<ConnId>,
    /// What it did.
    pub step: CtStep,
    /// The event.
    pub event: EventId,
}

/// What conntrack has said of a packet last, up to and including an event: in the box at the cursor, if it was asked there,
/// or in the last box that asked it.
pub fn tracked_at(world: &World, packet: PacketId, host: NetnsId, until: EventId) -> Option<Tracked> {
    let end = world.log().len().min(until.index() + 1);
    let said = || {
        let all = world.log().entries()[..end].iter().zip(0u32..).filter(|(e, _)| e.packet == Some(packet));
        all.filter_map(|(e, i)| match e.what()? {
            What::Conntrack { state, dir, conn, step, .. } => Some(Tracked {
                host: e.host,
                state: *state,
                dir: *dir,
                conn: *conn,
                step: *step,
                event: EventId(i),
            }),
            _ => None,
        })
    };
    said().filter(|t| t.host == host).last().or_else(|| said().last())
}
