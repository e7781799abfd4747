//! Words of an nft text (src/scanner.l of nftables: names may hold slashes, dots and dashes).

use crate::diagnostic::{Diagnostic, Fault, q};
use std::net::Ipv6Addr;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Word,
    /// A number, perhaps with letters behind it (`3h`, `1h30m`).
    Number,
    /// An IPv4, IPv6 or MAC address.
    Addr,
    /// Text in quotation marks; the token's text is what stands between them.
    Quoted,
    /// A sign.
    Sign,
    /// The end of a line, or a semicolon.
    End,
    /// The end of the text.
    Eof,
}

/// A token: what it is and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tok {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// The tokens of a text; the last one is its end.
pub(super) fn lex(src: &str) -> Result<Vec<Tok>, Diagnostic> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = src[at..].chars().next() {
        let rest = &src[at..];
        let (kind, len) = match c {
            '\n' | ';' => (Kind::End, 1),
            '\\' if rest.starts_with("\\\n") => {
                at += 2;
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' => match rest[1..].find(['"', '\n']) {
                Some(end) if rest[1 + end..].starts_with('"') => {
                    out.push(Tok { kind: Kind::Quoted, start: at + 1, end: at + 1 + end });
                    at += end + 2;
                    continue;
                }
                _ => {
                    let fault = Fault::new("a text without an end", "expected a quotation mark");
                    return Err(blame(src, at, at + 1, fault));
                }
            },
            _ => match number_or_address(rest).or_else(|| word(rest)).or_else(|| sign(rest)) {
                Some(found) => found,
                None => {
                    let fault = Fault::new(
                        format!("the character {} has no meaning here", q(&c.to_string())),
                        "expected a word, a number or a sign",
                    );
                    return Err(blame(src, at, at + c.len_utf8(), fault));
                }
            },
        };
        out.push(Tok { kind, start: at, end: at + len });
        at += len;
    }
    out.push(Tok { kind: Kind::Eof, start: src.len(), end: src.len() });
    Ok(out)
}

/// A diagnostic about the bytes `start..end` of a text of several lines.
pub(super) fn blame(src: &str, start: usize, end: usize, fault: Fault) -> Diagnostic {
    let start = start.min(src.len());
    let from = src[..start].rfind('\n').map_or(0, |n| n + 1);
    let to = src[start..].find('\n').map_or(src.len(), |n| start + n);
    let line = src[..from].matches('\n').count() as u32 + 1;
    Diagnostic::new(line, &src[from..to], start - from, end.clamp(start, to) - from, fault)
}

fn number_or_address(rest: &str) -> Option<(Kind, usize)> {
    let run = |f: fn(char) -> bool| rest.find(|c| !f(c)).unwrap_or(rest.len());
    let len = run(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    // Behind an address stands none of these; of what looks like one, what can be read is taken.
    let mut text = &rest[..len];
    if text.matches(':').count() >= 2 {
        while !text.is_empty() {
            let mac = text.len() == 17 && text.split(':').all(|p| p.len() == 2) && !text.contains('.');
            if mac || text.parse::<Ipv6Addr>().is_ok() {
                return Some((Kind::Addr, text.len()));
            }
            text = &text[..text.len() - 1];
        }
    }
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let len = run(|c| c.is_ascii_digit() || c == '.');
    // Also one with a number that is too large.
    let text = rest[..len].trim_end_matches('.');
    if text.split('.').count() == 4 && text.split('.').all(|n| (1..=3).contains(&n.len())) {
        return Some((Kind::Addr, text.len()));
    }
    Some((Kind::Number, run(|c| c.is_ascii_alphanumeric())))
}

fn word(rest: &str) -> Option<(Kind, usize)> {
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '.') {
        return None;
    }
    if rest.starts_with('.') && !rest[1..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let mut len = rest.find(|c| !inner(c)).unwrap_or(rest.len());
    // A wildcard at the end of a device's name.
    if rest[len..].starts_with('*') {
        len += 1;
    }
    Some((Kind::Word, len))
}

fn sign(rest: &str) -> Option<(Kind, usize)> {
    const SIGNS: [&str; 30] = [
        "==", "!=", "<=", ">=", "<<", ">>", "<", ">", "=", "!", "&", "^", "|", ".", ":", ",", "{", "}", "(",
        ")", "[", "]", "/", "-", "*", "@", "$", "+", "~", "%",
    ];
    SIGNS.into_iter().find(|s| rest.starts_with(s)).map(|s| (Kind::Sign, s.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(src: &str) -> Vec<&str> {
        lex(src).unwrap().iter().map(|t| &src[t.start..t.end]).filter(|t| !t.is_empty()).collect()
    }

    #[test]
    fn names_hold_slashes_and_addresses_hold_colons() {
        assert_eq!(
            words("goto a-b/tcp/http__10.0.0.1/80, dnat to [fd00::1]:80 ip saddr 10.0.0.0/8"),
            [
                "goto",
                "a-b/tcp/http__10.0.0.1/80",
                ",",
                "dnat",
                "to",
                "[",
                "fd00::1",
                "]",
                ":",
                "80",
                "ip",
                "saddr",
                "10.0.0.0",
                "/",
                "8"
            ]
        );
        assert_eq!(
            words("1.2.3.4:80 . 1-5 3h 0x10"),
            ["1.2.3.4", ":", "80", ".", "1", "-", "5", "3h", "0x10"]
        );
    }
}
