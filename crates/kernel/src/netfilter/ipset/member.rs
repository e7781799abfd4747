//! What sets keep with their members (`ip_set_ext`, include/linux/netfilter/ipset/ip_set.h).

use super::options::SetOptions;
use crate::Instant;
use std::time::Duration;

/// `skbmark`, `skbprio`, `skbqueue` (`ip_set_skbinfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkbInfo {
    /// The packet's mark.
    pub mark: u32,
    /// Which of its bits.
    pub mask: u32,
    /// The packet's class, major and minor.
    pub prio: u32,
    /// The queue of the device.
    pub queue: u16,
}

/// What is typed behind a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElemInfo {
    /// `timeout`, in seconds; 0 means for ever.
    pub timeout: Option<u32>,
    /// `packets`
    pub packets: Option<u64>,
    /// `bytes`
    pub bytes: Option<u64>,
    /// `comment`
    pub comment: Option<String>,
    /// `nomatch`
    pub nomatch: bool,
    /// `skbmark`, `skbprio`, `skbqueue`
    pub skbinfo: Option<SkbInfo>,
}

/// What a set keeps with a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// When it goes; `None` means never.
    pub expires: Option<Instant>,
    /// Packets that matched, if the set counts.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// `comment`
    pub comment: Option<String>,
    /// It is a hole in a larger network.
    pub nomatch: bool,
    /// `skbmark`, `skbprio`, `skbqueue`
    pub skbinfo: SkbInfo,
}

/// A condition on a counter (`ip_set_counter_match`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `--packets-eq`
    Eq(u64),
    /// `! --packets-eq`
    Ne(u64),
    /// `--packets-lt`
    Lt(u64),
    /// `--packets-gt`
    Gt(u64),
}

impl Compare {
    fn holds(self, counter: u64) -> bool {
        match self {
            Compare::Eq(n) => counter == n,
            Compare::Ne(n) => counter != n,
            Compare::Lt(n) => counter < n,
            Compare::Gt(n) => counter > n,
        }
    }
}

/// How a packet that meets a member is counted, and what the counters must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Length of the packet.
    pub bytes: u64,
    /// Leave the counters alone.
    pub skip: bool,
    pub packets_are: Option<Compare>,
    pub bytes_are: Option<Compare>,
}

impl Member {
    /// `ip_set_timeout_expired`
    pub(super) fn gone(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at < now)
    }

    /// Takes what was typed with it (`ip_set_init_counter` and its siblings). Counters that were not typed stay what they are,
    /// even those of a member that was there before; the rest is as new.
    pub(super) fn take(&mut self, info: &ElemInfo, options: &SetOptions, now: Instant) {
        let seconds = info.timeout.or(options.timeout).filter(|s| *s > 0);
        self.expires = seconds.map(|s| now + Duration::from_secs(u64::from(s)));
        self.packets = info.packets.unwrap_or(self.packets);
        self.bytes = info.bytes.unwrap_or(self.bytes);
        self.comment = info.comment.clone().filter(|c| !c.is_empty());
        self.nomatch = info.nomatch;
        self.skbinfo = info.skbinfo.unwrap_or_default();
    }

    /// `ip_set_match_extensions`: counts the packet; false if the counters are not what the rule wants.
    pub(super) fn matches(&mut self, options: &SetOptions, count: &Count, now: Instant) -> bool {
        if self.gone(now) {
            return false;
        }
        if options.counters {
            if !count.skip {
                self.packets = self.packets.wrapping_add(1);
                self.bytes = self.bytes.wrapping_add(count.bytes);
            }
            return count.packets_are.is_none_or(|c| c.holds(self.packets))
                && count.bytes_are.is_none_or(|c| c.holds(self.bytes));
        }
        true
    }
}
