//! The trainer's page: who is where, and what to say.

use super::agenda;
use super::class::Place;
use super::overview::stage_class;
use super::{head, way_to};
use crate::dom::{El, NONE, View, el, part};
use crate::panes::space;
use crate::state::State;
use leptos::prelude::*;
use workshop::exercise::{Coded, Course, Stage, read_code, step_code};

/// The page.
pub fn page(state: State) -> View {
    let builder = el("button")
        .class("btn quiet")
        .id("open-builder")
        .attr("title", "Make an exercise of the lab: record what breaks it and what mends it")
        .click(move || crate::workbench::open_builder(state))
        .add("Make an exercise");
    let notes = el("button")
        .class("btn quiet")
        .id("open-notes")
        .attr("title", "Solutions and notes in a second window, which follows this one")
        .click(move || super::notes::open_window(state))
        .add("Speaker notes");
    let ways = vec![
        way_to(state, "to-courses", "Courses", Place::Overview),
        builder,
        notes,
        way_to(state, "to-lab", "Back to the lab", Place::Lab),
    ];
    let bring = el("section")
        .class("card trainer")
        .attr("aria-labelledby", "bring-title")
        .add(el("h3").id("bring-title").add("Bring everybody to one exercise"))
        .add(part(move || bring(state)));
    let codes = el("section")
        .class("card trainer")
        .attr("aria-labelledby", "codes-title")
        .add(el("h3").id("codes-title").add("Who is where?"))
        .add(el("label").attr("for", "codes").add("Paste the codes of your learners, one a line"))
        .add(
            el("textarea")
                .id("codes")
                .class("mono")
                .attr("rows", "6")
                .attr("spellcheck", "false")
                .input(move || state.class.codes.get_untracked())
                .on("input", move |e| state.class.codes.set(event_target_value(e))),
        )
        .add(part(move || table(state)));
    let print = el("button").class("btn").id("print-agenda").click(move || {
        let _ = window().print();
    });
    let agenda = el("section")
        .class("card agenda")
        .attr("aria-labelledby", "agenda-title")
        .add(
            el("div")
                .class("course-head")
                .add(el("h3").id("agenda-title").add("Agenda"))
                .add(space())
                .add(print.add("Print")),
        )
        .add(part(move || state.class.course().map_or(NONE, |c| agenda::agenda(state, &c))));
    el("div")
        .class("course-page")
        .add(head("For trainers", ways))
        .add(part(move || choice(state).into()))
        .add(bring)
        .add(codes)
        .add(agenda)
        .into()
}

fn choice(state: State) -> El {
    let mut select = el("select").id("trainer-course").on("change", move |e| {
        if let Ok(n) = event_target_value(e).parse() {
            state.class.course.set(n);
        }
    });
    for (n, course) in state.class.shelf.get().courses.iter().enumerate() {
        let option = el("option")
            .attr("value", n.to_string())
            .maybe("selected", "", move || state.class.course.get() == n)
            .add(course.title.clone());
        select = select.add(option);
    }
    el("label").class("field").add(el("span").add("Course")).add(select)
}

/// A step of the course, and the code that leads to it.
fn bring(state: State) -> View {
    let Some(course) = state.class.course() else { return NONE };
    let mut select = el("select").id("bring-to").on("change", move |e| {
        if let Ok(n) = event_target_value(e).parse() {
            state.class.bring.set(n);
        }
    });
    // Another course may be shorter.
    let last = course.exercises().count().saturating_sub(1);
    let chosen = state.class.bring.get().min(last);
    for (n, name) in course.exercises().enumerate() {
        let title = state.class.shelf.with(|shelf| shelf.card(name).map(|card| card.title.clone()));
        let option = el("option").attr("value", n.to_string()).maybe("selected", "", move || n == chosen);
        select = select.add(option.add(format!("{}. {}", n + 1, title.unwrap_or_else(|| name.to_owned()))));
    }
    let code = step_code(&course, chosen + 1).unwrap_or_default();
    let row = el("div")
        .class("code-row")
        .add(el("label").class("field").add(el("span").add("Exercise")).add(select))
        .add(el("output").class("mono").id("step-code").attr("for", "bring-to").add(code));
    let words = "Say or show this code: whoever types it at the head of Courses, or of an exercise, is there at once. \
                 What lies before it is noted as “brought here”, not as solved. The agenda has the code of every exercise.";
    View::All(vec![row.into(), el("p").class("quiet").add(words).into()])
}

fn table(state: State) -> View {
    let Some(course) = state.class.course() else { return NONE };
    let codes = state.class.codes.get();
    let lines: Vec<&str> = codes.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    if lines.is_empty() {
        return NONE;
    }
    let read: Vec<(usize, Result<Coded, String>)> =
        lines.iter().enumerate().map(|(n, l)| (n + 1, read_code(l, &course))).collect();
    let mut wrong = el("ul").class("wrong-codes");
    for (n, e) in read.iter().filter_map(|(n, r)| Some((n, r.as_ref().err()?))) {
        wrong = wrong.add(el("li").class("breach").add(format!("Line {n}: {e}")));
    }
    let people: Vec<&Coded> = read.iter().filter_map(|(_, r)| r.as_ref().ok()).collect();
    let wrong = el("div").attr("role", "status").add(wrong);
    View::All(vec![wrong.into(), grid(&course, &people).into()])
}

fn grid(course: &Course, people: &[&Coded]) -> El {
    let names: Vec<&str> = course.exercises().collect();
    let mut head = el("tr")
        .add(el("th").attr("scope", "col").add("Name"))
        .add(el("th").attr("scope", "col").add("Solved"));
    for (n, name) in names.iter().enumerate() {
        head = head
            .add(el("th").attr("scope", "col").attr("title", (*name).to_owned()).add((n + 1).to_string()));
    }
    let mut body = el("tbody");
    for (n, person) in people.iter().enumerate() {
        let name = if person.name.is_empty() { format!("no name ({})", n + 1) } else { person.name.clone() };
        let solved = person.stages.iter().filter(|s| s.is_solved()).count();
        let mut row = el("tr")
            .add(el("th").attr("scope", "row").add(name))
            .add(el("td").class("mono").add(solved.to_string()));
        for stage in &person.stages {
            row = row.add(cell(*stage));
        }
        body = body.add(row);
    }
    let mut foot = el("tr").add(el("th").attr("scope", "row").add("solved by")).add(el("td"));
    for n in 0..names.len() {
        let by = people.iter().filter(|p| p.stages.get(n).is_some_and(|s| s.is_solved())).count();
        foot = foot.add(el("td").class("mono").add(by.to_string()));
    }
    let table = el("table").class("grid").add(el("thead").add(head)).add(body).add(el("tfoot").add(foot));
    el("div")
        .class("grid-scroll")
        .attr("tabindex", "0")
        .attr("role", "region")
        .attr("aria-label", "Progress of all")
        .add(table)
}

/// A mark that is told apart by its form, not by its colour alone.
fn cell(stage: Stage) -> El {
    let mark = match stage {
        Stage::New => "",
        Stage::Open => "·",
        Stage::Hinted => "?",
        Stage::Shown => "!",
        Stage::Copied => "c",
        Stage::Helped => "h",
        Stage::Solved => "✓",
        Stage::Par => "★",
        Stage::Brought => "→",
    };
    el("td")
        .class("cell")
        .class(stage_class(stage))
        .attr("title", stage.name())
        .add(el("span").attr("aria-hidden", "true").add(mark))
        .add(el("span").class("sr").add(stage.name()))
}
