//! V9: conntrack's hooks appear only with a rule that needs them.

use super::*;
use kernel::netfilter::hook::{HookFn, InetHook};

/// Whether conntrack stands at PREROUTING in a box with these rules, and how many flows it knows after one.
fn tracked(rules: &str) -> (bool, usize) {
    let run = pair(rules, &[udp(5000, 53, true)]).run().unwrap();
    let a = host(&run, "a");
    (a.hooks_at(InetHook::PreRouting).contains(&HookFn::ConntrackIn), a.ct.count())
}

#[test]
fn v9_no_rule_no_conntrack() {
    assert_eq!(tracked("*filter\nCOMMIT\n"), (false, 0));
}

#[test]
fn v9_an_empty_nat_table_does_not_track() {
    assert_eq!(tracked("*nat\nCOMMIT\n*filter\nCOMMIT\n"), (false, 0));
}

#[test]
fn v9_a_nat_rule_with_another_target_does_not_track() {
    assert_eq!(tracked("*nat\n-A POSTROUTING -j ACCEPT\nCOMMIT\n"), (false, 0));
}

#[test]
fn v9_masquerade_tracks() {
    assert_eq!(tracked("*nat\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n"), (true, 1));
}

#[test]
fn v9_a_conntrack_match_tracks() {
    assert_eq!(tracked(TRACKS), (true, 1));
}

#[test]
fn v9_notrack_does_not_track() {
    assert_eq!(tracked("*raw\n-A OUTPUT -j CT --notrack\nCOMMIT\n*filter\nCOMMIT\n"), (false, 0));
}

/// Entries that are left over still age, and no packet refreshes them.
#[test]
fn v9_when_the_last_rule_goes_entries_are_left_to_age() {
    let none = json!({ "do": "restore", "host": "a", "iptables": "*filter\nCOMMIT\n" });
    let sleep = json!({ "do": "sleep", "ms": 5000 });
    let run = pair(TRACKS, &[udp(5000, 53, true), none, sleep, udp(5000, 53, true)]).run().unwrap();
    let a = host(&run, "a");
    let rows = a.ct.rows(run.world.now());
    assert_eq!(rows.len(), 1);
    assert!(rows[0].timeout <= 25, "{}", rows[0].timeout);
    assert!(!a.hooks_at(InetHook::PreRouting).contains(&HookFn::ConntrackIn));
}
