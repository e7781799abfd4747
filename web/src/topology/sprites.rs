//! Packets on the map: an envelope for each that is on its way, moved along the links.
//!
//! Elements are kept by packet and only what changes is written: a place is a transform, a way is an animation of it,
//! which the browser runs by itself.

use super::layout::{LETTER, int};
use super::path::Point;
use crate::svg::{Rect, Svg};
use kernel::PacketId;
use leptos::prelude::document;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use web_sys::{Element, HtmlElement};

/// An envelope as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Whose.
    pub id: PacketId,
    /// Its classes.
    pub class: String,
    /// What it looks like, as SVG.
    pub face: Rc<str>,
    /// Where it is.
    pub at: Point,
    /// The way by which it gets there; empty if it is just there.
    pub way: Vec<Point>,
}

/// An envelope as it stands in the document.
struct Sprite {
    now: Envelope,
    el: Element,
    moves: Option<JsValue>,
}

/// Those of one map.
#[derive(Default)]
pub struct Sprites(Vec<Sprite>);

/// How long a way takes, in milliseconds: at least, for each corner, and at most.
const LEAST: i32 = 180;
const MOST: i32 = 400;

impl Sprites {
    /// Makes the document show these envelopes. `pace` is how long a way may take, in milliseconds; 0 for no motion.
    pub fn show(&mut self, layer: &Element, wanted: Vec<Envelope>, pace: i32) {
        let mut i = 0;
        self.0.retain(|s| {
            let same = |w: &Envelope| w.id == s.now.id;
            let stays = wanted.get(i).is_some_and(same) || wanted.iter().any(same);
            i += 1;
            if !stays {
                s.el.remove();
            }
            stays
        });
        for (i, w) in wanted.into_iter().enumerate() {
            // Mostly they come in the order in which they came before.
            let same = |s: &Sprite| s.now.id == w.id;
            let at = if self.0.get(i).is_some_and(same) { Some(i) } else { self.0.iter().position(same) };
            match at.and_then(|i| self.0.get_mut(i)) {
                Some(sprite) => sprite.become_(w, pace),
                None => self.0.extend(Sprite::new(layer, w)),
            }
        }
    }
}

impl Sprite {
    fn new(layer: &Element, w: Envelope) -> Option<Sprite> {
        let el = document().create_element_ns(Some("http://www.w3.org/2000/svg"), "svg").ok()?;
        let _ = el.set_attribute("class", &w.class);
        el.set_inner_html(&w.face);
        place(&el, w.at);
        layer.append_child(&el).ok()?;
        Some(Sprite { now: w, el, moves: None })
    }

    fn become_(&mut self, w: Envelope, pace: i32) {
        if w.class != self.now.class {
            let _ = self.el.set_attribute("class", &w.class);
        }
        if w.face != self.now.face {
            self.el.set_inner_html(&w.face);
        }
        if w.at != self.now.at {
            if let Some(old) = self.moves.take() {
                call(&old, "cancel", &js_sys::Array::new());
            }
            place(&self.el, w.at);
            if pace > 0 && !w.way.is_empty() {
                let from = self.now.at;
                self.moves =
                    walk(&self.el, std::iter::once(from).chain(w.way.iter().copied()).chain([w.at]), pace);
            }
        }
        self.now = w;
    }
}

fn translate((x, y): Point) -> String {
    format!("translate({x}px,{y}px)")
}

fn place(el: &Element, at: Point) {
    let _ = el.unchecked_ref::<HtmlElement>().style().set_property("transform", &translate(at));
}

/// Moves an element along corners, as fast on a long piece as on a short one.
pub fn walk(el: &Element, corners: impl Iterator<Item = Point>, pace: i32) -> Option<JsValue> {
    let mut corners: Vec<Point> = corners.collect();
    corners.dedup();
    let far = |a: &Point, b: &Point| (a.0 - b.0).abs() + (a.1 - b.1).abs();
    let all: i32 = corners.windows(2).map(|w| far(&w[0], &w[1])).sum();
    if all == 0 {
        return None;
    }
    let frames = js_sys::Array::new();
    let mut gone = 0;
    for (i, at) in corners.iter().enumerate() {
        gone += i.checked_sub(1).and_then(|b| corners.get(b)).map_or(0, |b| far(b, at));
        let frame = js_sys::Object::new();
        let set = |key: &str, value: JsValue| drop(js_sys::Reflect::set(&frame, &key.into(), &value));
        set("transform", translate(*at).into());
        set("offset", (f64::from(gone) / f64::from(all)).into());
        frames.push(&frame);
    }
    let time = (LEAST + all / 2).min(MOST).min(pace);
    call(el, "animate", &js_sys::Array::of2(&frames, &f64::from(time).into()))
}

/// Calls a method. web-sys counts those of animations among what may yet change.
fn call(of: &JsValue, name: &str, with: &js_sys::Array) -> Option<JsValue> {
    let method: js_sys::Function = js_sys::Reflect::get(of, &name.into()).ok()?.dyn_into().ok()?;
    method.apply(of, with).ok()
}

/// Half of the least width of an envelope.
const HALF: i32 = 84;

/// Half of the width of an envelope with this address line.
fn half(flow: &str) -> i32 {
    (int(flow.chars().count()) * LETTER / 20 + 9).max(HALF)
}

/// How far an envelope reaches from its middle.
pub fn letter_shape(flow: &str) -> Rect {
    let half = half(flow);
    Rect { x: -half, y: -17, w: 2 * half, h: 34 }
}

/// The envelope of the packet that is looked at: kind of segment and addresses. Its own place may be `aside`: then a line leads there.
pub fn letter(class: &str, what: &str, flow: &str, aside: Point) -> Rc<str> {
    let paper = letter_shape(flow);
    let mut s = Svg::default();
    // Not where it only just covers its place.
    if !paper.grown(7).holds(aside) {
        let (x, y) = aside;
        s.path("tail", &format!("M0 0L{x} {y}"));
        s.path("tail end", &format!("M{x} {y}h0"));
    }
    s.group(class, None);
    s.rect("halo", paper.grown(4), 11);
    s.rect("paper", paper, 7);
    let x = paper.x + 7;
    s.path("letter", &format!("M{x} -12h11v8h-11zM{x} -12l5.5 4.5 5.5 -4.5"));
    s.text("what", paper.x + 23, -3, what);
    s.text("mono addr", 0, 11, flow);
    s.end();
    s.done().into()
}

/// How far a small envelope reaches from its middle.
pub fn small_shape(what: &str) -> Rect {
    let w = 24 + int(what.chars().count()) * 7;
    Rect { x: -w / 2, y: -9, w, h: 18 }
}

/// A small envelope, of a packet that is not looked at.
pub fn small(class: &str, what: &str) -> Rc<str> {
    let paper = small_shape(what);
    let mut s = Svg::default();
    s.group(class, None);
    s.rect("paper", paper, 5);
    s.path("letter", &format!("M{x} -4h10v8h-10zM{x} -4l5 4 5 -4", x = paper.x + 5));
    s.text("what", paper.x + 18, 4, what);
    s.end();
    s.done().into()
}
