//! Netfilter Lab's page: a thin view of the engine's log.
//!
//! The state is which lab in which setting, where the cursor is and what is chosen ([`state::State`]); every pane is
//! a function of it. What happens to a packet is decided by the engine alone, and put into words by `sim::view`.

mod dom;
mod hookstrip;
mod icons;
mod keys;
mod load;
mod panes;
mod playback;
mod state;
mod svg;
mod theme;
mod timeline;
mod topology;
mod url;

use dom::{click, flag, maybe, part, text};
use leptos::ev::{self, KeyboardEvent};
use leptos::prelude::*;
use sim::view::Flow;
use state::{Pane, State};
use std::time::Duration;
use url::Link;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;

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

/// Moves the focus.
fn focus_on(id: &str) {
    if let Some(e) = document().get_element_by_id(id).and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok())
    {
        let _ = e.focus();
    }
}

/// Writes the state into the address, in place of what was there.
fn write_address(state: State) {
    let link = untrack(|| state.link()).print();
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&link));
    }
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

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let link = window().location().hash().ok().and_then(|hash| Link::parse(&hash));
    match State::new(link) {
        Ok(state) => page(state),
        Err(e) => view! { <main><h1>"Netfilter Lab"</h1><p role="alert">{e}</p></main> }.into_any(),
    }
}

fn page(state: State) -> AnyView {
    playback::run(state);
    follow_address(state);
    follow_width(state);
    panes::keep_in_sight(state);
    on_key(state);
    let shows = move |pane| flag(move || state.pane.get() == pane);
    view! {
        <main id="lab" tabindex="-1">
            {panes::header(state)}
            <div class="panes">
                {part(move || trouble(state))}
                <section class="card lesson" id="lesson" tabindex="-1" aria-label="Lesson" class:shown=shows(Pane::Lesson)>
                    {panes::lesson(state)}
                </section>
                <div class="mid" class:shown=shows(Pane::Map)>
                    <section class="card mapcard" id="map" tabindex="-1" aria-labelledby="map-title">
                        {map_head(state)}
                        {topology::map(state)}
                    </section>
                    <section class="card flow" aria-labelledby="flow-title">
                        {flow_head(state)}
                        {hookstrip::strip(state)}
                    </section>
                </div>
                <section class="card outcome" id="outcome" aria-label="Outcome" class:shown=shows(Pane::Map)>
                    {panes::terminal(state)}
                </section>
                <div class="side" class:shown=shows(Pane::Journey)>
                    <section class="card journey" id="journey" tabindex="-1" aria-labelledby="journey-title">
                        {panes::journey(state)}
                        {panes::conntrack(state, true)}
                    </section>
                </div>
                <section class="card foot" aria-label="Timeline and tables">
                    {timeline::timeline(state)}
                    <div class="tables" id="tables" tabindex="-1" class:shown=shows(Pane::Tables)>
                        {panes::tables(state)}
                    </div>
                </section>
            </div>
            {bottom(state)}
        </main>
        <p class="sr" role="status" aria-live="polite" id="spoken">{text(move || state.spoken.get())}</p>
        {panes::help(state)}
    }
    .into_any()
}

fn trouble(state: State) -> AnyView {
    state
        .error
        .get()
        .map(|e| {
            view! {
                <div class="trouble" role="alert">
                    <span>{e}</span>
                    <button class="btn quiet" on:click=click(move || state.error.set(None))>"Dismiss"</button>
                </div>
            }
        })
        .into_any()
}

fn host_name(state: State) -> String {
    let host = state.host();
    state.loaded.with(|l| l.world().host(host).map_or(String::new(), |h| h.name.clone()))
}

fn map_head(state: State) -> AnyView {
    let clock = text(move || state.with_step(|_, s, _| sim::view::clock(s.at)).unwrap_or_default());
    view! {
        <div class="head">
            <h2 id="map-title">"Map"</h2>
            <span class="space"></span>
            <span class="key"><i class="line req"></i>"request"</span>
            <span class="key"><i class="line rep"></i>"reply"</span>
            <span class="key"><i class="line rst"></i>"reset"</span>
            <span class="mono clock">{clock}</span>
        </div>
    }
    .into_any()
}

fn flow_head(state: State) -> AnyView {
    let pinned = part(move || {
        let button = || {
            let follow = click(move || state.pinned.set(None));
            view! { <button class="btn quiet" on:click=follow>"Follow the packet"</button> }.into_any()
        };
        state.pinned.get().map(|_| button()).into_any()
    });
    let label = text(move || {
        let loaded = state.loaded.get();
        state.packet().and_then(|id| loaded.story.packet(id)).map(|p| p.label.clone()).unwrap_or_default()
    });
    view! {
        <div class="head">
            <h2 id="flow-title"><b>{text(move || host_name(state))}</b>" packet flow"</h2>
            {pinned}
            <span class="space"></span>
            <span class="quiet legend-line">"R raw  C conntrack  M mangle  N nat  F filter  S security"</span>
            <span class="chip static">{label}</span>
        </div>
    }
    .into_any()
}

/// On a small screen: which pane.
fn bottom(state: State) -> AnyView {
    let all =
        [(Pane::Lesson, "Lesson"), (Pane::Map, "Map"), (Pane::Journey, "Journey"), (Pane::Tables, "Tables")];
    let buttons: Vec<AnyView> = all
        .into_iter()
        .map(|(pane, name)| {
            let here = maybe(move || (state.pane.get() == pane).then_some("true"));
            view! { <button aria-current=here on:click=click(move || state.pane.set(pane))>{name}</button> }
                .into_any()
        })
        .collect();
    view! { <nav class="bottom" aria-label="Panes">{buttons}</nav> }.into_any()
}

// ---------------------------------------------------------------------- the world outside

/// Keys are ours while the focus is inside the lab, or nowhere.
fn on_key(state: State) {
    let handle = window_event_listener(ev::keydown, move |e: KeyboardEvent| {
        if !e.default_prevented() && keys::key(state, &e) {
            e.prevent_default();
        }
    });
    on_cleanup(move || handle.remove());
    request_animation_frame(|| {
        // Nothing has the focus yet: keys work at once.
        let nowhere = document().active_element().is_none_or(|e| e.tag_name() == "BODY");
        if nowhere {
            focus_on("lab");
        }
    });
}

/// State to address and back.
fn follow_address(state: State) {
    let timer = StoredValue::new(None::<leptos::leptos_dom::helpers::TimeoutHandle>);
    let first = StoredValue::new(true);
    Effect::new(move |_| {
        let _ = (state.cursor.get(), state.pinned.get());
        state.loaded.track();
        if first.get_value() {
            first.set_value(false);
            return;
        }
        // Browsers do not like to be told about every step of a drag.
        if let Some(timer) = timer.get_value() {
            timer.clear();
        }
        timer.set_value(
            set_timeout_with_handle(move || write_address(state), Duration::from_millis(250)).ok(),
        );
    });
    let handle = window_event_listener(ev::hashchange, move |_| {
        let hash = window().location().hash().unwrap_or_default();
        match Link::parse(&hash) {
            Some(link) if link != untrack(|| state.link()) => {
                state.playing.set(false);
                state.follow(&link);
                state.speak();
            }
            _ => {}
        }
    });
    on_cleanup(move || handle.remove());
}

fn follow_width(state: State) {
    let look = move || {
        let narrow = media("(max-width: 719px)");
        if state.narrow.get_untracked() != narrow {
            state.narrow.set(narrow);
        }
    };
    look();
    let handle = window_event_listener(ev::resize, move |_| look());
    on_cleanup(move || handle.remove());
}
