//! The search for changes that would reach the goals, or let a packet through: the lab is run with each, whenever the browser has nothing else to do,
//! one run at a time and for some milliseconds each time. An edit ends the search.

use crate::dom::{NONE, View, el, part};
use crate::load::Loaded;
use crate::panes::cure;
use crate::slices;
use crate::state::State;
use gloo::timers::callback::Timeout;
use kernel::PacketId;
use leptos::prelude::*;
use parts::{Parts, pause};
use std::cell::RefCell;
use std::rc::Rc;
use workshop::cure::{Cure, Progress, Search, Wanted};
use workshop::exercise::moves_of;

/// More are not looked for.
const ENOUGH: usize = 4;
/// For a packet, more are not looked for.
const ENOUGH_FOR_PACKET: usize = 2;
/// For a packet, more are not tried.
const TRIES: usize = 160;
/// Who only comes by a packet's end does not ask, in milliseconds.
const LINGER: u32 = 400;

/// What is known of changes that would let a packet through.
#[derive(Clone, Default)]
pub struct Rescue {
    /// The packet that is asked for.
    packet: Option<PacketId>,
    /// Those that do.
    found: Vec<Cure>,
    /// How many were tried.
    tried: usize,
    /// The search has ended.
    done: bool,
}

/// Begins a search for the run that is shown.
pub fn find(state: State) {
    state.cures.set(Vec::new());
    state.rescue.set(Rescue::default());
    let loaded = state.loaded.get_untracked();
    idle(state, &loaded, Parts::new(look_for_goals(state, Rc::clone(&loaded))));
}

/// Goes on with a search whenever the browser is idle, as long as its run is shown.
fn idle(state: State, loaded: &Rc<Loaded>, search: Parts<()>) {
    let (loaded, search) = (Rc::clone(loaded), RefCell::new(Some(search)));
    request_idle_callback(move || {
        let Some(mut search) = search.take() else { return };
        if !Rc::ptr_eq(&loaded, &state.loaded.get_untracked()) {
            return;
        }
        // A run that somebody waits for comes first.
        if slices::is_going() || slices::for_a_while(&mut search).is_none() {
            idle(state, &loaded, search);
        }
    });
}

/// Whether what was found may be shown without being asked for: in an exercise it is the last hint.
pub fn may_tell(state: State) -> bool {
    state.loaded.with(|l| {
        let e = l.lab.exercise.as_ref();
        e.is_none_or(|e| state.class.hints.get() > e.hints.len() || state.class.revealed.get())
    })
}

/// Whether a change solves the exercise, if it is one: by what is allowed, and with what was to stay as it is.
async fn fits(state: State, cure: &Cure) -> bool {
    let Some(e) = &cure.session.lab.exercise else { return true };
    let Some(start) = state.class.start.get_untracked() else { return false };
    // `lab` is no program that a learner has.
    if cure.commands.iter().any(|c| c.line.starts_with("lab ")) {
        return false;
    }
    let run = cure.session.run_in_parts(|_, _| ()).await;
    run.is_ok_and(|run| e.verdict(&start.run, &run, &moves_of(&cure.session)).solved)
}

async fn look_for_goals(state: State, loaded: Rc<Loaded>) {
    let search = |wanted| Search::new(&loaded.session, &loaded.run, wanted);
    let typed = || loaded.failed_command().map(Wanted::Exchange).and_then(search);
    let Some(mut search) = search(Wanted::Goals).or_else(typed) else { return };
    loop {
        pause().await;
        let cure = match search.step_in_parts().await {
            Progress::Done => return,
            Progress::Tried => continue,
            Progress::Found(cure) => cure,
        };
        if !fits(state, &cure).await {
            continue;
        }
        let mut found = state.cures.get_untracked();
        found.push(*cure);
        let enough = found.len() >= ENOUGH;
        state.cures.set(found);
        if enough {
            return;
        }
    }
}

// ---------------------------------------------------------------------- for one packet

/// What would let this packet through, at whose end somebody stands: looked for as long as they stay there.
pub fn rescue(state: State, packet: PacketId) -> View {
    if !may_tell(state) {
        return NONE;
    }
    let linger = Timeout::new(LINGER, move || {
        if state.rescue.with_untracked(|r| r.packet == Some(packet)) || state.playing.get_untracked() {
            return;
        }
        let loaded = state.loaded.get_untracked();
        let Some(search) = Search::new(&loaded.session, &loaded.run, Wanted::Packet(packet)) else { return };
        state.rescue.set(Rescue { packet: Some(packet), ..Rescue::default() });
        idle(state, &loaded, Parts::new(look_for_packet(state, packet, search)));
    });
    crate::dom::keep(linger);
    part(move || {
        let r = state.rescue.get();
        if r.packet != Some(packet) {
            return NONE;
        }
        let says = match (r.found.is_empty(), r.done) {
            (true, false) => format!("Looking for a change that lets it through: {} tried.", r.tried),
            (true, true) => format!("None of {} changes lets it through.", r.tried),
            (false, _) => "The smallest change that lets it through:".to_owned(),
        };
        let list: Vec<View> = r.found.into_iter().map(|c| cure(state, c)).collect();
        el("div").class("try rescue").add(el("p").add(says)).add(list).into()
    })
}

async fn look_for_packet(state: State, packet: PacketId, search: Search) {
    let mut search = search;
    loop {
        pause().await;
        let here = untrack(|| state.with_step(|_, s, _| s.packet)).flatten();
        if here != Some(packet) {
            // Whoever comes back asks again.
            return state.rescue.set(Rescue::default());
        }
        let step = search.step_in_parts().await;
        let mut now = state.rescue.get_untracked();
        match step {
            Progress::Done => now.done = true,
            Progress::Tried => {}
            Progress::Found(cure) => now.found.push(*cure),
        }
        now.tried = search.progress().0;
        now.done |= now.found.len() >= ENOUGH_FOR_PACKET || now.tried >= TRIES;
        let done = now.done;
        state.rescue.set(now);
        if done {
            return;
        }
    }
}
