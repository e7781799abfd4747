//! The rules of a box as iptables-save prints them, and how often each matched.

use super::assoc::Assoc;
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::{RuleOutcome, What};
use kernel::netfilter::xtables::TableId;
use kernel::{Netns, NetnsId};
use std::rc::Rc;

/// A line of iptables-save.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleLine {
    /// The table.
    pub table: TableId,
    /// The chain and the rule's number; 0 for the line that declares the chain. `None` for `*table` and `COMMIT`.
    pub at: Option<(Rc<str>, u32)>,
    /// The text.
    pub text: String,
}

/// All tables of a box.
pub fn rule_lines(ns: &Netns) -> Vec<RuleLine> {
    let mut out = Vec::new();
    for table in TableId::ALL {
        let Some(loaded) = ns.table(table) else { continue };
        let set = &*loaded.rules;
        out.push(RuleLine { table, at: None, text: format!("*{table}") });
        for chain in &set.chains {
            let policy = chain.base.map_or("-".to_owned(), |(_, p)| p.to_string());
            let text = format!(":{} {policy} [0:0]", chain.name);
            out.push(RuleLine { table, at: Some((Rc::clone(&chain.name), 0)), text });
        }
        for chain in &set.chains {
            for (rule, n) in chain.rules.iter().zip(1u32..) {
                let spec = userland::iptables::print_rule(set, rule);
                let text = format!("-A {} {spec}", chain.name);
                out.push(RuleLine { table, at: Some((Rc::clone(&chain.name), n)), text });
            }
        }
        out.push(RuleLine { table, at: None, text: "COMMIT".to_owned() });
    }
    out
}

/// How often each rule of a box matched, up to and including an event; number 0 counts a chain's policy.
pub fn rule_hits(world: &World, host: NetnsId, until: EventId) -> Assoc<(TableId, Rc<str>, u32), u32> {
    let mut out = Assoc::default();
    let end = world.log().len().min(until.index() + 1);
    for entry in world.log().entries()[..end].iter().filter(|e| e.host == host) {
        let Seen::Kernel(What::Rule(step)) = &*entry.seen else { continue };
        let n = match &step.outcome {
            RuleOutcome::Match { .. } => step.n,
            RuleOutcome::Policy(_) => 0,
            _ => continue,
        };
        *out.or_default((step.table, Rc::clone(&step.chain), n)) += 1;
    }
    out
}
