//! Steps through nf_tables: what they are called, and why they went as they did.

use super::step::{Area, Draft, Tone};
use super::strip::Spot;
use super::title::{hook_section, none_matched};
use super::why::{Skipped, Token, Why, xt_tokens};
use kernel::Netns;
use kernel::event::{NftOutcome, NftStep};
use kernel::netfilter::nftables::{NftCheck, NftRule, NftTable, NftVerdict, Stmt};
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
