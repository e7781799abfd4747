//! `echo`, `printf`, `hostname` and `uname`: what is printed of words, and of the box.

use super::CommandOutput;
use crate::world::World;
use kernel::NetnsId;

/// `echo [-neE] WORD...`, as bash's own: with `-e` a backslash means something, with `-n` no line feed ends it.
pub(super) fn echo(args: &[String]) -> CommandOutput {
    let option = |w: &&String| w.len() > 1 && w.starts_with('-') && w[1..].chars().all(|c| "neE".contains(c));
    let options = args.iter().take_while(option).count();
    let (options, words) = args.split_at(options);
    let text = words.join(" ");
    let last = options.iter().flat_map(|o| o.chars()).rfind(|c| "eE".contains(*c));
    let mut text = if last == Some('e') { unescaped(&text) } else { text };
    if !options.iter().any(|o| o.contains('n')) {
        text.push('\n');
    }
    CommandOutput::text(&text)
}

/// A text with what `\n`, `\t` and the like stand for.
fn unescaped(text: &str) -> String {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        let rest = chars.as_str();
        let known = "ntr\\".find(|known| c == '\\' && rest.starts_with(known));
        match known.and_then(|at| ['\n', '\t', '\r', '\\'].get(at)) {
            Some(meant) => {
                out.push(*meant);
                chars.next();
            }
            None => out.push(c),
        }
    }
    out
}

/// `printf FORMAT [ARGUMENT...]`, bash's own with `%s`, `%d` and `%%`: the format again and again, as long as there are arguments.
pub(super) fn printf(args: &[String]) -> CommandOutput {
    let Some((format, args)) = args.split_first() else {
        return CommandOutput::failed(2, "printf: expected a format, such as '%s\\n'");
    };
    let (format, mut args, mut out) = (unescaped(format), args.iter(), CommandOutput::default());
    loop {
        let (left, mut parts) = (args.len(), format.split('%'));
        out.print(parts.next().unwrap_or_default());
        while let Some(part) = parts.next() {
            let value = match part.chars().next() {
                Some(kind @ ('s' | 'd')) => {
                    let arg = args.next().map_or(if kind == 'd' { "0" } else { "" }, String::as_str);
                    if kind == 'd' && arg.parse::<i64>().is_err() {
                        return CommandOutput::failed(1, format!("bash: printf: {arg}: invalid number"));
                    }
                    format!("{arg}{}", &part[1..])
                }
                None => format!("%{}", parts.next().unwrap_or_default()),
                Some(c) => {
                    return CommandOutput::failed(
                        1,
                        format!("printf %{c} is not modelled: expected %s, %d or %%"),
                    );
                }
            };
            out.print(&value);
        }
        // A format that takes none is printed once.
        if args.len() == 0 || args.len() == left {
            return out;
        }
    }
}

/// `hostname [-s|-I]`: the name of the box, or its addresses.
pub(super) fn hostname(world: &World, host: NetnsId, args: &[String]) -> CommandOutput {
    let Some(ns) = world.host(host) else { return CommandOutput::default() };
    let line = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ns.name.clone(),
        ["-s"] => ns.name.split('.').next().unwrap_or_default().to_owned(),
        ["-I" | "--all-ip-addresses"] => {
            let addrs = ns.devices().iter().flat_map(|d| &d.addrs).map(|a| a.net.addr());
            addrs.filter(|a| !a.is_loopback()).map(|a| format!("{a} ")).collect()
        }
        _ => return CommandOutput::failed(1, "hostname: expected nothing, -s or -I"),
    };
    CommandOutput::lines(vec![line])
}

/// `uname [-snrmoa]`: the kernel of the box.
pub(super) fn uname(world: &World, host: NetnsId, args: &[String]) -> CommandOutput {
    let Some(ns) = world.host(host) else { return CommandOutput::default() };
    // In the order in which they are printed, whatever the order of the letters.
    let parts = [
        ('s', "Linux".to_owned()),
        ('n', ns.name.clone()),
        ('r', ns.era().release().to_owned()),
        ('m', "x86_64".to_owned()),
        ('o', "GNU/Linux".to_owned()),
    ];
    let mut letters = String::new();
    for arg in args {
        match arg.strip_prefix('-') {
            Some(more) if !more.is_empty() && more.chars().all(|c| "snrmoa".contains(c)) => letters += more,
            _ => return CommandOutput::failed(1, format!("uname {arg} is not modelled: expected -snrmo")),
        }
    }
    let asked = |c: char| letters.contains([c, 'a']) || letters.is_empty() && c == 's';
    let words: Vec<String> = parts.into_iter().filter(|(c, _)| asked(*c)).map(|(_, word)| word).collect();
    CommandOutput::lines(vec![words.join(" ")])
}

#[cfg(test)]
mod tests {
    use super::{echo, printf};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    /// As bash 5.2 prints it.
    #[test]
    fn echo_knows_its_options() {
        for (line, expected) in [
            ("a b", "a b"),
            (r"-e a\nb\tc\\n", "a|b\tc\\n"),
            (r"a\nb", r"a\nb"),
            (r"-neE a\nb", r"a\nb"),
            ("-x -e a", "-x -e a"),
            ("-- a", "-- a"),
            ("-n a", "a"),
            ("-n", ""),
        ] {
            assert_eq!(echo(&words(line)).stdout.join("|"), expected, "{line}");
        }
        assert_eq!((echo(&[]).stdout.len(), echo(&words("-n")).stdout.len()), (1, 0));
        assert_eq!(["a", "-n a", r"-ne a\n"].map(|line| echo(&words(line)).printed()), ["a\n", "a", "a\n"]);
    }

    /// As bash 5.2 prints it.
    #[test]
    fn printf_goes_round() {
        for (line, expected) in [
            (r"%s-%d\n a 1 b", "a-1\nb-0\n"),
            (r"x\n a b", "x\n"),
            (r"%s\n a b", "a\nb\n"),
            ("100%%", "100%"),
            (r"%s a\n", r"a\n"),
        ] {
            assert_eq!(printf(&words(line)).printed(), expected, "{line}");
        }
        assert_eq!(printf(&words("%d x")).stderr, ["bash: printf: x: invalid number"]);
        assert_eq!(printf(&words("%5s x")).stderr, ["printf %5 is not modelled: expected %s, %d or %%"]);
    }
}
