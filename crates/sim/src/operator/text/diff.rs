//! diff(1)

use super::{Source, words};
use crate::operator::{CommandOutput, text_of};
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};
use std::ops::Range;

/// Lines around a change in `diff -u`.
const AROUND: usize = 3;

/// The long options, the words that they stand for, and whether a value follows behind `=`. One may be shortened as long as it is the only
/// one.
const LONG: [(&str, &str, bool); 7] = [
    ("brief", "-q", false),
    ("side-by-side", "-y", false),
    ("suppress-common-lines", SUPPRESS, false),
    ("expand-tabs", "-t", false),
    ("unified", "-u", false),
    ("unified", "-U", true),
    ("width", "-W", true),
];

/// There is no letter for it.
const SUPPRESS: &str = "--suppress-common-lines";

/// What stands behind a last line without a line feed.
const OPEN: &str = "\n\\ No newline at end of file";

/// Columns of `diff -y`.
const WIDTH: usize = 130;

/// `diff [-u] [-U N] [-q] [-y] [-W N] [-t] FILE FILE`. Its status is 1 if they differ.
pub fn diff(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let (suppress, args): (Vec<String>, Vec<String>) = short(args)?.into_iter().partition(|w| w == SUPPRESS);
    let words = words(&args, "uqyt", "UW")?;
    let [old_name, new_name] = words.others.as_slice() else {
        return Err("expected two files".to_owned());
    };
    let around = words.number('U')?.or(words.has('u').then_some(AROUND));
    let columns = Columns::of(words.number('W')?.unwrap_or(WIDTH), words.has('t'));
    let mut lines = |name: &str| {
        let mut lines = from.lines(name)?;
        if let Some(last) = lines.last_mut()
            && !from.text(name)?.ends_with('\n')
        {
            last.push_str(OPEN);
        }
        Ok::<_, String>(lines)
    };
    let (old, new) = (lines(old_name)?, lines(new_name)?);
    if old == new && (words.has('q') || !words.has('y')) {
        return Ok(CommandOutput::default());
    }
    let mut stdout = Vec::new();
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    match around {
        _ if words.has('q') => stdout.push(format!("Files {old_name} and {new_name} differ")),
        _ if words.has('y') => {
            let shown = ops.iter().filter(|op| op.tag() != DiffTag::Equal || suppress.is_empty());
            shown.for_each(|op| columns.print(op, &old, &new, &mut stdout));
        }
        Some(around) => {
            stdout.extend([format!("--- {old_name}"), format!("+++ {new_name}")]);
            for group in group_diff_ops(ops, around) {
                hunk(&group, &old, &new, &mut stdout);
            }
        }
        None => ops.iter().for_each(|op| change(op, &old, &new, &mut stdout)),
    }
    // Lines that are told to be open are two.
    let done = CommandOutput::text(&text_of(&stdout));
    Ok(CommandOutput { status: i32::from(old != new), ..done })
}

/// The words with letters for long options.
fn short(args: &[String]) -> Result<Vec<String>, String> {
    let one = |word: &String| {
        let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) else {
            return Ok(word.clone());
        };
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let mut meant =
            LONG.iter().filter(|(known, _, valued)| known.starts_with(name) && *valued == value.is_some());
        match (meant.next(), meant.next()) {
            (Some((_, meant, _)), None) => Ok(format!("{meant}{}", value.unwrap_or_default())),
            (Some(_), Some(_)) => Err(format!("option '--{name}' is ambiguous")),
            _ => Err(format!("{word} is not modelled; expected one of {}", long_names())),
        }
    };
    args.iter().map(one).collect()
}

fn long_names() -> String {
    let name =
        |(name, _, valued): &(&str, &str, bool)| format!("--{name}{}", if *valued { "=N" } else { "" });
    LONG.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Two files beside each other.
struct Columns {
    /// How much of each line there is room for.
    half: usize,
    /// Where the second one begins.
    second: usize,
    /// Blanks, no tabs.
    blanks: bool,
}

/// Columns from one tab stop to the next.
const TAB: usize = 8;
/// At least so many columns are between both.
const GUTTER: usize = 3;

impl Columns {
    /// The second column begins at a tab stop, where the first one gets as much room as the second.
    fn of(width: usize, blanks: bool) -> Columns {
        let stop = if blanks { 1 } else { TAB };
        let middle = (width + stop + GUTTER) / 2;
        let second = middle - middle % stop;
        let half = second.saturating_sub(GUTTER).min(width.saturating_sub(second));
        Columns { half, second: if half > 0 { second } else { width }, blanks }
    }

    /// Lines that are the same, or that stand on one side only: `<`, `>`, and `|` where one has become another; `\` and `/` where only one has a
    /// line feed.
    fn print(&self, op: &DiffOp, old: &[String], new: &[String], out: &mut Vec<String>) {
        let old = old.get(op.old_range()).unwrap_or_default();
        let new = new.get(op.new_range()).unwrap_or_default();
        for n in 0..old.len().max(new.len()) {
            let sign = match (old.get(n), new.get(n)) {
                (Some(_), Some(_)) if op.tag() == DiffTag::Equal => None,
                (Some(old), Some(new)) if bare(old) == bare(new) => {
                    Some(if old.ends_with(OPEN) { '\\' } else { '/' })
                }
                (Some(_), Some(_)) => Some('|'),
                (Some(_), None) => Some('<'),
                (None, _) => Some('>'),
            };
            let (mut line, mut at) = (String::new(), 0);
            at += self.put(old.get(n), &mut line);
            if let Some(sign) = sign {
                self.go(at, (self.half + self.second - 1) / 2, &mut line);
                line.push(sign);
                at = (self.half + self.second - 1) / 2 + 1;
            }
            if new.get(n).is_some_and(|text| !text.is_empty()) {
                self.go(at, self.second, &mut line);
                self.put(new.get(n), &mut line);
            }
            out.push(line);
        }
    }

    /// As much of a line as there is room for, and how wide that is.
    fn put(&self, text: Option<&String>, line: &mut String) -> usize {
        let mut wide = 0;
        for c in text.iter().flat_map(|text| bare(text).chars()) {
            let next = if c == '\t' { wide + TAB - wide % TAB } else { wide + 1 };
            if next > self.half {
                break;
            }
            match c {
                '\t' if self.blanks => line.extend(std::iter::repeat_n(' ', next - wide)),
                c => line.push(c),
            }
            wide = next;
        }
        wide
    }

    /// Blanks and tabs from one column to another.
    fn go(&self, mut at: usize, to: usize, line: &mut String) {
        while !self.blanks && at + TAB - at % TAB <= to {
            line.push('\t');
            at += TAB - at % TAB;
        }
        line.extend(std::iter::repeat_n(' ', to.saturating_sub(at)));
    }
}

/// A line without what tells that it is open.
fn bare(line: &str) -> &str {
    line.strip_suffix(OPEN).unwrap_or(line)
}

fn lines(out: &mut Vec<String>, sign: &str, of: &[String], range: Range<usize>) {
    out.extend(of.get(range).unwrap_or_default().iter().map(|l| format!("{sign}{l}")));
}

/// Lines of a file as diff counts them: from 1, and the one before if there is none.
fn span(range: &Range<usize>) -> String {
    match range.len() {
        0 => range.start.to_string(),
        1 => range.end.to_string(),
        _ => format!("{},{}", range.start + 1, range.end),
    }
}

/// `30,45d29` and the lines.
fn change(op: &DiffOp, old: &[String], new: &[String], out: &mut Vec<String>) {
    let (from, to) = (op.old_range(), op.new_range());
    let letter = match op.tag() {
        DiffTag::Equal => return,
        DiffTag::Delete => 'd',
        DiffTag::Insert => 'a',
        DiffTag::Replace => 'c',
    };
    out.push(format!("{}{letter}{}", span(&from), span(&to)));
    lines(out, "< ", old, from);
    if letter == 'c' {
        out.push("---".to_owned());
    }
    lines(out, "> ", new, to);
}

/// `@@ -30,21 +30,28 @@` and the lines.
fn hunk(group: &[DiffOp], old: &[String], new: &[String], out: &mut Vec<String>) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let place = |range: Range<usize>| match range.len() {
        1 => range.end.to_string(),
        0 => format!("{},0", range.start),
        n => format!("{},{n}", range.start + 1),
    };
    let from = first.old_range().start..last.old_range().end;
    let to = first.new_range().start..last.new_range().end;
    out.push(format!("@@ -{} +{} @@", place(from), place(to)));
    for op in group {
        if op.tag() == DiffTag::Equal {
            lines(out, " ", old, op.old_range());
        } else {
            lines(out, "-", old, op.old_range());
            lines(out, "+", new, op.new_range());
        }
    }
}
