//! The help: keys, and what the letters and lines mean.

use crate::dom::flag;
use crate::keys::KEYS;
use crate::state::State;
use leptos::html::Dialog;
use leptos::prelude::*;

/// Letters of the diagram.
const LETTERS: [(&str, &str, &str); 7] = [
    ("raw", "R", "raw"),
    ("ct", "C", "conntrack"),
    ("mangle", "M", "mangle"),
    ("nat", "N", "nat"),
    ("filter", "F", "filter"),
    ("security", "S", "security"),
    ("bridge", "B", "br_netfilter: no second time"),
];

/// The dialog.
pub fn help(state: State) -> AnyView {
    let dialog: NodeRef<Dialog> = NodeRef::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        match (state.help.get(), dialog.open()) {
            (true, false) => drop(dialog.show_modal()),
            (false, true) => dialog.close(),
            _ => {}
        }
    });
    let keys: Vec<AnyView> = KEYS
        .iter()
        .map(|(key, what)| view! { <div><dt><kbd>{*key}</kbd></dt><dd>{*what}</dd></div> }.into_any())
        .collect();
    let letters: Vec<AnyView> = LETTERS
        .iter()
        .map(|(class, letter, name)| {
            view! { <li><span class=format!("tag {class}")>{*letter}</span>{*name}</li> }.into_any()
        })
        .collect();
    view! {
        <dialog class="help" node_ref=dialog aria-labelledby="help-title" on:close=move |_| state.help.set(false)>
            <h2 id="help-title">"Keys and symbols"</h2>
            <dl class="keys">{keys}</dl>
            <label class="letters">
                <input
                    type="checkbox"
                    prop:checked=flag(move || state.letters.get())
                    on:change=move |e| state.letters.set(event_target_checked(&e))
                />
                " Keys that are single letters"
            </label>
            <ul class="legend">{letters}</ul>
            <p>
                "A box of the hook diagram is filled when the packet has been there; the number says how often. \
                A solid line is a request, a dashed one a reply, red a reset. ✕ is where a packet ended."
            </p>
            <form method="dialog"><button class="btn primary">"Close"</button></form>
        </dialog>
    }
    .into_any()
}
