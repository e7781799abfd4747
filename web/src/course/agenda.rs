//! A course as its trainer has it: minutes, solutions, what people get wrong, notes.

use super::class::open;
use crate::dom::{El, View, el};
use crate::panes::prompt;
use crate::state::State;
use workshop::exercise::{Course, Exercise, Move, Moves, step_code};
use workshop::{Span, spans};

/// The whole agenda.
pub fn agenda(state: State, course: &Course) -> View {
    let mut out: Vec<View> = vec![el("p").add(course.summary.clone()).into()];
    let (mut minutes, mut number) = (0, 0);
    let code = |number| step_code(course, number).unwrap_or_default();
    for chapter in &course.chapters {
        out.push(el("h4").class("chapter").add(chapter.title.clone()).into());
        for name in &chapter.exercises {
            number += 1;
            let Some(lab) = state.class.shelf.with(|shelf| shelf.lab(name)) else { continue };
            let Some(e) = &lab.exercise else { continue };
            let to = name.clone();
            let title = el("a").attr("href", format!("#v1/{name}")).on("click", move |event| {
                event.prevent_default();
                open(state, &to);
            });
            out.push(
                el("section")
                    .class("point")
                    .add(
                        el("h5")
                            .add(el("span").class("mono").add(clock(minutes)))
                            .add(format!(" {number}. "))
                            .add(title.add(lab.title.clone()))
                            .add(el("span").class("quiet").add(format!(" {} min, code ", e.minutes)))
                            .add(el("span").class("mono quiet").add(code(number))),
                    )
                    .add(point(e))
                    .into(),
            );
            minutes += e.minutes;
        }
    }
    out.push(el("p").add(format!("{} hours and {} minutes in all.", minutes / 60, minutes % 60)).into());
    out.into()
}

fn clock(minutes: u32) -> String {
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

/// What a trainer wants to know of an exercise.
pub fn point(e: &Exercise) -> View {
    let mut out: Vec<View> = vec![el("p").add(e.task.clone()).into()];
    for q in &e.questions {
        out.push(el("p").add(el("b").add(q.ask.clone())).add(" ").add(q.because.clone()).into());
    }
    for s in &e.solutions {
        out.push(el("p").add(el("b").add("Solution: ")).add(s.title.clone()).add(moves(s)).into());
    }
    for w in &e.wrong {
        out.push(
            el("p")
                .add(el("b").add("Often tried: "))
                .add(w.example.title.clone())
                .add(". ")
                .add(w.text.clone())
                .into(),
        );
    }
    out.extend(e.explanation.iter().map(|b| el("p").add(plain(&b.text)).into()));
    if !e.notes.is_empty() {
        out.push(el("p").class("note").add(el("b").add("Note: ")).add(e.notes.clone()).into());
    }
    out.into()
}

fn moves(all: &Moves) -> El {
    let mut list = el("span").class("moves mono");
    for m in &all.moves {
        let line = match m {
            Move::Set(name, value) => format!("{name} = {value}"),
            Move::Run(c) => prompt(&c.on, &c.run),
        };
        list = list.add(el("span").class("move").add(line));
    }
    list
}

fn plain(text: &str) -> String {
    let words = |span| match span {
        Span::Text(t) | Span::Link(t, _) | Span::Code(t) | Span::Strong(t) => t,
    };
    spans(text).into_iter().map(words).collect()
}
