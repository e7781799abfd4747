//! What the programs print, what must not be missed, and what would change it.

use super::unseen;
use crate::dom::{NONE, View, before_paint, el, part};
use crate::icons;
use crate::state::State;
use sim::view::{TermLine, Tone};
use workshop::cure::Cure;

/// The terminal of the client with the line to type in, what must not be missed, and what would change it.
pub fn terminal(state: State, input: View) -> View {
    let lines = part(move || {
        let (loaded, now) = (state.loaded.get(), state.now());
        let all = loaded.terminal();
        // At the last step there is all: also of commands behind it, which send nothing.
        let over = state.cursor.get() + 1 >= loaded.story.steps.len();
        let there = all.iter().take_while(|l| over || l.event <= now).count();
        let (so_far, later) = all.split_at(there);
        let prints = later.first().is_some_and(|l| !l.command);
        let waits = so_far.last().is_some_and(|l| l.command && (prints || loaded.story.terminal.contains(l)));
        let mut out: Vec<View> = so_far.iter().map(|l| line(state, l)).collect();
        if waits {
            out.push(el("p").class("wait").add(el("span").class("caret")).add(unseen("waiting")).into());
        }
        out.into()
    });
    let alert = part(move || {
        let loaded = state.loaded.get();
        let cursor = state.cursor.get();
        let Some(a) = loaded.alert_at(cursor) else { return NONE };
        let step = a.step;
        el("button")
            .class("callout")
            .class_if("fresh", step == cursor)
            .click(move || state.go(step))
            .add(icons::warning())
            .add(el("span").add(a.text.clone()))
            .into()
    });
    let term = el("div")
        .class("term mono")
        .attr("role", "log")
        .attr("aria-label", "Terminal")
        .attr("aria-live", "off")
        // It scrolls: by keyboard as well.
        .attr("tabindex", "0")
        .watch(move |term| {
            state.cursor.track();
            state.desk.drawer.track();
            let term = term.clone();
            before_paint(move || term.set_scroll_top(term.scroll_height()));
        })
        .add(lines);
    View::All(vec![term.into(), input, alert, part(move || cures(state))])
}

fn line(state: State, l: &TermLine) -> View {
    let named = |d: &crate::load::Loaded| Some(d.world().host(l.host?)?.name.clone());
    let host = state.loaded.with_untracked(|d| named(d).unwrap_or_default());
    if l.command {
        return el("p").add(el("span").class("prompt").add(host + "$ ")).add(l.text.clone()).into();
    }
    let class = match l.tone {
        Tone::Bad => "bad",
        Tone::Strong => "good",
        _ => "",
    };
    el("p").class(class).add(l.text.clone()).into()
}

/// What would change it.
fn cures(state: State) -> View {
    // The question is in the room only when something has gone wrong, or when all is over and a goal is missed.
    let cursor = state.cursor.get();
    let (failed, missed) = state.loaded.with(|l| match l.alert_at(cursor) {
        Some(_) => (true, Vec::new()),
        None => (l.complains_at(cursor), l.missed_at(cursor)),
    });
    let list = state.cures.get();
    if !failed && missed.is_empty() || missed.is_empty() && list.is_empty() || !crate::cures::may_tell(state)
    {
        return NONE;
    }
    let [one, all] =
        if missed.is_empty() { ["lets it through", "let it through"] } else { ["reaches it", "reach it"] };
    let mut out = el("div").class("try");
    for text in missed {
        out = out.add(el("p").add(format!("Not reached: {text}.")));
    }
    let two = list.iter().any(|c| c.name.contains(" and "));
    let says = match (two, list.len()) {
        (_, 0) => return out.into(),
        (true, _) => format!("Two changes {all}:"),
        (_, 1) => format!("This change {one}:"),
        _ => format!("Any of these {one}:"),
    };
    let list: Vec<View> = list.into_iter().map(|c| cure(state, c)).collect();
    out.add(el("p").add(el("b").add(says))).add(list).into()
}

/// A change that helps, as its commands, with the button that makes it.
pub fn cure(state: State, cure: Cure) -> View {
    // What a person reads first, unless it is the command itself. It is broken behind a sign, not in a word.
    let name = (cure.commands.first().is_some_and(|c| c.line != cure.name))
        .then(|| el("b").add(cure.name.replace('=', "=\u{200b}")));
    let lines = el("code").add(cure.lines().join("\n"));
    let session = cure.session;
    let apply = el("button")
        .class("btn ghost")
        .class("apply")
        .click(move || {
            state.edit(|now| now.clone_from(&session));
        })
        .attr("title", format!("{}: apply and run again", cure.name))
        .add("Apply");
    el("div").class("cure").add(name).add(apply).add(lines).into()
}
