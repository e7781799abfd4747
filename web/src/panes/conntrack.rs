//! The conntrack table, as `conntrack -L` prints it at the cursor.

use super::{copy_button, space};
use crate::dom::{NONE, View, el, part, text};
use crate::state::State;
use leptos::prelude::*;
use sim::view::{CtEntry, conntrack_at, expectations_at};

fn entries(state: State) -> Vec<CtEntry> {
    let loaded = state.loaded.get();
    conntrack_at(loaded.world(), state.table_host(), state.now())
}

fn listing(state: State) -> String {
    let confirmed = untrack(|| entries(state)).into_iter().filter(|e| e.confirmed);
    confirmed.map(|e| e.line() + "\n").collect()
}

/// The table.
pub fn conntrack(state: State) -> View {
    let host = text(move || state.table_host_name() + "# conntrack -L");
    let lines = part(move || {
        let now = state.now();
        let list = entries(state);
        if list.is_empty() {
            return el("p").class("none").add("no entry").into();
        }
        View::All(list.iter().map(|e| line(state, e, e.event == now)).collect())
    });
    let expected = part(move || {
        let (loaded, now) = (state.loaded.get(), state.now());
        let list = expectations_at(loaded.world(), state.table_host(), now);
        if list.is_empty() {
            return NONE;
        }
        let head = el("h3").class("mono").add(state.table_host_name() + "# conntrack -L expect");
        let lines = list
            .into_iter()
            .map(|e| el("p").class("row mono expected").class_if("fresh", e.event == now).add(e.line).into());
        View::All(std::iter::once(head.into()).chain(lines).collect())
    });
    let head = el("div")
        .class("head")
        .add(el("h3").add(el("span").class("mono").add(host)))
        .add(space())
        .add(copy_button(state, "conntrack", move || listing(state)));
    let lines = el("div").attr("aria-live", "off").add(lines);
    el("div").class("ct").add(expected).add(head).add(lines).into()
}

/// An entry. A word that is clicked is chosen everywhere ([`crate::look::Look::word`]).
pub fn line(state: State, e: &CtEntry, fresh: bool) -> View {
    let mut p = el("p").class("row mono").class_if("fresh", fresh).class_if("pending", !e.confirmed);
    for w in &e.words {
        let text = w.text.clone();
        let value = text.split_once('=').map(|(_, v)| v.to_owned());
        let word = el(if w.nat { "b" } else { "span" }).add(text);
        // An address or a port.
        let word = match value {
            Some(v) => word.click(move || state.look.word.set(Some(v.clone()))),
            None => word,
        };
        p = p.add(word).add(" ");
    }
    if !e.confirmed {
        p = p.add(el("span").class("unconfirmed").add("unconfirmed: not in the table yet"));
    }
    p.into()
}
