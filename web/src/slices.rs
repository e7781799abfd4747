//! Runs that may be long. The engine goes on with a run for some milliseconds, then the browser has its turn, and so on; meanwhile the page
//! says that it is at work, shows what it has shown before, and does what it is told to. There is one run at a time: who begins another one
//! has no need of the first any more.

use crate::load::Loaded;
use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use parts::Parts;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, HtmlElement};
use workshop::PARTS_AT_ONCE;

/// A slice ends after so many milliseconds.
const SLICE: f64 = 12.0;
/// The same while nobody sees the page: browsers let timers wait there.
const UNSEEN: f64 = 500.0;

/// What a run has led to.
pub struct Opened {
    /// The run.
    pub loaded: Rc<Loaded>,
    /// The one that it is compared with.
    pub before: Option<Rc<Loaded>>,
    /// What could not be had.
    pub error: Option<String>,
}

impl Opened {
    /// A run, and nothing besides.
    pub fn alone(loaded: Rc<Loaded>) -> Opened {
        Opened { loaded, before: None, error: None }
    }
}

/// `Err` says why there is no run.
pub type Done = Result<Opened, String>;

type Then = Box<dyn FnOnce(Option<Done>)>;

/// A run that goes on.
struct Going {
    work: Parts<Done>,
    then: Then,
    /// What the page says of it.
    note: Option<Element>,
    slices: u32,
}

impl Going {
    fn end_note(&self) {
        if let Some(note) = &self.note {
            note.remove();
        }
    }
}

thread_local! {
    static GOING: RefCell<Option<Going>> = const { RefCell::new(None) };
    /// How many runs there were.
    static RUNS: Cell<u32> = const { Cell::new(0) };
    /// How many steps of the run are done, and of how many; of none as long as nobody knows.
    static FAR: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Whether something is being run.
pub fn is_going() -> bool {
    GOING.with_borrow(Option::is_some)
}

/// Hears how many steps of the run are done, and of how many.
pub fn told(done: usize, all: usize) {
    FAR.set((done, all));
}

/// Runs something. `then` is told what has come of it: before this returns, if it is short; `None` if it was stopped.
pub fn run(work: impl Future<Output = Done> + 'static, then: impl FnOnce(Option<Done>) + 'static) {
    begin(Parts::new(work), Box::new(then));
}

fn begin(mut work: Parts<Done>, then: Then) {
    leave();
    // By the number of parts and not by the clock: what is short is so on each computer.
    for _ in 0..PARTS_AT_ONCE {
        if let Some(done) = work.go_on() {
            return then(Some(done));
        }
    }
    GOING.set(Some(Going { work, then, note: note(), slices: 1 }));
    later(RUNS.get());
}

/// Ends what is being run, as if it had never begun.
pub fn stop() {
    if let Some(then) = leave() {
        then(None);
    }
}

/// Ends what is being run, whoever waits for it.
fn leave() -> Option<Then> {
    RUNS.set(RUNS.get().wrapping_add(1));
    told(0, 0);
    let going = GOING.take()?;
    going.end_note();
    Some(going.then)
}

fn later(run: u32) {
    Timeout::new(0, move || {
        if RUNS.get() == run {
            slice(run);
        }
    })
    .forget();
}

fn slice(run: u32) {
    // The run is out of its place while it goes on, and what it is is told when it is over.
    let Some(mut going) = GOING.take() else { return };
    match for_a_while(&mut going.work) {
        Some(done) => {
            going.end_note();
            (going.then)(Some(done));
        }
        None => {
            going.slices += 1;
            if let Some(note) = &going.note {
                // For who wants to know that there were several.
                let _ = note.set_attribute("data-slices", &going.slices.to_string());
                show_how_far(note);
            }
            GOING.set(Some(going));
            later(run);
        }
    }
}

/// The bar of the note is full when all steps are done.
fn show_how_far(note: &Element) {
    let Ok(Some(bar)) = note.query_selector("progress") else { return };
    let (done, all) = FAR.get();
    let _ = match all {
        0 => bar.remove_attribute("value"),
        _ => bar.set_attribute("max", &all.to_string()).and(bar.set_attribute("value", &done.to_string())),
    };
}

/// Goes on with some work until it is the browser's turn.
pub fn for_a_while<T>(work: &mut Parts<T>) -> Option<T> {
    let long = if document().hidden() { UNSEEN } else { SLICE };
    let end = js_sys::Date::now() + long;
    loop {
        let done = work.go_on();
        if done.is_some() || js_sys::Date::now() >= end {
            return done;
        }
    }
}

/// What the page says meanwhile. It is no view of the state: at the start there is none yet.
fn note() -> Option<Element> {
    let note = document().create_element("div").ok()?;
    note.set_class_name("trouble noted going");
    note.set_attribute("role", "status").ok()?;
    note.set_inner_html(
        "<span>Running the lab…</span><progress aria-label=\"The run\"></progress><button class=\"btn\" id=\"stop-run\">Stop</button>",
    );
    let button: HtmlElement = note.last_element_child()?.unchecked_into();
    button.set_onclick(Some(Closure::<dyn Fn()>::new(stop).into_js_value().unchecked_ref()));
    document().body()?.append_child(&note).ok()?;
    Some(note)
}
