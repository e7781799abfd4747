//! Courses: exercises in an order. Those that come with the program are in `workshop/src/exercises`.

use crate::exercises::{COURSES, TEXTS};
use crate::lab::{Lab, read_lab};
use cluster::Read;
use cluster::fields::{Fields, each, text};
use cluster::yaml::documents;

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

/// Reads a course.
///
/// # Errors
/// Names line, column and token of the first thing that cannot be used, and what was expected.
pub fn read_course(source: &str) -> Read<Course> {
    let all = documents(source)?;
    let Some(at) = all.first() else {
        let place = cluster::yaml::Place { line: 1, column: 1 };
        return Err(place.blame("", "expected a document with kind: Course"));
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
