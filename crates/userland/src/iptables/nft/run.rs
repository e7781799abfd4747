//! The commands of iptables-nft on a table (iptables/nft.c, nft-cmd.c of iptables 1.8.9).

use super::compose::missing_protocol;
use super::edit::Edit;
use crate::args::{Source, Token};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::iptables::check::translate_rules;
use crate::iptables::command::operation::new_chain_name;
use crate::iptables::command::parse::{Number, Op};
use crate::iptables::command::run::policy_of;
use crate::iptables::hints::chain_of;
use crate::iptables::parse::{Objects, ParsedTable};
use crate::iptables::rule::{Scope, Spec, drop_in_nat};
use kernel::netfilter::nftables::NftError;
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{ChainId, Counters, Rule, TableId, Verdict};

/// A line being done.
pub(super) struct Run<'r> {
    pub source: Source<'r>,
    /// What to note as the origin of new rules.
    pub line: u32,
    /// What else exists.
    pub objects: Objects<'r>,
}

const BAD_RULE: ToolError = ToolError::Errno("Bad rule (does a matching rule exist in that chain?).");

/// What the kernel is asked to do, in the words of an error.
pub(super) fn what(op: &Op<'_>) -> &'static str {
    match op {
        Op::Insert(..) => "RULE_INSERT",
        Op::Replace(..) => "RULE_REPLACE",
        Op::Delete(_) | Op::DeleteNum(..) => "RULE_DELETE",
        Op::DeleteChain(_) => "CHAIN_DEL",
        Op::New(_) => "CHAIN_USER_ADD",
        _ => "RULE_APPEND",
    }
}

/// A change that the kernel refuses.
pub(super) fn refused(what: &str, why: &str, chain: &str) -> ToolError {
    let of = if what.starts_with("RULE") { "rule in chain" } else { "chain" };
    ToolError::Batch(format!("{what} failed ({why}): {of} {chain}"))
}

fn batch(what: &str, e: NftError, chain: &str) -> Fault {
    let help = match e {
        NftError::Busy => {
            "expected a chain that no rule leads to, and that has no rules; flush it first (-F)"
        }
        NftError::NotSupported => "expected a user-defined chain to jump to",
        NftError::TooManyLinks => "expected jumps that never lead back to a chain they came from",
        _ => "expected something that is there",
    };
    Fault::new(format!("the kernel refuses: {e}"), help).says(refused(what, &e.to_string(), chain))
}

impl Run<'_> {
    fn blame<T>(&self, at: &Token<'_>, fault: Fault) -> Result<T, Diagnostic> {
        Err(self.source.blame(at, fault))
    }

    fn chain(&self, edit: &Edit<'_>, at: &Token<'_>) -> Result<ChainId, Diagnostic> {
        chain_of(&edit.draft, at).map_err(|f| self.source.blame(at, f))
    }

    /// The rules that a line stands for.
    fn rules(
        &self,
        edit: &Edit<'_>,
        spec: Spec<'_>,
        op: &Op<'_>,
        chain: &str,
    ) -> Result<Vec<Rule>, Diagnostic> {
        if let Some(at) = spec.jump_to()
            && edit.draft.find(&at.text).is_none()
        {
            let fault = crate::iptables::hints::no_such_target(&at.text, false, &self.scope(edit));
            return self.blame(at, fault.usage(format!("Chain '{}' does not exist", at.text)));
        }
        let source = self.source;
        let rules = spec.rules(source, &self.scope(edit)).map_err(|mut d| {
            if d.tool == Some(ToolError::INVALID) {
                d.tool = Some(refused(what(op), "Operation not supported", chain));
            }
            d
        })?;
        let whole = Token { text: "".into(), start: 0, end: source.text.len(), quoted: false };
        for rule in &rules {
            if let Some(name) = missing_protocol(rule) {
                let fault = Fault::new(
                    format!("ports or flags of {name} in a rule of another protocol"),
                    format!("expected -p {name} before it"),
                );
                let says = format!("{} match requires '-p {name}'", name.to_ascii_uppercase());
                return self.blame(&whole, fault.usage(says));
            }
            // A comparison of no bits is none.
            if [rule.src, rule.dst].into_iter().flatten().any(|n| n.value.mask.is_unspecified()) {
                return self.blame(&whole, batch(what(op), NftError::Invalid, chain));
            }
        }
        Ok(rules)
    }

    fn scope<'e>(&self, edit: &'e Edit<'_>) -> Scope<'e>
    where
        Self: 'e,
    {
        Scope { draft: &edit.draft, declared_later: &|_| None, objects: self.objects }
    }

    /// Does what a line says. Listings do nothing here.
    pub fn apply(&self, op: &Op<'_>, spec: Spec<'_>, edit: &mut Edit<'_>) -> Result<(), Diagnostic> {
        match op {
            Op::Append(at) => self.add(spec, edit, at, op, None),
            Op::Insert(at, n) => self.add(spec, edit, at, op, Some(n.as_ref())),
            Op::Replace(at, n) => self.replace(spec, edit, at, op, n),
            Op::Delete(at) | Op::Check(at) => self.delete(spec, edit, at, op),
            Op::DeleteNum(at, n) => {
                let id = self.chain(edit, at)?;
                match edit.remove(id, n.n.saturating_sub(1)) {
                    true => Ok(()),
                    false => self.blame(&n.at, too_big(edit, id, n, "Index of deletion too big.")),
                }
            }
            Op::Flush(None) => {
                edit.draft.ids().into_iter().for_each(|id| edit.flush(id));
                Ok(())
            }
            Op::Flush(Some(at)) => {
                let id = self.chain(edit, at)?;
                self.make(edit, id, at)?;
                edit.flush(id);
                Ok(())
            }
            Op::Zero(at, n) => self.zero(edit, at.as_ref(), n.as_ref()),
            Op::New(at) => edit.create(&at.text, Some(self.line)).map_err(|f| self.source.blame(at, f)),
            Op::DeleteChain(Some(at)) => self.delete_chain(edit, at),
            Op::DeleteChain(None) => self.delete_chains(edit),
            Op::Rename(old, new) => self.rename(edit, old, new),
            Op::Policy(at, policy) => self.policy(edit, at, policy),
            Op::List(..) | Op::ListRules(..) | Op::Version | Op::Help | Op::OtherFamily => Ok(()),
        }
    }

    fn make(&self, edit: &mut Edit<'_>, id: ChainId, at: &Token<'_>) -> Result<(), Diagnostic> {
        edit.make(id, None).map_err(|e| self.source.blame(at, batch("CHAIN_ADD", e, &at.text)))
    }

    fn add(
        &self,
        spec: Spec<'_>,
        edit: &mut Edit<'_>,
        at: &Token<'_>,
        op: &Op<'_>,
        insert: Option<Option<&Number<'_>>>,
    ) -> Result<(), Diagnostic> {
        let counters = spec.counters.unwrap_or_default();
        let id = self.chain(edit, at);
        if let Ok(id) = id {
            self.make(edit, id, at)?;
        }
        let rules = self.rules(edit, spec, op, &at.text)?;
        let id = id?;
        let len = edit.draft.chain(id).map_or(0, |c| c.rules.len());
        let index = insert.map(|n| n.map_or(0, |n| n.n.saturating_sub(1)));
        if let (Some(index), Some(Some(n))) = (index, insert)
            && index > len
        {
            return self.blame(&n.at, too_big(edit, id, n, "Index of insertion too big."));
        }
        for (i, rule) in rules.iter().enumerate() {
            // Several rules of one -I go to the same place, so the last stands first.
            self.insert(edit, id, index.unwrap_or(len + i), rule, counters, (op, at))?;
        }
        Ok(())
    }

    fn insert(
        &self,
        edit: &mut Edit<'_>,
        id: ChainId,
        at: usize,
        rule: &Rule,
        counters: Counters,
        (op, name): (&Op<'_>, &Token<'_>),
    ) -> Result<(), Diagnostic> {
        edit.insert(id, at, rule, counters, Some(self.line))
            .map_err(|e| self.source.blame(name, batch(what(op), e, &name.text)))
    }

    fn replace(
        &self,
        spec: Spec<'_>,
        edit: &mut Edit<'_>,
        at: &Token<'_>,
        op: &Op<'_>,
        n: &Number<'_>,
    ) -> Result<(), Diagnostic> {
        let counters = spec.counters.unwrap_or_default();
        let rules = self.rules(edit, spec, op, &at.text)?;
        let id = self.chain(edit, at)?;
        if edit.key(id).is_none() {
            return self.blame(at, no_chain(&at.text));
        }
        let index = n.n.saturating_sub(1);
        if !edit.remove(id, index) {
            return self.blame(&n.at, too_big(edit, id, n, "Index of replacement too big."));
        }
        rules.iter().try_for_each(|rule| self.insert(edit, id, index, rule, counters, (op, at)))
    }

    /// `-D`, `-C`
    fn delete(
        &self,
        spec: Spec<'_>,
        edit: &mut Edit<'_>,
        at: &Token<'_>,
        op: &Op<'_>,
    ) -> Result<(), Diagnostic> {
        let rules = self.rules(edit, spec, op, &at.text)?;
        let absent = || {
            Fault::new(format!("chain {} has no such rule", q(&at.text)), "expected a rule as -S prints it")
                .says(BAD_RULE)
        };
        let Some(id) = edit.draft.find(&at.text) else { return self.blame(at, absent()) };
        for rule in rules {
            let rule = edit.normal(&rule);
            let found = edit.draft.chain(id).and_then(|c| c.rules.iter().position(|r| *r.rule == rule));
            // Rules are read one by one until it is found.
            if let Some((i, says)) = edit.unreadable(id)
                && found.is_none_or(|found| i <= found)
            {
                let says = ToolError::Unreadable(says.to_owned());
                return self.blame(at, super::command::no_words(edit.draft.table).says(says));
            }
            match found {
                Some(i) if matches!(op, Op::Delete(_)) => drop(edit.remove(id, i)),
                Some(_) => {}
                None => return self.blame(at, absent()),
            }
        }
        Ok(())
    }

    /// A rule that is not there is passed over.
    fn zero(
        &self,
        edit: &mut Edit<'_>,
        at: Option<&Token<'_>>,
        n: Option<&Number<'_>>,
    ) -> Result<(), Diagnostic> {
        let ids = match at {
            None => edit.draft.ids(),
            Some(at) => {
                let id = self.chain(edit, at)?;
                if edit.key(id).is_none() {
                    return self.blame(at, no_chain(&at.text));
                }
                vec![id]
            }
        };
        for id in ids {
            let rules = edit.draft.chain(id).map_or(0, |c| c.rules.len());
            match n {
                Some(n) => edit.zero(id, n.n.saturating_sub(1)),
                None => {
                    edit.zero_policy(id);
                    (0..rules).for_each(|i| edit.zero(id, i));
                }
            }
        }
        Ok(())
    }

    fn delete_chain(&self, edit: &mut Edit<'_>, at: &Token<'_>) -> Result<(), Diagnostic> {
        let id = self.chain(edit, at)?;
        if edit.key(id).is_none() {
            return self.blame(at, no_chain(&at.text));
        }
        // At the policy of a built-in chain iptables-nft looks by itself, at its rules the kernel.
        if edit.draft.chain(id).and_then(|c| c.base).is_some_and(|base| base.1 != Verdict::Accept) {
            let fault = Fault::new(
                format!("built-in chain {} has a policy", q(&at.text)),
                "expected a chain with policy ACCEPT",
            );
            return self.blame(at, fault.says(ToolError::Errno("Directory not empty.")));
        }
        edit.delete_chain(id).map_err(|e| self.source.blame(at, batch("CHAIN_DEL", e, &at.text)))
    }

    /// Every chain that can go, and of the built-in ones those that have nothing to say.
    fn delete_chains(&self, edit: &mut Edit<'_>) -> Result<(), Diagnostic> {
        let mut all: Vec<(Option<Verdict>, std::rc::Rc<str>, ChainId)> = Vec::new();
        for id in edit.draft.ids() {
            if let Some(c) = edit.draft.chain(id) {
                all.push((c.base.map(|(_, policy)| policy), std::rc::Rc::clone(&c.name), id));
            }
        }
        sorted::sort_by(&mut all, |a, b| (a.0.is_none(), &a.1).cmp(&(b.0.is_none(), &b.1)));
        let whole = Token { text: "".into(), start: 0, end: self.source.text.len(), quoted: false };
        for (policy, name, id) in all {
            let rules = edit.draft.chain(id).map_or(0, |c| c.rules.len());
            let stays = policy.is_some_and(|p| p != Verdict::Accept || rules > 0);
            if stays || edit.key(id).is_none() {
                continue;
            }
            edit.delete_chain(id).map_err(|e| self.source.blame(&whole, batch("CHAIN_DEL", e, &name)))?;
        }
        Ok(())
    }

    fn rename(&self, edit: &mut Edit<'_>, old: &Token<'_>, new: &Token<'_>) -> Result<(), Diagnostic> {
        if edit.draft.find(&new.text).is_some() {
            let fault = Fault::new(format!("the name {} is taken", q(&new.text)), "expected another name");
            return self.blame(new, fault.says(ToolError::Errno("File exists.")));
        }
        let id = self.chain(edit, old)?;
        if edit.key(id).is_none() {
            return self.blame(old, no_chain(&old.text));
        }
        if let Err(fault) = new_chain_name(&new.text)
            && (new.text.contains(char::is_whitespace) || new.text.is_empty() || new.text.len() > 28)
        {
            // The real command lets most of these pass, and they cannot be used afterwards.
            return self.blame(new, fault.silent());
        }
        edit.rename(id, &new.text);
        Ok(())
    }

    fn policy(&self, edit: &mut Edit<'_>, at: &Token<'_>, policy: &Token<'_>) -> Result<(), Diagnostic> {
        let verdict = policy_of(&policy.text);
        if edit.draft.table == TableId::Nat && verdict.as_ref().is_ok_and(|v| *v == Verdict::Drop) {
            return self.blame(policy, drop_in_nat());
        }
        self.set_policy(edit, at, verdict.map_err(|f| self.source.blame(policy, f)), None)
    }

    /// Also for `:CHAIN POLICY`, whose counters are set.
    pub fn set_policy(
        &self,
        edit: &mut Edit<'_>,
        at: &Token<'_>,
        verdict: Result<Verdict, Diagnostic>,
        counters: Option<Counters>,
    ) -> Result<(), Diagnostic> {
        let id =
            edit.draft.find(&at.text).filter(|id| edit.draft.chain(*id).is_some_and(|c| c.base.is_some()));
        let Some(id) = id else {
            return self.blame(at, crate::iptables::command::run::no_policy(&at.text));
        };
        edit.make(id, Some((verdict?, counters)))
            .map_err(|e| self.source.blame(at, batch("CHAIN_ADD", e, &at.text)))
    }

    /// The checks of the kernel at the end of a batch: extensions in rules, and where jumps lead. `op` is what the last line did.
    pub fn validate(&self, edit: &Edit<'_>, op: (&'static str, &str)) -> Result<(), Diagnostic> {
        let whole = Token { text: "".into(), start: 0, end: self.source.text.len(), quoted: false };
        edit.validate().or_else(|e| self.blame(&whole, batch(op.0, e, op.1)))
    }
}

/// What the kernel refuses in the extensions of the rules: the line of the rule, if it was made just now, its chain, the word, and why.
pub(super) fn extensions(edit: &Edit<'_>, objects: Objects<'_>) -> Vec<(Option<u32>, String, String, Fault)> {
    let mut table = ParsedTable::from(edit.draft.clone().finish());
    // Nobody calls a match that has become statements of nf_tables.
    for rule in table.rules.chains.iter_mut().flat_map(|c| &mut c.rules) {
        if rule.matches.iter().any(super::compose::is_native) {
            std::rc::Rc::make_mut(rule).matches.retain(|m| !super::compose::is_native(m));
        }
        if rule.target == Target::Trace {
            std::rc::Rc::make_mut(rule).target = Target::None;
        }
    }
    let rejected = translate_rules(&table.rules, objects);
    rejected
        .into_iter()
        .map(|r| {
            let chain = table.rules.chains.get(r.chain).map_or(String::new(), |c| c.name.to_string());
            (table.line(r.chain, r.rule), chain, r.word, r.fault)
        })
        .collect()
}

/// The words of an error number of the kernel: without those that iptables adds.
pub(super) fn errno(fault: &Fault) -> String {
    errno_of(fault.tool.as_ref())
}

pub(super) fn errno_of(says: Option<&ToolError>) -> String {
    match says {
        Some(ToolError::Errno(text)) if text.starts_with("No chain/target/match") => {
            "No such file or directory".to_owned()
        }
        Some(ToolError::Errno(text)) => text.split('.').next().unwrap_or_default().to_owned(),
        _ => "Invalid argument".to_owned(),
    }
}

fn no_chain(name: &str) -> Fault {
    let fault = Fault::new(
        format!("built-in chain {} is not there yet", q(name)),
        "expected a chain that has been used",
    );
    fault.says(ToolError::NO_CHAIN)
}

fn too_big(edit: &Edit<'_>, id: ChainId, n: &Number<'_>, says: &'static str) -> Fault {
    let (name, len) = edit.draft.chain(id).map_or(("", 0), |c| (&*c.name, c.rules.len()));
    let help = match len {
        0 => "expected a rule, but the chain is empty".to_owned(),
        len => format!("expected a number from 1 to {len}"),
    };
    Fault::new(format!("chain {} has no rule {}", q(name), n.n), help).says(ToolError::Errno(says))
}
