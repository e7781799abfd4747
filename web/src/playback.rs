//! Playing: the cursor moves by itself, one step after the other.

use crate::dom::effect;
use crate::state::State;
use gloo::timers::callback::Interval;

/// Time for one step at normal speed, in milliseconds.
const PACE: u32 = 640;

/// Time for one step.
fn pace(speed: u32) -> u32 {
    if crate::media("(prefers-reduced-motion: reduce)") { 1000 } else { PACE * 4 / speed.max(1) }
}

/// Keeps a timer while it plays. The end stops it.
pub fn run(state: State) {
    // It runs as long as it is kept.
    let mut timer = None;
    effect(move || {
        drop(timer.take());
        if !state.playing.get() {
            return;
        }
        let step = move || {
            if !state.advance() {
                state.playing.set(false);
                state.speak();
            }
        };
        timer = Some(Interval::new(pace(state.speed.get()), step));
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
