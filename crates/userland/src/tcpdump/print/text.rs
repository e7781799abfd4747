//! Dates, and protocols whose messages are lines of text (print.c, `txtproto_print`).

/// The words with which a request begins (print-http.c).
const HTTP: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "COPY", "MOVE", "LOCK"];

/// `1970-01-01` for that many seconds after its beginning (RFC 3339, the calendar of Gregory).
pub(super) fn date(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let mut year = 1970_u64;
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for len in lengths {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}

/// What is printed of a payload on a port of HTTP (80, 8080, 3128) or FTP (21).
pub(super) fn lines(ports: [u16; 2], payload: &[u8], verbose: bool, out: &mut String) {
    let on = |list: &[u16]| ports.iter().any(|p| list.contains(p));
    let (name, commands) = if on(&[21]) {
        ("ftp", None)
    } else if on(&[80, 8080, 3128]) {
        ("http", Some(HTTP))
    } else {
        return;
    };
    *out += &format!(": {}", name.to_ascii_uppercase());
    if commands.is_some_and(|known| !is_message(payload, known)) {
        return;
    }
    if !verbose {
        line(": ", payload, name, out);
        return;
    }
    *out += &format!(", length: {}", payload.len());
    let mut rest = payload;
    while let Some(after) = line("\n\t", rest, name, out) {
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
}

/// True if it begins with a command, or with a word and a status of three digits.
fn is_message(payload: &[u8], commands: &[&str]) -> bool {
    let mut words = payload.split(|b| b.is_ascii_whitespace());
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    commands.iter().any(|c| c.as_bytes() == first)
        || (second.len() == 3 && second.iter().all(u8::is_ascii_digit))
}

/// Prints the first line and gives what is behind it; `None` if what follows is not printed.
fn line<'a>(prefix: &str, bytes: &'a [u8], protocol: &str, out: &mut String) -> Option<&'a [u8]> {
    for (i, b) in bytes.iter().enumerate() {
        let rest = |n: usize| bytes.get(i + n..).unwrap_or_default();
        let text = || String::from_utf8_lossy(bytes.get(..i).unwrap_or_default()).into_owned();
        match (b, bytes.get(i + 1)) {
            (b'\n', _) => {
                *out += &format!("{prefix}{}", text());
                return Some(rest(1));
            }
            (b'\r', Some(b'\n')) => {
                *out += &format!("{prefix}{}", text());
                return Some(rest(2));
            }
            (b' '..=b'~' | b'\t', _) => {}
            _ => return None,
        }
    }
    // No end of the line: the rest is in another segment.
    *out += &format!("{prefix}{} [|{protocol}]", String::from_utf8_lossy(bytes));
    None
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (day, expected) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_777, "2026-11-20")]
        {
            assert_eq!(date(day * 86_400 + 5), expected);
        }
    }
}
