//! Finds the elements with a `data-trunk` attribute in an HTML page: as much of HTML as that takes.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::ops::Range;

/// An element `<link data-trunk …>` or `<script data-trunk …></script>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its name in lower case.
    pub name: String,
    /// Its attributes, names in lower case; one without a value has an empty one.
    pub attributes: BTreeMap<String, String>,
    /// Where it stands in the page, with its end tag if it has one.
    pub range: Range<usize>,
}

impl Element {
    /// An attribute's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// The `data-trunk` elements of a page, in order. Comments are skipped.
pub fn trunk_elements(page: &str) -> Result<Vec<Element>> {
    let mut elements = Vec::new();
    let mut at = 0;
    while let Some(open) = page[at..].find('<').map(|offset| at + offset) {
        if page[open..].starts_with("<!--") {
            let Some(end) = page[open..].find("-->") else {
                bail!("a comment is not closed (line {})", line(page, open))
            };
            at = open + end + 3;
            continue;
        }
        let Some((element, end)) = tag(page, open)? else {
            at = open + 1;
            continue;
        };
        at = end;
        if matches!(element.name.as_str(), "script" | "style") {
            // What is inside is not HTML: go to the end tag.
            let close = format!("</{}>", element.name);
            let Some(offset) = page[end..].to_ascii_lowercase().find(&close) else {
                bail!("<{}> is not closed (line {})", element.name, line(page, open));
            };
            at = end + offset + close.len();
        }
        if element.attributes.contains_key("data-trunk") {
            if !matches!(element.name.as_str(), "link" | "script") {
                bail!(
                    "data-trunk belongs on <link> or <script>, not on <{}> (line {})",
                    element.name,
                    line(page, open)
                );
            }
            elements.push(Element { range: open..at, ..element });
        }
    }
    Ok(elements)
}

/// The page with each range replaced. The ranges are in order and do not overlap.
pub fn replace(page: &str, parts: &[(Range<usize>, String)]) -> String {
    let mut result = String::with_capacity(page.len());
    let mut at = 0;
    for (range, text) in parts {
        result.push_str(&page[at..range.start]);
        result.push_str(text);
        at = range.end;
    }
    result.push_str(&page[at..]);
    result
}

/// A value for between double quotes.
pub fn escape(value: &str) -> String {
    value.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// The start tag at `open` and where it ends. None if it is no start tag.
fn tag(page: &str, open: usize) -> Result<Option<(Element, usize)>> {
    let mut rest = &page[open + 1..];
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(None);
    }
    let name = take(&mut rest, |c| !c.is_whitespace() && c != '>' && c != '/').to_ascii_lowercase();
    let mut attributes = BTreeMap::new();
    loop {
        take(&mut rest, |c| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            bail!("<{name}> is not closed (line {})", line(page, open));
        }
        if let Some(after) = rest.strip_prefix('>') {
            let end = page.len() - after.len();
            return Ok(Some((Element { name, attributes, range: open..end }, end)));
        }
        let key =
            take(&mut rest, |c| !c.is_whitespace() && !matches!(c, '=' | '>' | '/')).to_ascii_lowercase();
        if key.is_empty() {
            bail!("a stray character in <{name}> (line {})", line(page, open));
        }
        let before = rest;
        take(&mut rest, char::is_whitespace);
        let value = match rest.strip_prefix('=') {
            Some(after) => {
                rest = after.trim_start();
                value(&mut rest)
            }
            None => {
                rest = before;
                Some(String::new())
            }
        };
        let Some(value) = value else {
            bail!("a quote in <{name}> is not closed (line {})", line(page, open))
        };
        attributes.insert(key, value);
    }
}

/// An attribute's value, quoted or not. None if the quote is not closed.
fn value(rest: &mut &str) -> Option<String> {
    for quote in ['"', '\''] {
        if let Some(after) = rest.strip_prefix(quote) {
            let (value, after) = after.split_once(quote)?;
            *rest = after;
            let value = value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
            return Some(value.replace("&amp;", "&"));
        }
    }
    Some(take(rest, |c| !c.is_whitespace() && c != '>').to_owned())
}

/// Takes the longest start whose characters all fit.
fn take<'a>(rest: &mut &'a str, fits: impl Fn(char) -> bool) -> &'a str {
    let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
    let (taken, after) = rest.split_at(end);
    *rest = after;
    taken
}

fn line(page: &str, at: usize) -> usize {
    page[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_scripts_are_found_and_comments_are_not() {
        let page = r#"<!doctype html><!-- <link data-trunk rel="css" href="no.css"> -->
            <link rel="canonical" href=x>
            <LINK data-trunk rel='css' href="a &amp; b.css" media=print />
            <script>let s = "<link data-trunk rel=icon>";</script>
            <script data-trunk src="boot.js" defer></script><p>a < b</p>"#;
        let elements = trunk_elements(page).unwrap();
        assert_eq!(elements.len(), 2);
        assert_eq!(elements[0].name, "link");
        assert_eq!(elements[0].get("href"), Some("a & b.css"));
        assert_eq!(elements[0].get("media"), Some("print"));
        assert_eq!(elements[1].get("defer"), Some(""));
        assert_eq!(&page[elements[1].range.clone()], r#"<script data-trunk src="boot.js" defer></script>"#);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let error = trunk_elements("<html>\n<link data-trunk rel=\"css>").unwrap_err().to_string();
        assert!(error.contains("quote") && error.contains("line 2"), "{error}");
        let error = trunk_elements("<div data-trunk></div>").unwrap_err().to_string();
        assert!(error.contains("<div>"), "{error}");
    }

    #[test]
    fn parts_are_replaced_in_place() {
        assert_eq!(replace("abcdef", &[(1..2, "XX".into()), (4..6, String::new())]), "aXXcd");
        assert_eq!(escape(r#"a"b<&"#), "a&quot;b&lt;&amp;");
    }
}
