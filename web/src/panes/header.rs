//! The bar at the top: lab, switches, link, theme, help.

use super::{space, unseen};
use crate::dom::{El, View, before_paint, el, part, text};
use crate::icons;
use crate::state::State;
use crate::theme;
use leptos::prelude::*;
use workshop::Switch;

/// The bar.
pub fn header(state: State) -> View {
    let shared = move || state.copied.get() == "link";
    let share = move || {
        crate::write_address(state);
        crate::copy(&crate::address());
        state.show_copied("link");
    };
    let share_text = text(move || if shared() { "Link copied" } else { "Link" }.to_owned());
    el("header")
        .class("bar")
        .add(icons::logo())
        .add(el("h1").class("brand").add("Netfilter Lab"))
        .add(labs(state))
        .add(space())
        .add(part(move || switches(state)))
        .add(
            button("Copy a link to this moment (y)")
                .click(share)
                .add(part(move || if shared() { icons::check() } else { icons::link() }))
                .add(el("span").class("wide").add(share_text)),
        )
        .add(
            button("Light or dark")
                .id("theme")
                .attr("aria-label", "Light or dark")
                .click(theme::toggle)
                .add(icons::sun_moon()),
        )
        .add(
            button("Keys (?)")
                .id("help-button")
                .attr("aria-label", "Keys and symbols")
                .click(move || state.help.set(true))
                .add(icons::help()),
        )
        .into()
}

fn button(title: &'static str) -> El {
    el("button").class("btn").attr("title", title)
}

/// The choice of labs.
fn labs(state: State) -> View {
    let all = workshop::labs();
    if all.len() < 2 {
        let name = text(move || state.loaded.with(|l| l.lab.name.to_owned()));
        return el("p").class("pill lab mono").add(name).into();
    }
    let mut select = el("select").on("change", move |e| {
        let link = crate::url::Link { lab: event_target_value(e), ..Default::default() };
        state.follow(&link);
    });
    for lab in &all {
        let name = lab.name;
        let option = el("option")
            .attr("value", name)
            .maybe("selected", "", move || state.loaded.with(|l| l.lab.name) == name)
            .add(lab.title);
        select = select.add(option);
    }
    el("label").class("pill lab").add(unseen("Lab")).add(select).into()
}

fn switches(state: State) -> View {
    let loaded = state.loaded.get();
    View::All(loaded.lab.switches.iter().map(|s| switch(state, s)).collect())
}

fn switch(state: State, s: &Switch) -> View {
    let name = s.name;
    let now = state.loaded.with(|l| l.run.setting.get(name).cloned()).unwrap_or_default();
    let on = s.positions.len() > 1 && s.positions.last().is_some_and(|(v, _)| *v == now);
    let other = s.positions.iter().find(|(v, _)| *v != now).map(|(v, _)| *v).unwrap_or_default();
    let hosts = s.hosts.join(", ");
    let command = s.command(&now).unwrap_or_default();
    let title = format!("{}: {hosts} # {}", s.title, s.command(other).unwrap_or_default());
    let flip = move || {
        let mut setting = state.loaded.with_untracked(|l| l.run.setting.clone());
        setting.insert(name.to_owned(), other.to_owned());
        state.apply(&setting);
        // The switch is drawn anew; the focus stays on it.
        before_paint(move || crate::focus_on(&format!("switch-{name}")));
    };
    let button = el("button")
        .class("switch")
        .attr("id", format!("switch-{name}"))
        .attr("role", "switch")
        .attr("aria-checked", if on { "true" } else { "false" })
        .attr("aria-describedby", format!("switch-{name}-is"))
        .attr("title", title)
        .click(flip)
        .add(el("span").class("switch-name").add(name))
        .add(el("span").class("knob").class_if("on", on));
    let is =
        el("code").class("switch-is").attr("id", format!("switch-{name}-is")).add(format!("# {command}"));
    View::All(vec![button.into(), is.into()])
}
