//! A row of conntrack, as the pane under the journey shows it.

use crate::dom::{View, el};
use crate::state::State;
use sim::view::CtEntry;

/// An entry. A word that is clicked is chosen everywhere ([`crate::look::Look::word`]).
pub fn line(state: State, e: &CtEntry, fresh: bool) -> View {
    let mut p = el("p").class("row mono").class_if("fresh", fresh).class_if("pending", !e.confirmed);
    for w in &e.words {
        let text = w.text.clone();
        let value = text.split_once('=').map(|(_, v)| v.to_owned());
        let word = el(if w.nat { "b" } else { "span" }).add(text);
        // An address or a port.
        let word = match value {
            Some(v) => word.click(move || state.look.word.set(Some(v.clone()))),
            None => word,
        };
        p = p.add(word).add(" ");
    }
    if !e.confirmed {
        p = p.add(el("span").class("unconfirmed").add("unconfirmed: not in the table yet"));
    }
    p.into()
}
