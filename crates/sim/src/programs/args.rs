//! Options as getopt(3) reads them.

use crate::operator::CommandOutput;

/// An option that was read: its letter or long name, and its value.
pub type Opt = (String, Option<String>);

/// The words of a command line, options apart from the rest.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// The options, in order.
    pub options: Vec<Opt>,
    /// Everything else, in order.
    pub rest: Vec<String>,
}

/// Why a command line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// There is no such option.
    Unknown(String),
    /// The option needs a value.
    NeedsValue(String),
}

impl Args {
    /// Splits `argv` (its first word is the program). `with_value` has the letters whose options take a value, `flags` those that
    /// take none; `long` are the names of long options and whether they take a value. With `stop` options end at the first other word.
    ///
    /// # Errors
    /// The first option that is not known, or has no value.
    pub fn read(
        argv: &[String],
        flags: &str,
        with_value: &str,
        long: &[(&str, bool)],
        stop: bool,
    ) -> Result<Args, Mistake> {
        let mut out = Args::default();
        let mut words = argv.iter().skip(1);
        while let Some(word) = words.next() {
            if word == "--" {
                out.rest.extend(words.by_ref().cloned());
            } else if let Some(name) = word.strip_prefix("--") {
                let (name, value) =
                    name.split_once('=').map_or((name, None), |(n, v)| (n, Some(v.to_owned())));
                let Some((_, takes)) = long.iter().find(|(n, _)| *n == name) else {
                    return Err(Mistake::Unknown(word.clone()));
                };
                let value = match (takes, value) {
                    (true, None) => {
                        Some(words.next().cloned().ok_or_else(|| Mistake::NeedsValue(word.clone()))?)
                    }
                    (_, value) => value,
                };
                out.options.push((name.to_owned(), value));
            } else if word.len() > 1 && word.starts_with('-') {
                let mut letters = word.chars().skip(1);
                while let Some(c) = letters.next() {
                    if with_value.contains(c) {
                        let rest: String = letters.by_ref().collect();
                        let value = if rest.is_empty() { words.next().cloned() } else { Some(rest) };
                        let value = value.ok_or_else(|| Mistake::NeedsValue(c.to_string()))?;
                        out.options.push((c.to_string(), Some(value)));
                    } else if flags.contains(c) {
                        out.options.push((c.to_string(), None));
                    } else {
                        return Err(Mistake::Unknown(c.to_string()));
                    }
                }
            } else {
                out.rest.push(word.clone());
                if stop {
                    out.rest.extend(words.by_ref().cloned());
                }
            }
        }
        Ok(out)
    }

    /// True if one of these options is there.
    pub fn has(&self, names: &[&str]) -> bool {
        self.options.iter().any(|(n, _)| names.contains(&n.as_str()))
    }

    /// The last value of one of these options.
    pub fn value(&self, names: &[&str]) -> Option<&str> {
        let mut found = self.options.iter().rev().filter(|(n, _)| names.contains(&n.as_str()));
        found.find_map(|(_, v)| v.as_deref())
    }
}

/// Seconds with a fraction, in milliseconds: `1`, `0.2`. `None` if it is no such number.
pub fn millis(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if (whole.is_empty() && part.is_empty()) || !(whole.to_owned() + part).bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    whole.checked_mul(1000)?.checked_add(part.parse().ok()?)
}

/// An option that the real program has and this one has not.
pub(crate) fn not_modelled(program: &str, option: &str) -> CommandOutput {
    CommandOutput::failed(1, format!("{program}: {option} is not modelled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_stand_anywhere() {
        let args = Args::read(
            &words("curl -sS http://a --max-time 2 -o out -m5"),
            "sS",
            "om",
            &[("max-time", true)],
            false,
        );
        let args = args.unwrap();
        assert_eq!(args.rest, ["http://a"]);
        assert!(args.has(&["S"]));
        assert_eq!(args.value(&["m", "max-time"]), Some("5"));
        assert_eq!(args.value(&["o"]), Some("out"));
    }

    #[test]
    fn mistakes_are_named() {
        let read = |line: &str| Args::read(&words(line), "s", "o", &[("max-time", true)], false).err();
        assert_eq!(read("x -sz"), Some(Mistake::Unknown("z".to_owned())));
        assert_eq!(read("x --nosuch"), Some(Mistake::Unknown("--nosuch".to_owned())));
        assert_eq!(read("x -so"), Some(Mistake::NeedsValue("o".to_owned())));
        assert_eq!(read("x --max-time"), Some(Mistake::NeedsValue("--max-time".to_owned())));
    }

    #[test]
    fn fractions_of_seconds_are_read() {
        for (text, ms) in [
            ("1", Some(1000)),
            ("0.2", Some(200)),
            (".5", Some(500)),
            ("1.2345", Some(1234)),
            ("x", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(millis(text), ms, "{text}");
        }
    }
}
