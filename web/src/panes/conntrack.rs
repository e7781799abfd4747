//! The conntrack table, as `conntrack -L` prints it at the cursor.

use super::copy_button;
use crate::dom::{part, text};
use crate::state::State;
use leptos::prelude::*;
use sim::view::{CtEntry, conntrack_at};

fn entries(state: State) -> Vec<CtEntry> {
    let loaded = state.loaded.get();
    conntrack_at(loaded.world(), state.table_host(), state.now())
}

fn listing(state: State) -> String {
    let confirmed = untrack(|| entries(state)).into_iter().filter(|e| e.confirmed);
    confirmed.map(|e| e.line() + "\n").collect()
}

/// The table; `pinned` is the short form under the journey.
pub fn conntrack(state: State, pinned: bool) -> AnyView {
    let host = text(move || {
        let id = state.table_host();
        let name = state.loaded.with(|l| l.world().host(id).map_or(String::new(), |h| h.name.clone()));
        format!("{name}# conntrack -L")
    });
    let lines = part(move || {
        let now = state.now();
        let list = entries(state);
        if list.is_empty() {
            return view! { <p class="none">"no entry"</p> }.into_any();
        }
        list.iter().map(|e| line(e, e.event == now)).collect::<Vec<_>>().into_any()
    });
    view! {
        <div class="ct" class:pinned=pinned>
            <div class="head">
                <h3><span class="mono">{host}</span></h3>
                <span class="space"></span>
                {copy_button(move || listing(state))}
            </div>
            <div aria-live="off">{lines}</div>
        </div>
    }
    .into_any()
}

fn line(e: &CtEntry, fresh: bool) -> AnyView {
    let words: Vec<AnyView> = e
        .words
        .iter()
        .map(|w| match w.nat {
            true => view! { <b>{w.text.clone()}</b>" " }.into_any(),
            false => view! { {w.text.clone()}" " }.into_any(),
        })
        .collect();
    let mark = (!e.confirmed)
        .then(|| view! { <span class="unconfirmed">"unconfirmed: not in the table yet"</span> });
    view! { <p class="row mono" class:fresh=fresh class:pending=!e.confirmed>{words}{mark}</p> }.into_any()
}
