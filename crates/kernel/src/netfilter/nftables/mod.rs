//! nf_tables: tables, chains, rules, sets and maps (net/netfilter/nf_tables_api.c, nf_tables_core.c, nft_*.c).
//!
//! The text form lives in `userland::nft`. A rule here is what nft lists: questions and actions in order, whose parts read the
//! packet; the kernel's registers and byte orders are not modelled, what rules see and do is.

mod action;
#[cfg(feature = "nft")]
mod compat;
mod data;
#[cfg(feature = "nft")]
mod do_chain;
mod expr;
mod fib;
mod payload;
mod ruleset;
mod set;
mod stmt;
mod table;

#[cfg(feature = "nft")]
pub use compat::{Xt, XtMatch};
pub use data::{Data, DataType};
#[cfg(feature = "nft")]
pub(crate) use do_chain::nft_do_chain;
pub use expr::{BinaryOp, CtKey, Expr, MetaKey, Stateful, has_ports, state_bit};
pub use fib::{Fib, FibResult};
pub use payload::{Field, Header};
pub use ruleset::{NftBase, Nftables};
pub use set::{Elem, ElemData, MapData, NftSet, SetRef, SetSpec};
pub use stmt::{
    CmpOp, Dynset, DynsetOp, NatFlags, NatKind, NftCheck, NftLimit, NftLog, NftNat, NftVerdict, RejectKind,
    Right, Stmt,
};
pub use table::{
    BaseChain, ChainKey, ChainType, NftChain, NftFamily, NftRule, NftTable, RulePlace, SetKey, TableKey,
};

use std::fmt;

/// Why the kernel refuses a change: an error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NftError {
    /// `ENOENT`
    NotFound,
    /// `EEXIST`
    Exists,
    /// `EBUSY`
    Busy,
    /// `EOPNOTSUPP`
    NotSupported,
    /// `EMLINK`
    TooManyLinks,
    /// `ENFILE`
    TooMany,
    /// `EINVAL`
    Invalid,
}

impl fmt::Display for NftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NftError::NotFound => "No such file or directory",
            NftError::Exists => "File exists",
            NftError::Busy => "Device or resource busy",
            NftError::NotSupported => "Operation not supported",
            NftError::TooManyLinks => "Too many links",
            NftError::TooMany => "Too many open files in system",
            NftError::Invalid => "Invalid argument",
        })
    }
}

/// Without the feature there is no table.
#[cfg(not(feature = "nft"))]
pub(crate) fn nft_do_chain(
    _: &mut crate::Netns,
    _: NftBase,
    _: &mut crate::Skb,
    _: &crate::event::HookCtx,
    _: &mut crate::Cx<'_>,
) -> Result<(), crate::DropReason> {
    Ok(())
}
