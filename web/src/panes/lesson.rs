//! The prose, the goals, and what is true.

use super::unseen;
use crate::dom::{El, View, el, part};
use crate::icons;
use crate::load::Loaded;
use crate::state::State;
use crate::url::Link;
use workshop::{Span, spans};

/// The pane.
pub fn lesson(state: State) -> View {
    part(move || {
        let loaded = state.loaded.get();
        if loaded.lab.exercise.is_some() {
            return crate::course::pane(state);
        }
        let mut out = vec![el("h2").class("title").add(loaded.lab.title.clone()).into(), goals(&loaded)];
        for beat in loaded.lab.beats_for(&loaded.run.setting) {
            out.push(prose(state, &loaded, &beat.text));
        }
        out.push(claims(&loaded));
        out.into()
    })
}

/// Prose with its links; a link moves the cursor.
pub fn prose(state: State, loaded: &Loaded, text: &str) -> View {
    let mut p = el("p");
    for span in spans(text) {
        p = match span {
            Span::Text(t) => p.add(t.to_owned()),
            Span::Code(t) => p.add(el("code").add(t.to_owned())),
            Span::Strong(t) => p.add(el("b").add(t.to_owned())),
            Span::Link(words, key) => p.add(link(state, loaded, words, key)),
        };
    }
    p.into()
}

fn link(state: State, loaded: &Loaded, words: &str, key: &str) -> View {
    let Some(event) = loaded.moment(key) else { return words.to_owned().into() };
    let step = loaded.story.step_at(event);
    let href = Link { event: Some(event.0), ..Link::of(&loaded.session) };
    el("a")
        .attr("href", href.print())
        .maybe("aria-current", "step", move || state.cursor.get() == step)
        .on("click", move |e| {
            e.prevent_default();
            state.pinned.set(None);
            state.go(step);
        })
        .add(words.to_owned())
        .into()
}

/// A statement and whether it is so, in an item of a list. The words are for who does not see the mark.
pub fn judged(is: bool, text: impl Into<View>, yes: &'static str, no: &'static str) -> El {
    let icon = if is { icons::checked_box() } else { icons::open_box() };
    let word = unseen(if is { yes } else { no });
    let mark = el("span").class("mark").class_if("done", is).add(icon).add(word);
    el("li").add(mark).add(el("span").add(text))
}

fn goals(loaded: &Loaded) -> View {
    let mut list = el("ul").class("goals");
    for g in &loaded.run.goals {
        list = list.add(judged(g.reached, g.text.clone(), "reached: ", "not reached: ").class("goal"));
    }
    View::All(vec![el("h3").class("sr").add("Goal").into(), list.into()])
}

/// What is true in this setting, judged on this run.
fn claims(loaded: &Loaded) -> View {
    let mut list = el("ul").class("claims");
    for c in loaded.run.claims.iter().filter(|c| c.applies) {
        list = list.add(judged(c.holds, c.text.clone(), "holds: ", "does not hold: "));
    }
    el("details").class("facts").add(el("summary").add("Checked on this run")).add(list).into()
}
