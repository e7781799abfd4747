//! The panes around the map.

mod capture;
mod conntrack;
mod header;
mod help;
mod journey;
mod lesson;
mod packet;
mod rules;
mod tables;
mod terminal;
mod why;

pub use conntrack::conntrack;
pub use header::header;
pub use help::help;
pub use journey::{journey, keep_in_sight};
pub use lesson::lesson;
pub use tables::tables;
pub use terminal::terminal;

use crate::dom::{self, El, View, el, part};
use crate::icons;
use gloo::timers::callback::Timeout;
use leptos::prelude::*;

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

/// Turns on, and off again when everybody has seen it.
fn for_a_moment(on: RwSignal<bool>) {
    on.set(true);
    // The page may be gone by then.
    let off = move || {
        let _ = on.try_set(false);
    };
    Timeout::new(1600, off).forget();
}

/// A button that copies what a real tool would print.
fn copy_button(text: impl Fn() -> String + 'static) -> View {
    let done = RwSignal::new(false);
    el("button")
        .class("btn quiet")
        .attr("title", "Copy as text")
        .click(move || {
            crate::copy(&text());
            for_a_moment(done);
        })
        .add(part(move || if done.get() { icons::check() } else { icons::copy() }))
        .add(el("span").add(dom::text(move || if done.get() { "Copied" } else { "Copy as text" }.to_owned())))
        .into()
}
