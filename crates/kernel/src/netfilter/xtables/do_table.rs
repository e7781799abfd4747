//! The walk through one table (`ipt_do_table`, net/ipv4/netfilter/ip_tables.c).

use super::matches::{Checks, Match, MatchCx};
use super::rule::{CheckOf, Rule, Seen};
use super::targets::{Target, TargetVerdict, eval_ext};
use super::{ChainId, RuleSet, RuleState, TableId, Verdict, quiet};
use crate::event::{HookCtx, RuleOutcome, RuleStep, What};
use crate::netfilter::conntrack::TemplateId;
use crate::{Cx, DropReason, Netns, Skb};
use packet::Family;
use std::rc::Rc;

/// Where the walk is: a chain and the index of the next rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub chain: ChainId,
    pub next: usize,
}

impl Place {
    /// The template of the rule before this place.
    pub(super) fn template(self, family: Family) -> TemplateId {
        TemplateId::xt(family, self.chain.0, self.next)
    }
}

/// Whether a rule matches.
pub(super) enum Outcome {
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

/// Walks the table's chain at this hook. Without a log only those rules are looked at that the packet can match. `Err` is why
/// the table drops the packet.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(crate) fn ipt_do_table(
    ns: &mut Netns,
    table: TableId,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<(), DropReason> {
    if ctx.family == Family::V4
        && !cx.explains()
        && let Some(said) = quiet::walk(ns, table, skb, ctx, cx)
    {
        return ends(said);
    }
    every_rule(ns, table, skb, ctx, cx)
}

/// The same with a look at every rule.
#[inline(never)]
fn every_rule(
    ns: &mut Netns,
    table: TableId,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<(), DropReason> {
    ns.spoil();
    let Some(rules) = ns.table_of(ctx.family, table).map(|t| Rc::clone(&t.rules)) else { return Ok(()) };
    let Some(base) = rules.base_chain(ctx.hook) else { return Ok(()) };
    ends(match walk(ns, &rules, base, skb, ctx, cx) {
        ChainEnd::Verdict { verdict, reason, .. } => (verdict, reason),
        ChainEnd::Policy(verdict) => (verdict, DropReason::NetfilterDrop),
        ChainEnd::Return => (Verdict::Accept, DropReason::NetfilterDrop),
    })
}

#[inline]
fn ends((verdict, reason): (Verdict, DropReason)) -> Result<(), DropReason> {
    match verdict {
        Verdict::Accept => Ok(()),
        Verdict::Drop => Err(reason),
    }
}

/// How the walk of a chain ended.
#[derive(Clone, Debug, PartialEq)]
pub enum ChainEnd {
    /// The target of a rule ended it.
    Verdict {
        /// What it said.
        verdict: Verdict,
        /// Why the packet is dropped, if it is.
        reason: DropReason,
        /// The rule.
        rule: Rc<Rule>,
    },
    /// The chain is built in, and nothing before its policy ended the walk.
    Policy(Verdict),
    /// The chain is user-defined, and the packet would go back to the rule that led to it.
    Return,
}

/// Walks one chain of a table, built-in or not, as `ipt_do_table` walks the chain of a hook: every rule is looked at, and each
/// is logged if somebody keeps the log. `None` if the table is not loaded or has no such chain.
pub(crate) fn walk_chain(
    ns: &mut Netns,
    table: TableId,
    chain: &str,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Option<ChainEnd> {
    let rules = Rc::clone(&ns.table_of(ctx.family, table)?.rules);
    let first = rules.chain(chain)?;
    Some(walk(ns, &rules, first, skb, ctx, cx))
}

/// Looks at every rule.
#[inline(never)]
fn walk(
    ns: &mut Netns,
    rules: &Rc<RuleSet>,
    base: ChainId,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> ChainEnd {
    let mut place = Place { chain: base, next: 0 };
    let (mut stack, mut lent) = (Vec::new(), RuleState::default());
    loop {
        let chain = &rules.chains[usize::from(place.chain.0)];
        let flow = match chain.rules.get(place.next) {
            Some(rule) => {
                let here = place;
                place.next += 1;
                cx.pass_over(usize::from(!cx.explains()));
                match rule_matches(ns, here, rule, skb, ctx, cx, rules, &mut lent) {
                    Outcome::Yes => match take(ns, rule, place, &mut stack, skb, ctx, cx) {
                        Flow::Done(verdict, reason) => {
                            return ChainEnd::Verdict { verdict, reason, rule: Rc::clone(rule) };
                        }
                        flow => flow,
                    },
                    Outcome::No => continue,
                    Outcome::HotDrop => {
                        let (verdict, reason) = (Verdict::Drop, DropReason::NetfilterDrop);
                        return ChainEnd::Verdict { verdict, reason, rule: Rc::clone(rule) };
                    }
                }
            }
            None if chain.base.is_some() => Flow::Policy,
            None => {
                note(rules, place, RuleOutcome::Return, skb, ctx, cx);
                stack.pop().map_or(Flow::Policy, Flow::Next)
            }
        };
        match flow {
            Flow::Next(to) => place = to,
            Flow::Policy | Flow::Done(..) => return policy(ns, rules, base, skb, ctx, cx),
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
        ext => match eval_ext(ext, after.template(ctx.family), ns, skb, ctx, cx) {
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
    skb: &Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> ChainEnd {
    let chain = &rules.chains[usize::from(base.0)];
    let Some((_, verdict)) = chain.base else { return ChainEnd::Return };
    let len = skb.ip().map_or(0, packet::Ip::total_len);
    if let Some(counters) =
        ns.table_of_mut(rules.family, rules.table).and_then(|t| t.policy.get_mut(usize::from(base.0)))
    {
        counters.add(len);
    }
    let end = Place { chain: base, next: chain.rules.len() };
    note(rules, end, RuleOutcome::Policy(verdict), skb, ctx, cx);
    ChainEnd::Policy(verdict)
}

/// Logs one step of the walk.
fn note(rules: &RuleSet, place: Place, outcome: RuleOutcome, skb: &Skb, ctx: &HookCtx, cx: &mut Cx<'_>) {
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

/// Tests a rule and counts the packet if it matches; logs that if somebody keeps the log. `lent` is memory for what a rule remembers while it is asked.
#[allow(clippy::too_many_arguments, reason = "as for the walk")]
pub(super) fn rule_matches(
    ns: &mut Netns,
    place: Place,
    rule: &Rc<Rule>,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
    rules: &RuleSet,
    lent: &mut RuleState,
) -> Outcome {
    let mut checks = Checks::new(cx.explains());
    let ok = ip_packet_match(ns, rule, skb, ctx, &mut checks)
        && (rule.matches.is_empty()
            || matches_match(ns, rules, place, rule, skb, ctx, cx, &mut checks, lent));
    if ok {
        count(ns, rules, place, skb.ip().map_or(0, packet::Ip::total_len));
    }
    let says = match ok {
        _ if checks.hotdrop => Outcome::HotDrop,
        true => Outcome::Yes,
        false => Outcome::No,
    };
    if !cx.explains() {
        return says;
    }
    let (rule, checks) = (Rc::clone(rule), checks.list);
    let outcome =
        if ok { RuleOutcome::Match { rule, checks } } else { RuleOutcome::NoMatch { rule, checks } };
    note(rules, place, outcome, skb, ctx, cx);
    says
}

fn count(ns: &mut Netns, rules: &RuleSet, place: Place, len: usize) {
    if let Some(state) = rule_state(ns, rules, place) {
        state.counters.add(len);
    }
}

/// Asks the match extensions. What the rule remembers is lent to those that remember something.
#[allow(clippy::too_many_arguments, reason = "as for the walk")]
fn matches_match(
    ns: &mut Netns,
    rules: &RuleSet,
    place: Place,
    rule: &Rule,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
    checks: &mut Checks,
    state: &mut RuleState,
) -> bool {
    let remembers = rule.matches.iter().any(Match::remembers);
    if remembers && let Some(s) = rule_state(ns, rules, place) {
        *state = std::mem::take(s);
    }
    let mut m = MatchCx { ns, ctx, state, cx };
    let ok = rule.matches.iter().enumerate().all(|(i, x)| {
        // A comment is no more than a line in the log.
        if !checks.keep() && matches!(x, Match::Comment(_)) {
            return true;
        }
        checks.begin_match(i);
        x.eval(skb, &mut m, checks)
    });
    if remembers && let Some(s) = rule_state(ns, rules, place) {
        *s = std::mem::take(state);
    }
    ok
}

#[inline]
fn rule_state<'n>(ns: &'n mut Netns, rules: &RuleSet, place: Place) -> Option<&'n mut RuleState> {
    ns.table_of_mut(rules.family, rules.table)?
        .state
        .chain_mut(usize::from(place.chain.0))
        .get_mut(place.next)
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
