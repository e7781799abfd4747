//! `-m recent` (net/netfilter/xt_recent.c): lists of addresses with the times at which they were seen.

use super::{Checks, MatchCx};
use crate::netfilter::xtables::Seen;
use crate::{Instant, Skb};
use litemap::LiteMap;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// What a rule does with the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecentOp {
    /// `--set`: notes the address.
    Set,
    /// `--rcheck`: is it there?
    Rcheck,
    /// `--update`: the same, and notes it anew if it is.
    Update,
    /// `--remove`: takes it out; matches if it was there.
    Remove,
}

/// Options of recent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// What to do.
    pub op: RecentOp,
    /// Written with `!`.
    pub not: bool,
    /// `--seconds`; 0 means at any time.
    pub seconds: u32,
    /// `--reap`: addresses that are older are forgotten.
    pub reap: bool,
    /// `--hitcount`; 0 means once is enough.
    pub hitcount: u32,
    /// `--rttl`: the TTL must be the same.
    pub rttl: bool,
    /// `--name`
    pub name: String,
    /// `--mask`
    pub mask: Ipv4Addr,
    /// `--rdest` instead of `--rsource`.
    pub dest: bool,
}

/// A list (`struct recent_table`), the address that was noted longest ago first.
#[derive(Clone, Debug, Default)]
pub struct RecentTable {
    entries: Vec<RecentEntry>,
}

#[derive(Clone, Debug)]
struct RecentEntry {
    addr: IpAddr,
    ttl: u8,
    stamps: VecDeque<Instant>,
}

/// All lists of a namespace, by name (`/proc/net/xt_recent`).
pub type RecentTables = LiteMap<String, RecentTable>;

/// `ip_list_tot`: addresses in a list.
const ENTRIES_MAX: usize = 100;
/// Time stamps of an address.
const STAMPS_MAX: usize = 32;

impl RecentTable {
    fn find(&self, addr: IpAddr, ttl: Option<u8>) -> Option<usize> {
        self.entries.iter().position(|e| e.addr == addr && ttl.is_none_or(|t| t == e.ttl))
    }

    /// `recent_entry_init`: the address that was noted longest ago makes room.
    fn add(&mut self, addr: IpAddr, ttl: u8, now: Instant) {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.remove(0);
        }
        self.entries.push(RecentEntry { addr, ttl, stamps: VecDeque::from([now]) });
    }

    /// `recent_entry_update`
    fn note(&mut self, at: usize, ttl: u8, now: Instant) {
        if at < self.entries.len() {
            let mut e = self.entries.remove(at);
            e.ttl = ttl;
            if e.stamps.len() >= STAMPS_MAX {
                e.stamps.pop_front();
            }
            e.stamps.push_back(now);
            self.entries.push(e);
        }
    }

    /// `recent_entry_reap`: forgets the oldest address if it has not been seen since.
    fn reap(&mut self, since: Instant) {
        if self.entries.first().and_then(|e| e.stamps.back()).is_some_and(|last| *last < since) {
            self.entries.remove(0);
        }
    }
}

fn masked(addr: IpAddr, mask: Ipv4Addr) -> IpAddr {
    match addr {
        IpAddr::V4(a) => Ipv4Addr::from_bits(a.to_bits() & mask.to_bits()).into(),
        IpAddr::V6(_) => addr,
    }
}

impl Recent {
    pub(super) fn eval(&self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let Some(ip) = skb.ip() else { return checks.option(false, || Seen::Word("not IP")) };
        let now = m.cx.now;
        let addr = masked(if self.dest { ip.dst } else { ip.src }, self.mask);
        // A forwarded packet has one hop less than it came with.
        let forwarded = m.ctx.outdev.is_some() && m.ctx.indev.is_some();
        let ttl = if forwarded { ip.ttl.saturating_add(1) } else { ip.ttl };
        let table = m.ns.recent.entry(self.name.clone()).or_default();
        let found = table.find(addr, self.rttl.then_some(ttl));
        let hit = match (found, self.op) {
            (None, RecentOp::Set) => {
                table.add(addr, ttl, now);
                true
            }
            (None, _) => false,
            (Some(at), RecentOp::Set) => {
                table.note(at, ttl, now);
                true
            }
            (Some(at), RecentOp::Remove) => {
                table.entries.remove(at);
                true
            }
            (Some(at), RecentOp::Rcheck | RecentOp::Update) => self.check(table, at, ttl, now),
        };
        let seen = if found.is_some() { "in the list" } else { "not in the list" };
        checks.option(hit != self.not, || Seen::Word(seen))
    }

    fn check(&self, table: &mut RecentTable, at: usize, ttl: u8, now: Instant) -> bool {
        let window = Duration::from_secs(u64::from(self.seconds));
        let stamps = table.entries.get(at).map(|e| e.stamps.iter()).into_iter().flatten();
        let fresh = stamps.filter(|s| self.seconds == 0 || now.since(**s) <= window).count();
        let hit = fresh >= usize::try_from(self.hitcount.max(1)).unwrap_or(usize::MAX);
        if self.op == RecentOp::Update && hit != self.not {
            table.note(at, ttl, now);
        }
        if self.reap {
            table.reap(Instant(now.0.saturating_sub(u64::try_from(window.as_micros()).unwrap_or(u64::MAX))));
        }
        hit
    }
}
