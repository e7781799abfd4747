//! A course or a lab from a file: one of the page's own server that the address names (`?src=`), or one that was dropped on the page.

use super::class::{Place, place};
use super::shelf::Own;
use crate::state::State;
use crate::url::Link;
use leptos::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Response, Url};
use workshop::exercise::{Course, exercise, read_course_file};
use workshop::read_lab;

/// Larger files are not read.
const MAX: usize = 2_000_000;

/// The file that the page's address asks for.
pub fn wanted() -> Option<String> {
    let query = window().location().search().ok()?;
    let pairs = query.strip_prefix('?')?.split('&');
    let value = pairs.into_iter().find_map(|p| p.strip_prefix("src="))?;
    crate::packed::unescape(value).filter(|v| !v.is_empty())
}

/// Fetches the file that the address asks for, and opens it.
pub fn open(state: State, src: &str) {
    let src = src.to_owned();
    let url = match of_this_server(&src) {
        Ok(url) => url,
        Err(e) => return state.error.set(Some(e)),
    };
    fetch(&url.clone(), move |text| {
        // Until now the address was not to be touched.
        *state.address.borrow_mut() = crate::addressed();
        match text {
            Ok(text) => read(state, &src, &text, Some(&url)),
            Err(e) => state.error.set(Some(format!("{src} cannot be opened: {e}."))),
        }
    });
}

/// The whole address of a file, if it lies where the page lies.
fn of_this_server(src: &str) -> Result<String, String> {
    let base = window().location().href().unwrap_or_default();
    let url = Url::new_with_base(src, &base).map_err(|_| format!("“{src}” is no address."))?;
    let here = window().location().origin().unwrap_or_default();
    if url.origin() != here {
        return Err(format!(
            "{src} cannot be opened: expected a file of {here}, where this page comes from."
        ));
    }
    Ok(url.href())
}

/// A text becomes what is on the page; what is wrong with it is shown underlined. `url` is where it comes from.
pub fn read(state: State, name: &str, text: &str, url: Option<&str>) {
    if text.len() > MAX {
        return state.error.set(Some(format!("{name} is too large.")));
    }
    if !workshop::exercise::is_course(text) {
        return lab(state, name, text, url.is_some());
    }
    let file = match read_course_file(text) {
        Ok(file) => file,
        Err(wrong) => return wrong_file(state, wrong.show(name, text)),
    };
    let own: Vec<Own> = file.exercises.iter().map(|(lab, text)| Own::new(lab, text)).collect();
    let known =
        |name: &str| file.exercises.iter().any(|(lab, _)| lab.name == name) || exercise(name).is_some();
    let missing: Vec<String> =
        file.course.exercises().filter(|name| !known(name)).map(str::to_owned).collect();
    match url {
        Some(url) => beside(state, file.course, own, missing, url.to_owned()),
        None if missing.is_empty() => course(state, file.course, own, false),
        None => wrong_file(
            state,
            format!("{name}: no exercise {}, neither in this file nor with the program", missing.join(", ")),
        ),
    }
}

fn wrong_file(state: State, wrong: String) {
    place(state, Place::Lab);
    state.desk.file.set(Some(wrong));
}

fn lab(state: State, name: &str, text: &str, served: bool) {
    match read_lab(text) {
        Ok(lab) => {
            state.desk.file.set(None);
            let shelf = state.class.shelf.get_untracked();
            state.class.shelf.set(Rc::new(shelf.with(None, vec![Own::new(&lab, text)], served)));
            // What the address says besides stays: commands, switches, the moment.
            let leads = |link: &Link| link.lab == lab.name || link.is_known();
            match crate::addressed().filter(|link| served && leads(link)) {
                Some(link) => state.follow(&link),
                None => super::class::open(state, &lab.name),
            }
        }
        Err(wrong) => wrong_file(state, wrong.show(name, text)),
    }
}

/// Exercises that the file has not are looked for beside it, one after the other.
fn beside(state: State, course: Course, own: Vec<Own>, missing: Vec<String>, url: String) {
    let mut missing = missing;
    let Some(name) = missing.pop() else { return self::course(state, course, own, true) };
    let there = Url::new_with_base(&format!("{name}.yaml"), &url).map(|u| u.href()).unwrap_or_default();
    fetch(&there.clone(), move |text| {
        let text = match text {
            Ok(text) => text,
            Err(e) => {
                let said = format!(
                    "The course “{}” names the exercise {name}, which came neither with it nor with the program; {there}: {e}.",
                    course.title
                );
                return state.error.set(Some(said));
            }
        };
        match read_lab(&text) {
            Ok(lab) => {
                let mut own = own;
                own.push(Own::new(&lab, &text));
                beside(state, course, own, missing, url);
            }
            Err(wrong) => wrong_file(state, wrong.show(&format!("{name}.yaml"), &text)),
        }
    });
}

fn course(state: State, course: Course, own: Vec<Own>, served: bool) {
    state.desk.file.set(None);
    let class = &state.class;
    let shelf = class.shelf.get_untracked();
    class.shelf.set(Rc::new(shelf.with(Some(course), own, served)));
    class.course.set(0);
    match crate::addressed().filter(|_| served) {
        Some(link) => state.follow(&link),
        None => place(state, Place::Overview),
    }
}

type Told = Result<String, String>;

/// Fetches a text of this server. `Err` says in words why there is none.
fn fetch(url: &str, then: impl FnOnce(Told) + 'static) {
    let then: Box<dyn FnOnce(Told)> = Box::new(then);
    let then = Rc::new(RefCell::new(Some(then)));
    let say = move |told: Told| {
        // Whatever happens, it is told once.
        let then = then.borrow_mut().take();
        if let Some(then) = then {
            then(told);
        }
    };
    let came = say.clone();
    let came = Closure::new(move |response: JsValue| {
        let response: Response = response.unchecked_into();
        if !response.ok() {
            return came(Err(format!("the server says {} {}", response.status(), response.status_text())));
        }
        let came = came.clone();
        let read = Closure::new(move |text: JsValue| came(Ok(text.as_string().unwrap_or_default())));
        if let Ok(text) = response.text() {
            let _ = text.then(&read);
        }
        read.forget();
    });
    let failed = Closure::new(move |_: JsValue| say(Err("the server does not answer".to_owned())));
    let _ = window().fetch_with_str(url).then2(&came, &failed);
    came.forget();
    failed.forget();
}
