//! What captures have seen up to the cursor: list, fields, bytes.

use super::detail::detail;
use super::sniff::{Asked, Reading, follow, move_in_list, reading};
use super::table::row_of;
use super::virtual_list::{Rows, virtual_list};
use super::{copy_button, space};
use crate::dom::{El, NONE, View, effect, el, part};
use crate::state::State;
use crate::topology_kind as kind;
use kernel::{DevId, NetnsId};
use leptos::prelude::*;
use sim::view::{CaptureLine, Flow};
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, HtmlInputElement, KeyboardEvent, Url};

/// The lines of the frames that pass: their places among all that were captured here, and among all lines.
fn lines(state: State, all: &[CaptureLine], reading: &Reading) -> Rc<[(u32, u32)]> {
    // Who filters says what is noise.
    let noise = state.noise.get() || !matches!(reading.asked, Asked::All | Asked::Wrong(_));
    let passed = reading.passed.iter().filter_map(|i| {
        let event = reading.captures.taken.get(*i)?.event;
        let at = all.binary_search_by_key(&event, |l| l.event).ok()?;
        let shown = noise || !all.get(at)?.noise;
        shown.then_some((u32::try_from(*i).ok()?, u32::try_from(at).ok()?))
    });
    passed.collect()
}

/// Keeps what is listed up to date, and the chosen frame in sight.
fn follow_list(state: State) {
    effect(move || {
        let (loaded, reading) = (state.loaded.get(), reading(state));
        state.sniff.listed.set(lines(state, loaded.capture(), &reading));
    });
    effect(move || {
        let (listed, chosen) = (state.sniff.listed.get(), state.sniff.chosen.get());
        let at = chosen.and_then(|c| listed.binary_search_by_key(&c, |l| l.0 as usize).ok());
        if let Some(row) = at.and_then(|at| u32::try_from(at).ok()) {
            state.sniff.place.show(row);
        }
    });
}

/// A line that is listed.
fn listed(state: State, row: u32) -> Option<(u32, u32)> {
    state.sniff.listed.with_untracked(|l| l.get(row as usize).copied())
}

/// How many lines have been captured up to the cursor.
fn captured(state: State) -> u32 {
    let (loaded, now) = (state.loaded.get(), state.now());
    let before = |at: u32| loaded.capture().get(at as usize).is_some_and(|l| l.event <= now);
    let count = state.sniff.listed.with(|l| l.partition_point(|(_, at)| before(*at)));
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Goes to where a line was captured.
fn go(state: State, row: u32) {
    let loaded = state.loaded.get_untracked();
    let line = listed(state, row).and_then(|(_, at)| loaded.capture().get(at as usize));
    if let Some(line) = line {
        state.go(loaded.story.step_at(line.event));
    }
}

/// The tab.
pub fn capture(state: State) -> View {
    follow(state);
    follow_list(state);
    let rows = Rows {
        len: Box::new(move || captured(state)),
        lines: 2,
        row: Box::new(move |n, el| row(state, n, el)),
        enter: Box::new(move |n| go(state, n)),
    };
    let list = virtual_list("cap", "Packets".to_owned(), Rc::clone(&state.sniff.place), rows);
    let list = el("div")
        .class("caplist")
        .on("click", move |e| {
            let row = e.target().and_then(|t| row_of(&t));
            if let Some(row) = row {
                go(state, row);
            }
        })
        .on("keydown", move |e| {
            let e: &KeyboardEvent = e.unchecked_ref();
            match e.key().as_str() {
                "j" => move_in_list(state, true),
                "k" => move_in_list(state, false),
                _ => return,
            };
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
            let lines = lines(state, loaded.capture(), &reading);
            let all = lines.iter().filter_map(|(_, at)| loaded.capture().get(*at as usize));
            all.filter(|l| l.event <= now).map(|l| l.line() + "\n").collect()
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
        let hosts = loaded.world().hosts().iter().filter(|h| loaded.capture().iter().any(|l| l.host == h.id));
        let now = state.captured.get();
        let option = |h: &kernel::Netns| {
            let option = el("option").attr("value", h.id.0.to_string()).add(h.name.clone());
            if now == Some(h.id) { option.attr("selected", "").into() } else { option.into() }
        };
        View::All(hosts.map(option).collect())
    });
    let choose = el("select")
        .attr("aria-label", "Box")
        .on("change", move |e| {
            state.sniff.device.set(None);
            state.captured.set(event_target_value(e).parse().ok().map(NetnsId));
        })
        .add(el("option").attr("value", "").add("all boxes"))
        .add(boxes)
        .input(move || {
            state.loaded.track();
            state.captured.get().map(|id| id.0.to_string()).unwrap_or_default()
        });
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

/// A line: who saw it and where in the first row, what it was in the second.
fn row(state: State, n: u32, to: El) -> El {
    let loaded = state.loaded.get_untracked();
    let Some((i, at)) = listed(state, n) else { return to };
    let Some(l) = loaded.capture().get(at as usize) else { return to };
    let host = loaded.world().host(l.host).map_or(String::new(), |h| h.name.clone());
    let flow = loaded.story.packet(l.packet).map_or(Flow::Noise, |p| p.flow);
    let line = l.line();
    // The length ends what tcpdump says of the frame.
    let end = line.find(", length ").and_then(|at| line[at..].find(": ").map(|n| at + n + 2));
    let (frame, packet) = line.split_at(end.unwrap_or(0));
    let cell = el("span")
        .class("capline")
        .attr("role", "gridcell")
        .add(
            el("span")
                .class("capframe")
                .add(el("span").class("capno").add((i + 1).to_string()))
                .add(el("span").class("box").add(host))
                .add(" ")
                .add(frame.to_owned()),
        )
        .add(el("span").class("cappacket").add(packet.to_owned()));
    let is_now = state.sniff.chosen.get() == Some(i as usize);
    to.class(kind(flow)).class("two").class_if("now", is_now).add(cell)
}
