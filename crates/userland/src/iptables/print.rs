//! Rules as text: `iptables -S`, `iptables-save`, and the tokens that the page shows.

use super::matches::physdev::iface_text;
use super::text::bang;
use super::{matches, targets};
use crate::names::{addr, protocol_name};
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{CheckOf, Counters, LoadedTable, Rule, RuleSet};
use std::fmt::Write as _;

/// A piece of a rule's text that belongs together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleToken {
    /// The text.
    pub text: String,
    /// The check of the kernel that it asks for; `None` for the target.
    pub of: Option<CheckOf>,
}

/// A rule as `iptables-save` prints it, without `-A CHAIN `.
pub fn print_rule(set: &RuleSet, rule: &Rule) -> String {
    let texts: Vec<String> = rule_tokens(set, rule).into_iter().map(|t| t.text).collect();
    texts.join(" ")
}

/// The same text in pieces; joined by blanks they are [`print_rule`].
pub fn rule_tokens(set: &RuleSet, rule: &Rule) -> Vec<RuleToken> {
    let mut out = conditions(rule);
    out.extend(target(set, rule).map(|text| RuleToken { text, of: None }));
    out
}

/// Everything before `-j`.
fn conditions(rule: &Rule) -> Vec<RuleToken> {
    let mut out = Vec::new();
    let mut push = |of, text: String| out.push(RuleToken { text, of: Some(of) });
    for (of, letter, net) in [(CheckOf::Src, 's', &rule.src), (CheckOf::Dst, 'd', &rule.dst)] {
        if let Some(n) = net {
            push(of, format!("{}-{letter} {}", bang(n.not), addr::network_text(&n.value)));
        }
    }
    for (of, letter, dev) in
        [(CheckOf::InIface, 'i', &rule.in_iface), (CheckOf::OutIface, 'o', &rule.out_iface)]
    {
        // "+" alone means every device and is not printed.
        if let Some(n) = dev.as_ref().filter(|n| !n.value.name.is_empty()) {
            push(of, format!("{}-{letter} {}", bang(n.not), iface_text(&n.value)));
        }
    }
    if let Some(p) = rule.proto {
        let name = protocol_name(p.value).map_or_else(|| p.value.0.to_string(), str::to_owned);
        push(CheckOf::Proto, format!("{}-p {name}", bang(p.not)));
    }
    if let Some(f) = rule.fragment {
        push(CheckOf::Fragment, format!("{}-f", bang(f.not)));
    }
    for (index, m) in (0u8..).zip(&rule.matches) {
        out.extend(match_tokens(index, m.name(), &matches::save(m).options));
    }
    out
}

/// A match: its first option bears the `-m`. Parts are counted as the kernel evaluates them, absent options not at
/// all, which is not always the order in which they are printed.
fn match_tokens(index: u8, name: &str, options: &[(String, Option<u8>)]) -> Vec<RuleToken> {
    let part = |order: u8| {
        let before = options.iter().filter(|(_, o)| o.is_some_and(|o| o < order)).count();
        u8::try_from(before).unwrap_or(u8::MAX)
    };
    if options.is_empty() {
        return vec![RuleToken { text: format!("-m {name}"), of: Some(CheckOf::Match { index, part: 0 }) }];
    }
    let mut first = format!("-m {name} ");
    let tokens = options.iter().map(|(text, order)| RuleToken {
        text: std::mem::take(&mut first) + text,
        of: order.map(|o| CheckOf::Match { index, part: part(o) }),
    });
    tokens.collect()
}

fn target(set: &RuleSet, rule: &Rule) -> Option<String> {
    let flag = if matches!(rule.target, Target::Goto(_)) { "-g" } else { "-j" };
    let name = match rule.target.chain() {
        Some(to) => set.chains.get(usize::from(to.0)).map_or("?", |c| &*c.name),
        None => targets::name(&rule.target)?,
    };
    let mut out = format!("{flag} {name}");
    for (text, _) in targets::save(&rule.target).options {
        out.push(' ');
        out.push_str(&text);
    }
    Some(out)
}

/// A rule as `-S -v` prints it: the counters stand before the target.
pub(super) fn print_rule_counted(set: &RuleSet, rule: &Rule, c: Counters) -> String {
    let mut parts: Vec<String> = conditions(rule).into_iter().map(|t| t.text).collect();
    parts.push(format!("-c {} {}", c.packets, c.bytes));
    parts.extend(target(set, rule));
    parts.join(" ")
}

/// A table as `iptables-save` prints it, from `*table` to `COMMIT`, without the comments that bear the date.
pub fn print_save(table: &LoadedTable, counters: bool) -> String {
    let set = &table.rules;
    let mut out = format!("*{}\n", set.table);
    for i in 0..set.chains.len() {
        out.push_str(&declaration(table, i));
    }
    for (i, chain) in set.chains.iter().enumerate() {
        for (n, rule) in chain.rules.iter().enumerate() {
            if counters {
                let c = table.state.counters(i, n);
                let _ = write!(out, "[{}:{}] ", c.packets, c.bytes);
            }
            out.push_str(&append_line(set, &chain.name, rule));
        }
    }
    out.push_str("COMMIT\n");
    out
}

/// `:CHAIN POLICY [PACKETS:BYTES]` of iptables-save with the end of the line; empty if there is no such chain.
pub fn declaration(table: &LoadedTable, chain: usize) -> String {
    let Some(c) = table.rules.chains.get(chain) else { return String::new() };
    let policy = c.base.map_or_else(|| "-".to_owned(), |(_, p)| p.to_string());
    let counted = c.base.and(table.policy.get(chain)).copied();
    let Counters { packets, bytes } = counted.unwrap_or_default();
    format!(":{} {policy} [{packets}:{bytes}]\n", c.name)
}

/// `-A CHAIN ...` with the end of the line. A rule without any condition and target has nothing behind the chain.
pub fn append_line(set: &RuleSet, chain: &str, rule: &Rule) -> String {
    append(chain, &print_rule(set, rule))
}

pub(super) fn append(chain: &str, rule: &str) -> String {
    if rule.is_empty() { format!("-A {chain}\n") } else { format!("-A {chain} {rule}\n") }
}
