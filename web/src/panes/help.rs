//! The help: keys, and what the letters and lines mean.

use super::heading;
use crate::dom::{View, el};
use crate::keys::KEYS;
use crate::state::State;
use crate::timeline::TABLES;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlDialogElement;

/// A letter of the diagram that is no table's.
const BRIDGE: (&str, &str, &str) = ("bridge", "B", "br_netfilter: no second time");

/// The dialog.
pub fn help(state: State) -> View {
    let mut keys = el("dl").class("keys");
    for (key, what) in KEYS {
        let key = el("dt").add(el("kbd").add(*key));
        keys = keys.add(el("div").add(key).add(el("dd").add(*what)));
    }
    let mut letters = el("ul").class("legend");
    for (class, letter, name) in TABLES.into_iter().chain([BRIDGE]) {
        letters = letters.add(el("li").add(el("span").class("tag").class(class).add(letter)).add(name));
    }
    let single = el("input")
        .attr("type", "checkbox")
        .checked(move || state.letters.get())
        .on("change", move |e| state.letters.set(event_target_checked(e)));
    el("dialog")
        .class("help")
        .attr("aria-labelledby", "help-title")
        .on("close", move |_| state.help.set(false))
        .watch(move |dialog| {
            let dialog: &HtmlDialogElement = dialog.unchecked_ref();
            match (state.help.get(), dialog.open()) {
                (true, false) => drop(dialog.show_modal()),
                (false, true) => dialog.close(),
                _ => {}
            }
        })
        .add(heading("h2", "help-title", "Keys and symbols"))
        .add(keys)
        .add(el("label").class("letters").add(single).add(" Keys that are single letters"))
        .add(letters)
        .add(el("p").add(
            "A box of the hook diagram is filled when the packet has been there; the number says how often. \
             A solid line is a request, a dashed one a reply, red a reset. ✕ is where a packet ended.",
        ))
        .add(el("form").attr("method", "dialog").add(el("button").class("btn primary").add("Close")))
        .into()
}
