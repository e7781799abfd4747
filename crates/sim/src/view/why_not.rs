//! Why not? For any rule of the hook at which a packet is: why it did not match this packet, or why it was never reached.

use super::step::Step;
use super::title::target_text;
use super::why::{Token, rule_parts};
use crate::World;
use kernel::Netns;
use kernel::event::{RuleOutcome, RuleStep, What};
use kernel::netfilter::conntrack::CtState;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::{Chain, RuleSet, TableId};
use std::rc::Rc;

/// What became of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It matched.
    Matched,
    /// This part of it did not hold.
    Failed(Token),
    /// The packet never came to it, for this reason.
    NotReached(String),
}

/// A rule that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: Rc<str>,
    /// Its number in the chain, from 1.
    pub n: u32,
    /// Its text, without the chain.
    pub text: String,
    /// What became of it.
    pub answer: Answer,
}

/// Rules that were asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhyNot {
    /// The rules.
    pub rules: Vec<Asked>,
    /// How many more there are.
    pub more: usize,
}

impl WhyNot {
    /// Takes a rule if there is room for it; `make` says what became of it.
    pub(super) fn take(&mut self, limit: usize, make: impl FnOnce() -> Asked) {
        if self.rules.len() < limit {
            self.rules.push(make());
        } else {
            self.more += 1;
        }
    }
}

/// What happened to a packet at a hook, from its beginning to its end.
pub(super) struct Walk<'a> {
    pub ns: &'a Netns,
    pub hook: InetHook,
    pub events: Vec<&'a What>,
    /// The step that was asked about.
    pub at: &'a What,
}

impl Walk<'_> {
    /// Something else in this walk has ended it: the words for it.
    pub(super) fn ended(&self) -> Option<String> {
        let dropped = self.events.iter().any(|w| matches!(w, What::Drop { .. }));
        if !dropped {
            return None;
        }
        self.events.iter().rev().find_map(|w| match w {
            What::Rule(r) => Some(ended_at(r)),
            What::Nft(r) => Some(format!("the walk ended at rule {} of {}", r.n, r.chain)),
            _ => None,
        })
    }

    /// Why NAT did not ask its rules: they are for the first packet of a connection.
    pub(super) fn nat(&self) -> Option<String> {
        let state = self.events.iter().find_map(|w| match w {
            What::Conntrack { state, .. } => Some(*state),
            _ => None,
        })?;
        match state {
            CtState::New | CtState::Related => None,
            state => Some(format!(
                "nat asks its rules for the first packet of a connection only; this one is {state}"
            )),
        }
    }
}

/// Asks about rules of the hook at which a step happens. Without words to find, about those of the chain that the step is
/// in; otherwise about all whose text, with the chain's name, has the words in it. At most `limit` of them are answered.
pub fn why_not(world: &World, step: &Step, find: &str, limit: usize) -> WhyNot {
    let mut out = WhyNot::default();
    let Some(walk) = walk(world, step) else { return out };
    let find = find.trim().to_ascii_lowercase();
    for table in TableId::ALL {
        let Some(set) = walk.ns.table(table).map(|t| &*t.rules) else { continue };
        in_table(&walk, set, &find, limit, &mut out);
    }
    super::nft::why_not(&walk, &find, limit, &mut out);
    out
}

/// The walk that a step is part of; `None` where no rules are.
fn walk<'a>(world: &'a World, step: &Step) -> Option<Walk<'a>> {
    let hook = step.hook()?;
    let (ns, packet) = (world.host(step.host)?, step.packet?);
    let log = world.log().entries();
    let mine = |e: &&crate::Entry| e.host == step.host && e.packet == Some(packet);
    let at = log.get(step.key.index())?.what()?;
    let same = |w: &What| match w {
        What::Hook(ctx) => ctx.hook == hook,
        _ => true,
    };
    let is_edge =
        |w: &What| matches!(w, What::Hook(_) | What::Tap { .. } | What::Route(_) | What::Socket { .. });
    let mut events = Vec::new();
    for e in log[..=step.key.index()].iter().rev().filter(mine) {
        let Some(what) = e.what() else { continue };
        if is_edge(what) {
            if same(what) {
                events.push(what);
            }
            break;
        }
        events.push(what);
    }
    events.reverse();
    for e in log[step.key.index() + 1..].iter().filter(mine) {
        let Some(what) = e.what() else { continue };
        if is_edge(what) {
            break;
        }
        events.push(what);
    }
    Some(Walk { ns, hook, events, at })
}

/// The chains of a table that a hook leads to, its own first.
fn reachable(set: &RuleSet, hook: InetHook) -> Vec<&Chain> {
    let Some(base) = set.base_chain(hook) else { return Vec::new() };
    let mut seen = vec![base];
    let mut next = 0;
    while let Some(id) = seen.get(next).copied() {
        next += 1;
        let Some(chain) = set.chains.get(usize::from(id.0)) else { continue };
        for to in chain.rules.iter().filter_map(|r| r.target.chain()) {
            if !seen.contains(&to) {
                seen.push(to);
            }
        }
    }
    seen.into_iter().filter_map(|id| set.chains.get(usize::from(id.0))).collect()
}

fn in_table(walk: &Walk<'_>, set: &RuleSet, find: &str, limit: usize, out: &mut WhyNot) {
    let steps: Vec<&RuleStep> = walk
        .events
        .iter()
        .filter_map(|w| match w {
            What::Rule(r) if r.table == set.table => Some(&**r),
            _ => None,
        })
        .collect();
    let here = match walk.at {
        What::Rule(r) if r.table == set.table => Some(&*r.chain),
        What::Rule(_) | What::Nft(_) => None,
        // Of a step between the rules: those with which the hook begins.
        _ => Some(walk.hook.chain()),
    };
    let chains = if find.is_empty() {
        set.chains.iter().filter(|c| Some(&*c.name) == here).collect()
    } else {
        reachable(set, walk.hook)
    };
    for chain in chains {
        for (rule, n) in chain.rules.iter().zip(1u32..) {
            let text = userland::iptables::print_rule(set, rule);
            if !find.is_empty() && !format!("{} {text}", chain.name).to_ascii_lowercase().contains(find) {
                continue;
            }
            out.take(limit, || Asked {
                table: set.table.to_string(),
                chain: Rc::clone(&chain.name),
                n,
                text,
                answer: answer(walk, set, &steps, chain, n),
            });
        }
    }
}

fn answer(walk: &Walk<'_>, set: &RuleSet, steps: &[&RuleStep], chain: &Chain, n: u32) -> Answer {
    let asked = |s: &&&RuleStep| s.chain == chain.name && s.n == n && s.rule().is_some();
    let mut mine = steps.iter().filter(asked);
    if mine.clone().any(|s| matches!(s.outcome, RuleOutcome::Match { .. })) {
        return Answer::Matched;
    }
    if let Some(step) = mine.next() {
        return Answer::Failed(failed(walk.ns, step));
    }
    Answer::NotReached(not_reached(walk, set, steps, chain, n))
}

/// The part of a rule that did not hold.
fn failed(ns: &Netns, step: &RuleStep) -> Token {
    let token = rule_parts(ns, step).into_iter().find(|t| t.ok == Some(false));
    token.unwrap_or_else(|| Token { text: "a part of it".to_owned(), ok: Some(false), seen: String::new() })
}

fn ended_at(r: &RuleStep) -> String {
    match &r.outcome {
        RuleOutcome::Policy(v) => format!("the walk ended with the policy of {}: {v}", r.chain),
        _ => format!("the walk ended at rule {} of {}, table {}", r.n, r.chain, r.table),
    }
}

fn not_reached(walk: &Walk<'_>, set: &RuleSet, steps: &[&RuleStep], chain: &Chain, n: u32) -> String {
    let Some(last) = steps.last() else {
        if walk.events.iter().any(|w| matches!(w, What::HookSkipped(_))) {
            return format!("never reached: the bridge has run {} for this packet already", walk.hook);
        }
        let nat = if set.table == TableId::Nat { walk.nat() } else { None };
        let why = nat.or_else(|| walk.ended());
        return format!(
            "never reached: {}",
            why.unwrap_or_else(|| format!("the packet does not come to table {} here", set.table))
        );
    };
    let inside = steps.iter().rev().find(|s| s.chain == chain.name);
    let Some(inside) = inside else { return not_entered(walk, set, steps, chain) };
    // The chain was left before this rule.
    match &inside.outcome {
        RuleOutcome::Match { rule, .. } if inside.n < n => match target_text(Some(set), rule).as_str() {
            "RETURN" => format!("never reached: rule {} of {} returns", inside.n, chain.name),
            _ => format!("never reached: {}", ended_at(last)),
        },
        _ => format!("never reached: {}", ended_at(last)),
    }
}

/// No rule led to the chain.
fn not_entered(walk: &Walk<'_>, set: &RuleSet, steps: &[&RuleStep], chain: &Chain) -> String {
    let leads = |s: &&&RuleStep| {
        let to = s.rule().and_then(|r| r.target.chain());
        to.and_then(|id| set.chains.get(usize::from(id.0))).is_some_and(|c| c.name == chain.name)
    };
    if let Some(step) = steps.iter().find(leads) {
        let token = failed(walk.ns, step);
        let seen =
            if token.seen.is_empty() { String::new() } else { format!(", the packet has {}", token.seen) };
        return format!(
            "never reached: rule {} of {} leads to {}, and does not match: {}{seen}",
            step.n, step.chain, chain.name, token.text
        );
    }
    match steps.last() {
        Some(last) => {
            format!("never reached: no rule that leads to {} was asked; {}", chain.name, ended_at(last))
        }
        None => "never reached".to_owned(),
    }
}
