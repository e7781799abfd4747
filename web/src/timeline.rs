//! The timeline: buttons, ticks, and the slider under them.

use crate::dom::{click, part, text, value};
use crate::hookstrip::color;
use crate::icons;
use crate::playback;
use crate::state::State;
use crate::svg::{Rect, Svg};
use crate::topology::int;
use leptos::prelude::*;
use sim::view::{Area, Flow, Tone};

/// The speeds in quarters.
const SPEEDS: [(u32, &str); 4] = [(2, "0.5×"), (4, "1×"), (8, "2×"), (16, "4×")];

/// The timeline.
pub fn timeline(state: State) -> AnyView {
    let count = move || state.shown.with(|s| s.len());
    let play_label = text(move || if state.playing.get() { "Pause" } else { "Play" }.to_owned());
    let value_text = value(move || {
        let (at, n) = (state.position() + 1, count());
        format!("event {at} of {n}, {}", state.sentence())
    });
    let speeds: Vec<AnyView> = SPEEDS
        .into_iter()
        .map(|(value, text)| {
            view! { <option value=value.to_string() selected={value == 4}>{text}</option> }.into_any()
        })
        .collect();
    view! {
        <div class="tl" role="group" aria-label="Timeline">
            <div class="buttons">
                <button class="btn" title="First step (Home)" aria-label="First step" on:click=click(move || state.go_shown(0))>
                    {icons::first()}
                </button>
                <button class="btn" title="One step back (←)" aria-label="One step back" on:click=click(move || state.step(false))>
                    {icons::back()}
                </button>
                <button
                    id="play"
                    class="btn primary"
                    title="Play or pause (Space)"
                    on:click=click(move || playback::toggle(state))
                >
                    {part(move || if state.playing.get() { icons::pause() } else { icons::play() })}
                    <span>{play_label}</span>
                </button>
                <button class="btn" title="One step forward (→)" aria-label="One step forward" on:click=click(move || state.step(true))>
                    {icons::forward()}
                </button>
                <button class="btn" title="Last step (End)" aria-label="Last step" on:click=click(move || state.go_shown(count().saturating_sub(1)))>
                    {icons::last()}
                </button>
            </div>
            <label class="speed">
                <span class="sr">"Speed"</span>
                <select on:change=move |e| state.speed.set(event_target_value(&e).parse().unwrap_or(4))>
                    {speeds}
                </select>
            </label>
            <div class="scrub">
                <div class="lanes">
                    {part(move || ticks(state))}
                    <span class="needle" style:left=value(move || percent(state.position(), count()))></span>
                </div>
                <input
                    id="scrubber"
                    type="range"
                    min="0"
                    max=value(move || count().saturating_sub(1).to_string())
                    prop:value=value(move || state.position().to_string())
                    aria-label="Step"
                    aria-valuetext=value_text
                    on:input=move |e| drag(state, &event_target_value(&e))
                />
            </div>
            <span class="count mono" id="position">
                {text(move || format!("{} / {}", state.position() + 1, count()))}
            </span>
        </div>
    }
    .into_any()
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
fn ticks(state: State) -> AnyView {
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
    let view_box = format!("0 0 {last} 32");
    view! {
        <svg class="ticks" viewBox=view_box preserveAspectRatio="none" aria-hidden="true" inner_html=s.done()></svg>
    }
    .into_any()
}
