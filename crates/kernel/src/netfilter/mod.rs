//! net/netfilter: hooks, conntrack, NAT and the tables.

pub mod conntrack;
mod core;
mod hold;
pub mod hook;
pub mod ipset;
pub mod ipvs;
pub mod nat;
#[cfg_attr(not(feature = "nft"), allow(dead_code, unused_imports, reason = "nothing makes a table then"))]
pub mod nftables;
pub mod xtables;

pub(crate) use self::core::{nf_hook, nf_hook_of, reinject};
pub use hold::{Hold, OkFn, PacketFilter, Stop, Waiting};
pub(crate) use hold::{Holding, queue_xmit};
