//! Closures that are called again and again. The table of a `dyn FnMut` names one function more, made for each closure: the call that
//! would use it up. There are hundreds of closures, and the page downloads each.

/// A closure that gives something.
pub trait Gives<T> {
    /// Calls it.
    fn give(&mut self) -> T;
}

impl<T, F: FnMut() -> T> Gives<T> for F {
    fn give(&mut self) -> T {
        self()
    }
}

/// A closure that is told of something.
pub trait Hears<E> {
    /// Calls it.
    fn hear(&mut self, what: &E);
}

impl<E, F: FnMut(&E)> Hears<E> for F {
    fn hear(&mut self, what: &E) {
        self(what);
    }
}
