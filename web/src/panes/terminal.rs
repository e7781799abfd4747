//! What the programs print, what must not be missed, and what would change it.

use crate::dom::{click, part, parts};
use crate::icons;
use crate::load::Cure;
use crate::state::State;
use leptos::prelude::*;
use sim::view::{TermLine, Tone};

/// The terminal of the client, with a callout beside it.
pub fn terminal(state: State) -> AnyView {
    let lines = parts(move || {
        let (loaded, now) = (state.loaded.get(), state.now());
        let so_far: Vec<&TermLine> = loaded.story.terminal.iter().filter(|l| l.event <= now).collect();
        let waits = so_far.last().is_some_and(|l| l.command);
        let mut out: Vec<AnyView> = so_far.into_iter().map(|l| line(state, l)).collect();
        if waits {
            out.push(
                view! { <p class="wait"><span class="caret"></span><span class="sr">"waiting"</span></p> }
                    .into_any(),
            );
        }
        out
    });
    let alert = part(move || {
        let loaded = state.loaded.get();
        let cursor = state.cursor.get();
        loaded.story.alert_at(cursor).map(|a| {
            let (text, step) = (a.text.clone(), a.step);
            view! {
                <button class="callout" class:fresh={step == cursor} on:click=click(move || state.go(step))>
                    {icons::warning()}
                    <span>{text}</span>
                </button>
            }
        })
        .into_any()
    });
    view! {
        <div class="term mono" role="log" aria-label="Terminal" aria-live="off">{lines}</div>
        {alert}
        {part(move || cures(state))}
    }
    .into_any()
}

fn line(state: State, l: &TermLine) -> AnyView {
    let host =
        state.loaded.with_untracked(|d| d.world().host(l.host).map_or(String::new(), |h| h.name.clone()));
    if l.command {
        // The lab knows the words of the command that it stands for.
        let (client, words) = state.loaded.with_untracked(|d| d.lab.client);
        let text = if client == host { words.to_owned() } else { l.text.clone() };
        return view! { <p><span class="prompt">{format!("{host}$ ")}</span>{text}</p> }.into_any();
    }
    let class = match l.tone {
        Tone::Bad => "bad",
        Tone::Strong => "good",
        _ => "",
    };
    view! { <p class=class>{l.text.clone()}</p> }.into_any()
}

/// What would change it.
fn cures(state: State) -> AnyView {
    // The question is in the room only when something has gone wrong.
    let cursor = state.cursor.get();
    let failed = state.loaded.with(|l| l.story.alert_at(cursor).is_some());
    let list: Vec<AnyView> = state.cures.get().into_iter().map(|c| cure(state, c)).collect();
    (failed && !list.is_empty())
        .then(|| {
            view! {
                <div class="try">
                    <p>"What would let it through? " <b>"One change:"</b></p>
                    {list}
                </div>
            }
        })
        .into_any()
}

fn cure(state: State, cure: Cure) -> AnyView {
    let lines: Vec<AnyView> = cure
        .hosts
        .iter()
        .map(|h| view! { <code>{format!("{h}# {}", cure.command)}</code> }.into_any())
        .collect();
    let setting = cure.setting;
    view! {
        {lines}
        <button class="btn ghost" id="apply" on:click=click(move || state.apply(&setting))>"Apply and replay"</button>
    }
    .into_any()
}
