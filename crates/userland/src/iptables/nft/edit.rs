//! A table of iptables-nft being read and changed: tables, chains and rules of nf_tables, and the same as iptables sees them.

use super::compose::compose;
use super::decompose::decompose;
use crate::diagnostic::ToolError;
use crate::iptables::draft::{Draft, DraftRule};
use crate::nft::Names;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::nftables::{
    BaseChain, ChainKey, ChainType, NftChain, NftError, NftFamily, NftRule, NftTable, Nftables, RulePlace,
};
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{
    Chain, ChainId, Counters, LoadedTable, Policy, Rule, RuleSet, RuleState, RuleStates, TableId, Verdict,
};
use packet::Family;
use sorted::Map;
use sorted::sort_by;
use std::rc::Rc;

/// The tables in the order in which iptables-nft-save prints them (`enum nft_table_type`).
pub(super) const SAVE_ORDER: [TableId; 5] =
    [TableId::Mangle, TableId::Security, TableId::Raw, TableId::Filter, TableId::Nat];

/// The family of tables that a program works on.
pub(super) fn nft_family(family: Family) -> NftFamily {
    match family {
        Family::V4 => NftFamily::Ip,
        Family::V6 => NftFamily::Ip6,
    }
}

/// A built-in chain as iptables-nft makes it (`xtables_ipv4`).
fn builtin(table: TableId, hook: InetHook, policy: Policy) -> BaseChain {
    let kind = match (table, hook) {
        (TableId::Nat, _) => ChainType::Nat,
        (TableId::Mangle, InetHook::LocalOut) => ChainType::Route,
        _ => ChainType::Filter,
    };
    // Not the kernel's own 50.
    let priority = if table == TableId::Security { 150 } else { table.priority(hook) };
    BaseChain::new(kind, hook, priority, policy)
}

/// A chain that iptables sees: its hook if it is built in, the chain if it exists, its name.
type Seen<'a> = (Option<InetHook>, Option<&'a Rc<NftChain>>, Rc<str>);

/// A table as iptables sees it.
pub(super) struct View {
    /// Its rules. Built-in chains that do not exist are there, empty.
    pub loaded: LoadedTable,
    /// The handles of the rules, by chain.
    pub handles: Vec<Vec<u64>>,
    /// The chains of nf_tables; `None` for those that do not exist.
    pub keys: Vec<Option<ChainKey>>,
    /// How often each chain is used, also by what iptables does not see.
    pub used: Vec<u32>,
    /// It has base chains that are none of iptables.
    pub foreign: bool,
    /// The chains with rules that iptables-nft cannot show.
    pub incompatible: Vec<usize>,
    /// The rules at which iptables-nft gives up: chain, place, and what it says.
    pub broken: Vec<(usize, usize, String)>,
}

impl View {
    /// Reads a table, which need not exist.
    pub fn of(nft: &Nftables, family: Family, table: TableId, names: Names<'_>) -> View {
        let found = nft.table(nft_family(family), table.name());
        let mut chains: Vec<Seen<'_>> = Vec::new();
        for &hook in table.hooks() {
            let name = hook.chain();
            let is_own = |c: &&Rc<NftChain>| {
                let own = builtin(table, hook, Verdict::Accept);
                c.base.is_some_and(|b| (b.kind, b.hook, b.priority) == (own.kind, own.hook, own.priority))
            };
            chains.push((Some(hook), found.and_then(|t| t.chain(name)).filter(is_own), name.into()));
        }
        let mut user: Vec<&Rc<NftChain>> =
            found.into_iter().flat_map(NftTable::chains).filter(|c| c.base.is_none()).collect();
        sort_by(&mut user, |a, b| a.name.cmp(&b.name));
        let bases = found.into_iter().flat_map(NftTable::chains).filter(|c| c.base.is_some()).count();
        let foreign = bases > chains.iter().filter(|(_, c, _)| c.is_some()).count();
        chains.extend(user.into_iter().map(|c| (None, Some(c), Rc::clone(&c.name))));
        let keys: Vec<Option<ChainKey>> = chains.iter().map(|(_, c, _)| c.map(|c| c.key)).collect();
        let numbers: Map<ChainKey, u16> =
            (0u16..).zip(&keys).filter_map(|(n, key)| Some(((*key)?, n))).collect();
        let number = |key: ChainKey| numbers.get(&key).copied().map(ChainId);
        let mut view = View {
            loaded: LoadedTable::new(RuleSet { family, table, chains: Vec::new() }),
            handles: Vec::new(),
            keys: keys.clone(),
            used: chains.iter().map(|(_, c, _)| c.map_or(0, |c| c.uses())).collect(),
            foreign,
            incompatible: Vec::new(),
            broken: Vec::new(),
        };
        let mut set = RuleSet { family, table, chains: Vec::with_capacity(chains.len()) };
        let mut states = RuleStates::with_chains(chains.len());
        let mut policies = Vec::new();
        for (at, (hook, chain, name)) in chains.iter().enumerate() {
            let (mut rules, mut counted, mut handles) = (Vec::new(), Vec::new(), Vec::new());
            for (i, rule) in chain.iter().flat_map(|c| c.rules().iter()).enumerate() {
                let state = chain.map_or(&[][..], |c| c.state(i));
                let d = decompose(family, rule, state, names, &number);
                if !d.compatible {
                    view.incompatible.push(at);
                }
                if !d.errors.is_empty() {
                    view.broken.push((at, i, d.errors));
                }
                rules.push(Rc::new(d.rule));
                counted.push(RuleState { counters: d.counters, ..RuleState::default() });
                handles.push(rule.handle);
            }
            let base = chain.and_then(|c| c.base);
            policies.push(base.and_then(|b| b.counters).unwrap_or_default());
            let policy = base.map_or(Verdict::Accept, |b| b.policy);
            set.chains.push(Chain { name: Rc::clone(name), base: hook.map(|h| (h, policy)), rules });
            states.push_chain(counted);
            view.handles.push(handles);
        }
        view.loaded = LoadedTable { rules: Rc::new(set), state: states, policy: policies };
        view
    }
}

impl View {
    /// Ends a listing in front of the first rule that cannot be read, if it comes to one: of a chain, and of a rule of it. What is said
    /// then.
    pub fn cut(&mut self, chain: Option<usize>, rule: Option<usize>) -> Option<ToolError> {
        let of = |(c, r, _): &&(usize, usize, String)| {
            chain.is_none_or(|chain| chain == *c) && rule.is_none_or(|rule| rule == *r)
        };
        let (chain, rule, errors) = self.broken.iter().find(of)?;
        for (i, c) in Rc::make_mut(&mut self.loaded.rules).chains.iter_mut().enumerate().skip(*chain) {
            c.rules.truncate(if i == *chain { *rule } else { 0 });
        }
        Some(ToolError::Unreadable(errors.clone()))
    }

    /// How often a chain is used.
    pub fn uses(&self, chain: usize) -> usize {
        self.used.get(chain).map_or(0, |n| *n as usize)
    }
}

/// A change of one table, done on a copy of all tables.
pub(super) struct Edit<'s> {
    /// The tables as they will be.
    pub nft: Nftables,
    /// The same table as iptables sees it.
    pub draft: Draft,
    family: Family,
    names: Names<'s>,
    handles: Vec<Vec<u64>>,
    keys: Vec<Option<ChainKey>>,
    /// The handles of the rules that cannot be read, and what is said of them.
    broken: Vec<(u64, String)>,
}

impl<'s> Edit<'s> {
    /// Begins with what is there.
    pub fn new(nft: &Nftables, family: Family, table: TableId, names: Names<'s>) -> Edit<'s> {
        let view = View::of(nft, family, table, names);
        let View { handles, keys, .. } = view;
        let handle = |c: usize, r: usize| handles.get(c)?.get(r).copied();
        let broken = view.broken.into_iter().filter_map(|(c, r, says)| Some((handle(c, r)?, says))).collect();
        Edit { nft: nft.clone(), draft: Draft::of(&view.loaded), family, names, handles, keys, broken }
    }

    /// `iptables-nft-restore` without `--noflush`: the table goes, with all that is in it.
    pub fn flush_table(&mut self) {
        let table = self.draft.table;
        let _ = self.nft.delete_table(nft_family(self.family), table.name());
        *self = Edit::new(&self.nft, self.family, table, self.names);
    }

    fn table_mut(&mut self) -> Option<&mut NftTable> {
        self.nft.table_mut(nft_family(self.family), self.draft.table.name())
    }

    /// The chain of nf_tables, if there is one.
    pub fn key(&self, id: ChainId) -> Option<ChainKey> {
        self.keys.get(usize::from(id.0)).copied().flatten()
    }

    fn handles_of(&mut self, id: ChainId) -> &mut Vec<u64> {
        let at = usize::from(id.0);
        if self.handles.len() <= at {
            self.handles.resize(at + 1, Vec::new());
        }
        &mut self.handles[at]
    }

    fn set_key(&mut self, id: ChainId, key: Option<ChainKey>) {
        let at = usize::from(id.0);
        if self.keys.len() <= at {
            self.keys.resize(at + 1, None);
        }
        self.keys[at] = key;
    }

    /// `nft_xt_builtin_init`: the table, and the chain if it is built in. With a policy, that is set.
    pub fn make(&mut self, id: ChainId, policy: Option<(Policy, Option<Counters>)>) -> Result<(), NftError> {
        let (family, table) = (nft_family(self.family), self.draft.table);
        let Some((name, base)) = self.draft.chain(id).map(|c| (Rc::clone(&c.name), c.base)) else {
            return Ok(());
        };
        self.nft.add_table(family, table.name(), false)?;
        let Some((hook, was)) = base else { return Ok(()) };
        if self.key(id).is_some() && policy.is_none() {
            return Ok(());
        }
        let mut chain = builtin(table, hook, policy.map_or(was, |(p, _)| p));
        chain.counters = policy.and_then(|(_, counters)| counters);
        self.nft.add_chain(family, table.name(), &name, (Some(chain), true, None), false)?;
        let key = self.table_mut().and_then(|t| t.chain(&name)).map(|c| c.key);
        self.set_key(id, key);
        if let (Some((policy, counters)), Some(chain)) = (policy, self.draft.chain_mut(id)) {
            chain.base = Some((hook, policy));
            chain.policy = counters.unwrap_or(chain.policy);
        }
        Ok(())
    }

    /// A new user-defined chain; nobody has its name.
    pub fn create(&mut self, name: &str, line: Option<u32>) -> Result<(), crate::diagnostic::Fault> {
        let (family, table) = (nft_family(self.family), self.draft.table);
        let id = self.draft.create(name, line)?;
        let _ = self.nft.add_table(family, table.name(), false);
        let _ = self.nft.add_chain(family, table.name(), name, (None, false, None), true);
        let key = self.table_mut().and_then(|t| t.chain(name)).map(|c| c.key);
        self.set_key(id, key);
        Ok(())
    }

    /// A rule as it is read back when it is in the kernel.
    pub fn normal(&self, rule: &Rule) -> Rule {
        let key = |t: &Target| t.chain().map(|c| ChainKey(u64::from(c.0)));
        let stmts = compose(rule, Counters::default(), &key);
        let back = |key: ChainKey| u16::try_from(key.0).ok().map(ChainId);
        decompose(self.family, &NftRule::new(stmts, None), &[], self.names, &back).rule
    }

    /// The first rule of a chain that cannot be read: its place, and what is said of it.
    pub fn unreadable(&self, id: ChainId) -> Option<(usize, &str)> {
        let handles = self.handles.get(usize::from(id.0))?;
        let says = |h: &u64| self.broken.iter().find(|(b, _)| b == h).map(|(_, says)| says.as_str());
        handles.iter().enumerate().find_map(|(i, h)| Some((i, says(h)?)))
    }

    /// A rule at a place of a chain.
    pub fn insert(
        &mut self,
        id: ChainId,
        at: usize,
        rule: &Rule,
        counters: Counters,
        line: Option<u32>,
    ) -> Result<(), NftError> {
        let Some(chain) = self.key(id) else { return Err(NftError::NotFound) };
        if rule.target.chain().is_some_and(|c| self.key(c).is_none()) {
            return Err(NftError::NotFound);
        }
        let keys = &self.keys;
        let stmts = compose(rule, counters, &|t| keys.get(usize::from(t.chain()?.0)).copied().flatten());
        let handles = self.handles_of(id);
        let place = match handles.get(at) {
            None => RulePlace::Last,
            Some(before) => RulePlace::Before(*before),
        };
        let table = self.table_mut().ok_or(NftError::NotFound)?;
        let handle = table.add_rule(chain, place, NftRule::new(stmts, None))?;
        let handles = self.handles_of(id);
        handles.insert(at.min(handles.len()), handle);
        let state = RuleState { counters, ..RuleState::default() };
        let rule = Rc::new(self.normal(rule));
        self.draft.insert(id, at, DraftRule { rule, state, line });
        Ok(())
    }

    /// Takes a rule out; false if there is none.
    pub fn remove(&mut self, id: ChainId, at: usize) -> bool {
        if self.draft.remove(id, at).is_none() {
            return false;
        }
        let handles = self.handles_of(id);
        let handle = (at < handles.len()).then(|| handles.remove(at));
        if let (Some(chain), Some(handle), Some(table)) = (self.key(id), handle, self.table_mut()) {
            let _ = table.delete_rule(chain, handle);
        }
        true
    }

    /// Takes all rules of a chain out.
    pub fn flush(&mut self, id: ChainId) {
        self.draft.flush(id);
        self.handles_of(id).clear();
        if let (Some(chain), Some(table)) = (self.key(id), self.table_mut()) {
            table.flush_chain(chain);
        }
    }

    /// Sets what a rule has counted to zero.
    pub fn zero(&mut self, id: ChainId, at: usize) {
        let Some(handle) = self.handles_of(id).get(at).copied() else { return };
        if let (Some(chain), Some(table)) = (self.key(id), self.table_mut()) {
            table.set_counters(chain, Some(handle), Counters::default());
        }
        if let Some(rule) = self.draft.chain_mut(id).and_then(|c| c.rules.get_mut(at)) {
            rule.state.counters = Counters::default();
        }
    }

    /// The same for the policy.
    pub fn zero_policy(&mut self, id: ChainId) {
        if let (Some(chain), Some(table)) = (self.key(id), self.table_mut()) {
            table.set_counters(chain, None, Counters::default());
        }
        if let Some(chain) = self.draft.chain_mut(id) {
            chain.policy = Counters::default();
        }
    }

    /// `NFT_MSG_DELCHAIN` of a chain without rules; a built-in one is not there any more then.
    pub fn delete_chain(&mut self, id: ChainId) -> Result<(), NftError> {
        let Some((name, base, empty)) =
            self.draft.chain(id).map(|c| (Rc::clone(&c.name), c.base, c.rules.is_empty()))
        else {
            return Err(NftError::NotFound);
        };
        if !empty {
            return Err(NftError::Busy);
        }
        self.table_mut().ok_or(NftError::NotFound)?.delete_chain(&name)?;
        self.set_key(id, None);
        match base {
            Some((hook, _)) => {
                if let Some(chain) = self.draft.chain_mut(id) {
                    chain.base = Some((hook, Verdict::Accept));
                    chain.policy = Counters::default();
                }
            }
            None => drop(self.draft.delete(id)),
        }
        Ok(())
    }

    /// `NFT_MSG_NEWCHAIN` with another name, of any chain.
    pub fn rename(&mut self, id: ChainId, name: &str) {
        let old = self.draft.chain(id).map(|c| Rc::clone(&c.name)).unwrap_or_default();
        if let Some(table) = self.table_mut() {
            let _ = table.rename_chain(&old, name);
        }
        self.draft.rename(id, name);
    }

    /// True if the kernel takes all that was done.
    pub fn validate(&self) -> Result<(), NftError> {
        let table = self.nft.table(nft_family(self.family), self.draft.table.name());
        table.map_or(Ok(()), NftTable::validate)
    }
}
