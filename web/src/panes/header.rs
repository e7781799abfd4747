//! The bar at the top: lab, switches, link, theme, help.

use super::prompt;
use super::{space, unseen};
use crate::dom::{El, NONE, View, before_paint, el, part, text};
use crate::icons;
use crate::state::State;
use crate::theme;
use crate::url::{LONG, TOO_LONG};
use leptos::prelude::*;
use workshop::{Session, Switch};

/// Copies a link to what is shown, and says so.
pub fn share(state: State) {
    crate::write_address(state);
    let address = crate::address();
    if state.notice.with_untracked(|n| n.as_deref() == Some(TOO_LONG)) {
        return;
    }
    if address.len() > LONG {
        let n = address.len();
        let text =
            format!("This link has {n} characters: mail and chat may break it. Save makes a file of it.");
        state.notice.set(Some(text));
    }
    crate::copy(&address);
    state.show_copied("link");
}

/// The bar.
pub fn header(state: State) -> View {
    let shared = move || state.copied.get() == "link";
    let share_text = text(move || if shared() { "Link copied" } else { "Link" }.to_owned());
    el("header")
        .class("bar")
        .add(icons::logo())
        .add(el("h1").class("brand").add("Netfilter Lab"))
        .add(labs(state))
        .add(part(move || tools(state)))
        .add(part(move || switches(state)))
        .add(space())
        .add(
            button("Exercises, from the first hook to broken clusters")
                .id("courses-button")
                .click(move || crate::course::place(state, crate::course::Place::Overview))
                .add("Courses"),
        )
        .add(
            button("Copy a link to this moment (y)")
                .click(move || share(state))
                .add(part(move || if shared() { icons::check() } else { icons::link() }))
                .add(el("span").class("wide").add(share_text)),
        )
        .add(theme::control())
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

/// The lab that is on the page.
fn lab_name(state: State) -> String {
    if state.bench.shown.get() {
        return workshop::load::NAME.to_owned();
    }
    state.loaded.with(|l| l.lab.name.clone())
}

/// The choice of labs.
fn labs(state: State) -> View {
    let mut select = el("select").on("change", move |e| {
        let link = crate::url::Link { lab: event_target_value(e), ..Default::default() };
        state.follow(&link);
    });
    let load = (workshop::load::NAME.to_owned(), workshop::load::TITLE.to_owned());
    let steps = workshop::lab_titles().map(|(name, title)| (name.to_owned(), title.to_owned()));
    for (name, title) in steps.chain([load]) {
        let value = name.clone();
        let option = el("option")
            .attr("value", value)
            .maybe("selected", "", move || lab_name(state) == name)
            .add(title);
        select = select.add(option);
    }
    // An exercise, or a lab of one's own, is none of the list.
    let strange = move || {
        let name = lab_name(state);
        let known = workshop::lab_titles().any(|(n, _)| n == name) || name == workshop::load::NAME;
        (!known).then(|| (name, state.loaded.with(|l| l.lab.title.clone())))
    };
    let other = part(move || match strange() {
        None => NONE,
        Some((name, title)) => el("option").attr("value", name).attr("selected", "").add(title).into(),
    });
    let select = select.add(other).input(move || lab_name(state));
    el("label").class("pill lab").add(unseen("Lab")).add(select).into()
}

/// What a person does with a lab, where there is one.
fn tools(state: State) -> View {
    if state.bench.shown.get() || state.class.place.get() != crate::course::Place::Lab {
        return NONE;
    }
    crate::workbench::row(state)
}

/// The lab's switches, each with the command that it stands for.
pub fn switches(state: State) -> View {
    // The load lab has them beside its figures.
    if state.bench.shown.get() || state.class.place.get() != crate::course::Place::Lab {
        return NONE;
    }
    let loaded = state.loaded.get();
    let all = loaded.lab.switches.iter().map(|s| switch(state, s)).collect();
    el("div").class("switches").add(View::All(all)).into()
}

fn switch(state: State, s: &Switch) -> View {
    let now = state.loaded.with(|l| l.run.setting.get(&s.name).cloned()).unwrap_or_default();
    let values: Vec<String> = s.values().map(str::to_owned).collect();
    let control =
        if values == ["off", "on"] { toggle(state, s, &now) } else { choice(state, s, values, &now) };
    let command = s.command(&now).unwrap_or_default();
    let title = format!("{}\n{}", s.title, prompt(&s.hosts, &command));
    let command = format!("{} {command}", if s.hosts.is_empty() { '$' } else { '#' });
    let is = el("code").class("switch-is").attr("id", format!("switch-{}-is", s.name)).add(command);
    el("div").class("sw").attr("title", title).add(control).add(is).into()
}

/// Moves a switch; the focus goes to what stands in its place then.
fn set(state: State, name: &str, value: &str, focus: &str) {
    let focus = focus.to_owned();
    let change = |session: &mut Session| drop(session.changes.insert(name.to_owned(), value.to_owned()));
    state.edit_then(change, move || before_paint(move || crate::focus_on(&focus)));
}

/// A switch that is off or on.
fn toggle(state: State, s: &Switch, now: &str) -> El {
    let (name, on) = (s.name.clone(), now == "on");
    let id = format!("switch-{name}");
    let focus = id.clone();
    el("button")
        .class("switch")
        .attr("id", id)
        .attr("role", "switch")
        .attr("aria-checked", if on { "true" } else { "false" })
        .attr("aria-describedby", format!("switch-{name}-is"))
        .click(move || set(state, &name, if on { "off" } else { "on" }, &focus))
        .add(el("span").class("switch-name").add(s.name.clone()))
        .add(el("span").class("knob").class_if("on", on))
}

/// A switch with positions that have names.
fn choice(state: State, s: &Switch, values: Vec<String>, now: &str) -> El {
    let name = s.name.clone();
    let whole = format!("switch-{name}-positions");
    let mut group = el("div")
        .class("switch choice")
        .attr("id", whole.clone())
        .attr("tabindex", "-1")
        .attr("role", "radiogroup")
        .attr("aria-label", name.clone())
        .attr("aria-describedby", format!("switch-{name}-is"))
        .add(el("span").class("switch-name").add(name.clone()));
    for value in values {
        let (id, chosen) = (format!("switch-{name}-{value}"), value == now);
        let (focus, of, to) = (id.clone(), name.clone(), value.clone());
        let whole = whole.clone();
        // Who came by keys goes on among the positions; behind a click the arrow keys are the timeline's.
        let change = move |_: &web_sys::Event| {
            let keys = document().query_selector("input:focus-visible").is_ok_and(|e| e.is_some());
            set(state, &of, &to, if keys { &focus } else { &whole });
        };
        let radio = el("input")
            .attr("type", "radio")
            .attr("id", id)
            .attr("name", name.clone())
            .checked(move || chosen)
            .on("change", change);
        group = group.add(el("label").add(radio).add(el("span").add(value)));
    }
    group
}
