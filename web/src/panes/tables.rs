//! The tabs at the bottom.

use super::capture::{capture, capture_tools};
use super::conntrack::conntrack;
use super::packet::{packet, packet_tools};
use super::rules::{rules, rules_tools};
use crate::dom::{click, part, value};
use crate::keys::{TABS, tab_key};
use crate::state::{State, Tab};
use kernel::NetnsId;
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

/// The tabs and the panel that is open.
pub fn tables(state: State) -> AnyView {
    // The box whose capture is shown; none for all.
    let only = RwSignal::new(None::<NetnsId>);
    let keys = move |e: KeyboardEvent| {
        let at = TABS.iter().position(|(t, _)| *t == state.tab.get_untracked()).unwrap_or(0);
        let Some((tab, name)) = tab_key(&e, at, TABS.len()).and_then(|to| TABS.get(to)) else { return };
        e.prevent_default();
        e.stop_propagation();
        state.tab.set(*tab);
        crate::focus_on(&format!("tab-{name}"));
    };
    let tabs: Vec<AnyView> = TABS
        .iter()
        .map(|(tab, name)| {
            let tab = *tab;
            let open = move || state.tab.get() == tab;
            view! {
                <button
                    id=format!("tab-{name}")
                    role="tab"
                    aria-selected=value(move || open().to_string())
                    aria-controls="tables-panel"
                    tabindex=value(move || if open() { "0" } else { "-1" }.to_owned())
                    on:click=click(move || state.tab.set(tab))
                >
                    {*name}
                </button>
            }
            .into_any()
        })
        .collect();
    let labelled = value(move || {
        let name = TABS.iter().find(|(t, _)| *t == state.tab.get()).map_or("", |(_, n)| *n);
        format!("tab-{name}")
    });
    view! {
        <div class="tabrow">
            <div class="tabs" role="tablist" aria-label="Tables" on:keydown=keys>{tabs}</div>
            {part(move || match state.tab.get() {
                Tab::Capture => capture_tools(state, only),
                Tab::Packet => packet_tools(state),
                Tab::Rules => rules_tools(state),
                Tab::Conntrack => ().into_any(),
            })}
        </div>
        <div class="panel" id="tables-panel" role="tabpanel" aria-labelledby=labelled tabindex="0">
            {part(move || match state.tab.get() {
                Tab::Capture => capture(state, only),
                Tab::Packet => packet(state),
                Tab::Rules => rules(state),
                Tab::Conntrack => conntrack(state, false),
            })}
        </div>
    }
    .into_any()
}
