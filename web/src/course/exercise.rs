//! An exercise, in the place of the lesson.

use super::class::{Place, open, place, strange_version};
use super::overview::{code_fold, trouble};
use super::qr;
use crate::dom::{El, NONE, View, el, part};
use crate::embed;
use crate::icons;
use crate::load::Loaded;
use crate::panes::{judged, prompt, prose};
use crate::state::State;
use leptos::prelude::*;
use std::rc::Rc;
use workshop::Setting;
use workshop::exercise::{Breach, Exercise, Given, Move, Moves, Verdict, attempt};

/// The pane.
pub fn pane(state: State) -> View {
    part(move || {
        let loaded = state.loaded.get();
        let Some(e) = &loaded.lab.exercise else { return NONE };
        let mut out: Vec<View> = Vec::new();
        if !embed::is_on() {
            // Inside an article there is no way out but the bar's, which has the title as well.
            let title = el("h2").class("title").id("exercise-title").attr("tabindex", "-1");
            out.push(way(state, &loaded).into());
            out.push(code_fold(state).into());
            out.push(title.add(loaded.lab.title.clone()).into());
        }
        out.push(measures(e).into());
        if !embed::is_on() {
            out.push(part(move || trouble(state)));
        }
        if let Some(words) = state.class.course().as_ref().and_then(strange_version) {
            out.push(el("p").class("quiet strange-version").add(words).into());
        }
        out.extend(loaded.lab.beats_for(&loaded.run.setting).map(|b| prose(state, &loaded, &b.text)));
        out.push(el("p").class("task").add(el("b").add(e.task.clone())).into());
        let run = Rc::clone(&loaded);
        out.push(part(move || questions(state, &run)));
        if !e.only_asks() {
            out.push(aims(&loaded, e).into());
            out.push(commands(state, &loaded, e));
        }
        let run = Rc::clone(&loaded);
        out.push(part(move || said(state, &run)));
        if !e.only_asks() {
            let run = Rc::clone(&loaded);
            out.push(part(move || help(state, &run)));
        }
        if !embed::is_on() {
            out.push(part(move || share(state)));
        }
        out.into()
    })
}

/// Brings the verdict into sight, where the pane is lower than what stands in it. The page itself stays where it is: it may be part of another one.
pub fn show_verdict() {
    let element = |id| document().get_element_by_id(id);
    let (Some(pane), Some(verdict)) = (element("lesson"), element("verdict")) else { return };
    let (frame, place) = (pane.get_bounding_client_rect(), verdict.get_bounding_client_rect());
    let hidden = (place.bottom() - frame.bottom()).min(place.top() - frame.top());
    if hidden > 0.0 && place.height() > 0.0 {
        pane.set_scroll_top(pane.scroll_top() + pixels(hidden));
    }
}

/// A length in whole pixels.
fn pixels(length: f64) -> i32 {
    // A screen has fewer than a million.
    length.ceil().clamp(0.0, 1e6) as i32
}

/// Where one is in the course, and the ways on.
fn way(state: State, loaded: &Loaded) -> El {
    let name = loaded.lab.name.clone();
    let all = el("button")
        .class("linklike")
        .id("to-courses")
        .click(move || place(state, Place::Overview))
        .add(state.class.course().map_or("Courses".to_owned(), |c| c.title));
    let nav = el("nav").class("course-way").attr("aria-label", "Course").add(all);
    let Some(course) = state.class.course() else { return nav };
    let names: Vec<String> = course.exercises().map(str::to_owned).collect();
    let Some(at) = names.iter().position(|n| *n == name) else { return nav };
    let to = |id: &'static str, label: &'static str, to: Option<&String>, icon: View| {
        let button = el("button").class("btn quiet").id(id).attr("aria-label", label).attr("title", label);
        match to.cloned() {
            Some(name) => button.click(move || open(state, &name)),
            None => button.attr("disabled", ""),
        }
        .add(icon)
    };
    nav.add(el("span").class("space"))
        .add(to(
            "previous-exercise",
            "Previous exercise",
            at.checked_sub(1).and_then(|n| names.get(n)),
            icons::back(),
        ))
        .add(el("span").class("mono").id("exercise-number").add(format!("{} of {}", at + 1, names.len())))
        .add(to("next-exercise", "Next exercise", names.get(at + 1), icons::forward()))
}

fn measures(e: &Exercise) -> El {
    let par = match e.par() {
        0 => "answers only".to_owned(),
        1 => "par: 1 command".to_owned(),
        n => format!("par: {n} commands"),
    };
    el("p").class("measures quiet").add(format!("About {} minutes, {par}", e.minutes))
}

// ---------------------------------------------------------------------- questions

fn questions(state: State, loaded: &Rc<Loaded>) -> View {
    let Some(e) = &loaded.lab.exercise else { return NONE };
    let given = state.class.answers.get();
    let mut out = Vec::new();
    for (q, question) in e.questions.iter().enumerate() {
        let given = given.get(q).cloned().flatten();
        let is_right = given.as_ref().map(|given| state.class.is_right(q, given));
        let mut set = el("fieldset").class("question").add(el("legend").add(question.ask.clone()));
        if question.read.is_some() {
            set = set.add(written(state, loaded, q, is_right));
        }
        for (n, answer) in question.answers.iter().enumerate() {
            let run = Rc::clone(loaded);
            let is_chosen = given == Some(Given::Chosen(n));
            let mark = is_right.filter(|_| is_chosen).map(mark);
            // A button, as choosing is answering: arrow keys must not answer on their way.
            let answer = el("button")
                .class("answer")
                .attr("id", format!("question-{q}-{n}"))
                .attr("aria-pressed", if is_chosen { "true" } else { "false" })
                .click(move || state.class.answer(&run, q, Given::Chosen(n)))
                .add(el("span").class("dot").attr("aria-hidden", "true"))
                .add(mark)
                .add(el("span").add(answer.text.clone()));
            set = set.add(answer);
        }
        let said = match is_right {
            Some(true) => Some(el("p").class("because").add(question.because.clone())),
            Some(false) => {
                let again = if question.read.is_some() { "try again" } else { "choose again" };
                let words = format!("Not so. Look at the packet, and {again}.");
                Some(el("p").class("because bad").add(words))
            }
            None => None,
        };
        out.push(set.add(el("div").attr("role", "status").add(said)).into());
    }
    out.into()
}

/// Whether an answer is right.
fn mark(is_right: bool) -> El {
    let (class, word, icon) = match is_right {
        true => ("mark good", "right: ", icons::check()),
        false => ("mark bad", "not so: ", icons::warning()),
    };
    el("span").class(class).add(icon).add(el("span").class("sr").add(word))
}

/// Where the answer to a question is written.
fn written(state: State, loaded: &Rc<Loaded>, q: usize, is_right: Option<bool>) -> El {
    let (run, id) = (Rc::clone(loaded), format!("question-{q}-text"));
    let field = id.clone();
    let now = move || match state.class.answers.with(|all| all.get(q).cloned().flatten()) {
        Some(Given::Written(text)) => text,
        _ => String::new(),
    };
    el("form")
        .class("written")
        .on("submit", move |e| {
            e.prevent_default();
            let text = crate::dom::value_of(&field);
            if !text.trim().is_empty() {
                state.class.answer(&run, q, Given::Written(text));
            }
        })
        .add(is_right.map(mark))
        .add(
            el("input")
                .class("mono")
                .attr("type", "text")
                .attr("id", id)
                .attr("aria-label", "Your answer")
                .attr("autocomplete", "off")
                .attr("autocapitalize", "off")
                .attr("spellcheck", "false")
                .input(now),
        )
        .add(el("button").class("btn").attr("type", "submit").add("Answer"))
}

// ---------------------------------------------------------------------- what is to be reached, and what was done

fn aims(loaded: &Loaded, e: &Exercise) -> El {
    let mut list = el("ul").class("goals");
    for g in &loaded.run.goals {
        list = list.add(judged(g.reached, g.text.clone(), "reached: ", "not reached: ").class("goal"));
    }
    let keep = loaded.run.marks.as_ref().map(|m| m.keep.clone()).unwrap_or_default();
    for (k, holds) in e.keep.iter().zip(keep) {
        list = list.add(judged(holds, k.text.clone(), "so: ", "not so: ").class("goal"));
    }
    list
}

fn line(m: &Move) -> String {
    match m {
        Move::Set(name, value) => format!("{name} = {value}"),
        Move::Run(c) => prompt(&c.on, &c.run),
    }
}

fn commands(state: State, loaded: &Loaded, e: &Exercise) -> View {
    let moves = workshop::exercise::moves_of(&loaded.session);
    if moves.is_empty() {
        let which = match e.allow.is_empty() {
            true => "Type commands in the terminal below the picture".to_owned(),
            false => {
                let words: Vec<&str> = e.allow.iter().map(|m| m.words.as_str()).collect();
                format!("Type commands in the terminal: {}", words.join(", "))
            }
        };
        let switches = if loaded.lab.switches.is_empty() { "." } else { ", or flip a switch at the top." };
        return el("p").class("quiet").add(format!("{which}{switches}")).into();
    }
    let mut list = el("ol").class("moves mono");
    let mut count = 0;
    for m in &moves {
        // Looking is no move.
        let looks = workshop::exercise::looks(m);
        count += usize::from(!looks);
        list = list.add(el("li").class_if("looks", looks).add(line(m)));
    }
    let reset = el("button")
        .class("btn quiet")
        .id("reset-exercise")
        .click(move || {
            state.edit(|session| {
                session.changes = Setting::new();
                session.typed.clear();
            });
        })
        .add("Begin again");
    el("div")
        .class("did")
        .add(el("h3").add(format!("What you did: {}", counted(count))))
        .add(list)
        .add(reset)
        .into()
}

// ---------------------------------------------------------------------- what there is to say

fn said(state: State, loaded: &Rc<Loaded>) -> View {
    let (Some(e), Some(verdict)) = (&loaded.lab.exercise, state.class.verdict(loaded)) else { return NONE };
    let status = el("div").attr("role", "status").id("verdict");
    if verdict.solved {
        return View::All(vec![status.add(solved(e, &verdict)).into(), explained(state, loaded, e)]);
    }
    if verdict.moves == 0 {
        return status.into();
    }
    let mut out = Vec::new();
    for b in &verdict.breaches {
        out.push(el("p").class("breach").add(icons::warning()).add(el("span").add(breach(b))).into());
    }
    for typed in loaded.run.typed.iter().filter_map(|t| t.wrong()) {
        out.push(
            el("p").class("breach").add(icons::warning()).add(el("span").class("mono").add(typed)).into(),
        );
    }
    match verdict.wrong.and_then(|n| e.wrong.get(n)) {
        Some(w) => out.push(el("p").class("turn").add(w.text.clone()).into()),
        None if out.is_empty() => {
            out.push(el("p").class("turn").add("Not there yet. Follow the packet once more.").into());
        }
        None => {}
    }
    status.add(View::All(out)).into()
}

fn breach(b: &Breach) -> String {
    match b {
        Breach::Means(line, why) => format!("{line}: {why}"),
        Breach::Changed(text) => format!("This is not so any more: {text}"),
        Breach::Rule(host, rule) => format!("On {host} a rule is gone that was to stay: {rule}"),
    }
}

fn solved(e: &Exercise, verdict: &Verdict) -> El {
    let words = match (verdict.moves, e.par()) {
        (_, 0) => "All answered.".to_owned(),
        (n, par) if n <= par => format!("Solved with {}, which is par.", counted(n)),
        (n, par) => format!("Solved with {}. It can be done with {}.", counted(n), counted(par)),
    };
    el("p").class("solved").add(icons::check()).add(el("b").add(words))
}

fn counted(n: usize) -> String {
    match n {
        0 => "you looked".to_owned(),
        1 => "one command".to_owned(),
        n => format!("{n} commands"),
    }
}

fn explained(state: State, loaded: &Rc<Loaded>, e: &Exercise) -> View {
    let mut out: Vec<View> = vec![el("h3").add("What happened").into()];
    out.extend(e.explanation.iter().map(|b| prose(state, loaded, &b.text)));
    if embed::is_on() {
        return out.into();
    }
    let next = state.class.course().and_then(|course| {
        let names: Vec<&str> = course.exercises().collect();
        let at = names.iter().position(|n| *n == loaded.lab.name)?;
        names.get(at + 1).map(|n| (*n).to_owned())
    });
    out.push(match next {
        Some(name) => el("button")
            .class("btn primary")
            .id("go-on")
            .click(move || open(state, &name))
            .add("Next exercise")
            .add(icons::forward())
            .into(),
        None => el("p").add("This was the last exercise of the course.").into(),
    });
    out.into()
}

// ---------------------------------------------------------------------- help

fn help(state: State, loaded: &Rc<Loaded>) -> View {
    let Some(e) = &loaded.lab.exercise else { return NONE };
    let shown = state.class.hints.get();
    let mut list = el("ol").class("hints").attr("aria-live", "polite");
    for hint in e.hints.iter().take(shown) {
        list = list.add(el("li").add(prose(state, loaded, hint)));
    }
    // The last tier is what the engine finds by itself, if it finds something.
    let last = e.hints.len() + usize::from(shown > e.hints.len() || state.cures.with(|all| !all.is_empty()));
    if shown > e.hints.len() {
        list = list.add(el("li").add(found(state)));
    }
    let lab = Rc::clone(&loaded.lab);
    let more = (shown < last).then(|| {
        let words = match shown == e.hints.len() {
            true => "What would the engine change?".to_owned(),
            false => format!("Hint {} of {last}", shown + 1),
        };
        el("button").class("btn ghost").id("hint").click(move || state.class.hint(&lab)).add(words)
    });
    let lab = Rc::clone(&loaded.lab);
    let reveal = (!state.class.revealed.get()).then(|| {
        el("button")
            .class("btn quiet")
            .id("reveal")
            .click(move || state.class.reveal(&lab))
            .add("Show a solution")
    });
    let solutions = state.class.revealed.get().then(|| {
        let all = e.solutions.iter().enumerate().map(|(n, s)| solution(state, loaded, n, s)).collect();
        el("div").class("solutions").id("solutions").attr("tabindex", "-1").add(View::All(all))
    });
    el("div").class("helps").add(list).add(more).add(reveal).add(solutions).into()
}

fn found(state: State) -> View {
    let cures = state.cures.get();
    let Some(cure) = cures.first() else {
        return "No single change that the engine knows reaches every goal.".into();
    };
    View::All(vec!["This would do: ".into(), el("code").add(cure.text()).into()])
}

fn solution(state: State, loaded: &Rc<Loaded>, n: usize, s: &Moves) -> View {
    let (lab, moves) = (Rc::clone(&loaded.lab), s.moves.clone());
    let run = move || {
        let tried = attempt(&lab, &moves);
        state.edit(|session| {
            session.changes.clone_from(&tried.changes);
            session.typed.clone_from(&tried.typed);
        });
    };
    let mut list = el("ul").class("moves mono");
    for m in &s.moves {
        list = list.add(el("li").add(line(m)));
    }
    let title = if s.title.is_empty() { format!("Solution {}", n + 1) } else { s.title.clone() };
    el("div")
        .class("solution")
        .add(el("h4").add(title))
        .add(list)
        .add(el("button").class("btn ghost").attr("id", format!("run-solution-{n}")).click(run).add("Run it"))
        .into()
}

fn share(state: State) -> View {
    let shown = state.class.code_shown.get();
    let button = el("button")
        .class("btn quiet")
        .id("show-qr")
        .attr("aria-expanded", if shown { "true" } else { "false" })
        .click(move || {
            crate::write_address(state);
            state.class.code_shown.set(!shown);
        })
        .add(if shown { "Hide the QR code" } else { "This moment as a QR code" });
    let code = if shown { qr::code(&crate::address()) } else { NONE };
    el("div").class("share").add(button).add(code).into()
}
