//! One set and its members (net/netfilter/ipset/ip_set_hash_gen.h, ip_set_bitmap_gen.h, ip_set_list_set.c).

use super::bucket::Slot;
use super::elem::{Addrs, Elem, Elems};
use super::hash::HashTable;
use super::kind::SetType;
use super::member::{Count, ElemInfo, Member};
use super::options::SetOptions;
use super::{SetError, list};
use crate::Instant;
use litemap::LiteMap;
use std::net::Ipv4Addr;

/// A set.
#[derive(Clone, Debug)]
pub struct IpSet {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: SetType,
    /// What it was created with. A hash may have grown since: see [`IpSet::hashsize`].
    pub options: SetOptions,
    store: Store,
}

#[derive(Clone, Debug)]
enum Store {
    /// By place in the bitmap. Members that were deleted stay, as their counters do.
    Bitmap(LiteMap<u32, Slot>),
    Hash(Box<HashTable>),
    List(Vec<Slot>),
}

/// What looking for a packet's member gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// It is a hole.
    pub nomatch: bool,
    /// What it keeps.
    pub skbinfo: super::SkbInfo,
}

impl IpSet {
    pub(super) fn new(name: &str, kind: SetType, options: SetOptions) -> Result<IpSet, SetError> {
        let options = options.settled(kind)?;
        let store = match kind {
            SetType::ListSet => Store::List(Vec::new()),
            kind if kind.is_bitmap() => Store::Bitmap(LiteMap::new()),
            kind => Store::Hash(Box::new(HashTable::new(kind, &options))),
        };
        Ok(IpSet { name: name.to_owned(), kind, options, store })
    }

    /// The members that are there now, in the order in which the kernel lists them.
    pub fn members(&self, now: Instant) -> Vec<(&Elem, &Member)> {
        let all: Box<dyn Iterator<Item = &Slot>> = match &self.store {
            Store::Bitmap(map) => Box::new(map.values().filter(|s| s.is_used())),
            Store::Hash(hash) => Box::new(hash.iter()),
            Store::List(list) => Box::new(list.iter()),
        };
        all.filter(|s| !s.member.gone(now)).map(|s| (&s.elem, &s.member)).collect()
    }

    /// How many buckets a hash has now.
    pub fn hashsize(&self) -> u32 {
        if let Store::Hash(hash) = &self.store { hash.size() } else { 0 }
    }

    /// How many members a bucket of a hash may have now.
    pub fn bucketsize(&self) -> u8 {
        if let Store::Hash(hash) = &self.store { hash.bucketsize } else { 0 }
    }

    /// The sets in a list:set.
    pub(super) fn listed(&self) -> &[Slot] {
        if let Store::List(list) = &self.store { list } else { &[] }
    }

    pub(super) fn flush(&mut self) {
        match &mut self.store {
            Store::Bitmap(map) => map.iter_mut().for_each(|(_, s)| s.set_used(false)),
            Store::Hash(hash) => hash.flush(),
            Store::List(list) => list.clear(),
        }
    }

    /// `ip_set_get_extensions`: refuses what the set was not created for.
    pub(super) fn check_info(&self, info: &ElemInfo) -> Result<(), SetError> {
        if info.timeout.is_some() && self.options.timeout.is_none() {
            return Err(SetError::NoTimeout);
        }
        if (info.packets.is_some() || info.bytes.is_some()) && !self.options.counters {
            return Err(SetError::NoCounters);
        }
        if info.comment.is_some() && !self.options.comment {
            return Err(SetError::NoComment);
        }
        if info.skbinfo.is_some() && !self.options.skbinfo {
            return Err(SetError::NoSkbInfo);
        }
        Ok(())
    }

    /// Refuses a member that a bitmap has no place for.
    fn check_elem(&self, elem: &Elem) -> Result<(), SetError> {
        let (ports, ips) = (self.options.ports, self.options.ips);
        match self.kind {
            SetType::BitmapPort if elem.port < ports.0 || elem.port > ports.1 => Err(SetError::OutOfRange),
            SetType::BitmapIp if elem.ip < ips.0 || elem.ip > ips.1 => Err(SetError::OutOfRange),
            _ => Ok(()),
        }
    }

    /// Refuses what the set cannot hold, in the kernel's order: a bitmap of ports looks at the first before it looks at what
    /// is typed behind the member; a bitmap looks at both ends before it takes any of a range; a hash of addresses has no 0.0.0.0.
    fn check(&self, elems: &Elems, info: &ElemInfo) -> Result<(), SetError> {
        let (Addrs::Net(typed, _) | Addrs::Range(typed, _)) = elems.first;
        let port = |port| self.check_elem(&Elem { port, ..Elem::default() });
        let ip = |ip| self.check_elem(&Elem { ip, ..Elem::default() });
        let zero = || typed.to_bits() & self.options.mask.bits() == 0;
        match self.kind {
            SetType::BitmapPort => {
                port(elems.ports.0)?;
                self.check_info(info)?;
                port(elems.ports.1)
            }
            SetType::BitmapIp => {
                self.check_info(info)?;
                ip(typed)?;
                let (from, to) = elems.first.ends()?;
                ip(Ipv4Addr::from_bits(from))?;
                ip(Ipv4Addr::from_bits(to))
            }
            kind => {
                self.check_info(info)?;
                match kind {
                    SetType::HashIp if zero() => Err(SetError::NullElem),
                    SetType::HashIpPort if zero() => Err(SetError::Invalid),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The place of a member in the bitmap.
    fn place(&self, elem: &Elem) -> u32 {
        match self.kind {
            SetType::BitmapPort => u32::from(elem.port),
            _ => elem.ip.to_bits(),
        }
    }

    pub(super) fn add(
        &mut self,
        elems: &Elems,
        info: &ElemInfo,
        exist: bool,
        now: Instant,
    ) -> Result<(), SetError> {
        self.check(elems, info)?;
        if let Store::List(members) = &mut self.store {
            return list::add(members, elems, info, &self.options, exist, now);
        }
        let (kind, options) = (self.kind, self.options.clone());
        elems.each(kind, &options, &mut |elem| match self.add_one(elem, info, exist, true, now) {
            Err(SetError::ElemExists) if exist => Ok(()),
            done => done,
        })
    }

    /// One member. `grow` is false for a packet's.
    pub(super) fn add_one(
        &mut self,
        elem: Elem,
        info: &ElemInfo,
        exist: bool,
        grow: bool,
        now: Instant,
    ) -> Result<(), SetError> {
        self.check_elem(&elem)?;
        let place = self.place(&elem);
        let member = match &mut self.store {
            Store::Hash(hash) => hash.add(elem, &self.options, exist, grow, now)?,
            Store::Bitmap(map) => {
                if !map.contains_key(&place) {
                    map.insert(place, Slot::default());
                }
                let Some(slot) = map.get_mut(&place) else { return Err(SetError::HashFull) };
                if slot.is_used() && !slot.member.gone(now) && !exist {
                    return Err(SetError::ElemExists);
                }
                slot.set_used(true);
                slot.elem = elem;
                &mut slot.member
            }
            Store::List(_) => return Err(SetError::Invalid),
        };
        member.take(info, &self.options, now);
        Ok(())
    }

    pub(super) fn del(&mut self, elems: &Elems, exist: bool, now: Instant) -> Result<(), SetError> {
        if let Store::List(members) = &mut self.store {
            return match list::del(members, elems, now) {
                Err(SetError::NoElem) if exist => Ok(()),
                done => done,
            };
        }
        self.check(elems, &ElemInfo::default())?;
        let (kind, options) = (self.kind, self.options.clone());
        elems.each(kind, &options, &mut |elem| match self.del_one(&elem, now) {
            Err(SetError::NoElem) if exist => Ok(()),
            done => done,
        })
    }

    pub(super) fn del_one(&mut self, elem: &Elem, now: Instant) -> Result<(), SetError> {
        self.check_elem(elem)?;
        let place = self.place(elem);
        let there = match &mut self.store {
            Store::Hash(hash) => hash.del(elem, now),
            Store::Bitmap(map) => match map.get_mut(&place).filter(|s| s.is_used()) {
                Some(slot) => {
                    slot.set_used(false);
                    !slot.member.gone(now)
                }
                None => false,
            },
            Store::List(_) => false,
        };
        if there { Ok(()) } else { Err(SetError::NoElem) }
    }

    /// `test`: with `nomatch` it asks for holes.
    pub(super) fn test(&mut self, elems: &Elems, nomatch: bool, now: Instant) -> Result<bool, SetError> {
        if let Store::List(members) = &self.store {
            return Ok(list::test(members, elems, now));
        }
        let elem = elems.first_of(self.kind, &self.options)?;
        self.check_elem(&elem)?;
        let found = self.find(&elem, &Count { skip: true, ..Count::default() }, now);
        Ok(found.is_some_and(|f| f.nomatch == (nomatch && self.kind.has_nomatch())))
    }

    /// The member that decides about what a packet brings. It counts the packet, even as a hole.
    pub(super) fn find(&mut self, elem: &Elem, count: &Count, now: Instant) -> Option<Found> {
        let place = self.place(elem);
        let options = &self.options;
        let mut found = None;
        let mut one = |slot: &mut Slot| {
            if !slot.member.matches(options, count, now) {
                return None;
            }
            found = Some(Found { nomatch: slot.member.nomatch, skbinfo: slot.member.skbinfo });
            Some(true)
        };
        match &mut self.store {
            Store::Hash(hash) => {
                hash.find(elem, &mut one);
            }
            Store::Bitmap(map) => {
                map.get_mut(&place).filter(|s| s.is_used()).and_then(&mut one);
            }
            Store::List(_) => {}
        }
        found
    }

    /// A member of list:set whose set has the packet: counts it.
    pub(super) fn find_listed(&mut self, at: usize, count: &Count, now: Instant) -> Option<Found> {
        let Store::List(members) = &mut self.store else { return None };
        let member = list::member(members, at)?;
        let there = member.matches(&self.options, count, now);
        there.then_some(Found { nomatch: false, skbinfo: member.skbinfo })
    }

    /// The longest prefix among the members.
    pub(super) fn longest_net(&self) -> Option<u8> {
        if let Store::Hash(hash) = &self.store { hash.longest_net() } else { None }
    }

    /// What Linux 6.18 on a machine of 64 bits reports as the set's memory (`mtype_memsize`, `mtype_ahash_memsize`).
    pub fn memory(&self, now: Instant) -> usize {
        let o = &self.options;
        let mut extensions = 0;
        for (on, bytes) in [(o.timeout.is_some(), 8), (o.counters, 16), (o.comment, 8), (o.skbinfo, 16)] {
            extensions += if on { bytes } else { 0 };
        }
        // Only skbinfo does with an alignment of 4.
        let wide = o.timeout.is_some() || o.counters || o.comment;
        // The empty set, and the bytes of an element.
        let (empty, element) = match self.kind {
            SetType::BitmapIp => (88, 0),
            SetType::BitmapPort => (72, 0),
            SetType::HashIp => (192, 4),
            SetType::HashIpPort => (192, 8),
            SetType::HashIpPortIp => (184, 12),
            SetType::HashIpPortNet => (440, 12),
            SetType::HashNet | SetType::HashNetPort => (432, 8),
            SetType::HashNetIface => (464, 28),
            SetType::ListSet => (80, 48),
        };
        let size = match wide {
            true => (usize::next_multiple_of(element, 8) + extensions).next_multiple_of(8),
            false => element + extensions,
        };
        let texts = self.members(now).into_iter().filter_map(|(_, m)| m.comment.as_ref());
        // A comment is kept with a header of 16 bytes and a NUL.
        let texts: usize = texts.map(|text| 17 + text.len()).sum();
        let members = match &self.store {
            Store::Bitmap(_) => {
                let places = o.places(self.kind);
                places.div_ceil(64) * 8 + places * size
            }
            Store::Hash(hash) => hash.memory(size),
            Store::List(list) => list.len() * size.next_multiple_of(8),
        };
        empty + members + texts
    }
}
