//! Messages that help: what a word could have meant.

use super::draft::Draft;
use super::family::has_target;
use super::rule::Scope;
use super::text::Opt;
use super::{matches, targets};
use crate::args::Token;
use crate::diagnostic::{Fault, ToolError, q};
use kernel::netfilter::xtables::ChainId;
use packet::Family;

/// A target that is neither known nor a chain.
pub(super) fn no_such_target(name: &str, goto: bool, scope: &Scope<'_>) -> Fault {
    let says = match goto {
        true => format!("goto '{name}' is not a chain"),
        false => format!("Couldn't load target `{name}':No such file or directory\n"),
    };
    if let Some(line) = (scope.declared_later)(name) {
        let help = format!("expected the declaration before its first use; it stands in line {line}");
        return Fault::new(format!("chain {} does not exist yet", q(name)), help).usage(says);
    }
    let chains = chain_names(scope.draft);
    if goto {
        return Fault::new(format!("-g {name}: no such chain"), format!("expected {chains}")).usage(says);
    }
    let all: Vec<&str> =
        targets::KNOWN.iter().copied().filter(|n| has_target(scope.draft.family, n)).collect();
    let known = all.join(", ");
    let help = match all.iter().find(|k| k.eq_ignore_ascii_case(name)) {
        Some(k) => format!("expected {k} (targets are written in capitals)"),
        None => format!("expected one of {known}, or {chains}"),
    };
    Fault::new(format!("unknown target or chain {}", q(name)), help).usage(says)
}

/// The user-defined chains, the first few of them.
fn chain_names(draft: &Draft) -> String {
    const SHOWN: usize = 6;
    let user =
        |name: &&str| draft.find(name).and_then(|id| draft.chain(id)).is_some_and(|c| c.base.is_none());
    let mut names = draft.names().filter(user);
    let first: Vec<&str> = names.by_ref().take(SHOWN).collect();
    match (first.is_empty(), names.count()) {
        (true, _) => "a user-defined chain, of which there are none".to_owned(),
        (false, 0) => format!("one of the chains {}", first.join(", ")),
        (false, n) => format!("one of the chains {}, ... ({n} more)", first.join(", ")),
    }
}

/// Which extension has an option of that name, for a hint.
pub(super) fn owner_hint(family: Family, option: &str) -> Option<String> {
    let has = |opts: &[Opt]| opts.iter().any(|o| o.names.contains(&option));
    let named = |names: &[&str], options: &dyn Fn(&str) -> bool| -> Vec<String> {
        names.iter().filter(|n| options(n)).map(|n| (*n).to_owned()).collect()
    };
    let of_match =
        named(matches::KNOWN, &|n| matches::new(family, n).is_some_and(|m| has(matches::options(&m))));
    if of_match.iter().any(|m| ["tcp", "udp", "icmp", "icmp6"].contains(&m.as_str())) {
        let protos: Vec<String> =
            of_match.iter().map(|m| format!("-p {}", m.replace("icmp6", "icmpv6"))).collect();
        return Some(format!("expected {} before it", protos.join(" or ")));
    }
    if let Some(m) = of_match.first() {
        return Some(format!("expected -m {m} before it"));
    }
    let of_target =
        named(targets::KNOWN, &|n| targets::new(family, n).is_some_and(|t| has(targets::options(&t))));
    (!of_target.is_empty()).then(|| {
        let jumps: Vec<String> = of_target.iter().map(|t| format!("-j {t}")).collect();
        format!("expected {} before it", jumps.join(" or "))
    })
}

/// A missing or misplaced value, said better than "`-j` is no port".
pub(super) fn misplaced(option: &str, value: &Token<'_>, expected: &str, fault: Fault) -> Fault {
    let better = match value.text.as_ref() {
        "!" => Fault::new(
            format!("\"!\" behind {option}"),
            format!("expected ! before the option: ! {option} {expected}"),
        ),
        text if value.is_option() && !value.quoted => Fault::new(
            format!("{option} is missing its value"),
            format!("expected {expected} after {option}, found {}", q(text)),
        ),
        _ => return fault,
    };
    better.says_as(fault)
}

/// The chain that a message is about, or its absence.
pub(super) fn chain_of(draft: &Draft, at: &Token<'_>) -> Result<ChainId, Fault> {
    draft.find(&at.text).ok_or_else(|| {
        let built_in: Vec<&str> = draft.table.hooks().iter().map(|h| h.chain()).collect();
        let lower = at.text.to_ascii_uppercase();
        let help = match built_in.iter().find(|b| **b == lower) {
            Some(b) => format!("expected {b} (built-in chains are written in capitals)"),
            None => format!("expected one of {}, or {}", built_in.join(", "), chain_names(draft)),
        };
        Fault::new(format!("table {} has no chain {}", draft.table, q(&at.text)), help)
            .says(ToolError::NO_CHAIN)
    })
}
