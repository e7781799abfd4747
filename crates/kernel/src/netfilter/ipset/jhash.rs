//! Bob Jenkins' hash of 32-bit words, lookup3 (`jhash2`, include/linux/jhash.h).

const START: u32 = 0xdead_beef;

/// The hash of one, two or three words.
pub(super) fn jhash2(words: &[u32], initval: u32) -> u32 {
    let length = u32::try_from(words.len()).unwrap_or(u32::MAX) << 2;
    let start = START.wrapping_add(length).wrapping_add(initval);
    let word = |n: usize| start.wrapping_add(words.get(n).copied().unwrap_or(0));
    let (mut a, mut b, mut c) = (word(0), word(1), word(2));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}
