//! Values that views look at.

use leptos::prelude::*;
use std::cell::RefCell;

/// A signal: whoever reads it in a part of the page is drawn anew when it changes.
///
/// Leptos's own signals come with code for each type of value. Here Leptos only says that something has changed; the
/// value lies beside it.
pub struct Watched<T> {
    changed: ArcTrigger,
    value: RefCell<T>,
}

impl<T> Watched<T> {
    /// A new one.
    pub fn new(value: T) -> Self {
        Watched { changed: ArcTrigger::new(), value: RefCell::new(value) }
    }

    /// Whoever asks is told when it changes.
    pub fn track(&self) {
        self.changed.track();
    }

    /// Reads it in place, and is told when it changes. `f` must not change it.
    pub fn with<U>(&self, f: impl FnOnce(&T) -> U) -> U {
        self.track();
        self.with_untracked(f)
    }

    /// Reads it in place. `f` must not change it.
    pub fn with_untracked<U>(&self, f: impl FnOnce(&T) -> U) -> U {
        f(&self.value.borrow())
    }

    /// Changes it.
    pub fn set(&self, value: T) {
        self.value.replace(value);
        self.changed.notify();
    }
}

impl<T: Default> Default for Watched<T> {
    fn default() -> Self {
        Watched::new(T::default())
    }
}

impl<T: Clone> Watched<T> {
    /// The value; whoever asks is told when it changes.
    pub fn get(&self) -> T {
        self.track();
        self.get_untracked()
    }

    /// The value as it is now.
    pub fn get_untracked(&self) -> T {
        self.value.borrow().clone()
    }
}
