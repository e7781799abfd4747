//! Courses: the list of exercises, an exercise beside the picture, progress, and the trainer's page.
//!
//! What is right is the engine's answer (`workshop::exercise`); here it is only shown. Progress lies in the browser's storage and goes nowhere.

mod agenda;
mod class;
mod exercise;
mod overview;
mod qr;
mod trainer;

pub use class::{Class, Place, follow, place};
pub use exercise::pane;

use crate::dom::View;
use crate::state::State;

/// The page of a place that is no lab.
pub fn page(state: State) -> View {
    match state.class.place.get() {
        Place::Lab => crate::dom::NONE,
        Place::Overview => overview::page(state),
        Place::Trainer => trainer::page(state),
    }
}
