//! Which piece of a rule's text stands for which check of the kernel.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

use kernel::dev::IfAddr;
use kernel::netfilter::xtables::CheckOf;
use userland::iptables::{parse_restore, rule_tokens};

const TARGET: Option<CheckOf> = None;

fn part(index: u8, part: u8) -> Option<CheckOf> {
    Some(CheckOf::Match { index, part })
}

/// The tokens of a rule in a chain that nothing reaches.
#[track_caller]
fn tokens(rule: &str, expected: &[(&str, Option<CheckOf>)]) {
    let text = format!("*filter\n:T - [0:0]\n:U - [0:0]\n-A T {rule}\nCOMMIT\n");
    let tables = match parse_restore(&text) {
        Ok(tables) => tables,
        Err(all) => panic!("{}", all[0].render(&text)),
    };
    let set = &tables[0].rules;
    let chain = &set.chains[usize::from(set.chain("T").unwrap().0)];
    let got: Vec<_> = rule_tokens(set, &chain.rules[0]).into_iter().map(|t| (t.text, t.of)).collect();
    let expected: Vec<_> = expected.iter().map(|(t, of)| ((*t).to_owned(), *of)).collect();
    assert_eq!(got, expected, "{rule}");
}

#[test]
fn selectors() {
    tokens(
        "-j ACCEPT ! -o eth+ -p tcp -i lo -f -d 10.32.0.102 ! -s 10.0.0.0/8",
        &[
            ("! -s 10.0.0.0/8", Some(CheckOf::Src)),
            ("-d 10.32.0.102/32", Some(CheckOf::Dst)),
            ("-i lo", Some(CheckOf::InIface)),
            ("! -o eth+", Some(CheckOf::OutIface)),
            ("-p tcp", Some(CheckOf::Proto)),
            ("-f", Some(CheckOf::Fragment)),
            ("-j ACCEPT", TARGET),
        ],
    );
    tokens("! -f -g U", &[("! -f", Some(CheckOf::Fragment)), ("-g U", TARGET)]);
    tokens("", &[]);
}

#[test]
fn matches_in_the_order_of_the_rule() {
    tokens(
        "-m comment --comment \"a b\" -p tcp -m tcp ! --sport 5 --dport 80 -j U",
        &[
            ("-p tcp", Some(CheckOf::Proto)),
            ("-m comment --comment \"a b\"", part(0, 0)),
            ("-m tcp ! --sport 5", part(1, 0)),
            ("--dport 80", part(1, 1)),
            ("-j U", TARGET),
        ],
    );
}

#[test]
fn absent_options_are_not_counted() {
    tokens(
        "-p tcp --dport 80 --syn",
        &[
            ("-p tcp", Some(CheckOf::Proto)),
            ("-m tcp --dport 80", part(0, 0)),
            ("--tcp-flags FIN,SYN,RST,ACK SYN", part(0, 1)),
        ],
    );
    tokens(
        "-p udp -m udp --dport 53 -m conntrack --ctorigdst 1.2.3.4 --ctexpire 5",
        &[
            ("-p udp", Some(CheckOf::Proto)),
            ("-m udp --dport 53", part(0, 0)),
            ("-m conntrack --ctorigdst 1.2.3.4", part(1, 0)),
            ("--ctexpire 5", part(1, 1)),
        ],
    );
}

#[test]
fn a_match_without_options_is_its_first_part() {
    tokens(
        "-p tcp -m tcp -j DROP",
        &[("-p tcp", Some(CheckOf::Proto)), ("-m tcp", part(0, 0)), ("-j DROP", TARGET)],
    );
}

#[test]
fn conntrack_looks_at_the_direction_second_and_prints_it_last() {
    tokens(
        "-m conntrack --ctdir REPLY --ctstate NEW --ctproto tcp --ctstatus ASSURED",
        &[
            ("-m conntrack --ctstate NEW", part(0, 0)),
            ("--ctproto 6", part(0, 2)),
            ("--ctstatus ASSURED", part(0, 3)),
            ("--ctdir REPLY", part(0, 1)),
        ],
    );
    tokens(
        "-m conntrack --ctdir REPLY --ctreplsrcport 5",
        &[("-m conntrack --ctreplsrcport 5", part(0, 1)), ("--ctdir REPLY", part(0, 0))],
    );
}

#[test]
fn physdev_looks_at_the_bridge_first() {
    tokens(
        "-m physdev --physdev-in a --physdev-out b --physdev-is-in --physdev-is-out --physdev-is-bridged",
        &[
            ("-m physdev --physdev-is-in", part(0, 1)),
            ("--physdev-in a", part(0, 3)),
            ("--physdev-is-out", part(0, 2)),
            ("--physdev-out b", part(0, 4)),
            ("--physdev-is-bridged", part(0, 0)),
        ],
    );
    tokens(
        "-m physdev ! --physdev-out b --physdev-in a",
        &[("-m physdev --physdev-in a", part(0, 0)), ("! --physdev-out b", part(0, 1))],
    );
}

#[test]
fn limits_of_addrtype_are_no_check() {
    tokens(
        "-m addrtype --limit-iface-in --dst-type LOCAL ! --src-type UNICAST -j ACCEPT",
        &[
            ("-m addrtype ! --src-type UNICAST", part(0, 0)),
            ("--dst-type LOCAL", part(0, 1)),
            ("--limit-iface-in", None),
            ("-j ACCEPT", TARGET),
        ],
    );
}

#[test]
fn matches_with_one_check() {
    tokens("-m mark ! --mark 0x4000/0x4000", &[("-m mark ! --mark 0x4000/0x4000", part(0, 0))]);
    tokens("-m state --state NEW", &[("-m state --state NEW", part(0, 0))]);
    tokens(
        "-m statistic --mode random --probability 0.5",
        &[("-m statistic --mode random --probability 0.50000000000", part(0, 0))],
    );
    tokens(
        "-m statistic --mode nth ! --every 3 --packet 1",
        &[("-m statistic --mode nth ! --every 3 --packet 1", part(0, 0))],
    );
    tokens(
        "-p icmp --icmp-type ping",
        &[("-p icmp", Some(CheckOf::Proto)), ("-m icmp --icmp-type 8", part(0, 0))],
    );
    tokens(
        "-p udp -m multiport ! --ports 1,2:3",
        &[("-p udp", Some(CheckOf::Proto)), ("-m multiport ! --ports 1,2:3", part(0, 0))],
    );
}

#[test]
fn every_device_is_not_printed() {
    tokens("-i + -j DROP", &[("-j DROP", TARGET)]);
}

#[test]
fn target_with_options_is_one_token() {
    tokens("-j LOG --log-prefix \"a b\" --log-uid", &[("-j LOG --log-prefix \"a b\" --log-uid", TARGET)]);
    tokens("-j MARK --or-mark 0x4000", &[("-j MARK --set-xmark 0x4000/0x4000", TARGET)]);
}

/// Loads the rule in mangle PREROUTING, lets a TCP SYN for this host come in by eth0, and gives what the kernel saw at
/// each token of the rule, in the order in which it looked.
fn seen(rule: &str) -> Vec<(String, String)> {
    use kernel::event::{RuleOutcome, What};
    use kernel::{Chance, Cx, Ids, Instant, Netns, NetnsId, PacketId, dev::DevKind};
    use packet::{Frame, Ip, L4, Mac, Payload, Tcp, TcpFlags, TcpOptions};

    let text = format!("*mangle\n-A PREROUTING {rule}\nCOMMIT\n");
    let table = match parse_restore(&text) {
        Ok(mut tables) => tables.remove(0),
        Err(all) => panic!("{}", all[0].render(&text)),
    };
    let set = table.rules.clone();
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let mut ns = Netns::new(NetnsId(0), "box");
    let eth0 = ns.add_device("eth0", mac, DevKind::Veth);
    ns.set_up(eth0, true);
    ns.add_addr(eth0, IfAddr::new("10.0.0.1/24".parse().unwrap())).unwrap();
    ns.load_table_with_state(table.load()).unwrap();
    let tcp = Tcp {
        sport: 1234,
        dport: 80,
        seq: 1,
        ack: 0,
        flags: TcpFlags::SYN,
        window: 64240,
        options: TcpOptions::default(),
        payload: Vec::new(),
        checksum_ok: true,
    };
    let ip = Ip::new([10, 0, 0, 9].into(), [10, 0, 0, 1].into(), L4::Tcp(tcp));
    let frame = Frame { src: Mac([2, 0, 0, 0, 0, 9]), dst: mac, payload: Payload::Ip(ip) };
    let (mut rng, mut ids, mut log, mut out) = (Chance::new(1, 1), Ids::default(), Vec::new(), Vec::new());
    let mut cx = Cx {
        now: Instant(0),
        netns: NetnsId(0),
        rng: &mut rng,
        ids: &mut ids,
        log: Some(&mut log),
        out: &mut out,
    };
    ns.receive(eth0, PacketId(1), frame.into(), &mut cx);
    let steps = log.into_iter().filter_map(|e| match e.what {
        What::Rule(step) => Some(step.outcome),
        _ => None,
    });
    let checks = steps.into_iter().find_map(|outcome| match outcome {
        RuleOutcome::Match { checks, .. } | RuleOutcome::NoMatch { checks, .. } => Some(checks),
        _ => None,
    });
    let tokens = rule_tokens(&set, &set.chains[0].rules[0]);
    let pair = |c: kernel::netfilter::xtables::Check| {
        let token = tokens.iter().find(|t| t.of == Some(c.of)).map_or("(none)", |t| &t.text);
        (token.to_owned(), format!("{:?}", c.seen))
    };
    checks.expect("the rule was looked at").into_iter().map(pair).collect()
}

#[test]
fn the_kernel_looks_at_the_tokens_that_the_page_shows() {
    let pairs = |rule: &str, expected: &[(&str, &str)]| {
        let expected: Vec<_> = expected.iter().map(|(t, s)| ((*t).to_owned(), (*s).to_owned())).collect();
        assert_eq!(seen(rule), expected, "{rule}");
    };
    pairs(
        "-s 10.0.0.0/8 -d 10.0.0.1 -i eth0 -p tcp ! -f -m tcp --sport 1000:2000 --dport 80 --syn -m comment --comment x",
        &[
            ("-s 10.0.0.0/8", "Addr(10.0.0.9)"),
            ("-d 10.0.0.1/32", "Addr(10.0.0.1)"),
            ("-i eth0", "Iface(\"eth0\")"),
            ("-p tcp", "Proto(tcp)"),
            ("! -f", "Word(\"not a later fragment\")"),
            ("-m tcp --sport 1000:2000", "Port(1234)"),
            ("--dport 80", "Port(80)"),
            ("--tcp-flags FIN,SYN,RST,ACK SYN", "Text(\"S\")"),
            ("-m comment --comment x", "Nothing"),
        ],
    );
    pairs(
        "-m conntrack --ctdir ORIGINAL --ctstate NEW --ctproto tcp --ctorigdstport 80 --ctorigsrc 10.0.0.9 -j ACCEPT",
        &[
            ("-m conntrack --ctstate NEW", "State(New)"),
            ("--ctdir ORIGINAL", "Word(\"original\")"),
            ("--ctproto 6", "Proto(tcp)"),
            ("--ctorigsrc 10.0.0.9", "Addr(10.0.0.9)"),
            ("--ctorigdstport 80", "Port(80)"),
        ],
    );
    pairs(
        "-m addrtype --limit-iface-in --dst-type LOCAL --src-type UNICAST -m mark ! --mark 0x1 -m state --state NEW",
        &[
            ("-m addrtype --src-type UNICAST", "Word(\"UNICAST\")"),
            ("--dst-type LOCAL", "Word(\"LOCAL\")"),
            ("-m mark ! --mark 0x1", "Mark(0)"),
            ("-m state --state NEW", "State(New)"),
        ],
    );
    // The first check that fails is the last.
    pairs("-p tcp -m tcp --dport 81 --syn", &[("-p tcp", "Proto(tcp)"), ("-m tcp --dport 81", "Port(80)")]);
    pairs(
        "-p tcp -m multiport --dports 1,80",
        &[("-p tcp", "Proto(tcp)"), ("-m multiport --dports 1,80", "Port(80)")],
    );
    pairs(
        "-m physdev ! --physdev-is-bridged",
        &[("-m physdev ! --physdev-is-bridged", "Word(\"not from a bridge port\")")],
    );
}
