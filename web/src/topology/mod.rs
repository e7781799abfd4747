//! The picture: the cluster as a map, one box as a packet flow, one hook with its rules; and the packet in each of them.

pub mod bench;
mod camera;
mod draw;
mod flow;
mod hookview;
mod index;
mod layout;
mod lost;
mod map;
mod outline;
mod path;
mod place;
mod scene;
mod sprites;
mod zoom;

pub use layout::int;
pub use zoom::{Level, Zoom, key, letter};

use crate::dom::{NONE, View, el, part, text};
use crate::hookstrip;
use crate::panes::space;
use crate::state::State;

/// The name of the box that is looked at.
pub fn host_name(state: State) -> String {
    let host = state.host();
    state.loaded.with(|l| l.world().host(host).map_or(String::new(), |h| h.name.clone()))
}

/// The picture at its level; beside the map, the packet flow of the box that is looked at.
pub fn picture(state: State) -> View {
    let body = part(move || match state.zoom.level.get() {
        Level::Cluster => map::map(state),
        Level::Node => flow::flow(state),
        Level::Hook => hookview::hook(state),
    });
    let section = el("section")
        .class("card mapcard")
        .id("map")
        .attr("tabindex", "-1")
        .attr("aria-labelledby", "map-title")
        .live("data-level", move || state.zoom.level.get().name().to_ascii_lowercase())
        .add(head(state))
        .add(el("div").class("map").add(body).add(outline::outline(state)));
    let beside = part(move || {
        if state.zoom.level.get() != Level::Cluster {
            return NONE;
        }
        el("section")
            .class("card flow")
            .attr("aria-labelledby", "flow-title")
            .add(flow_head(state))
            .add(hookstrip::strip(state))
            .into()
    });
    View::All(vec![section.into(), beside])
}

fn head(state: State) -> View {
    let clock = text(move || state.with_step(|_, s, _| sim::view::clock(s.at)).unwrap_or_default());
    let mut head = el("div")
        .class("head")
        .add(el("h2").id("map-title").class("sr").add("Picture"))
        .add(zoom::levels(state))
        .add(zoom::crumbs(state))
        .add(space());
    for (class, name) in [("line req", "request"), ("line rep", "reply"), ("line rst", "reset")] {
        head = head.add(el("span").class("key").add(el("i").class(class)).add(name));
    }
    head.add(ghost(state))
        .add(follow(state))
        .add(el("span").class("mono clock").add(clock))
        .add(zoom::camera_buttons(state))
        .into()
}

/// The way before the last change is shown until it is dismissed.
fn ghost(state: State) -> View {
    part(move || {
        let shown = state.before.with(Option::is_some) && !state.zoom.ghost_gone.get();
        if !shown || state.zoom.level.get() != Level::Cluster {
            return NONE;
        }
        el("button")
            .class("key ghostkey")
            .id("ghost")
            .attr("title", "The way before the last change: hide it")
            .click(move || state.zoom.ghost_gone.set(true))
            .add(el("i").class("line ghost"))
            .add("before ×")
            .into()
    })
}

fn follow(state: State) -> View {
    part(move || {
        if state.pinned.get().is_none() && state.zoom.hook.get().is_none() {
            return NONE;
        }
        let follow = move || {
            state.pinned.set(None);
            state.zoom.hook.set(None);
        };
        el("button").class("btn quiet").click(follow).add("Follow the packet").into()
    })
}

fn flow_head(state: State) -> View {
    let label = text(move || {
        let loaded = state.loaded.get();
        state.packet().and_then(|id| loaded.story.packet(id)).map(|p| p.label.clone()).unwrap_or_default()
    });
    let letters = "R raw  C conntrack  M mangle  N nat  F filter  S security";
    let host = el("b").add(text(move || host_name(state)));
    el("div")
        .class("head")
        .add(el("h2").id("flow-title").add(host).add(" packet flow"))
        .add(space())
        .add(el("span").class("quiet legend-line").add(letters))
        .add(el("span").class("chip static").add(label))
        .into()
}
