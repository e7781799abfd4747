//! The prose, the goals, and what is true.

use crate::dom::{maybe, part};
use crate::icons;
use crate::load::Loaded;
use crate::state::State;
use crate::url::Link;
use leptos::prelude::*;
use workshop::{Span, spans};

/// The pane.
pub fn lesson(state: State) -> AnyView {
    part(move || {
        let loaded = state.loaded.get();
        let beats: Vec<AnyView> = loaded
            .lab
            .beats_for(&loaded.run.setting)
            .map(|beat| view! { <p>{prose(state, &loaded, beat.text)}</p> }.into_any())
            .collect();
        view! {
            <h2 class="title">{loaded.lab.title}</h2>
            {goals(&loaded)}
            {beats}
            {claims(&loaded)}
        }
        .into_any()
    })
}

/// Prose with its links; a link moves the cursor.
fn prose(state: State, loaded: &Loaded, text: &str) -> AnyView {
    let parts: Vec<AnyView> = spans(text)
        .into_iter()
        .map(|span| match span {
            Span::Text(t) => t.to_owned().into_any(),
            Span::Code(t) => view! { <code>{t.to_owned()}</code> }.into_any(),
            Span::Strong(t) => view! { <b>{t.to_owned()}</b> }.into_any(),
            Span::Link(words, key) => link(state, loaded, words, key),
        })
        .collect();
    parts.into_any()
}

fn link(state: State, loaded: &Loaded, words: &str, key: &str) -> AnyView {
    let Some(event) = loaded.moment(key) else { return words.to_owned().into_any() };
    let step = loaded.story.step_at(event);
    let default = loaded.lab.default_setting();
    let set = loaded.run.setting.iter().filter(|(k, v)| default.get(*k) != Some(*v));
    let href = Link {
        lab: loaded.lab.name.to_owned(),
        event: Some(event.0),
        host: None,
        set: set.map(|(k, v)| (k.clone(), v.clone())).collect(),
    };
    let click = move |e: leptos::ev::MouseEvent| {
        e.prevent_default();
        state.pinned.set(None);
        state.go(step);
    };
    let here = maybe(move || (state.cursor.get() == step).then_some("step"));
    view! { <a href=href.print() aria-current=here on:click=click>{words.to_owned()}</a> }.into_any()
}

fn mark(done: bool) -> AnyView {
    let word = if done { "reached: " } else { "not reached: " };
    let icon = if done { icons::checked_box() } else { icons::open_box() };
    view! { <span class="mark" class:done=done>{icon}<span class="sr">{word}</span></span> }.into_any()
}

fn goals(loaded: &Loaded) -> AnyView {
    let list: Vec<AnyView> = loaded
        .run
        .goals
        .iter()
        .map(|g| view! { <li class="goal">{mark(g.reached)}<span>{g.text.clone()}</span></li> }.into_any())
        .collect();
    view! { <h3 class="sr">"Goal"</h3><ul class="goals">{list}</ul> }.into_any()
}

/// What is true in this setting, judged on this run.
fn claims(loaded: &Loaded) -> AnyView {
    let list: Vec<AnyView> = loaded
        .run
        .claims
        .iter()
        .filter(|c| c.applies)
        .map(|c| view! { <li>{mark(c.holds)}<span>{c.text.clone()}</span></li> }.into_any())
        .collect();
    view! { <details class="facts"><summary>"Checked on this run"</summary><ul class="claims">{list}</ul></details> }.into_any()
}
