//! `-L` and `-S`, also together with `-Z`.

use super::TableStore;
use super::parse::{Command, Number, Op};
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::iptables::draft::Draft;
use crate::iptables::hints::chain_of;
use crate::iptables::list::{Format, list_chain, list_rule, list_table};
use crate::iptables::print::{append, append_line, print_rule_counted};
use kernel::netfilter::xtables::{Counters, LoadedTable};
use std::fmt::Write as _;

/// The text of a listing; with `-Z` the counters are zero afterwards.
pub(super) fn listing(
    store: &mut dyn TableStore,
    command: &Command<'_>,
    loaded: &LoadedTable,
    run: &Run<'_>,
    chain: Option<&str>,
    number: Option<&Number<'_>>,
) -> Result<String, Diagnostic> {
    let at = match (&command.op, chain) {
        (Op::List(Some(token), _) | Op::ListRules(Some(token), _), Some(name)) => {
            let found = loaded.rules.chain(name).map(|id| usize::from(id.0));
            if found.is_none() {
                chain_of(&Draft::of(loaded), token).map_err(|f| run.source.blame(token, f))?;
            }
            found
        }
        _ => None,
    };
    let zeroed = command.zero.then(|| zeroed(loaded, at, number));
    // The listing shows the old counters of rules, but the policies are zero already, as recorded.
    let shown = match &zeroed {
        Some(new) => LoadedTable { policy: new.policy.clone(), ..loaded.clone() },
        None => loaded.clone(),
    };
    let mut out = match (&command.op, at, number) {
        (Op::List(..), None, _) => list_table(&shown, command.format),
        (Op::List(..), Some(c), None) => list_chain(&shown, c, command.format),
        (Op::List(..), Some(c), Some(n)) => list_rule(&shown, c, n.n.saturating_sub(1), command.format),
        (_, chain, number) => list_rules(&shown, chain, number.map(|n| n.n), command.format),
    };
    if let Some(new) = zeroed {
        let chosen = loaded.rules.chains.iter().enumerate().filter(|(i, _)| at.is_none_or(|c| c == *i));
        for (_, c) in chosen.filter(|_| command.format.verbose && number.is_none()) {
            let _ = writeln!(out, "Zeroing chain `{}'", c.name);
        }
        store.replace(command.table, new);
    }
    Ok(out)
}

/// The table with the counters of its rules at zero, or those of one chain or rule. The policies' are lost with every
/// change.
fn zeroed(loaded: &LoadedTable, chain: Option<usize>, number: Option<&Number<'_>>) -> LoadedTable {
    let mut new = loaded.clone();
    let chosen = |i: usize| chain.is_none_or(|c| c == i);
    new.policy.fill(Counters::default());
    for chain in (0..new.rules.chains.len()).filter(|i| chosen(*i)) {
        for (n, state) in new.state.chain_mut(chain).iter_mut().enumerate() {
            if number.is_none_or(|x| x.n == n + 1) {
                state.counters = Counters::default();
            }
        }
    }
    new
}

/// `iptables -S`: policies and chains first, then the rules; with a number only that rule.
pub(in crate::iptables) fn list_rules(
    table: &LoadedTable,
    chain: Option<usize>,
    number: Option<usize>,
    format: Format,
) -> String {
    let set = &table.rules;
    let chosen = |i: usize| chain.is_none_or(|c| c == i);
    let mut out = String::new();
    let chains = || set.chains.iter().enumerate().filter(|(i, _)| chosen(*i));
    for (i, c) in chains().filter(|_| number.is_none()) {
        let _ = match c.base {
            Some((_, policy)) => write!(out, "-P {} {policy}", c.name),
            None => write!(out, "-N {}", c.name),
        };
        if format.verbose && c.base.is_some() {
            let n = table.policy.get(i).copied().unwrap_or_default();
            let _ = write!(out, " -c {} {}", n.packets, n.bytes);
        }
        out.push('\n');
    }
    for (i, c) in chains() {
        for (n, rule) in c.rules.iter().enumerate().filter(|(n, _)| number.is_none_or(|x| x == n + 1)) {
            if format.verbose {
                let counters = table.state.counters(i, n);
                out.push_str(&append(&c.name, &print_rule_counted(set, rule, counters)));
            } else {
                out.push_str(&append_line(set, &c.name, rule));
            }
        }
    }
    out
}
