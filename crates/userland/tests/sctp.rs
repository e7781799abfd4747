//! `-m sctp`: text as iptables 1.8.9 takes and prints it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

use userland::iptables::{parse_restore, print_rule};

fn printed(options: &str) -> Result<String, String> {
    let text = format!("*filter\n-A INPUT -p sctp {options}\nCOMMIT\n");
    let tables = parse_restore(&text).map_err(|all| all[0].message.clone())?;
    let loaded = tables.into_iter().next().unwrap().load();
    let chain = loaded.rules.chains.iter().find(|c| &*c.name == "INPUT").unwrap();
    Ok(print_rule(&loaded.rules, &chain.rules[0]))
}

/// What was typed, and what `iptables-save` of the real tool said.
#[test]
fn rules_are_printed_as_the_real_tool_prints_them() {
    for (typed, saved) in [
        ("--chunk-types any data:B", "-m sctp --chunk-types any DATA:B"),
        ("--chunk-types only ALL", "-m sctp --chunk-types only ALL"),
        ("--chunk-types only NONE", "-m sctp --chunk-types only NONE"),
        ("-m sctp", "-m sctp"),
        ("--dport 5:", "-m sctp --dport 5:65535"),
        ("--dport :5", "-m sctp --dport 0:5"),
        ("--dport 0:65535", "-m sctp --dport 0:65535"),
        ("! --dport 7", "-m sctp ! --dport 7"),
        ("--source-port 5 --destination-port 6", "-m sctp --sport 5 --dport 6"),
        ("--chunk-types any ABORT:T,ABORT:t", "-m sctp --chunk-types any ABORT:T"),
        ("--chunk-types all DATA:UBEi", "-m sctp --chunk-types all DATA:iUBE"),
        ("--chunk-types any ASCONF,FORWARD_TSN,PAD", "-m sctp --chunk-types any PAD,FORWARD_TSN,ASCONF"),
        (
            "-m sctp ! --chunk-types all DATA:Be,ABORT:t,SHUTDOWN_COMPLETE:T",
            "-m sctp ! --chunk-types all DATA:Be,ABORT:t,SHUTDOWN_COMPLETE:T",
        ),
    ] {
        assert_eq!(printed(typed), Ok(format!("-p sctp {saved}")), "{typed}");
    }
}

#[test]
fn wrong_words_are_refused() {
    for typed in [
        "--chunk-types any FOO",
        "--chunk-types foo DATA",
        "--chunk-types any DATA:X",
        "--chunk-types any SACK:B",
        "--chunk-types any",
        "--dport 9:5",
        "--dport 70000",
        "--chunk-types any DATA --chunk-types any INIT",
    ] {
        assert!(printed(typed).is_err(), "{typed}");
    }
}
