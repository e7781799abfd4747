//! A lab as part of somebody's article: only the picture, the timeline and a link to the whole page.
//!
//! `web/assets/boot.js` marks the page before it is drawn, and `web/style/shell.css` leaves out what is not to be seen.

use crate::dom::{View, el, text};
use crate::state::State;
use leptos::prelude::*;

/// Whether the page is shown inside another one.
pub fn is_on() -> bool {
    document().document_element().is_some_and(|root| root.has_attribute("data-embed"))
}

/// The lab's title, and the way to the whole page at the same moment.
pub fn bar(state: State) -> View {
    let title = text(move || state.loaded.with(|l| l.lab.title.clone()));
    let link = el("a")
        .id("whole")
        .attr("target", "_blank")
        .attr("rel", "noopener")
        .live("href", move || whole(&state.link().print()))
        .add("Open in Netfilter Lab");
    el("header").class("embed-bar").add(el("h1").add(title)).add(link).into()
}

/// The page's address with another fragment and without the word that makes it small.
fn whole(fragment: &str) -> String {
    let path = window().location().pathname().unwrap_or_default();
    format!("{path}{fragment}")
}
