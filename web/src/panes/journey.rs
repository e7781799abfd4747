//! The way of the chosen packet, step by step.

use super::why::why;
use crate::dom::{click, flag, maybe, part, value};
use crate::hookstrip::color;
use crate::icons;
use crate::load::Loaded;
use crate::state::State;
use crate::topology_kind as kind;
use kernel::PacketId;
use leptos::prelude::*;
use sim::view::{Area, Flow, PacketInfo, Step, Tone};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// The pane.
pub fn journey(state: State) -> AnyView {
    let packet = Memo::new(move |_| state.packet());
    view! {
        <div class="head">
            <h2 id="journey-title">"Journey"</h2>
            <span class="space"></span>
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked=flag(move || state.noise.get())
                    on:change=move |e| state.set_noise(event_target_checked(&e))
                />
                " ARP"
            </label>
        </div>
        {part(move || chips(state, packet.get()))}
        <div class="rows" id="journey-rows">
            {part(move || packet.get().map(|id| rows(state, id)).into_any())}
        </div>
    }
    .into_any()
}

/// The packets of the run.
fn chips(state: State, current: Option<PacketId>) -> AnyView {
    let loaded = state.loaded.get();
    let noise = state.noise.get();
    let shown = loaded.story.packets.iter().filter(|p| noise || p.flow != Flow::Noise);
    let list: Vec<AnyView> = shown.map(|p| chip(state, p, current == Some(p.id))).collect();
    let about = current.and_then(|id| loaded.story.packet(id)).map(|p| {
        let host = loaded.world().host(p.host).map_or(String::new(), |h| h.name.clone());
        view! { <p class="about"><span class="mono">{p.flow_text.clone()}</span>{format!(" made by {host}")}</p> }
    });
    view! {
        <div class="chips" role="group" aria-label="Packets">{list}</div>
        {about}
    }
    .into_any()
}

fn chip(state: State, p: &PacketInfo, current: bool) -> AnyView {
    let first = p.steps.0;
    let again = p.again.then(|| view! { <span class="again">"again"</span> });
    view! {
        <button
            class=format!("chip {}", kind(p.flow))
            aria-pressed=current.to_string()
            title=p.flow_text.clone()
            on:click=click(move || state.go(first))
        >
            {p.label.clone()}
            {again}
        </button>
    }
    .into_any()
}

fn rows(state: State, id: PacketId) -> AnyView {
    let loaded = state.loaded.get();
    let mine: Vec<(usize, &Step)> = loaded
        .story
        .steps
        .iter()
        .enumerate()
        .filter(|(i, s)| {
            s.packet == Some(id) || s.packet.is_none() && loaded.story.packet_near(*i) == Some(id)
        })
        .collect();
    let mut out: Vec<AnyView> = Vec::new();
    let mut last = None;
    for (i, s) in mine {
        let group = (s.host, s.section.clone());
        if last.as_ref() != Some(&group) {
            out.push(heading(&loaded, s));
            last = Some(group);
        }
        out.push(row(state, i, s));
    }
    out.into_any()
}

fn heading(loaded: &Loaded, s: &Step) -> AnyView {
    let host = loaded.world().host(s.host).map_or(String::new(), |h| h.name.clone());
    view! { <h3 class="hop">{host}" "<span>{s.section.clone()}</span></h3> }.into_any()
}

fn row(state: State, i: usize, s: &Step) -> AnyView {
    let tone = match s.tone {
        Tone::Plain => "",
        Tone::Strong => " strong",
        Tone::Bad => " bad",
        Tone::Dim => " dim",
    };
    let tag = view! {
        <span class=format!("tag {}", color(s.area))>
            {has_letter(s.area).then(|| view! { <b>{s.area.letter()}</b> })}
            {s.area.name()}
        </span>
    };
    let chain = s.chain.as_ref().map(|c| view! { <span class="chain mono">{c.to_string()}</span> });
    let selected = move || state.cursor.get() == i;
    let press = click(move || {
        if state.cursor.get_untracked() == i {
            state.why.update(|w| *w = !*w);
        } else {
            state.why.set(true);
            state.go(i);
        }
    });
    view! {
        <button
            class=format!("st{tone}")
            class:sel=flag(selected)
            class:future=flag(move || state.cursor.get() < i)
            aria-current=maybe(move || selected().then_some("step"))
            aria-expanded=value(move || (selected() && state.why.get()).to_string())
            on:click=press
        >
            {tag}
            <span class="what">{s.title.clone()} {chain}</span>
            <span class="note" class:long={s.note.len() > 14}>{s.note.clone()}</span>
        </button>
        {part(move || (selected() && state.why.get()).then(|| why(state, i)).into_any())}
    }
    .into_any()
}

/// Tables have a letter that stands for them in the diagram.
fn has_letter(area: Area) -> bool {
    matches!(area, Area::Table(_) | Area::Conntrack)
}

/// What is to be in sight, and inside what it scrolls; later ones have the last word.
const IN_SIGHT: [(&str, &str); 4] = [
    (".st.sel + .why", ".rows"),
    (".st.sel", ".rows"),
    (".cap li:nth-last-child(1 of :not(.later))", ".panel"),
    (".rule.now", ".panel"),
];

/// Keeps the current rows in sight. Only their own panes scroll, never the page.
pub fn keep_in_sight(state: State) {
    Effect::new(move |_| {
        state.cursor.track();
        state.loaded.track();
        state.tab.track();
        state.pane.track();
        request_animation_frame(|| {
            for (what, pane) in IN_SIGHT {
                let find =
                    |css| document().query_selector(css).ok().flatten()?.dyn_into::<HtmlElement>().ok();
                if let (Some(what), Some(pane)) = (find(what), find(pane)) {
                    scroll(&what, &pane);
                }
            }
        });
    });
}

/// Scrolls a pane, which is the offset parent of what is in it, as little as it takes. Where the pane itself does not
/// scroll, the lab does: on a small screen.
fn scroll(what: &HtmlElement, pane: &HtmlElement) {
    if pane.scroll_height() <= pane.client_height() + 1 {
        let options = web_sys::ScrollIntoViewOptions::new();
        options.set_block(web_sys::ScrollLogicalPosition::Center);
        if crate::media("(max-width: 719px)") {
            what.scroll_into_view_with_scroll_into_view_options(&options);
        }
        return;
    }
    let (top, bottom) = (what.offset_top(), what.offset_top() + what.offset_height());
    let (above, below) = (pane.scroll_top(), pane.scroll_top() + pane.client_height());
    if top < above {
        pane.set_scroll_top(top - 4);
    } else if bottom > below {
        pane.set_scroll_top(bottom - pane.client_height() + 4);
    }
}

/// The icon of a check.
pub fn check_icon(ok: bool) -> AnyView {
    let word = if ok { "holds: " } else { "does not hold: " };
    let icon = if ok { icons::check() } else { icons::cross() };
    view! { <span class=if ok { "yes" } else { "no" }>{icon}<span class="sr">{word}</span></span> }.into_any()
}
