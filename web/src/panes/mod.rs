//! The panes around the map.

mod capture;
mod conntrack;
mod header;
mod help;
mod journey;
mod lesson;
mod packet;
mod rules;
mod tables;
mod terminal;
mod why;

pub use conntrack::conntrack;
pub use header::header;
pub use help::help;
pub use journey::{journey, keep_in_sight};
pub use lesson::lesson;
pub use tables::tables;
pub use terminal::terminal;

use crate::dom::{self, click, part};
use crate::icons;
use leptos::prelude::*;

/// A button that copies what a real tool would print.
fn copy_button(text: impl Fn() -> String + Send + 'static) -> AnyView {
    let done = RwSignal::new(false);
    let press = click(move || {
        crate::copy(&text());
        done.set(true);
        set_timeout(
            move || {
                done.try_set(false);
            },
            std::time::Duration::from_millis(1600),
        );
    });
    view! {
        <button class="btn quiet" on:click=press title="Copy as text">
            {part(move || if done.get() { icons::check() } else { icons::copy() })}
            <span>{dom::text(move || if done.get() { "Copied" } else { "Copy as text" }.to_owned())}</span>
        </button>
    }
    .into_any()
}
