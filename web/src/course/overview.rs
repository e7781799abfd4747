//! The list of courses, and everything about one's progress.

use super::class::{Place, open, strange_version};
use super::{head, way_to};
use crate::dom::{El, NONE, View, el, part, value_of};
use crate::panes::copy_button;
use crate::state::State;
use crate::workbench::MAX;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use web_sys::HtmlInputElement;
use workshop::exercise::{Course, NAME_LENGTH, Progress, STEP_CODE_LENGTH, Stage, read_step_code};

/// The page.
pub fn page(state: State) -> View {
    let ways = vec![
        code_field(state),
        way_to(state, "to-trainer", "For trainers", Place::Trainer),
        way_to(state, "to-lab", "Back to the lab", Place::Lab),
    ];
    let list = part(move || {
        let shelf = state.class.shelf.get();
        let all = shelf.courses.iter().cloned().enumerate();
        View::All(all.map(|(n, course)| part(move || one(state, n, &course))).collect())
    });
    let list = el("div").class("courses").add(list);
    el("div")
        .class("course-page")
        .add(head("Courses", ways))
        .add(part(move || code_trouble(state)))
        .add(part(move || trouble(state)))
        .add(list)
        .add(part(move || yours(state)))
        .into()
}

/// What went wrong with the progress, and what can be done; in an exercise in fewer words.
pub fn trouble(state: State) -> View {
    let is_exercise = state.class.place.get() == Place::Lab;
    let class = &state.class;
    let mut lines = class.trouble.get();
    let (unkept, damaged) = (class.unkept.get(), class.damaged.get());
    let aside = damaged.as_ref().is_none_or(|d| d.is_aside);
    if unkept && aside {
        let more = match is_exercise {
            true => "The page “Courses” has it.",
            false => {
                "Nothing is lost as long as this page stays open; copy your code below, or download the file."
            }
        };
        lines.push(format!(
            "The browser does not keep your progress: its storage is full, or switched off. {more}"
        ));
    } else if unkept {
        lines.push(
            "The browser's storage is full, so the damaged text lies where your progress is kept. Save it, then your progress is kept again."
                .to_owned(),
        );
    }
    if lines.is_empty() && damaged.is_none() {
        return NONE;
    }
    let mut list = el("div").class("trouble many").attr("role", "alert").id("progress-trouble");
    for line in lines {
        list = list.add(el("p").add(line));
    }
    let again = (unkept && aside).then(|| {
        el("button").class("btn").id("keep-again").click(move || state.class.keep_again()).add("Try again")
    });
    let save = damaged.is_some().then(|| {
        el("button")
            .class("btn")
            .id("save-damaged")
            .click(move || state.class.save_damaged())
            .add("Save the damaged text")
    });
    let dismiss = el("button").class("btn quiet").click(move || state.class.dismiss()).add("Dismiss");
    list.add(el("div").class("row").add(again).add(save).add((!unkept).then_some(dismiss))).into()
}

fn one(state: State, n: usize, course: &Course) -> View {
    let progress = state.class.progress.get();
    let stage = |name: &str| progress.stage(name, state.class.par(name));
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
    if let Some(words) = strange_version(course) {
        out = out.add(el("p").class("breach strange-version").add(words));
    }
    if let Some(next) = progress.next(course).map(str::to_owned) {
        let is_first = solved == 0 && course.exercises().next() == Some(next.as_str());
        let words = if is_first { "Begin" } else { "Go on" };
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
    let card = state.class.shelf.with(|shelf| shelf.card(name).cloned());
    let (title, minutes) = card.map_or((name.to_owned(), 0), |c| (c.title, c.minutes));
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
        .add(el("span").class("course-stage").class(stage_class(stage)).add(stage.name()))
}

/// The class of a stage's mark.
pub fn stage_class(stage: Stage) -> &'static str {
    match stage {
        Stage::New | Stage::Brought => "stage-new",
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
        state.class.progress.with(|p| p.code(&course, |name| state.class.par(name)))
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
    let go = form(
        &GO,
        el("input").attr("inputmode", "numeric").attr("size", "4"),
        Box::new(move |number| go_to(state, &number)),
    );
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

/// The id of a field, and what stands before it.
struct Field {
    id: &'static str,
    label: &'static str,
}

const GO: Field = Field { id: "go-number", label: "Go to exercise number" };
const CODE: Field = Field { id: "step-code-typed", label: "Trainer's code" };

/// A field with a button that does something with what was written.
fn form(field: &Field, input: El, go: Box<dyn Fn(String)>) -> El {
    let id = field.id;
    el("form")
        .class("field")
        .on("submit", move |e| {
            e.prevent_default();
            go(value_of(id));
        })
        .add(el("label").attr("for", id).add(field.label))
        .add(input.attr("type", "text").id(id))
        .add(el("button").class("btn").attr("type", "submit").add("Go"))
}

/// Where the code is typed that leads to one step of a course.
fn code_field(state: State) -> El {
    let input = el("input")
        .class("mono code")
        .attr("size", STEP_CODE_LENGTH.to_string())
        .attr("autocomplete", "off")
        .attr("autocapitalize", "characters")
        .attr("spellcheck", "false")
        .attr("aria-describedby", "step-code-wrong")
        .maybe("aria-invalid", "true", move || state.class.code_wrong.get().is_some());
    form(&CODE, input, Box::new(move |code| bring(state, &code)))
}

/// The same inside an exercise, folded: one has come there before the trainer brings everybody somewhere else.
pub fn code_fold(state: State) -> El {
    el("details")
        .class("bring")
        .id("bring")
        .add(el("summary").add(CODE.label))
        .add(code_field(state))
        .add(part(move || code_trouble(state)))
}

/// What is wrong with the code.
fn code_trouble(state: State) -> View {
    let said = state.class.code_wrong.get().map(|wrong| el("p").class("breach").add(wrong));
    el("div").id("step-code-wrong").attr("role", "alert").add(said).into()
}

/// Goes where the trainer's code leads; what lies before it is not solved by that.
fn bring(state: State, code: &str) {
    let class = &state.class;
    if code.trim().is_empty() {
        return;
    }
    let shelf = class.shelf.get_untracked();
    let (at, number) = match read_step_code(code, &shelf.courses) {
        Ok(there) => there,
        Err(wrong) => return class.code_wrong.set(Some(wrong)),
    };
    class.code_wrong.set(None);
    let Some(course) = shelf.courses.get(at) else { return };
    let mut progress = class.progress.get_untracked();
    progress.bring(course, number);
    class.keep(progress);
    class.course.set(at);
    if let Some(name) = course.exercises().nth(number.saturating_sub(1)).map(str::to_owned) {
        open(state, &name);
    }
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
