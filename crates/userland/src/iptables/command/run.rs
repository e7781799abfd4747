//! A [`Command`](super::parse::Command) applied to a table.

use super::operation::new_chain_name;
use super::parse::{Number, Op};
use crate::args::{Source, Token};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::iptables::draft::{Draft, DraftRule};
use crate::iptables::hints::chain_of;
use crate::iptables::list;
use crate::iptables::parse::Objects;
use crate::iptables::rule::{Scope, Spec, drop_in_nat};
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{ChainId, Counters, Rule, RuleSet, RuleState, TableId, Verdict};
use std::rc::Rc;

/// A line being applied.
pub(in crate::iptables) struct Run<'r> {
    /// The line, for places.
    pub source: Source<'r>,
    /// What to note as the origin of new rules.
    pub line: Option<u32>,
    /// The line below that declares a chain.
    pub declared_later: &'r dyn Fn(&str) -> Option<u32>,
    /// What else exists.
    pub objects: Objects<'r>,
}

impl Run<'_> {
    fn blame<T>(&self, at: &Token<'_>, fault: Fault) -> Result<T, Diagnostic> {
        Err(self.source.blame(at, fault))
    }

    fn chain(&self, draft: &Draft, at: &Token<'_>) -> Result<ChainId, Diagnostic> {
        chain_of(draft, at).map_err(|f| self.source.blame(at, f))
    }

    /// The chain, or all of them.
    fn chains(&self, draft: &Draft, at: Option<&Token<'_>>) -> Result<Vec<ChainId>, Diagnostic> {
        at.map_or_else(|| Ok(draft.ids()), |at| Ok(vec![self.chain(draft, at)?]))
    }

    fn rules(&self, draft: &Draft, spec: Spec<'_>) -> Result<Vec<Rule>, Diagnostic> {
        spec.rules(self.source, &Scope { draft, declared_later: self.declared_later, objects: self.objects })
    }

    /// Changes the table as an operation with its rule says. Listings do nothing here.
    pub fn apply(&self, op: &Op<'_>, spec: Spec<'_>, draft: &mut Draft) -> Result<(), Diagnostic> {
        match op {
            Op::Append(at) => self.add(spec, draft, at, None),
            Op::Insert(at, n) => self.add(spec, draft, at, Some(n.as_ref())),
            Op::Replace(at, n) => self.replace(spec, draft, at, n),
            Op::Delete(at) => self.delete(spec, draft, at),
            Op::DeleteNum(at, n) => {
                let id = self.chain(draft, at)?;
                match draft.remove(id, n.n.saturating_sub(1)) {
                    Some(_) => Ok(()),
                    None => self.blame(&n.at, too_big(draft, id, n, "Index of deletion too big.")),
                }
            }
            Op::Check(at) => self.check(spec, draft, at),
            Op::Flush(at) => {
                for id in self.chains(draft, at.as_ref())? {
                    draft.flush(id);
                }
                Ok(())
            }
            Op::Zero(at, n) => self.zero(draft, at.as_ref(), n.as_ref()),
            Op::New(at) => match draft.create(&at.text, self.line) {
                Ok(_) => Ok(()),
                Err(fault) => self.blame(at, fault),
            },
            Op::DeleteChain(at) => self.delete_chains(draft, at.as_ref()),
            Op::Rename(old, new) => self.rename(draft, old, new),
            Op::Policy(at, policy) => self.policy(spec, draft, at, policy),
            Op::List(..) | Op::ListRules(..) | Op::Version | Op::Help | Op::OtherFamily => Ok(()),
        }
    }

    fn add(
        &self,
        spec: Spec<'_>,
        draft: &mut Draft,
        at: &Token<'_>,
        insert: Option<Option<&Number<'_>>>,
    ) -> Result<(), Diagnostic> {
        let counters = spec.counters.unwrap_or_default();
        let rules = self.rules(draft, spec)?;
        let id = self.chain(draft, at)?;
        let len = draft.chain(id).map_or(0, |c| c.rules.len());
        let index = insert.map(|n| n.map_or(0, |n| n.n.saturating_sub(1)));
        if let (Some(index), Some(Some(n))) = (index, insert)
            && index > len
        {
            return self.blame(&n.at, too_big(draft, id, n, "Index of insertion too big."));
        }
        for (i, rule) in rules.into_iter().enumerate() {
            // Several rules of one -I go to the same place, so the last stands first.
            draft.insert(id, index.unwrap_or(len + i), self.new_rule(counters, rule));
        }
        Ok(())
    }

    fn new_rule(&self, counters: Counters, rule: Rule) -> DraftRule {
        let state = RuleState { counters, ..RuleState::default() };
        DraftRule { rule: Rc::new(rule), state, line: self.line }
    }

    fn replace(
        &self,
        spec: Spec<'_>,
        draft: &mut Draft,
        at: &Token<'_>,
        n: &Number<'_>,
    ) -> Result<(), Diagnostic> {
        let counters = spec.counters.unwrap_or_default();
        let rules = self.rules(draft, spec)?;
        let id = self.chain(draft, at)?;
        let index = n.n.saturating_sub(1);
        if draft.remove(id, index).is_none() {
            return self.blame(&n.at, too_big(draft, id, n, "Index of replacement too big."));
        }
        for rule in rules {
            draft.insert(id, index, self.new_rule(counters, rule));
        }
        Ok(())
    }

    fn delete(&self, spec: Spec<'_>, draft: &mut Draft, at: &Token<'_>) -> Result<(), Diagnostic> {
        let rules = self.rules(draft, spec)?;
        let Some(id) = draft.find(&at.text) else {
            return self.no_such_chain(draft, at);
        };
        for rule in rules {
            match find(draft, id, &rule) {
                Some(i) => drop(draft.remove(id, i)),
                None => return self.blame(at, no_rule(&at.text, &rule)),
            }
        }
        Ok(())
    }

    /// A chain that does not exist, in the words for a rule that does not exist.
    fn no_such_chain(&self, draft: &Draft, at: &Token<'_>) -> Result<(), Diagnostic> {
        self.chain(draft, at).map(drop).map_err(|mut d| {
            d.tool = Some(BAD_RULE);
            d
        })
    }

    fn check(&self, spec: Spec<'_>, draft: &Draft, at: &Token<'_>) -> Result<(), Diagnostic> {
        let rules = self.rules(draft, spec)?;
        let Some(id) = draft.find(&at.text) else {
            return self.no_such_chain(draft, at);
        };
        match rules.iter().find(|r| find(draft, id, r).is_none()) {
            None => Ok(()),
            Some(rule) => self.blame(at, no_rule(&at.text, rule)),
        }
    }

    fn zero(
        &self,
        draft: &mut Draft,
        at: Option<&Token<'_>>,
        n: Option<&Number<'_>>,
    ) -> Result<(), Diagnostic> {
        for id in self.chains(draft, at)? {
            let Some(n) = n else {
                if let Some(chain) = draft.chain_mut(id) {
                    chain.policy = Counters::default();
                    chain.rules.iter_mut().for_each(|r| r.state.counters = Counters::default());
                }
                continue;
            };
            let rule = draft.chain_mut(id).and_then(|c| c.rules.get_mut(n.n.saturating_sub(1)));
            match rule {
                Some(rule) => rule.state.counters = Counters::default(),
                None => return self.blame(&n.at, too_big(draft, id, n, "Index of counter too big.")),
            }
        }
        Ok(())
    }

    fn delete_chains(&self, draft: &mut Draft, at: Option<&Token<'_>>) -> Result<(), Diagnostic> {
        if let Some(at) = at {
            let id = self.chain(draft, at)?;
            return draft.delete(id).map_err(|f| self.source.blame(at, f));
        }
        let user: Vec<ChainId> =
            draft.ids().into_iter().filter(|id| draft.chain(*id).is_some_and(|c| c.base.is_none())).collect();
        let whole = Token { text: "".into(), start: 0, end: self.source.text.len(), quoted: false };
        // Every chain is tried, and the last failure is reported; nothing is loaded then.
        let mut last = Ok(());
        for id in user {
            if let Err(fault) = draft.delete(id) {
                last = self.blame(&whole, fault);
            }
        }
        last
    }

    fn rename(&self, draft: &mut Draft, old: &Token<'_>, new: &Token<'_>) -> Result<(), Diagnostic> {
        // libiptc knows the standard targets only.
        let is_standard = ["ACCEPT", "DROP", "QUEUE", "RETURN"].contains(&new.text.as_ref());
        if draft.find(&new.text).is_some() || is_standard {
            let fault = Fault::new(format!("the name {} is taken", q(&new.text)), "expected another name");
            return self.blame(new, fault.says(ToolError::Errno("File exists.")));
        }
        let id = self.chain(draft, old)?;
        if draft.chain(id).is_some_and(|c| c.base.is_some()) {
            let fault =
                Fault::new(format!("{} is a built-in chain", old.text), "expected a user-defined chain");
            return self.blame(old, fault.says(ToolError::NO_CHAIN));
        }
        if let Err(fault) = new_chain_name(&new.text) {
            // The real command lets most of these pass, and they cannot be used afterwards.
            return self.blame(new, fault.silent());
        }
        draft.rename(id, &new.text);
        Ok(())
    }

    fn policy(
        &self,
        spec: Spec<'_>,
        draft: &mut Draft,
        at: &Token<'_>,
        policy: &Token<'_>,
    ) -> Result<(), Diagnostic> {
        let verdict = policy_of(&policy.text);
        if draft.table == TableId::Nat && verdict.as_ref().is_ok_and(|v| *v == Verdict::Drop) {
            return self.blame(policy, drop_in_nat());
        }
        let id = draft.find(&at.text);
        let chain = id.and_then(|id| draft.chain_mut(id));
        let Some((chain, (hook, _))) = chain.and_then(|c| c.base.map(|b| (c, b))) else {
            return self.blame(at, no_policy(&at.text));
        };
        let verdict = verdict.map_err(|f| self.source.blame(policy, f))?;
        chain.base = Some((hook, verdict));
        chain.policy = spec.counters.unwrap_or_default();
        Ok(())
    }
}

/// The policy of that name.
pub(in crate::iptables) fn policy_of(text: &str) -> Result<Verdict, Fault> {
    match text {
        "ACCEPT" => Ok(Verdict::Accept),
        "DROP" => Ok(Verdict::Drop),
        _ => Err(Fault::new(format!("{} is not a policy", q(text)), "expected ACCEPT or DROP")
            .says(ToolError::Errno("Bad policy name. Run `dmesg' for more information."))),
    }
}

/// Only built-in chains have a policy.
pub(in crate::iptables) fn no_policy(chain: &str) -> Fault {
    Fault::new(format!("chain {} has no policy", q(chain)), "expected a built-in chain of this table")
        .says(ToolError::Errno("Bad built-in chain name."))
}

fn find(draft: &Draft, id: ChainId, rule: &Rule) -> Option<usize> {
    draft.chain(id)?.rules.iter().position(|r| *r.rule == *rule)
}

const BAD_RULE: ToolError = ToolError::Errno("Bad rule (does a matching rule exist in that chain?).");

fn no_rule(chain: &str, rule: &Rule) -> Fault {
    // libiptc forgets which of its functions failed when it has looked the target up as a chain.
    let standard = matches!(rule.target, Target::None | Target::Accept | Target::Drop | Target::Return);
    let says = if standard { BAD_RULE } else { ToolError::NO_CHAIN };
    Fault::new(format!("chain {} has no such rule", q(chain)), "expected a rule as -S prints it").says(says)
}

fn too_big(draft: &Draft, id: ChainId, n: &Number<'_>, says: &'static str) -> Fault {
    let (name, len) = draft.chain(id).map_or(("", 0), |c| (&*c.name, c.rules.len()));
    let help = match len {
        0 => "expected a rule, but the chain is empty".to_owned(),
        len => format!("expected a number from 1 to {len}"),
    };
    Fault::new(format!("chain {} has no rule {}", q(name), n.n), help).says(ToolError::Errno(says))
}

/// What `-v` prints about the rules of a command.
pub(in crate::iptables) fn verbose_lines(set: &RuleSet, rules: &[Rule]) -> String {
    rules.iter().map(|r| list::verbose_rule(set, r)).collect()
}
