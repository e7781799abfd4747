//! The hash by which an address is chosen from a range (include/linux/jhash.h: Bob Jenkins's lookup3, which is in the
//! public domain).

/// `jhash2` of an address as the kernel holds it: four words, of which IPv4 uses the first. The words are read as a
/// little-endian machine reads bytes in network order.
pub(super) fn jhash_addr(addr: u32, initval: u32) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(4 << 2).wrapping_add(initval);
    let (mut a, mut b, mut c) = (start.wrapping_add(addr), start, start);
    // Words 0 to 2 are mixed in, then the last one, which is 0.
    for (rot_a, rot_b, rot_c) in [(4, 6, 8), (16, 19, 4)] {
        a = a.wrapping_sub(c) ^ c.rotate_left(rot_a);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(rot_b);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(rot_c);
        b = b.wrapping_add(a);
    }
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}
