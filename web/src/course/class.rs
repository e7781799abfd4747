//! The state of courses: where one is, and how far one has come.

use super::answers;
use super::shelf::Shelf;
use crate::dom::{before_paint, effect, on_window};
use crate::load::Loaded;
use crate::state::{Pane, State};
use crate::url::Link;
use crate::watched::Watched;
use leptos::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use workshop::exercise::{Course, Done, Given, Progress, Verdict, moves_of};
use workshop::{Lab, Session};

/// Under which the browser keeps the progress.
const KEY: &str = "progress";
/// Under which it keeps what could not be read, so that nothing is lost.
const DAMAGED: &str = "progress-damaged";

/// What is on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// A lab or an exercise.
    #[default]
    Lab,
    /// The list of courses.
    Overview,
    /// The trainer's page.
    Trainer,
    /// Speaker notes, in a window of their own.
    Notes,
}

impl Place {
    /// The place of this name in a link.
    pub fn of(name: &str) -> Option<Place> {
        [Place::Overview, Place::Trainer, Place::Notes].into_iter().find(|p| p.name() == name)
    }

    /// Its name in a link.
    pub fn name(self) -> &'static str {
        match self {
            Place::Lab => "",
            Place::Overview => "courses",
            Place::Trainer => "trainer",
            Place::Notes => "notes",
        }
    }
}

/// All signals of courses.
pub struct Class {
    /// What is on the page.
    pub place: Watched<Place>,
    /// The courses and their exercises.
    pub shelf: Watched<Rc<Shelf>>,
    /// The course that one is in: its place among them.
    pub course: Watched<usize>,
    /// How far one has come.
    pub progress: Watched<Progress>,
    /// What went wrong with what was kept or imported.
    pub trouble: Watched<Vec<String>>,
    /// The browser has not kept what is on the page.
    pub unkept: Watched<bool>,
    /// What could not be read of what the browser had kept.
    pub damaged: Watched<Option<Damaged>>,
    /// The exercise as it began.
    pub start: Watched<Option<Rc<Loaded>>>,
    /// How many tiers of hints are open.
    pub hints: Watched<usize>,
    /// What was answered to each question, as far as it was.
    pub answers: Watched<Vec<Option<Given>>>,
    /// Questions that were answered wrongly at first.
    missed: Watched<u8>,
    /// A solution is shown.
    pub revealed: Watched<bool>,
    /// Somebody wants to begin again from nothing; asked once more.
    pub forgetting: Watched<bool>,
    /// What was written into the field for codes on the trainer's page.
    pub codes: Watched<String>,
    /// The exercise to which the trainer brings everybody: its place in the course.
    pub bring: Watched<usize>,
    /// What is wrong with the trainer's code that was typed.
    pub code_wrong: Watched<Option<String>>,
    /// The link to this moment is shown as a QR code.
    pub code_shown: Watched<bool>,
    /// The exercise that the other window shows, for the speaker notes.
    pub noted: Watched<String>,
    /// The way to the other window.
    pub channel: RefCell<Option<Rc<web_sys::BroadcastChannel>>>,
}

impl Default for Class {
    fn default() -> Class {
        let Stored { progress, trouble, damaged } = stored();
        Class {
            place: Watched::new(Place::Lab),
            shelf: Watched::new(Rc::default()),
            course: Watched::new(0),
            progress: Watched::new(progress),
            trouble: Watched::new(trouble),
            unkept: Watched::new(false),
            damaged: Watched::new(damaged),
            start: Watched::new(None),
            hints: Watched::new(0),
            answers: Watched::new(Vec::new()),
            missed: Watched::new(0),
            revealed: Watched::new(false),
            forgetting: Watched::new(false),
            codes: Watched::new(String::new()),
            bring: Watched::new(0),
            code_wrong: Watched::new(None),
            code_shown: Watched::new(false),
            noted: Watched::new(String::new()),
            channel: RefCell::new(None),
        }
    }
}

impl Class {
    /// The course that one is in.
    pub fn course(&self) -> Option<Course> {
        self.shelf.get().courses.get(self.course.get()).cloned()
    }

    /// Notes something of an exercise, and keeps it.
    fn note(&self, name: &str, change: impl FnOnce(&mut Done)) {
        let mut progress = self.progress.get_untracked();
        let old = progress.done.get(name).copied();
        let mut done = old.unwrap_or_default();
        change(&mut done);
        if old == Some(done) {
            return;
        }
        progress.done.insert(name.to_owned(), done);
        self.keep(progress);
    }

    /// Another progress takes the place of this one. What another window has kept meanwhile is kept as well.
    pub fn keep(&self, progress: Progress) {
        let mut progress = progress;
        let kept = storage().and_then(|s| s.get_item(KEY).ok().flatten()).unwrap_or_default();
        let name = progress.name.clone();
        progress.merge(&Progress::read(&kept).0);
        self.write(Progress { name, ..progress });
    }

    fn write(&self, progress: Progress) {
        // A damaged text that found no other place is not written over.
        let lies_there = self.damaged.with_untracked(|d| d.as_ref().is_some_and(|d| !d.is_aside));
        let is_kept = !lies_there && store(KEY, &progress.print());
        if self.unkept.get_untracked() == is_kept {
            self.unkept.set(!is_kept);
        }
        self.progress.set(progress);
    }

    /// Tries once more what the browser has refused.
    pub fn keep_again(&self) {
        self.keep(self.progress.get_untracked());
    }

    /// Saves the damaged text as a file; after that it may be forgotten here.
    pub fn save_damaged(&self) {
        let Some(damaged) = self.damaged.get_untracked() else { return };
        if crate::workbench::download("netfilter-lab-progress-damaged.txt", &damaged.text).is_err() {
            return self.trouble.set(vec!["The browser does not save the file.".to_owned()]);
        }
        self.damaged.set(Some(Damaged { is_aside: true, ..damaged }));
        self.keep_again();
    }

    /// Nothing more is to be said of what went wrong.
    pub fn dismiss(&self) {
        self.trouble.set(Vec::new());
        // What lies nowhere else can still be saved.
        if self.damaged.with_untracked(|d| d.as_ref().is_some_and(|d| d.is_aside)) {
            self.damaged.set(None);
        }
    }

    /// Takes over what a file or a text says; what cannot be read is told.
    pub fn import(&self, text: &str) {
        let (other, mut wrong) = Progress::read(text);
        let mut progress = self.progress.get_untracked();
        progress.merge(&other);
        let n = other.done.len();
        if !wrong.is_empty() {
            wrong.insert(0, format!("{n} exercises were taken over; these lines could not be read:"));
        }
        self.keep(progress);
        if !wrong.is_empty() {
            self.trouble.set(wrong);
        }
    }

    /// Forgets everything.
    pub fn forget(&self) {
        answers::forget();
        self.write(self.progress.with_untracked(Progress::forgotten));
    }

    /// How many moves an exercise needs.
    pub fn par(&self, name: &str) -> usize {
        self.shelf.with(|shelf| shelf.card(name).map_or(0, |c| c.par))
    }

    /// One more tier of hints.
    pub fn hint(&self, lab: &Lab) {
        let n = self.hints.get_untracked() + 1;
        self.hints.set(n);
        let tiers = u8::try_from(n).unwrap_or(u8::MAX);
        self.note(&lab.name, |d| {
            if !d.solved {
                d.hints = d.hints.max(tiers);
            }
        });
    }

    /// A solution is shown.
    pub fn reveal(&self, lab: &Lab) {
        self.revealed.set(true);
        self.note(&lab.name, |d| d.revealed |= !d.solved);
    }

    /// A question is answered.
    pub fn answer(&self, loaded: &Loaded, question: usize, given: Given) {
        let mut answers = self.answers.get_untracked();
        let Some(slot) = answers.get_mut(question) else { return };
        let is_first_miss = slot.is_none() && !untrack(|| self.is_right(question, &given));
        *slot = Some(given);
        answers::keep(&loaded.lab.name, &answers);
        self.answers.set(answers);
        if is_first_miss {
            self.missed.set(self.missed.get_untracked().saturating_add(1));
        }
        self.judge(loaded);
    }

    /// Whether this is the answer to a question.
    pub fn is_right(&self, question: usize, given: &Given) -> bool {
        let start = self.start.get();
        start.and_then(|start| start.run.marks.as_ref().map(|m| m.is_right(question, given))).unwrap_or(false)
    }

    /// Whether every question has its right answer.
    pub fn all_answered(&self) -> bool {
        let given = self.answers.get();
        let mut all = given.iter().enumerate();
        all.all(|(n, given)| given.as_ref().is_some_and(|given| self.is_right(n, given)))
    }

    /// What there is to say of the run on the page.
    pub fn verdict(&self, loaded: &Loaded) -> Option<Verdict> {
        let e = loaded.lab.exercise.as_ref()?;
        let start = self.start.get()?;
        let mut verdict = e.verdict(&start.run, &loaded.run, &moves_of(&loaded.session));
        if e.only_asks() {
            verdict.solved = self.all_answered();
        }
        Some(verdict)
    }

    /// Writes down what has come of the run on the page.
    fn judge(&self, loaded: &Loaded) {
        let Some(verdict) = untrack(|| self.verdict(loaded)) else { return };
        let missed = self.missed.get_untracked();
        let moves = u8::try_from(verdict.moves).unwrap_or(u8::MAX);
        self.note(&loaded.lab.name, |d| {
            if !verdict.solved {
                return;
            }
            if !d.solved {
                d.missed = missed;
            }
            d.moves = if d.solved { d.moves.min(moves) } else { moves };
            d.solved = true;
        });
    }

    fn begin(&self, loaded: &Rc<Loaded>) {
        let Some(e) = &loaded.lab.exercise else {
            self.start.set(None);
            return;
        };
        let start = Session::new(Rc::clone(&loaded.lab));
        let start = match start.same(&loaded.session) {
            true => Some(Rc::clone(loaded)),
            false => parts::finish(Loaded::new(start, |_, _| ())).ok(),
        };
        self.hints.set(0);
        self.missed.set(0);
        self.revealed.set(false);
        self.answers.set(answers::kept(&loaded.lab.name, e.questions.len()));
        self.start.set(start);
        self.note(&loaded.lab.name, |_| {});
        // Whoever comes by a link is in the first course that has the exercise.
        let name = loaded.lab.name.as_str();
        let has = |c: &Course| c.exercises().any(|n| n == name);
        let now = self.course.get_untracked();
        let shelf = self.shelf.get_untracked();
        if !shelf.courses.get(now).is_some_and(&has)
            && let Some(at) = shelf.courses.iter().position(has)
        {
            self.course.set(at);
        }
    }
}

/// Keeps up with what is on the page.
pub fn follow(state: State) {
    let mut shown = String::new();
    // What another tab has kept, or forgotten, holds here as well.
    on_window("storage", move |_| {
        if !state.class.damaged.with_untracked(Option::is_some) && storage().is_some() {
            state.class.progress.set(stored().progress);
        }
    });
    // A frame neither leads the notes nor follows them.
    if !crate::embed::is_on() {
        super::notes::follow(state);
    }
    effect(move || {
        let loaded = state.loaded.get();
        if shown == loaded.lab.name {
            // Something was done.
            before_paint(super::exercise::show_verdict);
        } else {
            shown.clone_from(&loaded.lab.name);
            state.class.begin(&loaded);
            if loaded.lab.exercise.is_some() {
                if crate::embed::is_on() {
                    // Where one pane is shown at a time, the task comes first.
                    state.pane.set(Pane::Lesson);
                }
                // Commands are most often for the box that the exercise is about.
                let on = Some(loaded.lab.focus.clone()).filter(|on| !on.is_empty());
                let draft = state.desk.draft.get_untracked();
                state.desk.draft.set(workshop::Typed { on, ..draft });
            }
        }
        state.class.judge(&loaded);
    });
}

/// Opens an exercise of the course that one is in.
pub fn open(state: State, name: &str) {
    state.class.place.set(Place::Lab);
    // On a small screen the task is what one sees first.
    state.pane.set(Pane::Lesson);
    state.follow(&Link { lab: name.to_owned(), ..Link::default() });
    crate::focus_soon("exercise-title");
}

/// Goes to a place that is no lab, or back to the lab.
pub fn place(state: State, place: Place) {
    state.playing.set(false);
    state.class.place.set(place);
    if place != Place::Lab {
        crate::focus_soon("course-title");
    }
}

/// What the browser keeps. Inside an article that is nothing: its reader is in no course.
fn storage() -> Option<web_sys::Storage> {
    if crate::embed::is_on() {
        return None;
    }
    window().local_storage().ok().flatten()
}

/// That a course was made with another version than this one.
pub fn strange_version(course: &Course) -> Option<String> {
    let now = env!("CARGO_PKG_VERSION");
    (course.made_with != now).then(|| {
        format!(
            "This course was made with version {}, and this is {now}: answers may differ.",
            course.made_with
        )
    })
}

/// A text that could not be read.
#[derive(Clone, Debug)]
pub struct Damaged {
    /// The text.
    pub text: String,
    /// It lies somewhere else as well, so that what the browser keeps can be written anew.
    pub is_aside: bool,
}

#[derive(Default)]
struct Stored {
    progress: Progress,
    trouble: Vec<String>,
    damaged: Option<Damaged>,
}

/// What the browser has kept, and what of it could not be read. That is put aside, so that it is not written over.
fn stored() -> Stored {
    let Some(text) = storage().and_then(|s| s.get_item(KEY).ok().flatten()) else {
        return Stored::default();
    };
    let (progress, wrong) = Progress::read(&text);
    if wrong.is_empty() {
        return Stored { progress, ..Stored::default() };
    }
    let n = progress.done.len();
    let mut trouble = vec![format!(
        "A part of your progress could not be read. What could be read, of {n} exercises, is kept; the damaged text is put aside, and you can save it as a file."
    )];
    trouble.extend(wrong);
    // What was damaged before stays as well.
    let before = storage().and_then(|s| s.get_item(DAMAGED).ok().flatten()).unwrap_or_default();
    let is_aside = before.contains(&text) || store(DAMAGED, &format!("{before}{text}"));
    if is_aside {
        // What is written from now on is whole again.
        let _ = store(KEY, &progress.print());
    }
    Stored { progress, trouble, damaged: Some(Damaged { text, is_aside }) }
}

/// Whether the browser keeps it.
fn store(key: &str, text: &str) -> bool {
    storage().and_then(|s| s.set_item(key, text).ok()).is_some()
}
