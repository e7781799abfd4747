//! The first visit: three hints, one at a time, each gone as soon as somebody does what it says. No more is told unasked.

use crate::dom::{NONE, View, effect, el, part};
use crate::embed;
use crate::state::State;
use crate::watched::Watched;
use leptos::prelude::*;
use std::rc::Rc;

/// Under which is kept what has been used, as a number: a bit for each hint.
const KEY: &str = "hints";

/// The hints in their order.
const HINTS: [&str; 3] = [
    "Press Play, or Space: the packet goes on from here.",
    "The arrow keys ← and → go one step. Each step says what looked at the packet, and what came of it.",
    "Now flip a switch at the top: the same packet, another fate.",
];

/// The same where one pane is shown at a time, and nothing has keys.
const TOUCHED: [&str; 3] = [
    "Press Play: the packet goes on from here.",
    "The arrows beside Play go one step. Journey says what looked at the packet, and what came of it.",
    "Now flip a switch at the top: the same packet, another fate.",
];

/// All hints have been used.
const ALL: u8 = 7;

fn kept() -> u8 {
    let storage = window().local_storage().ok().flatten();
    let text = storage.and_then(|s| s.get_item(KEY).ok().flatten());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The place of the hint that is to be shown.
fn next(used: u8) -> Option<usize> {
    (0..HINTS.len()).find(|at| used & (1 << at) == 0)
}

/// The hint that is due, for who is here for the first time.
pub fn line(state: State) -> View {
    if embed::is_on() || kept() & ALL == ALL {
        return NONE;
    }
    let used: &'static Watched<u8> = Box::leak(Box::new(Watched::new(kept())));
    let use_up = move |bits: u8| {
        let now = used.get_untracked();
        if now & bits == bits {
            return;
        }
        used.set(now | bits);
        if let Ok(Some(storage)) = window().local_storage() {
            let _ = storage.set_item(KEY, &(now | bits).to_string());
        }
    };
    effect(move || {
        if state.playing.get() {
            use_up(1);
        }
    });
    let mut last: Option<(usize, _)> = None;
    effect(move || {
        let (cursor, loaded) = (state.cursor.get(), state.loaded.get());
        if let Some((before, run)) = last.take() {
            if !Rc::ptr_eq(&run, &loaded) {
                if run.lab.name == loaded.lab.name {
                    use_up(4);
                }
            } else if before != cursor && !state.playing.get_untracked() {
                use_up(2);
            }
        }
        last = Some((cursor, loaded));
    });
    part(move || {
        let Some(at) = next(used.get()) else { return NONE };
        let hints = if state.narrow.get() { TOUCHED } else { HINTS };
        let count = format!("{} of {}", at + 1, HINTS.len());
        let dismiss = el("button").class("btn quiet").click(move || use_up(ALL)).add("Got it");
        el("p")
            .id("tour")
            .class("hint")
            .add(el("b").add(count))
            .add(el("span").add(hints.get(at).copied().unwrap_or_default()))
            .add(dismiss)
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn one_hint_follows_the_other() {
        assert_eq!(next(0), Some(0));
        assert_eq!(next(1), Some(1));
        assert_eq!(next(2), Some(0));
        assert_eq!(next(3), Some(2));
        assert_eq!(next(ALL), None);
    }
}
