//! What is set up on a node: sets, virtual servers, modules and settings; and what a switch has changed of it.

use super::{copy_button, space};
use crate::dom::{El, NONE, View, el, part, text};
use crate::load::Loaded;
use crate::state::State;
use kernel::{Netns, Switch};
use leptos::prelude::*;
use sim::view::{Change, DiffLine, changes, modules};
use std::rc::Rc;

fn with_node<T: Default>(state: State, f: impl FnOnce(&Loaded, &Netns) -> T) -> T {
    let (loaded, host) = (state.loaded.get(), state.table_host());
    loaded.world().host(host).map(|ns| f(&loaded, ns)).unwrap_or_default()
}

// ---------------------------------------------------------------------- the node

/// Modules, kernel, kube-proxy: what the node is, and what each is held against.
pub fn facts(state: State) -> View {
    let modules = part(move || with_node(state, |_, ns| Some(module_list(ns))).into());
    let proxy = part(move || with_node(state, |loaded, _| kube_proxy(loaded)).into());
    let kernel = part(move || with_node(state, |_, ns| Some(kernel_facts(ns))).into());
    el("div").class("facts").add(modules).add(proxy).add(kernel).into()
}

/// What the rules of this kube-proxy are held against.
fn kube_proxy(loaded: &Loaded) -> Option<El> {
    let (version, mode) = loaded.run.proxy?;
    let held = version.held_against(mode);
    let title = format!("kube-proxy {} in mode {mode}: {}", version.name(), held.name());
    Some(
        el("section").class("kernel").add(el("h3").add(title)).add(el("p").class("quiet").add(held.detail())),
    )
}

/// One word for what the kernel and kube-proxy of a node are held against: for the line beside the tabs.
pub fn held_against(state: State) -> String {
    with_node(state, |loaded, ns| {
        let kernel = format!("Linux {}: {}", ns.era().name(), ns.era().held_against());
        match loaded.run.proxy {
            Some((version, mode)) => {
                format!("kube-proxy {}: {} · {kernel}", version.name(), version.held_against(mode).name())
            }
            None => kernel,
        }
    })
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
