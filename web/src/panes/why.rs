//! Why a step went as it did: the rule token by token, the rules before it, NAT before and after.

use super::journey::check_icon;
use crate::dom::click;
use crate::state::State;
use leptos::prelude::*;
use packet::Frame;
use sim::view::{Skipped, Token, diff};

/// The explanation of a step.
pub fn why(state: State, step: usize) -> AnyView {
    let loaded = state.loaded.get_untracked();
    let Some(s) = loaded.story.steps.get(step) else { return ().into_any() };
    let w = sim::view::why(loaded.world(), s);
    let nothing = w.rule.is_none()
        && w.skipped.is_empty()
        && w.change.is_none()
        && w.text.is_empty()
        && w.parent.is_none();
    if nothing {
        return ().into_any();
    }
    let rule = w.rule.map(|(chain, n)| view! { <p class="where mono">{format!("{chain} rule {n}")}</p> });
    let tokens: Vec<AnyView> = w.tokens.iter().map(token).collect();
    let tokens = (!tokens.is_empty()).then(|| view! { <ul class="toks">{tokens}</ul> });
    let text: Vec<AnyView> = w.text.into_iter().map(|t| view! { <p>{t}</p> }.into_any()).collect();
    let change = w.change.map(|(before, after)| nat(&before, &after));
    let parent = w.parent.and_then(|id| loaded.story.packet(id)).map(|p| {
        let first = p.steps.0;
        let label = format!("Answers the {} {}", p.label, p.flow_text);
        view! { <button class="linklike" on:click=click(move || state.go(first))>{label}</button> }
    });
    view! {
        <div class="why">
            {rule}
            {tokens}
            {text}
            {change}
            {skipped(&w.skipped)}
            {parent}
        </div>
    }
    .into_any()
}

fn token(t: &Token) -> AnyView {
    let class = match t.ok {
        Some(true) => "tok y",
        Some(false) => "tok n",
        None => "tok",
    };
    let seen =
        (t.ok.is_some() && !t.seen.is_empty()).then(|| view! { <span class="seen">{t.seen.clone()}</span> });
    view! {
        <li class=class>
            {t.ok.map(check_icon)}
            <span>{t.text.clone()}" "{seen}</span>
        </li>
    }
    .into_any()
}

/// Rules that were tried before, each with the part that did not hold.
fn skipped(list: &[Skipped]) -> AnyView {
    let (Some(first), Some(last)) = (list.first(), list.last()) else { return ().into_any() };
    let title = if first.n == last.n {
        format!("{} rule {} did not match", first.chain, first.n)
    } else {
        format!("{} rules {}–{} did not match", first.chain, first.n, last.n)
    };
    let rows: Vec<AnyView> = list
        .iter()
        .map(|s| {
            view! {
                <li>
                    <span class="n mono">{s.n.to_string()}</span>
                    <span class="tok n">
                        {check_icon(false)}
                        <span>{s.token.text.clone()}" "<span class="seen">{s.token.seen.clone()}</span></span>
                    </span>
                    <span class="target mono">{s.target.clone()}</span>
                </li>
            }
            .into_any()
        })
        .collect();
    view! { <details class="skipped" open={list.len() < 4}><summary>{title}</summary><ul>{rows}</ul></details> }.into_any()
}

/// The fields that NAT has changed.
fn nat(before: &Frame, after: &Frame) -> AnyView {
    let rows: Vec<AnyView> = diff(Some(before), after)
        .into_iter()
        .flat_map(|(layer, fields)| fields.into_iter().map(move |(f, was)| (layer, f, was)))
        .filter_map(|(layer, f, was)| {
            let was = was?;
            Some(
                view! {
                    <tr>
                        <th scope="row">{format!("{layer} {}", f.name)}</th>
                        <td><del>{was}</del></td>
                        <td><ins>{f.value}</ins></td>
                    </tr>
                }
                .into_any(),
            )
        })
        .collect();
    view! {
        <table class="change">
            <thead><tr><th scope="col">"field"</th><th scope="col">"before"</th><th scope="col">"after"</th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
