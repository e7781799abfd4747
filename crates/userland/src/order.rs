//! Sorting whatever it is with one sort.

use std::cmp::Ordering;

/// Sorts; what is equal stays in order. The standard library's sort is made anew for each type, which the page would
/// have to download; this one sorts the places.
pub(crate) fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
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
        swap(place, from);
    }
}

fn places(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..len).collect();
    places.sort_by(|a, b| compare(*a, *b));
    places
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
}
