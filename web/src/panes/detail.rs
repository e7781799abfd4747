//! The fields and the bytes of the chosen frame; each lights the other.

use super::sniff::reading;
use super::unseen;
use crate::dom::{El, View, el, part};
use crate::state::State;
use userland::wireshark::{Field, Kind};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement, KeyboardEvent};

/// So many bytes are drawn.
const BYTES: usize = 512;
/// Bytes in a row.
const ROW: usize = 16;

/// Both, side by side.
pub fn detail(state: State) -> View {
    part(move || {
        let reading = reading(state);
        state.sniff.lit.set((0, 0));
        let Some((bytes, fields)) = state.sniff.chosen.get().and_then(|i| reading.fields(i)) else {
            let filtered = !reading.captures.taken.is_empty() && reading.passed.is_empty();
            let why = if filtered { "No frame fits the filter." } else { "No packet yet." };
            return el("p").class("none").add(why).into();
        };
        let before = state.sniff.chosen.get().and_then(|i| reading.fields_before(i));
        let was = changed(&bytes, &fields, before.as_ref());
        View::All(vec![tree(state, &bytes, &fields, was), hex(state, &bytes, fields)])
    })
}

/// Of each field the value that it had in another capture of the packet, if another one. Layers are compared from the last
/// one on: a tunnel's are in front.
fn changed(bytes: &[u8], fields: &[Field], before: Option<&(Vec<u8>, Vec<Field>)>) -> Vec<Option<String>> {
    let mut out = vec![None; fields.len()];
    let Some((old_bytes, old)) = before else { return out };
    let starts = |list: &[Field]| -> Vec<usize> {
        (0..list.len()).filter(|i| list.get(*i).is_some_and(|f| f.depth == 0)).rev().collect()
    };
    let layer = |list: &[Field], start: usize| -> usize {
        list.iter().skip(start + 1).position(|f| f.depth == 0).map_or(list.len(), |n| start + 1 + n)
    };
    let old_starts = starts(old);
    let mut at = 0;
    for start in starts(fields) {
        let name = fields.get(start).map(Field::name);
        let skip = matches!(name, Some("frame" | "pkt_comment"));
        let same = |s: &usize| old.get(*s).map(Field::name) == name;
        let Some(n) = old_starts.iter().skip(at).position(same).filter(|_| !skip) else { continue };
        let Some(old_start) = old_starts.get(at + n).copied() else { continue };
        at += n + 1;
        let old_fields = old.get(old_start..layer(old, old_start)).unwrap_or_default();
        let mut used = vec![false; old_fields.len()];
        for i in start..layer(fields, start) {
            let Some(field) = fields.get(i) else { continue };
            let pair = old_fields.iter().zip(&mut used).find(|(o, used)| !**used && o.known == field.known);
            let Some((twin, used)) = pair else { continue };
            *used = true;
            // Bytes have fields of their own that tell.
            if matches!(field.known.kind, Kind::Group | Kind::Bytes) {
                continue;
            }
            let (is, was) = (field.show(bytes), twin.show(old_bytes));
            if let Some(place) = out.get_mut(i).filter(|_| is != was) {
                *place = Some(was);
            }
        }
    }
    out
}

fn tree(state: State, bytes: &[u8], fields: &[Field], was: Vec<Option<String>>) -> View {
    let mut list = el("div")
        .class("fields")
        .attr("role", "tree")
        .attr("aria-label", "Fields")
        .on("mouseleave", move |_| state.sniff.lit.set((0, 0)))
        .on("keydown", move_focus);
    let mut first = true;
    for (field, was) in fields.iter().zip(was) {
        if !field.hidden {
            list = list.add(item(state, bytes, field, was, first));
            first = false;
        }
    }
    list.into()
}

fn item(state: State, bytes: &[u8], field: &Field, was: Option<String>, first: bool) -> El {
    let place = if field.len == 0 { (0, 0) } else { (field.at, field.at + field.len) };
    let light = move || state.sniff.lit.set(place);
    let mut value = field.show(bytes);
    // A comment is no bytes, and told to its end.
    if field.len != 0 && value.chars().count() > 80 {
        value = value.chars().take(80).chain(['…']).collect();
    }
    let depth = ["d0", "d1", "d2", "d3", "d4", "d5"].get(usize::from(field.depth)).copied().unwrap_or("d5");
    let mut out = el("div")
        .class("fl")
        .class(depth)
        .class_if("changed", was.is_some())
        .class_if("group", field.known.kind == Kind::Group)
        .attr("role", "treeitem")
        .attr("aria-level", (field.depth + 1).to_string())
        .attr("tabindex", if first { "0" } else { "-1" })
        .attr("title", field.name())
        .flag("lit", move || place.1 != 0 && state.sniff.lit.get() == place)
        .on("mouseenter", move |_| light())
        .on("focus", move |_| light())
        .add(el("span").class("what").add(field.known.title));
    if let Some(was) = was {
        out = out.add(el("del").class("mono").add(was)).add(unseen(" is now "));
    }
    if !value.is_empty() {
        out = out.add(el("span").class("mono val").add(value));
    }
    if !field.note.is_empty() {
        out = out.add(el("span").class("quiet").add(format!(" {}", field.note)));
    }
    out
}

/// Up and down in the tree.
fn move_focus(e: &Event) {
    let key: &KeyboardEvent = e.unchecked_ref();
    let now = e.target().and_then(|t| t.dyn_into::<Element>().ok());
    let to = match key.key().as_str() {
        "ArrowDown" | "j" => now.and_then(|n| n.next_element_sibling()),
        "ArrowUp" | "k" => now.and_then(|n| n.previous_element_sibling()),
        _ => return,
    };
    e.prevent_default();
    e.stop_propagation();
    if let Some(to) = to.and_then(|t| t.dyn_into::<HtmlElement>().ok()) {
        let _ = to.focus();
    }
}

fn hex(state: State, bytes: &[u8], fields: Vec<Field>) -> View {
    let shown: Vec<u8> = bytes.iter().copied().take(BYTES).collect();
    let more = bytes.len().saturating_sub(BYTES);
    // The innermost field that covers a byte.
    let over = move |at: usize| {
        let covers = |f: &&Field| f.len > 0 && f.at <= at && at < f.at + f.len && f.depth > 0;
        fields.iter().filter(covers).min_by_key(|f| f.len).map(|f| (f.at, f.at + f.len))
    };
    let rows = part(move || {
        let (from, to) = state.sniff.lit.get();
        let mut rows = Vec::new();
        for (n, row) in shown.chunks(ROW).enumerate() {
            let class = |i: usize| if i >= from && i < to { "by lit" } else { "by" };
            let mut codes = el("span").class("codes");
            let mut letters = el("span").class("letters");
            for (i, b) in (n * ROW..).zip(row) {
                let at = i.to_string();
                let letter = if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' };
                let code = el("i").class(class(i)).attr("data-at", at.clone()).add(format!("{b:02x}"));
                codes = codes.add(code);
                letters = letters.add(el("i").class(class(i)).attr("data-at", at).add(letter.to_string()));
            }
            let offset = el("span").class("quiet off").add(format!("{:04x}", n * ROW));
            rows.push(el("div").class("hexrow").add(offset).add(codes).add(letters).into());
        }
        View::All(rows)
    });
    let mut out = el("div")
        .class("hex mono")
        .attr("tabindex", "0")
        .attr("role", "group")
        .attr("aria-label", "Bytes")
        .on("mouseover", move |e| {
            let target = e.target().and_then(|t| t.dyn_into::<Element>().ok());
            let at = target.and_then(|t| t.get_attribute("data-at")).and_then(|at| at.parse().ok());
            let place = at.and_then(&over).unwrap_or((0, 0));
            if state.sniff.lit.get_untracked() != place {
                state.sniff.lit.set(place);
            }
        })
        .on("mouseleave", move |_| state.sniff.lit.set((0, 0)))
        .add(rows);
    if more > 0 {
        out = out.add(el("p").class("quiet").add(format!("and {more} bytes more")));
    }
    out.into()
}
