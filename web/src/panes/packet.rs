//! The fields of the chosen packet at the cursor.

use super::copy_button;
use crate::dom::part;
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
pub fn packet(state: State) -> AnyView {
    let body = part(move || match frames(state) {
        Some(f) => fields(&f).into_any(),
        None => view! { <p class="none">"No packet yet."</p> }.into_any(),
    });
    view! { <div class="layers">{body}</div> }.into_any()
}

/// What stands beside the tabs.
pub fn packet_tools(state: State) -> AnyView {
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
    view! {
        <div class="tools">
            <span>"Where a value has changed, the one before stands beside it."</span>
            <span class="space"></span>
            {copy_button(text)}
        </div>
    }
    .into_any()
}

fn fields(f: &Frames) -> AnyView {
    let layers: Vec<AnyView> = diff(f.before.as_deref(), &f.now)
        .into_iter()
        .map(|(name, fields)| {
            let rows: Vec<AnyView> = fields
                .into_iter()
                .map(|(field, was)| {
                    let changed = was.is_some();
                    let was = was.map(|w| view! { <del>{w}</del><span class="sr">" is now "</span> });
                    view! {
                        <div class:changed=changed>
                            <dt>{field.name}</dt>
                            <dd class="mono">{was}<span>{field.value}</span></dd>
                        </div>
                    }
                    .into_any()
                })
                .collect();
            view! { <section class="layer"><h3>{name}</h3><dl>{rows}</dl></section> }.into_any()
        })
        .collect();
    layers.into_any()
}
