//! What is wrong with a text, where, and what was expected.
//!
//! Every parser of this crate answers a wrong text with [`Diagnostic`]s and never panics. A diagnostic speaks to the
//! person at the page; what the real tool would have printed is kept beside it in [`ToolError`], for the terminal.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// A place in a text. Lines and columns count from 1, columns and length in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Line, from 1.
    pub line: u32,
    /// Column of the first character, from 1.
    pub col: u32,
    /// Number of characters; at least 1.
    pub len: u32,
}

impl Span {
    /// The place of the bytes `start..end` of one line.
    pub fn in_line(line: u32, text: &str, start: usize, end: usize) -> Span {
        let chars = |range| text.get(range).map_or(0, |s: &str| s.chars().count());
        let col = chars(0..start).saturating_add(1);
        let len = text.get(start..end).map_or(1, |s| s.chars().count().max(1));
        Span { line, col: clamp(col), len: clamp(len) }
    }
}

fn clamp(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What the real tool answers to the same mistake; the program's name and version are added when it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolError {
    /// Wrong usage: the text after `iptables v1.8.9 (legacy): `. Exit status 2.
    Usage(String),
    /// An argument that belongs to nothing. Exit status 2.
    BadArgument(String),
    /// All that the tool prints, and its exit status.
    Exit(i32, String),
    /// Only the hint to read the help. Exit status 2.
    TryHelp,
    /// Refused by the library or the kernel: the text after `iptables: `. Exit status 1.
    Errno(&'static str),
    /// The kernel has no such table. Exit status 3.
    NoTable(String),
    /// An iptables-restore text ended in this line without COMMIT. Exit status 1.
    CommitExpected(u32),
    /// nf_tables refused the change: what iptables-nft says it was, and why. Exit status 4.
    #[cfg(feature = "nft")]
    Batch(String),
    /// iptables-nft cannot do it: the text after `iptables v1.8.9 (nf_tables): `. Exit status 1.
    #[cfg(feature = "nft")]
    Problem(String),
    /// iptables-nft has no words for a rule: the lines that it prints first. Exit status 3.
    #[cfg(feature = "nft")]
    Unreadable(String),
    /// The kernel refused the table of an iptables-restore text at the COMMIT in this line. Exit status 1.
    LineFailed(u32),
}

impl ToolError {
    /// The kernel's `EINVAL`.
    pub const INVALID: ToolError = ToolError::Errno("Invalid argument. Run `dmesg' for more information.");
    /// `ENOENT` of most commands.
    pub const NO_CHAIN: ToolError = ToolError::Errno("No chain/target/match by that name.");
    /// The kernel's `ERANGE`.
    pub const RANGE: ToolError = ToolError::Errno("Numerical result out of range.");
    /// The kernel's `ELOOP`.
    pub const LOOP: ToolError = ToolError::Errno("Too many levels of symbolic links.");
}

/// Something wrong in a text: its [`Details`], behind a pointer, as it goes up through many results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic(Box<Details>);

impl Deref for Diagnostic {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Diagnostic {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

/// What a [`Diagnostic`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// Where.
    pub span: Span,
    /// The text at that place, shortened if it is long.
    pub token: String,
    /// What is wrong.
    pub message: String,
    /// What was expected.
    pub help: String,
    /// What the real tool says, where it refuses too and its words are known.
    pub tool: Option<ToolError>,
    /// What the kernel writes into its ring buffer about it.
    pub logs: Option<String>,
}

/// At most this many characters of a token are shown.
const TOKEN_MAX: usize = 60;
/// At most this many characters of a line are shown.
const LINE_MAX: usize = 100;

impl Diagnostic {
    /// A diagnostic about the bytes `start..end` of a line.
    pub fn new(line: u32, text: &str, start: usize, end: usize, fault: Fault) -> Diagnostic {
        let token = text.get(start..end).filter(|t| !t.is_empty()).unwrap_or("(end of the line)");
        let Wrong { message, help, tool, logs, .. } = *fault.0;
        Diagnostic(Box::new(Details {
            span: Span::in_line(line, text, start, end),
            token: shorten(token, TOKEN_MAX),
            message,
            help,
            tool,
            logs,
        }))
    }

    /// The message with the line under it and the token underlined. `source` is the text that was parsed.
    pub fn render(&self, source: &str) -> String {
        let line = self.span.line.to_string();
        let gutter = " ".repeat(line.len());
        let at = usize::try_from(self.span.line).unwrap_or(usize::MAX).saturating_sub(1);
        let text = source.lines().nth(at).unwrap_or_default();
        let (shown, under) = window(text, self.span);
        format!(
            "error: {}\n{gutter}--> line {}, column {}\n{gutter} |\n{line} | {shown}\n{gutter} | {under} {}\n",
            self.message, self.span.line, self.span.col, self.help
        )
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.span.line, self.message, self.help)
    }
}

impl std::error::Error for Diagnostic {}

/// The part of a line around a token, and the carets under it.
fn window(text: &str, span: Span) -> (String, String) {
    let col = usize::try_from(span.col).unwrap_or(usize::MAX).saturating_sub(1);
    let len = usize::try_from(span.len).unwrap_or(usize::MAX).max(1);
    // Two thirds of the window stand after the start of the token, where the reader looks next.
    let first = if col > LINE_MAX * 2 / 3 { col.saturating_sub(LINE_MAX / 3) } else { 0 };
    let mut rest = text.chars().skip(first);
    let mut shown = String::from(if first > 0 { "…" } else { "" });
    shown.extend(rest.by_ref().take(LINE_MAX).map(printable));
    if rest.next().is_some() {
        shown.push('…');
    }
    let before = col.saturating_sub(first) + usize::from(first > 0);
    let room = shown.chars().count().saturating_sub(before).max(1);
    (shown, format!("{}{}", " ".repeat(before), "^".repeat(len.min(room))))
}

/// Control characters would move the underline.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// The text itself if it is short, otherwise its beginning and end.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    // A character has at least one byte.
    if text.len() <= max || text.chars().nth(max).is_none() {
        return text.chars().map(printable).collect();
    }
    let tail = max / 4;
    let head: String = text.chars().take(max - tail - 1).map(printable).collect();
    let mut end: Vec<char> = text.chars().rev().take(tail).map(printable).collect();
    end.reverse();
    format!("{head}…{}", end.into_iter().collect::<String>())
}

/// What is wrong with a value, before it is known where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Box<Wrong>);

impl Deref for Fault {
    type Target = Wrong;

    fn deref(&self) -> &Wrong {
        &self.0
    }
}

/// What a [`Fault`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub message: String,
    /// What was expected.
    pub help: String,
    /// What the real tool says.
    pub tool: Option<ToolError>,
    /// What the kernel writes into its ring buffer.
    pub logs: Option<String>,
    /// It is about the second value of an option that has two.
    pub second: bool,
}

impl Fault {
    /// A fault that the real tool does not know, or whose words do not matter.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault(Box::new(Wrong {
            message: message.into(),
            help: help.into(),
            tool: None,
            logs: None,
            second: false,
        }))
    }

    /// About the second value of an option.
    #[must_use]
    pub(crate) fn about_second(mut self) -> Fault {
        self.0.second = true;
        self
    }

    /// With the words of the real tool.
    #[must_use]
    pub fn says(mut self, tool: ToolError) -> Fault {
        self.0.tool = Some(tool);
        self
    }

    /// With a line of the kernel's ring buffer.
    #[must_use]
    pub fn logs(mut self, line: String) -> Fault {
        self.0.logs = Some(line);
        self
    }

    /// Without words of the real tool.
    #[must_use]
    pub fn silent(mut self) -> Fault {
        self.0.tool = None;
        self
    }

    /// With the words of the real tool that another fault has.
    #[must_use]
    pub fn says_as(mut self, other: Fault) -> Fault {
        self.0.tool = other.0.tool;
        self
    }

    /// With all that the real tool prints, and its exit status.
    #[must_use]
    pub fn exits(self, status: i32, text: impl Into<String>) -> Fault {
        self.says(ToolError::Exit(status, text.into()))
    }

    /// With what iproute2 says of the value of an argument. Some of its texts end in a line feed of their own.
    #[must_use]
    #[inline(never)]
    pub(crate) fn wrong_argument(self, value: &str, why: &str) -> Fault {
        self.exits(255, format!("Error: argument \"{value}\" is wrong: {why}\n"))
    }

    /// With the words of the real tool for wrong usage.
    #[must_use]
    pub fn usage(self, text: impl Into<String>) -> Fault {
        self.says(ToolError::Usage(text.into()))
    }
}

/// Quotes a word of the user for a message, shortened.
pub(crate) fn q(word: &str) -> String {
    format!("\"{}\"", shorten(word, TOKEN_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(text: &str, start: usize, end: usize) -> Diagnostic {
        Diagnostic::new(
            4,
            text,
            start,
            end,
            Fault::new("unknown match \"foo\"", "expected one of comment, tcp"),
        )
    }

    #[test]
    fn display_names_line_fault_and_expectation() {
        let d = diagnostic("-A INPUT -m foo", 12, 15);
        assert_eq!(d.to_string(), "line 4: unknown match \"foo\": expected one of comment, tcp");
        assert_eq!(d.span, Span { line: 4, col: 13, len: 3 });
        assert_eq!(d.token, "foo");
    }

    #[test]
    fn render_underlines_the_token() {
        let source = "*filter\n\n# c\n-A INPUT -m foo -j ACCEPT\nCOMMIT\n";
        let d = diagnostic("-A INPUT -m foo -j ACCEPT", 12, 15);
        assert_eq!(
            d.render(source),
            "error: unknown match \"foo\"\n --> line 4, column 13\n  |\n4 | -A INPUT -m foo -j ACCEPT\n  \
             |             ^^^ expected one of comment, tcp\n"
        );
    }

    #[test]
    fn a_long_line_is_shown_as_a_window_around_the_token() {
        let line = format!("{}foo{}", "x ".repeat(5_000_000), " y".repeat(5_000_000));
        let d = diagnostic(&line, 10_000_000, 10_000_003);
        let text = format!("\n\n\n{line}");
        let shown = d.render(&text);
        assert!(shown.len() < 500, "{}", shown.len());
        let lines: Vec<&str> = shown.lines().collect();
        let at = |l: &str, what: &str| l.chars().take_while(|c| !what.contains(*c)).count();
        assert_eq!(at(lines[3], "f"), at(lines[4], "^"), "{shown}");
    }

    #[test]
    fn a_long_token_is_shortened() {
        let line = "é".repeat(1_000_000);
        let d = diagnostic(&line, 0, line.len());
        assert_eq!(d.token.chars().count(), TOKEN_MAX);
        assert_eq!(d.span.len, 1_000_000);
        assert!(d.render(&format!("\n\n\n{line}")).chars().count() < 500);
    }

    #[test]
    fn offsets_inside_a_character_do_no_harm() {
        let d = diagnostic("ééé", 1, 3);
        assert_eq!(d.span.col, 1);
        assert!(!d.render("ééé").is_empty());
    }

    #[test]
    fn a_span_beyond_the_text_does_no_harm() {
        let mut d = diagnostic("x", 0, 1);
        d.span = Span { line: 99, col: u32::MAX, len: u32::MAX };
        assert!(!d.render("x").is_empty());
    }
}
