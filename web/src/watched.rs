//! Values that views look at.

use leptos::prelude::*;
use std::cell::RefCell;

/// A signal: whoever reads it in a part of the page is drawn anew when it changes.
///
/// Leptos's own signals come with code for each type of value. Here Leptos only says that something has changed; the
/// value lies beside it. It stays until the page is closed, as the page's state does.
pub struct Watched<T: 'static>(&'static Inner<T>);

struct Inner<T> {
    changed: ArcTrigger,
    value: RefCell<T>,
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Watched<T> {}

impl<T> Watched<T> {
    /// A new one.
    pub fn new(value: T) -> Self {
        Watched(Box::leak(Box::new(Inner { changed: ArcTrigger::new(), value: RefCell::new(value) })))
    }

    /// Whoever asks is told when it changes.
    pub fn track(self) {
        self.0.changed.track();
    }

    /// Reads it in place, and is told when it changes. `f` must not change it.
    pub fn with<U>(self, f: impl FnOnce(&T) -> U) -> U {
        self.track();
        self.with_untracked(f)
    }

    /// Reads it in place. `f` must not change it.
    pub fn with_untracked<U>(self, f: impl FnOnce(&T) -> U) -> U {
        f(&self.0.value.borrow())
    }

    /// Changes it.
    pub fn set(self, value: T) {
        self.0.value.replace(value);
        self.0.changed.notify();
    }
}

impl<T: Clone> Watched<T> {
    /// The value; whoever asks is told when it changes.
    pub fn get(self) -> T {
        self.track();
        self.get_untracked()
    }

    /// The value as it is now.
    pub fn get_untracked(self) -> T {
        self.0.value.borrow().clone()
    }
}
