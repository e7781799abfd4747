//! Why not? Any rule of the hook can be asked why it did not match this packet.

use super::why::token;
use crate::dom::{El, NONE, View, el, part};
use crate::state::State;
use leptos::prelude::*;
use sim::view::{Answer, Asked};

/// How many rules are answered at once.
const LIMIT: usize = 24;

/// The question, folded away until it is asked.
pub fn why_not(state: State, step: usize) -> View {
    let input = el("input")
        .class("ask")
        .attr("type", "search")
        .attr("placeholder", "chain, address, port …")
        .attr("aria-label", "Find rules of this hook")
        .input(move || state.look.ask.get())
        .on("input", move |e| state.look.ask.set(event_target_value(e)));
    let list = part(move || answers(state, step));
    el("details").class("whynot").add(el("summary").add("Why not another rule?")).add(input).add(list).into()
}

fn answers(state: State, step: usize) -> View {
    let loaded = state.loaded.get();
    let find = state.look.ask.get();
    let Some(s) = loaded.story.steps.get(step) else { return NONE };
    let found = sim::view::why_not(loaded.world(), s, &find, LIMIT);
    if found.rules.is_empty() {
        let none = if find.is_empty() {
            "The chain has no rules. Look for others of this hook."
        } else {
            "No such rule at this hook."
        };
        return el("p").class("none").add(none).into();
    }
    let mut list = el("ul").class("asked");
    for a in &found.rules {
        list = list.add(asked(a));
    }
    let more = (found.more > 0)
        .then(|| el("p").class("quiet").add(format!("and {} more: say what to look for", found.more)));
    View::All(vec![list.into(), more.into()])
}

fn asked(a: &Asked) -> El {
    let rule = el("p")
        .class("mono rule-text")
        .add(el("span").class("quiet").add(format!("{} {} {} ", a.table, a.chain, a.n)))
        .add(a.text.clone());
    let (class, answer): (&str, View) = match &a.answer {
        Answer::Matched => ("y", el("p").add("It matched.").into()),
        Answer::Failed(t) => ("n", el("p").add(token(t)).into()),
        Answer::NotReached(why) => ("", el("p").class("quiet").add(why.clone()).into()),
    };
    el("li").class(class).add(rule).add(answer)
}
