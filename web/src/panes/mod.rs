//! The panes around the map.

mod capture;
mod detail;
mod filters;
pub mod fold;
mod header;
mod help;
mod journey;
mod lesson;
mod node;
mod packet;
mod sides;
mod sniff;
mod table;
mod tables;
mod terminal;
mod tracked;
pub mod virtual_list;
mod why;
mod why_not;

pub use header::{header, share, switches};
pub use help::help;
pub use journey::{journey, keep_in_sight, keep_on_phone};
pub use lesson::{judged, lesson, prose};
pub use sniff::Sniff;
pub use table::Tables;
pub use tables::tables;
pub use terminal::{cure, terminal};
pub use tracked::tracked;

pub use workshop::cure::prompted as prompt;

use crate::dom::{self, El, View, el, part};
use crate::icons;
use crate::state::State;

/// A heading of a pane's top row.
pub fn heading(tag: &'static str, id: &'static str, text: &'static str) -> El {
    el(tag).id(id).add(text)
}

/// What pushes everything after it to the right.
pub fn space() -> El {
    el("span").class("space")
}

/// Words for screen readers only.
pub fn unseen(text: &'static str) -> El {
    el("span").class("sr").add(text)
}

/// A button that copies what a real tool would print. Each has a name of its own.
pub fn copy_button(state: State, name: &'static str, text: impl Fn() -> String + 'static) -> View {
    let done = move || state.copied.get() == name;
    el("button")
        .class("btn quiet")
        .attr("title", "Copy as text")
        .click(move || {
            crate::copy(&text());
            state.show_copied(name);
        })
        .add(part(move || if done() { icons::check() } else { icons::copy() }))
        .add(el("span").add(dom::text(move || if done() { "Copied" } else { "Copy as text" }.to_owned())))
        .into()
}
