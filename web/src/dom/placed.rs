//! What stands in the document, and how a part that is drawn anew is laid over it.

use super::again::Gives;
use super::{Attr, Handler, Parts, Slot, Text, Value, View};
use leptos::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, Event, EventTarget, HtmlElement, HtmlInputElement, Node};

/// A piece that stands in the document.
pub(super) enum Piece {
    Text(Node, Text),
    El(Placed),
    /// What the part has drawn stands before an empty text that holds its place.
    Part(Node, Pieces, RenderEffect<()>),
}

pub(super) type Pieces = Rc<RefCell<Vec<Piece>>>;

pub(super) struct Placed {
    tag: &'static str,
    el: Element,
    held: Vec<Held>,
    kids: Vec<Piece>,
    /// They work as long as they are kept.
    _listeners: Vec<Listener>,
    _watch: Option<RenderEffect<()>>,
}

/// What has been set on an element.
struct Held {
    slot: Slot,
    name: &'static str,
    last: Last,
    _effect: Option<RenderEffect<()>>,
}

type Last = Rc<RefCell<Option<Text>>>;

/// Runs now, and again when what it looked at changes.
pub(super) fn run(f: Box<dyn Gives<()>>) -> RenderEffect<()> {
    let mut f = f;
    RenderEffect::new(move |_| f.give())
}

impl Slot {
    fn set(self, el: &Element, name: &str, last: &Last, value: Option<Text>) {
        if *last.borrow() == value {
            return;
        }
        let text = value.as_deref().unwrap_or_default();
        // A browser refuses none of these; and if it did, there would be nothing to do about it.
        match self {
            Slot::Attribute if value.is_none() => drop(el.remove_attribute(name)),
            Slot::Attribute => drop(el.set_attribute(name, text)),
            // Drawings have styles, too.
            Slot::Style => drop(el.unchecked_ref::<HtmlElement>().style().set_property(name, text)),
            Slot::Html => el.set_inner_html(text),
            Slot::Checked => el.unchecked_ref::<HtmlInputElement>().set_checked(value.is_some()),
            Slot::Input => el.unchecked_ref::<HtmlInputElement>().set_value(text),
        }
        *last.borrow_mut() = value;
    }
}

/// Sets an attribute, and keeps it up to date.
fn hold(el: &Element, attr: Attr, last: Last) -> Held {
    let Attr { slot, name, mut value } = attr;
    let effect = if matches!(value, Value::Fixed(_)) {
        slot.set(el, name, &last, value.read());
        None
    } else {
        let (el, last) = (el.clone(), Rc::clone(&last));
        Some(run(Box::new(move || slot.set(&el, name, &last, value.read()))))
    };
    Held { slot, name, last, _effect: effect }
}

/// Listens as long as it is kept.
///
/// `gloo::events` would do the same, but its handlers borrow the event: wasm-bindgen makes of that an instruction
/// (`table.fill`) which the wasm-opt of many systems cannot read yet.
pub struct Listener {
    target: EventTarget,
    event: &'static str,
    closure: Closure<dyn FnMut(Event)>,
}

impl Listener {
    pub(super) fn new(target: &EventTarget, event: &'static str, f: Handler) -> Listener {
        let mut f = f;
        let f: Box<dyn FnMut(Event)> = Box::new(move |e| f.hear(&e));
        let closure = Closure::wrap(f);
        let _ = target.add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
        Listener { target: target.clone(), event, closure }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let f = self.closure.as_ref().unchecked_ref();
        let _ = self.target.remove_event_listener_with_callback(self.event, f);
    }
}

impl Placed {
    fn new(parts: &Parts) -> Option<Placed> {
        let namespace = if parts.svg { "http://www.w3.org/2000/svg" } else { "http://www.w3.org/1999/xhtml" };
        let el = document().create_element_ns(Some(namespace), parts.tag).ok()?;
        Some(Placed {
            tag: parts.tag,
            el,
            held: Vec::new(),
            kids: Vec::new(),
            _listeners: Vec::new(),
            _watch: None,
        })
    }

    /// Makes the element what the description says.
    fn take(&mut self, parts: Parts) {
        let Parts { class, flags, mut attrs, handlers, watch, kids, .. } = parts;
        if !flags.is_empty() {
            attrs.push(Attr { slot: Slot::Attribute, name: "class", value: Value::Class(class, flags) });
        } else if !class.is_empty() {
            attrs.push(Attr { slot: Slot::Attribute, name: "class", value: Value::Fixed(class.into()) });
        }
        let mut old = std::mem::take(&mut self.held);
        let mut values = Vec::new();
        for attr in attrs {
            let before = old.iter().position(|h| h.slot == attr.slot && h.name == attr.name);
            let last = before.map(|i| old.swap_remove(i).last).unwrap_or_default();
            values.push((attr, last));
        }
        for gone in old {
            gone.slot.set(&self.el, gone.name, &gone.last, None);
        }
        lay(&self.el, &mut self.kids, View::All(kids), None);
        self.held = values.into_iter().map(|(attr, last)| hold(&self.el, attr, last)).collect();
        self._listeners = handlers.into_iter().map(|(event, f)| Listener::new(&self.el, event, f)).collect();
        self._watch = watch.map(|mut f| {
            let el = self.el.clone();
            run(Box::new(move || f.hear(&el)))
        });
    }
}

impl Piece {
    /// Puts a new piece before a node, or at the end.
    fn new(parent: &Node, view: View, before: Option<&Node>) -> Option<Piece> {
        // Not in the document before it is whole.
        let put = |node: &Node| drop(parent.insert_before(node, before));
        Some(match view {
            View::Text(text) => {
                let node: Node = document().create_text_node(&text).into();
                put(&node);
                Piece::Text(node, text)
            }
            View::El(el) => {
                let mut placed = Placed::new(&el.0)?;
                placed.take(*el.0);
                put(&placed.el);
                Piece::El(placed)
            }
            View::Part(f) => {
                let end: Node = document().create_text_node("").into();
                put(&end);
                let pieces = Pieces::default();
                let effect = drawn(&end, &pieces, f);
                Piece::Part(end, pieces, effect)
            }
            View::All(_) => return None,
        })
    }

    /// Becomes what the description says, if it is of the same kind; else the description comes back.
    fn take(&mut self, view: View) -> Option<View> {
        match (self, view) {
            (Piece::Text(node, old), View::Text(new)) => {
                if *old != new {
                    node.set_text_content(Some(&new));
                    *old = new;
                }
            }
            (Piece::El(placed), View::El(el)) if placed.tag == el.0.tag => placed.take(*el.0),
            (Piece::Part(end, pieces, effect), View::Part(f)) => *effect = drawn(end, pieces, f),
            (_, view) => return Some(view),
        }
        None
    }

    /// The last node of the piece.
    pub(super) fn node(&self) -> &Node {
        match self {
            Piece::Text(node, _) | Piece::Part(node, ..) => node,
            Piece::El(placed) => &placed.el,
        }
    }

    pub(super) fn remove(self) {
        if let Piece::Part(_, pieces, _) = &self {
            pieces.take().into_iter().for_each(Piece::remove);
        }
        let node = self.node();
        if let Some(parent) = node.parent_node() {
            let _ = parent.remove_child(node);
        }
    }
}

/// Draws a part, now and whenever it changes.
fn drawn(end: &Node, pieces: &Pieces, f: Box<dyn Gives<View>>) -> RenderEffect<()> {
    let (end, pieces, mut f) = (end.clone(), Rc::clone(pieces), f);
    run(Box::new(move || {
        let view = f.give();
        if let Some(parent) = end.parent_node() {
            lay(&parent, &mut pieces.borrow_mut(), view, Some(&end));
        }
    }))
}

/// Lays a description over the pieces that are there; what is new at the end comes before `end`.
pub(super) fn lay(parent: &Node, pieces: &mut Vec<Piece>, view: View, end: Option<&Node>) {
    let mut views = Vec::new();
    flat(view, &mut views);
    while pieces.len() > views.len() {
        pieces.pop().into_iter().for_each(Piece::remove);
    }
    for (i, view) in views.into_iter().enumerate() {
        match pieces.get_mut(i) {
            None => pieces.extend(Piece::new(parent, view, end)),
            Some(piece) => {
                if let Some(view) = piece.take(view)
                    && let Some(new) = Piece::new(parent, view, Some(piece.node()))
                {
                    std::mem::replace(piece, new).remove();
                }
            }
        }
    }
}

fn flat(view: View, out: &mut Vec<View>) {
    match view {
        View::All(list) => list.into_iter().for_each(|v| flat(v, out)),
        view => out.push(view),
    }
}
