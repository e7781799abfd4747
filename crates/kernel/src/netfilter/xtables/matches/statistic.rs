//! `-m statistic` (net/netfilter/xt_statistic.c).

use super::{Checks, MatchCx};
use crate::netfilter::xtables::Seen;

/// `--mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticMode {
    /// `random --probability`: the probability out of 2^31, as the kernel stores it.
    Random(u32),
    /// `nth --every N --packet P`
    Nth {
        /// N, at least 1.
        every: u32,
        /// P, below N.
        packet: u32,
    },
}

/// Options of statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistic {
    /// How.
    pub mode: StatisticMode,
    /// Written with `!`.
    pub not: bool,
}

impl Statistic {
    pub(super) fn eval(self, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        match self.mode {
            StatisticMode::Random(below) => {
                let draw = m.cx.rng.draw(below);
                checks.option((draw < below) != self.not, || Seen::Draw(draw, below))
            }
            StatisticMode::Nth { every, packet } => {
                // Packets that reach this match are counted from 0 to N-1, again and again.
                let Some(memory) = m.state.memory(checks.match_index()) else { return false };
                let count = memory.count;
                memory.count = (count + 1) % every.max(1);
                checks.option((count == packet) != self.not, || Seen::Count(count, packet))
            }
        }
    }
}
