//! The run before and this one, side by side, from where a packet's ways part.

use crate::dom::{El, View, el};
use crate::load::Loaded;
use crate::state::State;
use kernel::PacketId;
use sim::view::{compare, steps_of};
use std::rc::Rc;

/// So many steps are shown before the first that differs, and after.
const AROUND: (usize, usize) = (4, 8);

/// The drawer.
pub fn drawer(state: State) -> View {
    let now = state.loaded.get();
    let Some(before) = state.ghost() else {
        return el("p")
            .add("Change something: the run before it is compared with the run after it here.")
            .into();
    };
    let difference = compare((before.world(), &before.story), (now.world(), &now.story));
    let Some(d) = difference else {
        return el("p").add("Every packet goes the same way in both runs.").into();
    };
    let label = |l: &Loaded, p: Option<PacketId>| {
        let p = p.and_then(|id| l.story.packet(id));
        p.map_or_else(|| "no such packet".to_owned(), |p| format!("{} {}", p.label, p.flow_text))
    };
    let columns = el("div")
        .class("compare")
        .add(column(state, "Before", &before, d.a, label(&before, d.a.0), false))
        .add(column(state, "Now", &now, d.b, label(&now, d.b.0), true));
    columns.into()
}

fn column(
    state: State,
    title: &'static str,
    run: &Rc<Loaded>,
    at: (Option<PacketId>, Option<usize>),
    label: String,
    live: bool,
) -> El {
    let mut list = el("ol").class("mono");
    let steps = at.0.map(|id| steps_of(&run.story, id)).unwrap_or_default();
    let place = at.1.and_then(|s| steps.iter().position(|i| *i == s)).unwrap_or(steps.len());
    let from = place.saturating_sub(AROUND.0);
    for i in steps.iter().skip(from).take(place - from + AROUND.1).copied() {
        let Some(step) = run.story.steps.get(i) else { continue };
        let host = run.world().host(step.host).map_or("", |h| h.name.as_str());
        let text = format!("{host} {} {}", step.section, step.title);
        let first = at.1 == Some(i);
        let mark = first.then(|| el("b").add("first difference "));
        let content: View = if live {
            el("button").class("linklike").click(move || state.go(i)).add(text).into()
        } else {
            text.into()
        };
        list = list.add(el("li").class_if("differs", first).add(mark).add(content));
    }
    if at.1.is_none() {
        list = list.add(el("li").class("differs").add(el("b").add("ends here")));
    }
    el("section")
        .attr("aria-label", title)
        .add(el("h3").add(title))
        .add(el("p").class("dim").add(label))
        .add(list)
}
