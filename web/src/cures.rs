//! The search for changes that would reach the goals: the lab is run with each, one run at a time, whenever the browser has nothing
//! else to do. So the page never waits for longer than one run takes, and a flip of a switch ends the search.

use crate::load::{Cure, Loaded};
use crate::state::State;
use leptos::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use std::vec::IntoIter;

/// Begins a search for the run that is shown.
pub fn find(state: State) {
    state.cures.set(Vec::new());
    let loaded = state.loaded.get_untracked();
    let trials = Rc::new(RefCell::new(loaded.trials().into_iter()));
    next(state, loaded, trials);
}

/// Tries the next one, later.
fn next(state: State, loaded: Rc<Loaded>, trials: Rc<RefCell<IntoIter<Cure>>>) {
    request_idle_callback(move || {
        // Of another run another search looks for cures.
        if !Rc::ptr_eq(&loaded, &state.loaded.get_untracked()) {
            return;
        }
        let trial = trials.borrow_mut().next();
        let Some(cure) = trial else { return };
        if loaded.helps(&cure) {
            let mut found = state.cures.get_untracked();
            found.push(cure);
            state.cures.set(found);
        }
        next(state, Rc::clone(&loaded), Rc::clone(&trials));
    });
}
