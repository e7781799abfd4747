//! Light or dark: the system's choice, until somebody chooses here. And large type with strong lines, for a projector.

use crate::dom::{El, View, el};
use crate::icons;
use leptos::prelude::*;

/// Under which the choices are kept; web/assets/boot.js reads them before the first paint.
const KEY: &str = "theme";
const PROJECTOR: &str = "projector";

/// What one can choose: as it is kept, and as it is called. The first is what holds without a choice.
const THEMES: [(&str, &str); 3] = [("system", "As the system"), ("light", "Light"), ("dark", "Dark")];

fn root_attribute(name: &str) -> Option<String> {
    document().document_element().and_then(|root| root.get_attribute(name))
}

/// Sets an attribute of the root, or takes it away, and remembers it.
fn choose(attribute: &str, key: &str, value: Option<&str>) {
    if let Some(root) = document().document_element() {
        let _ = match value {
            Some(value) => root.set_attribute(attribute, value),
            None => root.remove_attribute(attribute),
        };
    }
    // Without storage it holds until the page is closed.
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = match value {
            Some(value) => storage.set_item(key, value),
            None => storage.remove_item(key),
        };
    }
}

/// The button, and what it opens. The browser closes it: by Escape, and when somebody clicks elsewhere.
pub fn control() -> View {
    let button = el("button")
        .class("btn")
        .id("theme")
        .attr("title", "Light, dark, projector")
        .attr("aria-label", "Light, dark, projector")
        .attr("popovertarget", "theme-menu")
        .add(icons::sun_moon());
    View::All(vec![button.into(), menu().into()])
}

fn menu() -> El {
    let now = root_attribute("data-theme");
    let now = now.as_deref().unwrap_or("system");
    let mut group = el("fieldset").add(el("legend").add("Colours"));
    for (at, (value, name)) in THEMES.into_iter().enumerate() {
        let chosen = value == now;
        let radio = el("input")
            .attr("type", "radio")
            .attr("name", "theme")
            .attr("value", value)
            .checked(move || chosen)
            .on("change", move |_| choose("data-theme", KEY, (at > 0).then_some(value)));
        group = group.add(el("label").add(radio).add(name));
    }
    let large = el("input")
        .attr("type", "checkbox")
        .id("projector")
        .checked(|| root_attribute("data-projector").is_some())
        .on("change", |e| {
            let on = event_target_checked(e);
            choose("data-projector", PROJECTOR, on.then_some("on"));
            // What depends on the window's width looks again.
            let _ = web_sys::Event::new("resize").map(|e| window().dispatch_event(&e));
        });
    el("div")
        .class("menu")
        .id("theme-menu")
        .attr("popover", "")
        .attr("role", "group")
        .attr("aria-label", "Light, dark, projector")
        .add(group)
        .add(el("label").add(large).add("Projector: large type, strong lines"))
        .add(
            el("button")
                .class("btn quiet")
                .id("full-screen")
                .click(crate::course::full_screen)
                .add("Full screen (F)"),
        )
}
