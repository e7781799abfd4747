//! Where something that is laid on the map stands best: as near to its place as can be, over nothing that is to be read.

use super::draw::bridge_label;
use super::layout::{LETTER, Layout, int};
use super::path::Point;
use crate::svg::Rect;

/// What is written on a map or lies on it, and how bad it is to cover a pixel of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    pub rect: Rect,
    pub weight: i32,
}

impl Mark {
    /// What lies there already.
    pub fn taken(rect: Rect) -> Mark {
        Mark { rect, weight: NAME }
    }
}

/// Names of boxes; and what lies there already.
const NAME: i32 = 8;
/// Addresses.
const ADDRESS: i32 = 3;
/// What is said elsewhere too.
const REST: i32 = 1;

/// Width of a letter of a name, in tenths: of a node, of others.
const LARGE: i32 = 82;
const SMALL: i32 = 74;

/// A line of text that begins at `x`, with its baseline at `y`; `letter` is the width of one, in tenths.
fn line(x: i32, y: i32, text: &str, letter: i32, weight: i32) -> Mark {
    let w = int(text.chars().count()) * letter / 10;
    Mark { rect: Rect { x, y: y - 13, w, h: 16 }, weight }
}

/// A line that is said elsewhere too.
pub fn aside(x: i32, y: i32, text: &str, letter: i32) -> Mark {
    line(x, y, text, letter, REST)
}

/// The same with its middle at `x`.
fn middle(x: i32, y: i32, text: &str, letter: i32, weight: i32) -> Mark {
    line(x - int(text.chars().count()) * letter / 20, y, text, letter, weight)
}

/// All that is written on a map.
pub fn written(l: &Layout) -> Vec<Mark> {
    let mut out = Vec::new();
    for lan in &l.lans {
        out.extend(lan.bars.iter().map(|b| line(b.x + 10, b.y + 13, &lan.name, SMALL, NAME)));
    }
    for n in &l.nodes {
        out.push(line(n.rect.x + 10, n.rect.y + 16, &n.name, LARGE, NAME));
        out.extend(n.badges.iter().map(|(rect, _)| Mark { rect: *rect, weight: REST }));
        for u in &n.uplinks {
            let w = int(u.label.chars().count()) * LETTER / 10;
            out.push(line(u.label_at.0 - w, u.label_at.1, &u.label, LETTER, ADDRESS));
        }
        for b in &n.bridges {
            let (x, y, name) = bridge_label(b);
            out.push(line(x, y, &name, LETTER, ADDRESS));
        }
        for p in &n.pods {
            let (x, y) = (p.rect.center().0, p.rect.y);
            if p.chip {
                out.push(line(p.rect.x + 5, p.rect.center().1 + 3, &p.name, LETTER, ADDRESS));
                continue;
            }
            out.push(middle(x, y + 17, &p.name, SMALL, NAME));
            out.push(middle(x, y + 30, &p.addr, LETTER, ADDRESS));
        }
    }
    out
}

/// How much of something is covered.
fn covered(a: &Rect, b: &Rect) -> i32 {
    let w = (a.x + a.w).min(b.x + b.w) - a.x.max(b.x);
    let h = (a.y + a.h).min(b.y + b.h) - a.y.max(b.y);
    w.max(0) * h.max(0)
}

/// How far something may be moved, and in which steps.
const FAR: (i32, i32) = (136, 72);
const STEP: (usize, usize) = (8, 4);

/// In the frame where something stands whose place is `at` and which reaches as far as `shape` does from there: it covers as little as
/// can be, and of places that are alike in that it takes the nearest.
pub fn best(at: Point, shape: Rect, frame: Rect, marks: &[Mark]) -> Point {
    let moved = |(x, y): Point| Rect { x: shape.x + x, y: shape.y + y, ..shape };
    // All of it is in the frame.
    let (right, low) = (frame.x + frame.w - shape.x - shape.w - 2, frame.y + frame.h - shape.y - shape.h - 2);
    let inside =
        |(x, y): Point| (x.min(right).max(frame.x + 2 - shape.x), y.min(low).max(frame.y + 2 - shape.y));
    let at = inside(at);
    let reach = moved(at).grown(FAR.0.max(FAR.1));
    let near: Vec<&Mark> = marks.iter().filter(|m| covered(&m.rect, &reach) > 0).collect();
    let bad = |to: Point| {
        let here = moved(to);
        near.iter().map(|m| covered(&m.rect, &here) * m.weight).sum::<i32>()
    };
    let mut found = (bad(at), at);
    if found.0 == 0 {
        return at;
    }
    for dy in (-FAR.1..=FAR.1).step_by(STEP.1) {
        for dx in (-FAR.0..=FAR.0).step_by(STEP.0) {
            let to = inside((at.0 + dx, at.1 + dy));
            let far = (to.0 - at.0).abs() + 2 * (to.1 - at.1).abs();
            if far < found.0 {
                found = found.min((far + bad(to), to));
            }
        }
    }
    found.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SHAPE: Rect = Rect { x: -20, y: -10, w: 40, h: 20 };
    const ALL: Rect = Rect { x: 0, y: 0, w: 300, h: 300 };

    fn mark(x: i32, y: i32, w: i32, h: i32) -> Mark {
        Mark { rect: Rect { x, y, w, h }, weight: NAME }
    }

    #[test]
    fn what_covers_nothing_stays() {
        assert_eq!(best((100, 100), SHAPE, ALL, &[mark(130, 100, 20, 10)]), (100, 100));
    }

    #[test]
    fn what_covers_a_name_goes_aside() {
        let name = mark(90, 102, 20, 10);
        let (x, y) = best((100, 100), SHAPE, ALL, &[name]);
        assert_eq!(covered(&Rect { x: x - 20, y: y - 10, w: 40, h: 20 }, &name.rect), 0);
        assert!((y - 100).abs() <= 12 && x == 100, "no farther than it must: {x} {y}");
    }

    #[test]
    fn nothing_reaches_out_of_its_frame() {
        assert_eq!(best((5, 295), SHAPE, ALL, &[]), (22, 288));
        assert_eq!(best((5, 295), SHAPE, Rect { x: 100, y: 50, w: 80, h: 60 }, &[]), (122, 98));
    }

    #[test]
    fn where_all_is_full_the_least_is_covered() {
        let all = mark(0, 0, 300, 300);
        let at = best((100, 100), SHAPE, ALL, &[Mark { weight: REST, ..all }, mark(0, 0, 300, 105)]);
        assert!(at.1 >= 115, "below the names: {at:?}");
    }
}
