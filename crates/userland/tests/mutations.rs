//! Whatever happens to a text, it is read or refused; nothing panics, and every refusal names a place and a wish.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::Store;
use proptest::collection::vec;
use proptest::prelude::*;
use userland::Diagnostic;
use userland::iptables::{
    RestoreOptions, apply_restore, iptables, iptables_restore, iptables_save, parse_bytes,
};

const TEXTS: [&str; 6] = [
    include_str!("data/S1-clusterip-remote.rules"),
    include_str!("data/S3-nodeport-cluster-local.rules"),
    include_str!("data/S4-nodeport-local-local.save"),
    include_str!("data/S10-addrtype.rules"),
    include_str!("data/S10-reject-types.save"),
    include_str!("data/X-output-reroute.rules"),
];

/// Words that mean something somewhere.
const WORDS: [&str; 40] = [
    "!",
    "-A",
    "-I",
    "-D",
    "-j",
    "-g",
    "-m",
    "-p",
    "-s",
    "-i",
    "-c",
    "-t",
    "-N",
    "-X",
    "-E",
    "-P",
    "-L",
    "--",
    "-",
    "tcp",
    "udp",
    "icmp",
    "INPUT",
    "KUBE-SERVICES",
    "--dport",
    "80",
    "1:2",
    "--comment",
    "\"",
    "\\",
    "DNAT",
    "--to-destination",
    "1.2.3.4",
    "0/0",
    "COMMIT",
    "*nat",
    ":A",
    "[0:0]",
    "\n",
    "é",
];

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Delete(prop::sample::Index, usize),
    Double(prop::sample::Index, usize),
    Truncate(prop::sample::Index),
    Junk(prop::sample::Index, Vec<u8>),
    Word(prop::sample::Index, usize),
    DropLine(prop::sample::Index),
    SwapLines(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        1 => (at(), any::<u8>()).prop_map(|(i, b)| Change::Flip(i, b)),
        1 => (at(), 1..20usize).prop_map(|(i, n)| Change::Delete(i, n)),
        1 => (at(), 1..80usize).prop_map(|(i, n)| Change::Double(i, n)),
        1 => at().prop_map(Change::Truncate),
        1 => (at(), vec(any::<u8>(), 1..8)).prop_map(|(i, j)| Change::Junk(i, j)),
        4 => (at(), 0..WORDS.len()).prop_map(|(i, w)| Change::Word(i, w)),
        1 => at().prop_map(Change::DropLine),
        1 => (at(), at()).prop_map(|(a, b)| Change::SwapLines(a, b)),
    ]
}

fn apply(text: &mut Vec<u8>, change: &Change) {
    if text.is_empty() {
        return;
    }
    let len = text.len();
    let lines =
        |text: &[u8]| -> Vec<Vec<u8>> { text.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect() };
    match change {
        Change::Flip(i, b) => text[i.index(len)] ^= b,
        Change::Delete(i, n) => {
            let at = i.index(len);
            text.drain(at..(at + n).min(len));
        }
        Change::Double(i, n) => {
            let at = i.index(len);
            let part = text[at..(at + n).min(len)].to_vec();
            text.splice(at..at, part);
        }
        Change::Truncate(i) => text.truncate(i.index(len)),
        Change::Junk(i, junk) => {
            let at = i.index(len);
            text.splice(at..at, junk.iter().copied());
        }
        Change::Word(i, w) => {
            // Mostly between words, where it changes the meaning and not the spelling.
            let from = i.index(len);
            let at = text[from..].iter().position(|b| *b == b' ').map_or(from, |n| from + n);
            text.splice(at..at, format!(" {}", WORDS[*w]).into_bytes());
        }
        Change::DropLine(i) => {
            let mut all = lines(text);
            all.remove(i.index(all.len()));
            *text = all.concat();
        }
        Change::SwapLines(a, b) => {
            let mut all = lines(text);
            let (a, b) = (a.index(all.len()), b.index(all.len()));
            all.swap(a, b);
            *text = all.concat();
        }
    }
}

/// Every diagnostic has a place in the text and says something.
fn sound(all: &[Diagnostic], text: &[u8]) -> Result<(), TestCaseError> {
    let source = String::from_utf8_lossy(text);
    let lines: Vec<&str> = source.split('\n').collect();
    prop_assert!(!all.is_empty());
    for d in all {
        let line = lines.get(d.span.line as usize - 1);
        prop_assert!(line.is_some(), "{d:?}");
        let width = line.map_or(0, |l| l.chars().count()) as u32;
        prop_assert!(1 <= d.span.col && d.span.col <= width + 1 && d.span.len >= 1, "{d:?} in {line:?}");
        prop_assert!(!d.token.is_empty() && !d.message.is_empty(), "{d:?}");
        prop_assert!(d.help.starts_with("expected "), "{d:?}");
        prop_assert!(d.to_string().chars().count() < 1000 && d.render(&source).contains('^'), "{d:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_text_is_read_or_refused(text in 0..TEXTS.len(), changes in vec(change(), 1..6)) {
        let mut bytes = TEXTS[text].as_bytes().to_vec();
        for change in &changes {
            apply(&mut bytes, change);
        }
        if let Err(all) = parse_bytes(&bytes) {
            sound(&all, &bytes)?;
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        // On top of the unchanged text, so that what is loaded already plays a part.
        let mut store = Store::default();
        let base = iptables_restore(&mut store, &["iptables-restore"], TEXTS[0]);
        prop_assert_eq!(base.status, 0);
        let existing = |table| {
            use userland::iptables::TableStore;
            store.get(table).cloned().unwrap_or_else(|| {
                kernel::netfilter::xtables::LoadedTable::new(kernel::netfilter::xtables::RuleSet::empty(table))
            })
        };
        let options = RestoreOptions { noflush: true, counters: true, ..RestoreOptions::default() };
        if let Err(all) = apply_restore(&existing, text, options) {
            sound(&all, &bytes)?;
        }
    }

    #[test]
    fn what_is_accepted_is_printed_and_read_again(text in 0..TEXTS.len(), changes in vec(change(), 1..3)) {
        let mut bytes = TEXTS[text].as_bytes().to_vec();
        for change in &changes {
            apply(&mut bytes, change);
        }
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        let mut store = Store::default();
        if iptables_restore(&mut store, &["iptables-restore", "-c"], &text).status != 0 {
            return Ok(());
        }
        let saved = iptables_save(&mut store, &["iptables-save", "-c"], "DATE").stdout;
        let mut again = Store::default();
        let out = iptables_restore(&mut again, &["iptables-restore", "-c"], &saved);
        prop_assert_eq!(out.status, 0, "{}\n{}", out.stderr, saved);
        // The tables come in the other order.
        let mut twice = Store::default();
        let resaved = iptables_save(&mut again, &["iptables-save", "-c"], "DATE").stdout;
        iptables_restore(&mut twice, &["iptables-restore", "-c"], &resaved);
        prop_assert_eq!(iptables_save(&mut twice, &["iptables-save", "-c"], "DATE").stdout, saved);
    }

    #[test]
    fn any_command_line_is_run_or_refused(words in vec(prop_oneof![
        3 => (0..WORDS.len()).prop_map(|i| WORDS[i].to_owned()),
        1 => "[ -~]{0,12}",
        1 => "\\PC{0,6}",
    ], 0..12)) {
        let mut store = Store::default();
        let mut argv = vec!["iptables".to_owned()];
        argv.extend(words);
        let out = iptables(&mut store, &argv);
        prop_assert_eq!(out.status != 0, !out.diagnostics.is_empty(), "{:?}", argv);
        prop_assert_eq!(out.status != 0, !out.stderr.is_empty(), "{:?}", argv);
        for d in &out.diagnostics {
            prop_assert!(!d.token.is_empty() && d.help.starts_with("expected "), "{argv:?} {d:?}");
        }
    }
}
