//! HTTP and TFTP (packet-http.c, packet-tftp.c).

use super::Dissector;
use crate::wireshark::tree::Value;

/// The ports that Wireshark takes for HTTP.
pub(super) fn is_http_port(port: u16) -> bool {
    matches!(port, 80 | 1900 | 2710 | 2869 | 3128 | 3132 | 5985 | 8080 | 8088 | 11371)
}

/// The first line begins or ends with the protocol's version (`dissect_http_heur_tcp`).
pub(super) fn looks_like_http(bytes: &[u8]) -> bool {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.starts_with(b"HTTP/1.")
        || line.len().checked_sub(8).is_some_and(|from| line[from..].starts_with(b"HTTP/1."))
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// The fields of headers that have one.
const HEADERS: [(&str, &str); 9] = [
    ("host", "http.host"),
    ("user-agent", "http.user_agent"),
    ("accept", "http.accept"),
    ("server", "http.server"),
    ("date", "http.date"),
    ("content-type", "http.content_type"),
    ("content-length", "http.content_length_header"),
    ("connection", "http.connection"),
    ("location", "http.location"),
];

/// It begins with a method.
pub(super) fn begins_with_method(bytes: &[u8]) -> bool {
    let word = bytes.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
    METHODS.iter().any(|m| m.as_bytes() == word)
}

/// The words of a line, each with its place.
fn words(line: &[u8], at: usize, most: usize) -> Vec<(usize, String)> {
    let mut place = at;
    line.splitn(most, |b| *b == b' ')
        .map(|word| {
            let from = place;
            place += word.len() + 1;
            (from, String::from_utf8_lossy(word).into_owned())
        })
        .collect()
}

impl Dissector<'_> {
    pub(super) fn http(&mut self, at: usize, end: usize) -> Option<()> {
        let bytes = self.t.bytes(at, end.checked_sub(at)?)?;
        let mut lines = bytes.split_inclusive(|b| *b == b'\n');
        let first = lines.next()?;
        let line = first.trim_ascii_end();
        let parts = words(line, at, 3);
        let is_response = line.starts_with(b"HTTP/");
        let is_request =
            matches!(parts.len(), 1 | 3) && parts.first().is_some_and(|(_, w)| METHODS.contains(&w.as_str()));
        if !is_response && !is_request {
            // A part of something that began earlier.
            self.t.group("http", at, bytes.len());
            self.t.text("http.file_data", at, bytes.len())?;
            self.data(at, bytes.len())?;
            self.t.close();
            return Some(());
        }
        let head: usize = {
            let mut n = 0;
            for line in bytes.split_inclusive(|b| *b == b'\n') {
                n += line.len();
                if line.trim_ascii_end().is_empty() {
                    break;
                }
            }
            n
        };
        let t = &mut self.t;
        t.group("http", at, head);
        let word_len = parts.first().map_or(0, |(_, w)| w.len());
        let names = match is_response {
            true => ["http.response.version", "http.response.code", "http.response.phrase"],
            false => ["http.request.method", "http.request.uri", "http.request.version"],
        };
        for (name, (place, word)) in names.into_iter().zip(parts) {
            let len = word.len();
            match word.parse::<i64>() {
                Ok(code) if name == "http.response.code" => {
                    t.add_number(name, place, len, code);
                    t.add("http.response.code.desc", place, len, Value::Text(code_words(code).to_owned()));
                }
                _ => t.add(name, place, len, Value::Text(word)),
            }
        }
        if !is_response && line.len() == word_len {
            // A method alone has a target and a version of no bytes.
            t.add("http.request.uri", at + word_len, 0, Value::Text(String::new()));
            t.add("http.request.version", at + word_len, 0, Value::Text(String::new()));
        }
        let mut place = at + first.len();
        let mut is_text = false;
        for line in lines {
            if line.trim_ascii_end().is_empty() {
                break;
            }
            let text = String::from_utf8_lossy(line);
            let (name, value) = text.split_once(':').unwrap_or((&text, ""));
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            let field = HEADERS.iter().find(|(header, _)| *header == name).map(|(_, field)| *field);
            let whole = if is_response { "http.response.line" } else { "http.request.line" };
            is_text |= name == "content-type" && value.starts_with("text/");
            let count = if name == "content-length" { value.parse::<i64>().ok() } else { None };
            if let Some(field) = field {
                t.add(field, place, line.len(), Value::Text(value));
                if let Some(count) = count {
                    t.open();
                    t.add_number("http.content_length", place, line.len(), count);
                    t.close();
                }
            }
            t.add(whole, place, line.len(), Value::Text(text.into_owned()));
            if field.is_some() {
                t.hide();
            }
            place += line.len();
        }
        t.add_number(if is_response { "http.response" } else { "http.request" }, at, 0, 1);
        t.hide();
        let body = at + head;
        if body < end {
            t.text("http.file_data", body, end - body)?;
        }
        t.close();
        if body < end && is_text {
            t.group("data-text-lines", body, end - body);
            t.close();
        }
        Some(())
    }

    pub(super) fn tftp(&mut self, at: usize, end: usize) -> Option<()> {
        let t = &mut self.t;
        let len = if t.word(at)? == 3 { 4 } else { end.saturating_sub(at) };
        t.group("tftp", at, len);
        let opcode = t.number("tftp.opcode", at, 2)?;
        t.note(match opcode {
            1 => "Read Request",
            2 => "Write Request",
            3 => "Data Packet",
            4 => "Acknowledgement",
            5 => "Error Code",
            6 => "Option Acknowledgement",
            _ => "",
        });
        // A text and the zero that ends it.
        let text = |t: &mut crate::wireshark::tree::Tree<'_>, name, at: usize| -> Option<usize> {
            let bytes = t.bytes(at, end.checked_sub(at)?)?;
            let len = bytes.iter().position(|b| *b == 0)?;
            let words = String::from_utf8_lossy(bytes.get(..len)?).into_owned();
            t.add(name, at, len + 1, Value::Text(words));
            Some(at + len + 1)
        };
        match opcode {
            1 | 2 => {
                let name = if opcode == 1 { "tftp.source_file" } else { "tftp.destination_file" };
                let next = text(t, name, at + 2)?;
                text(t, "tftp.type", next)?;
            }
            3 | 4 => {
                t.number("tftp.block", at + 2, 2)?;
            }
            5 => {
                let code = t.number("tftp.error.code", at + 2, 2)?;
                t.note(match code {
                    1 => "File not found",
                    2 => "Access violation",
                    4 => "Illegal TFTP Operation",
                    5 => "Unknown transfer ID",
                    _ => "",
                });
                text(t, "tftp.error.message", at + 4)?;
            }
            _ => {}
        }
        t.close();
        if opcode == 3 { self.data(at + 4, end.saturating_sub(at + 4)) } else { Some(()) }
    }
}

/// RFC 9110, 15.
fn code_words(code: i64) -> &'static str {
    match code {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        _ => "",
    }
}
