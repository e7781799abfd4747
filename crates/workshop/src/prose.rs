//! The markup of a lab's prose: `` `code` ``, `**strong**`, `[words](moment)`.

/// A piece of prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span<'a> {
    /// Plain words.
    Text(&'a str),
    /// What a tool prints, or an address.
    Code(&'a str),
    /// Strong words.
    Strong(&'a str),
    /// Words that lead to a moment of the run: words and key.
    Link(&'a str, &'a str),
}

/// Splits a text. Markup that is not closed is plain text.
pub fn spans(text: &str) -> Vec<Span<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = rest.find(['`', '*', '[']) else {
            out.push(Span::Text(rest));
            break;
        };
        let (before, tail) = rest.split_at(at);
        let Some((span, after)) = marked(tail) else {
            // Not markup: keep the character with what stands before it.
            let next = tail.char_indices().nth(1).map_or(tail.len(), |(i, _)| i);
            out.push(Span::Text(&rest[..at + next]));
            rest = &rest[at + next..];
            continue;
        };
        if !before.is_empty() {
            out.push(Span::Text(before));
        }
        out.push(span);
        rest = after;
    }
    out
}

/// The beginning of markup that is not closed: `` ` ``, `**`, or `[words](`.
pub(crate) fn unclosed(text: &str) -> Option<&'static str> {
    let all = spans(text);
    let open = |sign: &&str| {
        all.iter().any(|s| match s {
            Span::Text(t) => t.contains(*sign),
            // The bracket that ends it is another's.
            Span::Link(_, key) => *sign == "](" && key.contains([' ', '[']),
            _ => false,
        })
    };
    ["](", "`"].into_iter().find(open).or_else(|| {
        // The two stars stand in two pieces of text.
        let star =
            |w: &[Span<'_>]| matches!(w, [Span::Text(a), Span::Text(b)] if a.ends_with('*') && *b == "*");
        all.windows(2).any(star).then_some("**")
    })
}

fn marked(text: &str) -> Option<(Span<'_>, &str)> {
    if let Some(body) = text.strip_prefix('`') {
        let (code, after) = body.split_once('`')?;
        return Some((Span::Code(code), after));
    }
    if let Some(body) = text.strip_prefix("**") {
        let (strong, after) = body.split_once("**")?;
        return Some((Span::Strong(strong), after));
    }
    let body = text.strip_prefix('[')?;
    let (words, after) = body.split_once("](")?;
    let (key, after) = after.split_once(')')?;
    Some((Span::Link(words, key), after))
}

#[cfg(test)]
mod tests {
    use super::{Span, spans};

    #[test]
    fn markup_is_split() {
        assert_eq!(
            spans("the `SYN` goes **up** to [nat](dnat)."),
            [
                Span::Text("the "),
                Span::Code("SYN"),
                Span::Text(" goes "),
                Span::Strong("up"),
                Span::Text(" to "),
                Span::Link("nat", "dnat"),
                Span::Text("."),
            ]
        );
    }

    #[test]
    fn unclosed_markup_is_found() {
        for (text, sign) in [
            ("a [b](c d", Some("](")),
            ("a [b](c d [e](f)", Some("](")),
            ("a `b", Some("`")),
            ("a **b", Some("**")),
            ("a[0] (*b)", None),
        ] {
            assert_eq!(super::unclosed(text), sign, "{text}");
        }
        assert_eq!(super::unclosed("the `S[](` goes **up** to [nat](dnat)."), None);
    }

    #[test]
    fn unclosed_markup_is_text() {
        let joined: String = spans("a `b **c [d](e")
            .into_iter()
            .map(|s| match s {
                Span::Text(t) => t.to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(joined, "a `b **c [d](e");
    }
}
