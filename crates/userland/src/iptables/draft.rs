//! A table being edited. Chains keep their number while commands come and go; at the end the user-defined chains are
//! sorted by name, as libiptc keeps them, and everything is numbered anew.

use crate::diagnostic::{Fault, ToolError, q};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{
    Chain, ChainId, Counters, LoadedTable, Policy, Rule, RuleSet, RuleState, RuleStates, TableId,
};
use packet::Family;
use sorted::sort_by;
use std::rc::Rc;

/// The longest name of a chain.
pub(super) const CHAIN_MAX: usize = 28;

/// A rule, what it remembers, and the line that brought it.
#[derive(Clone, Debug)]
pub(super) struct DraftRule {
    pub rule: Rc<Rule>,
    pub state: RuleState,
    pub line: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct DraftChain {
    pub name: Rc<str>,
    pub base: Option<(InetHook, Policy)>,
    pub rules: Vec<DraftRule>,
    pub policy: Counters,
    /// How many rules lead here.
    references: usize,
    /// The line that declared it.
    pub line: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub family: Family,
    pub table: TableId,
    /// By [`ChainId`]; a deleted chain leaves its place empty.
    chains: Vec<Option<DraftChain>>,
    names: Names,
    /// The counters of the policies before the edit. libiptc brings those of the rules back when it commits a change,
    /// but not these.
    policies: Vec<Counters>,
    changed: bool,
}

/// The result of an edit: a rule set, and for each of its rules what it remembers and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub rules: RuleSet,
    pub state: RuleStates,
    pub policy: Vec<Counters>,
    pub lines: Vec<Vec<Option<u32>>>,
    pub chain_lines: Vec<Option<u32>>,
}

fn too_many() -> Fault {
    Fault::new("too many chains", "expected at most 65535 chains in a table")
}

impl Draft {
    /// Begins with what is loaded.
    pub fn of(loaded: &LoadedTable) -> Draft {
        let mut draft = Draft {
            family: loaded.rules.family,
            table: loaded.rules.table,
            chains: Vec::new(),
            names: Names::default(),
            policies: loaded.policy.clone(),
            changed: false,
        };
        for (i, chain) in loaded.rules.chains.iter().enumerate() {
            // The counters are brought back; what matches remember is lost with every change of the table.
            let counters = |n: usize| loaded.state.counters(i, n);
            let state = |n: usize| RuleState { counters: counters(n), ..RuleState::default() };
            let rules = chain.rules.iter().enumerate();
            let rules = rules.map(|(n, r)| DraftRule { rule: Rc::clone(r), state: state(n), line: None });
            let new = DraftChain { rules: rules.collect(), ..DraftChain::new(&chain.name, chain.base) };
            // A loaded set has no more chains than numbers.
            let _ = draft.push(new);
        }
        let jumps: Vec<ChainId> =
            loaded.rules.chains.iter().flat_map(|c| &c.rules).filter_map(|r| r.target.chain()).collect();
        for to in jumps {
            draft.refer(Some(to), 1);
        }
        draft.changed = false;
        draft
    }

    fn push(&mut self, chain: DraftChain) -> Result<ChainId, Fault> {
        let id = u16::try_from(self.chains.len())
            .ok()
            .filter(|n| *n < u16::MAX)
            .map(ChainId)
            .ok_or_else(too_many)?;
        let name = Rc::clone(&chain.name);
        self.chains.push(Some(chain));
        self.names.insert(&name, id, &self.chains);
        self.changed = true;
        Ok(id)
    }

    /// The chain of that name.
    pub fn find(&self, name: &str) -> Option<ChainId> {
        self.names.find(name, &self.chains)
    }

    /// The chain with that number.
    pub fn chain(&self, id: ChainId) -> Option<&DraftChain> {
        self.chains.get(usize::from(id.0))?.as_ref()
    }

    /// The same, to be changed.
    pub fn chain_mut(&mut self, id: ChainId) -> Option<&mut DraftChain> {
        self.changed = true;
        self.chains.get_mut(usize::from(id.0))?.as_mut()
    }

    /// All chains.
    pub fn ids(&self) -> Vec<ChainId> {
        (0u16..).zip(&self.chains).filter(|(_, c)| c.is_some()).map(|(i, _)| ChainId(i)).collect()
    }

    /// The names of the chains, sorted, for messages.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.chains.iter().flatten().map(|c| &*c.name).collect();
        sort_by(&mut names, Ord::cmp);
        names.into_iter()
    }

    /// A new user-defined chain.
    pub fn create(&mut self, name: &str, line: Option<u32>) -> Result<ChainId, Fault> {
        if self.find(name).is_some() {
            return Err(Fault::new(format!("chain {} exists already", q(name)), "expected another name")
                .says(ToolError::Errno("Chain already exists.")));
        }
        self.push(DraftChain { line, ..DraftChain::new(&Rc::from(name), None) })
    }

    /// Inserts a rule at an index.
    pub fn insert(&mut self, id: ChainId, at: usize, rule: DraftRule) {
        let to = rule.rule.target.chain();
        let Some(chain) = self.chain_mut(id) else { return };
        let at = at.min(chain.rules.len());
        chain.rules.insert(at, rule);
        self.refer(to, 1);
    }

    /// Takes the rule at an index out.
    pub fn remove(&mut self, id: ChainId, at: usize) -> Option<DraftRule> {
        let chain = self.chain_mut(id)?;
        if at >= chain.rules.len() {
            return None;
        }
        let rule = chain.rules.remove(at);
        self.refer(rule.rule.target.chain(), -1);
        Some(rule)
    }

    /// Takes all rules of a chain out.
    pub fn flush(&mut self, id: ChainId) {
        let rules = self.chain_mut(id).map(|c| std::mem::take(&mut c.rules)).unwrap_or_default();
        for rule in rules {
            self.refer(rule.rule.target.chain(), -1);
        }
    }

    /// Deletes an empty, unused, user-defined chain.
    pub fn delete(&mut self, id: ChainId) -> Result<(), Fault> {
        let Some(chain) = self.chain(id) else { return Ok(()) };
        let name = q(&chain.name);
        if chain.base.is_some() {
            return Err(Fault::new(format!("{name} is a built-in chain"), "expected a user-defined chain")
                .says(ToolError::INVALID));
        }
        if chain.references > 0 {
            return Err(Fault::new(
                format!("{} rules lead to chain {name}", chain.references),
                "expected a chain that no rule jumps to; delete those rules first",
            )
            .says(ToolError::Errno("Too many links.")));
        }
        if !chain.rules.is_empty() {
            return Err(Fault::new(
                format!("chain {name} still has rules"),
                format!("expected an empty chain; flush it first (-F {})", chain.name),
            )
            .says(ToolError::Errno("Directory not empty.")));
        }
        let name = Rc::clone(&chain.name);
        self.names.remove(&name, id);
        if let Some(place) = self.chains.get_mut(usize::from(id.0)) {
            *place = None;
        }
        self.changed = true;
        Ok(())
    }

    /// Removes every rule and every user-defined chain; policies stay.
    pub fn clear(&mut self) {
        self.chains.retain(|c| c.as_ref().is_some_and(|c| c.base.is_some()));
        self.changed = true;
        for chain in self.chains.iter_mut().flatten() {
            chain.rules.clear();
            chain.references = 0;
        }
        self.names.rebuild(&self.chains);
    }

    /// Gives a chain another name.
    pub fn rename(&mut self, id: ChainId, name: &str) {
        let new: Rc<str> = Rc::from(name);
        let Some(chain) = self.chain_mut(id) else { return };
        let old = std::mem::replace(&mut chain.name, Rc::clone(&new));
        self.names.remove(&old, id);
        self.names.insert(&new, id, &self.chains);
    }

    /// The chains without their rules, under the numbers that they have now.
    pub fn names_only(&self) -> RuleSet {
        let chain = |c: &Option<DraftChain>| match c {
            Some(c) => Chain { name: Rc::clone(&c.name), base: c.base, rules: Vec::new() },
            None => Chain { name: Rc::from(""), base: None, rules: Vec::new() },
        };
        RuleSet { family: self.family, table: self.table, chains: self.chains.iter().map(chain).collect() }
    }

    /// The same if it is asked for, otherwise nothing.
    #[cfg(feature = "nft")]
    pub fn names_only_if(&self, asked: bool) -> RuleSet {
        match asked {
            true => self.names_only(),
            false => RuleSet { family: self.family, table: self.table, chains: Vec::new() },
        }
    }

    fn refer(&mut self, to: Option<ChainId>, by: isize) {
        if let Some(chain) = to.and_then(|to| self.chain_mut(to)) {
            chain.references = chain.references.saturating_add_signed(by);
        }
    }

    /// Built-in chains by hook, the others by name, numbered in that order.
    pub fn finish(mut self) -> Finished {
        if !self.changed {
            for (chain, policy) in self.chains.iter_mut().flatten().zip(&self.policies) {
                chain.policy = *policy;
            }
        }
        let mut order: Vec<(ChainId, DraftChain)> =
            (0u16..).zip(self.chains).filter_map(|(i, c)| c.map(|c| (ChainId(i), c))).collect();
        let key = |c: &DraftChain| (c.base.is_none(), c.base.map(|(hook, _)| hook));
        sort_by(&mut order, |(_, a), (_, b)| key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
        let last = order.iter().map(|(old, _)| usize::from(old.0)).max();
        let mut new_ids = vec![None; last.map_or(0, |last| last + 1)];
        for ((old, _), new) in order.iter().zip(0u16..) {
            if let Some(id) = new_ids.get_mut(usize::from(old.0)) {
                *id = Some(ChainId(new));
            }
        }
        let mut out = Finished {
            rules: RuleSet {
                family: self.family,
                table: self.table,
                chains: Vec::with_capacity(order.len()),
            },
            state: RuleStates::with_chains(order.len()),
            policy: Vec::with_capacity(order.len()),
            lines: Vec::with_capacity(order.len()),
            chain_lines: Vec::with_capacity(order.len()),
        };
        for (_, chain) in order {
            out.state.push_chain(chain.rules.iter().map(|r| r.state.clone()));
            out.lines.push(chain.rules.iter().map(|r| r.line).collect());
            out.policy.push(chain.policy);
            out.chain_lines.push(chain.line);
            let rules = chain.rules.into_iter().map(|r| renumbered(r.rule, &new_ids)).collect();
            out.rules.chains.push(Chain { name: chain.name, base: chain.base, rules });
        }
        out
    }
}

/// Chains by a hash of their names; the names themselves stand in the chains.
#[derive(Clone, Debug, Default)]
struct Names {
    buckets: Vec<Vec<ChainId>>,
}

impl Names {
    /// FNV-1a.
    fn bucket(&self, name: &str) -> usize {
        let step = |h: u32, b: u8| (h ^ u32::from(b)).wrapping_mul(0x0100_0193);
        name.bytes().fold(0x811c_9dc5, step) as usize % self.buckets.len().max(1)
    }

    fn find(&self, name: &str, chains: &[Option<DraftChain>]) -> Option<ChainId> {
        let named = |id: &&ChainId| {
            chains.get(usize::from(id.0)).and_then(Option::as_ref).is_some_and(|c| &*c.name == name)
        };
        self.buckets.get(self.bucket(name))?.iter().find(named).copied()
    }

    /// Takes up a chain that is among the chains already.
    fn insert(&mut self, name: &str, id: ChainId, chains: &[Option<DraftChain>]) {
        if chains.len() > self.buckets.len() {
            return self.rebuild(chains);
        }
        let at = self.bucket(name);
        self.buckets.get_mut(at).into_iter().for_each(|b| b.push(id));
    }

    fn rebuild(&mut self, chains: &[Option<DraftChain>]) {
        self.buckets = vec![Vec::new(); (chains.len() * 2).max(16)];
        for (id, chain) in (0u16..).map(ChainId).zip(chains) {
            let Some(chain) = chain else { continue };
            let at = self.bucket(&chain.name);
            self.buckets.get_mut(at).into_iter().for_each(|b| b.push(id));
        }
    }

    fn remove(&mut self, name: &str, id: ChainId) {
        let at = self.bucket(name);
        self.buckets.get_mut(at).into_iter().for_each(|b| b.retain(|x| *x != id));
    }
}

impl DraftChain {
    fn new(name: &Rc<str>, base: Option<(InetHook, Policy)>) -> DraftChain {
        let policy = Counters::default();
        DraftChain { name: Rc::clone(name), base, rules: Vec::new(), policy, references: 0, line: None }
    }
}

/// The rule with the new number of its chain; a rule that keeps it is shared.
fn renumbered(mut rule: Rc<Rule>, new_ids: &[Option<ChainId>]) -> Rc<Rule> {
    let Some((old, new)) =
        rule.target.chain().and_then(|old| Some((old, (*new_ids.get(usize::from(old.0))?)?)))
    else {
        return rule;
    };
    if old == new {
        return rule;
    }
    let target = match rule.target {
        Target::Goto(_) => Target::Goto(new),
        _ => Target::Jump(new),
    };
    Rc::make_mut(&mut rule).target = target;
    rule
}
