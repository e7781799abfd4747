//! Text in a link: readable where that is short, else deflated (RFC 1951) and in the URL's own base64 (RFC 4648, section 5).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// No text is longer.
const MAX: usize = 8_000_000;
/// The best that deflate can do.
const LEVEL: u8 = 9;

/// Packs a text.
pub fn pack(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(compress_to_vec(text.as_bytes(), LEVEL))
}

/// The text that was packed; `None` if it makes no sense.
pub fn unpack(packed: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(packed).ok()?;
    String::from_utf8(decompress_to_vec_with_limit(&bytes, MAX).ok()?).ok()
}

/// What may stand in a fragment as it is.
fn plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-_.~:,/*@!()=".contains(&b)
}

/// A text that people can read in the address: `+` is a blank, `;` the end of a line.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for b in text.trim_end_matches('\n').bytes() {
        match b {
            b' ' => out.push('+'),
            b'\n' => out.push(';'),
            _ if plain(b) => out.push(char::from(b)),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// The text of [`escape`]; `None` if it makes no sense. Browsers may have escaped more of it.
pub fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'+' => b' ',
            b';' => b'\n',
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            b => b,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[cfg(target_arch = "wasm32")]
    wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

    const TEXT: &str = "end - kubectl patch svc web -p '{\"a\": 1}'\n|100 % & ü; +";

    #[test]
    fn a_text_comes_back_as_it_was() {
        assert_eq!(unpack(&pack(TEXT)).as_deref(), Some(TEXT));
        assert_eq!(unescape(&escape(TEXT)).as_deref(), Some(TEXT));
        assert_eq!(escape("setup node-1 sysctl -w a=0\n"), "setup+node-1+sysctl+-w+a=0");
    }

    #[test]
    fn what_makes_no_sense_is_no_text() {
        assert_eq!((unpack("!!"), unpack("AAAA"), unescape("%G0"), unescape("%F")), (None, None, None, None));
    }
}
