//! Scenario files: a lab's text with what was done. Saved by a button, opened by another, or dropped on the page.

use crate::dom::{NONE, View, el, on_window};
use crate::state::State;
use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, BlobPropertyBag, DragEvent, File, HtmlAnchorElement, HtmlInputElement, Url};
use workshop::Session;

/// Larger files are not read.
pub const MAX: f64 = 2_000_000.0;
/// The id of the field that a file is chosen with.
const CHOOSE: &str = "open-file";

/// Open and Save.
pub fn buttons(state: State) -> View {
    on_window("dragover", |e| e.prevent_default());
    on_window("drop", move |e| {
        let files = e.dyn_ref::<DragEvent>().and_then(DragEvent::data_transfer).and_then(|t| t.files());
        if let Some(file) = files.and_then(|f| f.item(0)) {
            e.prevent_default();
            open(state, &file);
        }
    });
    let chosen = el("input")
        .attr("type", "file")
        .attr("id", CHOOSE)
        .class("sr")
        .attr("tabindex", "-1")
        .attr("aria-label", "Scenario file")
        .attr("accept", ".yaml,.yml,.txt")
        .on("change", move |e| {
            let input: Option<HtmlInputElement> = e.target().and_then(|t| t.dyn_into().ok());
            let Some(input) = input else { return };
            if let Some(file) = input.files().and_then(|f| f.item(0)) {
                open(state, &file);
            }
            input.set_value("");
        });
    let open = el("button")
        .class("btn")
        .attr("title", "Open a scenario file, or drop one on the page")
        .click(|| {
            let input =
                document().get_element_by_id(CHOOSE).and_then(|e| e.dyn_into::<HtmlInputElement>().ok());
            if let Some(input) = input {
                input.click();
            }
        })
        .add("Open");
    let save = el("button")
        .class("btn")
        .attr("id", "save-file")
        .attr("title", "Save the lab with what was done as a file")
        .click(move || save(state))
        .add("Save");
    View::All(vec![chosen.into(), open.into(), save.into()])
}

/// The text of the session as a download.
fn save(state: State) {
    let session = state.loaded.with_untracked(|l| l.session.clone());
    let done = session.to_file().and_then(|text| {
        download(&format!("{}.yaml", session.lab.name), &text)
            .map_err(|_| "the browser does not save it".to_owned())
    });
    if let Err(e) = done {
        state.error.set(Some(format!("This cannot be saved: {e}.")));
    }
}

/// Offers a text as a file.
pub fn download(name: &str, text: &str) -> Result<(), JsValue> {
    let parts = js_sys::Array::of1(&JsValue::from_str(text));
    let options = BlobPropertyBag::new();
    options.set_type("application/yaml");
    let blob = Blob::new_with_str_sequence_and_options(&parts, &options)?;
    let url = Url::create_object_url_with_blob(&blob)?;
    let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    Url::revoke_object_url(&url)
}

fn open(state: State, file: &File) {
    let name = file.name();
    if file.size() > MAX {
        state.error.set(Some(format!("{name} is too large for a scenario.")));
        return;
    }
    let read = Closure::new(move |text: JsValue| read(state, &name, &text.as_string().unwrap_or_default()));
    let _ = file.text().then(&read);
    read.forget();
}

/// A text becomes the lab on the page; what is wrong with it is shown underlined.
fn read(state: State, name: &str, text: &str) {
    if workshop::exercise::is_course(text) {
        return crate::course::read_file(state, name, text, None);
    }
    match Session::from_text(text) {
        Ok(session) => {
            state.desk.file.set(None);
            state.open_session(session);
        }
        Err(wrong) => state.desk.file.set(Some(wrong.show(name, text))),
    }
}

/// What is wrong with a file.
pub fn wrong(state: State) -> View {
    let Some(text) = state.desk.file.get() else { return NONE };
    let dismiss = el("button").class("btn quiet").click(move || state.desk.file.set(None)).add("Dismiss");
    let shown = el("pre").class("mono").add(text);
    el("div").class("trouble file-wrong").attr("role", "alert").add(shown).add(dismiss).into()
}
