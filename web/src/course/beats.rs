//! Beats: the moments that the prose links to, one after the other. For who tells a story in front of others.

use crate::state::State;
use workshop::{Span, spans};

/// The steps that the prose of the lab leads to, in the order of the text.
fn steps(state: State) -> Vec<usize> {
    let loaded = state.loaded.get_untracked();
    let mut out = Vec::new();
    for beat in loaded.lab.beats_for(&loaded.run.setting) {
        for span in spans(&beat.text) {
            let Span::Link(_, key) = span else { continue };
            if let Some(event) = loaded.moment(key) {
                let step = loaded.story.step_at(event);
                if !out.contains(&step) {
                    out.push(step);
                }
            }
        }
    }
    out
}

/// To the next or previous beat. Who stands at none goes to the nearest one in that direction of time.
pub fn go(state: State, forward: bool) {
    let all = steps(state);
    let now = state.cursor.get_untracked();
    let to = match (all.iter().position(|s| *s == now), forward) {
        (Some(at), true) => all.get(at + 1),
        (Some(at), false) => at.checked_sub(1).and_then(|at| all.get(at)),
        (None, true) => all.iter().filter(|s| **s > now).min(),
        (None, false) => all.iter().filter(|s| **s < now).max(),
    };
    if let Some(step) = to {
        state.pinned.set(None);
        state.go(*step);
    }
}

/// Fills the screen, or ends that.
pub fn full_screen() {
    let document = leptos::prelude::document();
    if document.fullscreen_element().is_some() {
        document.exit_fullscreen();
    } else if let Some(root) = document.document_element() {
        // A browser that does not do it leaves all as it is.
        let _ = root.request_fullscreen();
    }
}
