//! Switches that every lab has.

use crate::dom::{View, before_paint, el, part};
use crate::state::State;
use leptos::prelude::*;
use workshop::knobs::{Group, Knob};

/// The drawer.
pub fn drawer(state: State) -> View {
    part(move || {
        let session = state.loaded.with(|l| l.session.clone());
        let knobs = match session.knobs() {
            Ok(knobs) => knobs,
            Err(e) => return el("p").class("wrong").add(e.to_string()).into(),
        };
        let mut out = el("div").class("knobs");
        for group in Group::ALL {
            let of: Vec<&Knob> = knobs.iter().filter(|k| k.group == group).collect();
            if of.is_empty() {
                continue;
            }
            let mut set = el("fieldset").add(el("legend").add(group.name()));
            for knob in of {
                set = set.add(one(state, knob));
            }
            out = out.add(set);
        }
        out.into()
    })
}

/// A name as an id.
fn id_of(knob: &Knob) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("knob-{}", knob.name.chars().map(word).collect::<String>())
}

/// One switch, with the command that it stands for.
pub fn one(state: State, knob: &Knob) -> View {
    let id = id_of(knob);
    let mut select = el("select").attr("id", id.clone()).attr("aria-describedby", format!("{id}-is"));
    if knob.now.is_empty() {
        select = select.add(el("option").attr("value", "").attr("selected", "").add("differs"));
    }
    for turn in &knob.positions {
        let chosen = turn.value == knob.now;
        let mut option = el("option").attr("value", turn.value.clone()).add(turn.value.clone());
        if chosen {
            option = option.attr("selected", "");
        }
        select = select.add(option);
    }
    let (now, whole, focus) = (knob.now.clone(), knob.clone(), id.clone());
    let select = select.input(move || now.clone()).on("change", move |e| {
        let value = event_target_value(e);
        let focus = focus.clone();
        state.edit_then(
            |session| session.turn(&whole, &value),
            move || before_paint(move || crate::focus_on(&focus)),
        );
    });
    let held = knob.held();
    let held = (!held.is_empty()).then(|| el("span").class("held").add(held.to_owned()));
    let is = el("div").attr("id", format!("{id}-is")).add(el("code").add(knob.command(&knob.now))).add(held);
    el("div")
        .class("knob-row")
        .add(el("label").attr("for", id).add(knob.name.clone()))
        .add(select)
        .add(is)
        .into()
}
