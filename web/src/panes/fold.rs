//! Whether the tables at the bottom are unfolded: in a window that has the room for them, or where somebody has asked for them.

use crate::dom::{View, effect, el, text};
use crate::icons;
use crate::state::State;
use crate::watched::Watched;
use leptos::prelude::document;

/// Windows that have the room; and those that have it where all is larger.
const ROOMY: &str = "(min-width: 1181px) and (min-height: 1000px)";
const ROOMY_PROJECTED: &str = "(min-width: 1535px) and (min-height: 1300px)";

/// Whether the window has the room.
pub fn is_roomy() -> bool {
    let root = document().document_element();
    let projected = root.is_some_and(|root| root.has_attribute("data-projector"));
    crate::media(if projected { ROOMY_PROJECTED } else { ROOMY })
}

/// What is known of it.
pub struct Fold {
    /// What was asked for last, if anything.
    asked: Watched<Option<bool>>,
    /// The window has the room.
    pub roomy: Watched<bool>,
}

impl Default for Fold {
    fn default() -> Fold {
        Fold { asked: Watched::new(None), roomy: Watched::new(true) }
    }
}

impl Fold {
    /// The tables are to be seen. One pane at a time is never folded.
    pub fn open(&self, narrow: bool, busy: bool) -> bool {
        narrow || self.asked.get().unwrap_or_else(|| self.roomy.get() && !busy)
    }

    /// Unfolds them, if they are not.
    pub fn unfold(&self) {
        if self.asked.get_untracked() != Some(true) {
            self.asked.set(Some(true));
        }
    }
}

/// The tables are to be seen.
pub fn unfolded(state: State) -> bool {
    // What is done on the workbench needs the room more.
    let busy = state.desk.drawer.with(Option::is_some);
    state.fold.open(state.narrow.get(), busy)
}

/// Who asks for another table wants to see it.
pub fn follow_tab(state: State) {
    let mut last = state.tab.get_untracked();
    effect(move || {
        let tab = state.tab.get();
        if std::mem::replace(&mut last, tab) != tab {
            state.fold.unfold();
        }
    });
}

/// The button that folds and unfolds.
pub fn button(state: State) -> View {
    let name = text(move || if unfolded(state) { "Hide tables" } else { "Show tables" }.to_owned());
    el("button")
        .class("btn quiet foldbutton")
        .id("fold-tables")
        .live("aria-expanded", move || unfolded(state).to_string())
        .attr("aria-controls", "tables-panel")
        .click(move || state.fold.asked.set(Some(!leptos::prelude::untrack(|| unfolded(state)))))
        .add(icons::fold())
        .add(el("span").class("sr").add(name))
        .into()
}
