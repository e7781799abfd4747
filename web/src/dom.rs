//! Closures for the framework, each kind in one type: its code is made once for each kind of value that a closure
//! gives, not once for each closure. That is most of what the page would weigh otherwise.

use leptos::ev::MouseEvent;
use leptos::prelude::*;

/// A part of the page that is drawn anew when what it looked at changes.
pub fn part(f: impl FnMut() -> AnyView + Send + 'static) -> AnyView {
    let f: Box<dyn FnMut() -> AnyView + Send> = Box::new(f);
    f.into_any()
}

/// Parts in a row.
pub fn parts(f: impl FnMut() -> Vec<AnyView> + Send + 'static) -> AnyView {
    let mut f = f;
    part(move || f().into_any())
}

/// A text that changes.
pub fn text(f: impl FnMut() -> String + Send + 'static) -> AnyView {
    let f: Box<dyn FnMut() -> String + Send> = Box::new(f);
    f.into_any()
}

/// A class that comes and goes.
pub fn flag(f: impl FnMut() -> bool + Send + 'static) -> Box<dyn FnMut() -> bool + Send> {
    Box::new(f)
}

/// An attribute that changes.
pub fn value(f: impl FnMut() -> String + Send + 'static) -> Box<dyn FnMut() -> String + Send> {
    Box::new(f)
}

/// An attribute that comes and goes.
pub fn maybe(
    f: impl FnMut() -> Option<&'static str> + Send + 'static,
) -> Box<dyn FnMut() -> Option<&'static str> + Send> {
    Box::new(f)
}

/// What a click does.
pub fn click(f: impl FnMut() + Send + 'static) -> Box<dyn FnMut(MouseEvent) + Send> {
    let mut f = f;
    Box::new(move |_| f())
}
