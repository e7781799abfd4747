//! The lanes of the timeline: a bar for each packet with a tick for each step, and for a long run a bar for each exchange.

use crate::diagram::color;
use crate::dom::{El, NONE, View, el, svg};
use crate::load::Loaded;
use crate::state::State;
use crate::svg::{Rect, Svg};
use crate::topology::int;
use crate::topology_kind as kind;
use sim::view::{Area, Flow, PacketInfo, Tone};

/// The steps that the timeline shows: places among those that are shown at all, from and to.
pub type Window = (usize, usize);

/// A run with more steps than this is shown an exchange at a time.
const LONG: usize = 240;

/// True if the run is too long to be shown at once.
pub fn is_long(state: State) -> bool {
    state.loaded.with(|l| l.exchanges.len() > 1) && state.shown.with(|s| s.len()) > LONG
}

/// True if the exchange at the cursor is shown alone.
pub fn is_zoomed(state: State) -> bool {
    is_long(state) && state.look.zoomed.get()
}

/// What is shown: the whole run, or the exchange at the cursor.
pub fn window(state: State) -> Window {
    let all = (0, state.shown.with(|s| s.len()));
    if !is_zoomed(state) {
        return all;
    }
    let exchange = state.exchange.get();
    let (loaded, shown) = (state.loaded.get(), state.shown.get());
    let place = |step: usize| shown.partition_point(|i| *i < step);
    let exchanges: Vec<Window> =
        loaded.exchanges.iter().map(|e| (place(e.steps.0), place(e.steps.1))).collect();
    window_of(&exchanges, exchange).unwrap_or(all)
}

/// A slider with fewer places than this tells nothing.
const FEW: usize = 24;

/// What is shown of an exchange: it alone, or where that is a few steps it and those beside it. All that are shown together have the
/// same window, so that nothing moves while the cursor goes from one to the other.
fn window_of(exchanges: &[Window], at: usize) -> Option<Window> {
    // Each with the number of the exchange that comes after it.
    let mut groups: Vec<(usize, Window)> = Vec::new();
    for (i, (from, to)) in exchanges.iter().enumerate() {
        match groups.last_mut() {
            Some((end, w)) if w.1 - w.0 < FEW => (*end, w.1) = (i + 1, *to),
            _ => groups.push((i + 1, (*from, *to))),
        }
    }
    // Nothing comes after the last one.
    if let [.., (end, before), (last, w)] = groups.as_mut_slice()
        && w.1 - w.0 < FEW
    {
        (*end, before.1) = (*last, w.1);
        groups.pop();
    }
    let found = groups.into_iter().find(|(end, _)| at < *end)?.1;
    (found.0 < found.1).then_some(found)
}

/// A place in the window in thousandths of a percent.
pub fn percent(at: usize, (from, to): Window) -> String {
    let last = to.saturating_sub(from + 1).max(1);
    let thousandths = at.saturating_sub(from).min(last) * 100_000 / last;
    format!("{}.{:03}%", thousandths / 1000, thousandths % 1000)
}

/// The part of the window that a bar takes, in thousandths of a percent.
fn extent(state: &[usize], (first, end): (usize, usize), window: Window) -> Option<(usize, usize)> {
    let from = state.partition_point(|i| *i < first).max(window.0);
    let to = state.partition_point(|i| *i < end).min(window.1);
    if from >= to {
        return None;
    }
    let last = (window.1 - window.0).max(1);
    Some(((from - window.0) * 100_000 / last, (to - window.0) * 100_000 / last))
}

fn placed(el: El, (from, to): (usize, usize)) -> El {
    let text = |n: usize| format!("{}.{:03}%", n / 1000, n % 1000);
    let (left, width) = (text(from), text(to - from));
    el.style("left", move || left.clone()).style("width", move || width.clone())
}

/// The exchanges, each a button that leads to it. Nothing for a run of one.
pub fn exchanges(state: State) -> View {
    let loaded = state.loaded.get();
    if loaded.exchanges.len() < 2 {
        return NONE;
    }
    let shown = state.shown.get();
    let window = (0, shown.len());
    let mut out = el("div").class("exchanges").attr("role", "group").attr("aria-label", "What was done");
    for (i, e) in loaded.exchanges.iter().enumerate() {
        let Some(extent) = extent(&shown, e.steps, window) else { continue };
        let bad = ends_badly(&loaded, e.steps);
        let name = format!("{}. {}: {}", i + 1, e.name, e.outcome);
        let button = el("button")
            .class("exbar")
            .class_if("bad", bad)
            .flag("now", move || state.exchange.get() == i)
            .attr("title", name.clone())
            .attr("aria-label", name)
            .attr("tabindex", "-1")
            .click(move || {
                let to = state.loaded.with_untracked(|l| l.first_packet(i));
                if let Some(step) = to {
                    state.go(step);
                }
            })
            .add(el("span").add((i + 1).to_string()).add(" ").add(el("i").add(e.name.clone())));
        out = out.add(placed(button, extent));
    }
    out.into()
}

/// Something is lost in it.
fn ends_badly(loaded: &Loaded, (from, to): (usize, usize)) -> bool {
    let steps = loaded.story.steps.get(from..to).unwrap_or_default();
    steps.iter().any(|s| s.area == Area::Drop && s.tone == Tone::Bad)
}

/// The lanes of the window: whose bars do not overlap share one.
struct Rows<'a> {
    bars: Vec<(usize, &'a PacketInfo, (usize, usize))>,
    count: usize,
}

/// As many lanes as there is room for.
const MOST: usize = 5;

fn rows<'a>(loaded: &'a Loaded, shown: &[usize], noise: bool, window: Window) -> Rows<'a> {
    let mut ends: Vec<usize> = Vec::new();
    let mut bars = Vec::new();
    for p in loaded.story.packets.iter().filter(|p| noise || p.flow != Flow::Noise) {
        let Some((from, to)) = extent(shown, p.steps, window) else { continue };
        let free = ends.iter().position(|end| *end <= from);
        let row = match free {
            Some(row) => row,
            None if ends.len() < MOST => {
                ends.push(0);
                ends.len() - 1
            }
            // No room: where it hides least.
            None => ends.iter().enumerate().min_by_key(|(_, end)| **end).map_or(0, |(row, _)| row),
        };
        if let Some(end) = ends.get_mut(row) {
            *end = to.max(*end);
        }
        bars.push((row, p, (from, to)));
    }
    Rows { bars, count: ends.len().max(1) }
}

/// Height of a lane in the drawing.
const LANE: i32 = 20;

/// The lanes: bars with names, ticks over them.
pub fn lanes(state: State) -> View {
    let loaded = state.loaded.get();
    let (shown, noise) = (state.shown.get(), state.noise.get());
    let window = window(state);
    let rows = rows(&loaded, &shown, noise, window);
    let mut bars =
        el("div").class("bars").attr("data-rows", rows.count.to_string()).attr("aria-hidden", "true");
    let unit = 100_000 / rows.count.max(1);
    for (row, p, extent) in &rows.bars {
        let top = format!("{}.{:03}%", row * unit / 1000, row * unit % 1000);
        let height = format!("{}.{:03}%", unit / 1000, unit % 1000);
        let (id, first) = (p.id, p.steps.0);
        let bar = el("span")
            .class("bar-of")
            .class(kind(p.flow))
            .flag("now", move || state.chosen.get() == Some(id))
            .style("top", move || top.clone())
            .style("height", move || height.clone())
            .click(move || state.go(first))
            .add(p.label.clone());
        bars = bars.add(placed(bar, *extent));
    }
    let lane_of = |packet| rows.bars.iter().find(|(_, p, _)| p.id == packet).map(|(row, ..)| *row);
    View::All(vec![bars.into(), ticks(state, window, rows.count, &lane_of).into()])
}

/// A tick for each step in the lane of its packet, and a cross at drops. Of a window with more steps than can be told apart
/// only what decides is drawn.
fn ticks(
    state: State,
    window: Window,
    count: usize,
    lane_of: &dyn Fn(kernel::PacketId) -> Option<usize>,
) -> El {
    let (loaded, shown) = (state.loaded.get(), state.shown.get());
    let story = &loaded.story;
    let mine = shown.get(window.0..window.1).unwrap_or_default();
    let dense = mine.len() > 2 * LONG;
    let height = int(count) * LANE;
    // Under the name, where lanes are low.
    let tall = match count {
        0 | 1 => 6,
        2 | 3 => 4,
        _ => 3,
    };
    let mut s = Svg::default();
    // Crosses last: they lie over the rest.
    let mut crosses = Vec::new();
    for (at, i) in mine.iter().enumerate() {
        let Some(step) = story.steps.get(*i) else { continue };
        let x = int(at) * 10;
        let lane = step.packet.and_then(lane_of);
        let lost = step.area == Area::Drop && step.tone == Tone::Bad;
        // A program speaks for all lanes.
        let (y, h) = match lane {
            Some(lane) => ((int(lane) + 1) * LANE - tall - 1, tall),
            None => (0, height),
        };
        if lost {
            crosses.push((x, y));
            continue;
        }
        if dense && step.tone != Tone::Strong && step.tone != Tone::Bad {
            continue;
        }
        let class = if lane.is_none() { "program" } else { color(step.area) };
        s.rect(&format!("tick {class}"), Rect { x: x + 1, y, w: if dense { 12 } else { 8 }, h }, 0);
    }
    let reach = if dense { 24 } else { 6 };
    for (x, y) in crosses {
        let (left, top) = (x + 5 - reach, y - 4);
        s.path("tick cross", &format!("M{left} {top}l{w} 12m0 -12l-{w} 12", w = 2 * reach));
    }
    svg("svg")
        .class("ticks")
        .attr("viewBox", format!("0 0 {} {height}", int(mine.len().max(1)) * 10))
        .attr("preserveAspectRatio", "none")
        .attr("aria-hidden", "true")
        .html(s.done())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_long_exchange_is_shown_alone() {
        let all = [(0, 100), (100, 300), (300, 330)];
        assert_eq!(window_of(&all, 1), Some((100, 300)));
        assert_eq!(window_of(&all, 2), Some((300, 330)));
        assert_eq!(window_of(&all, 3), None);
    }

    #[test]
    fn a_short_one_is_shown_with_the_next() {
        let all = [(0, 1), (1, 5), (5, 300), (300, 400)];
        for at in 0..3 {
            assert_eq!(window_of(&all, at), Some((0, 300)), "{at}");
        }
        assert_eq!(window_of(&all, 3), Some((300, 400)));
    }

    #[test]
    fn a_short_end_is_shown_with_what_is_before_it() {
        let all = [(0, 100), (100, 101), (101, 102)];
        for at in 0..3 {
            assert_eq!(window_of(&all, at), Some((0, 102)), "{at}");
        }
        assert_eq!(window_of(&[(0, 0)], 0), None);
    }
}
