//! The conntrack row of the packet at the cursor, pinned under the journey.

use super::{copy_button, space};
use crate::dom::{View, el, part};
use crate::state::State;
use leptos::prelude::*;
use sim::view::{CtEntry, Tracked, conntrack_at, expectations_at, tracked_at};

/// What conntrack says of the packet, and the box it says so in.
fn now(state: State) -> (Option<Tracked>, Vec<CtEntry>, kernel::NetnsId) {
    let loaded = state.loaded.get();
    let (host, until) = (state.host(), state.now());
    let said = state.packet().and_then(|id| tracked_at(loaded.world(), id, host, until));
    let host = said.map_or_else(|| state.table_host(), |t| t.host);
    (said, conntrack_at(loaded.world(), host, until), host)
}

/// The pinned row.
pub fn tracked(state: State) -> View {
    let body = part(move || body(state));
    el("div").class("ct pinned").attr("role", "group").attr("aria-label", "Conntrack").add(body).into()
}

fn body(state: State) -> View {
    let (said, list, host) = now(state);
    let loaded = state.loaded.get();
    let name = loaded.world().host(host).map_or(String::new(), |h| h.name.clone());
    let mine = said.and_then(|t| list.iter().find(|e| Some(e.conn) == t.conn));
    let mut head = el("div").class("head").add(el("h3").add(name).add(" conntrack"));
    if let Some(t) = said {
        head = head.add(el("span").class("ctstate").add(t.state.to_string()));
        if let Some(dir) = t.dir {
            head = head.add(el("span").class("quiet").add(format!("{} direction", dir.name())));
        }
    }
    if let Some(e) = mine {
        head = head.add(el("span").class("quiet left").add(format!("{} s left", e.timeout)));
    }
    let copy = copy_button(state, "pinned", move || {
        let (_, list, _) = untrack(|| now(state));
        list.into_iter().filter(|e| e.confirmed).map(|e| e.line() + "\n").collect()
    });
    head = head.add(space()).add(copy);
    let until = state.now();
    let expected = expectations_at(loaded.world(), host, until)
        .into_iter()
        .map(|e| el("p").class("row mono expected").class_if("fresh", e.event == until).add(e.line).into());
    let mut out: Vec<View> = vec![head.into()];
    match mine {
        Some(e) => out.push(line(state, e, e.event == until)),
        None if list.is_empty() => out.push(el("p").class("none").add("no entry").into()),
        None if said.is_some() => {
            out.push(el("p").class("none").add("This packet has no entry now.").into());
        }
        None => {}
    }
    out.extend(expected);
    let others: Vec<View> = list
        .iter()
        .filter(|e| mine.is_none_or(|m| m.conn != e.conn))
        .map(|e| line(state, e, e.event == until))
        .collect();
    if !others.is_empty() {
        let count = others.len();
        let word = if count == 1 { "entry" } else { "entries" };
        if mine.is_some() {
            out.push(el("p").class("others quiet").add(format!("{count} more {word}")).into());
        }
        out.extend(others);
    }
    View::All(out)
}

/// An entry. A word that is clicked is chosen everywhere ([`crate::look::Look::word`]).
fn line(state: State, e: &CtEntry, fresh: bool) -> View {
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
