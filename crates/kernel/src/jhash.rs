//! Bob Jenkins' hash of 32-bit words, lookup3, which is in the public domain (include/linux/jhash.h).

/// `jhash2`: the hash of these words. Three at a time are mixed in; the last one to three go into the end.
pub(crate) fn jhash2(words: &[u32], initval: u32) -> u32 {
    let length = u32::try_from(words.len()).unwrap_or(u32::MAX) << 2;
    let start = 0xdead_beef_u32.wrapping_add(length).wrapping_add(initval);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = words;
    while let [x, y, z, more @ ..] = rest
        && !more.is_empty()
    {
        (a, b, c) = (a.wrapping_add(*x), b.wrapping_add(*y), c.wrapping_add(*z));
        for (rot_a, rot_b, rot_c) in [(4, 6, 8), (16, 19, 4)] {
            a = a.wrapping_sub(c) ^ c.rotate_left(rot_a);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(rot_b);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(rot_c);
            b = b.wrapping_add(a);
        }
        rest = more;
    }
    let word = |n: usize| rest.get(n).copied().unwrap_or(0);
    (a, b, c) = (a.wrapping_add(word(0)), b.wrapping_add(word(1)), c.wrapping_add(word(2)));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}
