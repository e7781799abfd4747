//! The bar at the top: lab, switches, link, theme, help.

use crate::dom::{click, flag, part, text};
use crate::icons;
use crate::state::State;
use crate::theme;
use leptos::prelude::*;
use workshop::Switch;

/// The bar.
pub fn header(state: State) -> AnyView {
    let shared = RwSignal::new(false);
    let share = click(move || {
        crate::write_address(state);
        crate::copy(&crate::address());
        shared.set(true);
        set_timeout(
            move || {
                shared.try_set(false);
            },
            std::time::Duration::from_millis(1600),
        );
    });
    view! {
        <header class="bar">
            {icons::logo()}
            <h1 class="brand">"Netfilter Lab"</h1>
            {labs(state)}
            <span class="space"></span>
            {part(move || switches(state))}
            <button class="btn" on:click=share title="Copy a link to this moment (y)">
                {part(move || if shared.get() { icons::check() } else { icons::link() })}
                <span class="wide">{text(move || if shared.get() { "Link copied" } else { "Link" }.to_owned())}</span>
            </button>
            <button class="btn" id="theme" on:click=click(theme::toggle) title="Light or dark" aria-label="Light or dark">
                {icons::sun_moon()}
            </button>
            <button class="btn" id="help-button" on:click=click(move || state.help.set(true)) title="Keys (?)" aria-label="Keys and symbols">
                {icons::help()}
            </button>
        </header>
    }
    .into_any()
}

/// The choice of labs.
fn labs(state: State) -> AnyView {
    let all = workshop::labs();
    let current = move || state.loaded.with(|l| l.lab.name);
    if all.len() < 2 {
        return view! { <p class="pill lab mono">{text(move || state.loaded.with(|l| l.lab.name.to_owned()))}</p> }.into_any();
    }
    let options: Vec<AnyView> = all
        .iter()
        .map(|lab| {
            let name = lab.name;
            view! { <option value=name selected=flag(move || current() == name)>{lab.title}</option> }
                .into_any()
        })
        .collect();
    let change = move |e| {
        let link = crate::url::Link { lab: event_target_value(&e), ..Default::default() };
        state.follow(&link);
    };
    view! {
        <label class="pill lab">
            <span class="sr">"Lab"</span>
            <select on:change=change>{options}</select>
        </label>
    }
    .into_any()
}

fn switches(state: State) -> AnyView {
    let loaded = state.loaded.get();
    let list: Vec<AnyView> = loaded.lab.switches.iter().map(|s| switch(state, s)).collect();
    list.into_any()
}

fn switch(state: State, s: &Switch) -> AnyView {
    let name = s.name;
    let now = state.loaded.with(|l| l.run.setting.get(name).cloned()).unwrap_or_default();
    let on = s.positions.len() > 1 && s.positions.last().is_some_and(|(v, _)| *v == now);
    let other = s.positions.iter().find(|(v, _)| *v != now).map(|(v, _)| *v).unwrap_or_default();
    let hosts = s.hosts.join(", ");
    let command = s.command(&now).unwrap_or_default();
    let title = format!("{}: {hosts} # {}", s.title, s.command(other).unwrap_or_default());
    let flip = click(move || {
        let mut setting = state.loaded.with_untracked(|l| l.run.setting.clone());
        setting.insert(name.to_owned(), other.to_owned());
        state.apply(&setting);
        // The switch is drawn anew; the focus stays on it.
        request_animation_frame(move || crate::focus_on(&format!("switch-{name}")));
    });
    view! {
        <button
            id=format!("switch-{name}")
            class="switch"
            role="switch"
            aria-checked=on.to_string()
            aria-describedby=format!("switch-{name}-is")
            title=title
            on:click=flip
        >
            <span class="switch-name">{name}</span>
            <span class="knob" class:on=on></span>
        </button>
        <code class="switch-is" id=format!("switch-{name}-is")>{format!("# {command}")}</code>
    }
    .into_any()
}
