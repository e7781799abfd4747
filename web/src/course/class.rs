//! The state of courses: where one is, and how far one has come.

use crate::dom::effect;
use crate::load::Loaded;
use crate::state::State;
use crate::url::Link;
use crate::watched::Watched;
use leptos::prelude::*;
use std::rc::Rc;
use workshop::exercise::{Course, Done, Progress, Verdict, courses, exercise, moves_of};
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
}

impl Place {
    /// The place of this name in a link.
    pub fn of(name: &str) -> Option<Place> {
        [Place::Overview, Place::Trainer].into_iter().find(|p| p.name() == name)
    }

    /// Its name in a link.
    pub fn name(self) -> &'static str {
        match self {
            Place::Lab => "",
            Place::Overview => "courses",
            Place::Trainer => "trainer",
        }
    }
}

/// All signals of courses.
pub struct Class {
    /// What is on the page.
    pub place: Watched<Place>,
    /// The courses, as far as they can be read.
    pub courses: Rc<Vec<Course>>,
    /// The course that one is in: its place among them.
    pub course: Watched<usize>,
    /// How far one has come.
    pub progress: Watched<Progress>,
    /// What went wrong with the browser's storage, or with what was imported.
    pub trouble: Watched<Vec<String>>,
    /// The exercise as it began.
    pub start: Watched<Option<Rc<Loaded>>>,
    /// How many tiers of hints are open.
    pub hints: Watched<usize>,
    /// What was answered to each question, as far as it was.
    pub answers: Watched<Vec<Option<usize>>>,
    /// Questions that were answered wrongly at first.
    missed: Watched<u8>,
    /// A solution is shown.
    pub revealed: Watched<bool>,
    /// Somebody wants to begin again from nothing; asked once more.
    pub forgetting: Watched<bool>,
    /// What was written into the field for codes on the trainer's page.
    pub codes: Watched<String>,
    /// The link to this moment is shown as a QR code.
    pub code_shown: Watched<bool>,
}

impl Default for Class {
    fn default() -> Class {
        let (progress, trouble) = stored();
        Class {
            place: Watched::new(Place::Lab),
            courses: Rc::new(courses()),
            course: Watched::new(0),
            progress: Watched::new(progress),
            trouble: Watched::new(trouble),
            start: Watched::new(None),
            hints: Watched::new(0),
            answers: Watched::new(Vec::new()),
            missed: Watched::new(0),
            revealed: Watched::new(false),
            forgetting: Watched::new(false),
            codes: Watched::new(String::new()),
            code_shown: Watched::new(false),
        }
    }
}

impl Class {
    /// The course that one is in.
    pub fn course(&self) -> Option<Course> {
        self.courses.get(self.course.get()).cloned()
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

    /// Another progress takes the place of this one.
    pub fn keep(&self, progress: Progress) {
        if let Err(e) = store(KEY, &progress.print()) {
            self.trouble.set(vec![e]);
        }
        self.progress.set(progress);
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
        let name = self.progress.with_untracked(|p| p.name.clone());
        self.keep(Progress { name, ..Progress::default() });
    }

    /// How many moves an exercise needs.
    pub fn par(name: &str) -> usize {
        exercise(name).and_then(|lab| lab.exercise.map(|e| e.par())).unwrap_or(0)
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
    pub fn answer(&self, loaded: &Loaded, question: usize, answer: usize, is_right: bool) {
        let mut answers = self.answers.get_untracked();
        let Some(slot) = answers.get_mut(question) else { return };
        let first = slot.is_none();
        *slot = Some(answer);
        self.answers.set(answers);
        if first && !is_right {
            self.missed.set(self.missed.get_untracked().saturating_add(1));
        }
        self.judge(loaded);
    }

    /// Whether every question has its right answer.
    pub fn all_answered(&self) -> bool {
        let Some(start) = self.start.get() else { return false };
        let marks = start.run.marks.as_ref();
        let right = marks.map(|m| m.answers.clone()).unwrap_or_default();
        self.answers.with(|given| {
            given.len() == right.len()
                && given
                    .iter()
                    .zip(&right)
                    .all(|(given, right)| given.and_then(|n| right.get(n)).is_some_and(|is| *is))
        })
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

    fn begin(&self, loaded: &Loaded) {
        let Some(e) = &loaded.lab.exercise else {
            self.start.set(None);
            return;
        };
        let start = Loaded::new(Session::new(Rc::clone(&loaded.lab))).ok();
        self.hints.set(0);
        self.missed.set(0);
        self.revealed.set(false);
        self.answers.set(vec![None; e.questions.len()]);
        self.start.set(start);
        self.note(&loaded.lab.name, |_| {});
        // Whoever comes by a link is in the first course that has the exercise.
        let name = loaded.lab.name.as_str();
        let has = |c: &Course| c.exercises().any(|n| n == name);
        let now = self.course.get_untracked();
        if !self.courses.get(now).is_some_and(&has)
            && let Some(at) = self.courses.iter().position(has)
        {
            self.course.set(at);
        }
    }
}

/// Keeps up with what is on the page.
pub fn follow(state: State) {
    let mut shown = String::new();
    effect(move || {
        let loaded = state.loaded.get();
        if shown != loaded.lab.name {
            shown.clone_from(&loaded.lab.name);
            state.class.begin(&loaded);
        }
        state.class.judge(&loaded);
    });
}

/// Opens an exercise of the course that one is in.
pub fn open(state: State, name: &str) {
    state.class.place.set(Place::Lab);
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

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// What the browser has kept, and what of it could not be read. That is put aside, so that it is not written over.
fn stored() -> (Progress, Vec<String>) {
    let Some(text) = storage().and_then(|s| s.get_item(KEY).ok().flatten()) else {
        return (Progress::default(), Vec::new());
    };
    let (progress, wrong) = Progress::read(&text);
    if wrong.is_empty() {
        return (progress, wrong);
    }
    let n = progress.done.len();
    let mut out = vec![format!(
        "A part of your progress could not be read. {n} exercises are kept; the damaged text is put aside in this browser under “{DAMAGED}”."
    )];
    out.extend(wrong);
    if store(DAMAGED, &text).is_ok() {
        // What is written from now on is whole again.
        let _ = store(KEY, &progress.print());
    }
    (progress, out)
}

fn store(key: &str, text: &str) -> Result<(), String> {
    let kept = storage().and_then(|s| s.set_item(key, text).ok());
    kept.ok_or_else(|| {
        "The browser does not keep your progress: its storage is full, or switched off. Nothing is lost as long as this page stays open; \
         copy your code or download the file on the page “Courses”."
            .to_owned()
    })
}
