//! A swipe is a step, where fingers have nothing else to do.

use crate::dom::on_window;
use crate::state::State;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, TouchEvent};

/// How far a finger goes, in pixels.
const FAR: i32 = 48;

/// Where swipes are steps. What scrolls sideways, and what is dragged, is not among it.
const HERE: &str = "#journey, .flow, .lanes, .outcome, #map";

/// A finger's place, if it is one finger and on something that has no use for it.
fn place(e: &Event) -> Option<(i32, i32)> {
    let touch = e.dyn_ref::<TouchEvent>()?;
    let target = e.target()?.dyn_into::<Element>().ok()?;
    let here = target.closest(HERE).ok().flatten().is_some();
    let taken = target.closest("input, select, textarea, .chips").ok().flatten().is_some();
    let (all, mine) = (touch.touches().length(), touch.changed_touches().get(0)?);
    (here && !taken && all <= 1 && !e.default_prevented()).then_some((mine.client_x(), mine.client_y()))
}

/// Listens for swipes.
pub fn follow(state: State) {
    let began: Rc<Cell<Option<(i32, i32)>>> = Rc::default();
    let start = Rc::clone(&began);
    on_window("touchstart", move |e| start.set(place(e)));
    on_window("touchend", move |e| {
        let (Some((x, y)), Some((to_x, to_y))) = (began.take(), place(e)) else { return };
        let (dx, dy) = (to_x - x, to_y - y);
        if dx.abs() >= FAR && dx.abs() > 2 * dy.abs() && !state.bench.shown.get_untracked() {
            // What is pulled to the left brings what comes next.
            state.step(dx < 0);
        }
    });
}
