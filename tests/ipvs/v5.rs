//! Facts V5 and V9: what br_netfilter changes for bridged packets, and which hooks are registered when
//! (`data/ipvs/V5.txt`, `V9.txt`).

use crate::lab::{Lab, Record, block, transcript};
use crate::v1::same;
use crate::walk;
use serde_json::json;

/// The rules of V5: mode iptables, one service.
const RULES: &str = "*raw
-A PREROUTING -p udp -j TRACE
-A OUTPUT -p udp -j TRACE
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-X - [0:0]
:KUBE-SEP-X - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.1.10/32 -p udp -m udp --dport 80 -j KUBE-SVC-X
-A KUBE-SERVICES -d 10.96.1.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-X
-A KUBE-SVC-X ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ
-A KUBE-SVC-X -j KUBE-SEP-X
-A KUBE-SEP-X -s 10.244.1.11/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-X -p udp -m udp -j DNAT --to-destination 10.244.1.11:8080
-A KUBE-SEP-X -p tcp -m tcp -j DNAT --to-destination 10.244.1.11:8080
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -j MASQUERADE
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
";

fn lab(rules: &str) -> Lab {
    let mut lab = Lab::new();
    lab.host("node1", "iptables", json!(rules));
    lab.host("node1", "trace", json!(false));
    lab
}

/// What node1 did in a step, and what the answer was.
fn walked(lab: &Lab, step: usize) -> (Vec<String>, String) {
    let scenario = nflab::scenario::parse(&lab.scenario).unwrap();
    let run = scenario.run().unwrap();
    let record = Record(nflab::record::record(&lab.scenario, &scenario, &run));
    let s = &run.steps[step];
    let result = &record.outcome(step)["result"][0];
    let answer =
        format!("{}: {}", result["from"].as_str().unwrap_or("-"), result["text"].as_str().unwrap_or("-"));
    (walk::lines(&run, "node1", s.first.index(), s.end.index()), answer)
}

/// Holds a flow from poda against a block of the transcript.
fn held(lab: &Lab, step: usize, title: &str) {
    let lines = block(&transcript("V5"), title);
    let (found, answer) = walked(lab, step);
    same(title, &found, &walk::expected(&lines));
    let expected = lines.iter().find_map(|l| l.split_once(": answer from ").map(|(_, a)| a)).unwrap();
    assert!(answer.starts_with(expected), "{title}: {answer}, not {expected}");
}

#[test]
fn v5_without_br_netfilter_the_request_is_routed_and_the_answer_is_bridged_past_every_rule() {
    let mut lab = lab(RULES);
    lab.cmd("modprobe -r br_netfilter");
    let gone = lab.cmd("sysctl net.bridge.bridge-nf-call-iptables");
    let service = lab.flow("poda", false, "0.0.0.0:4101", "10.96.1.10:80");
    held(&lab, service, "N1. not loaded: UDP poda");
    assert_ne!(lab.run().outcome(gone)["rc"], 0);
    let direct = lab.flow("poda", false, "0.0.0.0:4102", "10.244.1.11:8080");
    held(&lab, direct, "N2. not loaded: UDP poda -> podb directly");
}

#[test]
fn v5_with_br_netfilter_both_ways_meet_the_rules_on_the_bridge_and_nothing_is_routed() {
    let mut lab = lab(RULES);
    lab.cmd("modprobe -r br_netfilter");
    lab.cmd("modprobe br_netfilter");
    let one = lab.cmd("sysctl net.bridge.bridge-nf-call-iptables");
    let first = lab.flow("poda", false, "0.0.0.0:4103", "10.96.1.10:80");
    held(&lab, first, "L1. loaded: UDP poda");
    // The transcript has the table emptied before each.
    lab.cmd("conntrack -F");
    let second = lab.flow("poda", false, "0.0.0.0:4103", "10.96.1.10:80");
    held(&lab, second, "L1b. loaded: second packet of the flow");
    let direct = lab.flow("poda", false, "0.0.0.0:4104", "10.244.1.11:8080");
    held(&lab, direct, "L2. loaded: UDP poda -> podb directly");
    assert_eq!(lab.run().printed(one), ["net.bridge.bridge-nf-call-iptables = 1"]);
    lab.cmd("sysctl -w net.bridge.bridge-nf-call-iptables=0");
    lab.cmd("conntrack -F");
    let off = lab.flow("poda", false, "0.0.0.0:4105", "10.96.1.10:80");
    held(&lab, off, "L4. UDP poda -> 10.96.1.10:80");
}

#[test]
fn v9_conntracks_hooks_come_with_a_rule_that_needs_them_those_of_ipvs_with_a_virtual_server() {
    // Each title with what was done since the one before.
    let stages: [(&str, &[&str]); 10] = [
        ("0. no table loaded", &[]),
        ("1. iptable_filter and iptable_nat loaded", &["iptables -t filter -nL", "iptables -t nat -nL"]),
        ("2. + one virtual service without servers", &["ipvsadm -A -u 192.168.1.11:5000 -s rr"]),
        ("2b. virtual service removed again", &["ipvsadm -C"]),
        (
            "3. + a nat rule with a non-NAT target",
            &[
                "ipvsadm -A -u 192.168.1.11:5000 -s rr",
                "iptables -t nat -A POSTROUTING -s 10.1.2.3 -j ACCEPT",
            ],
        ),
        ("4. + a MASQUERADE rule", &["iptables -t nat -A POSTROUTING -s 10.1.2.3 -j MASQUERADE"]),
        ("5. nat table flushed", &["iptables -t nat -F"]),
        ("6. + -m conntrack in filter", &["iptables -A INPUT -m conntrack --ctstate INVALID -j DROP"]),
        ("7. filter flushed", &["iptables -F"]),
        ("8. + raw CT --notrack rule", &["iptables -t raw -A PREROUTING -p udp --dport 69 -j CT --notrack"]),
    ];
    let mut lab = Lab::new();
    for (id, (title, commands)) in (247..).zip(stages) {
        for command in commands {
            lab.cmd(command);
        }
        let step = lab.then(json!({"do": "ping", "host": "client", "dst": "192.168.1.11", "id": id}));
        let expected = walk::expected(&block(&transcript("V9"), title));
        // The rules of a table are nobody's business here.
        let found: Vec<String> =
            walked(&lab, step).0.into_iter().filter(|l| !l.starts_with("TRACE")).collect();
        same(title, &found, &expected);
    }
}

#[test]
fn v9_entries_that_are_left_over_still_age() {
    let mut lab = Lab::new();
    lab.cmd("iptables -A INPUT -m conntrack --ctstate INVALID -j DROP");
    lab.then(json!({"do": "ping", "host": "client", "dst": "192.168.1.11"}));
    lab.cmd("iptables -F");
    let first = lab.cmd("conntrack -L");
    lab.sleep(5);
    let second = lab.cmd("conntrack -L");
    lab.sleep(30);
    let third = lab.cmd("conntrack -L");
    let record = lab.run();
    let left = |step: usize| -> Vec<u32> {
        let lines = record.printed(step);
        let icmp = lines.iter().filter(|l| l.starts_with("icmp"));
        icmp.map(|l| l.split_whitespace().nth(2).unwrap().parse().unwrap()).collect()
    };
    assert_eq!((left(first), left(second), left(third)), (vec![29], vec![24], vec![]));
}
