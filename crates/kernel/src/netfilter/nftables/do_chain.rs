//! The walk through a base chain (`nft_do_chain`, net/netfilter/nf_tables_core.c).

use super::expr::EvalCx;
use super::ruleset::NftBase;
use super::stmt::{NftCheck, NftVerdict, Ran, Seen};
use super::table::{ChainKey, NftChain, NftRule};
use crate::event::{HookCtx, NftOutcome, NftStep, What};
use crate::netfilter::xtables::Verdict;
use crate::{Cx, DropReason, Netns, Skb};
use std::rc::Rc;

/// Where the walk is.
struct Place {
    chain: ChainKey,
    rules: Rc<Vec<Rc<NftRule>>>,
    next: usize,
}

/// Walks a base chain. `Err` is why the packet is dropped.
pub(crate) fn nft_do_chain(
    ns: &mut Netns,
    base: NftBase,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<(), DropReason> {
    let Some(mut at) = place(ns, base, base.chain) else { return Ok(()) };
    let mut stack: Vec<Place> = Vec::new();
    loop {
        let Some(rule) = at.rules.get(at.next) else {
            // The end of a base chain is its policy.
            if at.chain != base.chain {
                note(ns, base, &at, skb, ctx, cx, || NftOutcome::Return);
            }
            match stack.pop() {
                Some(back) => {
                    at = back;
                    continue;
                }
                None => return policy(ns, base, skb, ctx, cx),
            }
        };
        let rule = Rc::clone(rule);
        let verdict = run(ns, base, &at, &rule, skb, ctx, cx)?;
        at.next += 1;
        match verdict {
            NftVerdict::Continue => {}
            NftVerdict::Accept => return Ok(()),
            NftVerdict::Drop => return Err(DropReason::NetfilterDrop),
            NftVerdict::Return => match stack.pop() {
                Some(back) => at = back,
                None => return policy(ns, base, skb, ctx, cx),
            },
            NftVerdict::Jump(to) => {
                if let Some(to) = place(ns, base, to) {
                    stack.push(std::mem::replace(&mut at, to));
                }
            }
            NftVerdict::Goto(to) => {
                if let Some(to) = place(ns, base, to) {
                    at = to;
                }
            }
        }
    }
}

fn place(ns: &Netns, base: NftBase, chain: ChainKey) -> Option<Place> {
    let rules = ns.nft.table_by_key(base.table)?.chain_by_key(chain)?.rules();
    Some(Place { chain, rules: Rc::clone(rules), next: 0 })
}

/// Runs one rule: its statements in order, up to the first that says no or gives a verdict.
fn run(
    ns: &mut Netns,
    base: NftBase,
    at: &Place,
    rule: &Rc<NftRule>,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<NftVerdict, DropReason> {
    let explains = cx.explains();
    // The log shows the packet as the rule met it.
    let before = explains.then(|| (Rc::clone(&skb.frame), skb.mark));
    let mut checks = Vec::new();
    let mut said = Ran::Verdict(NftVerdict::Continue);
    for (stmt, s) in rule.stmts.iter().enumerate() {
        let mut seen = Seen::default();
        // Only while such a statement runs: one that answers a packet has another packet walk here meanwhile.
        let mut state = if s.remembers() { lend(ns, base, at) } else { Vec::new() };
        let mut e = EvalCx { ns, table: base.table, rule: rule.handle, ctx, state: &mut state, cx };
        let ran = s.run(skb, &mut e, &mut seen);
        give_back(ns, base, at, state);
        if explains {
            let ok = !matches!(ran, Ran::Break);
            checks.push(NftCheck { stmt, ok, seen: seen.value, verdict: seen.verdict, xt: seen.xt });
        }
        match ran {
            Ran::Next | Ran::Verdict(NftVerdict::Continue) => {}
            other => {
                said = other;
                break;
            }
        }
    }
    let (matched, verdict) = match said {
        Ran::Break => (false, Ok(NftVerdict::Continue)),
        Ran::Next => (true, Ok(NftVerdict::Continue)),
        Ran::Verdict(v) => (true, Ok(v)),
        Ran::Dropped(reason) => (true, Err(reason)),
    };
    let Some((frame, mark)) = before else {
        cx.pass_over(1);
        return verdict;
    };
    let said = verdict.unwrap_or(NftVerdict::Drop);
    let rule = Rc::clone(rule);
    let outcome = match matched {
        true => NftOutcome::Match { rule, checks, verdict: said },
        false => NftOutcome::NoMatch { rule, checks },
    };
    let step = step(ns, base, at, ctx, outcome, frame, mark);
    // What the rule caused stands behind it in the log; what it did to the packet was told before.
    cx.emit(skb.id, || What::Nft(Box::new(step)));
    verdict
}

fn step(
    ns: &Netns,
    base: NftBase,
    at: &Place,
    ctx: &HookCtx,
    outcome: NftOutcome,
    frame: Rc<packet::Frame>,
    mark: u32,
) -> NftStep {
    let table = ns.nft.table_by_key(base.table);
    let chain = table.and_then(|t| t.chain_by_key(at.chain));
    NftStep {
        ctx: ctx.clone(),
        base,
        family: table.map_or(super::NftFamily::Ip, |t| t.family),
        table: table.map(|t| Rc::clone(&t.name)).unwrap_or_else(|| "".into()),
        chain: chain.map(|c| Rc::clone(&c.name)).unwrap_or_else(|| "".into()),
        is_base: at.chain == base.chain,
        n: at.next as u32 + 1,
        outcome,
        mark,
        frame,
    }
}

fn note(
    ns: &Netns,
    base: NftBase,
    at: &Place,
    skb: &Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
    outcome: impl FnOnce() -> NftOutcome,
) {
    cx.emit(skb.id, || {
        let step = step(ns, base, at, ctx, outcome(), Rc::clone(&skb.frame), skb.mark);
        What::Nft(Box::new(step))
    });
}

fn policy(
    ns: &mut Netns,
    base: NftBase,
    skb: &Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<(), DropReason> {
    count_policy(ns, base, skb);
    let chain = ns.nft.table_by_key(base.table).and_then(|t| t.chain_by_key(base.chain));
    let verdict = chain.and_then(|c| c.base).map_or(Verdict::Accept, |b| b.policy);
    let rules = chain.map(|c| Rc::clone(c.rules())).unwrap_or_default();
    let end = Place { chain: base.chain, next: rules.len(), rules };
    note(ns, base, &end, skb, ctx, cx, || NftOutcome::Policy(verdict));
    match verdict {
        Verdict::Accept => Ok(()),
        Verdict::Drop => Err(DropReason::NetfilterDrop),
    }
}

/// `nft_update_chain_stats`: chains that iptables-nft-restore made count what their policy decides about.
fn count_policy(ns: &mut Netns, base: NftBase, skb: &Skb) {
    let counts = |c: &std::rc::Rc<NftChain>| c.base.is_some_and(|b| b.counters.is_some());
    let chain = ns.nft.table_by_key(base.table).and_then(|t| t.chain_by_key(base.chain));
    if chain.is_some_and(counts)
        && let Some(chain) = ns.nft.table_by_key_mut(base.table).and_then(|t| t.chain_mut(base.chain))
        && let Some(counters) = chain.base.as_mut().and_then(|b| b.counters.as_mut())
    {
        counters.add(skb.ip().map_or(0, packet::Ip::total_len));
    }
}

/// What a rule remembers is lent to it while it runs.
fn lend(ns: &mut Netns, base: NftBase, at: &Place) -> Vec<super::Stateful> {
    state(ns, base, at).map(std::mem::take).unwrap_or_default()
}

fn give_back(ns: &mut Netns, base: NftBase, at: &Place, lent: Vec<super::Stateful>) {
    if !lent.is_empty()
        && let Some(state) = state(ns, base, at)
    {
        *state = lent;
    }
}

fn state<'a>(ns: &'a mut Netns, base: NftBase, at: &Place) -> Option<&'a mut Vec<super::Stateful>> {
    ns.nft.table_by_key_mut(base.table)?.chain_mut(at.chain)?.state_mut(at.next)
}
