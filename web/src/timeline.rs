//! The timeline: buttons, ticks, and the slider under them.

use crate::dom::{El, View, el, part, svg, text};
use crate::hookstrip::color;
use crate::icons;
use crate::panes::unseen;
use crate::playback;
use crate::state::State;
use crate::svg::{Rect, Svg};
use crate::topology::int;
use leptos::prelude::*;
use sim::view::{Area, Flow, Tone};

/// The speeds in quarters.
const SPEEDS: [(u32, &str); 4] = [(2, "0.5×"), (4, "1×"), (8, "2×"), (16, "4×")];

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
                .click(move || state.go_shown(count().saturating_sub(1)))
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
    let needle = el("span").class("needle").style("left", move || percent(state.position(), count()));
    let slider = el("input")
        .id("scrubber")
        .attr("type", "range")
        .attr("min", "0")
        .live("max", move || count().saturating_sub(1).to_string())
        .input(move || state.position().to_string())
        .attr("aria-label", "Step")
        .live("aria-valuetext", move || {
            let (at, n) = (state.position() + 1, count());
            format!("event {at} of {n}, {}", state.sentence())
        })
        .on("input", move |e| drag(state, &event_target_value(e)));
    let lanes = el("div").class("lanes").add(part(move || ticks(state))).add(needle);
    let position = text(move || format!("{} / {}", state.position() + 1, count()));
    el("div")
        .class("tl")
        .attr("role", "group")
        .attr("aria-label", "Timeline")
        .add(buttons)
        .add(el("label").class("speed").add(unseen("Speed")).add(speeds))
        .add(el("div").class("scrub").add(lanes).add(slider))
        .add(el("span").class("count mono").id("position").add(position))
        .into()
}

fn button(label: &'static str, title: &'static str) -> El {
    el("button").class("btn").attr("title", title).attr("aria-label", label)
}

fn drag(state: State, value: &str) {
    if let Ok(at) = value.parse() {
        state.go_shown(at);
    }
}

fn percent(at: usize, count: usize) -> String {
    let last = count.saturating_sub(1).max(1);
    let thousandths = at * 100_000 / last;
    format!("{}.{:03}%", thousandths / 1000, thousandths % 1000)
}

/// A tick for each step: packets of the asking side above, answers below, programs in the middle. A step is ten units
/// wide.
fn ticks(state: State) -> View {
    let loaded = state.loaded.get();
    let shown = state.shown.get();
    let last = int(shown.len().saturating_sub(1).max(1)) * 10;
    let mut s = Svg::default();
    for (at, i) in shown.iter().enumerate() {
        let Some(step) = loaded.story.steps.get(*i) else { continue };
        let flow = step.packet.and_then(|p| loaded.story.packet(p)).map(|p| p.flow);
        let y = match flow {
            Some(Flow::Request | Flow::Reset) => 2,
            Some(Flow::Reply) => 20,
            Some(Flow::Noise) | None => 11,
        };
        let x = int(at) * 10;
        let dropped = step.area == Area::Drop;
        if dropped && step.tone == Tone::Bad {
            s.path("tick cross", &format!("M{} {y}l8 10m0 -10l-8 10", x - 4));
            continue;
        }
        let class = match flow {
            Some(Flow::Reset) => "reset",
            _ if dropped => "plain",
            _ => color(step.area),
        };
        s.rect(&format!("tick {class}"), Rect { x: x - 4, y, w: 8, h: 10 }, 0);
    }
    svg("svg")
        .class("ticks")
        .attr("viewBox", format!("0 0 {last} 32"))
        .attr("preserveAspectRatio", "none")
        .attr("aria-hidden", "true")
        .html(s.done())
        .into()
}
