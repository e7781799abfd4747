//! Facts V5 and V9: what br_netfilter changes for bridged packets, and which hooks are registered when
//! (`data/ipvs/V5.txt`, `V9.txt`).

use crate::lab::{Lab, Record, block, transcript};
use crate::v1::{SETS, rules, same};
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
    lab.cmd("sysctl -w net.bridge.bridge-nf-call-iptables=1");
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

/// A TCP client on poda that asks the service; how it ended.
fn connect(lab: &mut Lab, sport: u16) -> usize {
    lab.then(json!({
        "do": "tcp", "host": "poda", "src": format!("0.0.0.0:{sport}"), "dst": "10.96.1.10:80", "request": "x",
        "timeout_ms": 2000, "close": "server"
    }))
}

/// The lines of each segment: each begins where it comes to PREROUTING.
fn segments(lines: &[String]) -> Vec<Vec<String>> {
    let mut out: Vec<Vec<String>> = Vec::new();
    for line in lines {
        if line == "defrag @PREROUTING" {
            out.push(Vec::new());
        }
        if let Some(last) = out.last_mut() {
            last.push(line.clone());
        }
    }
    out
}

/// The rules with TRACE for TCP.
fn tcp_rules() -> String {
    RULES.replacen("-p udp -j TRACE", "-p tcp -j TRACE", 2)
}

/// The rows of conntrack's table without the seconds left, of a listing or of a block of the transcript.
fn rows(lines: &[String]) -> Vec<String> {
    let rows = lines.iter().filter(|l| l.starts_with("tcp ") || l.starts_with("udp "));
    let words = |l: &String| {
        let words: Vec<&str> = l.split_whitespace().collect();
        [&words[..2], &words[3..]].concat().join(" ").split(" use=").next().unwrap().to_owned()
    };
    rows.map(words).collect()
}

/// The answer comes past conntrack, so the handshake is never complete: the SYN is sent again, and routed again.
#[test]
fn v5_n3_without_br_netfilter_tcp_never_connects() {
    let mut lab = lab(&tcp_rules());
    lab.cmd("modprobe -r br_netfilter");
    let step = connect(&mut lab, 5101);
    let list = lab.cmd("conntrack -L");
    let lines = block(&transcript("V5"), "N3. not loaded: TCP poda");
    assert!(lines[0].ends_with("timed out"), "{}", lines[0]);
    same("N3", &walked(&lab, step).0, &walk::expected(&lines));
    let record = lab.run();
    assert_eq!(record.outcome(step)["connect"], "timeout");
    assert_eq!(rows(&record.printed(list)), rows(&lines));
}

#[test]
fn v5_l3_with_br_netfilter_tcp_connects_and_every_segment_meets_the_rules_on_the_bridge() {
    let mut lab = lab(&tcp_rules());
    let step = connect(&mut lab, 5102);
    let list = lab.cmd("conntrack -L");
    let lines = block(&transcript("V5"), "L3. loaded: TCP poda");
    let (found, kernel) = (segments(&walked(&lab, step).0), segments(&walk::expected(&lines)));
    for n in 0..3 {
        same("L3, the handshake", &found[n], &kernel[n]);
    }
    // The transcript's server speaks first. Whatever comes after the handshake walks as its segments do.
    let plain = |segment: &Vec<String>| -> Vec<String> {
        segment
            .iter()
            .map(|l| l.trim_end_matches([' ', 'A', 'C', 'K', 'P', 'S', 'H', 'F', 'I', 'N']).to_owned())
            .collect()
    };
    let known: Vec<Vec<String>> = kernel[3..].iter().map(plain).collect();
    assert!(found.len() > 6, "{}", found.len());
    for segment in &found[3..] {
        assert!(known.contains(&plain(segment)), "{segment:#?}");
    }
    let record = lab.run();
    let said = lines[0].split_once(": ").unwrap().1;
    assert!(record.outcome(step)["reply"].as_str().unwrap().starts_with(said), "{}", record.outcome(step));
    assert_eq!(rows(&record.printed(list)), rows(&lines));
}

/// `nf_call_iptables` of a bridge counts as much as the sysctl of its namespace.
#[test]
fn v5_l4_a_bridge_of_its_own_will_calls_iptables() {
    let mut lab = lab(RULES);
    lab.cmd("sysctl -w net.bridge.bridge-nf-call-iptables=0");
    lab.cmd("ip link set cni0 type bridge nf_call_iptables 1");
    let own = lab.flow("poda", false, "0.0.0.0:4115", "10.96.1.10:80");
    lab.cmd("ip link set cni0 type bridge nf_call_iptables 0");
    let off = lab.flow("poda", false, "0.0.0.0:4116", "10.96.1.10:80");
    let lines = block(&transcript("V5"), "L4. UDP poda");
    let expected = lines.iter().find_map(|l| l.strip_prefix("client 4115: answer from ")).unwrap();
    assert!(walked(&lab, own).1.starts_with(expected), "{expected}");
    assert!(walked(&lab, off).1.starts_with("10.244.1.11:8080: "));
}

/// The settings come with the module, per namespace, and go with it.
#[test]
fn v5_settings_of_br_netfilter() {
    let mut lab = Lab::new();
    lab.cmd("modprobe -r br_netfilter");
    lab.cmd("modprobe br_netfilter");
    let lines = block(&transcript("V5"), "modprobe br_netfilter");
    let listed: Vec<(&str, &str)> =
        lines.iter().filter_map(|l| l.strip_prefix("/proc/sys/net/bridge/")?.split_once(" = ")).collect();
    assert_eq!(listed.len(), 6);
    for (name, value) in listed {
        let get = lab.cmd(&format!("sysctl -n net.bridge.{name}"));
        assert_eq!(lab.run().printed(get), [value], "{name}");
    }
    lab.cmd("sysctl -w net.bridge.bridge-nf-call-arptables=0");
    let other = lab.then(json!({
        "do": "cmd", "host": "sw", "argv": ["sysctl", "-n", "net.bridge.bridge-nf-call-arptables"]
    }));
    lab.cmd("rmmod br_netfilter");
    let gone = lab.cmd("sysctl net.bridge.bridge-nf-call-arptables");
    let record = lab.run();
    assert_eq!(record.printed(other), ["1"]);
    assert_ne!(record.outcome(gone)["rc"], 0);
}

/// IPVS behind the bridge: PREROUTING runs once, on the bridge, and the answer is translated in the bridge's FORWARD.
#[test]
fn v5_i1_ipvs_with_br_netfilter_sees_both_ways() {
    let trace = "*raw\n-A PREROUTING -p udp -j TRACE\n-A OUTPUT -p udp -j TRACE\nCOMMIT\n";
    let mut lab = Lab::new();
    lab.host("node1", "ipset", json!(format!("{SETS}add KUBE-CLUSTER-IP 10.96.1.11,udp:80\n")));
    lab.host("node1", "iptables", json!(format!("{}{trace}", rules())));
    lab.host("node1", "trace", json!(false));
    let ip = ["link add kube-ipvs0 type dummy", "addr add 10.96.1.11/32 dev kube-ipvs0"];
    lab.host("node1", "ip", json!(ip));
    for command in [
        "sysctl -w net.ipv4.vs.conntrack=1",
        "sysctl -w net.bridge.bridge-nf-call-iptables=1",
        "ipvsadm -A -u 10.96.1.11:80 -s rr",
        "ipvsadm -a -u 10.96.1.11:80 -r 10.244.1.11:8080 -m",
    ] {
        lab.cmd(command);
    }
    let step = lab.flow("poda", false, "0.0.0.0:4106", "10.96.1.11:80");
    held(&lab, step, "I1. IPVS + br_netfilter: UDP poda");
    let list = lab.cmd("conntrack -L");
    let lines = block(&transcript("V5"), "I1. IPVS + br_netfilter: UDP poda");
    assert_eq!(rows(&lab.run().printed(list)), rows(&lines));
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
