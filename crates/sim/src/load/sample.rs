//! What is written down each second.

use crate::world::World;
use kernel::netfilter::conntrack::CtStats;
use kernel::{Instant, NetnsId};

/// A box of the machine in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoxSample {
    /// `nf_conntrack_count` at its end.
    pub count: usize,
    /// Expectations at its end.
    pub expects: usize,
    /// Counters of `conntrack -S` since the run began.
    pub stats: CtStats,
}

/// A second of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// At its end the run was so many seconds old.
    pub second: u32,
    /// Files that were asked for in it.
    pub offered: u64,
    /// Files that came.
    pub done: u64,
    /// Files that were given up.
    pub failed: u64,
    /// Packets that clients and servers sent.
    pub packets: u64,
    /// Nanoseconds for which processors worked.
    pub busy: u64,
    /// All of these since the run began.
    pub(super) total: Total,
    /// The boxes of the machine: the node, then the pods.
    pub boxes: Vec<BoxSample>,
}

/// Figures since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub offered: u64,
    pub done: u64,
    pub failed: u64,
    pub packets: u64,
    pub busy: u64,
}

/// A line of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// When.
    pub at: Instant,
    /// The box that the kernel was busy with.
    pub host: NetnsId,
    /// The line.
    pub line: String,
}

impl Sample {
    pub(super) fn take(
        world: &mut World,
        boxes: &[NetnsId],
        second: u32,
        total: Total,
        before: Option<&Sample>,
    ) -> Sample {
        let boxes = boxes.iter().map(|host| {
            // Timers have fired, and the scan has been there.
            world.with(*host, |ns, cx| ns.ct_gc(cx));
            world.host(*host).map_or(BoxSample::default(), |ns| BoxSample {
                count: ns.ct.count(),
                expects: ns.ct.expect_count(),
                stats: ns.ct.stats(),
            })
        });
        let last = before.map(|s| s.total).unwrap_or_default();
        Sample {
            second,
            offered: total.offered - last.offered,
            done: total.done - last.done,
            failed: total.failed - last.failed,
            packets: total.packets - last.packets,
            busy: total.busy - last.busy,
            total,
            boxes: boxes.collect(),
        }
    }
}

pub(super) fn warnings(world: &World, boxes: &[NetnsId]) -> Vec<Warning> {
    let of = |host: &NetnsId| world.host(*host).map(|ns| (ns.id, ns.warnings()));
    let all = boxes.iter().filter_map(of).flat_map(|(host, lines)| {
        lines.iter().map(move |(at, line)| Warning { at: *at, host, line: line.clone() })
    });
    let mut all: Vec<Warning> = all.collect();
    sorted::sort_by_key(&mut all, |w| w.at);
    all
}
