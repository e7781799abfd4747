//! What captures have seen up to the cursor.

use super::{copy_button, space};
use crate::dom::{View, el, part};
use crate::state::State;
use crate::topology_kind as kind;
use kernel::NetnsId;
use leptos::prelude::*;
use sim::view::{CaptureLine, Flow};

fn wanted(state: State, l: &CaptureLine) -> bool {
    (state.noise.get() || !l.noise) && state.captured.get().is_none_or(|h| h == l.host)
}

/// The lines.
pub fn capture(state: State) -> View {
    let rows = part(move || {
        let loaded = state.loaded.get();
        let lines = loaded.story.capture.iter().filter(|l| wanted(state, l));
        View::All(lines.map(|l| row(state, l)).collect())
    });
    el("ol").class("cap mono").add(rows).into()
}

/// What stands beside the tabs: which boxes, and a copy.
pub fn capture_tools(state: State) -> View {
    let text = move || {
        untrack(|| {
            let now = state.now();
            let loaded = state.loaded.get();
            let lines = loaded.story.capture.iter().filter(|l| l.event <= now && wanted(state, l));
            lines.map(|l| l.line() + "\n").collect()
        })
    };
    let options = part(move || {
        let loaded = state.loaded.get();
        let hosts =
            loaded.world().hosts().iter().filter(|h| loaded.story.capture.iter().any(|l| l.host == h.id));
        let option =
            |h: &kernel::Netns| el("option").attr("value", h.id.0.to_string()).add(h.name.clone()).into();
        View::All(hosts.map(option).collect())
    });
    let choose = el("select")
        .on("change", move |e| state.captured.set(event_target_value(e).parse().ok().map(NetnsId)))
        .add(el("option").attr("value", "").add("all boxes"))
        .add(options);
    el("div")
        .class("tools")
        .add(el("label").add(el("span").class("mono").add("tcpdump -i any -nn -e")).add(" on ").add(choose))
        .add(space())
        .add(copy_button(state, "capture", text))
        .into()
}

fn row(state: State, l: &CaptureLine) -> View {
    let event = l.event;
    let step = state.loaded.with_untracked(|d| d.story.step_at(event));
    let (host, flow) = state.loaded.with_untracked(|d| {
        let host = d.world().host(l.host).map_or(String::new(), |h| h.name.clone());
        (host, d.story.packet(l.packet).map_or(Flow::Noise, |p| p.flow))
    });
    let button =
        el("button").click(move || state.go(step)).add(el("span").class("box").add(host)).add(l.line());
    el("li")
        .class(kind(flow))
        .flag("now", move || state.cursor.get() == step)
        .flag("later", move || state.cursor.get() < step)
        .add(button)
        .into()
}
