//! ipset: named sets of addresses and ports (net/netfilter/ipset/ip_set_core.c).
//!
//! The texts of members and of errors are `userland::ipset`'s.

mod bucket;
mod elem;
mod hash;
mod kind;
mod list;
mod member;
mod options;
mod packet;
mod set;
mod sets;
#[cfg(test)]
mod tests;

pub use elem::{Addrs, Elem, Elems};
pub use kind::SetType;
pub use member::{Compare, ElemInfo, Member, SkbInfo};
pub use options::{Mask, SetOptions};
pub use packet::{SetCx, SetDirs, SetQuery};
pub use set::IpSet;
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
    /// `destroy`: a rule or a list uses it (`IPSET_ERR_BUSY`).
    Busy,
    /// `rename`: a rule or a list uses it (`IPSET_ERR_REFERENCED`).
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
    /// `skbmark`, `skbprio`, `skbqueue` for a set without (`IPSET_ERR_SKBINFO`).
    NoSkbInfo,
    /// `netmask`, `bitmask` without a bit (`IPSET_ERR_INVALID_NETMASK`).
    InvalidNetmask,
    /// `create`: more members than a bitmap can have (`IPSET_ERR_BITMAP_RANGE_SIZE`).
    RangeSize,
    /// list:set: the set to be added does not exist (`IPSET_ERR_NAME`).
    ListedAbsent,
    /// list:set: a list in a list (`IPSET_ERR_LOOP`).
    Loop,
    /// list:set: the set behind `before` or `after` does not exist (`IPSET_ERR_NAMEREF`).
    NoReference,
    /// list:set: the set behind `before` or `after` is not in the list, or not there (`IPSET_ERR_REF_EXIST`).
    ReferenceAbsent,
    /// `EINVAL`
    Invalid,
    /// `ENOMEM`
    NoMemory,
}
