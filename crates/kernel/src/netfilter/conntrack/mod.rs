//! Connection tracking (net/netfilter/nf_conntrack_*.c).

mod clash;
mod confirm;
mod core;
mod ctnetlink;
mod due;
mod expect;
mod expect_table;
mod hash;
mod helper;
mod log;
mod proto;
mod sctp;
mod seqadj;
mod settings;
mod slab;
mod table;
mod tcp;
mod tcp_state;
mod tcp_window;
mod timeout;
mod tuple;
mod zone;

pub(crate) use confirm::{confirm, ct_kill, nf_confirm};
pub(crate) use core::{attach, ct_probe, nf_conntrack_in, set_closing};
pub use ctnetlink::{Change, NewEntry};
pub use expect::{Expect, ExpectNat, ExpectRow};
pub(crate) use expect::{Unexpected, nf_ct_expect_related};
pub(crate) use expect::{expire as expire_expectations, flush as flush_expectations};
pub(crate) use hash::hash_by_src;
pub(crate) use helper::FtpType;
pub use helper::{FtpLines, Helper, HelperKind};
pub(crate) use helper::{nf_ct_helper_drop, try_assign_helper};
pub use sctp::{SctpState, SctpTrack};
pub(crate) use seqadj::nf_ct_seqadj_set;
pub use seqadj::{SeqAdjust, SeqAdjusts};
pub use settings::{CtSettings, Limits, UNUSED as UNUSED_SETTINGS};
pub use table::{Conn, Conntrack, CtCounter, CtStats, CtWork, Row};
pub use tcp::{TcpPeer, TcpTrack, flag as tcp_flag};
pub use tcp_state::TcpState;
pub use timeout::Timeouts;
pub use tuple::{Direction, L4Key, Tuple};
pub use zone::{EventMask, Template, TemplateId, Zone};

use std::fmt;

/// What `--ctstate` sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CtState {
    /// First packet of a flow that has no answer yet.
    New,
    /// The flow has been answered, or this is the answer.
    Established,
    /// Belongs to another flow: an expected connection, or an ICMP error.
    Related,
    /// No entry.
    Invalid,
    /// Tracking was turned off for the packet.
    Untracked,
}

impl CtState {
    /// The word used by iptables.
    pub fn name(self) -> &'static str {
        match self {
            CtState::New => "NEW",
            CtState::Established => "ESTABLISHED",
            CtState::Related => "RELATED",
            CtState::Invalid => "INVALID",
            CtState::Untracked => "UNTRACKED",
        }
    }
}

impl fmt::Display for CtState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a packet relates to its entry (`enum ip_conntrack_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnInfo {
    /// New, established or related.
    pub state: CtState,
    /// Direction.
    pub dir: Direction,
}

/// What a message about an entry may be about (`enum ip_conntrack_events`).
pub mod ipct {
    /// `IPCT_NEW`: it is in the table.
    pub const NEW: u16 = 1;
    /// `IPCT_RELATED`: the same of an expected one.
    pub const RELATED: u16 = 1 << 1;
    /// `IPCT_DESTROY`
    pub const DESTROY: u16 = 1 << 2;
    /// `IPCT_REPLY`: it has been answered.
    pub const REPLY: u16 = 1 << 3;
    /// `IPCT_ASSURED`
    pub const ASSURED: u16 = 1 << 4;
    /// `IPCT_PROTOINFO`: the state of its protocol.
    pub const PROTOINFO: u16 = 1 << 5;
    /// `IPCT_HELPER`
    pub const HELPER: u16 = 1 << 6;
    /// `IPCT_MARK`
    pub const MARK: u16 = 1 << 7;
}

/// Status bits of an entry (include/uapi/linux/netfilter/nf_conntrack_common.h).
pub mod status {
    /// `IPS_EXPECTED`
    pub const EXPECTED: u32 = 1;
    /// `IPS_SEEN_REPLY`
    pub const SEEN_REPLY: u32 = 1 << 1;
    /// `IPS_ASSURED`
    pub const ASSURED: u32 = 1 << 2;
    /// `IPS_CONFIRMED`
    pub const CONFIRMED: u32 = 1 << 3;
    /// `IPS_SRC_NAT`
    pub const SRC_NAT: u32 = 1 << 4;
    /// `IPS_DST_NAT`
    pub const DST_NAT: u32 = 1 << 5;
    /// `IPS_SEQ_ADJUST`
    pub const SEQ_ADJUST: u32 = 1 << 6;
    /// `IPS_SRC_NAT_DONE`
    pub const SRC_NAT_DONE: u32 = 1 << 7;
    /// `IPS_DST_NAT_DONE`
    pub const DST_NAT_DONE: u32 = 1 << 8;
    /// `IPS_DYING`
    pub const DYING: u32 = 1 << 9;
    /// `IPS_FIXED_TIMEOUT`
    pub const FIXED_TIMEOUT: u32 = 1 << 10;
    /// `IPS_NAT_CLASH`: in the table in its reply direction alone, as another entry has its other tuple.
    pub const NAT_CLASH: u32 = 1 << 12;
    /// `IPS_HELPER`: a rule gave it its helper.
    pub const HELPER: u32 = 1 << 13;

    /// Either direction is translated (`IPS_NAT_MASK`).
    pub const NAT_MASK: u32 = SRC_NAT | DST_NAT;

    const NAMES: [&str; 14] = [
        "EXPECTED",
        "SEEN_REPLY",
        "ASSURED",
        "CONFIRMED",
        "SRC_NAT",
        "DST_NAT",
        "SEQ_ADJUST",
        "SRC_NAT_DONE",
        "DST_NAT_DONE",
        "DYING",
        "FIXED_TIMEOUT",
        "TEMPLATE",
        "UNTRACKED",
        "HELPER",
    ];

    /// The names of the bits that are set, lowest first, as in the header that programs read: there [`NAT_CLASH`] is `UNTRACKED`.
    pub fn names(status: u32) -> Vec<&'static str> {
        NAMES.iter().enumerate().filter(|(i, _)| status >> i & 1 == 1).map(|(_, n)| *n).collect()
    }
}
