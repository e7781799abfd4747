//! Tokens of a display filter.

use crate::diagnostic::{Diagnostic, Fault};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name, a number, an address: whatever stands between blanks and signs.
    Word(String),
    /// In double quotes.
    Quoted(String),
    /// An operator or a bracket.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token and the bytes of the text that it has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// The longer ones first.
const SIGNS: [&str; 23] = [
    "===", "!==", "==", "!=", ">=", "<=", "&&", "||", "~=", "..", "(", ")", "[", "]", "{", "}", ",", ">",
    "<", "!", "&", "~", "|",
];

/// The tokens of one line, the end last.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, Diagnostic> {
    let mut out: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let Some(c) = rest.chars().next() else { break };
        let in_slice = matches!(out.last().map(|t| &t.kind), Some(Kind::Sign("[")));
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, len) = if c == '"' {
            quoted(text, at)?
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            (Kind::Sign(sign), sign.len())
        } else if in_slice {
            // The numbers of a slice, with what stands between them.
            let len = rest.find(']').unwrap_or(rest.len());
            (Kind::Word(rest.get(..len).unwrap_or_default().trim().to_owned()), len)
        } else {
            let ends = |(i, c): (usize, char)| {
                let after = rest.get(i..).unwrap_or_default();
                c.is_whitespace() || "()[]{},=<>!&|~\"".contains(c) || after.starts_with("..")
            };
            let len = rest.char_indices().find(|p| ends(*p)).map_or(rest.len(), |(i, _)| i);
            (Kind::Word(rest.get(..len).unwrap_or_default().to_owned()), len)
        };
        out.push(Token { kind, start: at, end: at + len });
        at += len.max(1);
    }
    out.push(Token { kind: Kind::End, start: text.len(), end: text.len() });
    Ok(out)
}

/// A text in quotes: `\"` and `\\` are characters, `\xHH` is a byte of ASCII.
fn quoted(text: &str, at: usize) -> Result<(Kind, usize), Diagnostic> {
    let rest = text.get(at + 1..).unwrap_or_default();
    let (mut out, mut chars) = (String::new(), rest.char_indices());
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Ok((Kind::Quoted(out), i + 2)),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some(c) => out.push(c),
                None => {}
            },
            c => out.push(c),
        }
    }
    let fault = Fault::new("the text has no end", "expected a closing double quote");
    Err(Diagnostic::new(1, text, at, text.len(), fault))
}
