//! Commands: the line in which they are typed, and the list of those that were.

use crate::dom::{NONE, View, before_paint, el, part};
use crate::icons;
use crate::panes::{prompt, unseen};
use crate::state::State;
use leptos::prelude::*;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::KeyboardEvent;
use workshop::{At, Typed};

/// The id of the line.
const LINE: &str = "command-line";

/// Moves the focus to the line.
pub fn focus_input(state: State) {
    state.pane.set(crate::state::Pane::Map);
    before_paint(|| crate::focus_on(LINE));
}

/// Where and when a command of this draft is run.
fn place(state: State, draft: &Typed) -> At {
    let lab = state.loaded.with_untracked(|l| Rc::clone(&l.lab));
    // An exercise says itself when its commands are run.
    if lab.exercise.is_some() {
        return workshop::exercise::place(&lab, &draft.line, &draft.stdin);
    }
    match draft.at {
        // "Before this step" is meant of the step that the cursor is in.
        At::Before(_) => {
            let loaded = state.loaded.get_untracked();
            let exchange = loaded.exchange_at(state.cursor.get_untracked());
            loaded.lab_step(exchange).map_or(At::End, At::Before)
        }
        at => at,
    }
}

fn run(state: State) {
    let mut draft = state.desk.draft.get_untracked();
    if draft.line.trim().is_empty() {
        return;
    }
    // A box that the line names is meant, whichever is chosen.
    let named = Typed::of_line(&draft.line, draft.at);
    if named.on.is_some() || draft.on.is_none() {
        draft = Typed { stdin: draft.stdin, ..named };
    }
    state.desk.back.set(0);
    let typed = Typed { at: place(state, &draft), ..draft.clone() };
    state.try_typed(typed, false, move |done| {
        match done {
            // What is refused stays in the line, to be mended.
            Err(refused) => state.desk.wrong.set(Some(refused.message)),
            Ok(wrong) => {
                state.desk.wrong.set(wrong);
                state.desk.draft.set(Typed { line: String::new(), stdin: String::new(), ..draft });
            }
        }
        before_paint(|| crate::focus_on(LINE));
    });
}

/// Brings back what was typed before; `back` is arrow up.
fn recall(state: State, back: bool) {
    let typed = state.loaded.with_untracked(|l| l.session.typed.clone());
    let now = state.desk.back.get();
    let to = if back { (now + 1).min(typed.len()) } else { now.saturating_sub(1) };
    state.desk.back.set(to);
    let mut draft = state.desk.draft.get_untracked();
    match typed.len().checked_sub(to).and_then(|at| typed.get(at)) {
        Some(old) if to > 0 => {
            (draft.line, draft.on, draft.stdin) = (old.line.clone(), old.on.clone(), old.stdin.clone())
        }
        _ => draft.line = String::new(),
    }
    state.desk.draft.set(draft);
}

/// The line: where, what, when.
pub fn input(state: State) -> View {
    let on = part(move || {
        let loaded = state.loaded.get();
        let mut select =
            el("select").attr("id", "command-on").attr("aria-label", "Box").on("change", move |e| {
                let value = event_target_value(e);
                let mut draft = state.desk.draft.get_untracked();
                draft.on = (!value.is_empty()).then_some(value);
                state.desk.draft.set(draft);
            });
        let names = loaded.world().hosts().iter().map(|h| h.name.clone());
        let all = [(String::new(), "kubectl".to_owned())].into_iter();
        let all =
            all.chain(names.map(|n| (n.clone(), n))).chain([("nodes".to_owned(), "all nodes".to_owned())]);
        for (value, name) in all {
            let is = value.clone();
            let chosen = move || state.desk.draft.with(|d| d.on.as_deref().unwrap_or_default() == is);
            select = select.add(el("option").attr("value", value).maybe("selected", "", chosen).add(name));
        }
        select.input(move || state.desk.draft.with(|d| d.on.clone().unwrap_or_default())).into()
    });
    let line = el("input")
        .attr("id", LINE)
        .class("mono")
        .attr("type", "text")
        .attr("autocomplete", "off")
        .attr("autocapitalize", "off")
        .attr("spellcheck", "false")
        .attr("placeholder", "a command")
        .attr("aria-label", "Command")
        .attr("title", "Type a command (`)")
        .maybe("aria-invalid", "true", move || state.desk.wrong.get().is_some())
        .attr("aria-describedby", "command-wrong")
        .input(move || state.desk.draft.with(|d| d.line.clone()))
        .on("input", move |e| {
            let mut draft = state.desk.draft.get_untracked();
            draft.line = event_target_value(e);
            state.desk.draft.set(draft);
        })
        .on("keydown", move |e| {
            let Some(key) = e.dyn_ref::<KeyboardEvent>() else { return };
            match key.key().as_str() {
                "Enter" => run(state),
                "ArrowUp" => recall(state, true),
                "ArrowDown" => recall(state, false),
                _ => return,
            }
            e.prevent_default();
        });
    let mut when = el("select").attr("id", "command-at").attr("aria-label", "When").on("change", move |e| {
        let mut draft = state.desk.draft.get_untracked();
        draft.at = match event_target_value(e).as_str() {
            "setup" => At::Setup,
            "before" => At::Before(0),
            _ => At::End,
        };
        state.desk.draft.set(draft);
    });
    let now = move || {
        state.desk.draft.with(|d| match d.at {
            At::Setup => "setup",
            At::Before(_) => "before",
            At::End => "end",
        })
    };
    for (value, name) in [("end", "at the end"), ("before", "before this step"), ("setup", "at setup")] {
        when = when
            .add(el("option").attr("value", value).maybe("selected", "", move || now() == value).add(name));
    }
    // An exercise says itself when its commands are run.
    let fixed = move || state.loaded.with(|l| l.lab.exercise.is_some());
    let when = when.input(move || now().to_owned()).maybe("hidden", "", fixed);
    let button = el("button").class("btn").attr("id", "command-run").click(move || run(state)).add("Run");
    let wrong = part(move || match state.desk.wrong.get() {
        Some(text) => el("span").class("wrong").attr("role", "alert").add(text).into(),
        None => NONE,
    });
    let row = el("div").class("command-row").add(line).add(on).add(when).add(button);
    let wrong = el("div").id("command-wrong").add(wrong);
    el("div")
        .class("command")
        .attr("role", "group")
        .attr("aria-label", "Type a command")
        .add(row)
        .add(wrong)
        .into()
}

/// When a command is run, in words.
fn when(state: State, at: At) -> String {
    match at {
        At::Setup => "at setup".to_owned(),
        At::End => "at the end".to_owned(),
        At::Before(n) => {
            let title = state.loaded.with_untracked(|l| l.lab.steps.get(n).map(|s| s.title.clone()));
            title.map_or_else(|| "at the end".to_owned(), |title| format!("before: {title}"))
        }
    }
}

/// What was typed, each with what came of it and a button that takes it away.
pub fn list(state: State) -> View {
    let loaded = state.loaded.get();
    if loaded.session.typed.is_empty() {
        let start = el("button").class("linklike").click(move || focus_input(state)).add("Type a command");
        return el("p")
            .add(start)
            .add(": iptables, ip, sysctl, kubectl, curl, ping and others, on any box, before any step.")
            .into();
    }
    let mut list = el("ul").class("typed");
    for (n, (typed, result)) in loaded.session.typed.iter().zip(&loaded.run.typed).enumerate() {
        let remove = el("button")
            .class("btn quiet")
            .attr("aria-label", format!("Take away: {}", typed.line))
            .click(move || state.remove_typed(n))
            .add(icons::cross());
        let code = el("code").add(prompt(typed.on.as_slice(), &typed.line));
        let mut item = el("li").add(
            el("div")
                .class("typed-line")
                .add(code)
                .add(el("span").class("dim").add(when(state, typed.at)))
                .add(remove),
        );
        if !typed.stdin.is_empty() {
            let lines = typed.stdin.lines().count();
            let summary = el("summary").add(format!("{lines} lines of standard input"));
            item = item.add(el("details").add(summary).add(el("pre").class("mono").add(typed.stdin.clone())));
        }
        if let Some(wrong) = result.wrong() {
            let text = match result.refused.as_ref().and_then(|r| r.place.as_ref()) {
                Some(place) => place.show("standard input", &typed.stdin),
                None => wrong,
            };
            item = item.add(el("pre").class("wrong mono").add(unseen("refused: ")).add(text));
        } else if let Some(output) = result.output.as_ref().filter(|o| !o.stdout.is_empty()) {
            item = item.add(el("pre").class("mono out").attr("tabindex", "0").add(output.stdout.join("\n")));
        }
        list = list.add(item);
    }
    list.into()
}
