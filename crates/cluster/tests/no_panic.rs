//! No text makes it panic: real inputs, cut, joined and bent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Version};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_oneof, proptest};

const SEEDS: [&str; 3] = [
    include_str!("kubectl.yaml"),
    include_str!("../../../tests/data/kube-proxy/cases/114-update-policy/input.yaml"),
    include_str!("../../../tests/data/kube-proxy/cases/040-lb-source-ranges-2vips/input.yaml"),
];

const WORDS: [&str; 32] = [
    "",
    "~",
    "null",
    "0",
    "-1",
    "65536",
    "4294967296",
    "None",
    "Local",
    "true",
    "[]",
    "{}",
    "- ",
    ": ",
    "\"",
    "'",
    "|",
    ">-",
    "&a",
    "*a",
    "!t",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "# ",
    "\t",
    "\r\n",
    "\u{feff}",
    "é",
    "0.0.0.0/0",
    "::1",
    "kind: Step",
];

/// One way to bend a text: at a place (a share of its length), over a number of characters.
#[derive(Clone, Debug)]
enum Bend {
    Cut,
    Insert(usize),
    Repeat,
    SwapLines(u16),
    EmptyValue(usize),
}

fn bend(text: &str, at: u16, length: u8, how: &Bend) -> String {
    let chars: Vec<char> = text.chars().collect();
    let place = |share: u16, of: usize| usize::from(share) * of / (usize::from(u16::MAX) + 1);
    let start = place(at, chars.len());
    let end = (start + usize::from(length)).min(chars.len());
    let part = |a: usize, b: usize| chars[a..b].iter().collect::<String>();
    match how {
        Bend::Cut => part(0, start) + &part(end, chars.len()),
        Bend::Insert(word) => part(0, start) + WORDS[word % WORDS.len()] + &part(start, chars.len()),
        Bend::Repeat => part(0, end) + &part(start, chars.len()),
        Bend::SwapLines(other) => {
            let mut lines: Vec<&str> = text.lines().collect();
            let (a, b) = (place(at, lines.len()), place(*other, lines.len()));
            if !lines.is_empty() {
                lines.swap(a, b);
            }
            lines.join("\n")
        }
        Bend::EmptyValue(word) => {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let i = place(at, lines.len());
            if let Some(line) = lines.get_mut(i) {
                let key = line.find(": ").map_or(line.len(), |i| i + 2);
                line.truncate(key);
                line.push_str(WORDS[word % WORDS.len()]);
            }
            lines.join("\n")
        }
    }
}

fn bends() -> impl Strategy<Value = Vec<(u16, u8, Bend)>> {
    let how = prop_oneof![
        Just(Bend::Cut),
        any::<usize>().prop_map(Bend::Insert),
        Just(Bend::Repeat),
        any::<u16>().prop_map(Bend::SwapLines),
        any::<usize>().prop_map(Bend::EmptyValue),
    ];
    proptest::collection::vec((any::<u16>(), any::<u8>(), how), 0..6)
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1500))]

    #[test]
    fn bent_text(seed in 0..SEEDS.len(), bends in bends(), version in 0..Version::ALL.len()) {
        let mut text = SEEDS[seed].to_owned();
        for (at, length, how) in &bends {
            text = bend(&text, *at, *length, how);
        }
        match Case::read(&text) {
            Ok(mut case) => {
                case.config.version = Version::ALL[version];
                for file in case.record(None).unwrap_or_default() {
                    // What goes to iptables-restore is whole lines.
                    prop_assert!(file.text.is_empty() || file.text.ends_with('\n'));
                }
            }
            Err(e) => prop_assert!(e.line >= 1 && e.column >= 1 && !e.message.is_empty(), "{e}"),
        }
    }

    #[test]
    fn any_text(text in "\\PC*|[a-z:\\-\\[\\]{}'\"|>&*!%#\n ]{0,200}") {
        let _ = Case::read(&text);
    }
}
