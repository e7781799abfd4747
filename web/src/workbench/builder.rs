//! A lab becomes an exercise: what breaks it, what mends it, what does not, and the words.

use super::Drawer;
use crate::dom::{El, NONE, View, el, part};
use crate::icons;
use crate::panes::judged;
use crate::state::{Pane, State};
use crate::watched::Watched;
use leptos::prelude::*;
use std::rc::Rc;
use workshop::exercise::{Asked, Draft, Marks, check};
use workshop::fact::{Readable, recorded};
use workshop::{At, Typed, read_lab};

/// An exercise in the making.
#[derive(Default)]
pub struct Builder {
    draft: Watched<Option<Draft>>,
    /// What there is to say: findings of the check, or that there are none.
    told: Watched<Vec<String>>,
    /// What is to be said of the next wrong turn.
    why: Watched<String>,
    /// The next question, with what the start says to its answers.
    asked: Watched<(Asked, Marks)>,
    /// What is to be written as its answer: its place among those that can be read.
    what: Watched<usize>,
    /// The words of its next answer.
    answer: Watched<String>,
    /// The fact of its next answer.
    fact: Watched<String>,
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
        .add(el("h2").id("builder-head").attr("tabindex", "-1").add("An exercise of this lab"))
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
        let list = el("ul").add(View::All(list));
        el("div").id("builder-told").attr("role", "status").add(list).into()
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
        .add(line("builder-why", "What to say of a wrong turn", &state.signals().desk.builder.why))
        .add(button("builder-wrong", "What was typed since is a wrong turn", move || take(state, true)));
    let mut words = el("div").class("builder-words");
    for field in FIELDS {
        words = words.add(input(state, field));
    }
    let done = el("div")
        .class("row")
        .add(button("builder-check", "Check", move || drop(finished(state))))
        .add(button("builder-save", "Save as a file", move || save(state)))
        .add(button("builder-again", "Throw it away", move || {
            forget_question(&state.desk.builder);
            state.desk.builder.draft.set(None);
        }));
    let goals = part(move || goals(state));
    View::All(vec![goals, ways.into(), question(state), words.into(), done.into(), told])
}

/// A line that is written; nothing else is drawn anew for it.
fn line(id: &'static str, label: &'static str, text: &'static Watched<String>) -> El {
    let input = el("input").attr("type", "text").id(id);
    el("label")
        .class("field")
        .add(el("span").add(label))
        .add(input.input(move || text.get()).on("input", move |e| text.set(event_target_value(e))))
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
    for (n, asked) in draft.questions.iter().enumerate() {
        let away = el("button")
            .class("btn quiet")
            .attr("aria-label", format!("Take away: {}", asked.ask))
            .click(move || change(state, |d| drop((n < d.questions.len()).then(|| d.questions.remove(n)))))
            .add(icons::cross());
        list.push(el("li").add(format!("Question: {}", asked.ask)).add(away).into());
    }
    View::All(vec![set.into(), el("ul").id("builder-ways").add(View::All(list)).into()])
}

// ---------------------------------------------------------------------- a question

/// A question: what is to be predicted before anything moves.
fn question(state: State) -> View {
    let builder: &'static Builder = &state.signals().desk.builder;
    let ask = el("input").attr("type", "text").id("builder-ask");
    let because = el("input").attr("type", "text").id("builder-because");
    let field =
        |label: &'static str, input: El| el("label").class("field").add(el("span").add(label)).add(input);
    let ask = ask
        .input(move || builder.asked.with(|(a, _)| a.ask.clone()))
        .on("change", move |e| ask_for(builder, |a| a.ask = event_target_value(e)));
    let because = because
        .input(move || builder.asked.with(|(a, _)| a.because.clone()))
        .on("change", move |e| ask_for(builder, |a| a.because = event_target_value(e)));
    let what = el("select").id("builder-read").attr("aria-label", "What is to be written");
    let mut what = what.on("change", move |e| {
        let word = event_target_value(e);
        builder.what.set(Readable::WORDS.iter().position(|(w, _)| *w == word).unwrap_or_default());
    });
    for (word, readable) in Readable::WORDS {
        what = what.add(el("option").attr("value", word).add(readable.name()));
    }
    let answers = el("div")
        .class("row")
        .add(button("builder-record", "What happens at the cursor", move || record(state)))
        .add(line("builder-answer", "An answer", &builder.answer))
        .add(line("builder-fact", "It is right if", &builder.fact))
        .add(button("builder-choice", "Add this answer", move || add_answer(state)));
    let written = el("div")
        .class("row")
        .add(el("span").add("Or nothing to choose from: to be written is"))
        .add(what)
        .add(el("span").add("there."))
        .add(button("builder-free", "Let it be written", move || let_write(state)));
    el("fieldset")
        .class("builder-question")
        .add(el("legend").add("A question, to be answered before Play"))
        .add(field("What is asked", ask))
        .add(answers)
        .add(written)
        .add(part(move || answered(builder)))
        .add(field("What to say when it is answered", because))
        .add(
            el("div")
                .class("row")
                .add(button("builder-question", "Add the question", move || add_question(state)))
                .add(button("builder-no-question", "Forget it", move || forget_question(builder))),
        )
        .into()
}

/// Its answers so far, and what the start says to them.
fn answered(builder: &'static Builder) -> View {
    let (asked, marks) = builder.asked.get();
    let holds = marks.answers.first().cloned().unwrap_or_default();
    let mut list = el("ul").id("builder-answers").class("goals");
    for ((text, that), is) in asked.answers.iter().zip(holds) {
        let words = View::All(vec![format!("{text} ").into(), el("code").add(that.clone()).into()]);
        list = list.add(judged(is, words, "right: ", "not right: "));
    }
    if let Some((what, that)) = &asked.read {
        let is = marks.readings.first().cloned().flatten();
        let words = format!("{}: {} ", what.name(), is.as_deref().unwrap_or("there is none"));
        let words = View::All(vec![words.into(), el("code").add(that.clone()).into()]);
        list = list.add(judged(is.is_some(), words, "right: ", "nothing: "));
    }
    list.into()
}

fn ask_for(builder: &Builder, change: impl FnOnce(&mut Asked)) {
    let (mut asked, marks) = builder.asked.get_untracked();
    change(&mut asked);
    builder.asked.set((asked, marks));
}

fn forget_question(builder: &Builder) {
    builder.asked.set(Default::default());
    builder.answer.set(String::new());
    builder.fact.set(String::new());
}

/// The fact that speaks of what happens at the cursor, and what the page says of it.
fn at_cursor(state: State) -> Option<(String, String)> {
    let loaded = state.loaded.get_untracked();
    let step = loaded.story.steps.get(state.cursor.get_untracked())?;
    Some((recorded(&loaded.lab, &loaded.run, step.key)?, step.title.clone()))
}

fn record(state: State) {
    let builder = &state.desk.builder;
    match at_cursor(state) {
        Some((fact, title)) => {
            builder.fact.set(fact);
            if builder.answer.with_untracked(|text| text.trim().is_empty()) {
                builder.answer.set(title);
            }
        }
        None => tell(state, "No fact has a word for this step: go to another one.".to_owned()),
    }
}

/// Takes over a question with one more answer, if the start can judge it.
fn judge(state: State, asked: Asked) {
    let builder = &state.desk.builder;
    let Some(draft) = builder.draft.get_untracked() else { return };
    match draft.marks(&asked) {
        Ok(marks) => {
            builder.asked.set((asked, marks));
            builder.answer.set(String::new());
            builder.fact.set(String::new());
            builder.told.set(Vec::new());
        }
        Err(e) => tell(state, format!("This is no fact: {e}.")),
    }
}

fn add_answer(state: State) {
    let builder = &state.desk.builder;
    let (text, fact) = (builder.answer.get_untracked(), builder.fact.get_untracked());
    if text.trim().is_empty() || fact.trim().is_empty() {
        return tell(state, "An answer has words, and a fact that says whether it is right.".to_owned());
    }
    let (mut asked, _) = builder.asked.get_untracked();
    asked.read = None;
    asked.answers.push((text, fact));
    judge(state, asked);
}

fn let_write(state: State) {
    let builder = &state.desk.builder;
    let written = builder.fact.get_untracked();
    let fact = Some(written).filter(|f| !f.trim().is_empty()).or_else(|| Some(at_cursor(state)?.0));
    let what = Readable::WORDS.get(builder.what.get_untracked()).map(|(_, what)| *what);
    let (Some(what), Some(fact)) = (what, fact) else {
        return tell(state, "No fact has a word for this step: go to another one.".to_owned());
    };
    let (mut asked, _) = builder.asked.get_untracked();
    asked.answers.clear();
    asked.read = Some((what, fact));
    judge(state, asked);
}

fn add_question(state: State) {
    let builder = &state.desk.builder;
    let (asked, _) = builder.asked.get_untracked();
    let has_answer = asked.read.is_some() || asked.answers.len() > 1;
    if !has_answer || asked.ask.trim().is_empty() || asked.because.trim().is_empty() {
        return tell(
            state,
            "A question has words, two answers or one to be written, and something to say when it is answered.".to_owned(),
        );
    }
    change(state, |d| d.questions.push(asked));
    forget_question(builder);
    builder.told.set(Vec::new());
}

// ---------------------------------------------------------------------- the words

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
