//! grep(1)

use super::pattern::{Pattern, Whole};
use super::{Source, words};
use crate::operator::CommandOutput;

/// `grep [-vinclqowxEFHh] [-A N] [-B N] [-C N] [-m N] [-e] PATTERN [FILE...]`. Its status is 1 if nothing was found.
pub fn grep(from: &mut Source<'_>, program: &str, args: &[String]) -> Result<CommandOutput, String> {
    // Colours are for a screen.
    let plain: Vec<String> = args.iter().filter(|a| !a.starts_with("--color")).cloned().collect();
    let mut words = words(&plain, "vinclqowxEFGHhs", "eABCm")?;
    let mut texts: Vec<&str> = words.options.iter().filter(|(c, _)| *c == 'e').map(|(_, v)| *v).collect();
    if texts.is_empty() {
        if words.others.is_empty() {
            return Err("expected a pattern".to_owned());
        }
        texts.push(words.others.remove(0));
    }
    let fold = words.has('i');
    let fixed = words.has('F') || program == "fgrep";
    let extended = words.has('E') || program == "egrep";
    // Lines of a pattern are patterns.
    let patterns: Vec<Pattern> = texts
        .iter()
        .flat_map(|text| text.split('\n'))
        .map(|text| match fixed {
            true => Ok(Pattern::fixed(text, fold)),
            false => Pattern::read(text, extended, fold),
        })
        .collect::<Result<_, String>>()?;
    let pattern = Pattern::any(patterns, fold);
    let whole = match () {
        () if words.has('x') => Whole::Line,
        () if words.has('w') => Whole::Word,
        () => Whole::Nothing,
    };
    let around = words.number('C')?.unwrap_or(0);
    let (before, after) = (words.number('B')?.unwrap_or(around), words.number('A')?.unwrap_or(around));
    let most = words.number('m')?.unwrap_or(usize::MAX);
    let files = from.files(&words.others);
    let named = !words.has('h') && (words.has('H') || files.len() > 1);

    let mut out = CommandOutput::default();
    let (mut found, mut failed) = (false, false);
    for file in &files {
        let lines = match from.lines(file) {
            Ok(lines) => lines,
            Err(why) => {
                failed = true;
                if !words.has('s') {
                    out.stderr.push(format!("{program}: {why}"));
                }
                continue;
            }
        };
        let hit = |line: &String| pattern.is_in(line, whole) != words.has('v');
        let hits: Vec<usize> =
            lines.iter().enumerate().filter(|(_, l)| hit(l)).map(|(at, _)| at).take(most).collect();
        found |= !hits.is_empty();
        if words.has('q') {
            if found {
                break;
            }
            continue;
        }
        let file = if file == "-" { "(standard input)" } else { file };
        if words.has('l') {
            out.stdout.extend((!hits.is_empty()).then(|| file.to_owned()));
            continue;
        }
        if words.has('c') {
            let name = if named { format!("{file}:") } else { String::new() };
            out.stdout.push(format!("{name}{}", hits.len()));
            continue;
        }
        let head = |at: usize, sign: char| {
            let name = if named { format!("{file}{sign}") } else { String::new() };
            if words.has('n') { format!("{name}{}{sign}", at + 1) } else { name }
        };
        let mut next = 0;
        for (n, at) in hits.iter().copied().enumerate() {
            if words.has('o') {
                let parts = lines.get(at).filter(|_| !words.has('v')).map(|l| pattern.find(l, whole));
                let parts = parts.unwrap_or_default().into_iter().filter(|p| !p.is_empty());
                out.stdout.extend(parts.map(|part| head(at, ':') + &part));
                continue;
            }
            let begin = at.saturating_sub(before).max(next);
            // Groups of lines are set apart.
            if (before > 0 || after > 0) && !out.stdout.is_empty() && (next == 0 || begin > next) {
                out.stdout.push("--".to_owned());
            }
            let until = hits.get(n + 1).copied().unwrap_or(lines.len()).min(lines.len());
            let end = (at + 1 + after).min(until.max(at + 1));
            for line in begin..end {
                let sign = if line == at { ':' } else { '-' };
                out.stdout.extend(lines.get(line).map(|l| head(line, sign) + l));
            }
            next = end;
        }
    }
    out.status = match () {
        () if failed && !(found && words.has('q')) => 2,
        () if found => 0,
        () => 1,
    };
    Ok(out)
}
