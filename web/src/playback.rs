//! Playing: the cursor moves by itself, one step after the other.

use crate::state::State;
use leptos::prelude::*;
use std::time::Duration;

/// Time for one step at normal speed, in milliseconds.
const PACE: u32 = 640;

/// Time for one step.
fn pace(speed: u32) -> Duration {
    if crate::media("(prefers-reduced-motion: reduce)") {
        return Duration::from_secs(1);
    }
    Duration::from_millis(u64::from(PACE * 4 / speed.max(1)))
}

/// Keeps a timer while it plays. The end stops it.
pub fn run(state: State) {
    Effect::new(move |_| {
        if !state.playing.get() {
            return;
        }
        let timer = set_interval_with_handle(
            move || {
                if !state.advance() {
                    state.playing.set(false);
                    state.speak();
                }
            },
            pace(state.speed.get()),
        );
        if let Ok(timer) = timer {
            on_cleanup(move || timer.clear());
        }
    });
}

/// Play or pause; at the end it begins again at the start.
pub fn toggle(state: State) {
    if state.playing.get_untracked() {
        state.playing.set(false);
        state.speak();
        return;
    }
    let last = state.shown.with_untracked(|s| s.last().copied());
    if last.is_some_and(|last| state.cursor.get_untracked() >= last) {
        state.jump(state.loaded.with_untracked(|l| l.start()));
    }
    state.playing.set(true);
    // The first step at once: whoever presses Play sees that it plays.
    state.advance();
}
