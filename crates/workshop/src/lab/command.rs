//! Command lines of a lab.

use super::When;
use cluster::yaml::Place;

/// A command line, and where it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The boxes, each; none for a command that is run once, wherever kubectl is. An empty name stands for a box that is needed and was
    /// not named.
    pub on: Vec<String>,
    /// The line. There is no shell: blanks separate words, quotes and backslashes keep them together.
    pub run: String,
    /// Its words.
    pub argv: Vec<String>,
    /// Standard input.
    pub stdin: Option<String>,
    /// The positions of the switches in which it is run.
    pub when: When,
    /// It does not have to end before the next one begins.
    pub background: bool,
    /// Where in the lab's text it stands.
    pub place: Place,
}

impl Command {
    /// The name of the program.
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Nobody has said on which box it is to be run.
    pub fn lacks_box(&self) -> bool {
        self.on.iter().any(String::is_empty)
    }
}

/// The words of a line, with the quotes of a POSIX shell. `Err` says what is not read: there are no pipes, variables or loops. The `>`
/// of `echo VALUE > FILE` is a word.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("a quote ' is not closed".to_owned()),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => return Err("a quote \" is not closed".to_owned()),
                        },
                        Some(c) => word.push(c),
                        None => return Err("a quote \" is not closed".to_owned()),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '#' if word.is_none() => break,
            '>' if word.is_none()
                && words.first().is_some_and(|w| w == "echo")
                && !words.iter().any(|w| w == ">") =>
            {
                words.push(">".to_owned());
            }
            '|' | '<' | '>' | ';' | '&' | '`' | '$' | '(' => {
                return Err(format!("{c:?}: there is no shell; expected one command"));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.is_empty() { Err("expected a command".to_owned()) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let words = |line| split(line).unwrap().join("|");
        assert_eq!(words("iptables -A X  -j LOG"), "iptables|-A|X|-j|LOG");
        assert_eq!(words(r#"a 'b "c" d' "e 'f' \" g" h\ i ''  # j"#), r#"a|b "c" d|e 'f' " g|h i|"#);
        assert_eq!(words("a#b"), "a#b");
        assert_eq!(words("echo 1 > f"), "echo|1|>|f");
    }

    #[test]
    fn what_only_a_shell_does_is_refused() {
        for line in [
            "a | b",
            "a > b",
            "echo a >> b",
            "echo 1>b",
            "echo a > b > c",
            "a; b",
            "a && b",
            "echo $x",
            "'a",
            "\"a",
            "",
            "# a",
        ] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
