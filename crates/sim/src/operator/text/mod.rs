//! Programs that look at lines: grep, sort, uniq, wc, cut, diff. They read files of the box, or what a pipe brings.
//!
//! Held against GNU's grep 3.8, diffutils 3.8 and coreutils 9.1 in the locale C.

mod diff;
mod grep;
mod pattern;

use super::CommandOutput;
use super::files::{read_file, told};
use crate::world::World;
use kernel::NetnsId;
use std::cmp::Ordering;

/// The programs of this module by their names.
pub(super) const PROGRAMS: [&str; 8] = ["grep", "egrep", "fgrep", "sort", "uniq", "wc", "cut", "diff"];

/// Runs one of [`PROGRAMS`].
pub(super) fn run(
    world: &mut World,
    host: NetnsId,
    program: &str,
    args: &[String],
    stdin: Option<&str>,
) -> CommandOutput {
    let mut from = Source { world, host, stdin };
    let done = match program {
        "grep" | "egrep" | "fgrep" => grep::grep(&mut from, program, args),
        "sort" => sort(&mut from, args),
        "uniq" => uniq(&mut from, args),
        "wc" => wc(&mut from, args),
        "cut" => cut(&mut from, args),
        _ => diff::diff(&mut from, args),
    };
    done.unwrap_or_else(|why| {
        // grep and diff have 1 for something that they have found out.
        let status = if matches!(program, "sort" | "diff" | "grep" | "egrep" | "fgrep") { 2 } else { 1 };
        CommandOutput::failed(status, format!("{program}: {why}"))
    })
}

/// Where lines come from.
struct Source<'a> {
    world: &'a mut World,
    host: NetnsId,
    stdin: Option<&'a str>,
}

impl Source<'_> {
    /// The lines of a file; of standard input if it is `-`. `Err` says what is wrong, with the file's name.
    fn lines(&mut self, path: &str) -> Result<Vec<String>, String> {
        match path {
            "-" => Ok(self.stdin.unwrap_or_default().lines().map(str::to_owned).collect()),
            path => read_file(self.world, self.host, path).map_err(|why| told(path, why)),
        }
    }

    /// Those of one file, or of standard input if none is named.
    fn all(&mut self, files: &[&str]) -> Result<Vec<String>, String> {
        match files {
            [] => self.lines("-"),
            [one] => self.lines(one),
            [_, other, ..] => Err(format!("{other:?}: expected one file")),
        }
    }
}

/// The letters of options with their values, and the other words. `valued` are the letters that take one.
struct Words<'a> {
    options: Vec<(char, &'a str)>,
    others: Vec<&'a str>,
}

/// `Err` names an option that is not read.
fn words<'a>(args: &'a [String], letters: &str, valued: &str) -> Result<Words<'a>, String> {
    let (mut words, mut args) = (Words { options: Vec::new(), others: Vec::new() }, args.iter());
    while let Some(word) = args.next() {
        if word == "--" {
            words.others.extend(args.map(String::as_str));
            break;
        }
        let short = word.strip_prefix('-').filter(|rest| !rest.is_empty());
        let Some(mut rest) = short else {
            words.others.push(word);
            continue;
        };
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if valued.contains(c) {
                let value = match rest {
                    "" => args.next().ok_or_else(|| format!("option requires an argument -- '{c}'"))?,
                    value => value,
                };
                words.options.push((c, value));
                break;
            }
            if !letters.contains(c) {
                return Err(format!("{word} is not modelled; expected one of -{letters}{valued}"));
            }
            words.options.push((c, ""));
        }
    }
    Ok(words)
}

impl Words<'_> {
    fn has(&self, letter: char) -> bool {
        self.options.iter().any(|(c, _)| *c == letter)
    }

    fn value(&self, letter: char) -> Option<&str> {
        self.options.iter().rev().find(|(c, _)| *c == letter).map(|(_, value)| *value)
    }

    /// The number behind a letter.
    fn number(&self, letter: char) -> Result<Option<usize>, String> {
        let read = |value: &str| value.parse().map_err(|_| format!("-{letter} {value}: expected a number"));
        self.value(letter).map(read).transpose()
    }
}

/// `sort [-n] [-r] [-u] [-k FIELD[,LAST]] [FILE]`
fn sort(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "nru", "k")?;
    let key = words.value('k').map(Key::read).transpose()?.unwrap_or_default();
    // Letters of its own take the place of the command's.
    let (numeric, reverse) = match key.letters {
        "" => (words.has('n'), words.has('r')),
        letters => (letters.contains('n'), letters.contains('r')),
    };
    let compare = |a: &String, b: &String| -> Ordering {
        let (a, b) = (key.of(a), key.of(b));
        let order = if numeric { leading_number(a).cmp(&leading_number(b)) } else { a.cmp(b) };
        if reverse { order.reverse() } else { order }
    };
    let mut lines = from.all(&words.others)?;
    if words.has('u') {
        sorted::sort_by(&mut lines, compare);
        lines.dedup_by(|b, a| compare(a, b) == Ordering::Equal);
    } else {
        // Those that are the same by their keys stand as whole lines do.
        sorted::sort_by(&mut lines, |a, b| {
            let whole = if words.has('r') { b.cmp(a) } else { a.cmp(b) };
            compare(a, b).then(whole)
        });
    }
    Ok(CommandOutput::lines(lines))
}

/// What of a line is compared.
#[derive(Default)]
struct Key<'a> {
    /// Fields before it.
    before: usize,
    /// The number of its last field; none for the end of the line.
    last: Option<usize>,
    letters: &'a str,
}

impl<'a> Key<'a> {
    /// `FIELD[,LAST][nr]`
    fn read(text: &'a str) -> Result<Key<'a>, String> {
        let at = text.find(['n', 'r']).unwrap_or(text.len());
        let (fields, letters) = text.split_at(at);
        let (first, last) =
            fields.split_once(',').map_or((fields, None), |(first, last)| (first, Some(last)));
        let number = |text: &str| text.parse::<usize>().ok().filter(|n| *n > 0);
        let last = match last {
            None => Some(None),
            Some(last) => number(last).map(Some),
        };
        match (number(first), last) {
            (Some(first), Some(last)) if letters.chars().all(|c| "nr".contains(c)) => {
                Ok(Key { before: first - 1, last, letters })
            }
            _ => Err(format!("-k {text}: expected the number of a field from 1, such as 2, 2n or 2,2nr")),
        }
    }

    /// The part of a line. Blanks before a field belong to it.
    fn of<'l>(&self, line: &'l str) -> &'l str {
        let behind = |fields: usize| {
            let mut rest = line;
            for _ in 0..fields {
                let field = rest.trim_start_matches([' ', '\t']);
                rest = field.get(field.find([' ', '\t']).unwrap_or(field.len())..).unwrap_or_default();
            }
            line.len() - rest.len()
        };
        let end = self.last.map_or(line.len(), behind);
        line.get(behind(self.before)..end).unwrap_or_default()
    }
}

/// The number with which a text begins, in millionths, 0 without one.
fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(digits(text));
    let decimals = rest.strip_prefix('.').map_or("", |rest| rest.split_at(digits(rest)).0);
    let whole: i64 = whole.parse().unwrap_or(0);
    let millionths: i64 = format!("{decimals:0<6.6}").parse().unwrap_or(0);
    sign * whole.saturating_mul(1_000_000).saturating_add(millionths)
}

/// `uniq [-c] [-d] [-u] [FILE]`
fn uniq(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "cdu", "")?;
    let mut counted: Vec<(usize, String)> = Vec::new();
    for line in from.all(&words.others)? {
        match counted.last_mut() {
            Some((n, last)) if *last == line => *n += 1,
            _ => counted.push((1, line)),
        }
    }
    let asked = |n: usize| (!words.has('d') || n > 1) && (!words.has('u') || n == 1);
    let line = |(n, line): (usize, String)| if words.has('c') { format!("{n:7} {line}") } else { line };
    Ok(CommandOutput::lines(counted.into_iter().filter(|(n, _)| asked(*n)).map(line).collect()))
}

/// `wc [-l] [-w] [-c] [FILE...]`
fn wc(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "lwc", "")?;
    let all = words.options.is_empty();
    let mut rows: Vec<([usize; 3], &str)> = Vec::new();
    for file in if words.others.is_empty() { &["-"][..] } else { &words.others } {
        let lines = from.lines(file)?;
        let in_words = lines.iter().map(|l| l.split_whitespace().count()).sum();
        let bytes = lines.iter().map(|l| l.len() + 1).sum();
        rows.push(([lines.len(), in_words, bytes], file));
    }
    if rows.len() > 1 {
        let sum = |at: usize| rows.iter().filter_map(|(row, _)| row.get(at)).sum();
        rows.push(([sum(0), sum(1), sum(2)], "total"));
    }
    let asked: Vec<usize> =
        "lwc".chars().enumerate().filter(|(_, c)| all || words.has(*c)).map(|(at, _)| at).collect();
    // Columns are as wide as the bytes of all files; of a pipe nobody knows them, and one figure needs no column.
    let bytes = rows.last().map_or(0, |(row, _)| row[2]);
    let width = match (asked.len(), words.others.len()) {
        (1, 0 | 1) => 1,
        (_, 0) => 7,
        _ => bytes.to_string().len(),
    };
    let line = |(row, file): ([usize; 3], &str)| {
        let figures: Vec<String> =
            asked.iter().filter_map(|at| row.get(*at)).map(|n| format!("{n:width$}")).collect();
        match file {
            "-" if words.others.is_empty() => figures.join(" "),
            file => format!("{} {file}", figures.join(" ")),
        }
    };
    Ok(CommandOutput::lines(rows.into_iter().map(line).collect()))
}

/// `cut -d DELIMITER -f LIST [FILE]`
fn cut(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "s", "df")?;
    let list = words.value('f').ok_or("expected -f LIST, the numbers of fields")?;
    let ranges: Vec<(usize, usize)> = list
        .split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number =
                |text: &str, none: usize| if text.is_empty() { Some(none) } else { text.parse().ok() };
            number(first, 1).zip(number(last, usize::MAX)).filter(|(first, last)| 0 < *first && first <= last)
        })
        .collect::<Option<_>>()
        .ok_or_else(|| format!("-f {list}: expected numbers of fields from 1, such as 1,3-5"))?;
    let delimiter = words.value('d').unwrap_or("\t");
    if delimiter.chars().count() != 1 {
        return Err("the delimiter must be a single character".to_owned());
    }
    let line = |line: String| {
        if !line.contains(delimiter) {
            return (!words.has('s')).then_some(line);
        }
        let asked = |n: usize| ranges.iter().any(|(first, last)| (*first..=*last).contains(&n));
        let kept: Vec<&str> =
            line.split(delimiter).zip(1..).filter(|(_, n)| asked(*n)).map(|(field, _)| field).collect();
        Some(kept.join(delimiter))
    };
    Ok(CommandOutput::lines(from.all(&words.others)?.into_iter().filter_map(line).collect()))
}

#[cfg(test)]
mod tests {
    use super::{CommandOutput, run};
    use crate::operator::write_file;
    use crate::world::World;
    use kernel::NetnsId;

    const HOST: NetnsId = NetnsId(0);

    /// What a line prints, in which a blank separates words, of what a pipe brings and of the files `old` and `new`.
    fn printed(line: &str, stdin: &str) -> CommandOutput {
        let mut world = World::new(0);
        for (path, text) in [("old", "a\nb\nc\nd\ne\nf\ng\nh\n"), ("new", "a\nB\nc\nd\ne\nf\ng\nh\ni\n")] {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            write_file(&mut world, HOST, path, &lines, false).unwrap();
        }
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        run(&mut world, HOST, &argv[0], &argv[1..], Some(stdin))
    }

    /// The programs named above print the same in the locale C.
    #[test]
    fn lines_are_those_of_the_real_programs() {
        for (line, stdin, status, expected) in [
            ("sort", "b\na\n10\n9\n", 0, "10|9|a|b"),
            ("sort -n", "b\n10\n9\n.5\n", 0, "b|.5|9|10"),
            ("sort -rn", "1 b\n2\n1 a\n", 0, "2|1 b|1 a"),
            ("sort -nu", "1 b\n2\n1 a\n", 0, "1 b|2"),
            ("sort -k 2,2nr", "a 1\nb 2\nc 1\n", 0, "b 2|a 1|c 1"),
            ("uniq -c", "a\na\nb\n", 0, "      2 a|      1 b"),
            ("uniq -d", "a\na\nb\n", 0, "a"),
            ("wc -l", "a\nb\n", 0, "2"),
            ("wc", "a b\nc\n", 0, "      2       3       6"),
            ("wc old new", "", 0, " 8  8 16 old| 9  9 18 new|17 17 34 total"),
            ("cut -d: -f2-", "a:b:c\nd\n", 0, "b:c|d"),
            ("cut -sd: -f1", "a:b\nd\n", 0, "a"),
            ("grep b", "abc\nd\n", 0, "abc"),
            ("grep x", "abc\n", 1, ""),
            ("grep -vc b", "abc\nd\ne\n", 0, "2"),
            ("grep -n -A1 b", "b\nx\ny\nb\n", 0, "1:b|2-x|--|4:b"),
            ("grep -C1 b", "1\nb\n2\n3\nb\n", 0, "1|b|2|3|b"),
            ("grep -m1 -A1 b", "b\nb\nc\n", 0, "b|b"),
            ("grep -e a -e c", "a\nb\nc\n", 0, "a|c"),
            ("grep -h a old new", "", 0, "a|a"),
            ("grep -n B old new", "", 0, "new:2:B"),
            ("grep -l B old new", "", 0, "new"),
            ("grep -q a", "a\n", 0, ""),
            ("diff old old", "", 0, ""),
            ("diff old new", "", 1, "2c2|< b|---|> B|8a9|> i"),
            ("diff -U1 old new", "", 1, "--- old|+++ new|@@ -1,3 +1,3 @@| a|-b|+B| c|@@ -8 +8,2 @@| h|+i"),
            ("diff -q old new", "", 1, "Files old and new differ"),
        ] {
            let output = printed(line, stdin);
            assert_eq!((output.status, output.stdout.join("|").as_str()), (status, expected), "{line}");
            assert_eq!(output.stderr, [""; 0], "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, status, expected) in [
            ("grep", 2, "grep: expected a pattern"),
            ("grep [a", 2, "grep: Unmatched [, [^, [:, [., or [="),
            ("grep -P a", 2, "grep: -P is not modelled; expected one of -vinclqowxEFGHhseABCm"),
            ("grep a none", 2, "grep: none: No such file or directory"),
            ("sort -k x", 2, "sort: -k x: expected the number of a field from 1, such as 2, 2n or 2,2nr"),
            ("cut -d: -f0", 1, "cut: -f 0: expected numbers of fields from 1, such as 1,3-5"),
            ("cut a", 1, "cut: expected -f LIST, the numbers of fields"),
            ("diff old", 2, "diff: expected two files"),
            ("uniq old new", 1, "uniq: \"new\": expected one file"),
        ] {
            let output = printed(line, "");
            assert_eq!((output.status, output.stderr.join("|").as_str()), (status, expected), "{line}");
        }
    }
}
