//! Words of a line with their places: a line of an iptables-restore text, or the argument list of a command.

use crate::diagnostic::{Diagnostic, Fault};
use std::borrow::Cow;

/// One line and its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// From 1.
    pub line: u32,
    /// The line without its end.
    pub text: &'a str,
}

impl Source<'_> {
    /// A diagnostic about a word of this line.
    pub fn blame(&self, at: &Token<'_>, fault: Fault) -> Diagnostic {
        Diagnostic::new(self.line, self.text, at.start, at.end, fault)
    }
}

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// Without quotes and escapes.
    pub text: Cow<'a, str>,
    /// First byte in the line, the quote included.
    pub start: usize,
    /// Byte after the last one.
    pub end: usize,
    /// Written with quotes, so that it is a value even if it looks like an option.
    pub quoted: bool,
}

impl Token<'_> {
    /// True for something like `-x`, which cannot be an optional argument.
    pub fn is_option(&self) -> bool {
        self.text.starts_with('-') && self.text.len() > 1
    }
}

/// The words of a line, read one after the other. Nothing is collected: a line may be very long.
#[derive(Clone, Debug)]
pub(crate) struct Args<'a> {
    /// The line.
    pub source: Source<'a>,
    words: Words<'a>,
    peeked: Option<Token<'a>>,
}

#[derive(Clone, Debug)]
enum Words<'a> {
    /// Split by the rules of iptables-restore, from this byte on.
    Line(usize),
    /// Split already.
    Given(std::slice::Iter<'a, Given>),
}

/// A word of an argument list, and where it stands in the joined line.
#[derive(Clone, Debug)]
struct Given {
    text: String,
    start: usize,
    end: usize,
}

/// An argument list, joined to a line so that places can be named.
#[derive(Clone, Debug)]
pub(crate) struct ArgLine {
    line: u32,
    text: String,
    words: Vec<Given>,
}

impl ArgLine {
    /// Joins words by blanks; empty words and those with blanks get quotes.
    pub fn new<S: AsRef<str>>(argv: &[S]) -> ArgLine {
        let mut text = String::new();
        let mut words = Vec::with_capacity(argv.len());
        for word in argv {
            let word = word.as_ref();
            if !text.is_empty() {
                text.push(' ');
            }
            let start = text.len();
            let quote = if word.is_empty() || word.contains([' ', '\t', '\n']) { "\"" } else { "" };
            text.extend([quote, word, quote]);
            words.push(Given { text: word.to_owned(), start, end: text.len() });
        }
        ArgLine { line: 1, text, words }
    }

    /// The words of one line of a batch, split at blanks.
    pub fn split(line: u32, text: &str) -> ArgLine {
        let mut words = Vec::new();
        for t in Args::of_line(Source { line, text }, 0) {
            words.push(Given { text: t.text.into_owned(), start: t.start, end: t.end });
        }
        ArgLine { line, text: text.to_owned(), words }
    }

    /// The joined line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The words from the `skip`th on.
    pub fn args(&self, skip: usize) -> Args<'_> {
        let words = self.words.get(skip..).unwrap_or_default();
        let source = Source { line: self.line, text: &self.text };
        Args { source, words: Words::Given(words.iter()), peeked: None }
    }
}

impl<'a> Args<'a> {
    /// The words of a line of an iptables-restore text, from byte `from` on.
    pub fn of_line(source: Source<'a>, from: usize) -> Args<'a> {
        Args { source, words: Words::Line(from), peeked: None }
    }

    /// The next word, which stays.
    pub fn peek(&mut self) -> Option<&Token<'a>> {
        if self.peeked.is_none() {
            self.peeked = self.advance();
        }
        self.peeked.as_ref()
    }

    /// The next word if it is not an option; taken.
    pub fn optional(&mut self) -> Option<Token<'a>> {
        // "!" announces an option, too.
        let is_value = self.peek().is_some_and(|t| !t.text.starts_with(['-', '!']));
        if is_value { self.next() } else { None }
    }

    /// A diagnostic about a word.
    pub fn blame(&self, at: &Token<'_>, fault: Fault) -> Diagnostic {
        self.source.blame(at, fault)
    }

    fn advance(&mut self) -> Option<Token<'a>> {
        match &mut self.words {
            Words::Line(at) => {
                let token = lex(self.source.text, *at)?;
                *at = token.end;
                Some(token)
            }
            Words::Given(words) => words.next().map(|w| Token {
                text: Cow::Borrowed(&w.text),
                start: w.start,
                end: w.end,
                quoted: false,
            }),
        }
    }
}

impl<'a> Iterator for Args<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.peeked.take().or_else(|| self.advance())
    }
}

/// The word at or after a byte. A double quote may begin anywhere in a word; the closing one ends the word. Inside
/// quotes a backslash takes the next character as it is; outside it is an ordinary character.
fn lex(line: &str, from: usize) -> Option<Token<'_>> {
    // Bytes are enough to look for: no part of another character looks like a blank, a quote or a backslash.
    let start = from + line.as_bytes().get(from..)?.iter().position(|b| !matches!(b, b' ' | b'\t'))?;
    let word = line.get(start..)?;
    let plain = until(word, |b| matches!(b, b'"' | b' ' | b'\t'));
    let (head, tail) = word.split_at_checked(plain)?;
    let Some(inner) = tail.strip_prefix('"') else {
        return Some(Token { text: Cow::Borrowed(head), start, end: start + plain, quoted: false });
    };
    // A whole word in quotes, without escapes, stands in the line as it is.
    let ordinary = until(inner, |b| matches!(b, b'"' | b'\\'));
    if head.is_empty()
        && let Some((text, rest)) = inner.split_at_checked(ordinary)
        && rest.starts_with('"')
    {
        return Some(Token { text: Cow::Borrowed(text), start, end: start + ordinary + 2, quoted: true });
    }
    let mut text = head.to_owned();
    let mut escaped = false;
    let mut end = line.len();
    for (i, c) in inner.char_indices() {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => {
                end = start + plain + 1 + i + 1;
                break;
            }
            c => text.push(c),
        }
    }
    Some(Token { text: Cow::Owned(text), start, end, quoted: true })
}

/// How many bytes stand before the first one like that.
fn until(text: &str, stop: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(stop).unwrap_or(text.len())
}

/// The quote that is never closed, if there is one.
pub(crate) fn open_quote(source: Source<'_>) -> Option<Diagnostic> {
    // Without escapes they come in pairs.
    let quotes = source.text.as_bytes().iter().filter(|b| **b == b'"').count();
    if quotes == 0 || quotes % 2 == 0 && !source.text.contains('\\') {
        return None;
    }
    let mut open = None;
    let mut escaped = false;
    for (i, c) in source.text.bytes().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' if open.is_some() => escaped = true,
            b'"' => open = if open.is_some() { None } else { Some(i) },
            _ => {}
        }
    }
    let fault =
        Fault::new("a quoted text is never closed", "expected a second \" before the end of the line");
    open.map(|i| Diagnostic::new(source.line, source.text, i, source.text.len(), fault))
}

/// Checks raw bytes: text must be UTF-8 without control characters. The first offence is reported.
pub(crate) fn check_bytes(bytes: &[u8]) -> Result<&str, Diagnostic> {
    match std::str::from_utf8(bytes) {
        Ok(text) => check_text(text).map(|()| text),
        Err(e) => {
            let good = bytes.get(..e.valid_up_to()).unwrap_or_default();
            let good = std::str::from_utf8(good).unwrap_or_default();
            check_text(good)?;
            let byte = bytes.get(e.valid_up_to()).copied().unwrap_or_default();
            let (line, before) = last_line(good);
            let fault = Fault::new(
                format!("byte 0x{byte:02x} is not text"),
                "expected UTF-8 text; this looks like a binary file",
            );
            let mut d = Diagnostic::new(line, before, before.len(), before.len(), fault);
            d.token = format!("0x{byte:02x}");
            Err(d)
        }
    }
}

/// The number and text of the last line.
fn last_line(text: &str) -> (u32, &str) {
    let newlines = text.bytes().filter(|b| *b == b'\n').count();
    let line = u32::try_from(newlines).unwrap_or(u32::MAX).saturating_add(1);
    (line, text.rsplit('\n').next().unwrap_or_default())
}

/// Refuses control characters other than tab and line feed.
pub(crate) fn check_text(text: &str) -> Result<(), Diagnostic> {
    // 0xc2 begins the control characters that are not ASCII, and some others.
    let suspicious = |b: u8| b < b' ' && b != b'\t' && b != b'\n' || b == 0x7f || b == 0xc2;
    if !text.as_bytes().chunks(1024).any(|c| c.iter().fold(false, |bad, b| bad | suspicious(*b))) {
        return Ok(());
    }
    let bad = |c: char| c.is_control() && c != '\t' && c != '\n';
    let Some(at) = text.find(bad) else { return Ok(()) };
    let (head, tail) = text.split_at_checked(at).unwrap_or((text, ""));
    let c = tail.chars().next().unwrap_or_default();
    let (line, before) = last_line(head);
    let fault = match c {
        '\r' => Fault::new(
            "carriage return in the text",
            "expected lines that end in LF alone (this text has Windows line ends)",
        ),
        c => Fault::new(
            format!("control character U+{:04X} in the text", u32::from(c)),
            "expected printable text; this looks like a binary file",
        ),
    };
    let mut d = Diagnostic::new(line, before, before.len(), before.len(), fault);
    d.token = format!("U+{:04X}", u32::from(c));
    Err(d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        Args::of_line(Source { line: 1, text: line }, 0).map(|t| t.text.into_owned()).collect()
    }

    #[test]
    fn words_are_split_as_iptables_restore_splits_them() {
        for (line, expected) in [
            ("-A INPUT  -j\tACCEPT ", &["-A", "INPUT", "-j", "ACCEPT"][..]),
            (r#"--comment "a b" -j X"#, &["--comment", "a b", "-j", "X"]),
            (r#""say \"hi\" \\ there""#, &[r#"say "hi" \ there"#]),
            (r#"a"b c"d"#, &["ab c", "d"]),
            (r#""""#, &[""]),
            (r"a\ b", &["a\\", "b"]),
            ("'a b'", &["'a", "b'"]),
            ("", &[]),
            (" \t ", &[]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn places_are_those_of_the_line() {
        let text = r#"-A "é x" y"#;
        let tokens: Vec<_> = Args::of_line(Source { line: 7, text }, 0).collect();
        let spans: Vec<_> = tokens
            .iter()
            .map(|t| {
                let d = Source { line: 7, text }.blame(t, Fault::new("m", "h"));
                (d.span.line, d.span.col, d.span.len, d.token.clone())
            })
            .collect();
        let expected = [(7, 1, 2, "-A"), (7, 4, 5, "\"é x\""), (7, 10, 1, "y")]
            .map(|(l, c, n, t)| (l, c, n, t.to_owned()));
        assert_eq!(spans, expected);
    }

    #[test]
    fn an_argument_list_is_joined_to_a_line() {
        let line = ArgLine::new(&["iptables", "-A", "a b", ""]);
        assert_eq!(line.text(), "iptables -A \"a b\" \"\"");
        let last = line.args(1).last().unwrap();
        assert_eq!((last.text.as_ref(), last.start, last.end), ("", 18, 20));
    }

    #[test]
    fn an_open_quote_is_found() {
        let d = open_quote(Source { line: 3, text: r#"x "a\" b"# }).unwrap();
        assert_eq!((d.span.line, d.span.col), (3, 3));
        assert_eq!(open_quote(Source { line: 3, text: r#"x "a\" b" "" "# }), None);
    }

    #[test]
    fn bytes_that_are_not_text_are_named() {
        let d = check_bytes(b"*filter\n-A \xff\xfe").unwrap_err();
        assert_eq!((d.span.line, d.span.col, d.token.as_str()), (2, 4, "0xff"));
        assert_eq!(d.message, "byte 0xff is not text");
        let d = check_bytes(b"\x7fELF\x02\x01").unwrap_err();
        assert_eq!((d.span.line, d.span.col, d.token.as_str()), (1, 1, "U+007F"));
        let d = check_bytes(b"*filter\r\nCOMMIT\r\n").unwrap_err();
        assert_eq!((d.span.line, d.span.col, d.token.as_str()), (1, 8, "U+000D"));
        assert_eq!(check_bytes("*filter\n\t# ä\n".as_bytes()), Ok("*filter\n\t# ä\n"));
    }
}
