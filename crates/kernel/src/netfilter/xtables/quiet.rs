//! The walk through a table when nobody keeps the log: over entries instead of rules, and past those that the packet cannot
//! match. Verdict, counters, what rules remember and the number of events are those of the walk that looks at every rule.

use super::do_table::{Outcome, Place, rule_matches};
use super::entry::{Answer, Base, Does, Entries, Entry, Packet};
use super::targets::{TargetVerdict, eval_ext};
use super::{RuleState, TableId, Verdict};
use crate::event::HookCtx;
use crate::netfilter::hook::InetHook;
use crate::{Cx, DropReason, Netns, Skb};

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
    (base.policy, DropReason::NetfilterDrop)
}

/// Walks the chain that begins at `base`. The packet is IPv4.
#[inline(never)]
pub(super) fn walk(
    ns: &mut Netns,
    entries: &Entries,
    base: Base,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> (Verdict, DropReason) {
    let table = entries.rules.table;
    let mut packet = Packet::of(skb);
    // The stack's memory is used again by the next walk. A target may send a packet, which walks tables meanwhile.
    let mut stack = std::mem::take(&mut ns.jumpstack);
    stack.clear();
    let mut at = base.first;
    let mut events = 0;
    let ends = loop {
        let Some(mut entry) = entries.get(at) else { break None };
        if entry.plain != at {
            let next = entries.search(at, entry.plain, &packet);
            events += (next - at) as usize;
            at = next;
            let Some(e) = entries.get(at) else { break None };
            entry = e;
        }
        events += 1;
        // The end of a chain asks nothing, and nothing is counted there.
        let is_end = matches!(entry.does, Does::End | Does::Policy);
        match entry.ask(&packet, skb.mark) {
            _ if is_end => {}
            Answer::No => {
                at += 1;
                continue;
            }
            Answer::Yes => {
                if let Some(state) = ns.table_mut(table).and_then(|t| t.state.at(entry.state as usize)) {
                    state.counters.add(packet.len);
                }
            }
            Answer::AskRule => match ask_rule(ns, entries, entry, skb, ctx, cx) {
                Outcome::Yes => {}
                Outcome::No => {
                    at += 1;
                    continue;
                }
                Outcome::HotDrop => break Some((Verdict::Drop, DropReason::NetfilterDrop)),
            },
        }
        match entry.does {
            Does::Next => at += 1,
            Does::Verdict(verdict) => break Some((verdict, DropReason::NetfilterDrop)),
            Does::Jump(to) => {
                stack.push(at + 1);
                at = to;
            }
            Does::Goto(to) => at = to,
            Does::JumpToEmpty => {
                events += 1;
                at += 1;
            }
            Does::Return | Does::End => match stack.pop() {
                Some(to) => at = to,
                None => {
                    events += 1;
                    break None;
                }
            },
            Does::Policy => break None,
            Does::Target => {
                let rule = &entries.rules.chains[usize::from(entry.chain.0)].rules[entry.rule as usize];
                match eval_ext(&rule.target, after(entry), ns, skb, ctx, cx) {
                    Ok(TargetVerdict::Continue) => at += 1,
                    Ok(TargetVerdict::Final(verdict)) => break Some((verdict, DropReason::NetfilterDrop)),
                    Err(reason) => break Some((Verdict::Drop, reason)),
                }
                packet = Packet::of(skb);
            }
        }
    };
    cx.pass_over(events);
    ns.jumpstack = stack;
    ends.unwrap_or_else(|| policy(ns, table, base, packet.len))
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
    let chain = &entries.rules.chains[usize::from(entry.chain.0)];
    let rule = &chain.rules[entry.rule as usize];
    rule_matches(ns, place(entry), rule, skb, ctx, cx, &entries.rules, &mut RuleState::default())
}
