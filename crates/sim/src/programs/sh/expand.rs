//! A word becomes the words that it stands for: `{1..3}`, `{a,b}`, `$NAME`, `$(seq 3)`.

use super::lex::{Unit, Word};
use super::read::MOST;

/// So many braces are read in one word.
const MOST_BRACES: usize = 20;

/// The words; `value` has those of variables. `Err` names what is not known, or that there are too many.
pub fn expand<'v>(word: &Word, value: impl Fn(&str) -> Option<&'v str>) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for units in braces(&word.units, MOST_BRACES)? {
        // The word that is being made, if something of it is there.
        let mut current = word.quoted.then(String::new);
        for unit in &units {
            let (text, quoted) = match unit {
                Unit::Bare(c) | Unit::Quoted(c) => {
                    current.get_or_insert_default().push(*c);
                    continue;
                }
                Unit::Printed(text, quoted) => (text.as_str(), *quoted),
                Unit::Command(text, ..) => {
                    return Err(format!(
                        "\"$({text})\": what a command prints is read only behind for NAME in"
                    ));
                }
                Unit::Variable(name, quoted) => {
                    let unknown = || {
                        format!("\"${name}\": there is no such variable; only for NAME in WORDS makes one")
                    };
                    (value(name).ok_or_else(unknown)?, *quoted)
                }
            };
            if quoted {
                current.get_or_insert_default().push_str(text);
                continue;
            }
            // Blanks in it end words.
            for (n, part) in text.split([' ', '\t', '\n']).enumerate() {
                if n > 0 {
                    out.extend(current.take());
                }
                if !part.is_empty() {
                    current.get_or_insert_default().push_str(part);
                }
            }
        }
        out.extend(current);
    }
    Ok(out)
}

/// `a{b,c}d` and `{1..3}`, which come before everything else, as bash has it.
fn braces(units: &[Unit], most: usize) -> Result<Vec<Vec<Unit>>, String> {
    let whole = |(at, unit): (usize, &Unit)| {
        let inner = (*unit == Unit::Bare('{')).then(|| within(units.get(at + 1..)?)).flatten()?;
        Some((at, inner))
    };
    let Some((at, Inner { parts, rest })) = units.iter().enumerate().find_map(whole) else {
        return Ok(vec![units.to_vec()]);
    };
    let most = most.checked_sub(1).ok_or_else(|| format!("more than {MOST_BRACES} braces in a word"))?;
    let mut inner = Vec::new();
    match parts.as_slice() {
        [one] => inner.extend(range(one)?.iter().map(|n| n.chars().map(Unit::Bare).collect())),
        parts => {
            for part in parts {
                inner.extend(braces(part, most)?);
            }
        }
    }
    let (before, behind) = (units.get(..at).unwrap_or_default(), braces(rest, most)?);
    if inner.len().saturating_mul(behind.len()) > MOST {
        return Err(format!("braces make more than {MOST} words"));
    }
    let joined =
        |inner: &Vec<Unit>| behind.iter().map(|end| [before, inner, end].concat()).collect::<Vec<_>>();
    Ok(inner.iter().flat_map(joined).collect())
}

/// What braces hold.
struct Inner<'u> {
    /// Between the commas; one part is a range.
    parts: Vec<&'u [Unit]>,
    /// What stands behind the brace that closes.
    rest: &'u [Unit],
}

/// What stands in braces, behind the one that opens; `None` if they are letters like others.
fn within(units: &[Unit]) -> Option<Inner<'_>> {
    let (mut open, mut from, mut parts) = (0_usize, 0, Vec::new());
    for (at, unit) in units.iter().enumerate() {
        match unit {
            Unit::Bare('{') => open += 1,
            Unit::Bare('}') if open > 0 => open -= 1,
            Unit::Bare(c @ (',' | '}')) if open == 0 => {
                parts.push(units.get(from..at)?);
                from = at + 1;
                if *c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    let closed = from.checked_sub(1).and_then(|at| units.get(at)) == Some(&Unit::Bare('}'));
    let several = match parts.as_slice() {
        [one] => one.windows(2).any(|two| two == [Unit::Bare('.'), Unit::Bare('.')]),
        _ => true,
    };
    (closed && several).then(|| Inner { parts, rest: units.get(from..).unwrap_or_default() })
}

/// `FIRST..LAST`, of which the longer one says how many digits all have if there are zeros before one.
fn range(units: &[Unit]) -> Result<Vec<String>, String> {
    let text = Word { units: units.to_vec(), quoted: false }.text();
    let read = || {
        let (first, last) = text.split_once("..")?;
        let (from, to): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
        let padded = [first, last].iter().any(|n| n.len() > 1 && n.starts_with('0'));
        Some((from, to, if padded { first.len().max(last.len()) } else { 0 }))
    };
    let (from, to, width) =
        read().ok_or_else(|| format!("\"{{{text}}}\" is not read; expected numbers such as {{1..3}}"))?;
    let all = numbers(from, if from <= to { 1 } else { -1 }, to)?;
    Ok(all.iter().map(|n| format!("{n:0>width$}")).collect())
}

/// What seq(1) prints, of whole numbers; `None` for another command.
pub fn seq(words: &str) -> Result<Option<String>, String> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let ["seq", given @ ..] = words.as_slice() else { return Ok(None) };
    let read: Option<Vec<i64>> = given.iter().map(|n| n.parse().ok()).collect();
    let (first, step, last) = match read.as_deref() {
        Some([last]) => (1, 1, *last),
        Some([first, last]) => (*first, 1, *last),
        Some([first, step, last]) if *step != 0 => (*first, *step, *last),
        _ => return Err(format!("\"$({})\" is not read; expected $(seq FIRST LAST)", words.join(" "))),
    };
    numbers(first, step, last).map(|numbers| Some(numbers.join("\n")))
}

fn numbers(first: i64, step: i64, last: i64) -> Result<Vec<String>, String> {
    let (mut out, mut at) = (Vec::new(), first);
    while (step > 0 && at <= last) || (step < 0 && at >= last) {
        if out.len() == MOST {
            return Err(format!("more than {MOST} numbers from {first} to {last}"));
        }
        out.push(at.to_string());
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(out)
}
