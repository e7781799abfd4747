//! iptables: tables, chains, rules, matches, targets (net/ipv4/netfilter/ip_tables.c, net/netfilter/x_tables.c).
//!
//! The text form lives in `userland::iptables`; here a rule set is checked data that cannot name a chain that does
//! not exist.

mod do_table;
mod entry;
mod index;
pub mod matches;
mod quiet;
mod rule;
mod table;
pub mod targets;

pub use do_table::ChainEnd;
pub(crate) use do_table::{ipt_do_table, walk_chain};
pub(crate) use entry::Entries;
pub(crate) use quiet::only_policy;
pub use rule::{Check, CheckOf, Counters, IfaceMatch, IpMatch, Neg, PortRange, Rule, Seen};
pub use table::{
    Chain, ChainId, LoadedTable, MatchMemory, Policy, RuleSet, RuleSetError, RuleState, RuleStates, TableId,
};

use crate::Skb;
use std::fmt;

/// A verdict that ends the walk through a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `NF_ACCEPT`
    Accept,
    /// `NF_DROP`
    Drop,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Accept => "ACCEPT",
            Verdict::Drop => "DROP",
        })
    }
}

/// The marks and states that make a locally made packet be routed anew after mangle OUTPUT.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteKey {
    pub src: std::net::IpAddr,
    pub dst: std::net::IpAddr,
    pub tos: u8,
    pub mark: u32,
}

impl RouteKey {
    pub(crate) fn of(skb: &Skb) -> Option<RouteKey> {
        let ip = skb.ip()?;
        Some(RouteKey { src: ip.src, dst: ip.dst, tos: ip.tos, mark: skb.mark })
    }
}
