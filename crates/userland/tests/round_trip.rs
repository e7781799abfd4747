//! What is printed is read back as the same, and what is read twice is printed twice.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::rules::table;
use proptest::prelude::*;
use userland::iptables::{parse_restore, print_rule, print_save, rule_tokens};

/// Rule sets that kube-proxy and the CNI plugins of the recorded clusters load, as iptables-save prints them.
const SAVED: [&str; 6] = [
    include_str!("data/S1-clusterip-remote.save"),
    include_str!("data/S3-nodeport-cluster-local.save"),
    include_str!("data/S4-nodeport-local-local.save"),
    include_str!("data/S10-addrtype.save"),
    include_str!("data/S10-reject-types.save"),
    include_str!("data/X-output-reroute.save"),
];

/// The same as they were written.
const WRITTEN: [&str; 6] = [
    include_str!("data/S1-clusterip-remote.rules"),
    include_str!("data/S3-nodeport-cluster-local.rules"),
    include_str!("data/S4-nodeport-local-local.rules"),
    include_str!("data/S10-addrtype.rules"),
    include_str!("data/S10-reject-types.rules"),
    include_str!("data/X-output-reroute.rules"),
];

#[test]
fn real_texts_are_printed_as_the_real_tool_prints_them() {
    for (written, saved) in WRITTEN.iter().zip(SAVED) {
        let tables = match parse_restore(written) {
            Ok(tables) => tables,
            Err(all) => panic!("{}", all[0].render(written)),
        };
        // iptables-save has an order of its own.
        let mut printed: Vec<String> = tables.into_iter().map(|t| print_save(&t.load(), false)).collect();
        let mut expected: Vec<String> = saved.split_inclusive("COMMIT\n").map(str::to_owned).collect();
        printed.sort();
        expected.sort();
        assert_eq!(printed, expected);
    }
}

proptest! {
    #[test]
    fn emit_then_parse_is_the_identity(loaded in table()) {
        let text = print_save(&loaded, true);
        let tables = match parse_restore(&text) {
            Ok(tables) => tables,
            Err(all) => panic!("{}", all[0].render(&text)),
        };
        prop_assert_eq!(tables.len(), 1);
        let again = tables.into_iter().next().unwrap().load();
        prop_assert_eq!(&again.rules, &loaded.rules, "{}", text);
        prop_assert_eq!(&again.state, &loaded.state);
        prop_assert_eq!(&again.policy, &loaded.policy);
        prop_assert_eq!(print_save(&again, true), text);
    }

    #[test]
    fn tokens_joined_are_the_rule(loaded in table()) {
        for rule in loaded.rules.chains.iter().flat_map(|c| &c.rules) {
            let texts: Vec<String> = rule_tokens(&loaded.rules, rule).into_iter().map(|t| t.text).collect();
            prop_assert_eq!(texts.join(" "), print_rule(&loaded.rules, rule));
        }
    }
}
