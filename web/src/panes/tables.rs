//! The tabs at the bottom.

use super::capture::{capture, capture_tools};
use super::fold;
use super::node;
use super::packet::{packet, packet_tools};
use super::space;
use super::table::{table, table_tools};
use crate::dom::{El, NONE, View, el, part, text};
use crate::keys::{TABS, tab_key};
use crate::state::{State, Tab};
use wasm_bindgen::JsCast;
use web_sys::Event;

/// The tabs and the panel that is open.
pub fn tables(state: State) -> View {
    fold::follow_tab(state);
    let mut tabs = el("div")
        .class("tabs")
        .attr("role", "tablist")
        .attr("aria-label", "Tables")
        .on("keydown", move |e| keys(state, e));
    for (tab, name) in TABS {
        let open = move || state.tab.get() == tab;
        let button = el("button")
            .attr("id", format!("tab-{name}"))
            .attr("role", "tab")
            .live("aria-selected", move || open().to_string())
            .attr("aria-controls", "tables-panel")
            .live("tabindex", move || if open() { "0" } else { "-1" }.to_owned())
            .click(move || {
                state.fold.unfold();
                state.tab.set(tab);
            })
            .add(name)
            .add((tab == Tab::Changes).then(|| changes_badge(state)));
        tabs = tabs.add(button);
    }
    let tools = part(move || match state.tab.get() {
        _ if !fold::unfolded(state) => space().into(),
        Tab::Capture => capture_tools(state),
        Tab::Packet => packet_tools(state),
        tab @ (Tab::Rules | Tab::Conntrack | Tab::Sets | Tab::Ipvs | Tab::Network | Tab::Node) => {
            table_tools(state, tab)
        }
        Tab::Changes => node::diff_tools(state),
    });
    let open = part(move || match state.tab.get() {
        _ if !fold::unfolded(state) => NONE,
        Tab::Capture => capture(state),
        Tab::Packet => packet(state),
        tab @ (Tab::Rules | Tab::Conntrack | Tab::Sets | Tab::Ipvs | Tab::Network | Tab::Node) => {
            table(state, tab)
        }
        Tab::Changes => node::diff(state),
    });
    let panel = el("div")
        .class("panel")
        .id("tables-panel")
        .attr("role", "tabpanel")
        .live("aria-labelledby", move || {
            let name = TABS.iter().find(|(t, _)| *t == state.tab.get()).map_or("", |(_, n)| *n);
            format!("tab-{name}")
        })
        .attr("tabindex", "0")
        .add(open);
    View::All(vec![
        el("div")
            .class("tabrow")
            .add(el("h2").class("sr").add("Tables"))
            .add(tabs)
            .add(tools)
            .add(fold::button(state))
            .into(),
        panel.into(),
    ])
}

/// How many lines the last switch has changed.
fn changes_badge(state: State) -> El {
    let count = text(move || match node::change_count(state) {
        0 => String::new(),
        n => n.to_string(),
    });
    el("span").class("count-badge").add(count)
}

fn keys(state: State, e: &Event) {
    let at = TABS.iter().position(|(t, _)| *t == state.tab.get_untracked()).unwrap_or(0);
    let to = tab_key(e.unchecked_ref(), at, TABS.len());
    let Some((tab, name)) = to.and_then(|to| TABS.get(to)) else { return };
    e.prevent_default();
    e.stop_propagation();
    state.tab.set(*tab);
    crate::focus_on(&format!("tab-{name}"));
}
