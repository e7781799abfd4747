//! The timeline: buttons, lanes, and the slider under them.

use crate::dom::{El, NONE, View, el, part, text};
use crate::icons;
use crate::lanes;
use crate::look::Grain;
use crate::panes::unseen;
use crate::playback;
use crate::state::State;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlInputElement;

/// The speeds in quarters.
const SPEEDS: [(u32, &str); 4] = [(2, "0.5×"), (4, "1×"), (8, "2×"), (16, "4×")];

/// How far a step goes.
const GRAINS: [(Grain, &str, &str); 3] = [
    (Grain::Event, "event", "by event"),
    (Grain::Hook, "hook", "by hook"),
    (Grain::Device, "device", "by device"),
];

/// The letters of tables: class, letter, name.
pub const TABLES: [(&str, &str, &str); 6] = [
    ("raw", "R", "raw"),
    ("ct", "C", "conntrack"),
    ("mangle", "M", "mangle"),
    ("nat", "N", "nat"),
    ("filter", "F", "filter"),
    ("security", "S", "security"),
];

/// What the other ticks mean.
const LEGEND: [(&str, &str, &str); 4] = [
    ("ipvs", "V", "IPVS"),
    ("bridge", "B", "bridge"),
    ("plain", "W", "device, routing"),
    ("app", "A", "program"),
];

/// The timeline.
pub fn timeline(state: State) -> View {
    let count = move || state.shown.with(|s| s.len());
    let play_label = text(move || if state.playing.get() { "Pause" } else { "Play" }.to_owned());
    let play = el("button")
        .id("play")
        .class("btn primary")
        .attr("title", "Play or pause (Space)")
        .click(move || playback::toggle(state))
        .add(part(move || if state.playing.get() { icons::pause() } else { icons::play() }))
        .add(el("span").add(play_label));
    let buttons = el("div")
        .class("buttons")
        .add(button("First step", "First step (Home)").click(move || state.go_shown(0)).add(icons::first()))
        .add(button("One step back", "One step back (←)").click(move || state.step(false)).add(icons::back()))
        .add(play)
        .add(
            button("One step forward", "One step forward (→)")
                .click(move || state.step(true))
                .add(icons::forward()),
        )
        .add(
            button("Last step", "Last step (End)")
                .click(move || state.go_shown(state.shown.with_untracked(|s| s.len()).saturating_sub(1)))
                .add(icons::last()),
        );
    let mut speeds =
        el("select").on("change", move |e| state.speed.set(event_target_value(e).parse().unwrap_or(4)));
    for (value, text) in SPEEDS {
        let mut option = el("option").attr("value", value.to_string());
        if value == 4 {
            option = option.attr("selected", "");
        }
        speeds = speeds.add(option.add(text));
    }
    let mut grains = el("select").id("grain").on("change", move |e| {
        let value = event_target_value(e);
        if let Some((grain, ..)) = GRAINS.into_iter().find(|(_, v, _)| *v == value) {
            state.look.grain.set(grain);
        }
    });
    for (_, value, text) in GRAINS {
        grains = grains.add(el("option").attr("value", value).add(text));
    }
    let position = text(move || format!("{} / {}", state.position() + 1, count()));
    el("div")
        .class("tl")
        .attr("role", "group")
        .attr("aria-label", "Timeline")
        .add(buttons)
        .add(el("label").class("speed").add(unseen("A step goes")).add(grains))
        .add(el("label").class("speed").add(unseen("Speed")).add(speeds))
        .add(scrubber(state))
        .add(part(move || zoom(state)))
        .add(el("span").class("count mono").id("position").add(position))
        .add(legend())
        .into()
}

/// Lanes, needle and slider. The slider goes over what the lanes show.
fn scrubber(state: State) -> El {
    let count = move || state.shown.with(|s| s.len());
    let window = move || lanes::window(state);
    let needle = el("span").class("needle").style("left", move || lanes::percent(state.position(), window()));
    let slider = el("input")
        .id("scrubber")
        .attr("type", "range")
        .watch(move |slider| {
            // A value outside its bounds would be pulled to them: they are set first.
            let (from, to) = window();
            let slider = slider.unchecked_ref::<HtmlInputElement>();
            slider.set_min(&from.to_string());
            slider.set_max(&to.saturating_sub(1).to_string());
            slider.set_value(&state.position().to_string());
        })
        .attr("aria-label", "Step")
        .live("aria-valuetext", move || {
            let (at, n) = (state.position() + 1, count());
            format!("event {at} of {n}, {}", state.sentence())
        })
        .on("input", move |e| drag(state, &event_target_value(e)));
    let drawn = el("div").class("lanes").add(part(move || lanes::lanes(state))).add(needle);
    el("div").class("scrub").add(part(move || lanes::exchanges(state))).add(drawn).add(slider)
}

/// For a long run: all of it, or what is done at the cursor.
fn zoom(state: State) -> View {
    if !lanes::is_long(state) {
        return NONE;
    }
    el("button")
        .id("zoom")
        .class("btn quiet")
        .live("aria-pressed", move || state.look.zoomed.get().to_string())
        .attr("title", "Show only what is done at the cursor")
        .click(move || state.look.zoomed.set(!state.look.zoomed.get_untracked()))
        .add(icons::zoom())
        .add(
            el("span")
                .add(text(move || if state.look.zoomed.get() { "Exchange" } else { "Whole run" }.to_owned())),
        )
        .into()
}

/// What is drawn, in words.
fn legend() -> El {
    let mut list = el("ul").class("legend");
    for (class, letter, name) in TABLES.into_iter().chain(LEGEND) {
        list = list.add(el("li").add(el("span").class("tag").class(class).add(letter)).add(name));
    }
    let bar = |class: &str| el("span").class("bar-of").class(class);
    list = list
        .add(el("li").add(bar("req")).add("request"))
        .add(el("li").add(bar("rep")).add("reply"))
        .add(el("li").add(bar("rst")).add("reset"))
        .add(el("li").add(el("span").class("no").add(icons::cross())).add("a packet ends here"));
    el("details").class("tl-legend").add(el("summary").add("Legend")).add(list)
}

fn button(label: &'static str, title: &'static str) -> El {
    el("button").class("btn").attr("title", title).attr("aria-label", label)
}

fn drag(state: State, value: &str) {
    if let Ok(at) = value.parse() {
        state.go_shown(at);
    }
}
