//! diff(1)

use super::{Source, words};
use crate::operator::CommandOutput;
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};
use std::ops::Range;

/// Lines around a change in `diff -u`.
const AROUND: usize = 3;

/// `diff [-u] [-U N] [-q] FILE FILE`. Its status is 1 if they differ.
pub fn diff(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "uq", "U")?;
    let [old_name, new_name] = words.others.as_slice() else {
        return Err("expected two files".to_owned());
    };
    let around = words.number('U')?.or(words.has('u').then_some(AROUND));
    let (old, new) = (from.lines(old_name)?, from.lines(new_name)?);
    if old == new {
        return Ok(CommandOutput::default());
    }
    let mut stdout = Vec::new();
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    match around {
        _ if words.has('q') => stdout.push(format!("Files {old_name} and {new_name} differ")),
        Some(around) => {
            stdout.extend([format!("--- {old_name}"), format!("+++ {new_name}")]);
            for group in group_diff_ops(ops, around) {
                hunk(&group, &old, &new, &mut stdout);
            }
        }
        None => ops.iter().for_each(|op| change(op, &old, &new, &mut stdout)),
    }
    Ok(CommandOutput { status: 1, stdout, stderr: Vec::new() })
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
