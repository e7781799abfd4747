//! Icons: small drawings in the colour of the text.

use crate::dom::{View, svg};

/// An icon of 16 by 16.
fn icon(d: &str, filled: bool) -> View {
    drawing("icon", "16", format!("<path d=\"{d}\"/>")).class_if("filled", filled).into()
}

fn drawing(class: &str, size: &'static str, html: String) -> crate::dom::El {
    svg("svg")
        .class(class)
        .attr("viewBox", format!("0 0 {size} {size}"))
        .attr("width", size)
        .attr("height", size)
        .attr("aria-hidden", "true")
        .html(html)
}

pub fn play() -> View {
    icon("M4.5 2.8v10.4L13 8z", true)
}
pub fn pause() -> View {
    icon("M4 3h3v10H4zM9 3h3v10H9z", true)
}
pub fn back() -> View {
    icon("M10.5 3 5.5 8l5 5", false)
}
pub fn forward() -> View {
    icon("M5.5 3l5 5-5 5", false)
}
pub fn first() -> View {
    icon("M4 3v10M12 3 7 8l5 5", false)
}
pub fn last() -> View {
    icon("M12 3v10M4 3l5 5-5 5", false)
}
pub fn check() -> View {
    icon("M3 8.5 6.5 12 13 4.5", false)
}
pub fn cross() -> View {
    icon("M4 4l8 8M12 4l-8 8", false)
}
pub fn open_box() -> View {
    icon("M3 3h10v10H3z", false)
}
pub fn checked_box() -> View {
    icon("M3 3h10v10H3zM5.2 8.2 7.2 10.2 11 5.8", false)
}
pub fn copy() -> View {
    icon("M6 5.5h7v8H6zM3.5 10.5h-1v-8h7v1", false)
}
pub fn link() -> View {
    icon("M6.5 9.5l3-3M7 5l1.6-1.6a2.8 2.8 0 0 1 4 4L11 9M9 11l-1.6 1.6a2.8 2.8 0 0 1-4-4L5 7", false)
}
pub fn sun_moon() -> View {
    icon("M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11", false)
}
pub fn help() -> View {
    icon("M5.6 6a2.4 2.4 0 1 1 3.6 2.1c-.8.5-1.2.9-1.2 1.9M8 12.4v.6", false)
}
pub fn warning() -> View {
    icon("M8 2.2 14.5 13.5h-13zM8 6.4v3.4M8 11.4v.6", false)
}
pub fn widen() -> View {
    icon("M6 3.5 2 8l4 4.5M10 3.5 14 8l-4 4.5", false)
}
pub fn zoom() -> View {
    icon("M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3 14 14M5 7h4", false)
}
pub fn filter() -> View {
    icon("M2 3.5h12L9.5 8.5v4.5l-3-1.6V8.5z", false)
}
/// Turned by the style where what it stands before is open.
pub fn fold() -> View {
    icon("M6 3.5 10.5 8 6 12.5", false)
}
/// The way of a request, or that of a reply.
pub fn arrow(back: bool) -> View {
    icon(if back { "M13.5 8h-11M6.5 4 2.5 8l4 4" } else { "M2.5 8h11M9.5 4l4 4-4 4" }, false)
}

/// Undo, or redo.
pub fn turn(back: bool) -> View {
    icon(
        if back {
            "M6 3 2.5 6.5 6 10M3 6.5h6.5a3.8 3.8 0 0 1 0 7.5H6"
        } else {
            "M10 3l3.5 3.5L10 10M13 6.5H6.5a3.8 3.8 0 0 0 0 7.5H10"
        },
        false,
    )
}

/// The mark of the page.
pub fn logo() -> View {
    let html = "<path d=\"M3 12h5m8 0h5M8 12a4 4 0 1 1 8 0\"/><circle cx=\"12\" cy=\"17\" r=\"2.6\"/>";
    drawing("logo", "24", html.to_owned()).into()
}
