//! The fields of the chosen packet at the cursor.

use super::{copy_button, space, unseen};
use crate::dom::{View, el, part};
use crate::state::State;
use leptos::prelude::*;
use packet::Frame;
use sim::view::{diff, frame_at, frame_before};
use std::rc::Rc;

struct Frames {
    now: Rc<Frame>,
    before: Option<Rc<Frame>>,
}

fn frames(state: State) -> Option<Frames> {
    let (loaded, id) = (state.loaded.get(), state.packet()?);
    let now = frame_at(loaded.world(), id, state.now())?;
    Some(Frames { now, before: frame_before(loaded.world(), id, state.now()) })
}

/// The fields, layer by layer; what the last change has touched stands out.
pub fn packet(state: State) -> View {
    let body = part(move || match frames(state) {
        Some(f) => fields(&f),
        None => el("p").class("none").add("No packet yet.").into(),
    });
    el("div").class("layers").add(body).into()
}

/// What stands beside the tabs.
pub fn packet_tools(state: State) -> View {
    let text = move || {
        let Some(f) = untrack(|| frames(state)) else { return String::new() };
        let mut out = String::new();
        for (layer, fields) in diff(f.before.as_deref(), &f.now) {
            for (field, was) in fields {
                let was = was.map(|w| format!(" (was {w})")).unwrap_or_default();
                out.push_str(&format!("{layer} {}: {}{was}\n", field.name, field.value));
            }
        }
        out
    };
    el("div")
        .class("tools")
        .add(el("span").add("Where a value has changed, the one before stands beside it."))
        .add(space())
        .add(copy_button(state, "packet", text))
        .into()
}

fn fields(f: &Frames) -> View {
    let mut layers = Vec::new();
    for (name, fields) in diff(f.before.as_deref(), &f.now) {
        let mut rows = el("dl");
        for (field, was) in fields {
            let changed = was.is_some();
            let mut value = el("dd").class("mono");
            if let Some(was) = was {
                value = value.add(el("del").add(was)).add(unseen(" is now "));
            }
            value = value.add(el("span").add(field.value));
            let row = el("div").class_if("changed", changed).add(el("dt").add(field.name)).add(value);
            rows = rows.add(row);
        }
        layers.push(el("section").class("layer").add(el("h3").add(name)).add(rows).into());
    }
    layers.into()
}
