//! What happened at a rule.

use super::HookCtx;
use crate::netfilter::nftables::{NftBase, NftCheck, NftFamily, NftRule, NftVerdict};
use crate::netfilter::xtables::{Check, Rule, TableId, Verdict};
use packet::{Frame, Ip};
use std::rc::Rc;

/// One look at a rule, or the end of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleStep {
    /// Where.
    pub ctx: HookCtx,
    /// The table.
    pub table: TableId,
    /// The chain.
    pub chain: Rc<str>,
    /// Rule number from 1; at the end of a chain one more than its rules.
    pub n: u32,
    /// What happened.
    pub outcome: RuleOutcome,
    /// The mark before the target ran.
    pub mark: u32,
    /// The packet before the target ran.
    pub frame: Rc<Frame>,
    /// The packet is being traced (TRACE target).
    pub traced: bool,
}

/// What a look at a rule gave.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleOutcome {
    /// The rule did not match; the last check failed.
    NoMatch {
        /// The rule.
        rule: Rc<Rule>,
        /// Every check made, in order.
        checks: Vec<Check>,
    },
    /// The rule matched.
    Match {
        /// The rule.
        rule: Rc<Rule>,
        /// Every check made, in order.
        checks: Vec<Check>,
    },
    /// The end of a user-defined chain.
    Return,
    /// The policy of a base chain.
    Policy(Verdict),
}

/// One look at a rule of nf_tables, or the end of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct NftStep {
    /// Where.
    pub ctx: HookCtx,
    /// The base chain that is walked.
    pub base: NftBase,
    /// The table's family.
    pub family: NftFamily,
    /// The table.
    pub table: Rc<str>,
    /// The chain.
    pub chain: Rc<str>,
    /// It is the base chain.
    pub is_base: bool,
    /// Rule number from 1; at the end of a chain one more than its rules.
    pub n: u32,
    /// What happened.
    pub outcome: NftOutcome,
    /// The mark before the rule ran.
    pub mark: u32,
    /// The packet before the rule ran.
    pub frame: Rc<Frame>,
}

/// What a look at a rule of nf_tables gave.
#[derive(Clone, Debug, PartialEq)]
pub enum NftOutcome {
    /// The rule did not match; the last check failed.
    NoMatch {
        /// The rule.
        rule: Rc<NftRule>,
        /// What each statement saw, in order.
        checks: Vec<NftCheck>,
    },
    /// The rule ran to its end, or to a verdict.
    Match {
        /// The rule.
        rule: Rc<NftRule>,
        /// What each statement saw, in order.
        checks: Vec<NftCheck>,
        /// What follows.
        verdict: NftVerdict,
    },
    /// The end of a regular chain.
    Return,
    /// The policy of a base chain.
    Policy(Verdict),
}

impl RuleStep {
    /// The rule, unless this is the end of a chain.
    pub fn rule(&self) -> Option<&Rc<Rule>> {
        match &self.outcome {
            RuleOutcome::NoMatch { rule, .. } | RuleOutcome::Match { rule, .. } => Some(rule),
            RuleOutcome::Return | RuleOutcome::Policy(_) => None,
        }
    }

    /// The packet.
    pub fn ip(&self) -> Option<&Ip> {
        self.frame.ip()
    }
}
