//! The map as a tree for those who do not see it: the same boxes, with names and roles.

use super::zoom::{Level, hook_of};
use crate::dom::{El, NONE, View, before_paint, el, part, text};
use crate::load::Loaded;
use crate::state::State;
use kernel::NetnsId;
use kernel::dev::DevKind;
use kernel::netfilter::hook::InetHook;
use leptos::prelude::document;
use sim::view::{Role, badges, met, registered};
use wasm_bindgen::JsCast;
use web_sys::{Event, KeyboardEvent};

/// An entry of the tree.
struct Item {
    host: NetnsId,
    text: String,
    level: u32,
}

fn items(loaded: &Loaded) -> Vec<Item> {
    let topo = &loaded.story.topology;
    let mut out = Vec::new();
    for lan in topo.having(|r| r == Role::Switch) {
        out.push(Item { host: lan, text: format!("LAN {}", name(loaded, lan)), level: 1 });
    }
    for node in topo.having(|r| matches!(r, Role::Node | Role::Host)) {
        let Some(ns) = loaded.world().host(node) else { continue };
        let mut text = format!("{}{}", ns.name, addresses(loaded, node));
        if topo.role(node) == Role::Node {
            text.push_str(&format!("; {}", badges(ns).join(", ")));
        }
        out.push(Item { host: node, text, level: 1 });
        for pod in topo.having(|r| matches!(r, Role::Pod { node: n, .. } if n == node)) {
            let Role::Pod { port, bridge, .. } = topo.role(pod) else { continue };
            let on = bridge.map(|b| format!(" of bridge {}", ns.dev_name(b))).unwrap_or_default();
            let (name, port) = (name(loaded, pod), ns.dev_name(port));
            let text = format!("pod {name}{}, on port {port}{on}", addresses(loaded, pod));
            out.push(Item { host: pod, text, level: 2 });
        }
    }
    out
}

fn name(loaded: &Loaded, host: NetnsId) -> String {
    loaded.world().host(host).map_or(String::new(), |h| h.name.clone())
}

fn addresses(loaded: &Loaded, host: NetnsId) -> String {
    let Some(ns) = loaded.world().host(host) else { return String::new() };
    let all: Vec<String> = ns
        .devices()
        .iter()
        .filter(|d| !matches!(d.kind, DevKind::Loopback))
        .flat_map(|d| d.addrs.iter().map(move |a| format!("{} {}", d.name, a.net)))
        .collect();
    if all.is_empty() { String::new() } else { format!(", {}", all.join(", ")) }
}

/// The tree: boxes at the level of the cluster, hooks at that of a node. A hook's own view needs no other words.
pub fn outline(state: State) -> View {
    let rows = part(move || match state.zoom.level.get() {
        Level::Cluster => {
            let loaded = state.loaded.get();
            let items = items(&loaded).into_iter().enumerate();
            tree("Boxes and links", items.map(|(i, item)| row(state, i, item)).collect())
        }
        Level::Node => tree("Hooks", InetHook::ALL.into_iter().map(|h| hook_row(state, h)).collect()),
        Level::Hook => NONE,
    });
    View::All(vec![rows])
}

fn tree(name: &'static str, rows: Vec<View>) -> View {
    el("ul")
        .class("outline")
        .attr("role", "tree")
        .attr("aria-label", name)
        .on("keydown", keys)
        .add(View::All(rows))
        .into()
}

/// An entry: it can have the focus, and Enter or a click goes in.
fn entry(index: usize, enter: impl Fn() + Clone + 'static) -> El {
    let pressed = enter.clone();
    el("li").attr("role", "treeitem").attr("tabindex", if index == 0 { "0" } else { "-1" }).click(enter).on(
        "keydown",
        move |e| {
            if matches!(key(e).as_str(), "Enter" | " ") {
                e.prevent_default();
                e.stop_propagation();
                pressed();
                // What stands in its place takes the focus.
                before_paint(|| {
                    let to = document().query_selector("#map [role=treeitem], #hookview").ok().flatten();
                    if let Some(to) = to.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
                        let _ = to.focus();
                    }
                });
            }
        },
    )
}

fn row(state: State, index: usize, item: Item) -> View {
    let host = item.host;
    let here = move || state.with_step(|_, s, _| s.host == host && s.packet.is_some()).unwrap_or(false);
    let mark = text(move || {
        let text = here().then(|| {
            let label = state
                .packet()
                .and_then(|id| state.loaded.with(|l| l.story.packet(id).map(|p| p.label.clone())));
            format!(" – {} is here", label.unwrap_or_default())
        });
        text.unwrap_or_default()
    });
    entry(index, move || state.enter(host))
        .live("aria-selected", move || (state.pinned.get() == Some(host)).to_string())
        .class_if("sub", item.level > 1)
        .flag("here", here)
        .on("focus", move |_| state.outlined.set(Some(host)))
        .on("blur", move |_| state.outlined.set(None))
        .add(item.text)
        .add(el("b").add(mark))
        .into()
}

/// A hook of the box that is looked at, with what is registered there and how many packets it has seen.
fn hook_row(state: State, hook: InetHook) -> View {
    let index = InetHook::ALL.iter().position(|h| *h == hook).unwrap_or(0);
    let here = move || {
        state.with_step(|_, s, _| hook_of(s.spot) == Some(hook) && s.host == state.host()).unwrap_or(false)
    };
    let words = text(move || {
        let loaded = state.loaded.get();
        let host = state.host();
        let Some(ns) = loaded.world().host(host) else { return String::new() };
        let seen = met(loaded.world(), host, state.now());
        let times = |spot| seen.iter().find(|v| v.spot == spot).map_or(0, |v| v.times);
        let list: Vec<String> =
            registered(ns, hook).iter().map(|b| format!("{} ({})", b.name, times(b.spot))).collect();
        let list = if list.is_empty() { "nothing registered".to_owned() } else { list.join(", ") };
        format!("{hook}: {list}{}", if here() { " – the packet is here" } else { "" })
    });
    entry(index, move || state.enter_hook(hook))
        .live("aria-selected", move || (state.hook() == Some(hook)).to_string())
        .flag("here", here)
        .on("focus", move |_| state.zoom.outlined.set(Some(hook)))
        .on("blur", move |_| state.zoom.outlined.set(None))
        .add(words)
        .into()
}

fn key(event: &Event) -> String {
    event.unchecked_ref::<KeyboardEvent>().key()
}

/// Arrow keys move the focus in the tree.
fn keys(event: &Event) {
    let key = key(event);
    if !matches!(key.as_str(), "ArrowDown" | "ArrowUp" | "Home" | "End") {
        return;
    }
    event.prevent_default();
    event.stop_propagation();
    let Some(item) = event.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok()) else { return };
    let Some(tree) = item.closest("[role=tree]").ok().flatten() else { return };
    let to = match key.as_str() {
        "ArrowDown" => item.next_element_sibling(),
        "ArrowUp" => item.previous_element_sibling(),
        "Home" => tree.first_element_child(),
        _ => tree.last_element_child(),
    };
    if let Some(to) = to.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = item.set_attribute("tabindex", "-1");
        let _ = to.set_attribute("tabindex", "0");
        let _ = to.focus();
    }
}
