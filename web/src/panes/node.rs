//! What is set up on a node: sets, virtual servers, modules and settings; and what a switch has changed of it.

use super::{copy_button, space};
use crate::dom::{El, NONE, View, el, part, text};
use crate::load::Loaded;
use crate::state::State;
use kernel::{Instant, Netns, Switch};
use leptos::prelude::*;
use sim::view::{Change, DiffLine, brief_addresses, changes, ipvs_at, modules, settings};
use std::rc::Rc;
use userland::ipset::list_set;
use userland::ipvsadm::{print_conns, print_list};

/// A command on the node whose tables are shown, and what it prints.
struct Printed {
    command: &'static str,
    lines: Vec<String>,
}

fn with_node<T: Default>(state: State, f: impl FnOnce(&Loaded, &Netns) -> T) -> T {
    let (loaded, host) = (state.loaded.get(), state.table_host());
    loaded.world().host(host).map(|ns| f(&loaded, ns)).unwrap_or_default()
}

fn printed(list: &[Printed], host: &str) -> View {
    let mut out = el("div").class("printed mono");
    for p in list {
        out = out.add(el("h3").add(format!("{host}# {}", p.command)));
        if p.lines.is_empty() {
            out = out.add(el("p").class("none").add("nothing"));
        }
        for line in &p.lines {
            out = out.add(el("p").class("ln").add(line.clone()));
        }
    }
    out.into()
}

/// A pane of such commands, and its copy button.
fn listing(state: State, of: fn(State) -> Vec<Printed>) -> View {
    part(move || printed(&of(state), &state.table_host_name()))
}

fn tools(state: State, name: &'static str, about: &'static str, of: fn(State) -> Vec<Printed>) -> View {
    let copy = move || {
        let list = untrack(|| of(state));
        list.iter().flat_map(|p| &p.lines).map(|l| format!("{l}\n")).collect()
    };
    el("div")
        .class("tools")
        .add(el("span").class("quiet").add(about))
        .add(space())
        .add(copy_button(state, name, copy))
        .into()
}

// ---------------------------------------------------------------------- sets

fn ipset_list(state: State) -> Vec<Printed> {
    with_node(state, |_, ns| {
        let mut lines = Vec::new();
        for set in ns.ipsets.iter() {
            lines.extend(list_set(set, ns.set_references(&set.name), false, false, ns.era(), Instant(0)));
            lines.push(String::new());
        }
        vec![Printed { command: "ipset list", lines }]
    })
}

/// The sets of ipset and their members.
pub fn sets(state: State) -> View {
    listing(state, ipset_list)
}

/// What stands beside the tabs.
pub fn sets_tools(state: State) -> View {
    tools(state, "sets", "rules with -m set ask these", ipset_list)
}

// ---------------------------------------------------------------------- IPVS

fn ipvs_lists(state: State) -> Vec<Printed> {
    let now = state.now();
    with_node(state, |loaded, ns| {
        let (conns, at) = ipvs_at(loaded.world(), ns.id, now);
        let lines = |text: String| text.lines().map(str::to_owned).collect();
        let dummy = brief_addresses(loaded.world(), ns).into_iter().filter(|l| l.starts_with("kube-ipvs0"));
        vec![
            Printed { command: "ipvsadm -Ln", lines: lines(print_list(&ns.ipvs, &conns)) },
            Printed { command: "ipvsadm -Lnc", lines: lines(print_conns(&conns, at)) },
            Printed { command: "ip -br -4 addr show dev kube-ipvs0", lines: dummy.collect() },
        ]
    })
}

/// Virtual servers, connections, and the addresses that make the node take their packets.
pub fn ipvs(state: State) -> View {
    listing(state, ipvs_lists)
}

/// What stands beside the tabs.
pub fn ipvs_tools(state: State) -> View {
    tools(state, "ipvs", "connections as they are at the cursor", ipvs_lists)
}

// ---------------------------------------------------------------------- the node

fn node_lists(state: State) -> Vec<Printed> {
    with_node(state, |loaded, ns| {
        vec![
            Printed { command: "uname -r", lines: vec![ns.era().name().to_owned()] },
            Printed { command: "sysctl", lines: settings(ns) },
            Printed { command: "ip -br -4 addr", lines: brief_addresses(loaded.world(), ns) },
        ]
    })
}

/// Modules, kernel, settings, addresses.
pub fn node(state: State) -> View {
    let loaded = part(move || with_node(state, |_, ns| Some(module_list(ns))).into());
    let kernel = part(move || with_node(state, |_, ns| Some(kernel_facts(ns))).into());
    el("div").add(loaded).add(listing(state, node_lists)).add(kernel).into()
}

/// What this kernel does where other kernels do something else.
fn kernel_facts(ns: &Netns) -> El {
    let era = ns.era();
    let mut rows = el("dl");
    for switch in Switch::ALL {
        let d = switch.difference();
        let held = el("span").class("quiet").add(format!(" {}: {}", d.held_against(era).name(), d.source));
        rows = rows.add(el("dt").class("mono").add(d.name)).add(el("dd").add(d.says(era)).add(held));
    }
    let title = format!("Linux {} is held against {}", era.name(), era.held_against());
    el("section").class("kernel").add(el("h3").add(title)).add(rows)
}

fn module_list(ns: &Netns) -> El {
    let mut list = el("ul").class("modules").attr("aria-label", "Kernel modules");
    for (name, loaded) in modules(ns) {
        let word = if loaded { "loaded" } else { "not loaded" };
        let item = el("li").class_if("on", loaded).add(el("code").add(name)).add(" ").add(word);
        list = list.add(item);
    }
    list
}

/// What stands beside the tabs.
pub fn node_tools(state: State) -> View {
    tools(state, "node", "modules, kernel, settings, addresses", node_lists)
}

// ---------------------------------------------------------------------- changes

/// What differs on the node from the run before the last change.
fn changed(state: State) -> Option<Vec<Change>> {
    let before: Rc<Loaded> = state.before.get()?;
    let (after, host) = (state.loaded.get(), state.table_host());
    let new = after.world().host(host)?;
    let old = before.world().host(before.world().host_by_name(&new.name)?)?;
    Some(changes((before.world(), old), (after.world(), new)))
}

/// How many lines have come or gone.
pub fn change_count(state: State) -> usize {
    let lines = |c: &Change| c.lines.iter().filter(|l| !matches!(l, DiffLine::Same(_))).count();
    changed(state).map_or(0, |all| all.iter().map(lines).sum())
}

/// The difference, command by command.
pub fn diff(state: State) -> View {
    part(move || {
        let host = state.table_host_name();
        let Some(all) = changed(state) else {
            let text = format!(
                "Nothing has been changed yet. Flip a switch: here is then what it did to {host}: rules, sets, \
                 virtual servers, modules, settings."
            );
            return el("p").class("none").add(text).into();
        };
        if all.is_empty() {
            return el("p").class("none").add(format!("Nothing differs on {host}.")).into();
        }
        let mut out = el("div").class("printed diff mono");
        for change in &all {
            out = out.add(el("h3").add(format!("{host}# {}", change.command)));
            for line in &change.lines {
                out = out.add(diff_line(line));
            }
        }
        out.into()
    })
}

fn diff_line(line: &DiffLine) -> El {
    let class = match line {
        DiffLine::Same(_) => "ln",
        DiffLine::Gone(_) => "ln gone",
        DiffLine::New(_) => "ln new",
    };
    el("p").class(class).add(line.text())
}

/// What stands beside the tabs: from which positions to which.
pub fn diff_tools(state: State) -> View {
    let about = text(move || {
        let Some(before) = state.before.get() else { return String::new() };
        let after = state.loaded.get();
        let moved = after.run.setting.iter().filter_map(|(k, v)| {
            let old = before.run.setting.get(k).filter(|old| *old != v)?;
            Some(format!("{k}: {old} → {v}"))
        });
        moved.collect::<Vec<_>>().join(", ")
    });
    let copy = move || {
        let mut out = String::new();
        for change in untrack(|| changed(state)).unwrap_or_default() {
            out.push_str(&format!("# {}\n", change.command));
            for line in &change.lines {
                out.push_str(&line.text());
                out.push('\n');
            }
        }
        out
    };
    let any =
        part(move || if state.before.get().is_some() { copy_button(state, "changes", copy) } else { NONE });
    el("div").class("tools").add(el("span").class("mono").add(about)).add(space()).add(any).into()
}
