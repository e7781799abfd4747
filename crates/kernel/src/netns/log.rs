//! The kernel's ring buffer: messages that are held back when there are too many.

use super::Netns;
use crate::{Cx, Instant, PacketId};
use std::fmt;
use std::time::Duration;

/// `net_ratelimit`: a window of time in which only some messages are printed (lib/ratelimit.c).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RateLimit {
    begin: Option<Instant>,
    printed: u32,
    missed: u32,
}

/// `DEFAULT_RATELIMIT_INTERVAL`, and `DEFAULT_RATELIMIT_BURST` of network messages.
const INTERVAL: Duration = Duration::from_secs(5);
const BURST: u32 = 10;

impl Netns {
    /// True in the first namespace of a machine. Only there limits can be set.
    pub fn is_initial(&self) -> bool {
        !self.child
    }

    /// Netfilter may log packets: in the first namespace of a machine, in others only if the machine is told so.
    pub(crate) fn may_log_packets(&self) -> bool {
        self.is_initial() || self.sysctl.nf_log_all_netns != 0
    }

    /// Makes it a namespace beside the first one of its machine.
    pub fn set_child(&mut self, child: bool) {
        self.child = child;
    }

    /// The number of the namespace in nsfs; the first one of a machine is 4026531840.
    pub fn inum(&self) -> u32 {
        4_026_531_840 + if self.child { 400 + u32::from(self.id.0) } else { 0 }
    }

    /// `net_warn_ratelimited`
    pub(crate) fn net_warn(&mut self, packet: PacketId, line: fmt::Arguments<'_>, cx: &mut Cx<'_>) {
        if self.net_ratelimit(packet, cx) {
            self.print(packet, line, cx);
        }
    }

    /// `net_ratelimit`: at most 10 messages in 5 seconds, all of the network together.
    pub(crate) fn net_ratelimit(&mut self, packet: PacketId, cx: &mut Cx<'_>) -> bool {
        let limit = &mut self.net_ratelimit;
        if limit.begin.is_none_or(|begin| cx.now.since(begin) > INTERVAL) {
            let missed = limit.missed;
            *limit = RateLimit { begin: Some(cx.now), ..RateLimit::default() };
            if missed > 0 {
                self.print(packet, format_args!("net_ratelimit: {missed} callbacks suppressed"), cx);
            }
        }
        let limit = &mut self.net_ratelimit;
        let prints = limit.printed < BURST;
        if prints {
            limit.printed += 1;
        } else {
            limit.missed += 1;
        }
        prints
    }

    fn print(&mut self, packet: PacketId, line: fmt::Arguments<'_>, cx: &mut Cx<'_>) {
        cx.printk(packet, || line.to_string());
        if let Some(kept) = &mut self.warnings {
            kept.push((cx.now, line.to_string()));
        }
    }

    /// From now on the warnings of the network are kept, in quiet mode too.
    pub fn keep_warnings(&mut self) {
        self.warnings.get_or_insert_default();
    }

    /// The warnings that were kept, oldest first, each with its time.
    pub fn warnings(&self) -> &[(Instant, String)] {
        self.warnings.as_deref().unwrap_or_default()
    }
}
