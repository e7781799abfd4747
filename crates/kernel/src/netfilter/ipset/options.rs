//! What a set is created with.

use super::SetError;
use super::elem::{Addrs, mask};
use super::kind::SetType;
use ::packet::Port;
use std::net::Ipv4Addr;

/// Which bits of the first address a set looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mask {
    /// All of them.
    #[default]
    All,
    /// `netmask N`: the first N.
    Net(u8),
    /// `bitmask ADDRESS`: these.
    Bits(Ipv4Addr),
}

impl Mask {
    /// The bits that are kept.
    pub(super) fn bits(self) -> u32 {
        match self {
            Mask::All => u32::MAX,
            Mask::Net(n) => mask(n),
            Mask::Bits(bits) => bits.to_bits(),
        }
    }

    /// How many addresses count as one; 0 for all there are.
    pub(super) fn hosts(self) -> u32 {
        match self {
            Mask::Net(n) => 1u32.checked_shl(u32::from(32u8.saturating_sub(n))).unwrap_or(0),
            _ => 1,
        }
    }
}

/// What a set was created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOptions {
    /// `hashsize`, a power of two.
    pub hashsize: u32,
    /// `maxelem`
    pub maxelem: u32,
    /// `bucketsize`
    pub bucketsize: u8,
    /// `initval`
    pub initval: u32,
    /// `netmask` or `bitmask`
    pub mask: Mask,
    /// `range` of bitmap:port.
    pub ports: (Port, Port),
    /// `range` of bitmap:ip.
    pub ips: (Ipv4Addr, Ipv4Addr),
    /// `size` of list:set. Nothing looks at it.
    pub size: u32,
    /// `timeout`: for members that do not bring their own, in seconds.
    pub timeout: Option<u32>,
    /// `counters`
    pub counters: bool,
    /// `comment`
    pub comment: bool,
    /// `skbinfo`
    pub skbinfo: bool,
}

impl Default for SetOptions {
    fn default() -> SetOptions {
        SetOptions {
            hashsize: 1024,
            maxelem: 65536,
            bucketsize: 12,
            initval: 0,
            mask: Mask::All,
            ports: (0, Port::MAX),
            ips: (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED),
            size: 8,
            timeout: None,
            counters: false,
            comment: false,
            skbinfo: false,
        }
    }
}

/// The most members of a bitmap (`IPSET_BITMAP_MAX_RANGE` and one).
const BITMAP_MAX: u64 = 0x10000;
/// A table of pointers must stay below 2 GB (`htable_size`).
const HASHSIZE_MAX: u32 = 1 << 27;

impl SetOptions {
    /// `same_set`: `create -exist` accepts a set like this one. The size of the hash may differ.
    pub(super) fn same(&self, other: &SetOptions) -> bool {
        self.maxelem == other.maxelem
            && self.mask.bits() == other.mask.bits()
            && (self.ports, self.ips, self.size) == (other.ports, other.ips, other.size)
            && self.timeout == other.timeout
            && (self.counters, self.comment, self.skbinfo) == (other.counters, other.comment, other.skbinfo)
    }

    /// What the kernel makes of the options (`TYPE_create`): sizes within limits, the ends of a range in order and on the
    /// border of a network.
    pub(super) fn settled(mut self, kind: SetType) -> Result<SetOptions, SetError> {
        self.bucketsize = self.bucketsize.clamp(2, 12).next_multiple_of(2);
        self.size = self.size.max(4);
        if self.mask.bits() == u32::MAX {
            self.mask = Mask::All;
        }
        if self.mask.bits() == 0 {
            return Err(SetError::InvalidNetmask);
        }
        if kind.is_hash() {
            // The kernel takes the next power of two, and at least 64.
            let size = self.hashsize.max(64).checked_next_power_of_two().filter(|n| *n <= HASHSIZE_MAX);
            self.hashsize = size.ok_or(SetError::NoMemory)?;
        }
        if self.ports.0 > self.ports.1 {
            self.ports = (self.ports.1, self.ports.0);
        }
        if kind == SetType::BitmapIp {
            self.settle_ips()?;
        }
        Ok(self)
    }

    /// `bitmap_ip_create`
    fn settle_ips(&mut self) -> Result<(), SetError> {
        let (first, last) = Addrs::Range(self.ips.0, self.ips.1).ends()?;
        let (first, last) = match self.mask {
            Mask::Net(netmask) => (first & mask(netmask), last | !mask(netmask)),
            _ => (first, last),
        };
        self.ips = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
        match self.ip_places() {
            None => Err(SetError::OutOfRange),
            Some(n) if n > BITMAP_MAX => Err(SetError::RangeSize),
            Some(_) => Ok(()),
        }
    }

    /// The members that bitmap:ip has room for. With `netmask` it is the room of the network around the range, which must be
    /// larger than the networks that are its members.
    fn ip_places(&self) -> Option<u64> {
        let (first, last) = (self.ips.0.to_bits(), self.ips.1.to_bits());
        let Mask::Net(netmask) = self.mask else { return Some(u64::from(last - first) + 1) };
        let around = (1..32u8).rev().find(|n| last & mask(*n) == first);
        let around = around.or((first == 0 && last == u32::MAX).then_some(0))?;
        netmask.checked_sub(around).filter(|n| *n > 0).map(|n| 1 << n)
    }

    /// How many members a bitmap has room for.
    pub(super) fn places(&self, kind: SetType) -> usize {
        match kind {
            SetType::BitmapPort => usize::from(self.ports.1 - self.ports.0) + 1,
            _ => usize::try_from(self.ip_places().unwrap_or(0)).unwrap_or(0),
        }
    }
}
