//! Netfilter Lab's page: a thin view of the engine's log.
//!
//! The state is which lab in which setting, where the cursor is and what is chosen ([`state::State`]); every pane is
//! a function of it. What happens to a packet is decided by the engine alone, and put into words by `sim::view`.

mod course;
mod cures;
mod cursor;
mod diagram;
mod dom;
mod embed;
mod hints;
mod hookstrip;
mod icons;
mod keys;
mod lanes;
mod load;
mod loadlab;
mod look;
mod packed;
mod panes;
mod playback;
mod slices;
mod state;
mod svg;
mod swipe;
mod theme;
mod timeline;
mod topology;
mod url;
mod watched;
mod words;
mod workbench;

use dom::{El, NONE, Root, View, before_paint, effect, el, on_window, part, text};
use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use sim::view::Flow;
use state::{Pane, State};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use url::Link;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use web_sys::{Element, FocusOptions, HtmlElement, KeyboardEvent};

/// The class of a packet's lines.
fn topology_kind(flow: Flow) -> &'static str {
    match flow {
        Flow::Request => "req",
        Flow::Reply => "rep",
        Flow::Reset => "rst",
        Flow::Noise => "noise",
    }
}

/// A media query.
fn media(query: &str) -> bool {
    window().match_media(query).ok().flatten().is_some_and(|m| m.matches())
}

/// The page's address.
fn address() -> String {
    window().location().href().unwrap_or_default()
}

/// Puts a text on the clipboard, if the browser lets us.
fn copy(text: &str) {
    // The answer does not matter: where there is no clipboard, there is nothing to say it with either.
    let _ = window().navigator().clipboard().write_text(text);
}

/// Nothing has the focus.
fn is_nowhere() -> bool {
    document().active_element().is_none_or(|e| e.tag_name() == "BODY")
}

/// Moves the focus.
fn focus_on(id: &str) {
    if let Some(e) = document().get_element_by_id(id).and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok())
    {
        let _ = e.focus();
    }
}

/// Moves the focus once the page has been drawn.
fn focus_soon(id: &'static str) {
    before_paint(move || focus_on(id));
}

/// The link in the address.
fn addressed() -> Option<Link> {
    window().location().hash().ok().and_then(|hash| Link::parse(&hash))
}

/// The lab in the address's query.
fn queried() -> Option<Link> {
    window().location().search().ok().and_then(|query| Link::of_query(&query))
}

/// Writes the state into the address: where only the cursor has moved, in place of what was there; else (lab, switch, command, level) the browser's back button leads to
/// what was there.
fn write_address(state: State) {
    let link = untrack(|| state.link());
    let printed = link.print();
    if printed.len() > url::LIMIT {
        return state.notice.set(Some(url::TOO_LONG.to_owned()));
    }
    let about = |l: &Link| (l.lab.clone(), l.set.clone(), l.typed.clone(), l.source.clone(), l.level);
    // The back button of an article is the article's.
    let anew =
        !embed::is_on() && state.address.borrow().as_ref().is_some_and(|old| about(old) != about(&link));
    if let Ok(history) = window().history() {
        let _ = match anew {
            true => history.push_state_with_url(&JsValue::NULL, "", Some(&printed)),
            false => history.replace_state_with_url(&JsValue::NULL, "", Some(&printed)),
        };
    }
    *state.address.borrow_mut() = Link::parse(&printed);
}

/// A panic is our mistake: the page says so, with the link that leads there again.
pub fn show_panics() {
    std::panic::set_hook(Box::new(|info| {
        let Some(body) = document().body() else { return };
        let Ok(note) = document().create_element("div") else { return };
        note.set_class_name("crash");
        let _ = note.set_attribute("role", "alert");
        note.set_text_content(Some(&format!(
            "Netfilter Lab has made a mistake and stopped. Reload the page to go on. This link leads to the same \
             place: {} ({info})",
            address()
        )));
        let _ = body.prepend_with_node_1(&note);
    }));
}

/// Starts the app: the page, or in a worker what the page has the worker for.
pub fn start() {
    if web_sys::window().is_some() {
        show_panics();
        let link = first_link();
        slices::run(state::open(link.clone()), move |done| {
            FIRST.set(Some(match done {
                Some(done) => (link, done),
                // Whoever stops the first run gets the first lab.
                None => {
                    if let Ok(history) = window().history() {
                        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some("#"));
                    }
                    (None, parts::finish(state::open(None)))
                }
            }));
            leptos::mount::mount_to_body(App);
        });
    } else {
        std::panic::set_hook(Box::new(|info| loadlab::failed(&info.to_string())));
        loadlab::work();
    }
}

thread_local! {
    /// The link that the page begins with, and its run.
    static FIRST: Cell<Option<(Option<Link>, slices::Done)>> = const { Cell::new(None) };
}

/// What the address asks for. What a file brings is not there yet: until then the first lab is shown.
fn first_link() -> Option<Link> {
    if course::source_wanted().is_some() { None } else { addressed().or_else(queried) }
}

/// A button that vanishes or turns off as it is used leaves the focus to its pane.
fn keep_focus(state: State) {
    let pane: Rc<RefCell<Option<HtmlElement>>> = Rc::default();
    let last = Rc::clone(&pane);
    let mend = move || {
        let pane = Rc::clone(&last);
        before_paint(move || {
            // Moving the focus is heard below.
            let pane = pane.borrow().clone();
            if let Some(pane) = pane.filter(|_| is_nowhere()) {
                let options = FocusOptions::new();
                options.set_prevent_scroll(true);
                let _ = pane.focus_with_options(&options);
            }
        });
    };
    let near = |e: &web_sys::Event, css: &str| e.target()?.dyn_into::<Element>().ok()?.closest(css).ok()?;
    on_window("focusin", move |e| {
        let around = near(e, "section[tabindex='-1'],main");
        *pane.borrow_mut() = around.and_then(|e| e.dyn_into().ok());
    });
    let mended = mend.clone();
    on_window("click", move |e| {
        if near(e, "button").is_some() {
            mended();
        }
    });
    // What a button has asked for may come later.
    effect(move || {
        state.loaded.track();
        mend();
    });
}

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let source = course::source_wanted();
    let first = || {
        FIRST.take().unwrap_or_else(|| {
            let link = first_link();
            (link.clone(), parts::finish(state::open(link)))
        })
    };
    Root::new(move || match State::new(first()) {
        _ if topology::bench::wanted() => topology::bench::page(),
        Ok(state) => {
            if let Some(source) = source {
                course::open_source(state, &source);
            }
            page(state)
        }
        Err(e) => {
            el("main").add(el("h1").add("Netfilter Lab")).add(el("p").attr("role", "alert").add(e)).into()
        }
    })
}

fn page(state: State) -> View {
    state.follow_packet();
    playback::run(state);
    look::follow(state);
    swipe::follow(state);
    follow_address(state);
    follow_width(state);
    panes::keep_on_phone(state);
    panes::keep_in_sight(state);
    on_key(state);
    keep_focus(state);
    course::follow(state);
    let shown = part(move || match state.class.place.get() {
        course::Place::Lab if state.bench.shown.get() => loadlab::page(state),
        course::Place::Lab => steps(state),
        _ => course::page(state),
    });
    let main = el("main")
        .id("lab")
        .attr("tabindex", "-1")
        .flag("compact", move || embed::is_compact(state))
        .flag("exercising", move || embed::exercises(state))
        .add(if embed::is_on() { embed::bar(state) } else { panes::header(state) })
        .add(part(move || trouble(state)))
        .add(part(move || noted(state)))
        .add(shown);
    let spoken = el("p")
        .class("sr")
        .attr("role", "status")
        .attr("aria-live", "polite")
        .id("spoken")
        .add(text(move || state.spoken.get()));
    View::All(vec![main.into(), spoken.into(), panes::help(state)])
}

/// The panes of a lab of single packets.
fn steps(state: State) -> View {
    let shown = move |el: El, pane| el.flag("shown", move || state.pane.get() == pane);
    let lesson = el("section")
        .class("card lesson")
        .id("lesson")
        .attr("tabindex", "-1")
        .attr("aria-label", "Lesson")
        .add(panes::lesson(state));
    let outcome = el("section")
        .class("card outcome")
        .id("outcome")
        .attr("tabindex", "-1")
        .attr("aria-label", "Outcome")
        .add(panes::terminal(state, workbench::input(state)));
    let journey = el("section")
        .class("card journey")
        .flag("wide", move || state.look.wide.get())
        .id("journey")
        .attr("tabindex", "-1")
        .attr("aria-labelledby", "journey-title")
        .add(panes::journey(state))
        .add(panes::tracked(state));
    let tables = el("div")
        .class("tables")
        .flag("folded", move || !panes::fold::unfolded(state))
        .id("tables")
        .attr("tabindex", "-1")
        .add(panes::tables(state));
    let foot = el("section")
        .class("card foot")
        .attr("aria-label", "Timeline and tables")
        .add(hints::line(state))
        .add(timeline::timeline(state))
        .add(shown(tables, Pane::Tables));
    let panes = el("div")
        .class("panes")
        .add(shown(lesson, Pane::Lesson))
        .add(shown(el("div").class("mid").add(topology::picture(state)), Pane::Map))
        .add(shown(outcome, Pane::Map))
        .add(shown(el("div").class("side").add(journey), Pane::Journey))
        .add(foot);
    let bench = shown(el("div").class("benchrow").add(workbench::workbench(state)), Pane::Map);
    View::All(vec![bench.into(), panes.into(), bottom(state).into()])
}

fn trouble(state: State) -> View {
    let Some(e) = state.error.get() else { return NONE };
    let dismiss = el("button").class("btn quiet").click(move || state.error.set(None)).add("Dismiss");
    el("div").class("trouble").attr("role", "alert").add(el("span").add(e)).add(dismiss).into()
}

fn noted(state: State) -> View {
    let Some(text) = state.notice.get() else { return NONE };
    let dismiss = el("button").class("btn quiet").click(move || state.notice.set(None)).add("Dismiss");
    el("div").class("trouble noted").attr("role", "status").add(el("span").add(text)).add(dismiss).into()
}

/// On a small screen: which pane.
fn bottom(state: State) -> El {
    let mut nav = el("nav").class("bottom").attr("aria-label", "Panes");
    for (pane, name) in
        [(Pane::Lesson, "Lesson"), (Pane::Map, "Map"), (Pane::Journey, "Journey"), (Pane::Tables, "Tables")]
    {
        let button = el("button")
            .maybe("aria-current", "true", move || state.pane.get() == pane)
            .click(move || state.pane.set(pane))
            .add(name);
        nav = nav.add(button);
    }
    nav
}

// ---------------------------------------------------------------------- the world outside

/// Keys are ours while the focus is inside the lab, or nowhere.
fn on_key(state: State) {
    on_window("keydown", move |e| {
        // What fills in forms sends events of this name that are none.
        let key = e.dyn_ref::<KeyboardEvent>();
        if !e.default_prevented() && key.is_some_and(|key| keys::key(state, key)) {
            e.prevent_default();
        }
    });
    before_paint(|| {
        // Nothing has the focus yet: keys work at once.
        if is_nowhere() {
            focus_on("lab");
        }
    });
}

/// State to address and back.
fn follow_address(state: State) {
    // What a page shows that was opened without a link is what its first change leads back to.
    let opened = state.address.borrow_mut().get_or_insert_with(|| untrack(|| state.link())).clone();
    let mut timer = None;
    let mut first = true;
    effect(move || {
        let _ = (state.cursor.get(), state.pinned.get());
        let _ = (state.zoom.level.get(), state.zoom.hook.get());
        state.loaded.track();
        state.tab.track();
        state.captured.track();
        state.sniff.device.track();
        state.sniff.filter.track();
        state.look.filter.track();
        state.class.place.track();
        let _ = (state.bench.shown.get(), state.bench.setting.track(), state.bench.asked.track());
        if std::mem::take(&mut first) {
            return;
        }
        // Browsers do not like to be told about every step of a drag: a timer that is dropped does nothing.
        drop(timer.take());
        timer = Some(Timeout::new(250, move || {
            // Somebody has just put a link there, and we are about to hear of it: it is not overwritten.
            // Nor while what it asks for is being run.
            let there = addressed();
            if (there.is_none() || *state.address.borrow() == there) && !slices::is_going() {
                write_address(state);
            }
        }));
    });
    on_window("hashchange", move |_| {
        let link = addressed().unwrap_or_else(|| opened.clone());
        *state.address.borrow_mut() = Some(link.clone());
        if link != untrack(|| state.link()) {
            state.playing.set(false);
            state.follow(&link);
            state.speak();
        }
    });
}

fn follow_width(state: State) {
    let look = move || {
        // Of a lab inside an article there are no panes to choose from.
        let chooses = !embed::is_on() || untrack(|| embed::exercises(state));
        let narrow = media("(max-width: 719px)") && chooses;
        let roomy = panes::fold::is_roomy();
        for (signal, now) in [(&state.narrow, narrow), (&state.fold.roomy, roomy)] {
            if signal.get_untracked() != now {
                signal.set(now);
            }
        }
    };
    effect(move || {
        state.loaded.track();
        look();
    });
    on_window("resize", move |_| look());
}
