//! Zones: the same tuple in two zones is two flows (include/net/netfilter/nf_conntrack_zones.h).

use super::Direction;

/// A zone (`struct nf_conntrack_zone`): an id that counts in both directions or in one; in the other the flow is in zone 0,
/// where everything is that no rule has put elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// The zone; 0 is the default.
    pub id: u16,
    /// The direction in which it counts; `None` means both.
    pub only: Option<Direction>,
}

impl Zone {
    /// `nf_ct_zone_id`: the id for packets of a direction.
    pub fn id(self, dir: Direction) -> u16 {
        if self.only.is_none_or(|only| only == dir) { self.id } else { 0 }
    }
}

/// What a rule with `-j CT` wishes for the entry that conntrack will make (`nf_ct_tmpl_alloc`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// `--helper`
    pub helper: Option<super::Helper>,
    /// `--zone` and its variants.
    pub zone: Zone,
    /// `--zone mark`: the id is the lower half of the packet's mark.
    pub zone_from_mark: bool,
    /// `--ctevents`, `--expevents`.
    pub events: Option<EventMask>,
}

/// Which rule a template is of. All packets of a rule share its template, and it lives as long as the rule does: until its
/// table is loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateId {
    /// The chain of table raw.
    pub chain: u16,
    /// The rule's place in it.
    pub rule: u32,
}

impl Template {
    /// `nf_ct_zone_tmpl`: the zone in which a packet with that mark is looked up.
    pub(super) fn zone_of(&self, mark: u32) -> Zone {
        let id = if self.zone_from_mark { (mark & 0xffff) as u16 } else { self.zone.id };
        Zone { id, ..self.zone }
    }
}

/// Which messages are sent about an entry (`struct nf_conntrack_ecache`): bits of [`ipct`](super::ipct), and of
/// `IPEXP_*` for its expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventMask {
    /// Messages about the entry.
    pub conntrack: u16,
    /// Messages about what it expects.
    pub expect: u16,
}

impl EventMask {
    /// Everything is reported.
    pub const ALL: EventMask = EventMask { conntrack: u16::MAX, expect: u16::MAX };
}
