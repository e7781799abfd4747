//! One set and its members (net/netfilter/ipset/ip_set_hash_gen.h, ip_set_bitmap_gen.h).

use super::SetError;
use super::elem::{Elem, Elems, SetType, masked};
use crate::Instant;
use ::packet::Port;
use litemap::LiteMap;
use std::time::Duration;

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
    /// `netmask`; 32 without.
    pub netmask: u8,
    /// `range` of a bitmap.
    pub range: (Port, Port),
    /// `timeout`: for members that do not bring their own, in seconds.
    pub timeout: Option<u32>,
    /// `counters`
    pub counters: bool,
    /// `comment`
    pub comment: bool,
}

impl Default for SetOptions {
    fn default() -> SetOptions {
        SetOptions {
            hashsize: 1024,
            maxelem: 65536,
            bucketsize: 12,
            initval: 0,
            netmask: 32,
            range: (0, Port::MAX),
            timeout: None,
            counters: false,
            comment: false,
        }
    }
}

impl SetOptions {
    /// `same_set`: `create -exist` accepts a set like this one. The size of the hash may differ.
    pub(super) fn same(&self, other: &SetOptions) -> bool {
        self.maxelem == other.maxelem
            && self.netmask == other.netmask
            && self.range == other.range
            && self.timeout == other.timeout
            && (self.counters, self.comment) == (other.counters, other.comment)
    }
}

/// What is typed behind a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElemInfo {
    /// `timeout`, in seconds; 0 means for ever.
    pub timeout: Option<u32>,
    /// `packets`
    pub packets: Option<u64>,
    /// `bytes`
    pub bytes: Option<u64>,
    /// `comment`
    pub comment: Option<String>,
    /// `nomatch`
    pub nomatch: bool,
}

/// What a set keeps with a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// When it goes; `None` means never.
    pub expires: Option<Instant>,
    /// Packets that matched, if the set counts.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// `comment`
    pub comment: Option<String>,
    /// It is a hole in a larger network.
    pub nomatch: bool,
}

impl Member {
    /// `ip_set_timeout_expired`
    fn gone(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at < now)
    }
}

/// A set.
#[derive(Clone, Debug)]
pub struct IpSet {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: SetType,
    /// What it was created with.
    pub options: SetOptions,
    members: LiteMap<Elem, Member>,
}

impl IpSet {
    pub(super) fn new(name: &str, kind: SetType, options: SetOptions) -> IpSet {
        IpSet { name: name.to_owned(), kind, options, members: LiteMap::new() }
    }

    /// The members that are there now, by address.
    pub fn members(&self, now: Instant) -> impl Iterator<Item = (&Elem, &Member)> {
        self.members.iter().filter(move |(_, m)| !m.gone(now))
    }

    pub(super) fn flush(&mut self) {
        self.members.clear();
    }

    /// `ip_set_get_extensions`: refuses what the set was not created for.
    fn check_info(&self, info: &ElemInfo) -> Result<(), SetError> {
        if info.timeout.is_some() && self.options.timeout.is_none() {
            return Err(SetError::NoTimeout);
        }
        if (info.packets.is_some() || info.bytes.is_some()) && !self.options.counters {
            return Err(SetError::NoCounters);
        }
        if info.comment.is_some() && !self.options.comment {
            return Err(SetError::NoComment);
        }
        Ok(())
    }

    /// Refuses what the set cannot hold.
    fn check_elem(&self, elem: &Elem) -> Result<(), SetError> {
        let (min, max) = self.options.range;
        match self.kind {
            SetType::BitmapPort if elem.port < min || elem.port > max => Err(SetError::OutOfRange),
            SetType::HashIp if elem.ip.is_unspecified() => Err(SetError::NullElem),
            _ => Ok(()),
        }
    }

    pub(super) fn add(
        &mut self,
        elems: &Elems,
        info: &ElemInfo,
        exist: bool,
        now: Instant,
    ) -> Result<(), SetError> {
        self.check_info(info)?;
        self.check_ends(elems)?;
        let (kind, netmask) = (self.kind, self.options.netmask);
        elems.each(kind, netmask, &mut |elem| match self.add_one(elem, info, exist, now) {
            Err(SetError::ElemExists) if exist => Ok(()),
            done => done,
        })
    }

    /// A bitmap looks at both ends of a range before it takes any of it.
    fn check_ends(&self, elems: &Elems) -> Result<(), SetError> {
        if self.kind == SetType::BitmapPort {
            for port in [elems.ports.0, elems.ports.1] {
                self.check_elem(&Elem { port, ..Elem::ZERO })?;
            }
        }
        Ok(())
    }

    fn add_one(&mut self, elem: Elem, info: &ElemInfo, exist: bool, now: Instant) -> Result<(), SetError> {
        self.check_elem(&elem)?;
        let old = self.members.get(&elem).filter(|m| !m.gone(now));
        if old.is_some() && !exist {
            return Err(SetError::ElemExists);
        }
        if old.is_none() && self.kind != SetType::BitmapPort {
            let max = usize::try_from(self.options.maxelem).unwrap_or(usize::MAX);
            if self.members.len() >= max {
                self.members.retain(|_, m| !m.gone(now));
            }
            if self.members.len() >= max {
                return Err(SetError::HashFull);
            }
        }
        // Counters that are not given stay with -exist; the rest is as new.
        let (packets, bytes) =
            self.members.get(&elem).filter(|m| !m.gone(now)).map_or((0, 0), |m| (m.packets, m.bytes));
        let seconds = info.timeout.or(self.options.timeout).filter(|s| *s > 0);
        let member = Member {
            expires: seconds.map(|s| now + Duration::from_secs(u64::from(s))),
            packets: info.packets.unwrap_or(packets),
            bytes: info.bytes.unwrap_or(bytes),
            comment: info.comment.clone().filter(|c| !c.is_empty()),
            nomatch: info.nomatch,
        };
        self.members.insert(elem, member);
        Ok(())
    }

    pub(super) fn del(&mut self, elems: &Elems, exist: bool, now: Instant) -> Result<(), SetError> {
        self.check_ends(elems)?;
        let (kind, netmask) = (self.kind, self.options.netmask);
        elems.each(kind, netmask, &mut |elem| {
            self.check_elem(&elem)?;
            match self.members.remove(&elem).filter(|m| !m.gone(now)) {
                None if !exist => Err(SetError::NoElem),
                _ => Ok(()),
            }
        })
    }

    /// `test`: with `nomatch` it asks for holes.
    pub(super) fn test(&self, elems: &Elems, nomatch: bool, now: Instant) -> Result<bool, SetError> {
        // A port that a bitmap cannot hold is just not in it.
        let elem = elems.first_of(self.kind, self.options.netmask)?;
        if self.kind == SetType::HashIp {
            self.check_elem(&elem)?;
        }
        let found = self.find(&elem, now).and_then(|at| self.members.get(&at));
        Ok(found.is_some_and(|m| m.nomatch == (nomatch && self.kind.has_nomatch())))
    }

    /// The member that decides: of the networks around an address the smallest (`mtype_test_cidrs`).
    pub(super) fn find(&self, elem: &Elem, now: Instant) -> Option<Elem> {
        let there = |e: &Elem| self.members.get(e).is_some_and(|m| !m.gone(now));
        let first = self.kind.first_is_net() && elem.cidr == 32;
        let second = self.kind == SetType::HashIpPortNet && elem.cidr2 == 32;
        if !first && !second {
            return Some(*elem).filter(there);
        }
        (1..=32u8).rev().map(|cidr| self.shortened(elem, cidr)).find(there)
    }

    fn shortened(&self, elem: &Elem, cidr: u8) -> Elem {
        match self.kind.first_is_net() {
            true => Elem { ip: masked(elem.ip, cidr), cidr, ..*elem },
            false => Elem { ip2: masked(elem.ip2, cidr), cidr2: cidr, ..*elem },
        }
    }

    /// A packet looks for a member: true if it is there and no hole. A member that is found counts the packet, even
    /// as a hole.
    pub(super) fn hit(&mut self, elem: &Elem, bytes: usize, now: Instant) -> bool {
        let counters = self.options.counters;
        let Some(member) = self.find(elem, now).and_then(|at| self.members.get_mut(&at)) else {
            return false;
        };
        if counters {
            member.packets = member.packets.saturating_add(1);
            member.bytes = member.bytes.saturating_add(bytes as u64);
        }
        !member.nomatch
    }
}
