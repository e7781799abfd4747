//! How far somebody has come: kept by the browser as a text, and handed on as a short code.
//!
//! The text has a line for each exercise, so that one that is damaged costs one exercise. What another version has written, `word=value`
//! behind an exercise and lines that begin with another word, is kept as it is. The code is for one course: letters and
//! digits that can be read aloud, with a check that finds a slip.

use super::Course;
use super::letters::{letter, meant, sum, value};
use litemap::LiteMap;

/// The first line of the text.
const HEAD: &str = "netfilter-lab progress 1";
/// What a code begins with, and how many bits each state has in it. The first one is written; the other one is of an older version.
const FORMS: [(&str, u32); 2] = [("nl2", 4), ("nl1", 3)];
/// A name is no longer than this.
pub const NAME_LENGTH: usize = 40;

/// How far somebody has come in one exercise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The goals were reached by allowed means, or every question answered.
    pub solved: bool,
    /// The fewest moves that led there; 0 if it is not solved.
    pub moves: u8,
    /// How many tiers of hints were opened.
    pub hints: u8,
    /// A solution was shown before it was solved.
    pub revealed: bool,
    /// How many questions were answered wrongly at first.
    pub missed: u8,
    /// The trainer's code has led past it.
    pub brought: bool,
}

/// How far somebody has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Who it is, if that was said.
    pub name: String,
    /// The exercises that were opened.
    pub done: LiteMap<String, Done>,
    /// What another version wrote behind exercises.
    pub words: LiteMap<String, String>,
    /// Lines of another version.
    pub lines: Vec<String>,
}

/// In which state an exercise is, as a trainer sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not opened.
    #[default]
    New,
    /// Opened.
    Open,
    /// Opened, and hints were asked for.
    Hinted,
    /// A solution was shown.
    Shown,
    /// Solved after a solution was shown.
    Copied,
    /// Solved with hints.
    Helped,
    /// Solved without.
    Solved,
    /// Solved without hints, with as few moves as the par.
    Par,
    /// Not solved: the trainer's code has led past it.
    Brought,
}

impl Stage {
    /// In the order of their numbers in a code.
    const ALL: [Stage; 9] = [
        Stage::New,
        Stage::Open,
        Stage::Hinted,
        Stage::Shown,
        Stage::Copied,
        Stage::Helped,
        Stage::Solved,
        Stage::Par,
        Stage::Brought,
    ];

    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Stage::New => "not opened",
            Stage::Open => "opened",
            Stage::Hinted => "looking for it, with hints",
            Stage::Shown => "was shown the solution",
            Stage::Copied => "solved after the solution was shown",
            Stage::Helped => "solved with hints",
            Stage::Solved => "solved",
            Stage::Par => "solved at par",
            Stage::Brought => "brought here, not solved",
        }
    }

    /// It is solved.
    pub fn is_solved(self) -> bool {
        matches!(self, Stage::Copied | Stage::Helped | Stage::Solved | Stage::Par)
    }
}

impl Done {
    /// The state of an exercise with this par.
    pub fn stage(&self, par: usize) -> Stage {
        match (self.solved, self.revealed, self.hints) {
            (false, ..) if self.brought => Stage::Brought,
            (false, true, _) => Stage::Shown,
            (false, false, 0) => Stage::Open,
            (false, false, _) => Stage::Hinted,
            (true, true, _) => Stage::Copied,
            (true, false, 0) if usize::from(self.moves) <= par && self.missed == 0 => Stage::Par,
            (true, false, 0) => Stage::Solved,
            (true, false, _) => Stage::Helped,
        }
    }
}

impl Progress {
    /// The state of an exercise.
    pub fn stage(&self, exercise: &str, par: usize) -> Stage {
        self.done.get(exercise).map_or(Stage::New, |d| d.stage(par))
    }

    /// As text.
    pub fn print(&self) -> String {
        let mut out = format!("{HEAD}\n");
        if !self.name.is_empty() {
            out.push_str(&format!("name {}\n", self.name));
        }
        for (exercise, d) in &self.done {
            out.push_str(&format!("exercise {exercise}"));
            if d.solved {
                out.push_str(" solved");
            }
            if d.revealed {
                out.push_str(" revealed");
            }
            let numbers = [
                ("moves", d.moves),
                ("hints", d.hints),
                ("missed", d.missed),
                ("brought", u8::from(d.brought)),
            ];
            for (word, n) in numbers {
                if n > 0 {
                    out.push_str(&format!(" {word}={n}"));
                }
            }
            out.push_str(self.words.get(exercise).map_or("", String::as_str));
            out.push('\n');
        }
        for line in &self.lines {
            out.push_str(line);
            out.push('\n');
        }
        out
    }

    /// Reads a text. What cannot be read is left out, and told line by line; everything else is kept.
    pub fn read(text: &str) -> (Progress, Vec<String>) {
        let mut progress = Progress::default();
        let mut wrong = Vec::new();
        let mut lines = text.lines().enumerate();
        match lines.next() {
            None => return (progress, wrong),
            Some((_, HEAD)) => {}
            Some((_, other)) => {
                wrong.push(format!("line 1: {:?}: expected {HEAD:?}", shortened(other)));
            }
        }
        let is_ours = wrong.is_empty();
        for (n, line) in lines.filter(|(_, l)| !l.trim().is_empty()) {
            // The first word says what a line is: one that is not known here comes from another version.
            let first = line.split(' ').next().unwrap_or_default();
            if is_ours && !["name", "exercise"].contains(&first) && is_word(first) && is_clean(line) {
                progress.lines.push(line.to_owned());
                continue;
            }
            if let Err(e) = progress.line(line) {
                wrong.push(format!("line {}: {e}", n + 1));
            }
        }
        (progress, wrong)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(name) = line.strip_prefix("name ") {
            self.name = clean_name(name);
            return Ok(());
        }
        let mut words = line.split_whitespace();
        if words.next() != Some("exercise") {
            return Err(format!("{:?}: expected name or exercise", shortened(line)));
        }
        let Some(exercise) = words.next() else { return Err("expected the name of an exercise".to_owned()) };
        let mut done = Done::default();
        let mut more = String::new();
        for word in words {
            let number =
                |n: &str| n.parse::<u8>().map_err(|_| format!("{word:?}: expected a number up to 255"));
            match word.split_once('=') {
                None if word == "solved" => done.solved = true,
                None if word == "revealed" => done.revealed = true,
                Some(("moves", n)) => done.moves = number(n)?,
                Some(("hints", n)) => done.hints = number(n)?,
                Some(("missed", n)) => done.missed = number(n)?,
                Some(("brought", n)) => done.brought = number(n)? > 0,
                Some((name, value)) if is_word(name) && is_clean(value) => more.push_str(&format!(" {word}")),
                _ => {
                    return Err(format!(
                        "{word:?}: expected solved, revealed, moves=N, hints=N, missed=N or brought=1"
                    ));
                }
            }
        }
        self.merge_one(exercise, done);
        if !more.is_empty() {
            self.words.insert(exercise.to_owned(), more);
        }
        Ok(())
    }

    /// Takes over what another has, where that is further.
    pub fn merge(&mut self, other: &Progress) {
        if self.name.is_empty() {
            self.name.clone_from(&other.name);
        }
        for (exercise, done) in &other.done {
            self.merge_one(exercise, *done);
        }
        for (exercise, words) in &other.words {
            if self.words.get(exercise).is_none() {
                self.words.insert(exercise.clone(), words.clone());
            }
        }
        for line in &other.lines {
            if !self.lines.contains(line) {
                self.lines.push(line.clone());
            }
        }
    }

    /// Nothing of anybody, but for the name.
    pub fn forgotten(&self) -> Progress {
        Progress { name: self.name.clone(), ..Progress::default() }
    }

    fn merge_one(&mut self, exercise: &str, other: Done) {
        let is_better = |d: &Done| match (d.solved, other.solved) {
            (true, true) => other.moves < d.moves,
            (mine, theirs) => theirs && !mine,
        };
        let mine = self.done.get(exercise).copied();
        let best = mine.filter(|mine| !is_better(mine)).unwrap_or(other);
        let brought = other.brought || mine.is_some_and(|mine| mine.brought);
        self.done.insert(exercise.to_owned(), Done { brought, ..best });
    }

    /// The trainer has brought everybody to the exercise of this number, counted from 1: those before it that are not solved are noted as
    /// that, and nothing else changes.
    pub fn bring(&mut self, course: &Course, number: usize) {
        for exercise in course.exercises().take(number.saturating_sub(1)) {
            let done = self.done.get(exercise).copied().unwrap_or_default();
            if !done.solved {
                self.done.insert(exercise.to_owned(), Done { brought: true, ..done });
            }
        }
    }

    /// Where one goes on in a course: the first exercise that is neither solved nor passed by; if there is none, the first that is not solved.
    pub fn next<'c>(&self, course: &'c Course) -> Option<&'c str> {
        let done = |exercise: &str| self.done.get(exercise).copied().unwrap_or_default();
        let mut open = course.exercises().filter(|e| !done(e).solved);
        let first = open.next()?;
        [first].into_iter().chain(open).find(|e| !done(e).brought).or(Some(first))
    }

    /// The code for a course: `nl2-COURSE-STATES-CHECK-NAME`. `par` says how many moves each exercise needs.
    pub fn code(&self, course: &Course, par: impl Fn(&str) -> usize) -> String {
        let [(form, size), _] = FORMS;
        let stages: Vec<u8> = course.exercises().map(|e| index(self.stage(e, par(e)))).collect();
        let mut states = String::new();
        // Five bits make a letter.
        let mut bits = 0u32;
        let mut held = 0u32;
        for stage in stages {
            bits = bits << size | u32::from(stage);
            held += size;
            while held >= 5 {
                held -= 5;
                states.push(letter(bits >> held));
                bits &= (1 << held) - 1;
            }
        }
        if held > 0 {
            states.push(letter(bits << (5 - held)));
        }
        let name = clean_name(&self.name);
        let head = format!("{form}-{}-{states}", course.name);
        let check = check(&format!("{head}-{name}"));
        if name.is_empty() { format!("{head}-{check}") } else { format!("{head}-{check}-{name}") }
    }
}

/// What a code says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// Who it is from; may be empty.
    pub name: String,
    /// The state of each exercise of the course, in its order.
    pub stages: Vec<Stage>,
}

/// Reads the code of a course.
///
/// # Errors
/// Says what is wrong with it, and what was expected.
pub fn read_code(code: &str, course: &Course) -> Result<Coded, String> {
    let code = code.trim();
    let lower = code.to_ascii_lowercase();
    let Some((form, size)) = FORMS.into_iter().find(|(form, _)| lower.starts_with(&format!("{form}-")))
    else {
        let [(form, _), _] = FORMS;
        return Err(format!("{:?}: expected a code, which begins with {form}-", shortened(code)));
    };
    let begin = format!("{form}-{}-", course.name);
    if !lower.starts_with(&begin) {
        return Err(format!("this code is of another course, expected one of {}", course.name));
    }
    let rest = code.get(begin.len()..).unwrap_or_default();
    let mut parts = rest.splitn(3, '-');
    let states = parts.next().unwrap_or_default().to_ascii_lowercase();
    let given = parts.next().unwrap_or_default().to_ascii_lowercase();
    let name = clean_name(parts.next().unwrap_or_default());
    let states: String = states.chars().map(meant).collect();
    let given: String = given.chars().map(meant).collect();
    if check(&format!("{begin}{states}-{name}")) != given {
        return Err("a letter is wrong or missing: the check does not fit".to_owned());
    }
    let wanted = course.exercises().count();
    let mut stages = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for c in states.chars() {
        let Some(value) = value(c) else {
            return Err(format!("{c:?} is no letter of a code"));
        };
        bits = bits << 5 | value;
        held += 5;
        while held >= size && stages.len() < wanted {
            held -= size;
            stages.push(stage(bits >> held));
            bits &= (1 << held) - 1;
        }
    }
    if stages.len() < wanted {
        return Err(format!("the code has {} exercises, expected {wanted}", stages.len()));
    }
    Ok(Coded { name, stages })
}

fn index(stage: Stage) -> u8 {
    Stage::ALL.iter().position(|s| *s == stage).and_then(|n| u8::try_from(n).ok()).unwrap_or_default()
}

fn stage(bits: u32) -> Stage {
    usize::try_from(bits).ok().and_then(|n| Stage::ALL.get(n).copied()).unwrap_or_default()
}

/// Two digits that change with each letter of a text and with their order.
fn check(text: &str) -> String {
    let sum = sum(text);
    [letter(sum >> 5), letter(sum)].into_iter().collect()
}

/// A name as it may stand in a code.
fn clean_name(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_control()).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(NAME_LENGTH).collect()
}

/// Small letters, digits and hyphens.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Nothing that a damaged text has and a written one has not.
fn is_clean(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() && c != char::REPLACEMENT_CHARACTER)
}

fn shortened(text: &str) -> String {
    text.chars().take(30).collect()
}
