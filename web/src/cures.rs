//! The search for changes that would reach the goals: the lab is run with each, one run at a time, whenever the browser has nothing
//! else to do. So the page never waits for longer than one run takes, and an edit ends the search.

use crate::load::Loaded;
use crate::state::State;
use leptos::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use workshop::cure::{Cure, Progress, Search, Wanted};
use workshop::exercise::moves_of;

/// More are not looked for.
const ENOUGH: usize = 4;

/// Begins a search for the run that is shown.
pub fn find(state: State) {
    state.cures.set(Vec::new());
    let loaded = state.loaded.get_untracked();
    next(state, loaded, Rc::new(RefCell::new(None)));
}

/// Whether a change solves the exercise, if it is one: by what is allowed, and with what was to stay as it is.
fn fits(state: State, cure: &Cure) -> bool {
    let Some(e) = &cure.session.lab.exercise else { return true };
    let Some(start) = state.class.start.get_untracked() else { return false };
    // `lab` is no program that a learner has.
    if cure.commands.iter().any(|c| c.line.starts_with("lab ")) {
        return false;
    }
    let moves = moves_of(&cure.session);
    cure.session.run().is_ok_and(|run| e.verdict(&start.run, &run, &moves).solved)
}

/// Tries the next change, later.
fn next(state: State, loaded: Rc<Loaded>, search: Rc<RefCell<Option<Search>>>) {
    request_idle_callback(move || {
        // Of another run another search looks for cures.
        if !Rc::ptr_eq(&loaded, &state.loaded.get_untracked()) {
            return;
        }
        if search.borrow().is_none() {
            let Some(new) = Search::new(&loaded.session, &loaded.run, Wanted::Goals) else { return };
            *search.borrow_mut() = Some(new);
        } else {
            match search.borrow_mut().as_mut().map_or(Progress::Done, Search::step) {
                Progress::Done => return,
                Progress::Tried => {}
                Progress::Found(cure) if !fits(state, &cure) => {}
                Progress::Found(cure) => {
                    let mut found = state.cures.get_untracked();
                    found.push(*cure);
                    let enough = found.len() >= ENOUGH;
                    state.cures.set(found);
                    if enough {
                        return;
                    }
                }
            }
        }
        next(state, Rc::clone(&loaded), Rc::clone(&search));
    });
}
