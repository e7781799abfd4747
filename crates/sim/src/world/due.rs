//! What will happen in a world, and when.

use super::AppId;
use kernel::{DevId, Instant, NetnsId, PacketId, Skb, Timer};
use packet::Frame;
use std::cmp::Ordering;
use std::rc::Rc;

/// What a world does.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Frame {
        host: NetnsId,
        dev: DevId,
        id: PacketId,
        frame: Rc<Frame>,
    },
    Loopback {
        host: NetnsId,
        skb: Box<Skb>,
    },
    Timer {
        host: NetnsId,
        timer: Timer,
    },
    App(AppId),
    /// Somebody has waited long enough for the others of a race.
    Race,
}

impl Work {
    pub fn is_frame(&self) -> bool {
        matches!(self, Work::Frame { .. } | Work::Loopback { .. })
    }
}

/// Something that will happen: the earliest first, and of two at the same time the one that was scheduled first.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub at: Instant,
    pub number: u64,
    pub work: Work,
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}
