//! The letters of codes: they can be read aloud, and none is taken for another.

/// Crockford's digits.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The letter for the lowest five bits.
pub(super) fn letter(bits: u32) -> char {
    let at = usize::try_from(bits & 31).unwrap_or_default();
    DIGITS.get(at).copied().map_or('0', char::from)
}

/// The five bits of a letter. `None` if it is none of ours.
pub(super) fn value(letter: char) -> Option<u32> {
    let at = DIGITS.iter().position(|d| char::from(*d) == letter)?;
    u32::try_from(at).ok()
}

/// What somebody means who writes this: large letters, and those that look like digits.
pub(super) fn meant(c: char) -> char {
    match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        c => c,
    }
}

/// A number below 1021 that changes with each byte of a text and with their order.
pub(super) fn sum(text: &str) -> u32 {
    text.bytes().fold(7, |sum: u32, b| (sum * 131 + u32::from(b)) % 1021)
}
