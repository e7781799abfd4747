//! Numbers as the tools read them.

/// A number of one word in a range: decimal, `0x` hexadecimal or `0` octal, as C's `strtoul` with base 0 reads it.
pub(crate) fn unsigned(text: &str, min: u64, max: u64) -> Option<u64> {
    let (radix, digits) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (16, hex),
        None if text.len() > 1 && text.starts_with('0') => (8, text.get(1..)?),
        None => (10, text),
    };
    // `from_str_radix` would take a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let n = u64::from_str_radix(digits, radix).ok()?;
    (min <= n && n <= max).then_some(n)
}

/// As [`unsigned`], for 32 bits.
pub(crate) fn u32_of(text: &str) -> Option<u32> {
    unsigned(text, 0, u64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok())
}

/// Why a mark is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadMark {
    /// No number of 32 bits.
    Number,
    /// Something behind the number.
    Garbage,
}

/// `VALUE[/MASK]`; without a mask it is all ones.
pub(crate) fn value_mask(text: &str) -> Result<(u32, u32), BadMark> {
    let (value, rest) = leading(text).ok_or(BadMark::Number)?;
    let (mask, rest) = match rest.strip_prefix('/') {
        Some(mask) => leading(mask).ok_or(BadMark::Number)?,
        None => (u32::MAX, rest),
    };
    if rest.is_empty() { Ok((value, mask)) } else { Err(BadMark::Garbage) }
}

/// The number of 32 bits at the beginning, and what follows it.
pub(crate) fn leading(text: &str) -> Option<(u32, &str)> {
    let (radix, skip) = match text.as_bytes() {
        [b'0', b'x' | b'X', d, ..] if d.is_ascii_hexdigit() => (16, 2),
        [b'0', ..] => (8, 0),
        _ => (10, 0),
    };
    let digits = text.get(skip..)?;
    let len = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(len)?;
    Some((u32::from_str_radix(digits, radix).ok()?, rest))
}

/// How many binary digits the kernel keeps of a probability.
const PROBABILITY_BITS: u32 = 31;
/// How many decimal digits iptables prints of it.
const PROBABILITY_DIGITS: usize = 11;
/// More decimal digits than this do not change the result: a tie has 32.
const DIGITS_READ: usize = 64;

/// A probability from 0 to 1 as decimal text, out of 2^31, rounded half away from zero.
pub(crate) fn probability(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut n: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut part: Vec<u8> = fraction.bytes().take(DIGITS_READ).map(|b| b - b'0').collect();
    if n > 1 || (n == 1 && fraction.bytes().any(|b| b != b'0')) {
        return None;
    }
    // One binary digit more than is kept, to round by.
    for _ in 0..=PROBABILITY_BITS {
        let mut carry = 0;
        for digit in part.iter_mut().rev() {
            let doubled = *digit * 2 + carry;
            *digit = doubled % 10;
            carry = doubled / 10;
        }
        n = n * 2 + u64::from(carry);
    }
    u32::try_from(n.div_ceil(2)).ok()
}

/// The text of a probability out of 2^31, with 11 digits; a tie is rounded to the even digit, as `printf` does.
pub(crate) fn probability_text(value: u32) -> String {
    let one = 1u64 << PROBABILITY_BITS;
    let (mut n, mut rest) = (u64::from(value) / one, u64::from(value) % one);
    for _ in 0..PROBABILITY_DIGITS {
        rest *= 10;
        n = n * 10 + rest / one;
        rest %= one;
    }
    if rest > one / 2 || (rest == one / 2 && n % 2 == 1) {
        n += 1;
    }
    let unit = 10u64.pow(11);
    format!("{}.{:0width$}", n / unit, n % unit, width = PROBABILITY_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_bases() {
        for (text, n) in [("0", 0), ("80", 80), ("0x50", 80), ("010", 8), ("0XfF", 255)] {
            assert_eq!(unsigned(text, 0, 65535), Some(n), "{text}");
        }
        for text in ["", "-1", "+1", "0x", "08", "65536", "8a", " 1", "99999999999999999999999"] {
            assert_eq!(unsigned(text, 0, 65535), None, "{text}");
        }
    }

    #[test]
    fn marks_have_an_optional_mask() {
        assert_eq!(value_mask("0x4000/0x4000"), Ok((0x4000, 0x4000)));
        assert_eq!(value_mask("1"), Ok((1, u32::MAX)));
        assert_eq!(value_mask("010/0"), Ok((8, 0)));
        for text in ["1/", "/1", "1/x", "0x100000000", "", "-1"] {
            assert_eq!(value_mask(text), Err(BadMark::Number), "{text}");
        }
        for text in ["1x", "1/2/3", "08", "0x"] {
            assert_eq!(value_mask(text), Err(BadMark::Garbage), "{text}");
        }
    }

    #[test]
    fn probabilities_are_those_of_iptables() {
        // Recorded: what iptables 1.8.9 prints after reading the left text.
        for (read, printed) in [
            ("0.5", "0.50000000000"),
            ("0.50000000000", "0.50000000000"),
            ("0.33332999982", "0.33332999982"),
            ("0.33333333349", "0.33333333349"),
            ("0.3333", "0.33330000006"),
            ("0.2", "0.20000000019"),
            ("1", "1.00000000000"),
            ("0", "0.00000000000"),
            (".25", "0.25000000000"),
            ("1.", "1.00000000000"),
        ] {
            let value = probability(read);
            assert_eq!(value.map(probability_text).as_deref(), Some(printed), "{read}");
        }
        assert_eq!(probability("0.33332999982"), Some(715_820_724));
        for text in ["", ".", "1.1", "2", "x", "-0.5", "0,5", "1.0000000000000000000000000000000001", "5e-1"]
        {
            assert_eq!(probability(text), None, "{text}");
        }
    }

    #[test]
    fn ties_are_rounded_as_each_side_does() {
        // 2^19 / 2^31 = 0.000244140625: printf rounds the tie to the even digit.
        assert_eq!(probability_text(1 << 19), "0.00024414062");
        // 1.5 / 2^31: lround goes away from zero.
        assert_eq!(probability("0.00000000069849193096160888671875"), Some(2));
    }
}
