//! Pods as a form: each with the node that it runs on, which can be changed, and a button that deletes it. Nodes and Deployments have the
//! button alone.

use super::switches::one;
use crate::dom::{NONE, View, el, part};
use crate::state::State;
use workshop::session::objects::ObjectText;
use workshop::{At, Typed};

/// What can be deleted by a button.
const KINDS: [&str; 4] = ["Pod", "Deployment", "Service", "Node"];

/// The form.
pub fn form(state: State) -> View {
    part(move || {
        let session = state.loaded.with(|l| l.session.clone());
        let (Ok(now), Ok(knobs)) = (session.contents(), session.knobs()) else { return NONE };
        let mut list = el("ul").class("podform");
        let sorted = KINDS.iter().flat_map(|kind| now.objects.iter().filter(move |o| o.kind == *kind));
        for o in sorted.take(60) {
            let runs_on = format!("{} runs on", o.name);
            let knob = knobs.iter().find(|k| o.kind == "Pod" && k.name == runs_on);
            let name = match knob {
                Some(knob) => one(state, knob),
                None => el("span").add(format!("{} {}", o.kind, o.name)).into(),
            };
            list = list.add(el("li").add(name).add(delete(state, o)));
        }
        let summary = el("summary").add("Move and delete");
        el("details").class("facts").id("pod-form").add(summary).add(list).into()
    })
}

fn delete(state: State, o: &ObjectText) -> View {
    let kind = o.kind.to_ascii_lowercase();
    let line = match kind.as_str() {
        "node" => format!("kubectl delete node {}", o.name),
        _ => format!("kubectl -n {} delete {kind} {}", o.namespace, o.name),
    };
    let label = format!("Delete {} {}", o.kind, o.name);
    let title = line.clone();
    let run = move || {
        let typed = Typed { at: At::Setup, on: None, line: line.clone(), stdin: String::new() };
        state.try_typed(typed, false, move |done| {
            if let Err(refused) = done {
                state.error.set(Some(refused.message));
            }
        });
    };
    el("button")
        .class("btn quiet")
        .attr("aria-label", label)
        .attr("title", title)
        .click(run)
        .add("Delete")
        .into()
}
