//! ipset: named sets of addresses and ports (net/netfilter/ipset/ip_set_core.c).
//!
//! The texts of members and of errors are `userland::ipset`'s.

mod elem;
mod packet;
mod set;
mod sets;
#[cfg(test)]
mod tests;

pub use elem::{Addrs, Elem, Elems, SetType};
pub use packet::SetDirs;
pub use set::{ElemInfo, IpSet, Member, SetOptions};
pub use sets::IpSets;

/// Why ipset refuses (`enum ipset_errno`, include/uapi/linux/netfilter/ipset/ip_set.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// `create`: there is a set of that name, and it is not the same.
    SetExists,
    /// There is no such set.
    NoSet,
    /// `swap`: there is no second set.
    NoSecondSet,
    /// `destroy`: a rule uses it (`IPSET_ERR_BUSY`).
    Busy,
    /// `rename`: a rule uses it (`IPSET_ERR_REFERENCED`).
    Referenced,
    /// `rename`: the new name is taken (`IPSET_ERR_EXIST_SETNAME2`).
    NameTaken,
    /// `swap`: sets of different types (`IPSET_ERR_TYPE_MISMATCH`).
    TypeMismatch,
    /// `add`: it is a member (`IPSET_ERR_EXIST`).
    ElemExists,
    /// `del`: it is no member.
    NoElem,
    /// `add`: `maxelem` is reached (`IPSET_ERR_HASH_FULL`).
    HashFull,
    /// The address 0.0.0.0 in a hash of addresses (`IPSET_ERR_HASH_ELEM`).
    NullElem,
    /// A prefix length that cannot be stored (`IPSET_ERR_INVALID_CIDR`).
    InvalidCidr,
    /// A range of networks that is everything (`IPSET_ERR_HASH_RANGE`).
    HashRange,
    /// Protocol 0 (`IPSET_ERR_INVALID_PROTO`).
    InvalidProto,
    /// A port outside of a bitmap (`IPSET_ERR_BITMAP_RANGE`).
    OutOfRange,
    /// `timeout` for a set without (`IPSET_ERR_TIMEOUT`).
    NoTimeout,
    /// `packets`, `bytes` for a set without (`IPSET_ERR_COUNTER`).
    NoCounters,
    /// `comment` for a set without (`IPSET_ERR_COMMENT`).
    NoComment,
}
