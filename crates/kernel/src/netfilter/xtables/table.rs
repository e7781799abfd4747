//! Tables: which hooks, which built-in chains, and the rule set that is loaded.

use super::super::hook::{InetHook, priority};
use super::rule::{Counters, Rule};
use super::{Verdict, targets::Target};
use packet::Family;
use std::fmt;
use std::rc::Rc;

/// The five tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableId {
    /// raw
    Raw,
    /// mangle
    Mangle,
    /// nat
    Nat,
    /// filter
    Filter,
    /// security
    Security,
}

impl TableId {
    /// All tables in the order of their priority at FORWARD-like hooks.
    pub const ALL: [TableId; 5] =
        [TableId::Raw, TableId::Mangle, TableId::Nat, TableId::Filter, TableId::Security];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            TableId::Raw => "raw",
            TableId::Mangle => "mangle",
            TableId::Nat => "nat",
            TableId::Filter => "filter",
            TableId::Security => "security",
        }
    }

    /// The table of that name.
    pub fn from_name(name: &str) -> Option<TableId> {
        TableId::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The hooks at which it has a built-in chain.
    pub fn hooks(self) -> &'static [InetHook] {
        use InetHook::*;
        match self {
            TableId::Raw => &[PreRouting, LocalOut],
            TableId::Mangle => &[PreRouting, LocalIn, Forward, LocalOut, PostRouting],
            TableId::Nat => &[PreRouting, LocalIn, LocalOut, PostRouting],
            TableId::Filter | TableId::Security => &[LocalIn, Forward, LocalOut],
        }
    }

    /// Its priority at a hook.
    pub fn priority(self, hook: InetHook) -> i32 {
        match self {
            TableId::Raw => priority::RAW,
            TableId::Mangle => priority::MANGLE,
            TableId::Nat => match hook {
                InetHook::PreRouting | InetHook::LocalOut => priority::NAT_DST,
                _ => priority::NAT_SRC,
            },
            TableId::Filter => priority::FILTER,
            TableId::Security => priority::SECURITY,
        }
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A chain of one table, by its place in [`RuleSet::chains`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub u16);

/// The policy of a built-in chain.
pub type Policy = Verdict;

/// A chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its name.
    pub name: Rc<str>,
    /// For a built-in chain: its hook and policy.
    pub base: Option<(InetHook, Policy)>,
    /// The rules in order.
    pub rules: Vec<Rc<Rule>>,
}

/// The rules of one table. Every [`ChainId`] in it is valid and there is no jump loop: [`RuleSet::check`] says so,
/// and only checked sets are loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// Whose packets: ip_tables or ip6_tables.
    pub family: Family,
    /// Which table.
    pub table: TableId,
    /// The built-in chains in hook order, then the user-defined ones.
    pub chains: Vec<Chain>,
}

/// A rule set that would not be accepted: which chain and rule, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSetError {
    /// Name of the chain.
    pub chain: String,
    /// Rule number from 1, if it is about one.
    pub rule: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl RuleSet {
    /// An IPv4 table as it is right after its module was loaded: built-in chains, policy ACCEPT.
    pub fn empty(table: TableId) -> RuleSet {
        RuleSet::empty_of(Family::V4, table)
    }

    /// The same for either family.
    pub fn empty_of(family: Family, table: TableId) -> RuleSet {
        let chains = table
            .hooks()
            .iter()
            .map(|&hook| Chain {
                name: Rc::from(hook.chain()),
                base: Some((hook, Verdict::Accept)),
                rules: Vec::new(),
            })
            .collect();
        RuleSet { family, table, chains }
    }

    /// The chain of that name.
    pub fn chain(&self, name: &str) -> Option<ChainId> {
        let at = self.chains.iter().position(|c| &*c.name == name)?;
        u16::try_from(at).ok().map(ChainId)
    }

    /// The built-in chain at a hook.
    pub fn base_chain(&self, hook: InetHook) -> Option<ChainId> {
        let at = self.chains.iter().position(|c| c.base.is_some_and(|(h, _)| h == hook))?;
        u16::try_from(at).ok().map(ChainId)
    }

    /// True if a rule needs conntrack, so that loading the set turns it on in the namespace (`nf_ct_netns_get`).
    pub fn uses_conntrack(&self) -> bool {
        self.chains.iter().flat_map(|c| &c.rules).any(|r| r.uses_conntrack())
    }

    /// Checks what `translate_table` checks: that jumps lead to chains of this table, and not in a circle.
    /// `Err` names the first rule that breaks it.
    pub fn check(&self) -> Result<(), RuleSetError> {
        for chain in &self.chains {
            for (i, rule) in chain.rules.iter().enumerate() {
                if let Some(to) = rule.target.chain() {
                    let dest = self.chains.get(usize::from(to.0));
                    let fault = match dest {
                        None => "jumps to a chain that does not exist",
                        Some(c) if c.base.is_some() => "jumps to a built-in chain",
                        Some(_) => continue,
                    };
                    return Err(RuleSetError {
                        chain: chain.name.to_string(),
                        rule: Some(i + 1),
                        message: fault.to_owned(),
                    });
                }
            }
        }
        self.check_loops()
    }

    /// `mark_source_chains`: walks from every built-in chain and refuses a chain that is already on the path.
    /// Circles that no built-in chain reaches are harmless and accepted, as in the kernel.
    fn check_loops(&self) -> Result<(), RuleSetError> {
        // 0 not seen, 1 on the path, 2 done
        let mut mark = vec![0u8; self.chains.len()];
        for start in 0..self.chains.len() {
            if self.chains[start].base.is_none() || mark[start] != 0 {
                continue;
            }
            let mut path: Vec<(usize, usize)> = vec![(start, 0)];
            mark[start] = 1;
            while let Some((chain, next)) = path.last_mut() {
                let Some(rule) = self.chains[*chain].rules.get(*next) else {
                    mark[*chain] = 2;
                    path.pop();
                    continue;
                };
                *next += 1;
                if rule.is_unconditional() && rule.target.is_standard_verdict() {
                    // Nothing behind it is ever reached, and the kernel does not look there.
                    *next = usize::MAX;
                    continue;
                }
                let Some(to) = rule.target.chain().map(|c| usize::from(c.0)) else { continue };
                match mark[to] {
                    0 => {
                        mark[to] = 1;
                        path.push((to, 0));
                    }
                    1 => {
                        return Err(RuleSetError {
                            chain: self.chains[*chain].name.to_string(),
                            rule: Some(*next),
                            message: format!("loop: chain {} is jumped to from itself", self.chains[to].name),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// What a rule remembers between packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleState {
    /// Packets and bytes that matched.
    pub counters: Counters,
    /// What its matches remember, by their index in the rule; a match that has not been asked yet is absent.
    pub memory: Vec<MatchMemory>,
}

impl RuleState {
    /// The memory of one match; a new one is all zero.
    pub(crate) fn memory(&mut self, index: usize) -> Option<&mut MatchMemory> {
        if self.memory.len() <= index {
            self.memory.resize(index + 1, MatchMemory::default());
        }
        self.memory.get_mut(index)
    }
}

/// What a match remembers between packets. A rule set that is loaded anew, even if only one rule was changed, has
/// forgotten all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchMemory {
    /// `statistic`: packets that reached it. `limit`: credits that are missing in its bucket.
    pub count: u32,
    /// `limit`: when that was, in jiffies.
    pub tick: u32,
}

/// What the rules of a table remember, chain after chain in one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleStates {
    all: Vec<RuleState>,
    /// Where each chain ends.
    ends: Vec<usize>,
}

impl RuleStates {
    /// With room for so many chains.
    pub fn with_chains(chains: usize) -> RuleStates {
        RuleStates { all: Vec::new(), ends: Vec::with_capacity(chains) }
    }

    /// Adds the next chain.
    pub fn push_chain(&mut self, states: impl IntoIterator<Item = RuleState>) {
        self.all.extend(states);
        self.ends.push(self.all.len());
    }

    fn place(&self, chain: usize) -> Option<std::ops::Range<usize>> {
        let first = chain.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        Some(first..*self.ends.get(chain)?)
    }

    /// The states of one chain, in the order of its rules; none if there is no such chain.
    pub fn chain(&self, chain: usize) -> &[RuleState] {
        self.place(chain).and_then(|at| self.all.get(at)).unwrap_or_default()
    }

    /// The same, to be changed.
    pub fn chain_mut(&mut self, chain: usize) -> &mut [RuleState] {
        self.place(chain).and_then(|at| self.all.get_mut(at)).unwrap_or_default()
    }

    /// The counters of a rule, by the indices of chain and rule; zero if there is no such rule.
    pub fn counters(&self, chain: usize, rule: usize) -> Counters {
        self.chain(chain).get(rule).map(|s| s.counters).unwrap_or_default()
    }

    /// The chains, one after the other.
    pub fn chains(&self) -> impl Iterator<Item = &[RuleState]> {
        (0..self.ends.len()).map(|chain| self.chain(chain))
    }

    /// Those of all rules of the table, to be changed.
    #[inline]
    pub(crate) fn all_mut(&mut self) -> &mut [RuleState] {
        &mut self.all
    }
}

/// A rule set with its counters, as it stands in a namespace.
#[derive(Clone, Debug)]
pub struct LoadedTable {
    /// The rules.
    pub rules: Rc<RuleSet>,
    /// State of each rule.
    pub state: RuleStates,
    /// Policy counters: `policy[chain]`.
    pub policy: Vec<Counters>,
}

impl LoadedTable {
    /// A freshly loaded set: all counters zero.
    pub fn new(rules: RuleSet) -> LoadedTable {
        let mut state = RuleStates::with_chains(rules.chains.len());
        for chain in &rules.chains {
            state.push_chain(chain.rules.iter().map(|_| RuleState::default()));
        }
        let policy = vec![Counters::default(); rules.chains.len()];
        LoadedTable { rules: Rc::new(rules), state, policy }
    }
}

impl Target {
    /// The chain that a jump or goto leads to.
    pub fn chain(&self) -> Option<ChainId> {
        match self {
            Target::Jump(c) | Target::Goto(c) => Some(*c),
            _ => None,
        }
    }
}
