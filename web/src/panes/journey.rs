//! The way of the chosen packet: request and reply side by side, or the steps of one packet.

use super::sides::{changed, gaps, sides};
use super::why::why;
use super::{filters, heading, space, unseen};
use crate::diagram::color;
use crate::dom::{El, NONE, View, before_paint, effect, el, part, resized};
use crate::icons;
use crate::load::Loaded;
use crate::state::{Pane, State};
use crate::topology_kind as kind;
use kernel::PacketId;
use leptos::prelude::*;
use sim::view::{Area, Flow, PacketInfo, Step, Tone};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// The pane.
pub fn journey(state: State) -> View {
    let noise = el("input")
        .attr("type", "checkbox")
        .checked(move || state.noise.get())
        .on("change", move |e| state.set_noise(event_target_checked(e)));
    let wide = el("button")
        .id("widen")
        .class("btn quiet widen")
        .attr("title", "More room for the journey")
        .attr("aria-label", "More room for the journey")
        .live("aria-pressed", move || state.look.wide.get().to_string())
        .click(move || state.look.wide.set(!state.look.wide.get_untracked()))
        .add(icons::widen());
    let head = el("div")
        .class("head")
        .add(heading("h2", "journey-title", "Journey"))
        .add(form(state))
        .add(space())
        .add(filters::button(state))
        .add(el("label").class("check").add(noise).add(" ARP"))
        .add(wide);
    let rows = part(move || {
        if state.look.both.get() {
            return sides(state);
        }
        state.chosen.get().map_or(NONE, |id| rows(state, id))
    });
    View::All(vec![
        head.into(),
        part(move || filters::filters(state)),
        part(move || exchanges(state)),
        part(move || chips(state, state.chosen.get())),
        part(move || gaps(state)),
        el("div").class("rows").id("journey-rows").watch(resized(show_again)).add(rows).into(),
    ])
}

/// Both ways, or one packet.
fn form(state: State) -> El {
    let mut group = el("div").class("form").attr("role", "group").attr("aria-label", "Form");
    for (both, name, id) in [(true, "Both ways", "form-both"), (false, "Steps", "form-steps")] {
        let button = el("button")
            .id(id)
            .live("aria-pressed", move || (state.look.both.get() == both).to_string())
            .click(move || state.look.both.set(both))
            .add(name);
        group = group.add(button);
    }
    group
}

/// What was done in the run: one is looked at.
fn exchanges(state: State) -> View {
    let loaded = state.loaded.get();
    if loaded.exchanges.len() < 2 {
        return NONE;
    }
    let mut select = el("select").id("exchange").on("change", move |e| {
        let chosen: Option<usize> = event_target_value(e).parse().ok();
        let to = chosen.and_then(|i| state.loaded.with_untracked(|l| l.first_packet(i)));
        if let Some(step) = to {
            state.go(step);
        }
    });
    for (i, e) in loaded.exchanges.iter().enumerate() {
        let option = el("option")
            .attr("value", i.to_string())
            .maybe("selected", "", move || state.exchange.get() == i)
            .add(format!("{}. {}: {}", i + 1, e.name, e.outcome));
        select = select.add(option);
    }
    let now = move || state.exchange.get().to_string();
    select = select.input(now);
    el("label").class("exchange").add(unseen("What was done")).add(select).into()
}

/// The packets of what is looked at.
fn chips(state: State, current: Option<PacketId>) -> View {
    let loaded = state.loaded.get();
    let noise = state.noise.get();
    let steps = loaded.exchanges.get(state.exchange.get()).map_or((0, usize::MAX), |e| e.steps);
    let mine = |p: &&PacketInfo| (steps.0..steps.1).contains(&p.steps.0) && (noise || p.flow != Flow::Noise);
    let mut list = el("div").class("chips").attr("role", "group").attr("aria-label", "Packets");
    for p in loaded.story.packets.iter().filter(mine) {
        list = list.add(chip(state, p, current == Some(p.id)));
    }
    let about = current.and_then(|id| loaded.story.packet(id)).map(|p| {
        let host = loaded.world().host(p.host).map_or("", |h| h.name.as_str());
        let flow = el("span").class("mono").add(p.flow_text.clone());
        el("p").class("about").add(flow).add(format!(" made by {host}"))
    });
    View::All(vec![list.into(), about.into()])
}

fn chip(state: State, p: &PacketInfo, current: bool) -> El {
    let first = p.steps.0;
    el("button")
        .class("chip")
        .class(kind(p.flow))
        .attr("aria-pressed", if current { "true" } else { "false" })
        .attr("title", p.flow_text.clone())
        .click(move || state.go(first))
        .add(p.label.clone())
        .add(p.again.then(|| el("span").class("again").add("again")))
}

fn rows(state: State, id: PacketId) -> View {
    let loaded = state.loaded.get();
    let filter = state.look.filter.get();
    let story = &loaded.story;
    let mine: Vec<(usize, &Step)> = story
        .steps
        .iter()
        .enumerate()
        .filter(|(i, s)| s.packet == Some(id) || s.packet.is_none() && story.packet_near(*i) == Some(id))
        .filter(|(i, _)| filter.keeps(&story.steps, &story.changes, *i))
        .collect();
    let mut out = Vec::new();
    let mut last = None;
    for (i, s) in mine {
        let group = (s.host, s.section.clone());
        if last.as_ref() != Some(&group) {
            out.push(hop(&loaded, s));
            last = Some(group);
        }
        out.push(row(state, &loaded, i));
    }
    if out.is_empty() {
        return el("p").class("none").add("The filter leaves no step of this packet.").into();
    }
    out.into()
}

fn hop(loaded: &Loaded, s: &Step) -> View {
    let host = loaded.world().host(s.host).map_or(String::new(), |h| h.name.clone());
    el("h3").class("hop").add(host).add(" ").add(el("span").add(s.section.clone())).into()
}

/// A step, with its explanation if it is the one at the cursor.
pub fn row(state: State, loaded: &Loaded, i: usize) -> View {
    let Some(s) = loaded.story.steps.get(i) else { return NONE };
    let tone = match s.tone {
        Tone::Plain => "",
        Tone::Strong => "strong",
        Tone::Bad => "bad",
        Tone::Dim => "dim",
    };
    let letter = has_letter(s.area).then(|| el("b").add(s.area.letter()));
    let tag = el("span").class("tag").class(color(s.area)).add(letter).add(s.area.name());
    let chain = s.chain.as_ref().map(|c| el("span").class("chain mono").add(c.to_string()));
    let selected = move || state.cursor.get() == i;
    let press = move || {
        if state.cursor.get_untracked() == i {
            state.why.set(!state.why.get_untracked());
        } else {
            state.why.set(true);
            state.go(i);
        }
    };
    let button = el("button")
        .class("st")
        .class(tone)
        .flag("sel", selected)
        .flag("future", move || state.cursor.get() < i)
        .maybe("aria-current", "step", selected)
        .live("aria-expanded", move || (selected() && state.why.get()).to_string())
        .click(press)
        .add(tag)
        .add(el("span").class("what").add(s.title.clone()).add(chain).add(changed(loaded, i)))
        .add(el("span").class("note").class_if("long", s.note.len() > 14).add(s.note.clone()));
    let open = part(move || if selected() && state.why.get() { why(state, i) } else { NONE });
    View::All(vec![button.into(), open])
}

/// Tables have a letter that stands for them in the diagram.
fn has_letter(area: Area) -> bool {
    matches!(area, Area::Table(_) | Area::Conntrack)
}

/// What is to be in sight, and inside what it scrolls; later ones have the last word.
const IN_SIGHT: [(&str, &str); 3] =
    [(".st.sel + .why", ".rows"), (".st.sel", ".rows"), (".rule.now", ".panel")];

/// Keeps the current rows in sight. Only their own panes scroll, never the page.
pub fn keep_in_sight(state: State) {
    effect(move || {
        state.cursor.track();
        state.loaded.track();
        state.tab.track();
        state.pane.track();
        before_paint(show_current);
    });
}

/// When something beside the rows has taken some of their room. On a small screen they have all the room they want.
fn show_again() {
    if !crate::media("(max-width: 719px)") {
        show_current();
    }
}

fn show_current() {
    for (what, pane) in IN_SIGHT {
        let find = |css| document().query_selector(css).ok().flatten()?.dyn_into::<HtmlElement>().ok();
        if let (Some(what), Some(pane)) = (find(what), find(pane)) {
            scroll(&what, &pane);
        }
    }
}

/// Where one pane is shown at a time: each begins at its top, and the packet that is looked at is kept in sight.
pub fn keep_on_phone(state: State) {
    let sheet = || document().query_selector(".panes").ok().flatten();
    let mut last = state.pane.get_untracked();
    effect(move || {
        let pane = state.pane.get();
        if std::mem::replace(&mut last, pane) != pane
            && let Some(sheet) = sheet()
        {
            sheet.set_scroll_top(0);
        }
    });
    effect(move || {
        state.cursor.track();
        state.loaded.track();
        state.zoom.level.track();
        // Whoever has moved the map looks where he wants.
        let moved = state.zoom.camera.with(|c| c.moved);
        if state.narrow.get() && state.pane.get() == Pane::Map && !moved {
            before_paint(move || {
                if let Some(sheet) = sheet() {
                    show_packet(&sheet);
                }
            });
        }
    });
}

/// The packet in the picture: on the map, in a box, at a hook.
const PACKET: &str = ":is(.packets, .flowpic) .envelope:not(.little) .paper";

/// Scrolls the sheet so far that the packet is above the timeline. Where the picture itself has been pushed out of sight somebody reads something else.
fn show_packet(sheet: &Element) {
    let find =
        |css| document().query_selector(css).ok().flatten().map(|e: Element| e.get_bounding_client_rect());
    let (Some(packet), Some(picture), Some(timeline)) = (find(PACKET), find("#map"), find(".tl")) else {
        return;
    };
    let (top, bottom) = (sheet.get_bounding_client_rect().top(), timeline.top());
    if picture.bottom() < top + AIR || packet.height() == 0.0 {
        return;
    }
    let by = if packet.bottom() + AIR > bottom {
        packet.bottom() + AIR - bottom
    } else if packet.top() < top + AIR {
        packet.top() - AIR - top
    } else {
        return;
    };
    sheet.scroll_by_with_x_and_y(0.0, by);
}

/// So much is to be seen around the packet, in pixels.
const AIR: f64 = 12.0;

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
pub fn check_icon(ok: bool) -> El {
    let word = if ok { "holds: " } else { "does not hold: " };
    let icon = if ok { icons::check() } else { icons::cross() };
    el("span").class(if ok { "yes" } else { "no" }).add(icon).add(unseen(word))
}
