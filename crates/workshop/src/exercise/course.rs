//! Courses: exercises in an order. Those that come with the program are in `workshop/src/exercises`.
//!
//! A course's file may have exercises of its own: they stand behind it, each as it would stand in a file of its own.

use crate::exercises::{COURSES, TEXTS};
use crate::lab::{Lab, read_lab};
use cluster::fields::{Fields, each, text};
use cluster::yaml::{Place, documents};
use cluster::{Diagnostic, Read};

/// A course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Its name, as in a link.
    pub name: String,
    /// Title.
    pub title: String,
    /// What one can do afterwards, in a sentence or two.
    pub summary: String,
    /// The version of the program that it was made with.
    pub made_with: String,
    /// Its parts.
    pub chapters: Vec<Chapter>,
}

/// A part of a course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// Title.
    pub title: String,
    /// The names of its exercises, in order.
    pub exercises: Vec<String>,
}

impl Course {
    /// The names of all exercises, in order.
    pub fn exercises(&self) -> impl Iterator<Item = &str> {
        self.chapters.iter().flat_map(|c| c.exercises.iter().map(String::as_str))
    }
}

/// A course with the exercises of its file.
#[derive(Clone, Debug)]
pub struct CourseFile {
    /// The course.
    pub course: Course,
    /// The exercises that stand behind it, each with its text.
    pub exercises: Vec<(Lab, String)>,
}

/// Whether a text is meant to be a course.
pub fn is_course(source: &str) -> bool {
    // What stands behind the course need not be read for that.
    let head = chunks(source).into_iter().find(|(_, text)| !is_blank(text));
    let all = head.and_then(|(_, text)| documents(text).ok()).unwrap_or_default();
    all.first().and_then(|d| d.get("kind")).is_some_and(|k| k.token() == "Course")
}

/// Reads a course and the exercises behind it.
///
/// # Errors
/// Names line, column and token of the first thing that cannot be used, and what was expected.
pub fn read_course_file(source: &str) -> Read<CourseFile> {
    let course = read_course(source)?;
    let mut exercises: Vec<(Lab, String)> = Vec::new();
    // From one document of kind Lab to the next: an exercise, and the objects of its cluster.
    let mut begin: Option<(usize, usize)> = None;
    let mut parts = Vec::new();
    let end = source.len();
    for (at, text) in chunks(source).into_iter().filter(|(_, text)| !is_blank(text)).skip(1) {
        let is_lab = documents(text)
            .map_err(|d| later(d, line(source, at)))?
            .first()
            .is_some_and(|d| d.get("kind").is_some_and(|k| k.token() == "Lab"));
        if is_lab {
            parts.extend(begin.replace((at, end)).map(|(from, _)| (from, at)));
        } else if begin.is_none() {
            let place = Place { line: line(source, at) + 1, column: 1 };
            return Err(place.blame("", "expected kind: Lab, an exercise of this course"));
        }
    }
    parts.extend(begin);
    for (from, to) in parts {
        let text = source.get(from..to).unwrap_or_default();
        let lab = read_lab(text).map_err(|d| later(d, line(source, from)))?;
        let blame = |what: String| Place { line: line(source, from) + 1, column: 1 }.blame(&lab.name, what);
        if lab.exercise.is_none() {
            return Err(blame("expected an exercise: a lab with the field exercise".to_owned()));
        }
        if !course.exercises().any(|name| name == lab.name) {
            return Err(blame(format!("no chapter of the course names the exercise {}", lab.name)));
        }
        if exercises.iter().any(|(known, _)| known.name == lab.name) {
            return Err(blame("this exercise is there twice".to_owned()));
        }
        exercises.push((lab, text.to_owned()));
    }
    Ok(CourseFile { course, exercises })
}

/// The documents of a text: where each begins, and what it says. A line that begins with three hyphens stands between them, whatever
/// the YAML before it is.
fn chunks(source: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let (mut from, mut at) = (0, 0);
    for l in source.split_inclusive('\n') {
        let end = at + l.len();
        if l.trim_end() == "---" || l.starts_with("--- ") {
            out.push((from, source.get(from..at).unwrap_or_default()));
            from = end;
        }
        at = end;
    }
    out.push((from, source.get(from..).unwrap_or_default()));
    out
}

/// Nothing but comments.
fn is_blank(text: &str) -> bool {
    text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'))
}

/// How many lines stand before this place of a text.
fn line(source: &str, at: usize) -> usize {
    source.get(..at).unwrap_or_default().matches('\n').count()
}

/// The same of the text that begins so many lines before.
fn later(wrong: Box<Diagnostic>, lines: usize) -> Box<Diagnostic> {
    let mut wrong = wrong;
    wrong.line += lines;
    wrong
}

/// Reads a course, and nothing of what stands behind it.
///
/// # Errors
/// Names line, column and token of the first thing that cannot be used, and what was expected.
pub fn read_course(source: &str) -> Read<Course> {
    let all = documents(source)?;
    let Some(at) = all.first() else {
        return Err(Place { line: 1, column: 1 }.blame("", "expected a document with kind: Course"));
    };
    let f =
        Fields::strict(at, &["apiVersion", "kind", "metadata", "title", "summary", "madeWith", "chapters"])?;
    for (key, want) in [("apiVersion", "netfilter-lab/v1"), ("kind", "Course")] {
        let v = f.need(key)?;
        if text(v)? != want {
            return Err(v.blame(format!("expected {want}")));
        }
    }
    let line = |key| text(f.need(key)?).map(one_line);
    let metadata = Fields::strict(f.need("metadata")?, &["name"])?;
    let chapters = each(f.list("chapters")?, |v| {
        let f = Fields::strict(v, &["title", "exercises"])?;
        let exercises = each(f.list("exercises")?, |v| Ok(text(v)?.to_owned()))?;
        Ok(Chapter { title: text(f.need("title")?)?.to_owned(), exercises })
    })?;
    Ok(Course {
        name: text(metadata.need("name")?)?.to_owned(),
        title: line("title")?,
        summary: line("summary")?,
        made_with: line("madeWith")?,
        chapters,
    })
}

/// Text in one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The courses that come with the program, in the order in which they are offered. One whose text is wrong is left out; a
/// test reads them all.
pub fn courses() -> Vec<Course> {
    COURSES.iter().filter_map(|(_, text)| read_course(text).ok()).collect()
}

/// The course of that name.
pub fn course(name: &str) -> Option<Course> {
    let (_, text) = COURSES.iter().find(|(known, _)| *known == name)?;
    read_course(text).ok()
}

/// The exercise of that name.
pub fn exercise(name: &str) -> Option<Lab> {
    let (_, text) = TEXTS.iter().find(|(known, _)| *known == name)?;
    read_lab(text).ok()
}
