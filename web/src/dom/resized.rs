//! What is done when an element gets another size.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, ResizeObserver};

/// For [`El::watch`](super::El::watch): `f` is called when the element has its size, and whenever it gets another one.
pub fn resized(f: impl FnMut() + 'static) -> impl FnMut(&Element) + 'static {
    let seen = Closure::<dyn FnMut()>::new(f);
    let mut kept: Option<Watcher> = None;
    move |el| {
        let Ok(observer) = ResizeObserver::new(seen.as_ref().unchecked_ref()) else { return };
        observer.observe(el);
        drop(kept.replace(Watcher(observer)));
    }
}

/// It works as long as it is kept.
struct Watcher(ResizeObserver);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.disconnect();
    }
}
