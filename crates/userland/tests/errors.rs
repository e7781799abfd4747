//! What is said about each kind of mistake in a rule: the token, what is wrong and what was expected.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::says::{only, rule};

const TARGETS: &str = "ACCEPT, CHECKSUM, CONNMARK, CT, DNAT, DROP, LOG, MARK, MASQUERADE, NETMAP, NFLOG, NOTRACK, REDIRECT, REJECT, RETURN, SET, SNAT, TCPMSS, TRACE, TTL";
const MATCHES: &str = "addrtype, comment, connmark, conntrack, helper, icmp, iprange, ipvs, length, limit, mac, mark, multiport, nfacct, owner, physdev, pkttype, recent, rpfilter, sctp, set, state, statistic, tcp, tcpmss, ttl, udp";

#[test]
fn unknown_match() {
    rule("-A INPUT -m foo -j ACCEPT", "foo", "unknown match \"foo\"", &format!("expected one of {MATCHES}"));
}

#[test]
fn match_that_is_not_modelled() {
    for name in ["hashlimit", "connlimit", "quota", "string"] {
        let message = format!("match \"{name}\" is not modelled");
        rule(&format!("-A INPUT -m {name} -j ACCEPT"), name, &message, &format!("expected one of {MATCHES}"));
    }
}

#[test]
fn unknown_target() {
    let help = format!("expected one of {TARGETS}, or a user-defined chain, of which there are none");
    rule("-A INPUT -j FOO", "FOO", "unknown target or chain \"FOO\"", &help);
}

#[test]
fn target_in_small_letters() {
    let help = "expected ACCEPT (targets are written in capitals)";
    rule("-A INPUT -j accept", "accept", "unknown target or chain \"accept\"", help);
}

#[test]
fn target_that_is_not_modelled() {
    for name in ["TPROXY", "TEE", "TOS", "NFQUEUE", "DSCP", "QUEUE"] {
        let help = format!("expected one of {TARGETS}, or a chain");
        rule(&format!("-A INPUT -j {name}"), name, &format!("target {name} is not modelled"), &help);
    }
}

#[test]
fn unknown_option() {
    let help = "expected one of -s, -d, -i, -o, -p, -f, -m, -j, -g, -c";
    rule("-A INPUT --foo -j ACCEPT", "--foo", "unknown option \"--foo\"", help);
    rule("-A INPUT -Q", "-Q", "unknown option \"-Q\"", help);
}

#[test]
fn option_of_a_match_that_is_not_loaded() {
    rule(
        "-A INPUT --ctstate NEW",
        "--ctstate",
        "unknown option \"--ctstate\"",
        "expected -m conntrack before it",
    );
    rule(
        "-A INPUT --to-ports 8",
        "--to-ports",
        "unknown option \"--to-ports\"",
        "expected -j MASQUERADE or -j REDIRECT before it",
    );
}

#[test]
fn dport_without_protocol() {
    for before in ["", "-p icmp ", "-m comment --comment x "] {
        let help = "expected -p sctp or -p tcp or -p udp before it";
        rule(&format!("-A INPUT {before}--dport 80"), "--dport", "unknown option \"--dport\"", help);
    }
    rule(
        "-A INPUT --dport 80 -p tcp",
        "--dport",
        "unknown option \"--dport\"",
        "expected -p sctp or -p tcp or -p udp before it",
    );
}

#[test]
fn dport_of_a_protocol_that_is_not_modelled() {
    let help = "expected -p tcp, -p udp or -p icmp for options of a protocol";
    rule("-A INPUT -p dccp --dport 80", "--dport", "options of protocol dccp are not modelled", help);
}

#[test]
fn match_of_another_protocol() {
    rule("-A INPUT -m tcp -j ACCEPT", "tcp", "match tcp needs -p tcp", "expected -p tcp before it");
    rule("-A INPUT -p udp -m tcp --dport 5", "tcp", "match tcp needs -p tcp", "expected -p tcp before it");
    rule("-A INPUT ! -p tcp -m tcp --dport 5", "tcp", "match tcp with ! -p", "expected -p tcp without !");
    rule(
        "-A INPUT -p udp -j REJECT --reject-with tcp-reset",
        "tcp-reset",
        "tcp-reset without -p tcp",
        "expected -p tcp in the rule",
    );
}

#[test]
fn ambiguous_option() {
    rule(
        "-A INPUT -p tcp --d 80",
        "--d",
        "ambiguous option \"--d\"",
        "expected the whole name of the option",
    );
}

#[test]
fn jump_to_a_built_in_chain() {
    let help = "expected a user-defined chain to jump to";
    rule("-A INPUT -j FORWARD", "FORWARD", "FORWARD is a built-in chain", help);
}

#[test]
fn rule_for_a_nonexistent_chain() {
    let help = "expected one of INPUT, FORWARD, OUTPUT, or a user-defined chain, of which there are none";
    rule("-A FOO -j ACCEPT", "FOO", "table filter has no chain \"FOO\"", help);
    let help = "expected INPUT (built-in chains are written in capitals)";
    rule("-A input -j ACCEPT", "input", "table filter has no chain \"input\"", help);
}

#[test]
fn option_without_its_value() {
    rule(
        "-A INPUT -p tcp --dport",
        "--dport",
        "--dport is missing its value",
        "expected PORT[:PORT] after --dport",
    );
    let help = "expected PORT[:PORT] after --dport, found \"-j\"";
    rule("-A INPUT -p tcp --dport -j ACCEPT", "-j", "--dport is missing its value", help);
    rule(
        "-A INPUT -s -j ACCEPT",
        "-j",
        "-s is missing its value",
        "expected ADDRESS[/MASK] after -s, found \"-j\"",
    );
    rule("-A INPUT -j", "-j", "-j is missing its value", "expected TARGET after -j");
    rule("-A INPUT -j -p tcp", "-p", "-j is missing its value", "expected TARGET after -j, found \"-p\"");
    rule("-A INPUT -m", "-m", "-m is missing its value", "expected MATCH after -m");
    rule("-A", "-A", "-A is missing its value", "expected CHAIN after -A");
    let help = "expected MASK SET after --tcp-flags";
    rule("-A INPUT -p tcp --tcp-flags SYN -j DROP", "--tcp-flags", "--tcp-flags is missing its value", help);
    rule("-A INPUT -c 5 -j DROP", "5", "-c with one number", "expected packets and bytes");
}

#[test]
fn number_out_of_range() {
    let port = "expected a port from 0 to 65535 or the name of a service";
    rule("-A INPUT -p tcp --dport 65536", "65536", "\"65536\" is not a port", port);
    rule("-A INPUT -p udp --dport 65536", "65536", "\"65536\" is not a port", port);
    let protocol = "expected a name such as tcp, udp, icmp, or a number from 0 to 255";
    rule("-A INPUT -p 256", "256", "unknown protocol \"256\"", protocol);
    let mark = "expected a number of 32 bits such as 0x4000, or with a mask, 0x4000/0x4000";
    rule("-A INPUT -m mark --mark 0x100000000", "0x100000000", "\"0x100000000\" is not a mark", mark);
    let probability = "expected a decimal number from 0 to 1 such as 0.5";
    rule(
        "-A INPUT -m statistic --mode random --probability 1.1",
        "1.1",
        "\"1.1\" is not a value for --probability",
        probability,
    );
    let packet = "expected --packet from 0 to 2";
    rule(
        "-A INPUT -m statistic --mode nth --every 3 --packet 3",
        "statistic",
        "--packet 3 is never reached with --every 3",
        packet,
    );
    rule(
        "-A INPUT -p tcp --dport 90:80",
        "90:80",
        "the port range \"90:80\" runs backwards",
        "expected the smaller port first",
    );
    let ports = "expected at most 15 ports, a range counting as two";
    rule(
        "-A INPUT -p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
        "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
        "more ports than multiport can hold",
        ports,
    );
    let number = "expected a number from 1";
    rule("-I INPUT 0 -j DROP", "0", "\"0\" is not a rule number", number);
    rule(
        "-I INPUT 5 -j DROP",
        "5",
        "chain \"INPUT\" has no rule 5",
        "expected a rule, but the chain is empty",
    );
}

#[test]
fn bad_address() {
    let four = "expected four numbers from 0 to 255 such as 10.0.0.1";
    rule("-A INPUT -s 10.0.0.256", "10.0.0.256", "\"10.0.0.256\" is not an IPv4 address", four);
    let mask = "expected a prefix length from 0 to 32, or a mask such as 255.255.0.0";
    rule("-A INPUT -s 10.0.0.0/33", "10.0.0.0/33", "\"33\" is not a mask", mask);
    let name = "expected an IPv4 address such as 10.0.0.1 (names are not looked up)";
    rule("-A INPUT -d example.org", "example.org", "\"example.org\" is a name, not an address", name);
    let six = "expected an IPv4 address";
    rule("-A INPUT -d fd00::1/128", "fd00::1/128", "\"fd00::1\" is an IPv6 address", six);
    let list = "expected a single address or network behind !";
    rule("-A INPUT ! -s 1.1.1.1,2.2.2.2", "1.1.1.1,2.2.2.2", "! with a list of addresses", list);
}

#[test]
fn lists_of_addresses_have_a_limit() {
    let list = vec!["10.0.0.1"; 100].join(",");
    let d = only(&format!("*filter\n-A INPUT -s {list} -d {list}\nCOMMIT\n"));
    assert_eq!((d.span.line, d.message.as_str()), (2, "the lists of addresses make too many rules"));
    assert_eq!(d.help, "expected at most 4096");
}

#[test]
fn option_given_twice() {
    for (text, token) in [
        ("-A INPUT -s 1.1.1.1 -s 2.2.2.2", "-s"),
        ("-A INPUT -p tcp -p udp", "-p"),
        ("-A INPUT -j ACCEPT -j DROP", "-j"),
        ("-A INPUT -f -f", "-f"),
        ("-A INPUT -i eth0 --in-interface eth1", "--in-interface"),
    ] {
        rule(text, token, &format!("{token} is given twice"), "expected it only once");
    }
    rule("-A INPUT -p tcp --dport 80 --dport 81", "81", "--dport is given twice", "expected it only once");
    rule("-A INPUT -m mark --mark 1 --mark 2", "2", "--mark is given twice", "expected it only once");
}

#[test]
fn exclamation_mark_in_the_wrong_place() {
    rule(
        "-A INPUT -s ! 10.0.0.1",
        "!",
        "\"!\" behind -s",
        "expected ! before the option: ! -s ADDRESS[/MASK]",
    );
    rule("-A INPUT -p ! tcp", "!", "\"!\" behind -p", "expected ! before the option: ! -p PROTOCOL");
    rule("-A INPUT -i ! eth0", "!", "\"!\" behind -i", "expected ! before the option: ! -i DEVICE");
    rule(
        "-A INPUT -p tcp --dport ! 80",
        "!",
        "\"!\" behind --dport",
        "expected ! before the option: ! --dport PORT[:PORT]",
    );
    rule("-A INPUT ! ! -s 10.0.0.1", "!", "a second !", "expected an option after !");
    rule("-A INPUT ! -j ACCEPT", "!", "! before -j", "expected ! only before an option that can be negated");
    rule("-A INPUT -j ACCEPT !", "!", "! at the end", "expected an option after !");
    rule(
        "-A INPUT -j LOG ! --log-prefix x",
        "x",
        "--log-prefix cannot be negated",
        "expected --log-prefix without !",
    );
}

#[test]
fn every_protocol_cannot_be_inverted() {
    rule(
        "-A INPUT ! -p all",
        "all",
        "the rule would never match: all is every protocol",
        "expected a protocol",
    );
}

#[test]
fn word_that_belongs_to_nothing() {
    let help = "expected an option such as -j; a text with blanks needs quotes";
    rule("-A INPUT -m comment --comment a b", "b", "\"b\" belongs to no option", help);
    rule("foo", "foo", "\"foo\" belongs to no option", help);
}
