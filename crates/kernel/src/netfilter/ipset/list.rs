//! The members of list:set, in the order in which they were put there (net/netfilter/ipset/ip_set_list_set.c).

use super::SetError;
use super::bucket::Slot;
use super::elem::{Elem, Elems};
use super::member::{ElemInfo, Member};
use super::options::SetOptions;
use crate::Instant;

/// Where a set stands: the place of the one behind `before` or `after`.
fn find(list: &[Slot], name: &str, now: Instant) -> Option<usize> {
    list.iter().position(|s| !s.member.gone(now) && &*s.elem.name == name)
}

/// `list_set_uadd`
pub(super) fn add(
    list: &mut Vec<Slot>,
    elems: &Elems,
    info: &ElemInfo,
    options: &SetOptions,
    exist: bool,
    now: Instant,
) -> Result<(), SetError> {
    list.retain(|s| !s.member.gone(now));
    let at = match &elems.place {
        None => list.len(),
        Some((before, name)) => {
            // A set is not next to itself.
            let near = find(list, name, now).filter(|_| *name != elems.name);
            let near = near.ok_or(SetError::ReferenceAbsent)?;
            if *before { near } else { near + 1 }
        }
    };
    if let Some(old) = find(list, &elems.name, now).and_then(|n| list.get_mut(n)) {
        if !exist {
            return Err(SetError::ElemExists);
        }
        old.member.take(info, options, now);
        return Ok(());
    }
    let mut slot = Slot::new(Elem { name: elems.name.clone(), ..Elem::default() });
    slot.member.take(info, options, now);
    list.insert(at, slot);
    Ok(())
}

/// True if the sets stand as `before` or `after` says.
fn stands(list: &[Slot], at: usize, elems: &Elems) -> bool {
    let named = |n: Option<usize>, name: &str| {
        n.and_then(|n| list.get(n)).is_some_and(|s: &Slot| &*s.elem.name == name)
    };
    match &elems.place {
        None => true,
        Some((true, name)) => named(at.checked_add(1), name),
        Some((false, name)) => named(at.checked_sub(1), name),
    }
}

/// `list_set_udel`
pub(super) fn del(list: &mut Vec<Slot>, elems: &Elems, now: Instant) -> Result<(), SetError> {
    list.retain(|s| !s.member.gone(now));
    match find(list, &elems.name, now) {
        Some(at) if stands(list, at, elems) => {
            list.remove(at);
            Ok(())
        }
        None if elems.place.is_none() => Err(SetError::NoElem),
        _ => Err(SetError::ReferenceAbsent),
    }
}

/// `list_set_utest`
pub(super) fn test(list: &[Slot], elems: &Elems, now: Instant) -> bool {
    let there: Vec<Slot> = list.iter().filter(|s| !s.member.gone(now)).cloned().collect();
    find(&there, &elems.name, now).is_some_and(|at| stands(&there, at, elems))
}

/// What a member keeps, by its place.
pub(super) fn member(list: &mut [Slot], at: usize) -> Option<&mut Member> {
    list.get_mut(at).map(|s| &mut s.member)
}
