//! The walk through a table when nobody keeps the log: over entries instead of rules, and past those that the packet cannot
//! match. Verdict, counters, what rules remember and the number of events are those of the walk that looks at every rule.

use super::do_table::{Outcome, Place, rule_matches};
use super::entry::{Answer, Base, Does, Entries, Entry, Packet};
use super::targets::{TargetVerdict, eval_ext};
use super::{RuleState, TableId, Verdict};
use crate::event::HookCtx;
use crate::netfilter::hook::InetHook;
use crate::{Cx, DropReason, Netns, Skb};
use std::rc::Rc;

/// A table that has nothing but its policy to say at this hook, if nobody keeps the log. `None` if there is more to it.
#[inline]
pub(crate) fn only_policy(
    ns: &mut Netns,
    table: TableId,
    skb: &Skb,
    hook: InetHook,
    cx: &mut Cx<'_>,
) -> Option<(Verdict, DropReason)> {
    let base = *ns.entries_made(table)?.base(hook).filter(|base| base.is_empty && !cx.explains())?;
    let len = skb.ip()?.total_len();
    cx.pass_over(1);
    Some(policy(ns, table, base, len))
}

/// A packet comes to the end of a built-in chain.
fn policy(ns: &mut Netns, table: TableId, base: Base, len: usize) -> (Verdict, DropReason) {
    if let Some(counters) = ns.table_mut(table).and_then(|t| t.policy.get_mut(usize::from(base.chain.0))) {
        counters.add(len);
    }
    if ns.notes_counters() {
        ns.note_counted(table, &[], Some(base.chain.0));
    }
    (base.policy, DropReason::NetfilterDrop)
}

/// Where the walk comes back to. Few rule sets jump deeper than the first places hold.
struct JumpStack {
    first: [u32; 8],
    depth: usize,
    more: Vec<u32>,
}

impl JumpStack {
    #[inline]
    fn push(&mut self, at: u32) {
        match self.first.get_mut(self.depth) {
            Some(place) => *place = at,
            None => self.more.push(at),
        }
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<u32> {
        self.depth = self.depth.checked_sub(1)?;
        match self.first.get(self.depth) {
            Some(at) => Some(*at),
            None => self.more.pop(),
        }
    }
}

/// What the entries alone cannot say.
enum Stop<'a> {
    /// Whether the packet matches.
    AskRule(&'a Entry),
    /// What the target does. The packet has matched and is counted.
    Target(&'a Entry),
    /// Nothing is left: what a verdict says, or the policy.
    Done(Option<Verdict>),
}

/// A walk under way.
struct Walk<'a> {
    entries: &'a Entries,
    at: u32,
    stack: JumpStack,
    events: usize,
    /// The rules that have counted the packet, if somebody asks for them.
    counted: Option<Vec<u32>>,
    /// What has come of it may depend on the packet's ports.
    by_ports: bool,
}

impl<'a> Walk<'a> {
    /// On from here, as far as entries know the answers. `states` is what the table's rules remember.
    #[inline(always)]
    fn go(&mut self, packet: &Packet, mark: u32, states: &mut [RuleState]) -> Stop<'a> {
        loop {
            let Some(mut entry) = self.entries.get(self.at) else { return Stop::Done(None) };
            if entry.plain != self.at {
                let next = self.entries.search(self.at, entry.plain, packet);
                self.events += (next - self.at) as usize;
                self.at = next;
                self.by_ports = true;
                let Some(e) = self.entries.get(next) else { return Stop::Done(None) };
                entry = e;
            }
            self.events += 1;
            self.by_ports |= entry.asks_ports(packet);
            match entry.ask(packet, mark) {
                Answer::No => {
                    self.at += 1;
                    continue;
                }
                Answer::AskRule => return Stop::AskRule(entry),
                // The end of a chain has no counters.
                Answer::Yes => {
                    if let Some(state) = states.get_mut(entry.state as usize) {
                        state.counters.add(packet.len);
                    }
                    if let Some(counted) = &mut self.counted {
                        counted.push(entry.state);
                    }
                }
            }
            if let Some(stop) = self.take(entry) {
                return stop;
            }
        }
    }

    /// Where an entry leads that has matched.
    #[inline(always)]
    fn take(&mut self, entry: &'a Entry) -> Option<Stop<'a>> {
        match entry.does {
            Does::Next => self.at += 1,
            Does::Verdict(verdict) => return Some(Stop::Done(Some(verdict))),
            Does::Jump(to) => {
                self.stack.push(self.at + 1);
                self.at = to;
            }
            Does::Goto(to) => self.at = to,
            Does::JumpToEmpty => {
                self.events += 1;
                self.at += 1;
            }
            Does::Return | Does::End => match self.stack.pop() {
                Some(to) => self.at = to,
                None => {
                    self.events += 1;
                    return Some(Stop::Done(None));
                }
            },
            Does::Policy => return Some(Stop::Done(None)),
            Does::Target => return Some(Stop::Target(entry)),
        }
        None
    }
}

/// Walks the table's chain at this hook, if the packet is IPv4. `None` if it is not, or there is no such chain.
#[inline(never)]
pub(super) fn walk(
    ns: &mut Netns,
    table: TableId,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Option<(Verdict, DropReason)> {
    let mut packet = Packet::of(skb)?;
    let entries = Rc::clone(ns.entries(table)?);
    let base = *entries.base(ctx.hook)?;
    let stack = JumpStack { first: [0; 8], depth: 0, more: Vec::new() };
    let counted = ns.notes_counters().then(Vec::new);
    let mut walk = Walk { entries: &entries, at: base.first, stack, events: 0, counted, by_ports: false };
    let ends = loop {
        let states = ns.table_mut(table).map_or(&mut [][..], |t| t.state.all_mut());
        let mut stop = walk.go(&packet, skb.mark, states);
        if let Stop::AskRule(entry) = stop {
            stop = match ask_rule(ns, &entries, entry, skb, ctx, cx) {
                Outcome::HotDrop => break Some((Verdict::Drop, DropReason::NetfilterDrop)),
                Outcome::No => {
                    walk.at += 1;
                    continue;
                }
                Outcome::Yes => match walk.take(entry) {
                    None => continue,
                    Some(stop) => stop,
                },
            };
        }
        match stop {
            Stop::Target(entry) => {
                ns.spoil();
                let rule = &entries.rules.chains[usize::from(entry.chain.0)].rules[entry.rule as usize];
                match eval_ext(&rule.target, after(entry).template(ctx.family), ns, skb, ctx, cx) {
                    Ok(TargetVerdict::Continue) => walk.at += 1,
                    Ok(TargetVerdict::Final(verdict)) => break Some((verdict, DropReason::NetfilterDrop)),
                    Err(reason) => break Some((Verdict::Drop, reason)),
                }
                // A target that lets the walk go on leaves the packet what it was: IPv4.
                let Some(changed) = Packet::of(skb) else { break None };
                packet = changed;
            }
            Stop::Done(verdict) => break verdict.map(|v| (v, DropReason::NetfilterDrop)),
            Stop::AskRule(_) => {}
        }
    };
    cx.pass_over(walk.events);
    if let Some(counted) = &walk.counted {
        ns.note_counted(table, counted, None);
        if walk.by_ports {
            ns.note_ports();
        }
    }
    Some(ends.unwrap_or_else(|| policy(ns, table, base, packet.len)))
}

fn place(entry: &Entry) -> Place {
    Place { chain: entry.chain, next: entry.rule as usize }
}

/// The place behind the entry's rule.
fn after(entry: &Entry) -> Place {
    Place { chain: entry.chain, next: entry.rule as usize + 1 }
}

/// Out of the way: most entries need no more than a look.
#[inline(never)]
fn ask_rule(
    ns: &mut Netns,
    entries: &Entries,
    entry: &Entry,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Outcome {
    ns.spoil();
    let chain = &entries.rules.chains[usize::from(entry.chain.0)];
    let rule = &chain.rules[entry.rule as usize];
    rule_matches(ns, place(entry), rule, skb, ctx, cx, &entries.rules, &mut RuleState::default())
}
