//! The jump graph.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::{ChainId, LoadedTable, RuleSet, TableId};
use userland::iptables::{JumpGraph, ParsedTable, RestoreOptions, apply_restore, parse_restore, references};

fn set(text: &str) -> RuleSet {
    match parse_restore(text) {
        Ok(mut tables) => tables.remove(0).rules,
        Err(all) => panic!("{}", all[0].render(text)),
    }
}

const TEXT: &str = "*filter\n:A - [0:0]\n:B - [0:0]\n:C - [0:0]\n:D - [0:0]\n-A INPUT -j A\n-A INPUT -p tcp -j B\n\
                    -A FORWARD -g B\n-A B -j A\n-A C -j D\n-A D -j C\nCOMMIT\n";

#[test]
fn references_count_jumps_and_gotos() {
    let set = set(TEXT);
    let count = |name| references(&set, set.chain(name).unwrap());
    assert_eq!(["A", "B", "C", "D"].map(count), [2, 2, 1, 1]);
}

#[test]
fn chains_know_the_hooks_that_reach_them() {
    let set = set(TEXT);
    let graph = JumpGraph::new(&set);
    let reach = graph.reach();
    let of = |name| reach[usize::from(set.chain(name).unwrap().0)].iter().collect::<Vec<_>>();
    assert_eq!(of("A"), [InetHook::LocalIn, InetHook::Forward]);
    assert_eq!(of("OUTPUT"), [InetHook::LocalOut]);
    assert_eq!(of("C"), []);
}

#[test]
fn unreachable_chains_and_their_circles() {
    let set = set(TEXT);
    let graph = JumpGraph::new(&set);
    let names: Vec<&str> =
        graph.unreachable_chains().iter().map(|c| &*set.chains[usize::from(c.0)].name).collect();
    assert_eq!(names, ["C", "D"]);
    // A circle that nothing reaches is not refused.
    assert_eq!(graph.loops(), []);
}

#[test]
fn a_long_chain_of_jumps_is_walked() {
    let n = 60_000;
    let mut text = String::from("*filter\n");
    (0..n).for_each(|i| text.push_str(&format!(":C{i:05} - [0:0]\n")));
    text.push_str("-A INPUT -j C00000\n");
    (1..n).for_each(|i| text.push_str(&format!("-A C{:05} -j C{i:05}\n", i - 1)));
    assert!(parse_restore(&format!("{text}COMMIT\n")).is_ok());
    let all = parse_restore(&format!("{text}-A C{:05} -j C00000\nCOMMIT\n", n - 1)).unwrap_err();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].span.line, 2 * n + 2);
    assert!(
        all[0].message.starts_with("the jumps make a loop: C00000 -> C00001 -> C00002 -> "),
        "{}",
        all[0].message
    );
    assert!(all[0].message.len() < 300, "{}", all[0].message);
}

#[test]
fn more_chains_than_numbers_are_refused() {
    let mut text = String::from("*filter\n");
    (0..70_000).for_each(|i| text.push_str(&format!(":C{i} - [0:0]\n")));
    let all = parse_restore(&format!("{text}COMMIT\n")).unwrap_err();
    assert_eq!(all[0].message, "too many chains");
}

fn on(base: &str, text: &str, options: RestoreOptions) -> ParsedTable {
    let loaded = parse_restore(base).unwrap().remove(0).load();
    let existing =
        |t: TableId| if t == TableId::Filter { loaded.clone() } else { LoadedTable::new(RuleSet::empty(t)) };
    match apply_restore(&existing, text, options) {
        Ok(mut tables) => tables.remove(0),
        Err(all) => panic!("{}", all[0].render(text)),
    }
}

const BASE: &str = "*filter\n:INPUT DROP [1:2]\n:A - [0:0]\n:B - [0:0]\n[3:4] -A A -j B\n[5:6] -A B -j ACCEPT\n[7:8] -A INPUT -j A\nCOMMIT\n";

#[test]
fn noflush_keeps_what_the_text_does_not_name() {
    let text = "*filter\n:A - [0:0]\n:C - [0:0]\n[1:1] -A A -j C\nCOMMIT\n";
    let table = on(BASE, text, RestoreOptions { noflush: true, counters: true, ..RestoreOptions::default() });
    let chain = |name: &str| usize::from(table.rules.chain(name).unwrap().0);
    let (a, b, input) = (chain("A"), chain("B"), chain("INPUT"));
    assert_eq!(table.lines[a], [Some(4)]);
    assert_eq!(table.lines[b], [None]);
    assert_eq!(table.chain_lines[chain("C")], Some(3));
    assert_eq!(table.state.counters(b, 0).packets, 5);
    assert_eq!(table.state.counters(a, 0).packets, 1);
    // libiptc does not bring the counters of the policies back when it commits a change.
    assert_eq!(table.policy[input].packets, 0);
    assert_eq!(table.rules.chains[a].rules[0].target.chain(), Some(ChainId(chain("C") as u16)));
}

#[test]
fn without_noflush_only_the_policies_stay() {
    let table = on(BASE, "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n", RestoreOptions::default());
    assert_eq!(table.rules.chains.len(), 3);
    let input = &table.rules.chains[0];
    assert_eq!((input.base.unwrap().1.to_string().as_str(), input.rules.len()), ("DROP", 1));
    assert_eq!((table.policy[0].packets, table.state.counters(0, 0).packets), (0, 0));
}

#[test]
fn a_commit_that_changes_nothing_leaves_the_policies_counters() {
    let options = RestoreOptions { noflush: true, counters: true, ..RestoreOptions::default() };
    for text in ["*filter\nCOMMIT\n", "*filter\n:INPUT - [9:9]\nCOMMIT\n"] {
        assert_eq!(on(BASE, text, options).policy[0].packets, 1, "{text}");
    }
    assert_eq!(on(BASE, "*filter\n:INPUT DROP [9:9]\nCOMMIT\n", options).policy[0].packets, 9);
}

#[test]
fn counters_are_taken_only_if_asked() {
    let table = on("*filter\nCOMMIT\n", BASE, RestoreOptions::default());
    assert!(table.state.chains().flatten().all(|s| s.counters.packets == 0));
    assert_eq!(table.policy[0].packets, 0);
}

#[test]
fn user_defined_chains_are_sorted_by_name() {
    let set = set("*filter\n:b - [0:0]\n:B - [0:0]\n:A - [0:0]\n:a-1 - [0:0]\n-A b -j B\nCOMMIT\n");
    let names: Vec<&str> = set.chains.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["INPUT", "FORWARD", "OUTPUT", "A", "B", "a-1", "b"]);
    assert_eq!(set.chains[6].rules[0].target.chain(), Some(ChainId(4)));
    assert_eq!(set.check(), Ok(()));
}
