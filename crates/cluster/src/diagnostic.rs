//! What is wrong with a text, and where.

use core::fmt;

/// A text cannot be used: the place, what stands there and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What stands there; empty if it is not one token.
    pub token: String,
    /// What is wrong, or what was expected.
    pub message: String,
}

/// Result of reading text. The error is boxed: it is large and rare.
pub type Read<T> = Result<T, Box<Diagnostic>>;

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.token.is_empty() {
            write!(f, "{:?}: ", self.token)?;
        }
        f.write_str(&self.message)
    }
}

impl Diagnostic {
    /// The message with its line of the text, in which the place is underlined. `name` is what the text is called.
    pub fn show(&self, name: &str, text: &str) -> String {
        const MARGIN: usize = 60;
        let Diagnostic { line, column, token, message } = self;
        let number = line.to_string();
        let blank = " ".repeat(number.len());
        let all: Vec<char> = text.lines().nth(line.saturating_sub(1)).unwrap_or("").chars().collect();
        // A line of JSON may hold the whole cluster.
        let first = column.saturating_sub(1 + MARGIN);
        let shown: String = all.iter().skip(first).take(2 * MARGIN).collect();
        let before: String = all
            .iter()
            .skip(first)
            .take(column.saturating_sub(1 + first))
            .map(|c| if *c == '\t' { '\t' } else { ' ' })
            .collect();
        // Quotes are not part of the token.
        let quoted = all.get(column.saturating_sub(1)).is_some_and(|c| matches!(c, '"' | '\''));
        let rest = all.len().saturating_sub(column.saturating_sub(1));
        let width = token.chars().count() + if quoted { 2 } else { 0 };
        let line_up = "^".repeat(width.clamp(1, rest.max(1)));
        format!(
            "{name}:{line}:{column}: {message}\n{blank} |\n{number} | {shown}\n{blank} | {before}{line_up}"
        )
    }
}

impl std::error::Error for Diagnostic {}

#[cfg(test)]
mod tests {
    use super::Diagnostic;

    #[test]
    fn the_place_is_underlined() {
        let text = "a: 1\n  port: \"x y\"\n";
        let d = |column: usize, token: &str| Diagnostic {
            line: 2,
            column,
            token: token.to_owned(),
            message: "expected a port".to_owned(),
        };
        assert_eq!(
            d(9, "x y").show("in.yaml", text),
            "in.yaml:2:9: expected a port\n  |\n2 |   port: \"x y\"\n  |         ^^^^^"
        );
        assert!(d(3, "").show("-", text).ends_with("\n  |   ^"));
        assert!(d(90, "").show("-", "").contains(":90: "));
    }
}
