//! The list of courses, and everything about one's progress.

use super::class::{Class, Place, open, place};
use crate::dom::{El, NONE, View, el, part};
use crate::panes::{copy_button, space};
use crate::state::State;
use crate::workbench::MAX;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use web_sys::HtmlInputElement;
use workshop::exercise::{Course, NAME_LENGTH, Progress, Stage};

/// The page.
pub fn page(state: State) -> View {
    let head = el("div")
        .class("course-head")
        .add(el("h2").id("course-title").attr("tabindex", "-1").add("Courses"))
        .add(space())
        .add(
            el("button")
                .class("btn quiet")
                .id("to-trainer")
                .click(move || place(state, Place::Trainer))
                .add("For trainers"),
        )
        .add(
            el("button")
                .class("btn")
                .id("to-lab")
                .click(move || place(state, Place::Lab))
                .add("Back to the lab"),
        );
    let mut list = el("div").class("courses");
    for (n, course) in state.class.courses.iter().enumerate() {
        let course = course.clone();
        list = list.add(part(move || one(state, n, &course)));
    }
    el("div")
        .class("course-page")
        .add(head)
        .add(part(move || trouble(state)))
        .add(list)
        .add(part(move || yours(state)))
        .into()
}

fn trouble(state: State) -> View {
    let lines = state.class.trouble.get();
    if lines.is_empty() {
        return NONE;
    }
    let mut list = el("div").class("trouble many").attr("role", "alert").id("progress-trouble");
    for line in lines {
        list = list.add(el("p").add(line));
    }
    let dismiss =
        el("button").class("btn quiet").click(move || state.class.trouble.set(Vec::new())).add("Dismiss");
    list.add(dismiss).into()
}

fn one(state: State, n: usize, course: &Course) -> View {
    let progress = state.class.progress.get();
    let stage = |name: &str| progress.stage(name, Class::par(name));
    let all = course.exercises().count();
    let solved = course.exercises().filter(|e| stage(e).is_solved()).count();
    let is_open = state.class.course.get() == n;
    let summary = el("summary")
        .add(el("span").class("course-name").add(course.title.clone()))
        .add(el("span").class("mono quiet").add(format!("{solved} of {all}")));
    let mut out = el("details").class("card course").attr("id", format!("course-{}", course.name));
    if is_open {
        out = out.attr("open", "");
    }
    out = out.add(summary).add(el("p").add(course.summary.clone()));
    if course.made_with != env!("CARGO_PKG_VERSION") {
        let words = format!(
            "Made with version {}; this is {}. Answers may differ.",
            course.made_with,
            env!("CARGO_PKG_VERSION")
        );
        out = out.add(el("p").class("breach").add(words));
    }
    // Where one goes on: the first exercise that is not solved.
    if let Some(next) = course.exercises().find(|e| !stage(e).is_solved()).map(str::to_owned) {
        let words = if solved == 0 { "Begin" } else { "Go on" };
        out = out.add(
            el("button")
                .class("btn primary")
                .attr("id", format!("begin-{}", course.name))
                .click(move || {
                    state.class.course.set(n);
                    open(state, &next);
                })
                .add(words),
        );
    }
    let mut number = 0;
    for chapter in &course.chapters {
        let mut list = el("ol").class("exercises").attr("start", (number + 1).to_string());
        for name in &chapter.exercises {
            number += 1;
            list = list.add(exercise(state, n, name, stage(name)));
        }
        out = out.add(el("h3").add(chapter.title.clone())).add(list);
    }
    out.into()
}

fn exercise(state: State, course: usize, name: &str, stage: Stage) -> El {
    let lab = workshop::exercise::exercise(name);
    let title = lab.as_ref().map_or(name.to_owned(), |l| l.title.clone());
    let minutes = lab.and_then(|l| l.exercise.map(|e| e.minutes)).unwrap_or(0);
    let (to, href) = (name.to_owned(), format!("#v1/{name}"));
    let link = el("a")
        .attr("href", href)
        .on("click", move |e| {
            e.prevent_default();
            state.class.course.set(course);
            open(state, &to);
        })
        .add(title);
    el("li")
        .class("exercise")
        .class(if stage.is_solved() { "is-solved" } else { "" })
        .add(link)
        .add(el("span").class("quiet").add(format!("{minutes} min")))
        .add(el("span").class("stage").class(stage_class(stage)).add(stage.name()))
}

/// The class of a stage's mark.
pub fn stage_class(stage: Stage) -> &'static str {
    match stage {
        Stage::New => "stage-new",
        Stage::Open | Stage::Hinted | Stage::Shown => "stage-open",
        Stage::Copied | Stage::Helped => "stage-helped",
        Stage::Solved | Stage::Par => "stage-solved",
    }
}

// ---------------------------------------------------------------------- one's progress

fn yours(state: State) -> View {
    let name = el("label").class("field").add(el("span").add("Your name, for the code")).add(
        el("input")
            .attr("type", "text")
            .id("learner")
            .attr("maxlength", NAME_LENGTH.to_string())
            .attr("autocomplete", "nickname")
            .input(move || state.class.progress.with_untracked(|p| p.name.clone()))
            .on("change", move |e| {
                let name = event_target_value(e);
                let progress = state.class.progress.get_untracked();
                state.class.keep(Progress { name: name.trim().to_owned(), ..progress });
            }),
    );
    let code = move || {
        let Some(course) = state.class.course() else { return String::new() };
        state.class.progress.with(|p| p.code(&course, Class::par))
    };
    let code_row = el("div")
        .class("code-row")
        .add(el("code").class("mono").id("progress-code").add(code()))
        .add(copy_button(state, "code", code));
    let download = el("button").class("btn ghost").id("export-progress").click(move || {
        let text = state.class.progress.with_untracked(Progress::print);
        if crate::workbench::download("netfilter-lab-progress.txt", &text).is_err() {
            state.class.trouble.set(vec!["The browser does not save the file.".to_owned()]);
        }
    });
    let import = el("label").class("btn ghost file").add("Import a file").add(
        el("input")
            .attr("type", "file")
            .id("import-progress")
            .attr("accept", ".txt,text/plain")
            .class("sr")
            .on("change", move |e| read_file(state, e)),
    );
    let go = el("form")
        .class("field")
        .on("submit", move |e| {
            e.prevent_default();
            let value = document()
                .get_element_by_id("go-number")
                .and_then(|e| e.dyn_into::<HtmlInputElement>().ok())
                .map(|e| e.value())
                .unwrap_or_default();
            go_to(state, &value);
        })
        .add(el("label").attr("for", "go-number").add("Go to exercise number"))
        .add(el("input").attr("type", "text").attr("inputmode", "numeric").id("go-number").attr("size", "4"))
        .add(el("button").class("btn").attr("type", "submit").add("Go"));
    let forget = match state.class.forgetting.get() {
        false => el("button")
            .class("btn quiet")
            .id("forget")
            .click(move || state.class.forgetting.set(true))
            .add("Forget my progress"),
        true => el("span")
            .class("sure")
            .attr("role", "group")
            .add("Everything that you solved in this browser? ")
            .add(
                el("button")
                    .class("btn")
                    .id("forget-yes")
                    .click(move || {
                        state.class.forget();
                        state.class.forgetting.set(false);
                    })
                    .add("Forget it"),
            )
            .add(
                el("button")
                    .class("btn quiet")
                    .click(move || state.class.forgetting.set(false))
                    .add("Keep it"),
            ),
    };
    el("section")
        .class("card yours")
        .attr("aria-labelledby", "yours-title")
        .add(el("h3").id("yours-title").add("Your progress"))
        .add(
            el("p")
                .class("quiet")
                .add("It lies in this browser and is sent nowhere. Your trainer can read the code."),
        )
        .add(name)
        .add(code_row)
        .add(go)
        .add(el("div").class("row").add(download.add("Download as a file")).add(import).add(forget))
        .into()
}

/// Opens the exercise of that number.
fn go_to(state: State, number: &str) {
    let Some(course) = state.class.course() else { return };
    let count = course.exercises().count();
    let at = number.trim().parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    match at.and_then(|n| course.exercises().nth(n)) {
        Some(name) => {
            let name = name.to_owned();
            open(state, &name);
        }
        None => state.class.trouble.set(vec![format!(
            "“{}”: expected a number from 1 to {count}, of the course “{}”.",
            number.trim(),
            course.title
        )]),
    }
}

fn read_file(state: State, e: &web_sys::Event) {
    let input = e.target().and_then(|t| t.dyn_into::<HtmlInputElement>().ok());
    let Some(input) = input else { return };
    let Some(file) = input.files().and_then(|f| f.get(0)) else { return };
    // The same file can be chosen once more.
    input.set_value("");
    if file.size() > MAX {
        state.class.trouble.set(vec![format!("{} is too large for a progress.", file.name())]);
        return;
    }
    let read = Closure::new(move |text: JsValue| state.class.import(&text.as_string().unwrap_or_default()));
    let _ = file.text().then(&read);
    read.forget();
}
