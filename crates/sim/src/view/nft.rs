//! Steps through nf_tables: what they are called, and why they went as they did.

use super::step::{Area, Draft, Tone};
use super::strip::Spot;
use super::title::{hook_section, none_matched};
use super::why::{NftLookup, Skipped, Token, Why, xt_tokens};
use super::why_not::{Answer, Asked, Walk, WhyNot};
use kernel::Netns;
use kernel::event::{NftOutcome, NftStep, What};
use kernel::netfilter::nftables::{
    CmpOp, NftChain, NftCheck, NftRule, NftTable, NftVerdict, Right, SetRef, Stmt,
};
use kernel::netfilter::xtables::{Rule, Verdict};
use std::rc::Rc;
use userland::nft::{Names, NftText, device_names};

/// Speaks about a table as it stands; a rule that is gone since is spoken about all the same.
fn with_text<T>(ns: &Netns, step: &NftStep, say: impl FnOnce(&NftText<'_>) -> T) -> Option<T> {
    let table: &NftTable = ns.nft.table_by_key(step.base.table)?;
    let devices = device_names(ns);
    let names = Names { devices: &devices, now: kernel::Instant(0) };
    Some(say(&NftText::new(table, names)))
}

/// The statement that decided, or the last one.
fn deed(rule: &NftRule, checks: &[NftCheck]) -> Option<Stmt> {
    let last = checks.last().map_or(0, |c| c.stmt);
    rule.stmts.get(last).or(rule.stmts.last()).cloned()
}

/// What a step is called.
pub(super) fn title(ns: &Netns, step: &NftStep, skipped: usize) -> Draft {
    let (title, note, tone) = match &step.outcome {
        NftOutcome::Match { rule, checks, verdict } => {
            let stmt = deed(rule, checks);
            let tone = match (&stmt, verdict) {
                (_, NftVerdict::Drop) => Tone::Bad,
                (Some(s), _) if s.is_nat() => Tone::Strong,
                _ => Tone::Plain,
            };
            let words = with_text(ns, step, |t| match (&stmt, verdict) {
                (_, NftVerdict::Jump(_) | NftVerdict::Goto(_)) => {
                    let text = t.verdict(*verdict);
                    format!("→ {}", text.split_once(' ').map_or("", |(_, chain)| chain))
                }
                (Some(Stmt::Vmap(..)), v) => t.verdict(*v),
                (Some(s), _) => t.stmt(s),
                (None, v) => t.verdict(*v),
            });
            (words.unwrap_or_else(|| "matched".to_owned()), format!("rule {}", step.n), tone)
        }
        NftOutcome::Policy(v) => {
            let (word, tone) = match v {
                Verdict::Drop => ("drop", Tone::Bad),
                Verdict::Accept => ("accept", Tone::Plain),
            };
            (format!("policy {word}"), none_matched(skipped), tone)
        }
        _ => (format!("end of {}: return", step.chain), none_matched(skipped), Tone::Dim),
    };
    let mut draft = Draft::new(Area::Nft, title)
        .note(note)
        .tone(tone)
        .at(Spot::Fn(step.ctx.hook, Area::Nft))
        .section(hook_section(ns, &step.ctx));
    if matches!(step.outcome, NftOutcome::Match { .. }) {
        draft.chain = Some(Rc::clone(&step.chain));
    }
    draft
}

/// The rule's statements, and what each of them saw.
fn tokens(text: &NftText<'_>, rule: &NftRule, checks: &[NftCheck]) -> Vec<Token> {
    rule.stmts.iter().enumerate().flat_map(|(i, stmt)| stmt_tokens(text, (i, stmt), checks)).collect()
}

/// A match of iptables has a token for each of its options, in the words of iptables.
fn stmt_tokens(text: &NftText<'_>, (i, stmt): (usize, &Stmt), checks: &[NftCheck]) -> Vec<Token> {
    let check = checks.iter().find(|c| c.stmt == i);
    let alone = match stmt {
        Stmt::XtMatch(x) => Some(Rule { matches: vec![x.m.clone()], ..Rule::default() }),
        Stmt::XtTarget(target) => Some(Rule { target: (**target).clone(), ..Rule::default() }),
        _ => None,
    };
    if let Some(rule) = alone {
        return xt_tokens(&rule, check.map_or(&[], |c| &c.xt));
    }
    let asks = matches!(stmt, Stmt::Match { .. } | Stmt::Vmap(..) | Stmt::Limit(..));
    let seen = match check.map(|c| c.seen) {
        Some(Some(data)) => text.seen(stmt, &data),
        Some(None) if matches!(stmt, Stmt::Match { .. } | Stmt::Vmap(..)) => {
            "the packet has no such field".to_owned()
        }
        _ => String::new(),
    };
    vec![Token { text: text.stmt(stmt), ok: check.filter(|_| asks).map(|c| c.ok), seen }]
}

/// The text of a rule that was asked, its parts, and what the packet had; `None` for the end of a chain.
pub fn nft_rule_parts(ns: &Netns, step: &NftStep) -> Option<(String, Vec<Token>)> {
    let (NftOutcome::Match { rule, checks, .. } | NftOutcome::NoMatch { rule, checks }) = &step.outcome
    else {
        return None;
    };
    with_text(ns, step, |t| (t.rule(rule), tokens(t, rule, checks)))
}

/// What the rule that was asked has looked up by names, in the order of its statements.
pub fn nft_lookups(ns: &Netns, step: &NftStep) -> Vec<NftLookup> {
    let (NftOutcome::Match { rule, checks, .. } | NftOutcome::NoMatch { rule, checks }) = &step.outcome
    else {
        return Vec::new();
    };
    let looked = |check: &NftCheck| {
        let stmt = rule.stmts.get(check.stmt)?;
        let (by, differs, vmap) = match stmt {
            Stmt::Match { right: Right::Set(by), op, .. } => (by, *op == CmpOp::Neq, false),
            Stmt::Vmap(_, by) => (by, false, true),
            _ => return None,
        };
        let (SetRef::Named(key, name, _), Some(seen)) = (by, &check.seen) else { return None };
        let found = check.ok != differs;
        let set = ns.nft.table_by_key(step.base.table)?.set_by_key(*key)?;
        let elem = set.lookup(seen, kernel::Instant(0)).filter(|_| found);
        let key = with_text(ns, step, |t| match elem {
            Some(elem) => t.key(set, elem),
            None => t.seen(stmt, seen),
        })?;
        Some(NftLookup { set: Rc::clone(name), key, found, vmap })
    };
    checks.iter().filter_map(looked).collect()
}

/// The parts of a rule that was asked; nothing for the end of a chain.
pub(super) fn parts(ns: &Netns, step: &NftStep) -> Vec<Token> {
    nft_rule_parts(ns, step).map(|(_, tokens)| tokens).unwrap_or_default()
}

/// The texts of some rules of a chain.
pub(super) fn rule_texts(ns: &Netns, table: &NftTable, chain: &str, skip: usize, most: usize) -> Vec<String> {
    let devices = device_names(ns);
    let names = Names { devices: &devices, now: kernel::Instant(0) };
    let text = NftText::new(table, names);
    let rules = table.chain(chain).into_iter().flat_map(|c| c.rules().iter());
    rules.skip(skip).take(most).map(|r| text.rule(r)).collect()
}

/// Why a step went as it did.
pub(super) fn why(ns: &Netns, step: &NftStep, out: &mut Why) {
    match &step.outcome {
        NftOutcome::Match { rule, checks, verdict } => {
            out.rule = Some((Rc::clone(&step.chain), step.n));
            let said = with_text(ns, step, |t| {
                let verdict = checks.iter().find_map(|c| c.verdict).map(|v| t.verdict(v));
                (tokens(t, rule, checks), verdict)
            });
            if let Some((tokens, verdict)) = said {
                out.tokens = tokens;
                if let Some(verdict) = verdict {
                    out.text.push(format!("The map leads from this key to “{verdict}”."));
                }
            }
            let asks = |s: &Stmt| matches!(s, Stmt::Match { .. } | Stmt::Vmap(..) | Stmt::XtMatch(_));
            if !rule.stmts.iter().any(asks) {
                out.text.push("The rule has no condition: every packet matches.".to_owned());
            }
            if *verdict == NftVerdict::Accept && !step.is_base {
                out.text.push("accept ends this base chain; later ones are asked all the same.".to_owned());
            }
        }
        NftOutcome::Policy(v) => {
            let tried =
                if out.skipped.is_empty() { "The chain has no rule that ends it" } else { "No rule matched" };
            let word = if *v == Verdict::Drop { "drop" } else { "accept" };
            out.text.push(format!("{tried}, so the policy of {} applies: {word}.", step.chain));
        }
        NftOutcome::Return => out
            .text
            .push(format!("{} is at its end; the walk goes on behind the rule that led here.", step.chain)),
        NftOutcome::NoMatch { .. } => {}
    }
    out.text.push(format!("Table {} {}.", step.family, step.table));
}

/// A rule that did not match.
pub(super) fn skipped(ns: &Netns, step: &NftStep) -> Option<Skipped> {
    let NftOutcome::NoMatch { rule, checks } = &step.outcome else { return None };
    with_text(ns, step, |t| {
        let at = checks.iter().find(|c| !c.ok).map_or(0, |c| c.stmt);
        let all = stmt_tokens(t, (at, rule.stmts.get(at)?), checks);
        let mut token = all.iter().find(|t| t.ok == Some(false)).or(all.first()).cloned()?;
        token.ok = Some(false);
        let target = rule.stmts.last().map(|s| t.stmt(s)).unwrap_or_default();
        Some(Skipped { chain: Rc::clone(&step.chain), n: step.n, token, target })
    })?
}

/// Why rules of nf_tables at a hook did not match, or were never reached.
pub(super) fn why_not(walk: &Walk<'_>, find: &str, limit: usize, out: &mut WhyNot) {
    let steps: Vec<&NftStep> = walk
        .events
        .iter()
        .filter_map(|w| match w {
            What::Nft(s) => Some(&**s),
            _ => None,
        })
        .collect();
    let devices = device_names(walk.ns);
    for table in walk.ns.nft.tables() {
        let at_hook = |c: &NftChain| c.base.as_ref().is_some_and(|b| b.hook == walk.hook);
        if !table.chains().any(|c| at_hook(c)) {
            continue;
        }
        let text = NftText::new(table, Names { devices: &devices, now: kernel::Instant(0) });
        let name = format!("{} {}", table.family, table.name);
        for chain in table.chains().filter(|c| c.base.is_none() || at_hook(c)) {
            let here = match walk.at {
                What::Nft(s) => s.table == table.name && s.chain == chain.name,
                What::Rule(_) => false,
                _ => at_hook(chain),
            };
            if find.is_empty() && !here {
                continue;
            }
            for (rule, n) in chain.rules().iter().zip(1u32..) {
                let line = text.rule(rule);
                if !find.is_empty() && !format!("{} {line}", chain.name).to_ascii_lowercase().contains(find) {
                    continue;
                }
                let of_chain = |s: &&&NftStep| s.table == table.name && s.chain == chain.name;
                out.take(limit, || Asked {
                    table: name.clone(),
                    chain: Rc::clone(&chain.name),
                    n,
                    text: line,
                    answer: answer(walk, steps.iter().filter(of_chain).copied().collect(), &steps, n),
                });
            }
        }
    }
}

/// `inside` are the steps in the rule's chain.
fn answer(walk: &Walk<'_>, inside: Vec<&NftStep>, all: &[&NftStep], n: u32) -> Answer {
    let mine = || inside.iter().filter(|s| s.n == n);
    if mine().any(|s| matches!(s.outcome, NftOutcome::Match { .. })) {
        return Answer::Matched;
    }
    if let Some(skipped) = mine().find_map(|s| skipped(walk.ns, s)) {
        return Answer::Failed(skipped.token);
    }
    let why = match (inside.last(), all.last()) {
        (Some(last), _) => format!("the walk left the chain at rule {} of {}", last.n, last.chain),
        (None, Some(_)) => "no rule and no map led to its chain for this packet".to_owned(),
        (None, None) => walk
            .nat()
            .or_else(|| walk.ended())
            .unwrap_or_else(|| "the packet does not come to this table here".to_owned()),
    };
    Answer::NotReached(format!("never reached: {why}"))
}
