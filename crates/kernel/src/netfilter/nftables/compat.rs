//! Matches and targets of iptables inside a rule of nf_tables (net/netfilter/nft_compat.c): what iptables-nft writes where nf_tables
//! has no expression of its own, or its author did not use it.

use super::NftError;
use super::expr::{EvalCx, Stateful};
use super::stmt::{NftVerdict, Ran, Seen, Stmt, ran};
use super::table::{BaseChain, ChainType};
use crate::Skb;
use crate::netfilter::conntrack::TemplateId;
use crate::netfilter::xtables::matches::{Checks, Match, MatchCx};
use crate::netfilter::xtables::targets::{Target, eval_ext};
use crate::netfilter::xtables::{MatchMemory, RuleState, TableId};

/// `xt match`
#[derive(Clone, Debug, PartialEq)]
pub struct XtMatch {
    /// The match with its options.
    pub m: Match,
    /// Where the rule keeps what it remembers ([`Stateful::Xt`]).
    pub slot: usize,
}

impl XtMatch {
    /// `nft_match_eval`. A match that finds a packet to be malformed drops it.
    pub(super) fn eval(&self, skb: &Skb, e: &mut EvalCx<'_, '_>, seen: &mut Seen) -> Ran {
        let memory = match e.state.get(self.slot) {
            Some(Stateful::Xt(memory)) => *memory,
            _ => MatchMemory::default(),
        };
        let mut state = RuleState { memory: vec![memory], ..RuleState::default() };
        let mut checks = Checks::new(e.cx.explains());
        let mut m = MatchCx { ns: e.ns, ctx: e.ctx, state: &mut state, cx: e.cx };
        let ok = self.m.eval(skb, &mut m, &mut checks);
        if let (Some(Stateful::Xt(kept)), Some(now)) = (e.state.get_mut(self.slot), state.memory.first()) {
            *kept = *now;
        }
        let hotdrop = checks.hotdrop;
        seen.xt = checks.list;
        match ok {
            _ if hotdrop => Ran::Verdict(NftVerdict::Drop),
            true => Ran::Next,
            false => Ran::Break,
        }
    }
}

/// `nft_target_eval_xt`
pub(super) fn eval_target(target: &Target, skb: &mut Skb, e: &mut EvalCx<'_, '_>) -> Ran {
    let id = TemplateId::nft(e.table.0, e.rule);
    ran(eval_ext(target, id, e.ns, skb, e.ctx, e.cx))
}

/// `xt_check_match`, `xt_check_target`, `nft_compat_chain_validate_dependency`: in which tables, by name, and from which hooks an
/// extension may be reached.
pub(super) fn validate(stmt: &Stmt, table: &str, base: BaseChain) -> Result<(), NftError> {
    let (tables, hooks) = match stmt {
        Stmt::XtMatch(x) => (x.m.tables(), x.m.hooks()),
        Stmt::XtTarget(t) => (t.tables(), t.hooks()),
        _ => return Ok(()),
    };
    let named = |t: &[TableId]| t.iter().any(|t| t.name() == table);
    let of_nat = tables == Some(&[TableId::Nat]) && base.kind != ChainType::Nat;
    let wrong = tables.is_some_and(|t| !named(t)) || hooks.is_some_and(|h| !h.contains(&base.hook));
    if wrong || of_nat { Err(NftError::Invalid) } else { Ok(()) }
}

/// What a match of a rule remembers before the first packet.
pub(super) fn first_memory() -> Stateful {
    Stateful::Xt(MatchMemory::default())
}

impl Stmt {
    /// The match or target of iptables that it is.
    pub fn xt(&self) -> Option<Xt<'_>> {
        match self {
            Stmt::XtMatch(x) => Some(Xt::Match(&x.m)),
            Stmt::XtTarget(t) => Some(Xt::Target(t)),
            _ => None,
        }
    }
}

/// An extension of iptables in a rule.
#[derive(Clone, Copy, Debug)]
pub enum Xt<'a> {
    /// `xt match`
    Match(&'a Match),
    /// `xt target`
    Target(&'a Target),
}
