//! What is said about each kind of mistake that takes more than one line of a text.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::says::{rule, says};
use kernel::netfilter::xtables::{LoadedTable, RuleSet};
use userland::iptables::{Objects, RestoreOptions, apply_restore_with, parse_bytes, parse_restore};

#[test]
fn jump_to_a_chain_that_is_declared_too_late() {
    let text = "*filter\n-A INPUT -j A\n:A - [0:0]\nCOMMIT\n";
    let help = "expected the declaration before its first use; it stands in line 3";
    says(text, 2, 13, "A", "chain \"A\" does not exist yet", help);
}

#[test]
fn jump_to_a_nonexistent_chain() {
    let text = "*filter\n:A - [0:0]\n:B - [0:0]\n-A A -g C\nCOMMIT\n";
    says(text, 4, 9, "C", "-g C: no such chain", "expected one of the chains A, B");
}

#[test]
fn jump_loop_names_its_path_and_the_rule_that_closes_it() {
    let text = "*filter\n:A - [0:0]\n:B - [0:0]\n:C - [0:0]\n-A C -j A\n-A A -j B\n-A B -j C\n-A INPUT -j A\nCOMMIT\n";
    let help = "expected jumps that never lead back to a chain they came from";
    says(text, 7, 9, "C", "the jumps make a loop: A -> B -> C -> A", help);
    let text = "*filter\n:A - [0:0]\n-A INPUT -g A\n-A A -p tcp -j A\nCOMMIT\n";
    says(text, 4, 16, "A", "the jumps make a loop: A -> A", help);
}

#[test]
fn two_jump_loops_are_both_named() {
    let text =
        "*filter\n:A - [0:0]\n:B - [0:0]\n-A INPUT -j A\n-A INPUT -j B\n-A A -j A\n-A B -j B\nCOMMIT\n";
    let lines: Vec<u32> = parse_restore(text).unwrap_err().iter().map(|d| d.span.line).collect();
    assert_eq!(lines, [6, 7]);
}

#[test]
fn jump_loop_that_nothing_reaches_is_no_mistake() {
    assert!(parse_restore("*filter\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-A B -j A\nCOMMIT\n").is_ok());
    // Nor one behind an unconditional verdict.
    assert!(parse_restore("*filter\n:A - [0:0]\n-A INPUT -j A\n-A A -j ACCEPT\n-A A -j A\nCOMMIT\n").is_ok());
}

#[test]
fn chain_declared_twice() {
    let text = "*filter\n:A - [0:0]\n:A - [0:0]\nCOMMIT\n";
    says(
        text,
        3,
        2,
        "A",
        "chain \"A\" is declared twice",
        "expected each chain once; it was declared in line 2",
    );
    rule("-N INPUT", "INPUT", "chain \"INPUT\" exists already", "expected another name");
}

#[test]
fn chain_with_the_name_of_a_target() {
    rule(":LOG - [0:0]", "LOG", "\"LOG\" is the name of a target", "expected another name");
    rule("-N ACCEPT", "ACCEPT", "\"ACCEPT\" is the name of a target", "expected another name");
}

#[test]
fn chain_name_that_is_too_long() {
    let name = "KUBE-SVC-ABCDEFGHIJKLMNOPQRST";
    assert_eq!(name.len(), 29);
    let message = format!("chain name \"{name}\" is too long");
    let help = "expected at most 28 characters";
    rule(&format!(":{name} - [0:0]"), name, &message, help);
    rule(&format!("-N {name}"), name, &message, help);
    rule(&format!("-A {name} -j ACCEPT"), name, &message, help);
    assert!(parse_restore(&format!("*nat\n:{} - [0:0]\nCOMMIT\n", &name[1..])).is_ok());
}

#[test]
fn rule_before_any_table() {
    let help = "expected a line such as *filter or *nat before it";
    says("-A INPUT -j ACCEPT\n", 1, 1, "-A INPUT -j ACCEPT", "\"-A INPUT -j ACCEPT\" before any table", help);
    says("# c\n\n:INPUT ACCEPT\n", 3, 1, ":INPUT ACCEPT", "\":INPUT ACCEPT\" before any table", help);
    says("*filter\nCOMMIT\nCOMMIT\n", 3, 1, "COMMIT", "\"COMMIT\" before any table", help);
}

#[test]
fn unknown_table_is_one_mistake() {
    let text = "*foo\n:BAR - [0:0]\n-A BAR -j BAZ\nCOMMIT\n*filter\nCOMMIT\n";
    says(text, 1, 1, "*foo", "unknown table \"foo\"", "expected one of raw, mangle, nat, filter, security");
}

#[test]
fn missing_commit() {
    let help = "expected a line COMMIT after the rules of *filter";
    says("*filter\n-A INPUT -j ACCEPT\n", 1, 1, "*filter", "table filter has no COMMIT", help);
    let help = "expected a line COMMIT before the next table (*filter is in line 1)";
    says("*filter\n*nat\nCOMMIT\n", 2, 1, "*nat", "table filter has no COMMIT", help);
}

#[test]
fn target_not_allowed_in_the_table() {
    rule(
        "-A INPUT -j MASQUERADE",
        "MASQUERADE",
        "target MASQUERADE in table filter",
        "expected it in table nat",
    );
    rule("-A INPUT -j NOTRACK", "NOTRACK", "target NOTRACK in table filter", "expected it in table raw");
    let text = "*raw\n-A PREROUTING -j CT --helper tftp\nCOMMIT\n";
    says(text, 2, 30, "tftp", "helper tftp without -p udp", "expected -p udp in the rule");
    let text = "*raw\n-A PREROUTING -p udp -j CT --helper sip\nCOMMIT\n";
    says(text, 2, 37, "sip", "no helper \"sip\" is known", "expected ftp or tftp");
    let text = "*raw\n-A PREROUTING -j CT --zone all\nCOMMIT\n";
    says(text, 2, 28, "all", "\"all\" is not a zone", "expected a number from 0 to 65535, or mark");
    let text = "*mangle\n-A FORWARD -p tcp -j TCPMSS --set-mss 1400\nCOMMIT\n";
    let help = "expected -p tcp and --syn, or --tcp-flags with SYN, in the rule";
    says(text, 2, 22, "TCPMSS", "TCPMSS in a rule that does not look for SYN", help);
    let text = "*mangle\n-A INPUT -j REJECT\nCOMMIT\n";
    says(text, 2, 13, "REJECT", "target REJECT in table mangle", "expected it in table filter");
    let help = "expected to drop in table filter: nat sees only the first packet of a flow";
    says("*nat\n-A INPUT -j DROP\nCOMMIT\n", 2, 13, "DROP", "DROP in table nat", help);
}

#[test]
fn target_not_allowed_at_the_hook() {
    let text = "*nat\n-A PREROUTING -j MASQUERADE\nCOMMIT\n";
    let help = "expected MASQUERADE only where POSTROUTING leads";
    says(text, 2, 18, "MASQUERADE", "target MASQUERADE in PREROUTING", help);
    let text =
        "*nat\n:X - [0:0]\n:Y - [0:0]\n-A OUTPUT -j X\n-A X -j Y\n-A Y -j SNAT --to-source 1.2.3.4\nCOMMIT\n";
    let help = "expected SNAT only where POSTROUTING or INPUT leads";
    says(text, 6, 9, "SNAT", "target SNAT in chain Y, which OUTPUT reaches", help);
    // The same chain, reached from nowhere, is no mistake, nor is a rule that the kernel does not look at.
    assert!(parse_restore("*nat\n:Y - [0:0]\n-A Y -j MASQUERADE\nCOMMIT\n").is_ok());
    assert!(
        parse_restore("*nat\n:Y - [0:0]\n-A OUTPUT -j Y\n-A Y -j RETURN\n-A Y -j MASQUERADE\nCOMMIT\n")
            .is_ok()
    );
}

#[test]
fn match_not_allowed_at_the_hook() {
    let text = "*mangle\n-A PREROUTING -m addrtype --dst-type LOCAL --limit-iface-out\nCOMMIT\n";
    let message = "--limit-iface-out in PREROUTING, where no device is known by which the packet leaves";
    says(text, 2, 44, "--limit-iface-out", message, "expected it without this option, or in FORWARD");
    let text = "*filter\n:A - [0:0]\n-A A -m physdev --physdev-out eth0\n-A OUTPUT -j A\nCOMMIT\n";
    let message = "the bridge port of the way out in chain A, which OUTPUT reaches, where it is not known";
    let help = "expected --physdev-is-bridged as well, or a rule in FORWARD or POSTROUTING";
    says(text, 3, 9, "physdev", message, help);
}

#[test]
fn device_of_the_wrong_direction() {
    rule("-A INPUT -o eth0", "eth0", "-o in INPUT, where packets do not leave", "expected -i, or no device");
    rule(
        "-A OUTPUT -i eth0",
        "eth0",
        "-i in OUTPUT, where packets do not come in",
        "expected -o, or no device",
    );
    let text = "*nat\n-A POSTROUTING -i eth0\nCOMMIT\n";
    says(text, 2, 19, "eth0", "-i in POSTROUTING, where packets do not come in", "expected -o, or no device");
    let text = "*nat\n-A PREROUTING -o eth0\nCOMMIT\n";
    says(text, 2, 18, "eth0", "-o in PREROUTING, where packets do not leave", "expected -i, or no device");
}

#[test]
fn quote_that_is_never_closed() {
    let help = "expected a second \" before the end of the line";
    rule("-A INPUT -m comment --comment \"a b", "\"a b", "a quoted text is never closed", help);
}

#[test]
fn broken_chain_line() {
    rule(":INPUT FOO [0:0]", "FOO", "\"FOO\" is not a policy", "expected ACCEPT or DROP");
    rule(
        ":INPUT ACCEPT [x:y]",
        "[x:y]",
        "\"[x:y]\" is not a pair of counters",
        "expected [PACKETS:BYTES] such as [0:0]",
    );
    rule(
        ":INPUT",
        "INPUT",
        "chain \"INPUT\" without a policy",
        "expected ACCEPT or DROP, or - for a user-defined chain",
    );
    rule(":", ":", "a chain without a name", "expected :CHAIN POLICY [PACKETS:BYTES]");
    rule(":A ACCEPT [0:0]", "A", "chain \"A\" has no policy", "expected a built-in chain of this table");
    rule(":INPUT ACCEPT [0:0] x", "x", "\"x\" behind the counters", "expected the end of the line");
}

#[test]
fn broken_counters() {
    rule(
        "[1:2 -A INPUT",
        "[1:2",
        "broken counters before the rule",
        "expected [PACKETS:BYTES] such as [0:0]",
    );
    rule("[1] -A INPUT", "[1]", "broken counters before the rule", "expected [PACKETS:BYTES] such as [0:0]");
}

#[test]
fn table_or_listing_in_a_rule() {
    rule(
        "-A INPUT -t nat",
        "nat",
        "-t in a rule of a restore text",
        "expected the table in a line *TABLE above",
    );
    rule("-L INPUT", "-L", "-L changes nothing", "expected a command that changes the table");
}

#[test]
fn binary_junk() {
    let d = parse_bytes(b"*filter\n-A INPUT -j \xc3\x28\nCOMMIT\n").unwrap_err();
    assert_eq!(
        d[0].to_string(),
        "line 2: byte 0xc3 is not text: expected UTF-8 text; this looks like a binary file"
    );
    assert_eq!((d[0].span.col, d[0].token.as_str()), (13, "0xc3"));
    let d = parse_bytes(b"*filter\n\x00\nCOMMIT\n").unwrap_err();
    assert_eq!(
        (d[0].span.line, d[0].span.col, d[0].message.as_str()),
        (2, 1, "control character U+0000 in the text")
    );
    let d = parse_bytes(b"*filter\r\nCOMMIT\r\n").unwrap_err();
    assert_eq!((d[0].span.line, d[0].span.col, d[0].message.as_str()), (1, 8, "carriage return in the text"));
}

#[test]
fn a_line_of_ten_megabytes() {
    for junk in ["x", "-A ", "! ", "\"", "é", "-m tcp --dport 1 ", "1.1.1.1,", "["] {
        let line = junk.repeat(10_000_000 / junk.len());
        let text = format!("*filter\n-A INPUT {line}\nCOMMIT\n");
        let Err(all) = parse_restore(&text) else { panic!("accepted: {junk}") };
        assert_eq!(all.len(), 1, "{junk}");
        assert_eq!(all[0].span.line, 2, "{junk}");
        assert!(all[0].token.chars().count() <= 60 && all[0].to_string().chars().count() < 500, "{junk}");
        assert!(all[0].render(&text).chars().count() < 1000, "{junk}");
    }
}

#[test]
fn every_line_is_checked_but_not_without_end() {
    let text = format!("*filter\n{}COMMIT\n", "-A INPUT -m foo\n".repeat(1000));
    assert_eq!(parse_restore(&text).unwrap_err().len(), 100);
    let text = "*filter\n-A INPUT -m foo\n-A INPUT -j BAR\nCOMMIT\n*nat\n-A INPUT -s x.y\nCOMMIT\n";
    let lines: Vec<u32> = parse_restore(text).unwrap_err().iter().map(|d| d.span.line).collect();
    assert_eq!(lines, [2, 3, 6]);
}

#[test]
fn nothing_is_no_mistake() {
    for text in ["", "\n\n", "# only a comment\n", "*filter\n\n# c\n:INPUT ACCEPT [0:0]\n\nCOMMIT\n# end\n"] {
        assert!(parse_restore(text).is_ok(), "{text}");
    }
}

#[test]
fn sets_must_exist_where_they_are_known() {
    let text = "*filter\n-A INPUT -m set --match-set A src -m set ! --match-set NO dst\nCOMMIT\n";
    assert!(parse_restore(text).is_ok(), "nobody knows the sets");
    let empty = |table| LoadedTable::new(RuleSet::empty(table));
    let with = |sets: &[String]| {
        let objects = Objects { sets: Some(sets), ..Objects::default() };
        apply_restore_with(&empty, objects, text, RestoreOptions::default())
    };
    assert!(with(&["A".to_owned(), "NO".to_owned()]).is_ok());
    let all = with(&["A".to_owned()]).unwrap_err();
    let d = all.first().expect("one");
    let got = (d.span.line, d.span.col, d.token.as_str(), d.message.as_str(), d.help.as_str());
    let message = "there is no set \"NO\"";
    assert_eq!(got, (2, 56, "NO", message, "expected a set that ipset has created"));
}

#[test]
fn directions_of_a_set() {
    let help = "expected src or dst for each part of the set's members, such as dst,dst,src";
    rule("-A INPUT -m set --match-set S foo", "foo", "\"foo\" is not a list of directions", help);
    rule("-A INPUT -m set --match-set S src,", "src,", "\"src,\" is not a list of directions", help);
    let many = "src,dst,src,src,src,src,dst";
    rule(
        &format!("-A INPUT -m set --match-set S {many}"),
        many,
        &format!("too many directions in \"{many}\""),
        "expected at most 6",
    );
    let line = "-A INPUT -m set --match-set S src --packets-eq 1 --packets-gt x";
    let both = "--packets-gt together with another condition on packets";
    rule(line, "x", both, "expected one of --packets-eq, --packets-lt, --packets-gt");
    rule("-A INPUT -m set", "set", "set without --match-set", "expected the option --match-set");
}
