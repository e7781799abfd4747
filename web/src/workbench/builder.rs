//! A lab becomes an exercise: what breaks it, what mends it, what does not, and the words.

use super::Drawer;
use crate::dom::{El, NONE, View, el, part};
use crate::state::{Pane, State};
use crate::watched::Watched;
use leptos::prelude::*;
use std::rc::Rc;
use workshop::exercise::{Draft, check};
use workshop::{At, Typed, read_lab};

/// An exercise in the making.
#[derive(Default)]
pub struct Builder {
    draft: Watched<Option<Draft>>,
    /// What there is to say: findings of the check, or that there are none.
    told: Watched<Vec<String>>,
    /// What is to be said of the next wrong turn.
    why: Watched<String>,
}

/// A field of the draft: its id, its label, whether it has several lines, and how it is read and written.
type Field = (&'static str, &'static str, bool, fn(&Draft) -> String, fn(&mut Draft, String));

const FIELDS: [Field; 9] = [
    ("name", "Name, as in a file's name", false, |d| d.name.clone(), |d, t| d.name = t),
    ("title", "Title", false, |d| d.title.clone(), |d, t| d.title = t),
    ("summary", "What is the matter, in a sentence", false, |d| d.summary.clone(), |d, t| d.summary = t),
    ("prose", "What the learner reads first", true, |d| d.prose.clone(), |d, t| d.prose = t),
    ("task", "What is to be done", true, |d| d.task.clone(), |d, t| d.task = t),
    (
        "minutes",
        "Minutes",
        false,
        |d| d.minutes.to_string(),
        |d, t| d.minutes = t.trim().parse().unwrap_or(d.minutes),
    ),
    ("hints", "Hints, one a line", true, |d| d.hints.join("\n"), |d, t| d.hints = split(&t)),
    (
        "explanation",
        "What happened, a paragraph a line",
        true,
        |d| d.explanation.join("\n"),
        |d, t| d.explanation = split(&t),
    ),
    ("notes", "For the trainer", true, |d| d.notes.clone(), |d, t| d.notes = t),
];

fn split(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Shows the drawer beside the lab.
pub fn open(state: State) {
    crate::course::place(state, crate::course::Place::Lab);
    state.pane.set(Pane::Map);
    state.desk.drawer.set(Some(Drawer::Builder));
    // What breaks a lab comes before its steps.
    let draft = state.desk.draft.get_untracked();
    state.desk.draft.set(Typed { at: At::Setup, ..draft });
    crate::focus_soon("builder-head");
}

/// The drawer.
pub fn drawer(state: State) -> View {
    let close = el("button")
        .class("btn quiet")
        .id("builder-close")
        .click(move || state.desk.drawer.set(None))
        .add("Close");
    let head = el("div")
        .class("course-head")
        .add(el("h3").id("builder-head").attr("tabindex", "-1").add("An exercise of this lab"))
        .add(crate::panes::space())
        .add(close);
    View::All(vec![head.into(), part(move || body(state))])
}

fn button(id: &'static str, words: &'static str, f: impl FnMut() + 'static) -> El {
    el("button").class("btn").id(id).click(f).add(words)
}

fn tell(state: State, what: String) {
    state.desk.builder.told.set(vec![what]);
}

fn body(state: State) -> View {
    let told = part(move || {
        let told = state.desk.builder.told.get();
        let list = told.into_iter().map(|t| el("li").add(t).into()).collect();
        el("ul").id("builder-told").attr("role", "status").add(View::All(list)).into()
    });
    let begin = move || {
        let session = state.loaded.with_untracked(|l| l.session.clone());
        match Draft::new(&session) {
            Ok(draft) => {
                state.desk.builder.told.set(Vec::new());
                state.desk.builder.draft.set(Some(draft));
            }
            Err(e) => tell(state, e),
        }
    };
    // The words must not be drawn anew while they are written: only steps and ways look at the draft.
    if state.desk.builder.draft.with(Option::is_none) {
        return View::All(vec![
            el("p").add("Break the lab: flip switches, type commands at setup. Then:").into(),
            button("builder-start", "This is the start", begin).class("primary").into(),
            told,
        ]);
    }
    let ways = el("div")
        .class("row")
        .add(button("builder-solution", "What was typed since is a solution", move || take(state, false)))
        .add(
            el("label").class("field").add(el("span").add("What to say of a wrong turn")).add(
                el("input")
                    .attr("type", "text")
                    .id("builder-why")
                    .input(move || state.desk.builder.why.get())
                    .on("input", move |e| state.desk.builder.why.set(event_target_value(e))),
            ),
        )
        .add(button("builder-wrong", "What was typed since is a wrong turn", move || take(state, true)));
    let mut words = el("div").class("builder-words");
    for field in FIELDS {
        words = words.add(input(state, field));
    }
    let done = el("div")
        .class("row")
        .add(button("builder-check", "Check", move || drop(finished(state))))
        .add(button("builder-save", "Save as a file", move || save(state)))
        .add(button("builder-again", "Throw it away", move || state.desk.builder.draft.set(None)));
    View::All(vec![part(move || goals(state)), ways.into(), words.into(), done.into(), told])
}

/// Changes the draft without drawing anew what is being written.
fn change(state: State, f: impl FnOnce(&mut Draft)) {
    if let Some(mut draft) = state.desk.builder.draft.get_untracked() {
        f(&mut draft);
        state.desk.builder.draft.set(Some(draft));
    }
}

/// Which steps are to succeed, and which ways there are.
fn goals(state: State) -> View {
    let Some(draft) = state.desk.builder.draft.get() else { return NONE };
    let mut set = el("fieldset").class("question").add(el("legend").add("These steps are to succeed"));
    for step in draft.start.lab.steps.iter().filter(|s| !s.id.is_empty()) {
        let (id, is) = (step.id.clone(), draft.goals.contains(&step.id));
        let flip = move |_: &web_sys::Event| {
            let id = id.clone();
            change(state, move |d| match d.goals.iter().position(|g| *g == id) {
                Some(at) => drop(d.goals.remove(at)),
                None => d.goals.push(id),
            });
        };
        let tick = el("input")
            .attr("type", "checkbox")
            .attr("id", format!("builder-goal-{}", step.id))
            .checked(move || is)
            .on("change", flip);
        set = set.add(el("label").add(tick).add(step.title.clone()));
    }
    let way = |what: &str, way: &[Typed]| {
        let lines: Vec<&str> = way.iter().map(|t| t.line.as_str()).collect();
        el("li").add(format!("{what}: ")).add(el("code").add(lines.join("; "))).into()
    };
    let mut list: Vec<View> = vec![way("The start", &draft.start.typed)];
    list.extend(draft.solutions.iter().map(|w| way("Solution", w)));
    list.extend(draft.wrong.iter().map(|(_, w)| way("Wrong turn", w)));
    View::All(vec![set.into(), el("ul").id("builder-ways").add(View::All(list)).into()])
}

fn input(state: State, field: Field) -> El {
    let (id, label, long, get, set) = field;
    let now = move || state.desk.builder.draft.with_untracked(|d| d.as_ref().map(get).unwrap_or_default());
    let input = if long { el("textarea").attr("rows", "2") } else { el("input").attr("type", "text") };
    el("label").class("field").add(el("span").add(label)).add(
        input.attr("id", format!("builder-{id}")).input(now).on("change", move |e| {
            let text = event_target_value(e);
            change(state, |d| set(d, text));
        }),
    )
}

/// Takes over what was typed, and goes back to the start.
fn take(state: State, is_wrong: bool) {
    let Some(draft) = state.desk.builder.draft.get_untracked() else { return };
    let session = state.loaded.with_untracked(|l| l.session.clone());
    match draft.way(&session) {
        Ok(way) => {
            let why = state.desk.builder.why.get_untracked();
            change(state, |d| match is_wrong {
                true => d.wrong.push((why, way)),
                false => d.solutions.push(way),
            });
            state.desk.builder.why.set(String::new());
            state.desk.builder.told.set(Vec::new());
            state.edit(|session| session.clone_from(&draft.start));
        }
        Err(e) => tell(state, format!("This cannot be taken over: {e}.")),
    }
}

/// The text, if the check finds nothing; what it finds is told.
fn finished(state: State) -> Option<String> {
    let text = state.desk.builder.draft.with_untracked(|d| d.as_ref().map(Draft::print))?;
    let found = match read_lab(&text) {
        Ok(lab) => check(&Rc::new(lab)).unwrap_or_else(|e| vec![e]),
        Err(wrong) => vec![wrong.show("exercise", &text)],
    };
    let is_well = found.is_empty();
    let well = "It fails at the start, passes with each solution, and fails with each wrong turn.".to_owned();
    state.desk.builder.told.set(if is_well { vec![well] } else { found });
    is_well.then_some(text)
}

fn save(state: State) {
    let Some(text) = finished(state) else { return };
    let name = state.desk.builder.draft.with_untracked(|d| d.as_ref().map(|d| d.name.trim().to_owned()));
    if super::download(&format!("{}.yaml", name.unwrap_or_default()), &text).is_err() {
        tell(state, "The browser does not save the file.".to_owned());
    }
}
