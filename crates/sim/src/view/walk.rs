//! The walk of a packet through one hook: table by table in the order of priority, chain by chain, rule by rule.

use super::nft;
use super::why::{Token, rule_parts};
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::{HookCtx, NftOutcome, NftStep, RuleOutcome, RuleStep, What};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::nftables::{NftBase, TableKey};
use kernel::netfilter::xtables::{Chain, TableId};
use kernel::{Netns, NetnsId, PacketId};
use packet::Family;
use std::rc::Rc;

/// A packet goes through a hook once.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Where.
    pub ctx: HookCtx,
    /// The event with which it begins.
    pub first: EventId,
    /// One past its last event.
    pub end: EventId,
    /// What it walked, in order.
    pub walks: Vec<Walk>,
}

/// What is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkOf {
    /// A table of iptables.
    Table(Family, TableId),
    /// A base chain of nf_tables.
    Nft(NftBase),
}

/// A walk through one table, or from one base chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    /// Through what.
    pub of: WalkOf,
    /// Line by line.
    pub lines: Vec<WalkLine>,
}

/// A line of a walk. `depth` counts the jumps that led there.
#[derive(Clone, Debug, PartialEq)]
pub enum WalkLine {
    /// A chain is entered.
    Chain {
        /// Jumps.
        depth: usize,
        /// Its name.
        name: Rc<str>,
        /// How many rules it has.
        rules: usize,
    },
    /// A rule was asked.
    Asked {
        /// Jumps.
        depth: usize,
        /// Its number.
        n: u32,
        /// The event that tells of it; see [`rule_asked`].
        event: EventId,
        /// It matched.
        matched: bool,
    },
    /// The chain's end: it returns, or its policy decides.
    End {
        /// Jumps.
        depth: usize,
        /// The event.
        event: EventId,
        /// In words.
        text: String,
    },
    /// Rules of a chain that were not reached; see [`rest`].
    Rest {
        /// Jumps.
        depth: usize,
        /// The chain.
        chain: Rc<str>,
        /// The number of the first of them.
        from: u32,
        /// How many.
        count: usize,
    },
}

/// A rule that was asked, as its tool prints it, with its parts and what the packet had.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The chain.
    pub chain: Rc<str>,
    /// Its number.
    pub n: u32,
    /// The text.
    pub text: String,
    /// The parts.
    pub tokens: Vec<Token>,
    /// It matched.
    pub matched: bool,
}

/// Every pass of a packet through a hook of a box, in order.
pub fn passes(world: &World, host: NetnsId, packet: PacketId, hook: InetHook) -> Vec<Pass> {
    let Some(ns) = world.host(host) else { return Vec::new() };
    let mut out: Vec<Pass> = Vec::new();
    let mut open: Option<Draft> = None;
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let (Seen::Kernel(what), true) = (&*entry.seen, entry.host == host && entry.packet == Some(packet))
        else {
            continue;
        };
        if let What::Hook(ctx) | What::HookSkipped(ctx) = what {
            let skips = matches!(what, What::HookSkipped(_));
            if !(skips && open.is_some()) {
                out.extend(open.take().map(|d| d.done(ns)));
                open = (ctx.hook == hook).then(|| Draft::new(ctx.clone(), event));
            }
        }
        let Some(draft) = &mut open else { continue };
        // A packet that is sent on by a device has left its hook.
        if matches!(what, What::Tap { .. } | What::Route(_) | What::Bridge { .. } | What::Socket { .. }) {
            out.extend(open.take().map(|d| d.done(ns)));
            continue;
        }
        draft.end = EventId(event.0 + 1);
        match what {
            What::Rule(step) if step.ctx.hook == hook => draft.rule(ns, event, step),
            What::Nft(step) if step.ctx.hook == hook => draft.nft(ns, event, step),
            _ => {}
        }
    }
    out.extend(open.take().map(|d| d.done(ns)));
    out
}

/// A pass in the making.
struct Draft {
    ctx: HookCtx,
    first: EventId,
    end: EventId,
    walks: Vec<Walk>,
    /// The chains that are open in the last walk, and the last rule that was asked in each.
    open: Vec<(Rc<str>, u32)>,
}

impl Draft {
    fn new(ctx: HookCtx, first: EventId) -> Draft {
        Draft { ctx, first, end: EventId(first.0 + 1), walks: Vec::new(), open: Vec::new() }
    }

    fn done(mut self, ns: &Netns) -> Pass {
        self.close(ns, 0);
        Pass { ctx: self.ctx, first: self.first, end: self.end, walks: self.walks }
    }

    /// Leaves all chains but the first so many; what they have left was not reached.
    fn close(&mut self, ns: &Netns, keep: usize) {
        let Some(walk) = self.walks.last_mut() else { return };
        while self.open.len() > keep {
            let Some((chain, last)) = self.open.pop() else { return };
            let count = chain_len(ns, walk.of, &chain).saturating_sub(last as usize);
            if count > 0 {
                walk.lines.push(WalkLine::Rest { depth: self.open.len(), chain, from: last + 1, count });
            }
        }
    }

    /// Makes a chain of a table the innermost open one, and says how deep it is.
    fn enter(&mut self, ns: &Netns, of: WalkOf, chain: &Rc<str>) -> usize {
        if self.walks.last().is_none_or(|w| w.of != of) {
            self.close(ns, 0);
            self.walks.push(Walk { of, lines: Vec::new() });
        }
        if let Some(at) = self.open.iter().rposition(|(c, _)| c == chain) {
            self.close(ns, at + 1);
            return at;
        }
        let depth = self.open.len();
        let rules = chain_len(ns, of, chain);
        self.push(WalkLine::Chain { depth, name: Rc::clone(chain), rules });
        self.open.push((Rc::clone(chain), 0));
        depth
    }

    fn push(&mut self, line: WalkLine) {
        self.walks.last_mut().into_iter().for_each(|w| w.lines.push(line.clone()));
    }

    fn asked(&mut self, depth: usize, n: u32, event: EventId, matched: bool) {
        self.push(WalkLine::Asked { depth, n, event, matched });
        if let Some(chain) = self.open.get_mut(depth) {
            chain.1 = n;
        }
    }

    /// At its end a chain has nothing left.
    fn ended(&mut self, depth: usize, event: EventId, text: String) {
        self.push(WalkLine::End { depth, event, text });
        self.open.truncate(depth);
    }

    fn rule(&mut self, ns: &Netns, event: EventId, step: &RuleStep) {
        let depth = self.enter(ns, WalkOf::Table(step.ctx.family, step.table), &step.chain);
        match &step.outcome {
            RuleOutcome::Match { .. } => self.asked(depth, step.n, event, true),
            RuleOutcome::NoMatch { .. } => self.asked(depth, step.n, event, false),
            RuleOutcome::Return => self.ended(depth, event, format!("end of {}: back", step.chain)),
            RuleOutcome::Policy(v) => self.ended(depth, event, format!("policy {v}")),
        }
    }

    fn nft(&mut self, ns: &Netns, event: EventId, step: &NftStep) {
        let depth = self.enter(ns, WalkOf::Nft(step.base), &step.chain);
        match &step.outcome {
            NftOutcome::Match { .. } => self.asked(depth, step.n, event, true),
            NftOutcome::NoMatch { .. } => self.asked(depth, step.n, event, false),
            NftOutcome::Return => self.ended(depth, event, format!("end of {}: back", step.chain)),
            NftOutcome::Policy(v) => {
                let word = if *v == kernel::netfilter::xtables::Verdict::Drop { "drop" } else { "accept" };
                self.ended(depth, event, format!("policy {word}"));
            }
        }
    }
}

fn table_chains(ns: &Netns, family: Family, table: TableId) -> &[Chain] {
    ns.table_of(family, table).map_or(&[], |t| &t.rules.chains)
}

fn nft_table(ns: &Netns, key: TableKey) -> Option<&kernel::netfilter::nftables::NftTable> {
    ns.nft.table_by_key(key)
}

fn chain_len(ns: &Netns, of: WalkOf, name: &str) -> usize {
    match of {
        WalkOf::Table(family, table) => {
            table_chains(ns, family, table).iter().find(|c| *c.name == *name).map_or(0, |c| c.rules.len())
        }
        WalkOf::Nft(base) => {
            nft_table(ns, base.table).and_then(|t| t.chain(name)).map_or(0, |c| c.rules().len())
        }
    }
}

/// The texts of a chain's rules from a number on, at most so many.
pub fn rest(ns: &Netns, of: WalkOf, chain: &str, from: u32, most: usize) -> Vec<String> {
    let skip = (from as usize).saturating_sub(1);
    match of {
        WalkOf::Table(family, id) => {
            let Some(table) = ns.table_of(family, id) else { return Vec::new() };
            let chain = table.rules.chains.iter().find(|c| *c.name == *chain);
            let rules = chain.into_iter().flat_map(|c| &c.rules).skip(skip).take(most);
            rules.map(|r| userland::iptables::print_rule(&table.rules, r)).collect()
        }
        WalkOf::Nft(base) => {
            nft_table(ns, base.table).map(|t| nft::rule_texts(ns, t, chain, skip, most)).unwrap_or_default()
        }
    }
}

/// The chains that a walk could have led to and did not: those of its table that it never entered, and that are no
/// other hook's. Each with its number of rules.
pub fn unentered(ns: &Netns, walk: &Walk) -> Vec<(Rc<str>, usize)> {
    let entered =
        |name: &str| walk.lines.iter().any(|l| matches!(l, WalkLine::Chain { name: n, .. } if **n == *name));
    match walk.of {
        WalkOf::Table(family, table) => table_chains(ns, family, table)
            .iter()
            .filter(|c| c.base.is_none() && !entered(&c.name))
            .map(|c| (Rc::clone(&c.name), c.rules.len()))
            .collect(),
        WalkOf::Nft(base) => nft_table(ns, base.table)
            .into_iter()
            .flat_map(|t| t.chains())
            .filter(|c| c.base.is_none() && !entered(&c.name))
            .map(|c| (Rc::clone(&c.name), c.rules().len()))
            .collect(),
    }
}

/// A rule that was asked. `None` if the event is none.
pub fn rule_asked(world: &World, event: EventId) -> Option<Asked> {
    let entry = world.log().get(event)?;
    let ns = world.host(entry.host)?;
    match entry.what()? {
        What::Rule(step) => {
            let (RuleOutcome::Match { rule, .. } | RuleOutcome::NoMatch { rule, .. }) = &step.outcome else {
                return None;
            };
            let table = ns.table_of(step.ctx.family, step.table)?;
            Some(Asked {
                chain: Rc::clone(&step.chain),
                n: step.n,
                text: userland::iptables::print_rule(&table.rules, rule),
                tokens: rule_parts(ns, step),
                matched: matches!(step.outcome, RuleOutcome::Match { .. }),
            })
        }
        What::Nft(step) => {
            let (text, tokens) = nft::nft_rule_parts(ns, step)?;
            let matched = matches!(step.outcome, NftOutcome::Match { .. });
            Some(Asked { chain: Rc::clone(&step.chain), n: step.n, text, tokens, matched })
        }
        _ => None,
    }
}
