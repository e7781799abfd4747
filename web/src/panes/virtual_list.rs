//! A long list of which only what is in sight is drawn.
//!
//! All rows have the same height, so the place of a row follows from its number, and a hundred thousand rows cost no
//! more than forty. A row is described only when it is shown. To screen readers the list is a grid of so many rows, of
//! which one is the current one (`aria-activedescendant`); arrow keys move it, and bring it into sight.

use crate::dom::{El, View, before_paint, el, part};
use crate::watched::Watched;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, KeyboardEvent};

/// The height of a line in pixels. The style sheet says the same (`.vrow`).
const LINE: u32 = 20;
/// So many rows are drawn beyond each edge.
const BEYOND: u32 = 12;

/// What a list is made of.
pub struct Rows {
    /// How many rows there are; whoever asks is told when that changes.
    pub len: Box<dyn Fn() -> u32>,
    /// How many lines a row has.
    pub lines: u32,
    /// Fills a row. It is asked only for rows that are shown.
    pub row: Box<dyn Fn(u32, El) -> El>,
    /// What Enter does on the current row.
    pub enter: Box<dyn Fn(u32)>,
}

/// Where a list is: kept by whoever owns the list, so that others can bring rows into sight.
pub struct Place {
    /// The first row in sight, and how many there are.
    window: Watched<(u32, u32)>,
    /// The current row.
    current: Watched<Option<u32>>,
    /// A row that shall come into sight.
    wanted: Watched<Option<u32>>,
}

impl Default for Place {
    fn default() -> Place {
        Place { window: Watched::new((0, 30)), current: Watched::new(None), wanted: Watched::new(None) }
    }
}

impl Place {
    /// Brings a row into sight, and makes it the current one.
    pub fn show(&self, row: u32) {
        self.current.set(Some(row));
        self.wanted.set(Some(row));
    }

    /// Brings a row into sight.
    pub fn reveal(&self, row: u32) {
        self.wanted.set(Some(row));
    }

    /// Back to the top.
    pub fn reset(&self) {
        self.current.set(None);
        self.wanted.set(Some(0));
    }
}

/// A list. `id` is that of its element, and begins those of its rows.
pub fn virtual_list(id: &'static str, label: String, place: Rc<Place>, rows: Rows) -> View {
    let high = rows.lines.max(1) * LINE;
    let rows = Rc::new(rows);
    let drawn = {
        let (rows, place) = (Rc::clone(&rows), Rc::clone(&place));
        part(move || {
            let (len, (first, count), current) = ((rows.len)(), place.window.get(), place.current.get());
            let from = first.min(len.saturating_sub(1)).saturating_sub(BEYOND);
            let to = first.saturating_add(count).saturating_add(BEYOND).min(len);
            let list = (from..to).map(|n| {
                let row = el("div")
                    .class("vrow")
                    .attr("role", "row")
                    .attr("id", format!("{id}-{n}"))
                    .attr("aria-rowindex", (n + 1).to_string())
                    .style("top", move || format!("{}px", u64::from(n) * u64::from(high)))
                    .class_if("current", current == Some(n));
                (rows.row)(n, row).into()
            });
            View::All(list.collect())
        })
    };
    let size = {
        let rows = Rc::clone(&rows);
        move || format!("{}px", u64::from((rows.len)()) * u64::from(high))
    };
    let sizer = el("div").class("vsize").attr("role", "presentation").style("height", size).add(drawn);
    let active = {
        let (place, rows) = (Rc::clone(&place), Rc::clone(&rows));
        move || {
            let (first, count) = place.window.get();
            let shown = first.saturating_sub(BEYOND)..first.saturating_add(count).saturating_add(BEYOND);
            let current = place.current.get().filter(|n| *n < (rows.len)() && shown.contains(n));
            current.map_or(String::new(), |n| format!("{id}-{n}"))
        }
    };
    let count = {
        let rows = Rc::clone(&rows);
        move || (rows.len)().to_string()
    };
    let scrolled = Rc::clone(&place);
    let seen = Rc::clone(&place);
    let keyed = Rc::clone(&place);
    el("div")
        .class("vlist mono")
        .id(id)
        .attr("role", "grid")
        .attr("aria-label", label)
        .attr("aria-readonly", "true")
        .attr("tabindex", "0")
        .live("aria-rowcount", count)
        .live("aria-activedescendant", active)
        .on("scroll", move |e| look(e, &scrolled, high))
        .on("keydown", move |e| key(e, &keyed, &rows))
        .watch(move |e| {
            // Read first, so that it is heard of even while there is nothing to do.
            let wanted = seen.wanted.get();
            measure(e, &seen, high);
            if let Some(row) = wanted {
                // The list may be about to grow, for a filter that goes: it can be scrolled when it has.
                let (e, place) = (e.clone(), Rc::clone(&seen));
                before_paint(move || {
                    bring(&e, row, high);
                    measure(&e, &place, high);
                });
            }
        })
        .add(sizer)
        .into()
}

fn look(e: &Event, place: &Place, high: u32) {
    if let Some(e) = e.current_target().and_then(|t| t.dyn_into::<Element>().ok()) {
        measure(&e, place, high);
    }
}

/// Notes which rows are in sight.
fn measure(e: &Element, place: &Place, high: u32) {
    let first = u32::try_from(e.scroll_top()).unwrap_or(0) / high;
    // Before it is in the document it has no height.
    let height = u32::try_from(e.client_height()).unwrap_or(0);
    let count = if height == 0 { 30 } else { height / high + 2 };
    if place.window.get_untracked() != (first, count) {
        place.window.set((first, count));
    }
}

/// Scrolls just as far as it takes to see a row, with one above it.
fn bring(e: &Element, row: u32, high: u32) {
    let top = i32::try_from(u64::from(row) * u64::from(high)).unwrap_or(i32::MAX);
    let (above, height) = (e.scroll_top(), e.client_height().max(1));
    let row = i32::try_from(high).unwrap_or(20);
    if top < above + row {
        e.set_scroll_top((top - row).max(0));
    } else if top + 2 * row > above + height {
        e.set_scroll_top(top + 2 * row - height);
    }
}

fn key(e: &Event, place: &Rc<Place>, rows: &Rc<Rows>) {
    let Some(key) = e.dyn_ref::<KeyboardEvent>() else { return };
    let (len, (first, count)) = ((rows.len)(), place.window.get_untracked());
    let Some(last) = len.checked_sub(1) else { return };
    if key.ctrl_key() || key.meta_key() || key.alt_key() {
        return;
    }
    let now = place.current.get_untracked();
    let page = count.saturating_sub(3).max(1);
    let to = match key.key().as_str() {
        "ArrowDown" => now.map_or(first, |n| n.saturating_add(1).min(last)),
        "ArrowUp" => now.map_or(first, |n| n.saturating_sub(1)),
        "PageDown" => now.unwrap_or(first).saturating_add(page).min(last),
        "PageUp" => now.unwrap_or(first).saturating_sub(page),
        "Home" => 0,
        "End" => last,
        "Enter" if now.is_some() => {
            (rows.enter)(now.unwrap_or_default());
            e.prevent_default();
            e.stop_propagation();
            return;
        }
        _ => return,
    };
    e.prevent_default();
    e.stop_propagation();
    place.show(to);
}
