//! Courses: the list of exercises, an exercise beside the picture, progress, and the trainer's page.
//!
//! What is right is the engine's answer (`workshop::exercise`); here it is only shown. Progress lies in the browser's storage and goes nowhere.

mod agenda;
mod answers;
mod beats;
mod class;
mod exercise;
mod notes;
mod overview;
mod qr;
mod shelf;
mod source;
mod trainer;

pub use beats::{full_screen, go as go_to_beat};
pub use class::{Class, Place, follow, place};
pub use exercise::pane;
pub use source::{open as open_source, read as read_file, wanted as source_wanted};

use crate::dom::{El, View, el};
use crate::panes::space;
use crate::state::State;

/// The head of a page: its title, and the ways to others.
fn head(title: &'static str, ways: Vec<El>) -> El {
    let title = el("h2").id("course-title").attr("tabindex", "-1").add(title);
    let head = el("div").class("course-head").add(title).add(space());
    ways.into_iter().fold(head, El::add)
}

/// A way to another page.
fn way_to(state: State, id: &'static str, words: &'static str, to: Place) -> El {
    let class = if to == Place::Lab { "btn" } else { "btn quiet" };
    el("button").class(class).id(id).click(move || place(state, to)).add(words)
}

/// The page of a place that is no lab.
pub fn page(state: State) -> View {
    match state.class.place.get() {
        Place::Lab => crate::dom::NONE,
        Place::Overview => overview::page(state),
        Place::Trainer => trainer::page(state),
        Place::Notes => notes::page(state),
    }
}
