//! The keyboard.

use crate::look::Grain;
use crate::playback;
use crate::state::{Pane, State, Tab};
use leptos::prelude::*;
use sim::view::{Area, Tone};
use wasm_bindgen::JsCast;
use web_sys::KeyboardEvent;

/// The keys, for the help.
pub const KEYS: &[(&str, &str)] = &[
    ("Space", "play, pause"),
    ("← →", "one step back, forward"),
    ("Shift ← →", "to the previous, next device"),
    ("PageUp PageDown", "to the previous, next hook"),
    ("Alt ← →", "to the previous, next decision: NAT, drop, program"),
    ("Home End", "to the first, last step"),
    ("[ ]", "previous, next packet"),
    ("j k", "down, up in the journey"),
    ("Enter", "open, close the explanation; in the picture, go in"),
    ("Esc", "out of the picture's level"),
    ("c n h", "cluster, node, hook"),
    ("+ − 0", "map nearer, farther, whole"),
    ("1 2 3 4", "lesson, map, journey, tables"),
    (", .", "to the previous, next moment of the text"),
    ("a", "ARP on, off"),
    ("f", "follow the packet"),
    ("/", "display filter of the capture; j k there: down, up in its list"),
    ("F", "full screen, on and off"),
    ("y", "copy the link"),
    ("`", "type a command"),
    ("u Shift u", "undo, redo: switches and commands"),
    ("?", "this list"),
];

/// Which keys what has the focus wants itself.
#[derive(Clone, Copy, Default)]
struct Wants {
    /// Space and Enter.
    press: bool,
    arrows: bool,
    /// Home and End.
    ends: bool,
    /// Pages are hooks: on the slider, and where there is nothing to be scrolled.
    pages: bool,
}

fn wanted(event: &KeyboardEvent) -> Wants {
    let Some(target) = event.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok()) else {
        return Wants::default();
    };
    let attribute = |name| target.get_attribute(name).unwrap_or_default();
    let (tag, role, kind) = (target.tag_name(), attribute("role"), attribute("type"));
    let list = matches!(role.as_str(), "tab" | "treeitem" | "grid");
    let press = matches!(tag.as_str(), "BUTTON" | "A" | "SUMMARY" | "SELECT")
        || matches!(role.as_str(), "switch" | "treeitem" | "grid")
        || matches!(kind.as_str(), "checkbox" | "radio");
    let field = matches!(tag.as_str(), "SELECT" | "TEXTAREA") || tag == "INPUT" && kind != "checkbox";
    let scrubber = attribute("id") == "scrubber";
    // The slider's own keys mean the same, in its own way: ours know of devices and hooks.
    let field = field && !scrubber;
    let still = document().document_element().is_some_and(|e| e.scroll_height() <= e.client_height());
    let pages = scrubber || still && matches!(tag.as_str(), "MAIN" | "BODY");
    Wants { press, arrows: field || list, ends: field && kind != "radio" || list, pages }
}

/// Handles a key; true if it was ours.
pub fn key(state: State, event: &KeyboardEvent) -> bool {
    if state.help.get_untracked() || typing(event) {
        return false;
    }
    if event.ctrl_key() || event.meta_key() {
        return undo(state, event);
    }
    if state.bench.shown.get_untracked() {
        return for_all_labs(state, event);
    }
    let wants = wanted(event);
    let (shift, alt) = (event.shift_key(), event.alt_key());
    match event.key().as_str() {
        " " if !wants.press => playback::toggle(state),
        name @ ("ArrowLeft" | "ArrowRight") if !wants.arrows => {
            let forward = name == "ArrowRight";
            match (shift, alt) {
                (true, _) => state.step_by(Grain::Device, forward),
                (_, true) => state.seek(forward, |s, _| is_decision(s.area, s.tone)),
                _ => state.step_by(Grain::Event, forward),
            }
        }
        name @ ("PageUp" | "PageDown") if wants.pages => state.step_by(Grain::Hook, name == "PageDown"),
        "Home" if !wants.ends => state.go_shown(0),
        "End" if !wants.ends => state.go_shown(state.shown.with_untracked(|s| s.len().saturating_sub(1))),
        "Escape" => return crate::topology::key(state, "Escape", true),
        "Enter" if !wants.press && !wants.arrows && in_picture(event) => {
            return crate::topology::key(state, "Enter", true);
        }
        "Enter" if !wants.press && !wants.arrows => state.why.set(!state.why.get_untracked()),
        letter if state.letters.get_untracked() && !alt => return self::letter(state, letter),
        _ => return false,
    }
    true
}

/// Whether somebody writes a text.
fn typing(event: &KeyboardEvent) -> bool {
    let Some(target) = event.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok()) else {
        return false;
    };
    let kind = target.get_attribute("type").unwrap_or_default();
    match target.tag_name().as_str() {
        "TEXTAREA" => true,
        "INPUT" => matches!(kind.as_str(), "" | "text" | "search" | "number"),
        _ => false,
    }
}

/// Ctrl+Z, Ctrl+Shift+Z, Ctrl+Y.
fn undo(state: State, event: &KeyboardEvent) -> bool {
    let back = match (event.key().to_ascii_lowercase().as_str(), event.shift_key()) {
        ("z", shift) => !shift,
        ("y", false) => false,
        _ => return false,
    };
    if state.bench.shown.get_untracked() {
        return false;
    }
    state.travel(back);
    true
}

/// Keys that mean something in every lab.
fn for_all_labs(state: State, event: &KeyboardEvent) -> bool {
    let typing = wanted(event).ends;
    if typing || event.alt_key() || !state.letters.get_untracked() {
        return false;
    }
    matches!(event.key().as_str(), "y" | "?") && letter(state, &event.key())
}

fn is_decision(area: Area, tone: Tone) -> bool {
    matches!(tone, Tone::Strong | Tone::Bad) && area != Area::Wire
}

fn letter(state: State, letter: &str) -> bool {
    match letter {
        "[" => state.seek_packet(false),
        "]" => state.seek_packet(true),
        "j" => move_in_packet(state, true),
        "k" => move_in_packet(state, false),
        "1" => focus(state, Pane::Lesson, "lesson"),
        "2" => focus(state, Pane::Map, "map"),
        "3" => focus(state, Pane::Journey, "journey"),
        "4" => focus(state, Pane::Tables, "tables"),
        "a" => state.set_noise(!state.noise.get_untracked()),
        "f" => state.pinned.set(None),
        "." => crate::course::go_to_beat(state, true),
        "," => crate::course::go_to_beat(state, false),
        "F" => crate::course::full_screen(),
        "y" => crate::panes::share(state),
        "u" => state.travel(true),
        "U" => state.travel(false),
        "`" => crate::workbench::focus_input(state),
        "/" => filter(state),
        "?" => state.help.set(true),
        other => return crate::topology::letter(state, other),
    }
    true
}

/// To the display filter of the capture.
fn filter(state: State) {
    state.pane.set(Pane::Tables);
    state.fold.unfold();
    state.tab.set(Tab::Capture);
    crate::before_paint(|| crate::focus_on("display-filter"));
}

/// The focus is in the picture.
fn in_picture(event: &KeyboardEvent) -> bool {
    let target = event.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|e| e.closest("#map").ok().flatten().is_some())
}

/// To the next or previous step of the same packet.
fn move_in_packet(state: State, forward: bool) {
    let packet = untrack(|| state.packet());
    state.seek(forward, |s, _| s.packet == packet);
}

fn focus(state: State, pane: Pane, id: &str) {
    state.pane.set(pane);
    if pane == Pane::Tables {
        state.fold.unfold();
    }
    if let Some(e) = document().get_element_by_id(id).and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok())
    {
        let _ = e.focus();
    }
}

/// Arrow keys in a list of tabs (APG): the place of the tab to go to.
pub fn tab_key(event: &KeyboardEvent, at: usize, len: usize) -> Option<usize> {
    let last = len.checked_sub(1)?;
    Some(match event.key().as_str() {
        "ArrowRight" | "ArrowDown" => {
            if at == last {
                0
            } else {
                at + 1
            }
        }
        "ArrowLeft" | "ArrowUp" => at.checked_sub(1).unwrap_or(last),
        "Home" => 0,
        "End" => last,
        _ => return None,
    })
}

/// The tabs in order.
pub const TABS: [(Tab, &str); 9] = [
    (Tab::Capture, "Capture"),
    (Tab::Packet, "Packet"),
    (Tab::Rules, "Rules"),
    (Tab::Conntrack, "Conntrack"),
    (Tab::Sets, "Sets"),
    (Tab::Ipvs, "IPVS"),
    (Tab::Network, "Network"),
    (Tab::Node, "Node"),
    (Tab::Changes, "Changes"),
];
