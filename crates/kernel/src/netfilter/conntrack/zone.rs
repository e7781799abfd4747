//! Zones: the same tuple in two zones is two flows (include/net/netfilter/nf_conntrack_zones.h).

use super::Direction;
use packet::Family;

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
    of: TemplateOf,
    /// The chain of table raw, or the table of nf_tables.
    within: u32,
    /// The rule's place in it, or its handle.
    rule: u32,
}

/// Whose table a template's rule is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TemplateOf {
    Iptables,
    Ip6tables,
    #[cfg(feature = "nft")]
    Nftables,
}

impl TemplateId {
    /// A rule of table raw, by its chain and its place in it.
    pub(crate) fn xt(family: Family, chain: u16, rule: usize) -> TemplateId {
        let of = if family == Family::V4 { TemplateOf::Iptables } else { TemplateOf::Ip6tables };
        TemplateId { of, within: u32::from(chain), rule: rule as u32 }
    }

    /// A rule of nf_tables, by the handles of its table and its own.
    #[cfg(feature = "nft")]
    pub(crate) fn nft(table: u64, rule: u64) -> TemplateId {
        TemplateId { of: TemplateOf::Nftables, within: table as u32, rule: rule as u32 }
    }

    /// True for a rule of iptables or ip6tables.
    pub(crate) fn is_of(self, family: Family) -> bool {
        let of = if family == Family::V4 { TemplateOf::Iptables } else { TemplateOf::Ip6tables };
        self.of == of
    }
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
