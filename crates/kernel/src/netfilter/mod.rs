//! net/netfilter: hooks, conntrack, NAT and the tables.

pub mod conntrack;
mod core;
pub mod hook;
pub mod ipset;
pub mod ipvs;
pub mod nat;
pub mod nftables;
pub mod xtables;

pub(crate) use self::core::{nf_hook, nf_hook_of};
