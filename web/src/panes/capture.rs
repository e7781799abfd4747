//! What captures have seen up to the cursor.

use super::copy_button;
use crate::dom::{click, flag, parts};
use crate::state::State;
use crate::topology_kind as kind;
use kernel::NetnsId;
use leptos::prelude::*;
use sim::view::{CaptureLine, Flow};

/// The box whose capture is shown; `None` for all.
type Only = RwSignal<Option<NetnsId>>;

fn wanted(state: State, only: Only, l: &CaptureLine) -> bool {
    (state.noise.get() || !l.noise) && only.get().is_none_or(|h| h == l.host)
}

/// The lines.
pub fn capture(state: State, only: Only) -> AnyView {
    let rows = parts(move || {
        let loaded = state.loaded.get();
        let lines = loaded.story.capture.iter().filter(|l| wanted(state, only, l));
        lines.map(|l| row(state, l)).collect()
    });
    view! { <ol class="cap mono">{rows}</ol> }.into_any()
}

/// What stands beside the tabs: which boxes, and a copy.
pub fn capture_tools(state: State, only: Only) -> AnyView {
    let text = move || {
        untrack(|| {
            let now = state.now();
            let loaded = state.loaded.get();
            let lines = loaded.story.capture.iter().filter(|l| l.event <= now && wanted(state, only, l));
            lines.map(|l| l.line() + "\n").collect()
        })
    };
    let options = parts(move || {
        let loaded = state.loaded.get();
        let hosts =
            loaded.world().hosts().iter().filter(|h| loaded.story.capture.iter().any(|l| l.host == h.id));
        hosts
            .map(|h| view! { <option value=h.id.0.to_string()>{h.name.clone()}</option> }.into_any())
            .collect()
    });
    let choose = move |e| only.set(event_target_value(&e).parse().ok().map(NetnsId));
    view! {
        <div class="tools">
            <label>
                <span class="mono">"tcpdump -i any -nn -e"</span>
                " on "
                <select on:change=choose>
                    <option value="">"all boxes"</option>
                    {options}
                </select>
            </label>
            <span class="space"></span>
            {copy_button(text)}
        </div>
    }
    .into_any()
}

fn row(state: State, l: &CaptureLine) -> AnyView {
    let event = l.event;
    let step = state.loaded.with_untracked(|d| d.story.step_at(event));
    let (host, flow) = state.loaded.with_untracked(|d| {
        let host = d.world().host(l.host).map_or(String::new(), |h| h.name.clone());
        (host, d.story.packet(l.packet).map_or(Flow::Noise, |p| p.flow))
    });
    let now = move || state.cursor.get() == step;
    view! {
        <li class=kind(flow) class:now=flag(now) class:later=flag(move || state.cursor.get() < step)>
            <button on:click=click(move || state.go(step))>
                <span class="box">{host}</span>
                {l.line()}
            </button>
        </li>
    }
    .into_any()
}
