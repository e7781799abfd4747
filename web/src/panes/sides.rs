//! Request and reply side by side: a box after the other, each as an overview that opens.

use super::journey::row;
use super::unseen;
use crate::diagram::color;
use crate::dom::{El, NONE, View, el, part};
use crate::icons;
use crate::load::Loaded;
use crate::state::State;
use crate::topology_kind as kind;
use kernel::{Netns, PacketId};
use leptos::prelude::*;
use sim::view::{Area, Gap, NatPair, SideBox, SidePlace, SideRow, Sides, Stay, Tone};
use std::rc::Rc;

/// The pair that the chosen packet belongs to.
pub fn sides(state: State) -> View {
    let Some(sides) = state.look.sides.get() else { return NONE };
    let loaded = state.loaded.get();
    let mut out = vec![pair(state, &loaded, &sides), part(move || program(state))];
    for (i, b) in sides.boxes.iter().enumerate() {
        out.push(one_box(state, &loaded, &sides, (i, b)));
    }
    el("div").class("sides").add(View::All(out)).into()
}

/// What is not undone for the reply, in sight wherever the rows are: each leads to the step that shows it.
pub fn gaps(state: State) -> View {
    let Some(sides) = state.look.sides.get() else { return NONE };
    let loaded = state.loaded.get();
    let mut out = Vec::new();
    for b in &sides.boxes {
        let name = loaded.world().host(b.host).map_or("", |h| h.name.as_str());
        // One for each box: the rest stands there.
        if let Some(gap) = b.nat.iter().find_map(|n| n.undone.as_ref().err()) {
            let words = format!("{name}: the reply is not un-NATed");
            let step = gap.step;
            let button = el("button")
                .class("gapalert")
                .attr("title", gap.why.clone())
                .click(move || {
                    if let Some(step) = step {
                        state.go(step);
                    }
                })
                .add(icons::warning())
                .add(el("span").add(words));
            out.push(button.into());
        }
    }
    View::All(out)
}

/// Who asks and who answers.
fn pair(state: State, loaded: &Rc<Loaded>, sides: &Sides) -> View {
    let side = |id: PacketId, word: &'static str| {
        let p = loaded.story.packet(id)?;
        let first = p.steps.0;
        let button = el("button")
            .class("chip")
            .class(kind(p.flow))
            .live("aria-pressed", move || (state.chosen.get() == Some(id)).to_string())
            .attr("title", p.flow_text.clone())
            .click(move || state.go(first))
            .add(p.label.clone());
        let flow = el("span").class("mono").add(p.flow_text.clone());
        Some(el("div").class("end").add(el("span").class("dir").add(word)).add(button).add(flow))
    };
    let back = match sides.reply.and_then(|id| side(id, "reply")) {
        Some(el) => el,
        None => {
            let why = sides.silence.clone().unwrap_or_default();
            el("div").class("end silent").add(el("span").class("dir").add("no reply")).add(el("p").add(why))
        }
    };
    el("div").class("pair").add(side(sides.request, "request")).add(back).into()
}

/// A step that is about no packet: what a program does.
fn program(state: State) -> View {
    let (loaded, cursor) = (state.loaded.get(), state.cursor.get());
    let Some(s) = loaded.story.steps.get(cursor).filter(|s| s.packet.is_none()) else { return NONE };
    let name = loaded.world().host(s.host).map_or(String::new(), |h| h.name.clone());
    View::All(vec![el("h3").class("hop").add(name).into(), row(state, &loaded, cursor)])
}

fn one_box(state: State, loaded: &Rc<Loaded>, sides: &Rc<Sides>, (i, b): (usize, &SideBox)) -> View {
    let Some(ns) = loaded.world().host(b.host) else { return NONE };
    let of = Rc::clone(sides);
    let open = move || {
        let by_hand = state.look.opened.with(|o| o.iter().find(|(at, _)| *at == i).map(|(_, open)| *open));
        by_hand.unwrap_or_else(|| {
            let cursor = state.cursor.get();
            of.boxes.get(i).is_some_and(|b| b.has(cursor))
        })
    };
    let toggle = {
        let open = open.clone();
        move || {
            let now = untrack(&open);
            let mut list = state.look.opened.get_untracked();
            list.retain(|(at, _)| *at != i);
            list.push((i, !now));
            state.look.opened.set(list);
        }
    };
    let missing = b.nat.iter().any(|n| n.undone.is_err());
    let expanded = open.clone();
    let head = el("button")
        .class("box")
        .live("aria-expanded", move || expanded().to_string())
        .click(toggle)
        .add(icons::fold())
        .add(el("b").add(ns.name.clone()))
        .add(b.ignored.then(|| el("span").class("quiet").add("a flooded copy, ignored")))
        .add(missing.then(|| el("span").class("badge bad").add(icons::warning()).add("not un-NATed")));
    let overview = el("div")
        .class("over")
        .add(way(state, loaded, ns, b.request.as_ref(), "request"))
        .add(way(state, loaded, ns, b.reply.as_ref(), "reply"));
    let nat = b.nat.iter().fold(el("ul").class("nats"), |list, n| list.add(translated(state, loaded, n)));
    let nat = (!b.nat.is_empty()).then_some(nat);
    let (all, run) = (Rc::clone(sides), Rc::clone(loaded));
    let rows = part(move || {
        let b = all.boxes.get(i);
        if open() { b.map_or(NONE, |b| rows(state, &run, b)) } else { NONE }
    });
    el("div")
        .class("sidebox")
        .attr("role", "group")
        .class_if("ignored", b.ignored)
        .attr("aria-label", ns.name.clone())
        .add(head)
        .add(overview)
        .add(nat)
        .add(rows)
        .into()
}

/// A packet's stay in a box in one line: device in, hooks, device out.
fn way(state: State, loaded: &Loaded, ns: &Netns, stay: Option<&Stay>, dir: &'static str) -> El {
    let line = el("p").class("way").class(dir).add(unseen(dir)).add(icons::arrow(dir == "reply"));
    let Some(stay) = stay else { return line.add(el("span").class("quiet").add("not here")) };
    let mut line = line;
    for leg in &stay.legs {
        let Some(first) = leg.steps.first().copied() else { continue };
        let steps = leg.steps.clone();
        let story = &loaded.story;
        let nat = leg
            .steps
            .iter()
            .any(|s| story.changes.any(*s) && story.steps.get(*s).is_some_and(|s| s.tone == Tone::Strong));
        let bad = leg
            .steps
            .iter()
            .filter_map(|s| story.steps.get(*s))
            .any(|s| s.area == Area::Drop && s.tone == Tone::Bad);
        let is_hook = matches!(leg.place, SidePlace::Hook(_));
        let button = el("button")
            .class("leg")
            .class_if("hook", is_hook)
            .class_if("nat", nat)
            .class_if("bad", bad)
            .flag("sel", move || steps.contains(&state.cursor.get()))
            .click(move || state.go(first))
            .add(leg.place.name(ns))
            .add(nat.then(|| el("b").class("mark").add(" N").add(unseen("changes the packet"))))
            .add(bad.then(|| el("b").class("mark").add(" ✕").add(unseen("ends here"))));
        line = line.add(button);
    }
    line
}

/// A translation of the request, and what became of it for the reply.
fn translated(state: State, loaded: &Loaded, n: &NatPair) -> El {
    let title = |s: usize| loaded.story.steps.get(s).map(|s| s.title.clone()).unwrap_or_default();
    let link = |s: usize, words: String| el("button").class("linklike").click(move || state.go(s)).add(words);
    let made = el("span").class("made").add(link(n.made, title(n.made)));
    let item = el("li").add(made);
    match &n.undone {
        Ok(step) => item.add(el("span").class("undone").add(icons::check()).add(link(*step, title(*step)))),
        Err(gap) => item.class("gap").add(missing(state, gap)),
    }
}

fn missing(state: State, gap: &Gap) -> El {
    let words = format!("not un-NATed: {}", gap.why);
    let text = match gap.step {
        Some(step) => el("button").class("linklike").click(move || state.go(step)).add(words),
        None => el("span").add(words),
    };
    el("span").class("undone").add(icons::cross()).add(text)
}

/// The places of an open box, the request's steps beside the reply's.
fn rows(state: State, loaded: &Rc<Loaded>, b: &SideBox) -> View {
    let Some(ns) = loaded.world().host(b.host) else { return NONE };
    let filter = state.look.filter.get();
    let story = &loaded.story;
    let keep = |steps: &[usize]| -> Vec<usize> {
        steps.iter().copied().filter(|s| filter.keeps(&story.steps, &story.changes, *s)).collect()
    };
    let mut out = el("div").class("siderows");
    let mut any = false;
    for r in &b.rows {
        let gap = b.nat.iter().filter_map(|n| n.undone.as_ref().err()).find(|g| {
            let here = g.step.is_some_and(|s| r.reply.contains(&s));
            here || g.step.is_none() && g.place == Some(r.place)
        });
        let kept = SideRow { place: r.place, request: keep(&r.request), reply: keep(&r.reply) };
        if kept.request.is_empty() && kept.reply.is_empty() {
            continue;
        }
        any = true;
        out = out.add(place(state, loaded, ns, (&kept, gap)));
    }
    if !any {
        out = out.add(el("p").class("none").add("The filter leaves no step here."));
    }
    out.into()
}

fn place(state: State, loaded: &Rc<Loaded>, ns: &Netns, (r, gap): (&SideRow, Option<&Gap>)) -> View {
    let cell = |steps: &[usize], dir: &'static str| {
        let mut cell = el("div").class("cell").class(dir).class_if("empty", steps.is_empty());
        if !steps.is_empty() {
            cell = cell.add(el("span").class("dir").add(icons::arrow(dir == "reply")).add(dir));
        }
        cell.add(steps.iter().map(|i| row(state, loaded, *i)).collect::<Vec<View>>())
    };
    let gap =
        gap.map(|g| el("p").class("gapline").add(icons::cross()).add(format!("not un-NATed: {}", g.why)));
    el("div")
        .class("siderow")
        .add(el("p").class("hop").add(r.place.name(ns)))
        .add(cell(&r.request, "request"))
        .add(cell(&r.reply, "reply").add(gap))
        .into()
}

/// The header fields that a step changes, before and after.
pub fn changed(loaded: &Loaded, step: usize) -> View {
    let mut out = Vec::new();
    for c in loaded.story.changes.of(step) {
        let name = format!("{} {} ", c.layer, c.name);
        out.push(
            el("span")
                .class("delta")
                .class_if("link", c.is_link())
                .add(el("span").class("field").add(name))
                .add(el("del").add(c.before.clone()))
                .add(el("span").class("to").attr("aria-hidden", "true").add(" → "))
                .add(el("ins").add(c.after.clone()))
                .into(),
        );
    }
    if out.is_empty() {
        return NONE;
    }
    let area = loaded.story.steps.get(step).map_or("", |s| color(s.area));
    el("span").class("deltas").class(area).add(View::All(out)).into()
}
