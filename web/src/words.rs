//! Words of a tool's line that name something: they can be chosen, and what is chosen is marked wherever it is printed.

use crate::dom::{El, el};
use crate::state::State;
use sim::view::{NameRole, Names};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event};

/// What has been chosen: a word in its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// What the word names.
    pub role: NameRole,
    /// The word.
    pub text: String,
}

const ROLES: [NameRole; 5] = [NameRole::Addr, NameRole::Port, NameRole::Chain, NameRole::Set, NameRole::Dev];

/// Adds a line to an element, word by word. Whoever draws it is told when something else is chosen.
pub fn add_line(state: State, names: &Names, line: &str, mut to: El) -> El {
    let selected = state.selected.get();
    for (text, role) in names.pieces(line) {
        to = match role {
            None => to.add(text.to_owned()),
            Some(role) => {
                let on = selected.as_ref().is_some_and(|s| s.role == role && s.text == text);
                to.add(
                    el("span")
                        .class("word")
                        .class_if("sel", on)
                        .attr("data-is", role.name())
                        .add(text.to_owned()),
                )
            }
        };
    }
    to
}

/// The word that was clicked, if it names something.
pub fn clicked(event: &Event) -> Option<Selected> {
    let target: Element = event.target()?.dyn_into().ok()?;
    of(&target)
}

/// What an element says, if it is such a word.
fn of(word: &Element) -> Option<Selected> {
    let is = word.get_attribute("data-is")?;
    let role = ROLES.into_iter().find(|r| r.name() == is)?;
    Some(Selected { role, text: word.text_content()? })
}

/// Chooses it; if it was chosen, nothing is.
pub fn choose(state: State, word: Selected) {
    let now = state.selected.get_untracked();
    state.selected.set(if now.as_ref() == Some(&word) { None } else { Some(word) });
}
