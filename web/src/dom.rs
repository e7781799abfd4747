//! What the page is made of: elements, texts, and parts that are drawn anew when what they looked at changes.
//!
//! A [`View`] is a description; [`Root`] makes it real in the browser's document and hands it to Leptos. There is one
//! type of element and one of every kind of closure, so that the code which builds, compares and removes them is in
//! the page once, not once for each shape of element. A part that is drawn anew is laid over what is there: an element
//! with the same name stays, with its focus and its scroll position, and only gets what has changed.

use leptos::prelude::*;
use leptos::tachys::html::attribute::{Attribute, any_attribute::AnyAttribute};
use leptos::tachys::hydration::Cursor;
use leptos::tachys::view::{Mountable, Position, PositionState, Render, RenderHtml, add_attr::AddAnyAttr};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, Event, EventTarget, HtmlElement, HtmlInputElement, Node};

type Text = Cow<'static, str>;
type Strings = Box<dyn FnMut() -> String>;
type Flags = Box<dyn FnMut() -> bool>;
type Handler = Box<dyn FnMut(&Event)>;
type Watcher = Box<dyn FnMut(&Element)>;

// ---------------------------------------------------------------------- descriptions

/// A piece of the page.
pub enum View {
    /// A text.
    Text(Text),
    /// An element.
    El(El),
    /// A part; see [`part`].
    Part(Box<dyn FnMut() -> View>),
    /// Several pieces in a row, or none.
    All(Vec<View>),
}

/// Nothing.
pub const NONE: View = View::All(Vec::new());

/// A part of the page that is drawn anew when what it looked at changes.
pub fn part(f: impl FnMut() -> View + 'static) -> View {
    View::Part(Box::new(f))
}

/// A text that changes.
pub fn text(f: impl FnMut() -> String + 'static) -> View {
    let mut f = f;
    part(move || View::Text(f().into()))
}

impl From<&'static str> for View {
    fn from(text: &'static str) -> View {
        View::Text(text.into())
    }
}

impl From<String> for View {
    fn from(text: String) -> View {
        View::Text(text.into())
    }
}

impl From<El> for View {
    fn from(el: El) -> View {
        View::El(el)
    }
}

impl From<Option<El>> for View {
    fn from(el: Option<El>) -> View {
        el.map_or(NONE, View::El)
    }
}

impl From<Vec<View>> for View {
    fn from(list: Vec<View>) -> View {
        View::All(list)
    }
}

/// An element in the making.
pub struct El(Box<Parts>);

#[derive(Default)]
struct Parts {
    tag: &'static str,
    svg: bool,
    class: String,
    flags: Vec<(&'static str, Flags)>,
    attrs: Vec<Attr>,
    handlers: Vec<(&'static str, Handler)>,
    watch: Option<Watcher>,
    kids: Vec<View>,
}

/// Something that is set on an element.
struct Attr {
    slot: Slot,
    name: &'static str,
    value: Value,
}

#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Attribute,
    Style,
    Html,
    /// Whether a checkbox is ticked now; the attribute only says how it starts.
    Checked,
    /// What an input contains now.
    Input,
}

enum Value {
    Fixed(Text),
    Text(Strings),
    /// This text, or nothing.
    Maybe(&'static str, Flags),
    /// A class and those that come and go.
    Class(String, Vec<(&'static str, Flags)>),
}

impl Value {
    fn read(&mut self) -> Option<Text> {
        match self {
            Value::Fixed(text) => Some(text.clone()),
            Value::Text(f) => Some(f().into()),
            Value::Maybe(text, f) => f().then_some(Cow::Borrowed(*text)),
            Value::Class(class, flags) => {
                let mut out = class.clone();
                for (name, f) in flags {
                    if f() {
                        add_word(&mut out, name);
                    }
                }
                Some(out.into())
            }
        }
    }
}

fn add_word(to: &mut String, word: &str) {
    if !to.is_empty() {
        to.push(' ');
    }
    to.push_str(word);
}

/// An element.
pub fn el(tag: &'static str) -> El {
    El(Box::new(Parts { tag, ..Parts::default() }))
}

/// An element of a drawing.
pub fn svg(tag: &'static str) -> El {
    El(Box::new(Parts { tag, svg: true, ..Parts::default() }))
}

impl El {
    /// Adds a class, or several.
    pub fn class(mut self, class: &str) -> El {
        add_word(&mut self.0.class, class);
        self
    }

    /// Adds a class if so.
    pub fn class_if(self, class: &str, on: bool) -> El {
        if on { self.class(class) } else { self }
    }

    /// A class that comes and goes.
    pub fn flag(self, class: &'static str, f: impl FnMut() -> bool + 'static) -> El {
        self.boxed_flag(class, Box::new(f))
    }

    // Not made anew for each closure.
    fn boxed_flag(mut self, class: &'static str, f: Flags) -> El {
        self.0.flags.push((class, f));
        self
    }

    fn set(mut self, slot: Slot, name: &'static str, value: Value) -> El {
        self.0.attrs.push(Attr { slot, name, value });
        self
    }

    /// An attribute.
    pub fn attr(self, name: &'static str, value: impl Into<Text>) -> El {
        self.set(Slot::Attribute, name, Value::Fixed(value.into()))
    }

    /// The id.
    pub fn id(self, id: &'static str) -> El {
        self.attr("id", id)
    }

    /// An attribute that changes.
    pub fn live(self, name: &'static str, f: impl FnMut() -> String + 'static) -> El {
        self.set(Slot::Attribute, name, Value::Text(Box::new(f)))
    }

    /// An attribute with this value that comes and goes.
    pub fn maybe(self, name: &'static str, value: &'static str, f: impl FnMut() -> bool + 'static) -> El {
        self.set(Slot::Attribute, name, Value::Maybe(value, Box::new(f)))
    }

    /// A style that changes.
    pub fn style(self, name: &'static str, f: impl FnMut() -> String + 'static) -> El {
        self.set(Slot::Style, name, Value::Text(Box::new(f)))
    }

    /// Whether a checkbox is ticked.
    pub fn checked(self, f: impl FnMut() -> bool + 'static) -> El {
        self.set(Slot::Checked, "", Value::Maybe("", Box::new(f)))
    }

    /// What an input contains.
    pub fn input(self, f: impl FnMut() -> String + 'static) -> El {
        self.set(Slot::Input, "", Value::Text(Box::new(f)))
    }

    /// The content as HTML. Only for what we have written or escaped ourselves.
    pub fn html(self, html: impl Into<Text>) -> El {
        self.set(Slot::Html, "", Value::Fixed(html.into()))
    }

    /// Content as HTML that changes.
    pub fn live_html(self, f: impl FnMut() -> String + 'static) -> El {
        self.set(Slot::Html, "", Value::Text(Box::new(f)))
    }

    /// What happens at an event.
    pub fn on(self, event: &'static str, f: impl FnMut(&Event) + 'static) -> El {
        self.boxed_on(event, Box::new(f))
    }

    fn boxed_on(mut self, event: &'static str, f: Handler) -> El {
        self.0.handlers.push((event, f));
        self
    }

    /// What a click does.
    pub fn click(self, f: impl FnMut() + 'static) -> El {
        let mut f = f;
        self.on("click", move |_| f())
    }

    /// Something that is done with the element, again when what it looked at changes.
    pub fn watch(mut self, f: impl FnMut(&Element) + 'static) -> El {
        self.0.watch = Some(Box::new(f));
        self
    }

    /// Adds content.
    pub fn add(mut self, view: impl Into<View>) -> El {
        self.0.kids.push(view.into());
        self
    }
}

// ---------------------------------------------------------------------- what stands in the document

/// A piece that stands in the document.
enum Piece {
    Text(Node, Text),
    El(Placed),
    /// What the part has drawn stands before an empty text that holds its place.
    Part(Node, Pieces, RenderEffect<()>),
}

type Pieces = Rc<RefCell<Vec<Piece>>>;

struct Placed {
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
fn again(f: Box<dyn FnMut()>) -> RenderEffect<()> {
    let mut f = f;
    RenderEffect::new(move |_| f())
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
        Some(again(Box::new(move || slot.set(&el, name, &last, value.read()))))
    };
    Held { slot, name, last, _effect: effect }
}

/// Listens as long as it is kept.
///
/// `gloo::events` would do the same, but its handlers borrow the event: wasm-bindgen makes of that an instruction
/// (`table.fill`) which the wasm-opt of many systems cannot read yet.
struct Listener {
    target: EventTarget,
    event: &'static str,
    closure: Closure<dyn FnMut(Event)>,
}

impl Listener {
    fn new(target: &EventTarget, event: &'static str, f: Handler) -> Listener {
        let mut f = f;
        let f: Box<dyn FnMut(Event)> = Box::new(move |e| f(&e));
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
            again(Box::new(move || f(&el)))
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
    fn node(&self) -> &Node {
        match self {
            Piece::Text(node, _) | Piece::Part(node, ..) => node,
            Piece::El(placed) => &placed.el,
        }
    }

    fn remove(self) {
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
fn drawn(end: &Node, pieces: &Pieces, f: Box<dyn FnMut() -> View>) -> RenderEffect<()> {
    let (end, pieces, mut f) = (end.clone(), Rc::clone(pieces), f);
    again(Box::new(move || {
        let view = f();
        if let Some(parent) = end.parent_node() {
            lay(&parent, &mut pieces.borrow_mut(), view, Some(&end));
        }
    }))
}

/// Lays a description over the pieces that are there; what is new at the end comes before `end`.
fn lay(parent: &Node, pieces: &mut Vec<Piece>, view: View, end: Option<&Node>) {
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

// ---------------------------------------------------------------------- around the views

/// Keeps something until the page, or the part that is being drawn, goes.
fn keep<T: 'static>(what: T) {
    let what = leptos::__reexports::send_wrapper::SendWrapper::new(what);
    on_cleanup(move || drop(what));
}

/// Does something now, and again when what it looked at changes.
pub fn effect(f: impl FnMut() + 'static) {
    keep(again(Box::new(f)));
}

/// What happens at an event of the window.
pub fn on_window(event: &'static str, f: impl FnMut(&Event) + 'static) {
    keep(Listener::new(&window(), event, Box::new(f)));
}

/// Does something before the browser paints.
pub fn before_paint(f: impl FnOnce() + 'static) {
    let f: Box<dyn FnOnce()> = Box::new(f);
    request_animation_frame(f);
}

/// The page as Leptos mounts it.
pub struct Root(Box<dyn FnOnce() -> View + Send>);

impl Root {
    /// The page that `f` describes.
    pub fn new(f: impl FnOnce() -> View + Send + 'static) -> Root {
        Root(Box::new(f))
    }
}

/// The page in the document.
pub struct Mounted(Vec<Piece>, Node);

impl Mountable for Mounted {
    fn unmount(&mut self) {
        self.0.drain(..).for_each(Piece::remove);
    }

    fn mount(&mut self, parent: &Element, marker: Option<&Node>) {
        let _ = parent.insert_before(&self.1, marker);
    }

    fn insert_before_this(&self, _: &mut dyn Mountable) -> bool {
        false
    }

    fn elements(&self) -> Vec<Element> {
        Vec::new()
    }
}

impl Render for Root {
    type State = Mounted;

    fn build(self) -> Mounted {
        let nursery = document().create_document_fragment().into();
        let mut pieces = Vec::new();
        lay(&nursery, &mut pieces, (self.0)(), None);
        Mounted(pieces, nursery)
    }

    fn rebuild(self, _: &mut Mounted) {}
}

impl AddAnyAttr for Root {
    type Output<A: Attribute> = Root;

    fn add_any_attr<A: Attribute>(self, _: A) -> Root {
        self
    }
}

// Leptos asks for it of everything that it mounts. There is no server that writes this page.
impl RenderHtml for Root {
    type AsyncOutput = Root;
    type Owned = Root;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> Root {
        self
    }

    fn to_html_with_buf(self, _: &mut String, _: &mut Position, _: bool, _: bool, _: Vec<AnyAttribute>) {}

    fn hydrate<const FROM_SERVER: bool>(self, _: &Cursor, _: &PositionState) -> Mounted {
        self.build()
    }

    fn into_owned(self) -> Root {
        self
    }
}
