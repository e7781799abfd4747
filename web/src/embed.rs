//! A lab or an exercise as part of somebody's article. Of a lab there are the picture, the timeline and a link to the whole page; of an exercise
//! also what is to be done, the terminal and the switches.
//!
//! `web/assets/boot.js` marks the page before it is drawn, and `web/style/shell.css` leaves out what is not to be seen. Nothing is kept, so it
//! does not matter whether the browser lets a frame keep something.

use crate::dom::{NONE, View, el, part, text};
use crate::panes::switches;
use crate::state::State;
use leptos::prelude::*;

/// The word in the address that makes the page small.
const WORD: &str = "embed";

/// Whether the page is shown inside another one.
pub fn is_on() -> bool {
    document().document_element().is_some_and(|root| root.has_attribute("data-embed"))
}

/// Whether what it shows there is an exercise.
pub fn exercises(state: State) -> bool {
    is_on() && state.loaded.with(|l| l.lab.exercise.is_some())
}

/// Whether all of it is in sight at once: a lab always, an exercise where there is room. Where there is none its panes are shown one at a time.
pub fn is_compact(state: State) -> bool {
    is_on() && !(exercises(state) && state.narrow.get())
}

/// The title, the way to the whole page at the same moment, and an exercise's switches.
pub fn bar(state: State) -> View {
    let title = text(move || state.loaded.with(|l| l.lab.title.clone()));
    let link = el("a")
        .id("whole")
        .attr("target", "_blank")
        .attr("rel", "noopener")
        .live("href", move || whole(&state.link().print()))
        .add("Open in Netfilter Lab");
    let switches = part(move || if exercises(state) { switches(state) } else { NONE });
    el("header").class("embed-bar").add(el("h1").add(title)).add(link).add(switches).into()
}

/// The page's address with another fragment and without the word that makes it small.
fn whole(fragment: &str) -> String {
    let location = window().location();
    let (path, query) = (location.pathname().unwrap_or_default(), location.search().unwrap_or_default());
    format!("{path}{}{fragment}", large(&query))
}

/// A query without the word that makes the page small.
fn large(query: &str) -> String {
    let is_other = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(WORD);
    let rest: Vec<&str> = query.trim_start_matches('?').split('&').filter(is_other).collect();
    if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_whole_page_has_the_same_file() {
        assert_eq!(large("?embed"), "");
        assert_eq!(large("?embed&src=courses/mine.yaml"), "?src=courses/mine.yaml");
        assert_eq!(large("?src=a.yaml&embed="), "?src=a.yaml");
        assert_eq!(large(""), "");
    }
}
