//! The log as people look at it: steps, journeys, captures, tables at a moment.
//!
//! Pure functions from a [`World`](crate::World) and its log to plain values. Nothing here decides what happens to a
//! packet: every word is read off the log. The page, and any other face of the engine, only draws these values.

mod alert;
mod assoc;
mod capture;
mod cause;
mod changes;
mod compare;
mod ct;
mod end;
mod fields;
mod invalid;
mod names;
#[cfg_attr(not(feature = "nft"), path = "no_nft.rs")]
mod nft;
mod node;
mod packets;
mod pcapng;
mod place;
mod questions;
mod remarks;
mod rule_rows;
mod rules;
mod sides;
mod step;
mod strip;
mod tcpdump;
mod text;
mod title;
mod topology;
mod tracked;
mod unclaimed;
mod undo;
mod walk;
mod why;
mod why_not;

#[cfg(test)]
mod end_tests;
#[cfg(test)]
mod tests;

pub use crate::operator::brief_addresses;
pub use alert::{Alert, TermLine, alerts, terminal};
pub use assoc::Assoc;
pub use capture::{CaptureLine, capture};
pub use changes::{Changes, FieldChange, Filter, Only};
pub use compare::{Difference, compare, steps_of};
pub use ct::{
    CtEntry, CtWord, ExpectEntry, RowLook, conntrack_at, event_line, expect_line, expectations_at, ipvs_at,
    row_line, row_words,
};
pub use end::{End, Looked, end, neighbour_with, pinned_port};
pub use fields::{Field, Layer, LayerDiff, diff, frame_at, frame_before, layers};
pub use names::{Names, Piece, Role as NameRole};
pub use nft::nft_lookups;
#[cfg(feature = "nft")]
pub use nft::nft_rule_parts;
pub use node::{
    Change, DiffLine, Listing, badges, changes, copy, listings, modules, settings, sysctl, sysctls,
};
pub use packets::{Flow, PacketInfo, packets};
pub use pcapng::{Captures, Interface, Taken, tapped};
pub use place::{Hop, Place, hops};
pub use questions::{Question, questions};
pub use remarks::remarks;
pub use rule_rows::{RuleFormat, RulePlace, RuleRows};
pub use rules::{RuleLine, rule_hits, rule_lines};
pub use sides::{Gap, Leg, NatPair, SideBox, SidePlace, SideRow, Sides, Visit as Stay, sides};
pub use step::{Area, Step, Tone, steps};
pub use strip::{
    HookBox, Spot, Visit, bridge_ports, bridged_by_iptables, met, registered, registered_for, trail, visits,
};
pub(crate) use tcpdump::promiscuous;
pub use tcpdump::{Dumped, tcpdump};
pub use text::{clock, endpoint, flow_text, segment};
pub use topology::{Link, Role, Topology, topology};
pub use tracked::{Tracked, tracked_at};
pub use unclaimed::{unclaimed, waiting};
pub use walk::{Asked as AskedRule, Pass, Walk, WalkLine, WalkOf, passes, rest, rule_asked, unentered};
pub use why::{NftLookup, Skipped, Token, Why, rule_parts, why};
pub use why_not::{Answer, Asked, WhyNot, why_not};

use crate::{EventId, World};
use kernel::PacketId;

/// A run, prepared for looking at: what does not depend on the moment.
#[derive(Clone, Debug)]
pub struct Story {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// The header fields that they change.
    pub changes: Changes,
    /// The packets in order of their making.
    pub packets: Vec<PacketInfo>,
    /// What programs printed.
    pub terminal: Vec<TermLine>,
    /// What must not be missed.
    pub alerts: Vec<Alert>,
    /// The way of each packet over devices.
    pub hops: Vec<Hop>,
    /// Boxes and links.
    pub topology: Topology,
}

impl Story {
    /// Reads a world's log.
    pub fn new(world: &World) -> Story {
        let steps = steps(world);
        let packets = packets(world, &steps);
        let alerts = alerts(world, &steps);
        Story {
            terminal: terminal(world),
            hops: hops(world),
            topology: topology(world),
            changes: changes::changes(world, &steps),
            steps,
            packets,
            alerts,
        }
    }

    /// The step at or before an event, or the first.
    pub fn step_at(&self, event: EventId) -> usize {
        self.steps.partition_point(|s| s.event < event).min(self.steps.len().saturating_sub(1))
    }

    /// A packet.
    pub fn packet(&self, id: PacketId) -> Option<&PacketInfo> {
        self.packets.iter().find(|p| p.id == id)
    }

    /// The latest alert at or before a step.
    pub fn alert_at(&self, step: usize) -> Option<&Alert> {
        self.alerts.iter().rev().find(|a| a.step <= step)
    }

    /// The packet that a step is about; for a step about none, that of the nearest step before it, or after it.
    pub fn packet_near(&self, step: usize) -> Option<PacketId> {
        let before = self.steps.get(..=step)?.iter().rev().find_map(|s| s.packet);
        before.or_else(|| self.steps.iter().skip(step).find_map(|s| s.packet))
    }
}
