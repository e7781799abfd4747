//! How far somebody has come: kept by the browser as a text, and handed on as a short code.
//!
//! The text has a line for each exercise, so that one that is damaged costs one exercise. What another version has written, `word=value`
//! behind an exercise and lines that begin with another word, is kept as it is. The code is for one course: letters and
//! digits that can be read aloud, with a check that finds a slip.

use super::Course;
use litemap::LiteMap;

/// The first line of the text.
const HEAD: &str = "netfilter-lab progress 1";
/// What a code begins with.
const PREFIX: &str = "nl1";
/// Crockford's digits: none of them is taken for another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
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
}

impl Stage {
    const ALL: [Stage; 8] = [
        Stage::New,
        Stage::Open,
        Stage::Hinted,
        Stage::Shown,
        Stage::Copied,
        Stage::Helped,
        Stage::Solved,
        Stage::Par,
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
        }
    }

    /// It is solved.
    pub fn is_solved(self) -> bool {
        self >= Stage::Copied
    }
}

impl Done {
    /// The state of an exercise with this par.
    pub fn stage(&self, par: usize) -> Stage {
        match (self.solved, self.revealed, self.hints) {
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
            for (word, n) in [("moves", d.moves), ("hints", d.hints), ("missed", d.missed)] {
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
                Some((name, value)) if is_word(name) && is_clean(value) => more.push_str(&format!(" {word}")),
                _ => {
                    return Err(format!("{word:?}: expected solved, revealed, moves=N, hints=N or missed=N"));
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
        match self.done.get(exercise) {
            Some(mine) if !is_better(mine) => {}
            _ => {
                self.done.insert(exercise.to_owned(), other);
            }
        }
    }

    /// The code for a course: `nl1-COURSE-STATES-CHECK-NAME`. `par` says how many moves each exercise needs.
    pub fn code(&self, course: &Course, par: impl Fn(&str) -> usize) -> String {
        let stages: Vec<u8> = course.exercises().map(|e| index(self.stage(e, par(e)))).collect();
        let mut states = String::new();
        // Five bits make a digit; a state has three.
        let mut bits = 0u32;
        let mut held = 0u32;
        for stage in stages {
            bits = bits << 3 | u32::from(stage);
            held += 3;
            while held >= 5 {
                held -= 5;
                states.push(digit(bits >> held));
                bits &= (1 << held) - 1;
            }
        }
        if held > 0 {
            states.push(digit(bits << (5 - held)));
        }
        let name = clean_name(&self.name);
        let head = format!("{PREFIX}-{}-{states}", course.name);
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
    let lower = code.to_lowercase();
    if !lower.starts_with(&format!("{PREFIX}-")) {
        return Err(format!("{:?}: expected a code, which begins with {PREFIX}-", shortened(code)));
    }
    let begin = format!("{PREFIX}-{}-", course.name);
    if !lower.starts_with(&begin) {
        return Err(format!("this code is of another course, expected one of {}", course.name));
    }
    let rest = code.get(begin.len()..).unwrap_or_default();
    let mut parts = rest.splitn(3, '-');
    let states = parts.next().unwrap_or_default().to_lowercase();
    let given = parts.next().unwrap_or_default().to_lowercase();
    let name = clean_name(parts.next().unwrap_or_default());
    let states: String = states.chars().map(meant).collect();
    let given: String = given.chars().map(meant).collect();
    if check(&format!("{begin}{states}-{name}")) != given {
        return Err("a letter is wrong or missing: the check does not fit".to_owned());
    }
    let wanted = course.exercises().count();
    let mut stages = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for c in states.bytes() {
        let Some(value) = DIGITS.iter().position(|d| *d == c) else {
            return Err(format!("{:?} is no letter of a code", char::from(c)));
        };
        bits = bits << 5 | u32::try_from(value).unwrap_or_default();
        held += 5;
        while held >= 3 && stages.len() < wanted {
            held -= 3;
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
    usize::try_from(bits & 7).ok().and_then(|n| Stage::ALL.get(n).copied()).unwrap_or_default()
}

fn digit(bits: u32) -> char {
    let at = usize::try_from(bits & 31).unwrap_or_default();
    DIGITS.get(at).copied().map_or('0', char::from)
}

/// What somebody means who writes a letter that is none of ours.
fn meant(c: char) -> char {
    match c {
        'o' => '0',
        'i' | 'l' => '1',
        c => c,
    }
}

/// Two digits that change with each letter of a text and with their order.
fn check(text: &str) -> String {
    let sum = text.bytes().fold(7u32, |sum, b| (sum * 131 + u32::from(b)) % 1021);
    [digit(sum >> 5), digit(sum)].into_iter().collect()
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
