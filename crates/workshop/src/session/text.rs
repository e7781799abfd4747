//! Commands as text, one after the other: what a link carries.
//!
//! `AT BOX LINE`, where AT is `setup`, `end` or the number of a step, counted from 0, and BOX is `-` for none. Lines of standard input
//! follow, each behind a `|`.

use super::{At, Typed};

/// The text of some commands. Standard input ends with a line feed in it.
pub fn print(typed: &[Typed]) -> String {
    let mut out = String::new();
    for t in typed {
        let at = match t.at {
            At::Setup => "setup".to_owned(),
            At::Before(n) => n.to_string(),
            At::End => "end".to_owned(),
        };
        let line = t.line.split('\n').collect::<Vec<_>>().join(" ");
        out += &format!("{at} {} {line}\n", t.on.as_deref().unwrap_or("-"));
        for line in t.stdin.lines() {
            out += &format!("|{line}\n");
        }
    }
    out
}

/// The commands of a text. `Err` names the line that is none, and what was expected.
pub fn parse(text: &str) -> Result<Vec<Typed>, String> {
    let mut out: Vec<Typed> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if let (Some(line), Some(last)) = (line.strip_prefix('|'), out.last_mut()) {
            last.stdin += line;
            last.stdin.push('\n');
            continue;
        }
        let wrong = || {
            format!("line {}: {line:?}: expected setup, end or a number, a box or -, and a command", n + 1)
        };
        let mut words = line.splitn(3, ' ');
        let (Some(at), Some(on), Some(line)) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        let at = match at {
            "setup" => At::Setup,
            "end" => At::End,
            n => At::Before(n.parse().map_err(|_| wrong())?),
        };
        let on = (on != "-").then(|| on.to_owned());
        out.push(Typed { at, on, line: line.to_owned(), stdin: String::new() });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{At, Typed, parse, print};

    #[test]
    fn commands_come_back_as_they_were() {
        let list = [
            Typed {
                at: At::Setup,
                on: None,
                line: "kubectl apply -f -".to_owned(),
                stdin: "a: 1\n\n  |b\n".to_owned(),
            },
            Typed {
                at: At::Before(3),
                on: Some("node-1".to_owned()),
                line: "iptables -S  X".to_owned(),
                ..Typed::default()
            },
            Typed { at: At::End, on: None, line: String::new(), ..Typed::default() },
        ];
        assert_eq!(
            print(&list),
            "setup - kubectl apply -f -\n|a: 1\n|\n|  |b\n3 node-1 iptables -S  X\nend - \n"
        );
        assert_eq!(parse(&print(&list)).unwrap(), list);
    }

    #[test]
    fn what_is_no_command_is_told() {
        for text in ["x", "later - a", "|a", "-1 - a"] {
            assert!(parse(text).unwrap_err().starts_with("line 1: "), "{text}");
        }
    }
}
