//! The code with which a trainer brings everybody to one step of a course: five letters, to be read aloud and typed.
//!
//! Two of them say which exercise of which course it is, two its number, and the last one is a check. Nobody has to be asked what a code
//! means: whoever has the course reads it.

use super::Course;
use super::letters::{letter, meant, sum, value};

/// How many letters a code has.
pub const STEP_CODE_LENGTH: usize = 5;
/// Two letters have so many values.
const TWO: u32 = 1 << 10;

/// The code of a course's exercise of this number, counted from 1, in capitals. `None` if the course has none of that number.
pub fn step_code(course: &Course, number: usize) -> Option<String> {
    let exercise = course.exercises().nth(number.checked_sub(1)?)?;
    let number = u32::try_from(number).ok().filter(|n| *n < TWO)?;
    let name = fingerprint(course, exercise);
    let values = [name >> 5, name & 31, number >> 5, number & 31];
    let code: String = values.into_iter().chain([check(&values)]).map(letter).collect();
    Some(code.to_ascii_uppercase())
}

/// Which of these courses a code is of, by its place among them, and the exercise's number in it, counted from 1.
///
/// # Errors
/// Says what is wrong with the code, and what was expected.
pub fn read_step_code(code: &str, courses: &[Course]) -> Result<(usize, usize), String> {
    let letters: Vec<char> =
        code.chars().filter(|c| !c.is_whitespace() && *c != '-').map(meant).take(40).collect();
    let given: String = letters.iter().collect::<String>().to_ascii_uppercase();
    if letters.len() != STEP_CODE_LENGTH {
        return Err(format!("“{given}” has {} letters, expected {STEP_CODE_LENGTH}", letters.len()));
    }
    let values: Vec<u32> = letters.iter().map_while(|c| value(*c)).collect();
    let [a, b, c, d, last] = values.as_slice() else {
        let strange = letters.get(values.len()).map(char::to_string).unwrap_or_default();
        return Err(format!("“{}” is no letter of a code: U is never in one", strange.to_ascii_uppercase()));
    };
    if check(&[*a, *b, *c, *d]) != *last {
        return Err(format!(
            "in “{given}” a letter is wrong, or two have changed places: the last one does not fit"
        ));
    }
    let name = a << 5 | b;
    let number = usize::try_from(c << 5 | d).unwrap_or_default();
    let is_here = |course: &Course| {
        let exercise = number.checked_sub(1).and_then(|n| course.exercises().nth(n));
        exercise.is_some_and(|exercise| fingerprint(course, exercise) == name)
    };
    match courses.iter().position(is_here) {
        Some(course) => Ok((course, number)),
        None => Err(format!(
            "“{given}” is a step of a course that is not on this page: open the course that your trainer has"
        )),
    }
}

/// Ten bits of the names of a course and its exercise.
fn fingerprint(course: &Course, exercise: &str) -> u32 {
    sum(&format!("{}/{exercise}", course.name))
}

/// A letter that changes with each of the others, and when two of them change places: their sum in the field of 32 elements, where each place
/// counts twice as much as the one behind it.
fn check(values: &[u32; 4]) -> u32 {
    values.iter().fold(0, |sum, value| twice(sum ^ value))
}

fn twice(value: u32) -> u32 {
    match value << 1 {
        small if small < 32 => small,
        // x^5 + x^2 + 1 has no divisors.
        large => large ^ 0b10_0101,
    }
}
