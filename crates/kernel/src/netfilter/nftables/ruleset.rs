//! All tables of a namespace, and where their base chains are registered.

use super::NftError;
use super::table::{BaseChain, ChainKey, ChainType, NftFamily, NftTable, TableKey};
use crate::netfilter::hook::HookPoint;
use packet::Family;
use std::rc::Rc;

/// The tables of a namespace (`struct nftables_pernet`). A transaction works on a copy, which takes the place of the original when
/// all of it has been done ([`crate::Netns::commit_nftables`]); tables, chains and sets that it does not touch are shared.
#[derive(Clone, Debug, Default)]
pub struct Nftables {
    tables: Vec<Rc<NftTable>>,
    /// Tables that have been made.
    made: u64,
    /// Base chains that have been made.
    bases: u64,
}

/// Where a base chain is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub base: NftBase,
    pub point: HookPoint,
    pub priority: i32,
    pub nat: bool,
    pub number: u64,
}

/// A base chain as a hook function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NftBase {
    /// Its table.
    pub table: TableKey,
    /// The chain.
    pub chain: ChainKey,
    /// Its type.
    pub kind: ChainType,
}

impl Nftables {
    /// The tables in the order in which they were made.
    pub fn tables(&self) -> &[Rc<NftTable>] {
        &self.tables
    }

    /// A table.
    pub fn table(&self, family: NftFamily, name: &str) -> Option<&NftTable> {
        self.tables.iter().find(|t| t.family == family && &*t.name == name).map(|t| &**t)
    }

    /// A table, to be changed.
    pub fn table_mut(&mut self, family: NftFamily, name: &str) -> Option<&mut NftTable> {
        self.tables.iter_mut().find(|t| t.family == family && &*t.name == name).map(Rc::make_mut)
    }

    /// The table with that handle.
    pub fn table_by_key(&self, key: TableKey) -> Option<&NftTable> {
        self.tables.iter().find(|t| t.key == key).map(|t| &**t)
    }

    pub(crate) fn table_by_key_mut(&mut self, key: TableKey) -> Option<&mut NftTable> {
        self.tables.iter_mut().find(|t| t.key == key).map(Rc::make_mut)
    }

    /// `nf_tables_newtable`
    pub fn add_table(
        &mut self,
        family: NftFamily,
        name: &str,
        exclusive: bool,
    ) -> Result<&mut NftTable, NftError> {
        let at = self.tables.iter().position(|t| t.family == family && &*t.name == name);
        let at = match at {
            Some(_) if exclusive => return Err(NftError::Exists),
            Some(at) => at,
            None => {
                self.made += 1;
                self.tables.push(Rc::new(NftTable::new(TableKey(self.made), family, name)));
                self.tables.len() - 1
            }
        };
        self.tables.get_mut(at).map(Rc::make_mut).ok_or(NftError::NotFound)
    }

    /// `nf_tables_deltable`
    pub fn delete_table(&mut self, family: NftFamily, name: &str) -> Result<(), NftError> {
        let at = self.tables.iter().position(|t| t.family == family && &*t.name == name);
        self.tables.remove(at.ok_or(NftError::NotFound)?);
        Ok(())
    }

    /// `flush ruleset`
    pub fn flush(&mut self, family: Option<NftFamily>) {
        self.tables.retain(|t| family.is_some_and(|f| t.family != f));
    }

    /// `nf_tables_newchain`: of a chain that exists only the policy can be changed.
    pub fn add_chain(
        &mut self,
        family: NftFamily,
        table: &str,
        name: &str,
        chain: (Option<BaseChain>, bool, Option<Rc<str>>),
        exclusive: bool,
    ) -> Result<(), NftError> {
        let (base, sets_policy, comment) = chain;
        let number = self.bases + 1;
        let table = self.table_mut(family, table).ok_or(NftError::NotFound)?;
        if let Some(old) = table.chain(name) {
            if exclusive {
                return Err(NftError::Exists);
            }
            let (key, was) = (old.key, old.base);
            if let Some(new) = base {
                let same =
                    was.is_some_and(|b| (b.kind, b.hook, b.priority) == (new.kind, new.hook, new.priority));
                if was.is_none() {
                    return Err(NftError::Exists);
                }
                if !same {
                    return Err(NftError::NotSupported);
                }
                if sets_policy && let Some(chain) = table.chain_mut(key) {
                    let counters = |b: BaseChain| new.counters.or(b.counters);
                    chain.base = was.map(|b| BaseChain { policy: new.policy, counters: counters(b), ..b });
                }
            }
            return Ok(());
        }
        table.new_chain(name, base, comment, number);
        if base.is_some() {
            self.bases = number;
        }
        Ok(())
    }

    /// Where its base chains are registered, the oldest first.
    pub(crate) fn registered(&self) -> Vec<Registered> {
        let mut out = Vec::new();
        for table in self.tables.iter().filter(|t| !t.dormant) {
            for chain in table.chains() {
                let Some(b) = chain.base else { continue };
                let base = NftBase { table: table.key, chain: chain.key, kind: b.kind };
                out.extend(table.family.packets().iter().map(|&family| Registered {
                    base,
                    point: HookPoint { family, hook: b.hook },
                    priority: b.priority,
                    nat: b.kind == ChainType::Nat,
                    number: b.number,
                }));
            }
        }
        sorted::sort_by_key(&mut out, |r| r.number);
        out
    }

    /// True if a rule makes conntrack run for a family's packets.
    pub(crate) fn uses_conntrack(&self, family: Family) -> bool {
        self.tables.iter().any(|t| t.family.packets().contains(&family) && t.uses_conntrack())
    }

    /// The matches and targets of iptables in the rules of all tables.
    #[cfg(feature = "nft")]
    pub fn xts(&self) -> impl Iterator<Item = super::Xt<'_>> {
        self.tables.iter().flat_map(|t| t.xts())
    }

    /// True if there is no table.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}
