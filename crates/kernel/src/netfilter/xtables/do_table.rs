//! The walk through one table (`ipt_do_table`, net/ipv4/netfilter/ip_tables.c).

use super::matches::{Checks, MatchCx};
use super::rule::{CheckOf, Rule, Seen};
use super::targets::{Target, TargetVerdict, eval_ext};
use super::{ChainId, RuleSet, RuleState, TableId, TableVerdict, Verdict};
use crate::event::{HookCtx, RuleOutcome, RuleStep, What};
use crate::{Cx, DropReason, Netns, Skb};
use std::rc::Rc;

/// Where the walk is: a chain and the index of the next rule.
#[derive(Clone, Copy)]
struct Place {
    chain: ChainId,
    next: usize,
}

/// Whether a rule matches.
enum Outcome {
    Yes,
    No,
    /// A match has found the packet to be malformed.
    HotDrop,
}

/// What follows after a rule or the end of a chain.
enum Flow {
    Next(Place),
    Policy,
    Done(Verdict, DropReason),
}

/// Walks the table's chain at this hook.
pub(crate) fn ipt_do_table(
    ns: &mut Netns,
    table: TableId,
    mut skb: Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> TableVerdict {
    let Some(rules) = ns.table(table).map(|t| Rc::clone(&t.rules)) else { return TableVerdict::Accept(skb) };
    let Some(base) = rules.base_chain(ctx.hook) else { return TableVerdict::Accept(skb) };
    let mut stack: Vec<Place> = Vec::new();
    let mut place = Place { chain: base, next: 0 };
    loop {
        let chain = &rules.chains[usize::from(place.chain.0)];
        let flow = match chain.rules.get(place.next) {
            Some(rule) => {
                let here = place;
                place.next += 1;
                match rule_matches(ns, table, here, rule, &mut skb, ctx, cx, &rules) {
                    Outcome::Yes => {}
                    Outcome::No => continue,
                    Outcome::HotDrop => return TableVerdict::Drop(skb, DropReason::NetfilterDrop),
                }
                take(ns, rule, place, &mut stack, &mut skb, ctx, cx)
            }
            None if chain.base.is_some() => Flow::Policy,
            None => {
                step(&rules, place, RuleOutcome::Return, &skb, ctx, cx);
                stack.pop().map_or(Flow::Policy, Flow::Next)
            }
        };
        match flow {
            Flow::Next(to) => place = to,
            Flow::Policy => return policy(ns, &rules, base, skb, ctx, cx),
            Flow::Done(Verdict::Accept, _) => return TableVerdict::Accept(skb),
            Flow::Done(Verdict::Drop, reason) => return TableVerdict::Drop(skb, reason),
        }
    }
}

/// Runs the target of a rule that matched; `after` is the place behind the rule.
fn take(
    ns: &mut Netns,
    rule: &Rule,
    after: Place,
    stack: &mut Vec<Place>,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Flow {
    match &rule.target {
        Target::None => Flow::Next(after),
        Target::Accept => Flow::Done(Verdict::Accept, DropReason::NetfilterDrop),
        Target::Drop => Flow::Done(Verdict::Drop, DropReason::NetfilterDrop),
        // RETURN from a base chain is its policy.
        Target::Return => stack.pop().map_or(Flow::Policy, Flow::Next),
        Target::Jump(chain) => {
            stack.push(after);
            Flow::Next(Place { chain: *chain, next: 0 })
        }
        // The end of a goto's chain returns to the caller of the chain that did it.
        Target::Goto(chain) => Flow::Next(Place { chain: *chain, next: 0 }),
        ext => match eval_ext(ext, ns, skb, ctx, cx) {
            Ok(TargetVerdict::Continue) => Flow::Next(after),
            Ok(TargetVerdict::Final(v)) => Flow::Done(v, DropReason::NetfilterDrop),
            Err(reason) => Flow::Done(Verdict::Drop, reason),
        },
    }
}

fn policy(
    ns: &mut Netns,
    rules: &Rc<RuleSet>,
    base: ChainId,
    skb: Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> TableVerdict {
    let chain = &rules.chains[usize::from(base.0)];
    let verdict = chain.base.map_or(Verdict::Accept, |(_, policy)| policy);
    let len = skb.ip().map_or(0, packet::Ip::total_len);
    if let Some(counters) = ns.table_mut(rules.table).and_then(|t| t.policy.get_mut(usize::from(base.0))) {
        counters.add(len);
    }
    let end = Place { chain: base, next: chain.rules.len() };
    step(rules, end, RuleOutcome::Policy(verdict), &skb, ctx, cx);
    match verdict {
        Verdict::Accept => TableVerdict::Accept(skb),
        Verdict::Drop => TableVerdict::Drop(skb, DropReason::NetfilterDrop),
    }
}

/// Logs one step of the walk.
fn step(rules: &RuleSet, place: Place, outcome: RuleOutcome, skb: &Skb, ctx: &HookCtx, cx: &mut Cx<'_>) {
    cx.emit(skb.id, || {
        What::Rule(Box::new(RuleStep {
            ctx: ctx.clone(),
            table: rules.table,
            chain: Rc::clone(&rules.chains[usize::from(place.chain.0)].name),
            n: place.next as u32 + 1,
            outcome,
            mark: skb.mark,
            frame: Rc::clone(&skb.frame),
            traced: skb.nf_trace,
        }))
    });
}

/// Tests a rule and counts the packet if it matches.
#[allow(clippy::too_many_arguments, reason = "the walk's whole state; a struct would only rename it")]
fn rule_matches(
    ns: &mut Netns,
    table: TableId,
    place: Place,
    rule: &Rc<Rule>,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
    rules: &RuleSet,
) -> Outcome {
    let (chain, index) = (usize::from(place.chain.0), place.next);
    let mut state = rule_state(ns, table, chain, index).map(std::mem::take).unwrap_or_default();
    let mut checks = Checks::new(cx.explains());
    let mut ok = ip_packet_match(ns, rule, skb, ctx, &mut checks);
    if ok {
        let mut m = MatchCx { ns, ctx, state: &mut state, cx };
        ok = rule.matches.iter().enumerate().all(|(i, x)| {
            checks.begin_match(i);
            x.eval(skb, &mut m, &mut checks)
        });
    }
    if ok {
        state.counters.add(skb.ip().map_or(0, packet::Ip::total_len));
    }
    if let Some(s) = rule_state(ns, table, chain, index) {
        *s = state;
    }
    let (rule, hotdrop, checks) = (Rc::clone(rule), checks.hotdrop, checks.list);
    let outcome =
        if ok { RuleOutcome::Match { rule, checks } } else { RuleOutcome::NoMatch { rule, checks } };
    step(rules, place, outcome, skb, ctx, cx);
    match ok {
        _ if hotdrop => Outcome::HotDrop,
        true => Outcome::Yes,
        false => Outcome::No,
    }
}

fn rule_state(ns: &mut Netns, table: TableId, chain: usize, rule: usize) -> Option<&mut RuleState> {
    ns.table_mut(table)?.state.get_mut(chain)?.get_mut(rule)
}

/// `ip_packet_match`: addresses, devices, protocol, fragment.
fn ip_packet_match(ns: &Netns, rule: &Rule, skb: &Skb, ctx: &HookCtx, checks: &mut Checks) -> bool {
    let Some(ip) = skb.ip() else { return false };
    let name = |dev: Option<crate::DevId>| dev.map_or("", |d| ns.dev_name(d));
    if let Some(m) = &rule.src
        && !checks.selector(CheckOf::Src, m.apply(|a| a.contains(ip.src)), || Seen::Addr(ip.src))
    {
        return false;
    }
    if let Some(m) = &rule.dst
        && !checks.selector(CheckOf::Dst, m.apply(|a| a.contains(ip.dst)), || Seen::Addr(ip.dst))
    {
        return false;
    }
    for (of, option, dev) in
        [(CheckOf::InIface, &rule.in_iface, ctx.indev), (CheckOf::OutIface, &rule.out_iface, ctx.outdev)]
    {
        if let Some(m) = option {
            let dev = name(dev);
            if !checks.selector(of, m.apply(|i| i.matches(dev)), || Seen::Iface(dev.to_owned())) {
                return false;
            }
        }
    }
    if let Some(m) = &rule.proto
        && !checks.selector(CheckOf::Proto, m.apply(|p| *p == ip.protocol()), || Seen::Proto(ip.protocol()))
    {
        return false;
    }
    if let Some(m) = &rule.fragment {
        let later = ip.frag.offset != 0;
        let word = if later { "later fragment" } else { "not a later fragment" };
        if !checks.selector(CheckOf::Fragment, later != m.not, || Seen::Word(word)) {
            return false;
        }
    }
    true
}
