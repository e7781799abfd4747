//! What part of the map is looked at: moved with the pointer, the wheel, two fingers or keys.

use super::zoom::Zoom;
use crate::dom::El;
use crate::state::State;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, KeyboardEvent, PointerEvent, WheelEvent};

/// A point of the map is drawn at `k` times its place, moved by `x`, `y`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    pub x: f64,
    pub y: f64,
    pub k: f64,
    /// Somebody has moved it: it no longer follows the size of the room.
    pub moved: bool,
}

/// How near and how far one can go, beside the whole.
const NEAREST: f64 = 4.0;
const FARTHEST: f64 = 0.05;

impl Camera {
    /// Shows all of something of this size in a room of that size.
    pub fn fit((w, h): (i32, i32), room: (i32, i32)) -> Camera {
        let (w, h) = (f64::from(w.max(1)), f64::from(h.max(1)));
        let (rw, rh) = (f64::from(room.0), f64::from(room.1));
        let k = (rw / w).min(rh / h).clamp(FARTHEST, 1.7);
        Camera { x: (rw - w * k) / 2.0, y: (rh - h * k) / 2.0, k, moved: false }
    }

    /// As a CSS transform.
    pub fn transform(&self) -> String {
        // Whole pixels and thousandths: enough, and short. They are printed as whole numbers, as others bring much code along.
        let k = (self.k * 1000.0).round() as u32;
        let (x, y) = (self.x.round() as i32, self.y.round() as i32);
        format!("translate({x}px,{y}px) scale({}.{:03})", k / 1000, k % 1000)
    }

    /// Moved by so many pixels.
    pub fn by(self, dx: f64, dy: f64) -> Camera {
        Camera { x: self.x + dx, y: self.y + dy, moved: true, ..self }
    }

    /// Nearer or farther by a factor; the point of the map that is at `at` stays there.
    pub fn zoomed(self, factor: f64, at: (f64, f64)) -> Camera {
        let k = (self.k * factor).clamp(FARTHEST, NEAREST);
        let f = k / self.k;
        Camera { x: at.0 - (at.0 - self.x) * f, y: at.1 - (at.1 - self.y) * f, k, moved: true }
    }

    /// How much can be read: letters on chips, on cards, everywhere.
    pub fn detail(&self) -> &'static str {
        if self.k < 0.34 {
            "far"
        } else if self.k < 0.62 {
            "middle"
        } else {
            "near"
        }
    }

    /// The part of the map that is in a room of this size.
    pub fn sight(&self, room: (i32, i32)) -> (f64, f64, f64, f64) {
        let at = |px: f64, by: f64| (px - by) / self.k;
        let (w, h) = (f64::from(room.0), f64::from(room.1));
        (at(0.0, self.x), at(0.0, self.y), at(w, self.x), at(h, self.y))
    }
}

/// Fingers that are down, and whether they have moved.
#[derive(Default)]
struct Fingers {
    down: Vec<(i32, f64, f64)>,
    travelled: f64,
}

/// Less is a click.
const SLOP: f64 = 5.0;

/// The element hears the pointer, the wheel and keys.
pub fn hands(to: El, zoom: &'static Zoom) -> El {
    let fingers = Rc::new(RefCell::new(Fingers::default()));
    let (down, moves, up) = (Rc::clone(&fingers), Rc::clone(&fingers), Rc::clone(&fingers));
    let release = move |e: &Event| {
        let e = e.unchecked_ref::<PointerEvent>();
        up.borrow_mut().down.retain(|f| f.0 != e.pointer_id());
    };
    let cancel = release.clone();
    to.on("pointerdown", move |e| {
        let e = e.unchecked_ref::<PointerEvent>();
        let mut f = down.borrow_mut();
        if f.down.is_empty() {
            f.travelled = 0.0;
        }
        f.down.push((e.pointer_id(), f64::from(e.client_x()), f64::from(e.client_y())));
    })
    .on("pointermove", move |e| {
        let mut f = moves.borrow_mut();
        if !f.down.is_empty() {
            drag(zoom, &mut f, e.unchecked_ref());
        }
    })
    .on("pointerup", release)
    .on("pointercancel", cancel)
    .on("keydown", move |e| {
        let key = e.unchecked_ref::<KeyboardEvent>();
        // Keys with other keys mean something else.
        if !key.shift_key() && !key.alt_key() && !key.ctrl_key() && own_target(e) && arrow(zoom, &key.key()) {
            e.prevent_default();
            e.stop_propagation();
        }
    })
    .on("wheel", move |e| {
        e.prevent_default();
        wheel(zoom, e.unchecked_ref());
    })
}

/// The event is about the element itself, not about something in it.
fn own_target(e: &Event) -> bool {
    e.target() == e.current_target()
}

fn arrow(zoom: &Zoom, key: &str) -> bool {
    let step = 48.0;
    let (dx, dy) = match key {
        "ArrowLeft" => (step, 0.0),
        "ArrowRight" => (-step, 0.0),
        "ArrowUp" => (0.0, step),
        "ArrowDown" => (0.0, -step),
        _ => return false,
    };
    zoom.camera.set(zoom.camera.get_untracked().by(dx, dy));
    true
}

fn drag(zoom: &Zoom, f: &mut Fingers, e: &PointerEvent) {
    let (x, y) = (f64::from(e.client_x()), f64::from(e.client_y()));
    let other = f.down.iter().find(|d| d.0 != e.pointer_id()).copied();
    let Some(mine) = f.down.iter_mut().find(|d| d.0 == e.pointer_id()) else { return };
    let (dx, dy) = (x - mine.1, y - mine.2);
    let before = *mine;
    (mine.1, mine.2) = (x, y);
    f.travelled += dx.abs() + dy.abs();
    if f.travelled < SLOP {
        return;
    }
    let camera = zoom.camera.get_untracked();
    match other {
        None => zoom.camera.set(camera.by(dx, dy)),
        Some(o) => {
            let far = |a: (i32, f64, f64)| (a.1 - o.1).hypot(a.2 - o.2).max(1.0);
            let at = zoom.inside((f64::midpoint(x, o.1), f64::midpoint(y, o.2)));
            let moved = camera.by(dx / 2.0, dy / 2.0);
            zoom.camera.set(moved.zoomed(far((0, x, y)) / far(before), at));
        }
    }
    // What is dragged is not clicked.
    zoom.dragged.set(true);
    if let Some(target) = e.current_target().and_then(|t| t.dyn_into::<Element>().ok()) {
        let _ = target.set_pointer_capture(e.pointer_id());
    }
}

/// The wheel moves nearer and farther; so does pinching on a touchpad, which comes as a wheel with Ctrl.
fn wheel(zoom: &Zoom, e: &WheelEvent) {
    let factor = (-e.delta_y() * if e.ctrl_key() { 0.01 } else { 0.0016 }).exp();
    let at = zoom.inside((f64::from(e.client_x()), f64::from(e.client_y())));
    zoom.camera.set(zoom.camera.get_untracked().zoomed(factor.clamp(0.5, 2.0), at));
}

/// Nearer or farther by a key or a button.
pub fn nearer(state: State, factor: f64) {
    let zoom = state.lens();
    let (w, h) = zoom.room.get_untracked();
    let middle = (f64::from(w) / 2.0, f64::from(h) / 2.0);
    zoom.camera.set(zoom.camera.get_untracked().zoomed(factor, middle));
}

/// Shows all.
pub fn fit(state: State) {
    let zoom = state.lens();
    zoom.camera.set(Camera { moved: false, ..zoom.camera.get_untracked() });
    zoom.refit();
}
