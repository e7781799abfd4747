//! The rules of a box as iptables-save prints them; the rule that the cursor is at is marked.

use super::{copy_button, space};
use crate::dom::{NONE, View, el, part, text};
use crate::state::State;
use kernel::event::What;
use leptos::prelude::*;
use sim::view::{rule_hits, rule_lines};

/// The lines.
pub fn rules(state: State) -> View {
    el("div").class("rules mono").add(part(move || list(state))).into()
}

/// What stands beside the tabs.
pub fn rules_tools(state: State) -> View {
    let name = text(move || state.table_host_name() + "# iptables-save");
    let all = move || {
        untrack(|| {
            let loaded = state.loaded.get();
            let lines = loaded.world().host(state.table_host()).map(rule_lines).unwrap_or_default();
            lines.into_iter().map(|l| l.text + "\n").collect()
        })
    };
    let about = " the number in front: how often the rule has matched so far";
    el("div")
        .class("tools")
        .add(el("span").class("mono").add(name))
        .add(el("span").class("quiet").add(about))
        .add(space())
        .add(copy_button(state, "rules", all))
        .into()
}

fn list(state: State) -> View {
    let (loaded, host, now) = (state.loaded.get(), state.table_host(), state.now());
    let Some(ns) = loaded.world().host(host) else { return NONE };
    let hits = rule_hits(loaded.world(), host, now);
    let current = state.with_step(|d, s, _| match d.world().log().get(s.key).and_then(|e| e.what()) {
        Some(What::Rule(r)) if s.host == host => {
            // The end of a chain is shown at its declaration.
            Some((r.table, r.chain.clone(), r.rule().map_or(0, |_| r.n)))
        }
        _ => None,
    });
    let current = current.flatten();
    let lines = rule_lines(ns)
        .into_iter()
        .map(|l| {
            let at = l.at.map(|(chain, n)| (l.table, chain, n));
            let times = at.as_ref().and_then(|k| hits.get(k)).copied();
            let here = at.is_some() && at == current;
            let class = match (here, times, at.as_ref().map(|a| a.2)) {
                (true, ..) => "rule now",
                (_, Some(_), Some(1..)) => "rule hit",
                (_, _, None) => "rule decl",
                _ => "rule",
            };
            let count = times.map(|t| t.to_string()).unwrap_or_default();
            el("p").class(class).add(el("span").class("hits").add(count)).add(l.text).into()
        })
        .collect();
    View::All(lines)
}
