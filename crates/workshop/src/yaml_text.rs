//! Trees as text: as people write manifests, and as kubectl prints objects, in YAML (sigs.k8s.io/yaml, which is go-yaml v2) and in JSON.

use crate::session::quoted;
use cluster::yaml::{Value, Yaml};

/// How lists and mappings are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Those that are short stand in one line.
    Short,
    /// Each entry has a line of its own; a list is no deeper than its key.
    Kubectl,
}

/// So long may a line be that holds a whole list or mapping.
const FLOW: usize = 80;

/// A tree as YAML, in lines that end.
pub fn yaml(tree: &Yaml, layout: Layout) -> String {
    let mut out = String::new();
    block(tree, 0, layout, &mut out);
    out
}

/// A tree as JSON, in lines without an end.
pub fn json(tree: &Yaml) -> String {
    let mut out = String::new();
    json_in(tree, 4, &mut out);
    out
}

/// A tree as JSON in one line, its keys in order (Go's `json.Marshal`).
pub fn json_line(at: &Yaml) -> String {
    let joined = |all: Vec<String>| all.join(",");
    match &at.value {
        Value::Mapping(entries) => {
            let mut all: Vec<_> = entries.iter().collect();
            sorted::sort_by(&mut all, |a, b| a.key.cmp(&b.key));
            let one = |e: &&cluster::yaml::Entry| format!("{}:{}", quoted(&e.key), json_line(&e.value));
            format!("{{{}}}", joined(all.iter().map(one).collect()))
        }
        Value::Sequence(items) => format!("[{}]", joined(items.iter().map(json_line).collect())),
        _ => json(at),
    }
}

fn block(at: &Yaml, indent: usize, layout: Layout, out: &mut String) {
    let margin = " ".repeat(indent);
    match &at.value {
        Value::Mapping(entries) if !entries.is_empty() => {
            for e in entries {
                let list = matches!(e.value.value, Value::Sequence(_)) && layout == Layout::Kubectl;
                let deeper = if list { indent } else { indent + 2 };
                *out += &format!("{margin}{}:", scalar(&e.key, false));
                if let Some(text) = literal(&e.value, deeper).or_else(|| one_line(&e.value, deeper, layout)) {
                    *out += &format!(" {text}\n");
                } else {
                    out.push('\n');
                    block(&e.value, deeper, layout, out);
                }
            }
        }
        Value::Sequence(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                match one_line(item, indent + 2, layout) {
                    Some(line) => inner = line + "\n",
                    None => block(item, indent + 2, layout, &mut inner),
                }
                *out += &format!("{margin}- {}", inner.trim_start());
            }
        }
        _ => *out += &format!("{margin}{}\n", flow(at)),
    }
}

/// Text of several lines.
fn literal(value: &Yaml, indent: usize) -> Option<String> {
    let Value::Text(text) = &value.value else { return None };
    let (head, lines) = text.strip_suffix('\n').map_or(("|-", text.as_str()), |lines| ("|", lines));
    if !text.contains('\n') || lines.ends_with('\n') || text.starts_with([' ', '\n']) {
        return None;
    }
    let margin = format!("\n{}", " ".repeat(indent));
    let line = |l: &str| if l.is_empty() { "\n".to_owned() } else { format!("{margin}{l}") };
    Some(head.to_owned() + &lines.split('\n').map(line).collect::<String>())
}

/// What stands in one line.
fn one_line(value: &Yaml, indent: usize, layout: Layout) -> Option<String> {
    let simple = |v: &Yaml| matches!(v.value, Value::Plain(_) | Value::Text(_));
    let (empty, short) = match &value.value {
        Value::Mapping(all) => (all.is_empty(), all.len() < 4 && all.iter().all(|e| simple(&e.value))),
        Value::Sequence(all) => (all.is_empty(), all.iter().all(simple)),
        Value::Plain(_) => return Some(flow(value)),
        Value::Text(text) => return Some(scalar(text, false)),
    };
    let line = flow(value);
    let fits = layout == Layout::Short && short && line.len() + indent <= FLOW;
    (empty || fits).then_some(line)
}

fn flow(at: &Yaml) -> String {
    let joined = |all: Vec<String>| all.join(", ");
    match &at.value {
        Value::Plain(text) => text.clone(),
        Value::Text(text) => scalar(text, true),
        Value::Sequence(items) => format!("[{}]", joined(items.iter().map(flow).collect())),
        Value::Mapping(entries) => {
            let pair = |e: &cluster::yaml::Entry| format!("{}: {}", scalar(&e.key, true), flow(&e.value));
            format!("{{{}}}", joined(entries.iter().map(pair).collect()))
        }
    }
}

/// Text in one line: in double quotes if without any it would be something else, in single ones if it would be no YAML.
fn scalar(text: &str, flow: bool) -> String {
    if is_other(text) || text.chars().any(char::is_control) {
        return quoted(text);
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let begins = |c: char| "#,[]{}&*!|>'\"%@`".contains(c);
    let plain = match flow {
        true => text.chars().all(safe) && !text.starts_with('-'),
        false => {
            !text.starts_with(begins)
                && !text
                    .strip_prefix(['-', '?', ':'])
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                && text.trim() == text
                && !text.ends_with(':')
                && ![": ", " #"].iter().any(|s| text.contains(s))
        }
    };
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// A boolean, a number or nothing, as go-yaml v2 reads it.
fn is_other(text: &str) -> bool {
    const WORDS: [&str; 9] = ["", "~", "null", "true", "false", "yes", "no", "on", "off"];
    const LETTERS: [&str; 4] = ["y", "Y", "n", "N"];
    is_number(text) || LETTERS.contains(&text) || WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn is_number(text: &str) -> bool {
    let unsigned = |s| str::strip_prefix(s, ['-', '+']).unwrap_or(s);
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let (mantissa, exponent) = unsigned(text).split_once(['e', 'E']).unwrap_or((unsigned(text), "0"));
    let decimal = match mantissa.split_once('.') {
        Some(("", part)) => digits(part),
        Some((whole, part)) => digits(whole) && (part.is_empty() || digits(part)),
        None => digits(mantissa),
    };
    // In base 60, as YAML 1.1 has them.
    let sixtieth = |s: &str| digits(s) && s.len() < 3 && (s.len() < 2 || s < "60");
    let sixtieths = unsigned(text).split_once(':');
    decimal && digits(unsigned(exponent))
        || sixtieths.is_some_and(|(whole, rest)| digits(whole) && rest.split(':').all(sixtieth))
}

fn json_in(at: &Yaml, indent: usize, out: &mut String) {
    let mut all = |ends: [char; 2], parts: Vec<(String, &Yaml)>| {
        out.push(ends[0]);
        for (i, (key, value)) in parts.iter().enumerate() {
            *out += if i == 0 { "\n" } else { ",\n" };
            *out += &" ".repeat(indent);
            *out += key;
            json_in(value, indent + 4, out);
        }
        if !parts.is_empty() {
            *out += &format!("\n{}", " ".repeat(indent - 4));
        }
        out.push(ends[1]);
    };
    match &at.value {
        Value::Mapping(entries) => {
            all(['{', '}'], entries.iter().map(|e| (quoted(&e.key) + ": ", &e.value)).collect());
        }
        Value::Sequence(items) => all(['[', ']'], items.iter().map(|i| (String::new(), i)).collect()),
        Value::Plain(text) if is_number(text) || text == "true" || text == "false" => *out += text,
        Value::Plain(text) | Value::Text(text) => *out += &quoted(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, json, yaml};
    use cluster::yaml::documents;

    fn told(text: &str, layout: Layout) -> String {
        yaml(&documents(text).unwrap()[0], layout)
    }

    /// As go-yaml v2 writes them.
    #[test]
    fn texts_have_the_quotes_that_they_need() {
        for (text, written) in [
            ("web", "web"),
            ("10.96.0.10", "10.96.0.10"),
            ("fd00::1", "fd00::1"),
            ("10.244.0.0/16", "10.244.0.0/16"),
            ("nginx:1.25", "nginx:1.25"),
            ("two words", "two words"),
            ("a#b", "a#b"),
            ("-1x", "-1x"),
            ("", "\"\""),
            ("true", "\"true\""),
            ("No", "\"No\""),
            ("y", "\"y\""),
            ("~", "\"~\""),
            ("12", "\"12\""),
            ("-1.5e3", "\"-1.5e3\""),
            (".5", "\".5\""),
            ("1.", "\"1.\""),
            ("12:30:45", "\"12:30:45\""),
            ("8080:80", "8080:80"),
            ("one: two", "'one: two'"),
            ("a #b", "'a #b'"),
            ("- x", "'- x'"),
            ("-", "'-'"),
            ("it's: so", "'it''s: so'"),
            ("@at", "'@at'"),
            ("{a}", "'{a}'"),
            ("end:", "'end:'"),
            (" x", "' x'"),
        ] {
            let given = format!("a: \"{text}\"\n");
            assert_eq!(told(&given, Layout::Kubectl), format!("a: {written}\n"), "{text:?}");
        }
    }

    #[test]
    fn text_of_several_lines_is_a_block() {
        for (given, written) in [
            ("a: \"x\\n  y\\n\"", "a: |\n  x\n    y\n"),
            ("a: \"x\\n\\ny\"", "a: |-\n  x\n\n  y\n"),
            ("a: \"x\\n\\n\"", "a: \"x\\n\\n\"\n"),
        ] {
            assert_eq!(told(given, Layout::Kubectl), written);
            assert_eq!(told(written, Layout::Kubectl), written);
        }
    }

    const LISTS: &str = "a: [1, {b: c, d: [e]}, []]\nf: {}\ng: [[h], {}]\n";

    #[test]
    fn kubectl_gives_each_entry_its_line() {
        let text = "a:\n- 1\n- b: c\n  d:\n  - e\n- []\nf: {}\ng:\n- - h\n- {}\n";
        assert_eq!(told(LISTS, Layout::Kubectl), text);
    }

    #[test]
    fn short_ones_stand_in_one_line() {
        let text = "a:\n  - 1\n  - b: c\n    d: [e]\n  - []\nf: {}\ng:\n  - [h]\n  - {}\n";
        assert_eq!(told(LISTS, Layout::Short), text);
        let quoted = "a: ['x,y', \"1\", 1, 'b: c']\n";
        assert_eq!(told(quoted, Layout::Short), quoted);
    }

    #[test]
    fn json_has_numbers_and_texts() {
        let tree = &documents("a: [1, '1', true, x, {}]\nb: \"q\\\"\"\n").unwrap()[0];
        let lines = [
            "{",
            "    \"a\": [",
            "        1,",
            "        \"1\",",
            "        true,",
            "        \"x\",",
            "        {}",
            "    ],",
            "    \"b\": \"q\\\"\"",
            "}",
        ];
        assert_eq!(json(tree), lines.join("\n"));
    }
}
