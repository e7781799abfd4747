//! The texts that come with the program, without the comment at their head: it is for who edits the file, and nobody reads it in the page.

/// How long that comment is: whole lines that begin with `#`, in bytes.
pub(crate) const fn head(text: &str) -> usize {
    let mut rest = text.as_bytes();
    while let [b'#', ..] = rest {
        while let [byte, behind @ ..] = rest {
            rest = behind;
            if *byte == b'\n' {
                break;
            }
        }
    }
    text.len() - rest.len()
}

/// The text of a file beside this one.
macro_rules! bare {
    ($file:literal) => {{
        const WHOLE: &str = include_str!($file);
        const LENGTH: usize = WHOLE.len() - $crate::bare::head(WHOLE);
        // A copy, so that the program does not contain the rest.
        const BODY: &[u8] = &match WHOLE.as_bytes().last_chunk::<LENGTH>() {
            Some(body) => *body,
            None => [0; LENGTH],
        };
        match str::from_utf8(BODY) {
            Ok(text) => text,
            Err(_) => WHOLE,
        }
    }};
}
pub(crate) use bare;

#[cfg(test)]
mod tests {
    use super::head;

    #[test]
    fn the_comment_at_the_head_ends_where_the_text_begins() {
        assert_eq!(head("# a\n#\n# b\ntext: 1\n# c\n"), 10);
        assert_eq!(head("text: 1\n# c\n"), 0);
        assert_eq!(head("# all"), 5);
    }

    #[test]
    fn a_lab_begins_with_its_first_field() {
        for (name, text) in crate::labs::TEXTS {
            assert!(text.starts_with("apiVersion:"), "{name}");
            assert!(!text.contains('\0'), "{name}");
        }
    }
}
