//! The trainer's notes in a second window, which follows the exercise of the first one.
//!
//! Both are the same page. The first one says on a channel of the browser which exercise it shows; the second one draws what a trainer
//! wants to know of it, and can ask for another one. Nothing leaves the browser.

use super::agenda::point;
use super::class::{Place, open};
use super::{head, way_to};
use crate::dom::{El, NONE, View, effect, el, part};
use crate::state::State;
use leptos::prelude::*;
use std::rc::Rc;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BroadcastChannel, MessageEvent};

/// The name of the channel, and of the second window.
const NAME: &str = "netfilter-lab-notes";
/// Which exercise is shown. Behind it stands the exercise's name.
const AT: &str = "at ";
/// Which exercise is to be shown.
const GO: &str = "go ";
/// Somebody has come and asks.
const HELLO: &str = "hello";

/// Keeps both windows together.
pub fn follow(state: State) {
    let Ok(channel) = BroadcastChannel::new(NAME) else { return };
    let channel = Rc::new(channel);
    let told = Rc::clone(&channel);
    let tell = move || {
        if state.class.place.get_untracked() != Place::Notes {
            let name = state.loaded.with_untracked(|l| l.lab.name.clone());
            let _ = told.post_message(&JsValue::from_str(&format!("{AT}{name}")));
        }
    };
    let say = tell.clone();
    let heard = Closure::<dyn FnMut(MessageEvent)>::new(move |e: MessageEvent| {
        let text = e.data().as_string().unwrap_or_default();
        let has_notes = state.class.place.get_untracked() == Place::Notes;
        match (text.strip_prefix(AT), text.strip_prefix(GO)) {
            (Some(name), _) if has_notes => state.class.noted.set(name.to_owned()),
            (_, Some(name)) if !has_notes => open(state, name),
            _ if text == HELLO => say(),
            _ => {}
        }
    });
    channel.set_onmessage(Some(heard.as_ref().unchecked_ref()));
    heard.forget();
    *state.class.channel.borrow_mut() = Some(Rc::clone(&channel));
    effect(move || {
        state.loaded.track();
        match state.class.place.get() {
            Place::Notes => drop(channel.post_message(&JsValue::from_str(HELLO))),
            _ => tell(),
        }
    });
}

/// Opens the second window.
pub fn open_window(state: State) {
    let address = crate::address();
    let page = address.split('#').next().unwrap_or_default();
    let link = crate::url::Link { lab: Place::Notes.name().to_owned(), ..Default::default() };
    let opened = window().open_with_url_and_target(&format!("{page}{}", link.print()), NAME);
    if !matches!(opened, Ok(Some(_))) {
        state.error.set(Some("The browser does not open another window for the notes.".to_owned()));
    }
}

/// The second window.
pub fn page(state: State) -> View {
    let head = head("Speaker notes", vec![way_to(state, "to-trainer", "For trainers", Place::Trainer)]);
    el("div").class("course-page notes").add(head).add(part(move || body(state))).into()
}

fn body(state: State) -> View {
    let name = state.class.noted.get();
    let shelf = state.class.shelf.get();
    let Some(lab) = shelf.lab(&name) else {
        let words = "Open an exercise in the other window: what a trainer wants to know of it is shown here.";
        return el("p").id("noted").add(words).into();
    };
    let Some(e) = &lab.exercise else {
        return el("p").id("noted").add(format!("The other window shows the lab “{}”.", lab.title)).into();
    };
    let course = shelf
        .courses
        .get(state.class.course.get())
        .filter(|c| c.exercises().any(|n| n == name))
        .or_else(|| shelf.courses.iter().find(|c| c.exercises().any(|n| n == name)));
    let names: Vec<&str> = course.map(|c| c.exercises().collect()).unwrap_or_default();
    let at = names.iter().position(|n| *n == name).unwrap_or(0);
    let to = |id: &'static str, words: &'static str, to: Option<&&str>| -> Option<El> {
        let name = (*to?).to_owned();
        let title = shelf.card(&name).map(|c| c.title.clone()).unwrap_or_default();
        let go = move || {
            if let Some(channel) = &*state.class.channel.borrow() {
                let _ = channel.post_message(&JsValue::from_str(&format!("{GO}{name}")));
            }
        };
        Some(el("button").class("btn").id(id).click(go).add(format!("{words}: {title}")))
    };
    let ways = el("div")
        .class("row")
        .add(at.checked_sub(1).and_then(|n| to("notes-previous", "Back", names.get(n))))
        .add(to("notes-next", "Next", names.get(at + 1)));
    let before: u32 = names.iter().take(at).filter_map(|n| shelf.card(n)).map(|card| card.minutes).sum();
    let time = format!(
        "Exercise {} of {}, about {} minutes; {}:{:02} of the course lie behind.",
        at + 1,
        names.len(),
        e.minutes,
        before / 60,
        before % 60
    );
    let hints = e.hints.iter().map(|h| el("li").add(h.clone()).into()).collect();
    View::All(vec![
        el("h3").id("noted").add(lab.title.clone()).into(),
        el("p").class("quiet").add(time).into(),
        ways.into(),
        el("section").class("card point").add(point(e)).into(),
        if e.hints.is_empty() {
            NONE
        } else {
            el("details").add(el("summary").add("Hints")).add(el("ol").add(View::All(hints))).into()
        },
    ])
}
