//! What the capture tab works with: the captures of the chosen devices, the filter, and what passes it.

use super::virtual_list::Place;
use crate::dom::effect;
use crate::load::Loaded;
use crate::state::State;
use crate::watched::Watched;
use kernel::{DevId, NetnsId};
use leptos::prelude::*;
use sim::view::{Captures, Taken};
use std::cell::RefCell;
use std::rc::Rc;
use userland::Diagnostic;
use userland::tcpdump::Filter;
use userland::wireshark::{DisplayFilter, Field, Flows, Follower, Packet, dissect, learn};

/// The signals of the tab.
pub struct Sniff {
    /// The text in the filter box.
    pub filter: Watched<String>,
    /// The device of the chosen box; `None` for all.
    pub device: Watched<Option<DevId>>,
    /// The bytes that are lit: where they begin and end.
    pub lit: Watched<(usize, usize)>,
    /// The chosen frame, by its place.
    pub chosen: Watched<Option<usize>>,
    /// Where the list is.
    pub place: Rc<Place>,
    /// The lines that are listed, as far as has been captured.
    pub listed: Watched<Rc<[(u32, u32)]>>,
    read: RefCell<Option<Rc<Reading>>>,
}

impl Default for Sniff {
    fn default() -> Sniff {
        Sniff {
            filter: Watched::new(String::new()),
            device: Watched::new(None),
            lit: Watched::new((0, 0)),
            chosen: Watched::new(None),
            place: Rc::default(),
            listed: Watched::new(Rc::from([])),
            read: RefCell::new(None),
        }
    }
}

/// What a filter box says.
pub enum Asked {
    /// Nothing.
    All,
    /// A display filter.
    Display(DisplayFilter),
    /// What tcpdump takes.
    Tcpdump(Filter),
    /// Neither.
    Wrong(Diagnostic),
}

impl Asked {
    /// Reads a filter: as a display filter, and if it is none as one of tcpdump.
    pub fn read(text: &str) -> Asked {
        if text.trim().is_empty() {
            return Asked::All;
        }
        match DisplayFilter::parse(text) {
            Ok(filter) => Asked::Display(filter),
            Err(wrong) => Filter::parse(text).map_or(Asked::Wrong(wrong), Asked::Tcpdump),
        }
    }
}

/// The captures of the chosen devices, read once.
pub struct Reading {
    loaded: Rc<Loaded>,
    pick: (Option<NetnsId>, Option<DevId>),
    text: String,
    /// What was captured.
    pub captures: Captures,
    /// What has been learned of streams, as far as somebody has looked: most never look at the end of a long run.
    learned: RefCell<(Follower, Vec<Flows>)>,
    /// What the filter box says.
    pub asked: Asked,
    /// Which frames pass, by their places.
    pub passed: Vec<usize>,
}

impl Reading {
    fn new(loaded: Rc<Loaded>, pick: (Option<NetnsId>, Option<DevId>), text: String) -> Reading {
        let world = loaded.world();
        let captures = Captures::new(world, |host, dev| {
            pick.0.is_none_or(|h| h == host) && pick.1.is_none_or(|d| d == dev)
        });
        let asked = Asked::read(&text);
        let (learned, passed) = (RefCell::default(), Vec::new());
        let mut out = Reading { pick, text, captures, learned, asked, passed, loaded: Rc::clone(&loaded) };
        for (i, taken) in out.captures.taken.iter().enumerate() {
            let passes = match &out.asked {
                Asked::All | Asked::Wrong(_) => true,
                Asked::Display(filter) => {
                    out.fields(i).is_some_and(|(bytes, fields)| filter.matches(&bytes, &fields))
                }
                Asked::Tcpdump(filter) => {
                    let frame =
                        world.log().get(taken.event).and_then(|e| e.what()).and_then(sim::view::tapped);
                    frame.is_some_and(|f| filter.matches(f))
                }
            };
            if passes {
                out.passed.push(i);
            }
        }
        out
    }

    fn packet<'a>(&'a self, i: usize, taken: &'a Taken, bytes: &'a [u8]) -> Packet<'a> {
        self.captures.packet(i, taken, bytes)
    }

    /// A frame's bytes and fields.
    pub fn fields(&self, i: usize) -> Option<(Vec<u8>, Vec<Field>)> {
        let taken = self.captures.taken.get(i)?;
        let bytes = self.captures.bytes(self.loaded.world(), taken);
        let fields = match self.learn_to(i) {
            Some(fields) => fields,
            None => dissect(&self.packet(i, taken, &bytes), self.learned.borrow().1.get(i)?),
        };
        Some((bytes, fields))
    }

    /// Learns what the frames up to this one tell of their streams; its fields, if it had not been learned from before.
    fn learn_to(&self, i: usize) -> Option<Vec<Field>> {
        let mut learned = self.learned.borrow_mut();
        let (follower, flows) = &mut *learned;
        let mut last = None;
        for (n, taken) in self.captures.taken.iter().enumerate().take(i + 1).skip(flows.len()) {
            let bytes = self.captures.bytes(self.loaded.world(), taken);
            let (fields, flow) = learn(follower, &self.packet(n, taken, &bytes));
            flows.push(flow);
            last = Some(fields);
        }
        last
    }

    /// The same of the capture before it that saw the same packet, on whatever device.
    pub fn fields_before(&self, i: usize) -> Option<(Vec<u8>, Vec<Field>)> {
        let packet = self.captures.taken.get(i)?.packet;
        let before = self.captures.taken.get(..i)?.iter().rposition(|t| t.packet == packet)?;
        self.fields(before)
    }
}

/// The captures of the chosen devices under the filter; read anew when one of these changes.
pub fn reading(state: State) -> Rc<Reading> {
    let (loaded, text) = (state.loaded.get(), state.sniff.filter.get());
    let host = state.captured.get();
    let pick = (host, state.sniff.device.get().filter(|_| host.is_some()));
    let mut kept = state.sniff.read.borrow_mut();
    match &*kept {
        Some(r) if Rc::ptr_eq(&r.loaded, &loaded) && r.pick == pick && r.text == text => Rc::clone(r),
        _ => {
            let new = Rc::new(Reading::new(loaded, pick, text));
            *kept = Some(Rc::clone(&new));
            new
        }
    }
}

/// The chosen frame: of those that pass the last one at or before the cursor, of the cursor's packet if there is one.
fn chosen(state: State) -> Option<usize> {
    let (reading, now, packet) = (reading(state), state.now(), state.packet());
    let taken = |i: &&usize| reading.captures.taken.get(**i);
    let seen = || reading.passed.iter().filter(|i| taken(i).is_some_and(|t| t.event <= now));
    let of_packet = seen().rfind(|i| taken(i).is_some_and(|t| Some(t.packet) == packet));
    of_packet.or_else(|| seen().next_back()).copied()
}

/// Keeps [`Sniff::chosen`] up to date.
pub fn follow(state: State) {
    effect(move || {
        let now = chosen(state);
        if state.sniff.chosen.get_untracked() != now {
            state.sniff.chosen.set(now);
        }
    });
}

/// To the next or previous frame that passes; false if there is none.
pub fn move_in_list(state: State, forward: bool) -> bool {
    let (reading, now) = untrack(|| (reading(state), chosen(state)));
    let to = match now {
        None => reading.passed.first().copied(),
        Some(now) if forward => reading.passed.iter().find(|i| **i > now).copied(),
        Some(now) => reading.passed.iter().rfind(|i| **i < now).copied(),
    };
    let event = to.and_then(|i| reading.captures.taken.get(i)).map(|t| t.event);
    let Some(event) = event else { return false };
    state.go(state.loaded.with_untracked(|d| d.story.step_at(event)));
    true
}
