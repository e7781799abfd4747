//! All sets of a namespace.

use super::SetError;
use super::elem::Elems;
use super::kind::SetType;
use super::member::ElemInfo;
use super::options::SetOptions;
use super::set::IpSet;
use crate::Instant;

/// The sets of a namespace (`struct ip_set_net`). A set keeps its place in the list; a new one takes the first free.
#[derive(Clone, Debug, Default)]
pub struct IpSets {
    list: Vec<Option<IpSet>>,
}

impl IpSets {
    /// All sets in the order in which ipset lists them: those of type list:set come last, as they refer to others.
    pub fn iter(&self) -> impl Iterator<Item = &IpSet> {
        let (lists, others): (Vec<&IpSet>, Vec<&IpSet>) =
            self.list.iter().flatten().partition(|s| s.kind == SetType::ListSet);
        others.into_iter().chain(lists)
    }

    /// In how many sets of type list:set a set is.
    pub fn listed_in(&self, name: &str) -> usize {
        let members = self.list.iter().flatten().flat_map(IpSet::listed);
        members.filter(|s| &*s.elem.name == name).count()
    }

    /// The set of that name.
    pub fn get(&self, name: &str) -> Option<&IpSet> {
        self.list.iter().flatten().find(|s| s.name == name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut IpSet> {
        self.list.iter_mut().flatten().find(|s| s.name == name)
    }

    fn need(&mut self, name: &str) -> Result<&mut IpSet, SetError> {
        self.get_mut(name).ok_or(SetError::NoSet)
    }

    /// `create`; with `exist` it is no error if there is the same set.
    pub fn create(
        &mut self,
        name: &str,
        kind: SetType,
        options: SetOptions,
        exist: bool,
    ) -> Result<(), SetError> {
        let new = IpSet::new(name, kind, options)?;
        if let Some(old) = self.get(name) {
            let same = old.kind == kind && old.options.same(&new.options);
            return if exist && same { Ok(()) } else { Err(SetError::SetExists) };
        }
        let new = Some(new);
        match self.list.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = new,
            None => self.list.push(new),
        }
        Ok(())
    }

    /// `destroy NAME`; `references` is how many rules and lists use a set.
    pub fn destroy(&mut self, name: &str, references: &dyn Fn(&str) -> usize) -> Result<(), SetError> {
        self.need(name)?;
        if references(name) + self.listed_in(name) > 0 {
            return Err(SetError::Busy);
        }
        let named = |place: &&mut Option<IpSet>| place.as_ref().is_some_and(|s| s.name == name);
        if let Some(place) = self.list.iter_mut().find(named) {
            *place = None;
        }
        Ok(())
    }

    /// `destroy`: all of them, or none if a rule uses one.
    pub fn destroy_all(&mut self, references: &dyn Fn(&str) -> usize) -> Result<(), SetError> {
        if self.iter().any(|s| references(&s.name) + self.listed_in(&s.name) > 0) {
            return Err(SetError::Busy);
        }
        self.list.clear();
        Ok(())
    }

    /// `flush [NAME]`
    pub fn flush(&mut self, name: Option<&str>) -> Result<(), SetError> {
        match name {
            Some(name) => self.need(name)?.flush(),
            None => self.list.iter_mut().flatten().for_each(IpSet::flush),
        }
        Ok(())
    }

    /// `rename OLD NEW`
    pub fn rename(
        &mut self,
        old: &str,
        new: &str,
        references: &dyn Fn(&str) -> usize,
    ) -> Result<(), SetError> {
        let taken = self.get(new).is_some();
        let listed = self.listed_in(old);
        let set = self.need(old)?;
        if references(old) + listed > 0 {
            return Err(SetError::Referenced);
        }
        if taken {
            return Err(SetError::NameTaken);
        }
        set.name = new.to_owned();
        Ok(())
    }

    /// `swap A B`: the contents change places under the names. A rule that names `a` has the other set from now on.
    pub fn swap(&mut self, a: &str, b: &str) -> Result<(), SetError> {
        let place = |sets: &IpSets, name: &str| {
            sets.list.iter().position(|s| s.as_ref().is_some_and(|s| s.name == name))
        };
        let i = place(self, a).ok_or(SetError::NoSet)?;
        let j = place(self, b).ok_or(SetError::NoSecondSet)?;
        let kind = |n: usize| self.list.get(n).and_then(Option::as_ref).map(|s| s.kind);
        if !kind(i).zip(kind(j)).is_some_and(|(a, b)| a.swaps_with(b)) {
            return Err(SetError::TypeMismatch);
        }
        self.list.swap(i, j);
        for (i, name) in [(i, a), (j, b)] {
            if let Some(Some(set)) = self.list.get_mut(i) {
                set.name = name.to_owned();
            }
        }
        Ok(())
    }

    /// `add NAME ...`: one member, or as many as are typed; the first that is refused ends it.
    pub fn add(
        &mut self,
        name: &str,
        elems: &Elems,
        info: &ElemInfo,
        exist: bool,
        now: Instant,
    ) -> Result<(), SetError> {
        let set = self.need(name)?;
        if set.kind == SetType::ListSet {
            set.check_info(info)?;
        }
        self.check_listed(name, elems)?;
        self.need(name)?.add(elems, info, exist, now)
    }

    /// `list_set_uadt`: the sets that a member of list:set names.
    fn check_listed(&self, name: &str, elems: &Elems) -> Result<(), SetError> {
        if self.get(name).is_none_or(|s| s.kind != SetType::ListSet) {
            return Ok(());
        }
        match self.get(&elems.name) {
            None => return Err(SetError::ListedAbsent),
            Some(set) if set.kind == SetType::ListSet => return Err(SetError::Loop),
            Some(_) => {}
        }
        match &elems.place {
            Some((_, near)) if self.get(near).is_none() => Err(SetError::NoReference),
            _ => Ok(()),
        }
    }

    /// `del NAME ...`
    pub fn del(&mut self, name: &str, elems: &Elems, exist: bool, now: Instant) -> Result<(), SetError> {
        self.check_listed(name, elems)?;
        self.need(name)?.del(elems, exist, now)
    }

    /// `test NAME ...`; with `nomatch` it asks for holes.
    pub fn test(&mut self, name: &str, elems: &Elems, nomatch: bool, now: Instant) -> Result<bool, SetError> {
        self.check_listed(name, elems)?;
        self.need(name)?.test(elems, nomatch, now)
    }
}
