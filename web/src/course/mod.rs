//! Courses: the list of exercises, an exercise beside the picture, progress, and the trainer's page.
//!
//! What is right is the engine's answer (`workshop::exercise`); here it is only shown. Progress lies in the browser's storage and goes nowhere.

mod agenda;
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

use crate::dom::View;
use crate::state::State;

/// The page of a place that is no lab.
pub fn page(state: State) -> View {
    match state.class.place.get() {
        Place::Lab => crate::dom::NONE,
        Place::Overview => overview::page(state),
        Place::Trainer => trainer::page(state),
        Place::Notes => notes::page(state),
    }
}
