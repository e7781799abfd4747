//! Sets and maps (`struct nft_set`, net/netfilter/nf_tables_api.c, nft_set_*.c): ordered lists of members.

use super::NftError;
use super::data::{Data, DataType};
use super::expr::{Expr, Stateful};
use super::stmt::NftVerdict;
use super::table::{ChainKey, SetKey, TableKey};
use crate::{Instant, Netns};
use std::rc::Rc;

/// What a set is told when it is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetSpec {
    /// What its keys are, part by part.
    pub key: Vec<DataType>,
    /// The expressions of `typeof`, if it was declared by them: of the key, and of a map's data.
    pub typeof_: Option<(Expr, Option<Expr>)>,
    /// What a map leads to.
    pub data: MapData,
    /// `flags constant`
    pub constant: bool,
    /// `flags interval`
    pub interval: bool,
    /// `flags timeout`
    pub timeouts: bool,
    /// `flags dynamic`
    pub dynamic: bool,
    /// `timeout`, in milliseconds
    pub timeout: Option<u64>,
    /// `gc-interval`, in milliseconds
    pub gc_interval: Option<u64>,
    /// `size`
    pub size: Option<u32>,
    /// `policy memory`
    pub memory: bool,
    /// `auto-merge`
    pub auto_merge: bool,
    /// What each member counts.
    pub stateful: Vec<Stateful>,
    /// `comment`
    pub comment: Option<Rc<str>>,
}

impl SetSpec {
    /// True if a set may be declared again in this way: same keys, data, flags and counters.
    pub fn is_like(&self, o: &SetSpec) -> bool {
        let flags = |s: &SetSpec| [s.constant, s.interval, s.timeouts, s.dynamic];
        let counts = self.stateful.len() == o.stateful.len();
        self.key == o.key && self.data == o.data && flags(self) == flags(o) && counts
    }
}

/// What a map leads to; a set to nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum MapData {
    /// It is a set.
    #[default]
    None,
    /// A verdict map.
    Verdict,
    /// Values.
    Values(Vec<DataType>),
}

/// What a member leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ElemData {
    /// A verdict.
    Verdict(NftVerdict),
    /// A value.
    Value(Data),
}

/// A member.
#[derive(Clone, Debug, PartialEq)]
pub struct Elem {
    /// The key, or the first one of a range.
    pub key: Data,
    /// The last one of a range.
    pub end: Option<Data>,
    /// What it leads to.
    pub data: Option<ElemData>,
    /// `comment`
    pub comment: Option<Rc<str>>,
    /// `timeout`, in milliseconds, if it has one of its own.
    pub timeout: Option<u64>,
    /// When it is over.
    pub expires: Option<Instant>,
    /// What it has counted.
    pub state: Vec<Stateful>,
}

impl Elem {
    /// A member that is nothing but a key.
    pub fn new(key: Data) -> Elem {
        Elem { key, end: None, data: None, comment: None, timeout: None, expires: None, state: Vec::new() }
    }

    /// The last key.
    pub fn last(&self) -> &Data {
        self.end.as_ref().unwrap_or(&self.key)
    }

    fn alive(&self, now: Instant) -> bool {
        self.expires.is_none_or(|at| now < at)
    }

    /// The chain to which it leads.
    pub fn chain(&self) -> Option<ChainKey> {
        match self.data {
            Some(ElemData::Verdict(verdict)) => verdict.chain(),
            _ => None,
        }
    }
}

/// A set or map.
#[derive(Clone, Debug, PartialEq)]
pub struct NftSet {
    /// Its name; empty if it is part of a rule.
    pub name: Rc<str>,
    /// What it was told.
    pub spec: SetSpec,
    /// How many rules look into it.
    pub(super) uses: u32,
    /// By their keys.
    elems: Vec<Rc<Elem>>,
}

/// Which set a rule looks into.
#[derive(Clone, Debug, PartialEq)]
pub enum SetRef {
    /// One of the table: its name, and what it leads to.
    Named(SetKey, Rc<str>, Rc<[DataType]>),
    /// Its own.
    Anonymous(Rc<NftSet>),
}

impl SetRef {
    /// The member with that key.
    pub(super) fn lookup(&self, ns: &Netns, table: TableKey, key: &Data, now: Instant) -> Option<Hit> {
        let set = match self {
            SetRef::Named(id, ..) => ns.nft.table_by_key(table)?.set_by_key(*id)?,
            SetRef::Anonymous(set) => set,
        };
        set.lookup(key, now).map(|e| Hit { data: e.data, counts: !e.state.is_empty() })
    }

    /// The table's set that it is.
    pub fn named(&self) -> Option<SetKey> {
        match self {
            SetRef::Named(id, ..) => Some(*id),
            SetRef::Anonymous(_) => None,
        }
    }
}

/// What a lookup found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub data: Option<ElemData>,
    /// The member counts.
    pub counts: bool,
}

impl NftSet {
    /// An empty one.
    pub fn new(name: &str, spec: SetSpec) -> NftSet {
        NftSet { name: name.into(), spec, uses: 0, elems: Vec::new() }
    }

    /// Its members in order. Those that are over may still be among them.
    pub fn elems(&self) -> &[Rc<Elem>] {
        &self.elems
    }

    /// Its members that are not over.
    pub fn alive(&self, now: Instant) -> impl Iterator<Item = &Rc<Elem>> {
        self.elems.iter().filter(move |e| e.alive(now))
    }

    /// What a map's values are.
    pub fn data_types(&self) -> &[DataType] {
        match &self.spec.data {
            MapData::Values(types) => types,
            _ => &[],
        }
    }

    /// It leads to something.
    pub fn is_map(&self) -> bool {
        self.spec.data != MapData::None
    }

    fn is_concat_of_ranges(&self) -> bool {
        self.spec.interval && self.spec.key.len() > 1
    }

    /// `nft_set_do_lookup`
    pub fn lookup(&self, key: &Data, now: Instant) -> Option<&Rc<Elem>> {
        self.place(key, now).and_then(|at| self.elems.get(at))
    }

    fn place(&self, key: &Data, now: Instant) -> Option<usize> {
        if self.is_concat_of_ranges() {
            let parts = key.parts(&self.spec.key);
            return self.elems.iter().position(|e| {
                let (first, last) = (e.key.parts(&self.spec.key), e.last().parts(&self.spec.key));
                let within = |((p, a), b): ((&Data, &Data), &Data)| a <= p && p <= b;
                e.alive(now) && parts.iter().zip(&first).zip(&last).all(within)
            });
        }
        let at = self.elems.partition_point(|e| e.key <= *key).checked_sub(1)?;
        let elem = self.elems.get(at)?;
        let hit = elem.key == *key || elem.end.is_some_and(|end| *key <= end);
        (hit && elem.alive(now)).then_some(at)
    }

    /// `nft_add_set_elem`. With `exclusive` it is an error if there is the same already.
    pub fn add(&mut self, mut elem: Elem, exclusive: bool, now: Instant) -> Result<bool, NftError> {
        self.gc(now);
        if elem.state.is_empty() {
            elem.state = self.spec.stateful.clone();
        }
        if elem.expires.is_none()
            && let Some(ms) = elem.timeout.or(self.spec.timeout)
        {
            elem.expires = Some(Instant(now.0 + ms * 1000));
        }
        if self.spec.auto_merge && !self.is_map() {
            self.merge(&mut elem);
        } else if let Some(at) = self.overlap(&elem) {
            let old = &self.elems[at];
            let same = old.key == elem.key && old.end == elem.end;
            if !same || old.data != elem.data || exclusive {
                return Err(NftError::Exists);
            }
            return Ok(false);
        }
        if self.spec.size.is_some_and(|size| self.elems.len() >= size as usize) {
            return Err(NftError::TooMany);
        }
        // Those that are looked through one by one stand as they came.
        let at = match self.is_concat_of_ranges() {
            true => self.elems.len(),
            false => self.elems.partition_point(|e| e.key < elem.key),
        };
        self.elems.insert(at, Rc::new(elem));
        Ok(true)
    }

    /// What the new member has in common with others becomes one with it (`auto-merge`).
    fn merge(&mut self, elem: &mut Elem) {
        let after = |d: &Data| Data::number(d.as_number().saturating_add(1), d.bytes().len());
        let (mut first, mut last) = (elem.key, *elem.last());
        self.elems.retain(|e| {
            let touches = e.key <= after(&last) && first <= after(e.last());
            if touches {
                first = first.min(e.key);
                last = last.max(*e.last());
            }
            !touches
        });
        (elem.key, elem.end) = (first, (last != first).then_some(last));
    }

    /// A member that has a key in common with this one.
    fn overlap(&self, elem: &Elem) -> Option<usize> {
        if self.is_concat_of_ranges() {
            let types = &self.spec.key;
            // `nft_pipapo_insert` looks only for its first and its last key.
            let ends = [elem.key.parts(types), elem.last().parts(types)];
            return self.elems.iter().position(|e| {
                let (b0, b1) = (e.key.parts(types), e.last().parts(types));
                ends.iter().any(|key| (0..types.len()).all(|i| b0[i] <= key[i] && key[i] <= b1[i]))
            });
        }
        let before = self.elems.partition_point(|e| e.key <= *elem.last());
        let at = before.checked_sub(1)?;
        (elem.key <= *self.elems[at].last()).then_some(at)
    }

    /// `nft_del_setelem`
    pub fn delete(&mut self, elem: &Elem, now: Instant) -> Result<Rc<Elem>, NftError> {
        self.gc(now);
        let at = self.elems.iter().position(|e| e.key == elem.key && e.last() == elem.last());
        let at = at.ok_or(NftError::NotFound)?;
        if elem.data.is_some_and(|d| self.elems[at].data != Some(d)) {
            return Err(NftError::NotFound);
        }
        Ok(self.elems.remove(at))
    }

    /// Takes all members out.
    pub fn flush(&mut self) -> Vec<Rc<Elem>> {
        std::mem::take(&mut self.elems)
    }

    /// Takes those out that are over (`nft_trans_gc`).
    pub fn gc(&mut self, now: Instant) {
        if self.spec.timeouts {
            self.elems.retain(|e| e.alive(now));
        }
    }

    /// `nft_dynset_new`, `nft_rhash_update`: adds a key, or with `refresh` starts the time of one anew. The member's place, unless
    /// the set is full.
    pub(super) fn update(
        &mut self,
        key: Data,
        refresh: bool,
        timeout: Option<u64>,
        extra: (&[Stateful], Option<ElemData>),
        now: Instant,
    ) -> Option<usize> {
        if let Some(at) = self.place(&key, now) {
            if refresh && let Some(elem) = self.elems.get_mut(at) {
                let elem = Rc::make_mut(elem);
                if let Some(ms) = timeout.or(self.spec.timeout) {
                    elem.expires = Some(Instant(now.0 + ms * 1000));
                }
            }
            return Some(at);
        }
        let state = if extra.0.is_empty() { self.spec.stateful.clone() } else { extra.0.to_vec() };
        let elem = Elem { data: extra.1, timeout, state, ..Elem::new(key) };
        // The kernel holds a dynamic set to its size, or to 65535 members.
        let full = self.spec.size.unwrap_or(65535) as usize;
        self.gc(now);
        if self.elems.len() >= full {
            return None;
        }
        self.add(elem, false, now).ok()?;
        self.place(&key, now)
    }

    /// `nft_set_elem_update_expr`: the member with that key counts a packet.
    pub(super) fn count(&mut self, key: &Data, len: usize, now: Instant) {
        if let Some(at) = self.place(key, now) {
            self.count_at(at, len);
        }
    }

    /// The same of the member at a place.
    pub(super) fn count_at(&mut self, at: usize, len: usize) {
        let Some(elem) = self.elems.get_mut(at).filter(|e| !e.state.is_empty()) else { return };
        for state in &mut Rc::make_mut(elem).state {
            if let Stateful::Counter { packets, bytes } = state {
                *packets += 1;
                *bytes += len as u64;
            }
        }
    }

    /// Takes out a key (`delete @set`).
    pub(super) fn remove(&mut self, key: &Data, now: Instant) {
        if let Some(at) = self.place(key, now) {
            self.elems.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(n: u16) -> Data {
        Data::number(u128::from(n), 2)
    }

    fn range(a: u16, b: u16) -> Elem {
        Elem { end: Some(port(b)), ..Elem::new(port(a)) }
    }

    fn ports(interval: bool) -> NftSet {
        NftSet::new("s", SetSpec { key: vec![DataType::InetService], interval, ..SetSpec::default() })
    }

    #[test]
    fn a_range_holds_what_lies_between_its_ends() {
        let mut set = ports(true);
        set.add(range(10, 20), false, Instant(0)).unwrap();
        let found: Vec<u16> = (0..40).filter(|p| set.lookup(&port(*p), Instant(0)).is_some()).collect();
        assert_eq!(found, (10..=20).collect::<Vec<_>>());
        assert_eq!(set.add(range(20, 30), false, Instant(0)), Err(NftError::Exists));
    }

    #[test]
    fn auto_merge_makes_one_range_of_neighbours() {
        let mut set = ports(true);
        set.spec.auto_merge = true;
        for elem in [Elem::new(port(80)), range(100, 200), range(81, 90), range(150, 250)] {
            set.add(elem, false, Instant(0)).unwrap();
        }
        let got: Vec<(u128, u128)> =
            set.elems().iter().map(|e| (e.key.as_number(), e.last().as_number())).collect();
        assert_eq!(got, [(80, 90), (100, 250)]);
    }

    #[test]
    fn a_member_is_over_when_its_time_has_come() {
        let mut set = ports(false);
        set.spec.timeouts = true;
        set.spec.timeout = Some(1000);
        set.add(Elem::new(port(1)), false, Instant(0)).unwrap();
        assert!(set.lookup(&port(1), Instant(999_999)).is_some());
        assert!(set.lookup(&port(1), Instant(1_000_000)).is_none());
    }
}
