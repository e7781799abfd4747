//! Sorting and sorted maps for all types with the same code.
//!
//! The standard library's sort and `BTreeMap` are made anew for each type: forty of the one and thirty of the other were a
//! twentieth of the page. These sort places and pointers, and are the same code for all types but for comparing and moving.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test stops at the first surprise"))]

mod map;
mod set;

pub use map::{Entry, Map};
pub use set::Set;
use std::cmp::Ordering;

/// Sorts; what is equal stays in order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, Ord::cmp);
}

/// Sorts by a key; what is equal stays in order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// Sorts; what is equal stays in order.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let order = places(items.len(), &|a, b| match (items.get(a), items.get(b)) {
        (Some(a), Some(b)) => compare(a, b),
        _ => Ordering::Equal,
    });
    swaps(&order, &mut |a, b| items.swap(a, b));
}

/// Brings items into an order by exchanging two at a time. The item that belongs to a place may have been exchanged with
/// that of an earlier place, and then with that of another.
fn swaps(order: &[usize], swap: &mut dyn FnMut(usize, usize)) {
    let at = |place: usize| order.get(place).copied().unwrap_or(place);
    for place in 0..order.len() {
        let mut from = at(place);
        while from < place {
            from = at(from);
        }
        if from != place {
            swap(place, from);
        }
    }
}

/// The places in order: a merge sort, as that of the standard library is much longer. Nothing where all is in order already.
fn places(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    if (1..len).all(|place| compare(place, place - 1) != Ordering::Less) {
        return Vec::new();
    }
    let mut sorted: Vec<usize> = (0..len).collect();
    let mut merged = Vec::with_capacity(len);
    let mut run = 1;
    while run < len {
        for two in sorted.chunks(run * 2) {
            let (mut a, mut b) = two.split_at(run.min(two.len()));
            while let ([first, rest_a @ ..], [second, rest_b @ ..]) = (a, b) {
                if compare(*second, *first) == Ordering::Less {
                    merged.push(*second);
                    b = rest_b;
                } else {
                    merged.push(*first);
                    a = rest_a;
                }
            }
            merged.extend_from_slice(a);
            merged.extend_from_slice(b);
        }
        std::mem::swap(&mut sorted, &mut merged);
        merged.clear();
        run *= 2;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_keep_their_order() {
        let mut words = vec!["pear", "fig", "apple", "nut", "plum", "kiwi", ""];
        sort_by(&mut words, |a, b| a.len().cmp(&b.len()));
        assert_eq!(words, ["", "fig", "nut", "pear", "plum", "kiwi", "apple"]);
    }

    #[test]
    fn any_length_is_sorted_as_the_standard_library_does() {
        for len in 0..70u32 {
            let mut items: Vec<(u32, u32)> = (0..len).map(|n| (n * 37 % 11, n)).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            sort_by_key(&mut items, |(key, _)| *key);
            assert_eq!(items, expected);
        }
    }
}
