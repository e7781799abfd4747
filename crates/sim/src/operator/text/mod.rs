//! Programs that look at lines: grep, sort, uniq, wc, cut, column, diff, awk, sed. They read files of the box, or what a pipe brings.
//!
//! Held against GNU's grep 3.8, diffutils 3.8, sed 4.9 and coreutils 9.1, and column of util-linux 2.38, in the locale C.

mod awk;
mod diff;
mod grep;
pub(super) mod pattern;
mod sed;

use super::CommandOutput;
use super::files::{expand, input, told};
use crate::world::World;
use kernel::NetnsId;
use std::cmp::Ordering;

/// The programs of this module by their names.
pub(super) const PROGRAMS: [&str; 11] =
    ["grep", "egrep", "fgrep", "sort", "uniq", "wc", "cut", "column", "diff", "awk", "sed"];

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
        "column" => column(&mut from, args),
        "awk" => awk::awk(&mut from, args),
        "sed" => sed::sed(&mut from, args),
        _ => diff::diff(&mut from, args),
    };
    done.unwrap_or_else(|why| {
        // grep and diff have 1 for something that they have found out.
        let status =
            if matches!(program, "sort" | "diff" | "grep" | "egrep" | "fgrep" | "awk") { 2 } else { 1 };
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
    /// What is in a file; standard input if it is `-`. `Err` says what is wrong, with the file's name.
    fn text(&mut self, path: &str) -> Result<String, String> {
        input(self.world, self.host, path, self.stdin).map_err(|why| told(path, why))
    }

    /// The lines of it.
    fn lines(&mut self, path: &str) -> Result<Vec<String>, String> {
        Ok(self.text(path)?.split_terminator('\n').map(str::to_owned).collect())
    }

    /// The files that are named; standard input if none is.
    fn files(&mut self, named: &[&str]) -> Vec<String> {
        match named {
            [] => vec!["-".to_owned()],
            named => named.iter().flat_map(|word| expand(self.world, self.host, word)).collect(),
        }
    }

    /// What is in each of these files; what is wrong with one is told, and fails the program.
    fn each(&mut self, program: &str, files: &[String], out: &mut CommandOutput) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for file in files {
            match self.text(file) {
                Ok(text) => all.push((file.clone(), text)),
                Err(why) => {
                    out.stderr.push(format!("{program}: {why}"));
                    out.status = 1;
                }
            }
        }
        all
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

/// `sort [-nrusb] [-t CHARACTER] [-k FIELD[,LAST]]... [FILE...]`
fn sort(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "nrusb", "kt")?;
    let separator = words.value('t').map(single).transpose()?;
    let mut keys: Vec<Key> = Vec::new();
    for (_, text) in words.options.iter().filter(|(c, _)| *c == 'k') {
        keys.push(Key::read(text)?);
    }
    if keys.is_empty() {
        keys.push(Key::default());
    }
    // Letters of its own take the place of the command's.
    for key in keys.iter_mut().filter(|key| key.letters.is_empty()) {
        key.letters = "nrb".chars().filter(|c| words.has(*c)).collect();
    }
    let compare = |a: &String, b: &String| -> Ordering {
        let by = |key: &Key| key.compare(a, b, separator);
        keys.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let mut lines = Vec::new();
    for file in from.files(&words.others) {
        lines.extend(from.lines(&file)?);
    }
    if words.has('u') || words.has('s') {
        sorted::sort_by(&mut lines, compare);
        lines.dedup_by(|b, a| words.has('u') && compare(a, b).is_eq());
    } else {
        // Those that are the same by their keys stand as whole lines do.
        sorted::sort_by(&mut lines, |a, b| {
            let whole = if words.has('r') { b.cmp(a) } else { a.cmp(b) };
            compare(a, b).then(whole)
        });
    }
    Ok(CommandOutput::lines(lines))
}

/// One character, as `-t` and `-d` want it.
fn single(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    chars
        .next()
        .filter(|_| chars.as_str().is_empty())
        .ok_or_else(|| format!("{text:?}: the delimiter must be a single character"))
}

/// What of a line is compared.
#[derive(Default)]
struct Key {
    /// Fields before it.
    before: usize,
    /// The number of its last field; none for the end of the line.
    last: Option<usize>,
    letters: String,
}

impl Key {
    /// `FIELD[,LAST][nrb]`
    fn read(text: &str) -> Result<Key, String> {
        let letters = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (first, last) = text.split_once(',').map_or((text, None), |(first, last)| (first, Some(last)));
        let parts = [Some(first), last].map(|part| part.map(|part| part.split_at(letters(part))));
        let number = |text: &str| text.parse::<usize>().ok().filter(|n| *n > 0);
        let letters: String = parts.iter().flatten().map(|(_, letters)| *letters).collect();
        let [first, last] = parts.map(|part| part.map(|(digits, _)| number(digits)));
        match (first.flatten(), last) {
            (Some(first), None | Some(Some(_))) if letters.chars().all(|c| "nrb".contains(c)) => {
                Ok(Key { before: first - 1, last: last.flatten(), letters })
            }
            _ => Err(format!("-k {text}: expected the number of a field from 1, such as 2, 2n or 2,2nr")),
        }
    }

    fn compare(&self, a: &str, b: &str, separator: Option<char>) -> Ordering {
        let (a, b) = (self.of(a, separator), self.of(b, separator));
        let order = if self.letters.contains('n') { numbers(a, b) } else { a.cmp(b) };
        if self.letters.contains('r') { order.reverse() } else { order }
    }

    /// The part of a line. Without a separator blanks before a field belong to it.
    fn of<'l>(&self, line: &'l str, separator: Option<char>) -> &'l str {
        const BLANKS: [char; 2] = [' ', '\t'];
        // Behind so many fields, and behind the separator if another one follows.
        let behind = |fields: usize, follows: bool| {
            let mut rest = line;
            for n in 1..=fields {
                rest = match separator {
                    None => {
                        let field = rest.trim_start_matches(BLANKS);
                        field.get(field.find(BLANKS).unwrap_or(field.len())..).unwrap_or_default()
                    }
                    Some(c) => match rest.split_once(c) {
                        Some((field, _)) if n == fields && !follows => &rest[field.len()..],
                        Some((_, behind)) => behind,
                        None => "",
                    },
                };
            }
            line.len() - rest.len()
        };
        let end = self.last.map_or(line.len(), |last| behind(last, false));
        let part = line.get(behind(self.before, true)..end).unwrap_or_default();
        if self.letters.contains('b') { part.trim_start_matches(BLANKS) } else { part }
    }
}

/// Compares the numbers with which two texts begin, 0 without one, of any length.
fn numbers(a: &str, b: &str) -> Ordering {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let read = |text: &'_ str| {
        let text = text.trim_start();
        let (below, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, rest) = text.split_at(digits(text));
        let decimals = rest.strip_prefix('.').map_or("", |rest| rest.split_at(digits(rest)).0);
        let (whole, decimals) = (whole.trim_start_matches('0'), decimals.trim_end_matches('0'));
        (below && whole.len() + decimals.len() > 0, (whole.len(), whole.to_owned(), decimals.to_owned()))
    };
    let ((below, size), (other, of_other)) = (read(a), read(b));
    match (below, other) {
        (true, true) => of_other.cmp(&size),
        (false, false) => size.cmp(&of_other),
        (below, other) => other.cmp(&below),
    }
}

/// `uniq [-c] [-d] [-u] [FILE]`
fn uniq(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "cdu", "")?;
    let mut counted: Vec<(usize, String)> = Vec::new();
    let files = from.files(&words.others);
    let [file] = files.as_slice() else { return Err(format!("expected one file, not {}", files.join(" "))) };
    for line in from.lines(file)? {
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
    let (all, mut out) = (words.options.is_empty(), CommandOutput::default());
    let files = from.files(&words.others);
    let row = |(file, text): (String, String)| {
        ([text.matches('\n').count(), text.split_whitespace().count(), text.len()], file)
    };
    let mut rows: Vec<([usize; 3], String)> =
        from.each("wc", &files, &mut out).into_iter().map(row).collect();
    let sum = |at: usize| rows.iter().filter_map(|(row, _)| row.get(at)).sum();
    let total = [sum(0), sum(1), sum(2)];
    if files.len() > 1 {
        rows.push((total, "total".to_owned()));
    }
    let asked: Vec<usize> =
        "lwc".chars().enumerate().filter(|(_, c)| all || words.has(*c)).map(|(at, _)| at).collect();
    // Columns are as wide as the bytes of all files; of a pipe nobody knows them, and one figure needs no column.
    let width = match (asked.len(), files.len()) {
        (1, 1) => 1,
        _ if files.iter().any(|file| file == "-") => total[2].to_string().len().max(7),
        _ => total[2].to_string().len(),
    };
    out.stdout.extend(rows.into_iter().map(|(row, file)| {
        let figures: Vec<String> =
            asked.iter().filter_map(|at| row.get(*at)).map(|n| format!("{n:width$}")).collect();
        match words.others.is_empty() {
            true => figures.join(" "),
            false => format!("{} {file}", figures.join(" ")),
        }
    }));
    Ok(out)
}

/// `cut -d DELIMITER -f LIST [FILE...]`, `cut -c LIST [FILE...]`
fn cut(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "s", "dfc")?;
    let (letter, list) = match (words.value('f'), words.value('c')) {
        (Some(list), None) => ('f', list),
        (None, Some(list)) => ('c', list),
        _ => {
            return Err("expected -f LIST, the numbers of fields, or -c LIST, those of characters".to_owned());
        }
    };
    let number = |text: &str, none: usize| if text.is_empty() { Some(none) } else { text.parse().ok() };
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let ends = number(first, 1).zip(number(last, usize::MAX)).filter(|_| !matches!(part, "" | "-"));
        ends.filter(|(first, last)| 0 < *first && first <= last)
    };
    let ranges: Vec<(usize, usize)> = list
        .split(',')
        .map(range)
        .collect::<Option<_>>()
        .ok_or_else(|| format!("-{letter} {list}: expected numbers from 1, such as 1,3-5"))?;
    let asked = |n: usize| ranges.iter().any(|(first, last)| (*first..=*last).contains(&n));
    let delimiter = single(words.value('d').unwrap_or("\t"))?.to_string();
    let line = |line: &str| {
        if letter == 'c' {
            return Some(line.chars().zip(1..).filter(|(_, n)| asked(*n)).map(|(c, _)| c).collect());
        }
        if !line.contains(&delimiter) {
            return (!words.has('s')).then(|| line.to_owned());
        }
        let kept: Vec<&str> =
            line.split(&delimiter).zip(1..).filter(|(_, n)| asked(*n)).map(|(field, _)| field).collect();
        Some(kept.join(&delimiter))
    };
    let mut out = CommandOutput::default();
    let files = from.files(&words.others);
    let all = from.each("cut", &files, &mut out);
    out.stdout.extend(all.iter().flat_map(|(_, text)| text.split_terminator('\n')).filter_map(line));
    Ok(out)
}

/// `column -t [-s SEPARATORS] [-o BETWEEN] [FILE...]`: fields below each other. Lines without a field are left out.
fn column(from: &mut Source<'_>, args: &[String]) -> Result<CommandOutput, String> {
    let words = words(args, "t", "so")?;
    if !words.has('t') {
        return Err("expected -t, fields below each other".to_owned());
    }
    let between = words.value('o').unwrap_or("  ");
    let mut out = CommandOutput::default();
    let files = from.files(&words.others);
    let all = from.each("column", &files, &mut out);
    let rows: Vec<Vec<&str>> = all
        .iter()
        .flat_map(|(_, text)| text.split_terminator('\n'))
        .filter(|line| !line.trim().is_empty())
        .map(|line| match words.value('s') {
            Some(separators) => line.split(|c| separators.contains(c)).collect(),
            None => line.split_whitespace().collect(),
        })
        .collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let wide = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|at| wide(at).unwrap_or_default()).collect();
    for row in &rows {
        let mut line = String::new();
        for (at, width) in widths.iter().enumerate() {
            let cell = row.get(at).copied().unwrap_or_default();
            match at + 1 == count {
                true => line += cell,
                false => line += &format!("{cell:width$}{between}"),
            }
        }
        out.stdout.push(line);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{CommandOutput, run};
    use crate::operator::write_file;
    use crate::world::World;
    use kernel::NetnsId;

    const HOST: NetnsId = NetnsId(0);

    /// What a line prints, in which a blank separates words, of what a pipe brings and of the files `old` and `new`; `open` has no line feed at its end, `ended` is the same with one.
    fn printed(line: &str, stdin: &str) -> CommandOutput {
        let mut world = World::new(0);
        for (path, text) in [
            ("old", "a\nb\nc\nd\ne\nf\ng\nh\n"),
            ("new", "a\nB\nc\nd\ne\nf\ng\nh\ni\n"),
            ("open", "x\na"),
            ("ended", "x\na\n"),
        ] {
            write_file(&mut world, HOST, path, text, false).unwrap();
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
            (
                "sort -n",
                "99999999999999999999\n-1\n1.0000002\n1.0000001\n-0\n-10\n",
                0,
                "-10|-1|-0|1.0000001|1.0000002|99999999999999999999",
            ),
            ("sort -k1,1 -k2,2n", "b 9\na 10\nb 10\na 9\n", 0, "a 9|a 10|b 9|b 10"),
            ("sort -t. -k4,4n -k3n,3r", "10.0.1.9\n10.0.2.9\n10.0.0.10\n", 0, "10.0.2.9|10.0.1.9|10.0.0.10"),
            ("sort -t: -k2,2 -s", "b:1:x\na:1\nc\n", 0, "c|b:1:x|a:1"),
            ("sort -bk2,2", "a   2\nb 1\n", 0, "b 1|a   2"),
            ("sort old new -u", "", 0, "B|a|b|c|d|e|f|g|h|i"),
            ("sort -k 2,2nr", "a 1\nb 2\nc 1\n", 0, "b 2|a 1|c 1"),
            ("uniq -c", "a\na\nb\n", 0, "      2 a|      1 b"),
            ("uniq -d", "a\na\nb\n", 0, "a"),
            ("wc -l", "a\nb\n", 0, "2"),
            ("wc", "a b\nc\n", 0, "      2       3       6"),
            ("wc old new", "", 0, " 8  8 16 old| 9  9 18 new|17 17 34 total"),
            ("wc -l old -", "a\n", 0, "      8 old|      1 -|      9 total"),
            ("wc -l old*", "", 0, "8 old"),
            ("sed -n 2,3p", "a\nb\nc\nd\n", 0, "b|c"),
            ("sed -n $=;$p", "a\nb\n", 0, "2|b"),
            ("sed 3,1d", "1\n2\n3\n4\n", 0, "1|2|4"),
            ("sed -n /2/,/2/p;1,+1p", "1\n2\n3\n4\n", 0, "1|2|2|3|4"),
            ("sed 2q", "1\n2\n3\n", 0, "1|2"),
            ("sed 2!d", "1\n2\n3\n", 0, "2"),
            ("sed s/a*/x/g", "baaac\n", 0, "xbxcx"),
            ("sed s/a/[&]/2", "aaa\n", 0, "a[a]a"),
            ("sed s/a/[&]/2g", "aaa\n", 0, "a[a][a]"),
            ("sed -E s#a+|/#\\t#", "baac/\n", 0, "b\tc/"),
            ("sed -n s/B/x/Ip", "b\nc\n", 0, "x"),
            ("sed -e s/a/b/ -e s/b/c/", "a\n", 0, "c"),
            ("sed s/\\//-/", "a/b\n", 0, "a-b"),
            ("sed $d open ended", "", 0, "x|a|x"),
            ("wc open ended", "", 0, "1 2 3 open|2 2 4 ended|3 4 7 total"),
            ("wc -l", "a\nb", 0, "1"),
            ("sort open", "", 0, "a|x"),
            ("diff open ended", "", 1, "2c2|< a|\\ No newline at end of file|---|> a"),
            (
                "diff -u ended open",
                "",
                1,
                "--- ended|+++ open|@@ -1,2 +1,2 @@| x|-a|+a|\\ No newline at end of file",
            ),
            ("diff -tyW20 open ended", "", 1, "x           x|a        \\  a"),
            ("diff -tyW20 ended open", "", 1, "x           x|a        /  a"),
            ("cut -c2-3,5 old -", "abcdef\nab\n", 0, "||||||||bce|b"),
            ("cut -d: -f2-", "a:b:c\nd\n", 0, "b:c|d"),
            ("cut -sd: -f1", "a:b\nd\n", 0, "a"),
            ("awk $1~/b/{print$2,NR}", "a 1 x\nb 02\nc\n", 0, "02 2"),
            ("awk NR>1{print$NF}", "a 1 x\nb 02\nc\n", 0, "02|c"),
            ("awk $1", "+3\n+0\n--5\n\n", 0, "+3|--5"),
            ("awk $1==3", "+3\n3.0\n4\n", 0, "+3|3.0"),
            ("awk !/a/", "a 1 x\nb 02\nc\n", 0, "b 02|c"),
            ("awk /a/||$2==2{print}", "a 1 x\nb 02\nc\n", 0, "a 1 x|b 02"),
            ("awk $2==\"02\"", "a 1 x\nb 02\nc\n", 0, "b 02"),
            ("awk $2==2{print$1\"x\"NF}", "a 1 x\nb 02\nc\n", 0, "bx2"),
            ("awk /b/;{print$0}", "a 1 x\nb 02\nc\n", 0, "a 1 x|b 02|b 02|c"),
            ("awk ($1!=\"a\"&&NF>1){print$1}", "a 1 x\nb 02\nc\n", 0, "b"),
            ("awk $2{print$1}", "a 1 x\nb 02\nc\n", 0, "a|b"),
            ("awk /a/{print};/c/{print$2}", "a 1 x\nb 02\nc\n", 0, "a 1 x|"),
            ("awk $1~\"^a\"", "a 1 x\nb 02\nc\n", 0, "a 1 x"),
            ("awk NF>=2&&NR<=2", "a 1 x\nb 02\nc\n", 0, "a 1 x|b 02"),
            ("awk -F: {print$3\"-\"$NF,NF}", "a:1::z\nb\n", 0, "-z 4|-b 1"),
            ("awk NR==9 old new", "", 0, "a"),
            ("grep b", "abc\nd\n", 0, "abc"),
            ("grep x", "abc\n", 1, ""),
            ("grep b\nd", "abc\nd\ne\n", 0, "abc|d"),
            ("grep -q a old none", "", 0, ""),
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
            ("diff --brief old new", "", 1, "Files old and new differ"),
            ("diff --u=0 old new", "", 1, "--- old|+++ new|@@ -2 +2 @@|-b|+B|@@ -8,0 +9 @@|+i"),
            ("diff -yW20 --suppress-common old new", "", 1, "b     |\tB|      >\ti"),
            (
                "diff --side -tW20 old new",
                "",
                1,
                "a           a|b        |  B|c           c|d           d|e           e|f           f|g           g|h           h|         >  i",
            ),
            ("diff -y --width=9 old -", "a\nb\nc\nd\ne\n\n", 1, "a\ta|b\tb|c\tc|d\td|e\te|f   ||g   <|h   <"),
            ("diff -y old old --suppress-common", "", 0, ""),
            ("column -t", "a  b c\n\nlonger x\n", 0, "a       b  c|longer  x  "),
            ("column -t -s,: -o_", "a,b:,c\nlonger,x\n", 0, "a     _b__c|longer_x__"),
        ] {
            let output = printed(line, stdin);
            assert_eq!((output.status, output.stdout.join("|").as_str()), (status, expected), "{line}");
            assert_eq!(output.stderr, [""; 0], "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, status, expected) in [
            (
                "awk {n++}",
                2,
                "awk: \"n++}\" is not read here; expected a program such as '$1 ~ /RE/ && NR > 1 {print $2, $NF}'",
            ),
            (
                "sed k",
                1,
                "sed: k: \"k\" is not read here; expected a script such as 2,5p, '/RE/d' or 's/RE/TEXT/g'",
            ),
            ("sed s/a", 1, "sed: s/a: unterminated `s' command"),
            ("sed s/a/b/z", 1, "sed: s/a/b/z: unknown option to `s'"),
            ("sed /a", 1, "sed: /a: unterminated address regex"),
            ("sed pp", 1, "sed: pp: extra characters after command"),
            ("sed s/a/\\1/", 1, "sed: s/a/\\1/: \\1 is not modelled; expected &, all that was found"),
            ("sed p none", 2, "sed: can't read none: No such file or directory"),
            ("awk /a", 2, "awk: / is not closed"),
            ("awk -F:: 1", 2, "awk: -F ::: expected one sign"),
            ("awk NR none", 2, "awk: none: No such file or directory"),
            ("grep", 2, "grep: expected a pattern"),
            ("grep [a", 2, "grep: Unmatched [, [^, [:, [., or [="),
            ("grep -P a", 2, "grep: -P is not modelled; expected one of -vinclqowxEFGHhseABCm"),
            ("grep a none", 2, "grep: none: No such file or directory"),
            ("sort -k x", 2, "sort: -k x: expected the number of a field from 1, such as 2, 2n or 2,2nr"),
            ("cut -d: -f0", 1, "cut: -f 0: expected numbers from 1, such as 1,3-5"),
            ("cut -c-", 1, "cut: -c -: expected numbers from 1, such as 1,3-5"),
            ("cut -d:: -f1", 1, "cut: \"::\": the delimiter must be a single character"),
            ("cut a", 1, "cut: expected -f LIST, the numbers of fields, or -c LIST, those of characters"),
            ("wc -l none", 1, "wc: none: No such file or directory"),
            ("diff old", 2, "diff: expected two files"),
            (
                "diff --su=1 old new",
                2,
                "diff: --su=1 is not modelled; expected one of --brief, --side-by-side, --suppress-common-lines, --expand-tabs, --unified, --unified=N, --width=N",
            ),
            ("diff --s old new", 2, "diff: option '--s' is ambiguous"),
            ("column old", 1, "column: expected -t, fields below each other"),
            ("uniq old new", 1, "uniq: expected one file, not old new"),
        ] {
            let output = printed(line, "");
            assert_eq!((output.status, output.stderr.join("|").as_str()), (status, expected), "{line}");
        }
    }
}
