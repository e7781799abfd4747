//! The switches, each with the command that it stands for.

use super::state::{ITERATIONS, set_switch};
use crate::dom::{El, NONE, View, before_paint, el, part};
use crate::state::State;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use workshop::load::{SWITCHES, Setting, Switch, Values};

/// The article's iterations: each sets all switches.
pub fn iterations(state: State) -> View {
    part(move || {
        let now = state.bench.iteration().map(|n| n.to_string()).unwrap_or_default();
        let switch = SWITCHES.iter().find(|s| s.name == PRESET);
        switch.map(|s| choice(state, s, (1..=ITERATIONS).map(|n| n.to_string()).collect(), &now)).into()
    })
}

/// The switch that sets all others.
const PRESET: &str = "iteration";

/// All other switches. A part of its own, so that figures which come in do not disturb somebody who types.
pub fn settings(state: State) -> View {
    part(move || {
        let setting = state.bench.setting.get();
        let all =
            SWITCHES.iter().filter(|s| s.name != PRESET).map(|s| switch(state, s, &setting).into()).collect();
        el("div").class("settings").add(View::All(all)).into()
    })
}

fn id(name: &str) -> String {
    format!("switch-{name}")
}

fn switch(state: State, s: &Switch, setting: &Setting) -> El {
    let now = setting.value(s.name).unwrap_or_default();
    let described = |el: El| el.attr("aria-describedby", format!("switch-{}-is", s.name));
    let control = match s.kind() {
        Values::Words(words) if words == ["on", "off"] => toggle(state, s, &now),
        Values::Words(words) => {
            described(choice(state, s, words.into_iter().map(str::to_owned).collect(), &now))
        }
        Values::Range(from, to) => {
            described(choice(state, s, (from..=to).map(|n| n.to_string()).collect(), &now))
        }
        Values::Number => number(state, s, &now),
    };
    // Without pods their switches decide nothing.
    let idle = !setting.kubernetes && !matches!(s.name, "kubernetes" | "seconds");
    let is = match (s.name, setting.command(s.name)) {
        ("pod.nf_conntrack_udp_timeout_stream", _) => "the same command".to_owned(),
        (_, Some((_, comment))) if comment.starts_with('#') => comment,
        (_, Some((place, command))) => format!("{place}# {command}"),
        (_, None) => String::new(),
    };
    let is = el("code").class("switch-is").attr("id", format!("switch-{}-is", s.name)).add(is);
    el("div").class("set").class_if("idle", idle).add(control).add(is)
}

/// Moves a switch; the focus stays on it.
fn put(state: State, name: &str, value: &str, focus: &str) {
    set_switch(state, name, value);
    let focus = focus.to_owned();
    before_paint(move || crate::focus_on(&focus));
}

fn name_of(s: &Switch) -> El {
    let what = el("span").class("quiet").add(s.title);
    el("span").class("set-name").add(el("code").add(s.name)).add(" ").add(what)
}

fn toggle(state: State, s: &Switch, now: &str) -> El {
    let (name, on, id) = (s.name, now == "on", id(s.name));
    let focus = id.clone();
    el("button")
        .class("set-row plain")
        .attr("id", id)
        .attr("role", "switch")
        .attr("aria-checked", if on { "true" } else { "false" })
        .attr("aria-describedby", format!("switch-{name}-is"))
        .click(move || put(state, name, if on { "off" } else { "on" }, &focus))
        .add(name_of(s))
        .add(el("span").class("knob").class_if("on", on))
}

fn choice(state: State, s: &Switch, values: Vec<String>, now: &str) -> El {
    let name = s.name;
    let mut group = el("div").class("switch choice");
    if values.len() == ITERATIONS as usize {
        group = group.class("many");
    }
    for value in values {
        let (id, chosen) = (format!("switch-{name}-{value}"), value == now);
        let (focus, to) = (id.clone(), value.clone());
        let radio = el("input")
            .attr("type", "radio")
            .attr("id", id)
            .attr("name", name)
            .checked(move || chosen)
            .on("change", move |_| put(state, name, &to, &focus));
        group = group.add(el("label").add(radio).add(el("span").add(value)));
    }
    el("div")
        .class("set-row")
        .attr("role", "radiogroup")
        .attr("aria-label", s.name)
        .add(name_of(s))
        .add(group)
}

fn number(state: State, s: &Switch, now: &str) -> El {
    let (name, shown, was) = (s.name, now.to_owned(), now.to_owned());
    let input = el("input")
        .class("number mono")
        .attr("id", id(name))
        .attr("type", "text")
        .attr("inputmode", "numeric")
        .attr("aria-describedby", format!("switch-{name}-is"))
        .input(move || shown.clone())
        .on("change", move |e| {
            let value = event_target_value(e).replace([',', ' '], "");
            set_switch(state, name, &value);
            // What was refused does not stay there as if it stood.
            let refused = state.error.with_untracked(Option::is_some);
            let input = e.target().and_then(|t| t.dyn_into::<web_sys::HtmlInputElement>().ok());
            if let Some(input) = input.filter(|_| refused) {
                input.set_value(&was);
            }
        });
    el("label").class("set-row").add(name_of(s)).add(input)
}

/// Why the pods would not run.
pub fn forbidden(state: State) -> View {
    part(move || {
        let Some(why) = state.bench.setting.with(Setting::forbidden) else { return NONE };
        el("p")
            .class("callout")
            .id("forbidden")
            .attr("role", "alert")
            .add(el("span").add(el("b").add("✕ No pod runs: ")).add(el("code").add(why)))
            .into()
    })
}
