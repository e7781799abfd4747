//! What the page is made of: elements, texts, and parts that are drawn anew when what they looked at changes.
//!
//! A [`View`] is a description; [`Root`] makes it real in the browser's document and hands it to Leptos. There is one
//! type of element and one of every kind of closure, so that the code which builds, compares and removes them is in
//! the page once, not once for each shape of element. A part that is drawn anew is laid over what is there: an element
//! with the same name stays, with its focus and its scroll position, and only gets what has changed.

mod again;
mod placed;
mod resized;
mod root;

pub use resized::resized;
pub use root::Root;

use again::{Gives, Hears};
use leptos::prelude::*;
pub use placed::Listener;
use placed::run;
use std::borrow::Cow;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, EventTarget, HtmlInputElement};

type Text = Cow<'static, str>;
type Strings = Box<dyn Gives<String>>;
type Flags = Box<dyn Gives<bool>>;
type Handler = Box<dyn Hears<Event>>;
type Watcher = Box<dyn Hears<Element>>;

// ---------------------------------------------------------------------- descriptions

/// A piece of the page.
pub enum View {
    /// A text.
    Text(Text),
    /// An element.
    El(El),
    /// A part; see [`part`].
    Part(Box<dyn Gives<View>>),
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
            Value::Text(f) => Some(f.give().into()),
            Value::Maybe(text, f) => f.give().then_some(Cow::Borrowed(*text)),
            Value::Class(class, flags) => {
                let mut out = class.clone();
                for (name, f) in flags {
                    if f.give() {
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

// ---------------------------------------------------------------------- around the views

/// Keeps something until the page, or the part that is being drawn, goes.
pub fn keep<T: 'static>(what: T) {
    let what = leptos::__reexports::send_wrapper::SendWrapper::new(what);
    on_cleanup(move || drop(what));
}

/// Does something now, and again when what it looked at changes.
pub fn effect(f: impl FnMut() + 'static) {
    keep(run(Box::new(f)));
}

/// What happens at an event of the window.
pub fn on_window(event: &'static str, f: impl FnMut(&Event) + 'static) {
    keep(Listener::new(&window(), event, Box::new(f)));
}

/// What happens at an event of something else, as long as the listener is kept.
pub fn listen(target: &EventTarget, event: &'static str, f: impl FnMut(&Event) + 'static) -> Listener {
    Listener::new(target, event, Box::new(f))
}

/// What is written in the input of this id.
pub fn value_of(id: &str) -> String {
    let input = document().get_element_by_id(id).and_then(|e| e.dyn_into::<HtmlInputElement>().ok());
    input.map(|input| input.value()).unwrap_or_default()
}

/// Does something before the browser paints.
pub fn before_paint(f: impl FnOnce() + 'static) {
    let f: Box<dyn FnOnce()> = Box::new(f);
    request_animation_frame(f);
}
