//! Writing drawings: SVG as text, in whole units. A drawing is set as one piece and read by nobody but the eye, so it
//! needs no framework.

use wasm_bindgen::JsCast;

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    pub x: i32,
    pub y: i32,
    pub w: i32,
    pub h: i32,
}

impl Rect {
    /// The middle.
    pub fn center(&self) -> (i32, i32) {
        (self.x + self.w / 2, self.y + self.h / 2)
    }

    /// Whether a point is in it.
    pub fn holds(&self, (x, y): (i32, i32)) -> bool {
        (self.x..=self.x + self.w).contains(&x) && (self.y..=self.y + self.h).contains(&y)
    }

    /// As high as it is when it is tipped by a few degrees.
    pub fn tilted(self, tipped: bool) -> Rect {
        let more = if tipped { self.w / 16 } else { 0 };
        Rect { y: self.y - more, h: self.h + 2 * more, ..self }
    }

    /// Bigger by this much on every side.
    pub fn grown(&self, by: i32) -> Rect {
        Rect { x: self.x - by, y: self.y - by, w: self.w + 2 * by, h: self.h + 2 * by }
    }
}

/// SVG in the making.
#[derive(Default)]
pub struct Svg(String);

impl Svg {
    fn tag(&mut self, name: &str, class: &str, numbers: &[(&str, i32)]) {
        self.0.push('<');
        self.0.push_str(name);
        self.attr("class", class);
        for (key, n) in numbers {
            self.attr(key, &n.to_string());
        }
    }

    fn attr(&mut self, key: &str, value: &str) {
        self.0.push(' ');
        self.0.push_str(key);
        self.0.push_str("=\"");
        self.escaped(value);
        self.0.push('"');
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                c => self.0.push(c),
            }
        }
    }

    /// A rectangle with round corners.
    pub fn rect(&mut self, class: &str, r: Rect, radius: i32) {
        self.tag("rect", class, &[("x", r.x), ("y", r.y), ("width", r.w), ("height", r.h), ("rx", radius)]);
        self.0.push_str("/>");
    }

    /// A text; the class says how it is aligned.
    pub fn text(&mut self, class: &str, x: i32, y: i32, text: &str) {
        self.tag("text", class, &[("x", x), ("y", y)]);
        self.0.push('>');
        self.escaped(text);
        self.0.push_str("</text>");
    }

    /// What follows, until [`Svg::end`], is drawn from there.
    pub fn shift(&mut self, x: i32, y: i32) {
        self.0.push_str(&format!("<g transform=\"translate({x} {y})\">"));
    }

    /// A piece of drawing that is written already.
    pub fn raw(&mut self, drawing: &str) {
        self.0.push_str(drawing);
    }

    /// What a pointer that rests on the group is told.
    pub fn title(&mut self, text: &str) {
        self.0.push_str("<title>");
        self.escaped(text);
        self.0.push_str("</title>");
    }

    /// A path.
    pub fn path(&mut self, class: &str, d: &str) {
        self.tag("path", class, &[]);
        self.attr("d", d);
        self.0.push_str("/>");
    }

    /// A path with an arrow at its end.
    pub fn arrow(&mut self, class: &str, d: &str, marker: &str) {
        self.tag("path", class, &[]);
        self.attr("d", d);
        self.attr("marker-end", &format!("url(#arrow-{marker})"));
        self.0.push_str("/>");
    }

    /// The head of such an arrow.
    pub fn marker(&mut self, name: &str) {
        self.0.push_str("<marker viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\"");
        self.attr("id", &format!("arrow-{name}"));
        self.0.push('>');
        self.path(&format!("tip {name}"), "M0 0 8 4 0 8z");
        self.0.push_str("</marker>");
    }

    /// What follows, until [`Svg::end`], belongs together. With `go`, a click on it means that number; see [`clicked`].
    pub fn group(&mut self, class: &str, go: Option<usize>) {
        self.tag("g", class, &[]);
        if let Some(n) = go {
            self.attr("data-go", &n.to_string());
        }
        self.0.push('>');
    }

    /// Ends a group.
    pub fn end(&mut self) {
        self.0.push_str("</g>");
    }

    /// The drawing.
    pub fn done(self) -> String {
        self.0
    }
}

/// The number of the group that was clicked.
pub fn clicked(event: &web_sys::Event) -> Option<usize> {
    let target = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    target.closest("[data-go]").ok()??.get_attribute("data-go")?.parse().ok()
}

/// A sentence that has room for so many letters: its end gives way.
pub fn begun(text: &str, room: i32) -> String {
    match text.char_indices().nth(usize::try_from(room).unwrap_or(0)) {
        None => text.to_owned(),
        Some((end, _)) => {
            let begun = text.get(..end).unwrap_or_default();
            format!("{}…", begun.rsplit_once(' ').map_or(begun, |(words, _)| words))
        }
    }
}

/// The same in a line or two, broken between words.
pub fn folded(text: &str, room: i32) -> Vec<String> {
    let first = begun(text, room);
    match first.strip_suffix('…').and_then(|words| Some((words, text.strip_prefix(words)?))) {
        None => vec![first],
        Some((words, rest)) => vec![words.to_owned(), begun(rest.trim_start(), room)],
    }
}

/// A text that has room for so many letters: the middle gives way, as the end of a pod's name tells most.
pub fn cut(text: &str, room: i32) -> String {
    let room = usize::try_from(room).unwrap_or(0);
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    if room < 4 {
        return text.chars().take(room).collect();
    }
    let tail = (room - 1) / 2;
    let head: String = text.chars().take(room - 1 - tail).collect();
    let tail: String = text.chars().skip(count - tail).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::{begun, cut, folded};
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_long_sentence_ends_behind_a_word() {
        assert_eq!(begun("conntrack could not insert the entry", 24), "conntrack could not…");
        assert_eq!(begun("no socket", 24), "no socket");
        assert_eq!(folded("no socket", 24), ["no socket"]);
        assert_eq!(folded("no socket for 10.0.0.1:80", 16), ["no socket for", "10.0.0.1:80"]);
        assert_eq!(folded("conntrack could not insert the entry", 14), ["conntrack", "could not…"]);
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(cut("coredns-6d8c4cb4d-x2xkp", 12), "coredn…x2xkp");
        assert_eq!(cut("app", 12), "app");
        assert_eq!(cut("coredns", 3), "cor");
    }
}
