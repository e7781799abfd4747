//! What a person does with a lab: commands, switches that every lab has, the cluster's objects, files; and what has changed by it.

mod builder;
mod cluster;
mod commands;
mod compare;
mod files;
mod pods;
mod switches;

pub use builder::open as open_builder;
pub use commands::{focus_input, input};
pub use files::{MAX, download};

use crate::dom::{El, NONE, View, el, part, text};
use crate::icons;
use crate::state::{Pane, State};
use crate::watched::Watched;
use std::cell::Cell;
use workshop::Typed;

/// A drawer under the bar; one is open, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawer {
    /// What was typed.
    Commands,
    /// Switches that every lab has.
    Switches,
    /// Objects, clients, rules as text.
    Cluster,
    /// The run before beside this one.
    Compare,
    /// An exercise in the making; it is opened from the trainer's page.
    Builder,
}

const DRAWERS: [(Drawer, &str, &str); 4] = [
    (Drawer::Commands, "commands", "Commands"),
    (Drawer::Switches, "switches", "More switches"),
    (Drawer::Cluster, "cluster", "Cluster"),
    (Drawer::Compare, "compare", "Compare"),
];

/// What stands on the workbench and is not done yet.
pub struct Desk {
    /// The drawer that is open.
    pub drawer: Watched<Option<Drawer>>,
    /// The command that is being typed.
    pub draft: Watched<Typed>,
    /// What is wrong with it.
    pub wrong: Watched<Option<String>>,
    /// Objects that are being written.
    pub yaml: Watched<String>,
    /// What is wrong with them, or with the rules.
    pub yaml_wrong: Watched<Option<String>>,
    /// A host's rules that are being written.
    pub rules: Watched<String>,
    /// What is wrong with the file that was opened.
    pub file: Watched<Option<String>>,
    /// An exercise in the making.
    pub builder: builder::Builder,
    /// How far arrow up has gone back in what was typed.
    pub back: Cell<usize>,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk {
            drawer: Watched::new(None),
            draft: Watched::new(Typed::default()),
            wrong: Watched::new(None),
            yaml: Watched::new(String::new()),
            yaml_wrong: Watched::new(None),
            rules: Watched::new(String::new()),
            file: Watched::new(None),
            builder: builder::Builder::default(),
            back: Cell::new(0),
        }
    }
}

/// The row of the workbench.
pub fn row(state: State) -> View {
    let travel = |back: bool, name: &'static str, keys: &'static str| {
        let none = move || state.history.with(|h| if back { h.past.is_empty() } else { h.future.is_empty() });
        el("button")
            .class("btn")
            .attr("title", format!("{name} ({keys})"))
            .attr("aria-label", name)
            .attr("id", name.to_ascii_lowercase())
            .maybe("disabled", "", none)
            .click(move || state.travel(back))
            .add(icons::turn(back))
    };
    let mut row = el("div")
        .class("workbench-row")
        .flag("shown", move || state.pane.get() == Pane::Map)
        .attr("role", "group")
        .attr("aria-label", "Workbench")
        .add(travel(true, "Undo", "u"))
        .add(travel(false, "Redo", "Shift+u"));
    for (drawer, id, name) in DRAWERS {
        let open = move || state.desk.drawer.get() == Some(drawer);
        let button = el("button")
            .class("btn")
            .attr("id", format!("drawer-{id}"))
            .live("aria-expanded", move || open().to_string())
            .attr("aria-controls", "drawer")
            .click(move || {
                let now = state.desk.drawer.get_untracked();
                state.desk.drawer.set((now != Some(drawer)).then_some(drawer));
            })
            .add(name)
            .add((drawer == Drawer::Commands).then(|| count(state)));
        row = row.add(button);
    }
    row.add(part(move || ghost(state))).add(files::buttons(state)).into()
}

/// The drawer that is open.
pub fn workbench(state: State) -> View {
    let open = part(move || match state.desk.drawer.get() {
        None => NONE,
        Some(drawer) => {
            let (id, name) =
                DRAWERS.iter().find(|d| d.0 == drawer).map_or(("builder", "An exercise"), |d| (d.1, d.2));
            let inside = match drawer {
                Drawer::Commands => part(move || commands::list(state)),
                Drawer::Switches => switches::drawer(state),
                Drawer::Cluster => cluster::drawer(state),
                Drawer::Compare => part(move || compare::drawer(state)),
                Drawer::Builder => builder::drawer(state),
            };
            el("section")
                .class("card drawer")
                .attr("data-drawer", id)
                .attr("aria-label", name)
                .add(inside)
                .into()
        }
    });
    let drawer = el("div").id("drawer").add(open);
    el("div").class("workbench").add(part(move || files::wrong(state))).add(drawer).into()
}

/// How many commands were typed.
fn count(state: State) -> El {
    let count = text(move || match state.loaded.with(|l| l.session.typed.len()) {
        0 => String::new(),
        n => n.to_string(),
    });
    el("span").class("count-badge").add(count)
}

/// The run before stands behind this one.
fn ghost(state: State) -> View {
    if state.ghost().is_none() {
        return NONE;
    }
    let dismiss = el("button")
        .class("btn quiet")
        .attr("id", "dismiss-ghost")
        .attr("title", "Take the run before away")
        .click(move || state.dismiss_ghost())
        .add(icons::cross())
        .add("Run before");
    dismiss.into()
}
