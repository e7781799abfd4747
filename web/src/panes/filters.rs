//! Which steps of the journey are shown.

use crate::dom::{El, NONE, View, el, text};
use crate::icons;
use crate::look::set_filter;
use crate::state::State;
use kernel::NetnsId;
use kernel::netfilter::hook::InetHook;
use leptos::prelude::*;
use sim::view::{Area, Filter, Only};

/// Opens the filters; says when one is on.
pub fn button(state: State) -> El {
    let label = text(move || {
        if state.look.filter.get().is_off() {
            return "Filter".to_owned();
        }
        let shown = state.shown.with(|s| s.len());
        format!("Filter: {shown} steps")
    });
    el("button")
        .id("filters-open")
        .class("btn quiet")
        .flag("on", move || !state.look.filter.get().is_off())
        .live("aria-expanded", move || state.look.filters.get().to_string())
        .click(move || state.look.filters.set(!state.look.filters.get_untracked()))
        .add(icons::filter())
        .add(el("span").add(label))
}

/// The filters.
pub fn filters(state: State) -> View {
    if !state.look.filters.get() {
        return NONE;
    }
    let loaded = state.loaded.get();
    let steps = &loaded.story.steps;
    let mut hosts: Vec<(String, String)> = Vec::new();
    for ns in loaded.world().hosts() {
        if steps.iter().any(|s| s.host == ns.id) {
            hosts.push((ns.id.0.to_string(), ns.name.clone()));
        }
    }
    let hooks = InetHook::ALL
        .iter()
        .map(|h| h.chain())
        .filter(|name| steps.iter().any(|s| s.hook().is_some_and(|h| h.chain() == *name)));
    let hooks = hooks.map(|h| (h.to_owned(), h.to_owned())).collect();
    let mut areas: Vec<(String, String)> = Vec::new();
    for s in steps {
        let pair = (s.area.name().to_owned(), s.area.name().to_owned());
        if !areas.contains(&pair) {
            areas.push(pair);
        }
    }
    let only = [("all", "all steps"), ("changes", "only changes"), ("verdicts", "only verdicts")];
    let only = only.into_iter().map(|(v, t)| (v.to_owned(), t.to_owned())).collect();
    let now = state.look.filter.get();
    let set = move |f: Filter| set_filter(state, f);
    let host = select("filter-box", "Box", Some("every box"), hosts, now.host.map(|h| h.0.to_string()));
    let host = host.on("change", move |e| {
        let host = event_target_value(e).parse().ok().map(NetnsId);
        set(Filter { host, ..state.look.filter.get_untracked() });
    });
    let hook =
        select("filter-hook", "Hook", Some("every hook"), hooks, now.hook.map(|h| h.chain().to_owned()));
    let hook = hook.on("change", move |e| {
        let name = event_target_value(e);
        let hook = InetHook::ALL.into_iter().find(|h| h.chain() == name);
        set(Filter { hook, ..state.look.filter.get_untracked() });
    });
    let area =
        select("filter-table", "Table", Some("every table"), areas, now.area.map(|a| a.name().to_owned()));
    let area = area.on("change", move |e| {
        let name = event_target_value(e);
        let all = state.loaded.get_untracked();
        let area: Option<Area> = all.story.steps.iter().map(|s| s.area).find(|a| a.name() == name);
        set(Filter { area, ..state.look.filter.get_untracked() });
    });
    let chosen = match now.only {
        Only::All => "all",
        Only::Changes => "changes",
        Only::Verdicts => "verdicts",
    };
    let kind = select("filter-only", "Steps", None, only, Some(chosen.to_owned())).on("change", move |e| {
        let only = match event_target_value(e).as_str() {
            "changes" => Only::Changes,
            "verdicts" => Only::Verdicts,
            _ => Only::All,
        };
        set(Filter { only, ..state.look.filter.get_untracked() });
    });
    let clear = el("button")
        .id("filter-clear")
        .class("btn quiet")
        .maybe("disabled", "", move || state.look.filter.get().is_off())
        .click(move || set(Filter::default()))
        .add("Clear");
    let group = el("div").class("filters").attr("role", "group").attr("aria-label", "Filter");
    group.add(host).add(hook).add(area).add(kind).add(clear).into()
}

fn select(
    id: &'static str,
    label: &'static str,
    all: Option<&'static str>,
    options: Vec<(String, String)>,
    now: Option<String>,
) -> El {
    let mut select = el("select").id(id).attr("aria-label", label);
    if let Some(all) = all {
        select = select.add(el("option").attr("value", "").add(all));
    }
    for (value, text) in options {
        let mut option = el("option").attr("value", value.clone());
        if now.as_ref() == Some(&value) {
            option = option.attr("selected", "");
        }
        select = select.add(option.add(text));
    }
    let now = now.unwrap_or_default();
    select.input(move || now.clone())
}
