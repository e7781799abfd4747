//! `nflab exercise` and `nflab lab check|new`.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use workshop::exercise::{
    Course, CourseFile, Exercise, Move, Moves, check as check_exercise, check_lab, is_course,
    read_course_file, step_code,
};
use workshop::{Lab, Span, read_lab, spans};

/// The exercise that a new one begins as.
const EXAMPLE: &str = "docker-was-here";

/// Something that can be checked.
enum Text {
    Lab(Box<Lab>),
    Course(CourseFile),
}

/// Checks files, and what comes with the program; each line goes to `print`. True if all is well.
///
/// # Errors
/// A file cannot be read, or nothing has such a name.
pub fn check(
    names: &[String],
    all: bool,
    print: impl Fn(&str) -> Result<(), String>,
) -> Result<bool, String> {
    let mut texts: Vec<(String, String)> = Vec::new();
    if all {
        let labs = workshop::labs::TEXTS.iter().chain(workshop::exercises::TEXTS);
        let courses = workshop::exercises::COURSES;
        texts.extend(labs.chain(courses).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    }
    for name in names {
        let known = workshop::labs::TEXTS
            .iter()
            .chain(workshop::exercises::TEXTS)
            .chain(workshop::exercises::COURSES);
        let text = match known.into_iter().find(|(n, _)| n == name) {
            Some((_, text)) => (*text).to_owned(),
            None => fs::read_to_string(name).map_err(|e| format!("{name}: {e}"))?,
        };
        texts.push((name.clone(), text));
    }
    // A course may name exercises of the files that are checked with it.
    let mut read = Vec::new();
    let mut well = true;
    for (name, text) in &texts {
        match one(text) {
            Ok(found) => read.push((name, found)),
            Err(d) => {
                well = false;
                print(&format!("{name}: wrong\n{}", d.show(name, text)))?;
            }
        }
    }
    let here: Vec<String> = read
        .iter()
        .flat_map(|(_, t)| match t {
            Text::Lab(lab) => vec![lab.name.clone()],
            Text::Course(file) => file.exercises.iter().map(|(lab, _)| lab.name.clone()).collect(),
        })
        .collect();
    for (name, found) in read {
        let findings = match found {
            Text::Course(file) => {
                let mut findings = course_findings(&file.course, &here);
                for (lab, _) in file.exercises {
                    let name = lab.name.clone();
                    let found = check_exercise(&Rc::new(lab)).unwrap_or_else(|e| vec![e]);
                    findings.extend(found.into_iter().map(|f| format!("{name}: {f}")));
                }
                Ok(findings)
            }
            Text::Lab(lab) if lab.exercise.is_some() => check_exercise(&Rc::new(*lab)),
            Text::Lab(lab) => check_lab(&lab),
        };
        match findings {
            Ok(findings) if findings.is_empty() => print(&format!("{name}: ok"))?,
            Ok(findings) => {
                well = false;
                print(&format!("{name}: {} found", findings.len()))?;
                for finding in findings {
                    print(&format!("  {finding}"))?;
                }
            }
            Err(e) => {
                well = false;
                print(&format!("{name}: {e}"))?;
            }
        }
    }
    Ok(well)
}

fn one(text: &str) -> Result<Text, Box<cluster::Diagnostic>> {
    Ok(match is_course(text) {
        true => Text::Course(read_course_file(text)?),
        false => Text::Lab(Box::new(read_lab(text)?)),
    })
}

fn course_findings(course: &Course, here: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for name in course.exercises() {
        if workshop::exercise::exercise(name).is_none() && !here.iter().any(|n| n == name) {
            findings
                .push(format!("there is no exercise {name:?}, neither with the program nor among the files"));
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    for name in course.exercises() {
        if seen.contains(&name) {
            findings.push(format!("the exercise {name:?} is there twice"));
        }
        seen.push(name);
    }
    if course.made_with != env!("CARGO_PKG_VERSION") {
        let now = env!("CARGO_PKG_VERSION");
        findings
            .push(format!("madeWith is {}, this is {now}: try the course, then change it", course.made_with));
    }
    findings
}

/// The exercises in the order of the courses, one a line.
pub fn list() -> String {
    let mut out = String::new();
    for course in workshop::exercise::courses() {
        for chapter in &course.chapters {
            for name in &chapter.exercises {
                let Some(lab) = workshop::exercise::exercise(name) else { continue };
                let Some(e) = &lab.exercise else { continue };
                let what = match e.only_asks() {
                    true => "asks".to_owned(),
                    false => format!("par {}", e.par()),
                };
                out += &format!(
                    "{:<10} {name:<22} {:>2} min  {what:<6} {}\n",
                    course.name, e.minutes, lab.title
                );
            }
        }
    }
    out
}

/// A course for its trainer, as Markdown.
///
/// # Errors
/// There is no such course.
pub fn agenda(name: Option<&str>) -> Result<String, String> {
    let courses = workshop::exercise::courses();
    let known: Vec<&str> = courses.iter().map(|c| c.name.as_str()).collect();
    if let Some(name) = name.filter(|n| !known.contains(n)) {
        return Err(format!("there is no course {name:?}; expected one of {}", known.join(", ")));
    }
    let chosen = courses.iter().filter(|c| name.is_none_or(|n| n == c.name));
    Ok(chosen.map(course_agenda).collect::<Vec<_>>().join("\n"))
}

fn course_agenda(course: &Course) -> String {
    let mut out = format!("# {}\n\n{}\n", course.title, course.summary);
    let (mut minutes, mut number) = (0, 0);
    for chapter in &course.chapters {
        out += &format!("\n## {}\n", chapter.title);
        for name in &chapter.exercises {
            number += 1;
            let Some(lab) = workshop::exercise::exercise(name) else { continue };
            let Some(e) = &lab.exercise else { continue };
            out += &format!(
                "\n### {:>3} min  {} (`{name}`, {} minutes, code {})\n\n{}\n",
                minutes,
                lab.title,
                e.minutes,
                step_code(course, number).unwrap_or_default(),
                plain(&e.task)
            );
            minutes += e.minutes;
            out += &exercise_agenda(e);
        }
    }
    out + &format!("\n{minutes} minutes in all.\n")
}

fn exercise_agenda(e: &Exercise) -> String {
    let mut out = String::new();
    for q in &e.questions {
        out += &format!("\n- Asked: {} {}\n", plain(&q.ask), plain(&q.because));
    }
    for s in &e.solutions {
        out += &format!("\n- Solution: {}\n{}", s.title, moves(s));
    }
    for w in &e.wrong {
        out +=
            &format!("\n- Often tried: {}\n{}\n  {}\n", w.example.title, moves(&w.example), plain(&w.text));
    }
    for beat in &e.explanation {
        out += &format!("\n{}\n", plain(&beat.text));
    }
    if !e.notes.is_empty() {
        out += &format!("\nNote: {}\n", plain(&e.notes));
    }
    out
}

fn moves(all: &Moves) -> String {
    let line = |m: &Move| match m {
        Move::Set(name, value) => format!("\n      {name} = {value}\n"),
        Move::Run(c) if c.on.is_empty() => format!("\n      $ {}\n", c.run),
        Move::Run(c) => format!("\n      {}# {}\n", c.on.join(","), c.run),
    };
    all.moves.iter().map(line).collect()
}

/// Prose without its links.
fn plain(text: &str) -> String {
    let words = |span| match span {
        Span::Text(t) | Span::Link(t, _) => t.to_owned(),
        Span::Code(t) => format!("`{t}`"),
        Span::Strong(t) => format!("**{t}**"),
    };
    spans(text).into_iter().map(words).collect()
}

/// An exercise of another name to begin with: one that comes with the program, and so passes its check.
pub fn beginning(name: &str) -> String {
    let known = workshop::exercises::TEXTS.iter().find(|(n, _)| *n == EXAMPLE).map_or("", |(_, text)| *text);
    let body = known.find("apiVersion").and_then(|at| known.get(at..)).unwrap_or(known);
    let head = "# An exercise to begin with: change it, then nflab lab check FILE. docs/LABS.md describes every field.\n";
    format!("{head}{}", body.replacen(&format!("name: {EXAMPLE}"), &format!("name: {name}"), 1))
}

/// Writes a file with an exercise to begin with; says where.
///
/// # Errors
/// The name is none, or the file is there already.
pub fn new(name: &str) -> Result<String, String> {
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_name {
        return Err(format!("{name:?}: expected a name of small letters, digits and hyphens"));
    }
    let file = format!("{name}.yaml");
    if Path::new(&file).exists() {
        return Err(format!("{file} is there already"));
    }
    fs::write(&file, beginning(name)).map_err(|e| format!("{file}: {e}"))?;
    Ok(format!("{file} is written. Try it: nflab lab check {file}\n"))
}
