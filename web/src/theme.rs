//! Light or dark: the system's choice, until somebody chooses here.

use leptos::prelude::*;

/// Under which the choice is kept; web/assets/boot.js reads it before the first paint.
const KEY: &str = "theme";

fn is_dark() -> bool {
    match document().document_element().and_then(|e| e.get_attribute("data-theme")) {
        Some(theme) => theme == "dark",
        None => crate::media("(prefers-color-scheme: dark)"),
    }
}

/// The other one, from now on.
pub fn toggle() {
    let theme = if is_dark() { "light" } else { "dark" };
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-theme", theme);
    }
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(KEY, theme);
    }
}
