//! `-m recent` (net/netfilter/xt_recent.c): lists of addresses with the times at which they were seen.

use super::{Checks, MatchCx};
use crate::id::JIFFY;
use crate::netfilter::xtables::Seen;
use crate::{Skb, SkbOwner};
use litemap::LiteMap;
use std::collections::VecDeque;
use std::net::IpAddr;

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
    /// `--mask`, of the rule's family
    pub mask: IpAddr,
    /// `--rdest` instead of `--rsource`.
    pub dest: bool,
}

/// A list (`struct recent_table`).
#[derive(Clone, Debug)]
pub struct RecentTable {
    /// `--mask` of the rule that made the list; those of other rules with the same name do not count.
    mask: IpAddr,
    /// How many times an address keeps.
    stamps_max: usize,
    /// The address that was noted longest ago first.
    entries: Vec<RecentEntry>,
}

#[derive(Clone, Debug)]
struct RecentEntry {
    addr: IpAddr,
    ttl: u8,
    /// In ticks, the oldest first.
    stamps: VecDeque<i64>,
}

/// All lists of a namespace, by name (`/proc/net/xt_recent`).
pub type RecentTables = LiteMap<String, RecentTable>;

/// `ip_list_tot`: addresses in a list.
const ENTRIES_MAX: usize = 100;
/// Times that an address keeps if no rule asks for a number of hits.
const STAMPS: usize = 32;
/// `XT_RECENT_MAX_NSTAMPS`
const HITS_MAX: u32 = 65_536;
/// Ticks in a second.
const HZ: u32 = 250;

/// Makes the lists of rules that are being loaded (`recent_mt_check`). A list exists as long as a rule names it.
pub(crate) fn recent_tables_for(tables: &mut RecentTables, rule: &Recent) {
    let stamps_max = match usize::try_from(rule.hitcount) {
        Ok(0) | Err(_) => STAMPS,
        Ok(hits) => hits.next_power_of_two(),
    };
    match tables.get_mut(&rule.name) {
        Some(table) if stamps_max > table.stamps_max => {
            // recent_table_flush: there is no room for more times in what is there.
            table.stamps_max = stamps_max;
            table.entries.clear();
        }
        Some(_) => {}
        None => {
            let table = RecentTable { mask: rule.mask, stamps_max, entries: Vec::new() };
            tables.insert(rule.name.clone(), table);
        }
    }
}

impl RecentTable {
    /// `echo / > /proc/net/xt_recent/NAME`
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    fn find(&self, addr: IpAddr, ttl: Option<u8>) -> Option<usize> {
        let same = |e: &RecentEntry| ttl.is_none_or(|t| t == e.ttl || t == 0 || e.ttl == 0);
        self.entries.iter().position(|e| e.addr == addr && same(e))
    }

    /// `recent_entry_init`: the address that was noted longest ago makes room.
    fn add(&mut self, addr: IpAddr, ttl: u8, now: i64) {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.remove(0);
        }
        self.entries.push(RecentEntry { addr, ttl, stamps: VecDeque::from([now]) });
    }

    /// `recent_entry_update`
    fn note(&mut self, at: usize, ttl: u8, now: i64) {
        if at < self.entries.len() {
            let mut e = self.entries.remove(at);
            e.ttl = ttl;
            if e.stamps.len() >= self.stamps_max {
                e.stamps.pop_front();
            }
            e.stamps.push_back(now);
            self.entries.push(e);
        }
    }

    /// `recent_entry_reap`: forgets the address that was noted longest ago if it has not been seen since. `keep` is one
    /// that is about to be noted anew.
    fn reap(&mut self, since: i64, keep: bool, at: usize) {
        let old = self.entries.first().and_then(|e| e.stamps.back()).is_some_and(|last| *last < since);
        if old && !(keep && at == 0) {
            self.entries.remove(0);
        }
    }

    /// The address as the list keeps it.
    fn masked(&self, addr: IpAddr) -> IpAddr {
        match (addr, self.mask) {
            (IpAddr::V4(a), IpAddr::V4(mask)) => (a & mask).into(),
            (IpAddr::V6(a), IpAddr::V6(mask)) => (a & mask).into(),
            // A list is shared by name: its mask is that of the rule that made it, whose other bits are set.
            _ => addr,
        }
    }
}

impl Recent {
    /// What the kernel does not allow (`recent_mt_check`).
    pub fn why_invalid(&self) -> Option<&'static str> {
        let checks = matches!(self.op, RecentOp::Rcheck | RecentOp::Update);
        if !checks && (self.seconds > 0 || self.hitcount > 0 || self.rttl || self.reap) {
            return Some("--seconds, --hitcount, --rttl and --reap need --rcheck or --update");
        }
        if self.reap && self.seconds == 0 {
            return Some("--reap needs --seconds");
        }
        if self.hitcount >= HITS_MAX {
            return Some("more hits than the kernel can count (65535)");
        }
        // xt_check_proc_name: a list is a file in /proc.
        if self.name.is_empty() || self.name == "." || self.name == ".." || self.name.contains('/') {
            return Some("the name of the list cannot be that of a file");
        }
        None
    }

    pub(super) fn eval(&self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let Some(ip) = skb.ip() else { return checks.option(false, || Seen::Word("not IP")) };
        let now = i64::try_from(m.cx.now.0 / JIFFY).unwrap_or(i64::MAX);
        let Some(table) = m.ns.recent.get_mut(&self.name) else {
            return checks.option(self.not, || Seen::Word("no such list"));
        };
        let addr = table.masked(if self.dest { ip.dst } else { ip.src });
        // A packet on its way out has one hop less than it came with, unless it is a program's own.
        let leaves = m.ctx.outdev.is_some() && skb.owner == SkbOwner::None;
        let ttl = if leaves { ip.ttl.wrapping_add(1) } else { ip.ttl };
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

    fn check(&self, table: &mut RecentTable, at: usize, ttl: u8, now: i64) -> bool {
        // The kernel multiplies in 32 bits.
        let since = now - i64::from(self.seconds.wrapping_mul(HZ));
        let stamps = table.entries.get(at).map(|e| e.stamps.iter()).into_iter().flatten();
        let fresh = stamps.filter(|s| self.seconds == 0 || **s >= since).count();
        let hit = fresh >= usize::try_from(self.hitcount.max(1)).unwrap_or(usize::MAX);
        let update = self.op == RecentOp::Update && hit != self.not;
        // Noting it moves it to the end, so that the reaper looks first.
        let addr = table.entries.get(at).map(|e| e.addr);
        if self.reap {
            table.reap(since, update, at);
        }
        if update && let Some(at) = table.entries.iter().position(|e| Some(e.addr) == addr) {
            table.note(at, ttl, now);
        }
        hit
    }
}
