//! What captures have seen up to the cursor: list, fields, bytes.

use super::detail::detail;
use super::sniff::{Asked, Reading, follow, move_in_list, reading};
use super::{copy_button, space};
use crate::dom::{NONE, View, el, part};
use crate::state::State;
use crate::topology_kind as kind;
use kernel::{DevId, NetnsId};
use leptos::prelude::*;
use sim::view::{CaptureLine, Flow};
use wasm_bindgen::JsCast;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, HtmlInputElement, KeyboardEvent, Url};

/// The lines of the frames that pass, with their places among all that were captured.
fn lines<'a>(state: State, all: &'a [CaptureLine], reading: &'a Reading) -> Vec<(usize, &'a CaptureLine)> {
    // Who filters says what is noise.
    let noise = state.noise.get() || !matches!(reading.asked, Asked::All | Asked::Wrong(_));
    let passed = reading.passed.iter().filter_map(|i| {
        let event = reading.captures.taken.get(*i)?.event;
        let at = all.binary_search_by_key(&event, |l| l.event).ok()?;
        Some((*i, all.get(at)?))
    });
    passed.filter(|(_, l)| noise || !l.noise).collect()
}

/// The tab.
pub fn capture(state: State) -> View {
    follow(state);
    let rows = part(move || {
        let (loaded, reading) = (state.loaded.get(), reading(state));
        let lines = lines(state, &loaded.story.capture, &reading);
        View::All(lines.into_iter().map(|(i, l)| row(state, i, l)).collect())
    });
    let list = el("ol").class("cap mono").attr("aria-label", "Packets").add(rows);
    let list = el("div")
        .class("caplist")
        .attr("tabindex", "0")
        .attr("role", "group")
        .attr("aria-label", "Packets")
        .on("keydown", move |e| {
            let e: &KeyboardEvent = e.unchecked_ref();
            let moved = match e.key().as_str() {
                "j" | "ArrowDown" => move_in_list(state, true),
                "k" | "ArrowUp" => move_in_list(state, false),
                _ => return,
            };
            if moved {
                crate::before_paint(|| crate::focus_on("cap-now"));
            }
            e.prevent_default();
            e.stop_propagation();
        })
        .add(list);
    let list = el("div").class("capside").add(wrong(state)).add(list);
    el("div").class("sniff").add(list).add(detail(state)).into()
}

/// What is wrong with the filter, and where.
fn wrong(state: State) -> View {
    part(move || {
        let reading = reading(state);
        let text = state.sniff.filter.get();
        let says = match &reading.asked {
            Asked::Wrong(wrong) => {
                let skip = usize::try_from(wrong.span.col).unwrap_or(1).saturating_sub(1);
                let len = usize::try_from(wrong.span.len).unwrap_or(1);
                let chars = || text.chars();
                let bad: String = chars().skip(skip).take(len).collect();
                let bad = if bad.is_empty() { "\u{a0}\u{a0}".to_owned() } else { bad };
                el("p")
                    .class("wrongfilter")
                    .attr("role", "alert")
                    .add(
                        el("code")
                            .class("mono")
                            .add(chars().take(skip).collect::<String>())
                            .add(el("u").add(bad))
                            .add(chars().skip(skip + len).collect::<String>()),
                    )
                    .add(format!(" {}: {}", wrong.message, wrong.help))
            }
            Asked::Tcpdump(_) => el("p").class("quiet asfilter").add("Read as a filter of tcpdump."),
            _ => return NONE,
        };
        el("div").id("filter-says").add(says).into()
    })
}

/// What stands beside the tabs: filter, boxes and devices, copy, download.
pub fn capture_tools(state: State) -> View {
    let text = move || {
        untrack(|| {
            let (now, loaded, reading) = (state.now(), state.loaded.get(), reading(state));
            let lines = lines(state, &loaded.story.capture, &reading);
            lines.iter().filter(|(_, l)| l.event <= now).map(|(_, l)| l.line() + "\n").collect()
        })
    };
    let filter = el("input")
        .id("display-filter")
        .attr("type", "search")
        .attr("spellcheck", "false")
        .attr("autocomplete", "off")
        .attr("placeholder", "display filter: tcp.flags.syn == 1")
        .attr("aria-label", "Display filter")
        .attr("aria-describedby", "filter-says")
        .class("mono filterbox")
        .live("aria-invalid", move || matches!(reading(state).asked, Asked::Wrong(_)).to_string())
        .input(move || state.sniff.filter.get())
        .on("input", move |e| {
            if let Some(input) = e.target().and_then(|t| t.dyn_into::<HtmlInputElement>().ok()) {
                state.sniff.filter.set(input.value());
            }
        });
    let boxes = part(move || {
        let loaded = state.loaded.get();
        let hosts =
            loaded.world().hosts().iter().filter(|h| loaded.story.capture.iter().any(|l| l.host == h.id));
        let option =
            |h: &kernel::Netns| el("option").attr("value", h.id.0.to_string()).add(h.name.clone()).into();
        View::All(hosts.map(option).collect())
    });
    let choose = el("select")
        .attr("aria-label", "Box")
        .on("change", move |e| {
            state.sniff.device.set(None);
            state.captured.set(event_target_value(e).parse().ok().map(NetnsId));
        })
        .add(el("option").attr("value", "").add("all boxes"))
        .add(boxes);
    let devices = part(move || {
        let loaded = state.loaded.get();
        let Some(ns) = state.captured.get().and_then(|id| loaded.world().host(id)) else { return NONE };
        let mut select = el("select")
            .attr("aria-label", "Device")
            .on("change", move |e| state.sniff.device.set(event_target_value(e).parse().ok().map(DevId)))
            .add(el("option").attr("value", "").add("any"));
        for d in ns.devices() {
            select = select.add(el("option").attr("value", d.id.0.to_string()).add(d.name.clone()));
        }
        select.into()
    });
    el("div")
        .class("tools")
        .add(filter)
        .add(choose)
        .add(devices)
        .add(space())
        .add(copy_button(state, "capture", text))
        .add(
            el("button")
                .class("btn quiet")
                .id("pcapng")
                .attr("title", "All packets of these devices, with what netfilter did to them as comments, for Wireshark")
                .click(move || download(state))
                .add("Download .pcapng"),
        )
        .into()
}

/// Hands the file to the browser; no request is made.
fn download(state: State) {
    let (loaded, reading) = untrack(|| (state.loaded.get(), reading(state)));
    let bytes = reading.captures.pcapng(loaded.world());
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(&bytes[..]));
    let kind = BlobPropertyBag::new();
    kind.set_type("application/x-pcapng");
    let Ok(blob) = Blob::new_with_u8_array_sequence_and_options(&parts, &kind) else { return };
    let Ok(url) = Url::create_object_url_with_blob(&blob) else { return };
    let link = document().create_element("a").ok().and_then(|a| a.dyn_into::<HtmlAnchorElement>().ok());
    if let Some(link) = link {
        link.set_href(&url);
        link.set_download(&format!("{}.pcapng", loaded.lab.name));
        link.click();
    }
    let _ = Url::revoke_object_url(&url);
}

fn row(state: State, i: usize, l: &CaptureLine) -> View {
    let event = l.event;
    let step = state.loaded.with_untracked(|d| d.story.step_at(event));
    let (host, flow) = state.loaded.with_untracked(|d| {
        let host = d.world().host(l.host).map_or(String::new(), |h| h.name.clone());
        (host, d.story.packet(l.packet).map_or(Flow::Noise, |p| p.flow))
    });
    let is_now = move || state.sniff.chosen.get() == Some(i);
    let button = el("button")
        .click(move || state.go(step))
        .attr("tabindex", "-1")
        .maybe("id", "cap-now", is_now)
        .maybe("aria-current", "true", is_now)
        .add(el("span").class("no").add((i + 1).to_string()))
        .add(el("span").class("box").add(host))
        .add(l.line());
    el("li")
        .class(kind(flow))
        .flag("now", is_now)
        .flag("later", move || state.cursor.get() < step)
        .add(button)
        .into()
}
