//! A link as a QR code.

use crate::dom::{NONE, View, svg};
use qrcodegen::{QrCode, QrCodeEcc};

/// The white border that readers need, in modules.
const BORDER: i32 = 4;

/// The code of a text; nothing if it is too long for one.
pub fn code(text: &str) -> View {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Low) else { return NONE };
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        for x in (0..size).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + BORDER, y + BORDER));
        }
    }
    let whole = size + 2 * BORDER;
    svg("svg")
        .class("qr")
        .attr("viewBox", format!("0 0 {whole} {whole}"))
        .attr("role", "img")
        .attr("aria-label", "QR code of the link to this moment")
        .add(svg("rect").attr("width", whole.to_string()).attr("height", whole.to_string()).class("paper"))
        .add(svg("path").attr("d", path))
        .into()
}
