//! Sessions recorded with the real tool: iptables v1.8.9 (legacy), Linux 6.18, in a throw-away network namespace.
//!
//! A session is played from its start. Lines: `$` command, `<` standard input, `|` standard output, `!` standard
//! error, `=` exit status if it is not 0. The date in the comments of iptables-save is replaced by DATE.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::{Store, shell_words};
use packet::Family;
use userland::iptables::{Output, iptables, iptables_restore, iptables_save};

#[derive(Default)]
struct Step {
    command: String,
    input: String,
    expected: Output,
}

fn steps(session: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in session.lines() {
        let text = line.get(2..).unwrap_or_default();
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), ..Step::default() });
            continue;
        }
        let Some(step) = steps.last_mut() else { continue };
        match line.chars().next() {
            Some('<') => step.input.extend([text, "\n"]),
            Some('|') => step.expected.stdout.extend([text, "\n"]),
            Some('!') => step.expected.stderr.extend([text, "\n"]),
            Some('=') => step.expected.status = text.parse().expect("a status"),
            _ => panic!("no part of a session: {line}"),
        }
    }
    steps
}

fn play(session: &str) -> usize {
    let mut v4 = Store::default();
    let mut v6 = Store::default();
    v6.family = Family::V6;
    let steps = steps(session);
    for step in &steps {
        let argv = shell_words(&step.command);
        let program = argv[0].replace("ip6tables", "iptables");
        let store = if program == argv[0] { &mut v4 } else { &mut v6 };
        let mut out = match program.as_str() {
            "iptables" => iptables(store, &argv),
            "iptables-save" => iptables_save(store, &argv, "DATE"),
            "iptables-restore" => iptables_restore(store, &argv, &step.input),
            other => panic!("{other}"),
        };
        assert!(out.status != 0 || out.diagnostics.is_empty(), "{}", step.command);
        out.diagnostics.clear();
        assert_eq!(out, step.expected, "{}\n{}", step.command, step.input);
    }
    steps.len()
}

macro_rules! sessions {
    ($($name:ident $file:literal $steps:literal,)*) => {
        $(
            #[test]
            fn $name() {
                assert_eq!(play(include_str!(concat!("data/", $file, ".session"))), $steps);
            }
        )*
    };
}

sessions! {
    ip6tables "ip6tables" 129,
    ip6tables_both "ip6tables-both" 13,
    rules_basic "rules-basic" 120,
    rules_ports "rules-ports" 123,
    rules_nat "rules-nat" 60,
    rules_mangle "rules-mangle" 27,
    rules_raw "rules-raw" 22,
    rules_conntrack "rules-conntrack" 70,
    errors "errors" 325,
    loops "loops" 30,
    rename "rename" 17,
    counters "counters" 20,
    every_device "every-device" 5,
    marks "marks" 52,
    more "more" 286,
    matches_older "matches-older" 146,
    matches "matches" 257,
    matches_more "matches-more" 54,
    warnings "warnings" 11,
    matches_conntrack_recent "matches-conntrack-recent" 85,
    rules_mangle_targets "rules-mangle-targets" 85,
    rules_nat_raw_targets "rules-nat-raw-targets" 147,
    rules_marks_log_reject "rules-marks-log-reject" 98,
}
