//! The table of a hash (net/netfilter/ipset/ip_set_hash_gen.h): buckets with room for some members each, and their order.

use super::SetError;
use super::bucket::{Bucket, STEP, Slot};
use super::elem::Elem;
use super::kind::SetType;
use super::member::Member;
use super::options::SetOptions;
use crate::Instant;
use crate::jhash::jhash2;
use litemap::LiteMap;
use std::cmp::Reverse;

/// A set has no more members than this, whatever its `maxelem`.
const ELEMENTS_MAX: u32 = 1 << 18;
/// What a bucket of hash:net,iface may grow to (`AHASH_MAX_TUNED`).
const TUNED_MAX: u8 = 64;
/// A region of the table has 1024 buckets (`HTABLE_REGION_BITS`) and a share of `maxelem`.
const REGION_BITS: u32 = 10;
const REGION_MASK: u32 = (1 << REGION_BITS) - 1;

/// A hash and its members.
#[derive(Clone, Debug)]
pub(super) struct HashTable {
    kind: SetType,
    bits: u32,
    initval: u32,
    /// Members that a bucket takes before the table grows.
    pub bucketsize: u8,
    /// The regions that have been used.
    regions: LiteMap<u32, Region>,
    /// The prefix lengths that there are, the longest first, and of how many members.
    nets: LiteMap<Reverse<u8>, u32>,
    /// How often buckets were made or grew, and the places that they got (`ext_size`). One that grew and goes leaves the
    /// rest behind.
    grown: (usize, usize),
}

/// A part of the table (`struct ip_set_region`). A bucket without places is one that does not exist.
#[derive(Clone, Debug, Default)]
struct Region {
    /// Members, gone ones too.
    count: u32,
    buckets: Vec<Bucket>,
}

/// A bucket that exists.
fn bucket(regions: &mut LiteMap<u32, Region>, key: u32) -> Option<&mut Bucket> {
    let region = regions.get_mut(&(key >> REGION_BITS))?;
    region.buckets.get_mut((key & REGION_MASK) as usize).filter(|b| !b.slots.is_empty())
}

/// Where a new member goes.
enum Place {
    At(usize),
    /// The bucket is full: the table has to grow.
    Grow,
}

impl HashTable {
    pub fn new(kind: SetType, o: &SetOptions) -> HashTable {
        HashTable {
            kind,
            bits: o.hashsize.trailing_zeros(),
            initval: o.initval,
            bucketsize: o.bucketsize,
            regions: LiteMap::new(),
            nets: LiteMap::new(),
            grown: (0, 0),
        }
    }

    fn note_less(&mut self, places: usize) {
        self.grown = (self.grown.0.saturating_sub(1), self.grown.1.saturating_sub(places));
    }

    /// `hashsize`
    pub fn size(&self) -> u32 {
        1u32.checked_shl(self.bits).unwrap_or(u32::MAX)
    }

    /// All members by bucket, gone ones too.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.regions.values().flat_map(|r| &r.buckets).flat_map(Bucket::used)
    }

    /// `HKEY`: the bucket of a member. The words are the member's bytes as the kernel has them in memory.
    fn key(&self, e: &Elem) -> u32 {
        let [hi, lo] = e.port.to_be_bytes();
        let proto = e.proto.0;
        let ip = u32::from_le_bytes(e.ip.octets());
        let ip2 = u32::from_le_bytes(e.ip2.octets());
        let word = u32::from_le_bytes;
        let packed = |cidr: u8| cidr.wrapping_sub(1) & 0x7f;
        let words = match self.kind {
            SetType::HashIpPort => [ip, word([hi, lo, proto, 0]), 0],
            SetType::HashIpPortIp => [ip, ip2, word([hi, lo, proto, 0])],
            SetType::HashIpPortNet => [ip, ip2, word([hi, lo, packed(e.cidr2), proto])],
            SetType::HashNet => [ip, word([0, 0, 0, e.cidr]), 0],
            SetType::HashNetPort => [ip, word([hi, lo, proto, packed(e.cidr)]), 0],
            SetType::HashNetIface => [ip, word([u8::from(e.physdev), e.cidr, 0, 1]), 0],
            _ => [ip, 0, 0],
        };
        let length = match self.kind {
            SetType::HashIp => 1,
            SetType::HashIpPortIp | SetType::HashIpPortNet => 3,
            _ => 2,
        };
        jhash2(words.get(..length).unwrap_or(&words), self.initval) & self.size().wrapping_sub(1)
    }

    /// How many regions the table has.
    fn shares(&self) -> u32 {
        1u32.checked_shl(self.bits.saturating_sub(REGION_BITS)).unwrap_or(1)
    }

    fn count(&mut self, key: u32, add: bool) {
        if let Some(region) = self.regions.get_mut(&(key >> REGION_BITS)) {
            region.count = if add { region.count + 1 } else { region.count.saturating_sub(1) };
        }
    }

    /// Makes a bucket that does not exist yet.
    fn make(&mut self, key: u32, bucket: Bucket) {
        let region = key >> REGION_BITS;
        if !self.regions.contains_key(&region) {
            let buckets = vec![Bucket::default(); self.size().min(REGION_MASK + 1) as usize];
            self.regions.insert(region, Region { count: 0, buckets });
        }
        let regions = self.regions.get_mut(&region);
        if let Some(place) = regions.and_then(|r| r.buckets.get_mut((key & REGION_MASK) as usize)) {
            *place = bucket;
        }
    }

    /// `mtype_add_cidr`, `mtype_del_cidr`
    fn note_net(&mut self, cidr: u8, add: bool) {
        if !self.kind.has_nomatch() {
            return;
        }
        let count = self.nets.get(&Reverse(cidr)).copied().unwrap_or(0);
        match (add, count) {
            (true, n) => self.nets.insert(Reverse(cidr), n + 1),
            (false, 0 | 1) => self.nets.remove(&Reverse(cidr)),
            (false, n) => self.nets.insert(Reverse(cidr), n - 1),
        };
    }

    /// The longest prefix that there is.
    pub fn longest_net(&self) -> Option<u8> {
        self.nets.keys().next().map(|r| r.0)
    }

    /// `mtype_add`: the place where a member is now, new or as it was. `grow` is false for a packet, which cannot wait for the
    /// table to grow.
    pub fn add(
        &mut self,
        elem: Elem,
        o: &SetOptions,
        exist: bool,
        grow: bool,
        now: Instant,
    ) -> Result<&mut Member, SetError> {
        loop {
            let key = self.key(&elem);
            match self.place(key, &elem, o, exist, now)? {
                Place::At(n) => {
                    let slot = bucket(&mut self.regions, key).and_then(|b| b.slots.get_mut(n));
                    return slot.map(|s| &mut s.member).ok_or(SetError::HashFull);
                }
                Place::Grow if grow => self.resize(now)?,
                Place::Grow => return Err(SetError::HashFull),
            }
        }
    }

    fn place(
        &mut self,
        key: u32,
        elem: &Elem,
        o: &SetOptions,
        exist: bool,
        now: Instant,
    ) -> Result<Place, SetError> {
        let region = key >> REGION_BITS;
        let mut elements = self.regions.get(&region).map_or(0, |r| r.count);
        let mut max = o.maxelem / self.shares();
        if elements >= max {
            if o.timeout.is_some() {
                self.collect(region, now);
            }
            max = o.maxelem;
            elements = self.regions.values().map(|r| r.count).sum();
        }
        let full = elements >= max;
        if !full && elements >= ELEMENTS_MAX {
            return Err(SetError::NoMemory);
        }
        let Some(bucket) = bucket(&mut self.regions, key) else {
            if full {
                return Err(SetError::HashFull);
            }
            let mut slots = vec![Slot::new(elem.clone())];
            slots.resize(STEP, Slot::default());
            self.make(key, Bucket { slots, pos: 1 });
            self.grown = (self.grown.0 + 1, self.grown.1 + STEP);
            return Ok(self.added(key, elem, 0));
        };
        let (mut reuse, mut near) = (None, 0);
        for (n, slot) in bucket.slots.iter().take(bucket.pos).enumerate() {
            if !slot.is_used() {
                reuse = reuse.or(Some(n));
                continue;
            }
            let gone = slot.member.gone(now);
            if slot.elem.equals(elem, &mut near) {
                return if exist || gone { Ok(Place::At(n)) } else { Err(SetError::ElemExists) };
            }
            if gone {
                reuse = reuse.or(Some(n));
            }
        }
        let at = match reuse {
            Some(n) => n,
            None if full => return Err(SetError::HashFull),
            None => {
                if bucket.pos >= bucket.slots.len() {
                    // Members that differ in the device only are always in the same bucket.
                    if self.kind == SetType::HashNetIface {
                        if self.bucketsize >= TUNED_MAX {
                            return Err(SetError::HashFull);
                        }
                        if near >= u32::from(self.bucketsize) {
                            self.bucketsize += 2;
                        }
                    }
                    if bucket.slots.len() >= usize::from(self.bucketsize) {
                        return Ok(Place::Grow);
                    }
                    bucket.slots.resize(bucket.slots.len() + STEP, Slot::default());
                    self.grown = (self.grown.0 + 1, self.grown.1 + STEP);
                }
                bucket.pos += 1;
                bucket.pos - 1
            }
        };
        let mut replaced = None;
        if let Some(slot) = bucket.slots.get_mut(at) {
            if slot.is_used() {
                replaced = Some(slot.elem.net(self.kind));
            }
            // Counters of the member before it stay: nobody clears them.
            slot.set_used(true);
            slot.elem = elem.clone();
        }
        if let Some(net) = replaced {
            self.note_net(net, false);
            self.count(key, false);
        }
        Ok(self.added(key, elem, at))
    }

    fn added(&mut self, key: u32, elem: &Elem, at: usize) -> Place {
        self.count(key, true);
        self.note_net(elem.net(self.kind), true);
        Place::At(at)
    }

    /// `mtype_del`: false if it was not there.
    pub fn del(&mut self, elem: &Elem, now: Instant) -> bool {
        let key = self.key(elem);
        let Some(bucket) = bucket(&mut self.regions, key) else { return false };
        let mut near = 0;
        let found =
            bucket.slots.iter().take(bucket.pos).position(|s| s.is_used() && s.elem.equals(elem, &mut near));
        let Some(at) = found else { return false };
        let Some(slot) = bucket.slots.get_mut(at) else { return false };
        slot.set_used(false);
        let (gone, net) = (slot.member.gone(now), slot.elem.net(self.kind));
        if at + 1 == bucket.pos {
            bucket.pos -= 1;
        }
        let (unused, room) = (bucket.pos - bucket.used().count(), bucket.slots.len());
        if unused == bucket.pos {
            *bucket = Bucket::default();
            self.note_less(room);
        } else if unused >= STEP {
            bucket.shrink();
            self.note_less(STEP);
        }
        self.count(key, false);
        self.note_net(net, false);
        !gone
    }

    /// `mtype_flush`. The table keeps its size.
    pub fn flush(&mut self) {
        (self.regions, self.nets) = (LiteMap::new(), LiteMap::new());
        self.grown = (0, 0);
    }

    /// `mtype_gc_do`: takes away the members of a region whose time is over.
    fn collect(&mut self, region: u32, now: Instant) {
        let (mut gone, mut less) = (Vec::new(), Vec::new());
        let Some(buckets) = self.regions.get_mut(&region).map(|r| &mut r.buckets) else { return };
        for bucket in buckets.iter_mut().filter(|b| !b.slots.is_empty()) {
            let before = gone.len();
            for slot in bucket.slots.iter_mut().filter(|s| s.is_used() && s.member.gone(now)) {
                slot.set_used(false);
                gone.push(slot.elem.net(self.kind));
            }
            let free = bucket.pos - bucket.used().count();
            if bucket.used().next().is_none() {
                less.push(bucket.slots.len());
                *bucket = Bucket::default();
            } else if gone.len() > before && free >= STEP {
                bucket.shrink();
                less.push(STEP);
            }
        }
        for places in less {
            self.note_less(places);
        }
        for net in gone {
            self.count(region << REGION_BITS, false);
            self.note_net(net, false);
        }
    }

    /// `mtype_resize`: a table twice as large, or still larger if a bucket does not suffice.
    fn resize(&mut self, now: Instant) -> Result<(), SetError> {
        let mut new = self.clone();
        loop {
            new.bits += 1;
            if new.bits > 27 {
                return Err(SetError::HashFull);
            }
            new.flush();
            if self.iter().filter(|s| !s.member.gone(now)).all(|slot| new.move_in(slot)) {
                break;
            }
        }
        for slot in self.iter().filter(|s| !s.member.gone(now)) {
            new.note_net(slot.elem.net(self.kind), true);
        }
        *self = new;
        Ok(())
    }

    fn move_in(&mut self, slot: &Slot) -> bool {
        let key = self.key(&slot.elem);
        let max = usize::from(self.bucketsize);
        if bucket(&mut self.regions, key).is_none() {
            self.grown = (self.grown.0 + 1, self.grown.1 + STEP);
            self.make(key, Bucket { slots: vec![Slot::default(); STEP], pos: 0 });
        }
        let Some(bucket) = bucket(&mut self.regions, key) else { return false };
        if bucket.pos >= bucket.slots.len() {
            if bucket.slots.len() >= max {
                return false;
            }
            bucket.slots.resize(bucket.slots.len() + STEP, Slot::default());
            self.grown = (self.grown.0 + 1, self.grown.1 + STEP);
        }
        if let Some(place) = bucket.slots.get_mut(bucket.pos) {
            *place = slot.clone();
        }
        bucket.pos += 1;
        self.count(key, true);
        true
    }

    /// `mtype_test`: the member that decides, if `counts` lets it.
    pub fn find(&mut self, elem: &Elem, one: &mut dyn FnMut(&mut Slot) -> Option<bool>) -> Option<bool> {
        if !self.kind.has_nomatch() || elem.net(self.kind) != 32 {
            return self.find_in(elem, one).0;
        }
        // The smallest network around it; one that differs in the device alone ends the search.
        let nets: Vec<u8> = self.nets.keys().map(|r| r.0).collect();
        for cidr in nets {
            let (found, near) = self.find_in(&elem.shortened(self.kind, cidr), one);
            if found.is_some() || near {
                return found;
            }
        }
        None
    }

    fn find_in(
        &mut self,
        elem: &Elem,
        one: &mut dyn FnMut(&mut Slot) -> Option<bool>,
    ) -> (Option<bool>, bool) {
        let key = self.key(elem);
        let Some(bucket) = bucket(&mut self.regions, key) else { return (None, false) };
        let mut near = 0;
        for slot in bucket.slots.iter_mut().take(bucket.pos).filter(|s| s.is_used()) {
            if !slot.elem.equals(elem, &mut near) {
                continue;
            }
            if let Some(found) = one(slot) {
                return (Some(found), true);
            }
            near = 0;
        }
        (None, near > 0 && self.kind == SetType::HashNetIface)
    }

    /// Bytes of its regions and buckets, for members of `size` bytes (`mtype_ahash_memsize`).
    pub fn memory(&self, size: usize) -> usize {
        24 * self.shares() as usize + self.grown.0 * 32 + self.grown.1 * size
    }
}
