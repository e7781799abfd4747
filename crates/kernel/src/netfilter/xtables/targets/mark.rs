//! `-j MARK` (net/netfilter/xt_mark.c, iptables-extensions(8)).

use super::TargetVerdict;
use crate::Skb;

/// Changes the packet mark: `mark = (mark & !mask) ^ value`. Every spelling of the option is brought to this form,
/// as the kernel does: `--set-xmark v/m`, `--set-mark v/m` (mask `m | v`), `--or-mark v` (`v/v`), `--xor-mark v`
/// (`v/0`), `--and-mark v` (`0/!v`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Bits to flip.
    pub value: u32,
    /// Bits to clear first.
    pub mask: u32,
}

impl Mark {
    /// The mark after the target.
    pub fn apply(self, mark: u32) -> u32 {
        (mark & !self.mask) ^ self.value
    }

    pub(crate) fn eval(self, skb: &mut Skb) -> TargetVerdict {
        skb.mark = self.apply(skb.mark);
        TargetVerdict::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn set_xmark_and_set_mark_differ_in_the_bits_below_the_mask() {
        // Recorded from 0xaa55: set-mark 0x0f/0xf0 gives 0xaa0f, set-xmark 0x0f/0xf0 gives 0xaa0a.
        assert_eq!(Mark { value: 0x0f, mask: 0xff }.apply(0xaa55), 0xaa0f);
        assert_eq!(Mark { value: 0x0f, mask: 0xf0 }.apply(0xaa55), 0xaa0a);
        assert_eq!(Mark { value: 0x4000, mask: 0x4000 }.apply(1), 0x4001);
    }
}
