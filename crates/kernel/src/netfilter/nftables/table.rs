//! Tables, chains and rules (`struct nft_table`, `nft_chain`, `nft_rule`, net/netfilter/nf_tables_api.c).

use super::NftError;
use super::expr::{Expr, Stateful};
use super::set::{Elem, NftSet, SetRef, SetSpec};
use super::stmt::Stmt;
use crate::Instant;
use crate::netfilter::hook::InetHook;
use crate::netfilter::xtables::{Counters, Verdict};
use litemap::LiteMap;
use sorted::Map;
use std::fmt;
use std::rc::Rc;

/// A table, by its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableKey(pub u64);

/// A chain of one table, by its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainKey(pub u64);

/// A set of one table, by its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetKey(pub u64);

/// The families of tables that are modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NftFamily {
    /// `ip`
    Ip,
    /// `ip6`
    Ip6,
    /// `inet`: both
    Inet,
}

impl NftFamily {
    /// The word of nft.
    pub fn name(self) -> &'static str {
        match self {
            NftFamily::Ip => "ip",
            NftFamily::Ip6 => "ip6",
            NftFamily::Inet => "inet",
        }
    }

    /// The families of packets that its chains see.
    pub fn packets(self) -> &'static [packet::Family] {
        match self {
            NftFamily::Ip => &[packet::Family::V4],
            NftFamily::Ip6 => &[packet::Family::V6],
            NftFamily::Inet => &[packet::Family::V4, packet::Family::V6],
        }
    }
}

impl fmt::Display for NftFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Types of base chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// `filter`
    Filter,
    /// `nat`: asked once for each flow, by NAT
    Nat,
    /// `route`: a packet that it changes is routed anew
    Route,
}

impl ChainType {
    /// All of them.
    pub const ALL: [ChainType; 3] = [ChainType::Filter, ChainType::Nat, ChainType::Route];

    /// The word of nft.
    pub fn name(self) -> &'static str {
        match self {
            ChainType::Filter => "filter",
            ChainType::Nat => "nat",
            ChainType::Route => "route",
        }
    }
}

/// What makes a chain a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// Its type.
    pub kind: ChainType,
    /// Its hook.
    pub hook: InetHook,
    /// Its priority.
    pub priority: i32,
    /// What becomes of a packet at its end.
    pub policy: Verdict,
    /// What its policy has decided about, if that is counted (`NFTA_CHAIN_COUNTERS`).
    pub counters: Option<Counters>,
    /// The how manieth base chain of the namespace it is.
    pub(crate) number: u64,
}

impl BaseChain {
    /// A base chain that is not registered yet.
    pub fn new(kind: ChainType, hook: InetHook, priority: i32, policy: Verdict) -> BaseChain {
        BaseChain { kind, hook, priority, policy, counters: None, number: 0 }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct NftRule {
    /// Its handle.
    pub handle: u64,
    /// What it asks and does.
    pub stmts: Vec<Stmt>,
    /// `comment`
    pub comment: Option<Rc<str>>,
}

impl NftRule {
    /// A rule that is in no chain yet.
    pub fn new(stmts: Vec<Stmt>, comment: Option<Rc<str>>) -> NftRule {
        NftRule { handle: 0, stmts, comment }
    }

    /// What it remembers before the first packet.
    pub fn first_state(&self) -> Vec<Stateful> {
        let mut slots: Vec<(usize, Stateful)> = Vec::new();
        for stmt in &self.stmts {
            match stmt {
                Stmt::Counter(slot, from) => slots.push((*slot, *from)),
                Stmt::Limit(_, slot) => slots.push((*slot, Stateful::Limit { tokens: 0, last: None })),
                #[cfg(feature = "nft")]
                Stmt::XtMatch(x) => slots.push((x.slot, super::compat::first_memory())),
                _ => {}
            }
            for e in stmt.exprs() {
                e.walk(&mut |e| {
                    if let Expr::Numgen { slot, .. } = e {
                        slots.push((*slot, Stateful::Number(0)));
                    }
                });
            }
        }
        let len = slots.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
        let mut out = vec![Stateful::Number(0); len];
        for (slot, state) in slots {
            out[slot] = state;
        }
        out
    }
}

/// A chain.
#[derive(Clone, Debug, PartialEq)]
pub struct NftChain {
    /// Its handle.
    pub key: ChainKey,
    /// Its name.
    pub name: Rc<str>,
    /// For a base chain: where it is registered.
    pub base: Option<BaseChain>,
    /// `comment`
    pub comment: Option<Rc<str>>,
    /// How often rules and members of maps lead to it.
    uses: u32,
    rules: Rc<Vec<Rc<NftRule>>>,
    state: Vec<Vec<Stateful>>,
}

impl NftChain {
    /// The rules in order.
    pub fn rules(&self) -> &Rc<Vec<Rc<NftRule>>> {
        &self.rules
    }

    /// How many rules and members of maps lead to it.
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// What a rule remembers, by its place.
    pub fn state(&self, at: usize) -> &[Stateful] {
        self.state.get(at).map_or(&[], Vec::as_slice)
    }

    /// The same, to be lent to the rule while it runs.
    pub(super) fn state_mut(&mut self, at: usize) -> Option<&mut Vec<Stateful>> {
        self.state.get_mut(at)
    }
}

/// Where a rule goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulePlace {
    /// At the end.
    Last,
    /// At the beginning.
    First,
    /// Behind the rule with this handle.
    After(u64),
    /// In front of it.
    Before(u64),
    /// In its place.
    Instead(u64),
}

/// A table.
#[derive(Clone, Debug)]
pub struct NftTable {
    /// Its handle.
    pub key: TableKey,
    /// Its family.
    pub family: NftFamily,
    /// Its name.
    pub name: Rc<str>,
    /// `comment`
    pub comment: Option<Rc<str>>,
    /// `flags dormant`: its chains are not registered.
    pub dormant: bool,
    chains: LiteMap<ChainKey, Rc<NftChain>>,
    chain_names: Map<Rc<str>, ChainKey>,
    sets: LiteMap<SetKey, Rc<NftSet>>,
    /// Handles that have been given out.
    handles: u64,
    /// How many matches and targets of iptables its rules have.
    xts: u32,
}

impl NftTable {
    pub(super) fn new(key: TableKey, family: NftFamily, name: &str) -> NftTable {
        NftTable {
            key,
            family,
            name: name.into(),
            comment: None,
            dormant: false,
            chains: LiteMap::new(),
            chain_names: Map::new(),
            sets: LiteMap::new(),
            handles: 0,
            xts: 0,
        }
    }

    fn next_handle(&mut self) -> u64 {
        self.handles += 1;
        self.handles
    }

    /// Handles that have been given out: what is made from now on has a higher one.
    pub fn handles(&self) -> u64 {
        self.handles
    }

    // ------------------------------------------------------------------ chains

    /// The chains in the order in which they were made.
    pub fn chains(&self) -> impl Iterator<Item = &Rc<NftChain>> {
        self.chains.iter().map(|(_, chain)| chain)
    }

    /// The chain of that name.
    pub fn chain(&self, name: &str) -> Option<&Rc<NftChain>> {
        self.chains.get(self.chain_names.get(name)?)
    }

    /// The chain with that handle.
    pub fn chain_by_key(&self, key: ChainKey) -> Option<&Rc<NftChain>> {
        self.chains.get(&key)
    }

    pub(super) fn chain_mut(&mut self, key: ChainKey) -> Option<&mut NftChain> {
        self.chains.get_mut(&key).map(Rc::make_mut)
    }

    /// `nf_tables_newchain` for a chain that does not exist; `number` counts base chains.
    pub(super) fn new_chain(
        &mut self,
        name: &str,
        base: Option<BaseChain>,
        comment: Option<Rc<str>>,
        number: u64,
    ) -> ChainKey {
        let key = ChainKey(self.next_handle());
        let name: Rc<str> = name.into();
        let base = base.map(|b| BaseChain { number, ..b });
        let (rules, state) = (Rc::default(), Vec::new());
        let chain = NftChain { key, name: Rc::clone(&name), base, comment, uses: 0, rules, state };
        self.chains.insert(key, Rc::new(chain));
        self.chain_names.insert(name, key);
        key
    }

    /// `nf_tables_delchain`: its rules go with it.
    pub fn delete_chain(&mut self, name: &str) -> Result<(), NftError> {
        let key = self.chain(name).ok_or(NftError::NotFound)?.key;
        self.flush_chain(key);
        if self.chain_by_key(key).is_some_and(|c| c.uses > 0) {
            return Err(NftError::Busy);
        }
        self.chains.remove(&key);
        self.chain_names.remove(name);
        Ok(())
    }

    /// `rename chain`
    pub fn rename_chain(&mut self, old: &str, new: &str) -> Result<(), NftError> {
        let key = self.chain(old).ok_or(NftError::NotFound)?.key;
        if self.chain_names.contains_key(new) {
            return Err(NftError::Exists);
        }
        self.chain_names.remove(old);
        self.chain_names.insert(new.into(), key);
        if let Some(c) = self.chain_mut(key) {
            c.name = new.into();
        }
        Ok(())
    }

    /// `flush chain`
    pub fn flush_chain(&mut self, key: ChainKey) {
        let Some(chain) = self.chain_mut(key) else { return };
        let rules = std::mem::take(&mut chain.rules);
        chain.state.clear();
        for rule in rules.iter() {
            self.count_rule(rule, -1);
        }
    }

    /// `flush table`: the rules of all chains.
    pub fn flush(&mut self) {
        let keys: Vec<ChainKey> = self.chains().map(|c| c.key).collect();
        keys.into_iter().for_each(|key| self.flush_chain(key));
    }

    fn count_chain(&mut self, key: ChainKey, by: i32) {
        if let Some(chain) = self.chain_mut(key) {
            chain.uses = chain.uses.saturating_add_signed(by);
        }
    }

    /// What a rule leads to and looks into is in use by it.
    fn count_rule(&mut self, rule: &NftRule, by: i32) {
        for stmt in &rule.stmts {
            #[cfg(feature = "nft")]
            if stmt.xt().is_some() {
                self.xts = self.xts.saturating_add_signed(by);
            }
            for chain in stmt.chains() {
                self.count_chain(chain, by);
            }
            for set in stmt.named_sets() {
                if let Some(set) = self.set_by_key_mut(set) {
                    set.uses = set.uses.saturating_add_signed(by);
                }
            }
        }
    }

    // ------------------------------------------------------------------ rules

    /// `nf_tables_newrule`. Gives its handle.
    pub fn add_rule(
        &mut self,
        chain: ChainKey,
        place: RulePlace,
        mut rule: NftRule,
    ) -> Result<u64, NftError> {
        for target in rule.stmts.iter().flat_map(Stmt::chains) {
            self.check_target(target)?;
        }
        let at = {
            let chain = self.chain_by_key(chain).ok_or(NftError::NotFound)?;
            let of =
                |handle: u64| chain.rules.iter().position(|r| r.handle == handle).ok_or(NftError::NotFound);
            match place {
                RulePlace::Last => chain.rules.len(),
                RulePlace::First => 0,
                RulePlace::After(handle) => of(handle)? + 1,
                RulePlace::Before(handle) | RulePlace::Instead(handle) => of(handle)?,
            }
        };
        // Sets that are part of a rule are made before it, and have handles too. A rule in the place of another takes its handle.
        let own = rule.stmts.iter().flat_map(Stmt::sets).filter(|s| matches!(s, SetRef::Anonymous(_)));
        self.handles += own.count() as u64;
        let handle = match place {
            RulePlace::Instead(handle) => handle,
            _ => self.next_handle(),
        };
        rule.handle = handle;
        self.count_rule(&rule, 1);
        if matches!(place, RulePlace::Instead(_)) {
            self.remove_rule(chain, at);
        }
        if let Some(chain) = self.chain_mut(chain) {
            chain.state.insert(at, rule.first_state());
            Rc::make_mut(&mut chain.rules).insert(at, Rc::new(rule));
        }
        Ok(handle)
    }

    /// `nf_tables_delrule`
    pub fn delete_rule(&mut self, chain: ChainKey, handle: u64) -> Result<(), NftError> {
        let rules = self.chain_by_key(chain).ok_or(NftError::NotFound)?.rules();
        let at = rules.iter().position(|r| r.handle == handle).ok_or(NftError::NotFound)?;
        self.remove_rule(chain, at);
        Ok(())
    }

    fn remove_rule(&mut self, chain: ChainKey, at: usize) {
        let Some(chain) = self.chain_mut(chain) else { return };
        chain.state.remove(at);
        let rule = Rc::make_mut(&mut chain.rules).remove(at);
        self.count_rule(&rule, -1);
    }

    /// Nothing leads to a base chain.
    fn check_target(&self, to: ChainKey) -> Result<(), NftError> {
        match self.chain_by_key(to) {
            None => Err(NftError::NotFound),
            Some(c) if c.base.is_some() => Err(NftError::NotSupported),
            Some(_) => Ok(()),
        }
    }

    // ------------------------------------------------------------------ sets

    /// The sets and maps in the order in which they were made.
    pub fn sets(&self) -> impl Iterator<Item = (SetKey, &Rc<NftSet>)> {
        self.sets.iter().map(|(key, set)| (*key, set))
    }

    /// The set or map of that name.
    pub fn set(&self, name: &str) -> Option<(SetKey, &Rc<NftSet>)> {
        self.sets().find(|(_, set)| &*set.name == name)
    }

    /// The set with that handle.
    pub fn set_by_key(&self, key: SetKey) -> Option<&Rc<NftSet>> {
        self.sets.get(&key)
    }

    pub(super) fn set_by_key_mut(&mut self, key: SetKey) -> Option<&mut NftSet> {
        self.sets.get_mut(&key).map(Rc::make_mut)
    }

    /// `nf_tables_newset`. A set that is there already takes the times and the size of one that is like it.
    pub fn add_set(&mut self, name: &str, spec: SetSpec, exclusive: bool) -> Result<SetKey, NftError> {
        if let Some((key, old)) = self.set(name) {
            if exclusive || !old.spec.is_like(&spec) {
                return Err(NftError::Exists);
            }
            if let Some(old) = self.set_by_key_mut(key).map(|set| &mut set.spec) {
                (old.timeout, old.gc_interval) = (spec.timeout, spec.gc_interval);
                old.size = spec.size.or(old.size);
            }
            return Ok(key);
        }
        let key = SetKey(self.next_handle());
        self.sets.insert(key, Rc::new(NftSet::new(name, spec)));
        Ok(key)
    }

    /// A rule adds members to the set.
    pub fn make_dynamic(&mut self, key: SetKey) {
        if let Some(set) = self.set_by_key_mut(key) {
            set.spec.dynamic = true;
            set.spec.size = set.spec.size.or(Some(0xffff));
        }
    }

    /// `nf_tables_delset`
    pub fn delete_set(&mut self, key: SetKey) -> Result<(), NftError> {
        if self.set_by_key(key).ok_or(NftError::NotFound)?.uses > 0 {
            return Err(NftError::Busy);
        }
        self.flush_set(key);
        self.sets.remove(&key);
        Ok(())
    }

    /// `flush set`
    pub fn flush_set(&mut self, key: SetKey) {
        let members = self.set_by_key_mut(key).map(NftSet::flush).unwrap_or_default();
        for elem in members {
            if let Some(chain) = elem.chain() {
                self.count_chain(chain, -1);
            }
        }
    }

    /// `nf_tables_newsetelem`
    pub fn add_elem(
        &mut self,
        key: SetKey,
        elem: Elem,
        exclusive: bool,
        now: Instant,
    ) -> Result<(), NftError> {
        let chain = elem.chain();
        if let Some(to) = chain {
            self.check_target(to)?;
        }
        let set = self.set_by_key_mut(key).ok_or(NftError::NotFound)?;
        let added = set.add(elem, exclusive, now)?;
        if let Some(to) = chain.filter(|_| added) {
            self.count_chain(to, 1);
        }
        Ok(())
    }

    /// `nf_tables_delsetelem`
    pub fn delete_elem(&mut self, key: SetKey, elem: &Elem, now: Instant) -> Result<(), NftError> {
        let set = self.set_by_key_mut(key).ok_or(NftError::NotFound)?;
        let gone = set.delete(elem, now)?;
        if let Some(chain) = gone.chain() {
            self.count_chain(chain, -1);
        }
        Ok(())
    }

    // ------------------------------------------------------------------ validation

    /// `nft_table_validate`: from each base chain, at most 16 chains follow each other, and statements stand where they may.
    pub fn validate(&self) -> Result<(), NftError> {
        for chain in self.chains() {
            if let Some(base) = chain.base {
                self.validate_chain(chain, base, 0, &mut LiteMap::new())?;
            }
        }
        Ok(())
    }

    fn validate_chain(
        &self,
        chain: &NftChain,
        base: BaseChain,
        level: u32,
        seen: &mut LiteMap<ChainKey, u32>,
    ) -> Result<(), NftError> {
        /// `NFT_JUMP_STACK_SIZE`
        const LEVELS: u32 = 16;
        if level == LEVELS {
            return Err(NftError::TooManyLinks);
        }
        if seen.get(&chain.key).is_some_and(|at| *at >= level) {
            return Ok(());
        }
        seen.insert(chain.key, level);
        for stmt in chain.rules.iter().flat_map(|r| &r.stmts) {
            #[cfg(feature = "nft")]
            super::compat::validate(stmt, &self.name, base)?;
            let nat = base.kind == ChainType::Nat;
            if stmt.is_nat() && !nat || stmt.hooks().is_some_and(|hooks| !hooks.contains(&base.hook)) {
                return Err(NftError::NotSupported);
            }
            let maps = stmt.named_sets().into_iter().filter_map(|s| self.set_by_key(s));
            let of_maps = maps.flat_map(|m| m.elems()).filter_map(|e| e.chain());
            let next: Vec<ChainKey> = stmt.chains().into_iter().chain(of_maps).collect();
            for to in next {
                if let Some(to) = self.chain_by_key(to) {
                    self.validate_chain(to, base, level + 1, seen)?;
                }
            }
        }
        Ok(())
    }

    /// The matches and targets of iptables in its rules.
    #[cfg(feature = "nft")]
    pub fn xts(&self) -> impl Iterator<Item = super::Xt<'_>> {
        // Few tables have any, and of those that have none the rules need not be looked at.
        let chains = self.chains().filter(|_| self.xts > 0);
        chains.flat_map(|c| c.rules.iter()).flat_map(|r| &r.stmts).filter_map(Stmt::xt)
    }

    /// Sets what a rule and a policy have counted: `iptables-nft -Z`.
    #[cfg(feature = "nft")]
    pub fn set_counters(&mut self, chain: ChainKey, rule: Option<u64>, to: Counters) {
        let Some(chain) = self.chain_mut(chain) else { return };
        let Some(handle) = rule else {
            if let Some(counters) = chain.base.as_mut().and_then(|b| b.counters.as_mut()) {
                *counters = to;
            }
            return;
        };
        let at = chain.rules.iter().position(|r| r.handle == handle);
        for state in at.and_then(|at| chain.state_mut(at)).into_iter().flatten() {
            if let Stateful::Counter { packets, bytes } = state {
                (*packets, *bytes) = (to.packets, to.bytes);
            }
        }
    }

    /// True if a rule makes conntrack run.
    pub(super) fn uses_conntrack(&self) -> bool {
        let rules = self.chains().flat_map(|c| c.rules.iter());
        rules.flat_map(|r| &r.stmts).any(Stmt::uses_conntrack)
    }
}
