//! Fact V1: IPVS's path of packets, with the rules of kube-proxy's mode ipvs (`data/ipvs/V1.txt`).

use crate::lab::{Lab, block, transcript};
use crate::walk;
use serde_json::{Value, json};

const TITLE: &str = "kube-proxy IPVS set-up on node1";

/// The sets of the scenario: two ports of one cluster address are not in the transcript, whose listing has names only.
pub const SETS: &str = "create KUBE-LOOP-BACK hash:ip,port,ip
create KUBE-CLUSTER-IP hash:ip,port
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
create KUBE-NODE-PORT-UDP bitmap:port range 0-65535
create KUBE-NODE-PORT-LOCAL-TCP bitmap:port range 0-65535
create KUBE-NODE-PORT-LOCAL-UDP bitmap:port range 0-65535
add KUBE-CLUSTER-IP 10.96.0.10,udp:80
add KUBE-CLUSTER-IP 10.96.0.11,udp:80
add KUBE-CLUSTER-IP 10.96.0.12,udp:80
add KUBE-CLUSTER-IP 10.96.0.10,tcp:80
add KUBE-CLUSTER-IP 10.96.0.11,tcp:80
add KUBE-CLUSTER-IP 10.96.0.12,tcp:80
add KUBE-LOOP-BACK 10.244.1.10,udp:8080,10.244.1.10
add KUBE-LOOP-BACK 10.244.1.11,udp:8080,10.244.1.11
add KUBE-LOOP-BACK 10.244.1.10,tcp:8080,10.244.1.10
add KUBE-LOOP-BACK 10.244.1.11,tcp:8080,10.244.1.11
add KUBE-NODE-PORT-UDP 30080
add KUBE-NODE-PORT-UDP 30081
add KUBE-NODE-PORT-TCP 30080
add KUBE-NODE-PORT-TCP 30081
";

/// The rules of the transcript, without those of its names.
pub fn rules() -> String {
    let lines = block(&transcript("V1"), TITLE);
    let rules: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .skip_while(|l| !l.starts_with("# Generated"))
        .take_while(|l| !l.starts_with("Name:"))
        .filter(|l| !l.starts_with('#'))
        .collect();
    format!("{}\n", rules.join("\n"))
}

/// node1 with the rules and the virtual servers that the transcript lists, TRACE for one protocol.
fn lab(traced: &str) -> Lab {
    let lines = block(&transcript("V1"), TITLE);
    let trace = format!("*raw\n-A PREROUTING -p {traced} -j TRACE\n-A OUTPUT -p {traced} -j TRACE\nCOMMIT\n");
    let mut lab = Lab::new();
    lab.host("node1", "ipset", json!(SETS));
    lab.host("node1", "iptables", json!(format!("{}{trace}", rules())));
    lab.host("node1", "trace", json!(false));
    let mut ip = vec![
        "link add kube-ipvs0 type dummy".to_owned(),
        "route add 10.244.2.0/24 via 192.168.1.12".to_owned(),
    ];
    ip.extend([10, 11, 12].map(|n| format!("addr add 10.96.0.{n}/32 dev kube-ipvs0")));
    lab.host("node1", "ip", json!(ip));
    for (name, value) in [("conntrack", 1), ("expire_nodest_conn", 1), ("expire_quiescent_template", 1)] {
        lab.cmd(&format!("sysctl -w net.ipv4.vs.{name}={value}"));
    }
    let mut virt = String::new();
    for line in lines.iter().take_while(|l| !l.contains("kube-ipvs0")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [proto @ ("TCP" | "UDP"), addr, scheduler] => {
                virt = format!("{} {addr}", if *proto == "TCP" { "-t" } else { "-u" });
                lab.cmd(&format!("ipvsadm -A {virt} -s {scheduler}"));
            }
            ["->", addr, "Masq", ..] => drop(lab.cmd(&format!("ipvsadm -a {virt} -r {addr} -m"))),
            _ => {}
        }
    }
    lab
}

/// A flow with its block of the transcript.
struct Case {
    title: &'static str,
    host: &'static str,
    port: u16,
    to: &'static str,
}

const fn case(title: &'static str, host: &'static str, port: u16, to: &'static str) -> Case {
    Case { title, host, port, to }
}

/// The first lines of a block that differ from ours.
#[track_caller]
pub fn same(title: &str, found: &[String], expected: &[String]) {
    let at = found.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
    if at < found.len().max(expected.len()) {
        let near = |l: &[String]| l[at.saturating_sub(2)..(at + 4).min(l.len())].join("\n  ");
        panic!("{title}, line {at}\nfound\n  {}\nexpected\n  {}", near(found), near(expected));
    }
}

/// Runs the flows, each after `conntrack -F`, and holds what node1 did with them against the transcript.
fn play(mut lab: Lab, cases: &[Case]) {
    let text = transcript("V1");
    let mut steps = Vec::new();
    for c in cases {
        if c.title.starts_with("E2.") {
            lab.cmd("bridge link set dev vpoda hairpin on");
        }
        if c.title.starts_with("K1.") {
            lab.cmd("sysctl -w net.ipv4.vs.conntrack=0");
        }
        // An ICMP redirect is sent anew only after some time.
        lab.sleep(2);
        lab.cmd("conntrack -F");
        steps.push(lab.flow(c.host, false, &format!("0.0.0.0:{}", c.port), c.to));
        lab.cmd("conntrack -L");
    }
    let scenario = nflab::scenario::parse(&lab.scenario).unwrap();
    let run = scenario.run().unwrap();
    let record = nflab::record::record(&lab.scenario, &scenario, &run);
    for (c, step) in cases.iter().zip(steps) {
        let lines = block(&text, c.title);
        let expected = walk::expected(&lines);
        assert!(expected.len() > 5, "{}", c.title);
        let s = &run.steps[step];
        let found = walk::lines(&run, "node1", s.first.index(), s.end.index());
        same(c.title, &found, &expected);
        // Who answered, from where, and whom the server saw.
        let outcome = &record["steps"][step]["outcome"];
        if let Some(answer) = lines.iter().find_map(|l| l.split_once(": answer from ").map(|(_, a)| a)) {
            let result = &outcome["result"][0];
            let found = format!("{}: {}", result["from"].as_str().unwrap(), result["text"].as_str().unwrap());
            assert!(found.starts_with(answer), "{}: {found}, not {answer}", c.title);
        }
        let entries = |lines: &[String]| -> Vec<String> {
            let own = format!("sport={} ", c.port);
            let known = lines.iter().filter(|l| l.starts_with("udp ") && l.contains(&own));
            // The third word is the time that is left, which depends on how long the tools took.
            let words = |l: &String| {
                let line = l.split(" use=").next().unwrap().trim().to_owned();
                line.split_whitespace()
                    .enumerate()
                    .filter(|(i, _)| *i != 2)
                    .map(|(_, w)| format!("{w} "))
                    .collect()
            };
            known.map(words).collect()
        };
        let listed: Vec<String> = record["steps"][step + 1]["outcome"]["stdout"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| Value::as_str(l).unwrap().to_owned())
            .collect();
        assert_eq!(entries(&listed), entries(&lines), "{}", c.title);
    }
}

#[test]
fn v1_the_way_of_requests_and_answers() {
    play(
        lab("udp"),
        &[
            case("A. pod -> ClusterIP", "poda", 4001, "10.96.0.10:80"),
            case("A2. same socket tuple again", "poda", 4001, "10.96.0.10:80"),
            case("B. pod -> ClusterIP", "poda", 4002, "10.96.0.11:80"),
            case("C. node itself", "node1", 4003, "10.96.0.10:80"),
            case("D. node itself", "node1", 4004, "10.96.0.11:80"),
            case("E. hairpin", "poda", 4005, "10.96.0.12:80"),
            case("E2. the same with hairpin_mode on", "poda", 4006, "10.96.0.12:80"),
            case("F. client -> NodePort 30080", "client", 4007, "192.168.1.11:30080"),
            case("G. client -> NodePort 30081", "client", 4008, "192.168.1.11:30081"),
            case("H. ClusterIP, no such port", "poda", 4009, "10.96.0.10:81"),
            case("K1. client -> NodePort 30080", "client", 4010, "192.168.1.11:30080"),
            case("K2. client -> NodePort 30081", "client", 4011, "192.168.1.11:30081"),
            case("K3. poda -> 10.96.0.10:80", "poda", 4012, "10.96.0.10:80"),
        ],
    );
}

/// The walks of a list of lines, each under the box's device and the flags of its segment; the first of each kind.
fn by_flags(lines: &[String]) -> Vec<(String, Vec<String>)> {
    let mut out: Vec<(String, Vec<String>)> = Vec::new();
    for walk in lines.chunk_by(|_, next| next != "defrag @PREROUTING") {
        let Some(first) = walk.iter().find(|l| l.starts_with("TRACE")) else { continue };
        let words: Vec<&str> = first.split(' ').collect();
        let flags: Vec<&str> = words[6..].iter().copied().filter(|w| !w.starts_with("mark=")).collect();
        let name = format!("{} {}", words[2], flags.join(" "));
        if !out.iter().any(|(n, _)| *n == name) {
            out.push((name, walk.to_vec()));
        }
    }
    out
}

#[test]
fn v1_j2_every_segment_of_a_connection_takes_the_same_way() {
    let mut lab = lab("tcp");
    let step = lab.flow("poda", true, "0.0.0.0:5006", "10.96.0.11:80");
    let scenario = nflab::scenario::parse(&lab.scenario).unwrap();
    let run = scenario.run().unwrap();
    let s = &run.steps[step];
    let found = by_flags(&walk::lines(&run, "node1", s.first.index(), s.end.index()));
    let expected = by_flags(&walk::expected(&block(&transcript("V1"), "J2. TCP hook listing")));
    let mut same_kinds = Vec::new();
    for (name, lines) in &expected {
        // There the server spoke first: only some kinds of segment are in both.
        if let Some((_, ours)) = found.iter().find(|(n, _)| n == name) {
            same(name, ours, lines);
            same_kinds.push(name.as_str());
        }
    }
    for kind in ["in=cni0 SYN", "in=ens3 SYN ACK", "in=cni0 ACK", "in=ens3 ACK PSH"] {
        assert!(same_kinds.contains(&kind), "{kind}: {same_kinds:?}");
    }
}

#[test]
fn v1_i_a_virtual_address_answers_ping() {
    let mut lab = lab("udp");
    let ping = lab.then(json!({"do": "ping", "host": "poda", "dst": "10.96.0.10"}));
    let said = lab.run().outcome(ping).to_string();
    assert!(said.contains("icmp 10.96.0.10>10.244.1.10 type=0"), "{said}");
    assert!(block(&transcript("V1"), "I. ping").iter().any(|l| l.starts_with("64 bytes from 10.96.0.10")));
}

#[test]
fn v1_j_tcp_counts_what_hangs_as_active_and_what_is_over_as_inactive() {
    let mut lab = lab("icmp");
    for (host, port, to) in [
        ("poda", 5001, "10.96.0.10:80"),
        ("poda", 5002, "10.96.0.11:80"),
        ("node1", 5003, "10.96.0.10:80"),
        ("client", 5004, "192.168.1.11:30080"),
        ("client", 5005, "192.168.1.11:30081"),
    ] {
        lab.flow(host, true, &format!("0.0.0.0:{port}"), to);
    }
    let list = lab.cmd("ipvsadm -Ln");
    let conns = lab.cmd("ipvsadm -Lnc");
    let record = lab.run();
    let lines = block(&transcript("V1"), "J. TCP");
    // The datagrams of the blocks before are not repeated here.
    let tcp = |lines: &[String]| -> Vec<String> {
        let begin = lines.iter().skip_while(|l| !l.starts_with("TCP  192.168.1.11:30080 rr"));
        begin.take_while(|l| !l.starts_with("UDP")).cloned().collect()
    };
    assert_eq!(tcp(&record.printed(list)), tcp(&lines));
    let states = |lines: &[String]| -> Vec<String> {
        let conns = lines.iter().filter(|l| l.starts_with("TCP ") && l.as_bytes().get(6) == Some(&b':'));
        let mut conns: Vec<String> = conns.map(|l| l[10..].to_owned()).collect();
        conns.sort();
        conns
    };
    assert_eq!(states(&record.printed(conns)), states(&lines));
}

#[test]
fn v1_l_policies_of_input_output_and_forward_meet_ipvs_traffic() {
    let mut lab = lab("icmp");
    let mut steps = Vec::new();
    let mut flow = |lab: &mut Lab, host: &str, port: u16, to: &str| {
        steps.push((port, lab.flow(host, false, &format!("0.0.0.0:{port}"), to)));
    };
    lab.cmd("iptables -P INPUT DROP");
    flow(&mut lab, "client", 4020, "192.168.1.11:30080");
    flow(&mut lab, "poda", 4021, "10.96.0.11:80");
    flow(&mut lab, "node1", 4022, "10.96.0.10:80");
    lab.cmd("iptables -I INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    flow(&mut lab, "node1", 4023, "10.96.0.10:80");
    lab.cmd("iptables -D INPUT 1");
    lab.cmd("iptables -P INPUT ACCEPT");
    lab.cmd("iptables -P FORWARD DROP");
    flow(&mut lab, "client", 4024, "192.168.1.11:30080");
    flow(&mut lab, "client", 4025, "192.168.1.11:30081");
    flow(&mut lab, "poda", 4026, "10.96.0.11:80");
    lab.cmd("iptables -D FORWARD 1");
    flow(&mut lab, "client", 4027, "192.168.1.11:30080");
    lab.cmd("iptables -A FORWARD -j KUBE-FORWARD");
    lab.cmd("iptables -P FORWARD ACCEPT");
    lab.cmd("iptables -P OUTPUT DROP");
    flow(&mut lab, "client", 4028, "192.168.1.11:30080");
    lab.cmd("iptables -P OUTPUT ACCEPT");
    lab.cmd("iptables -t raw -A OUTPUT -d 10.244.1.11 -p udp --dport 8080 -j DROP");
    flow(&mut lab, "client", 4029, "192.168.1.11:30080");
    let record = lab.run();
    let lines = block(&transcript("V1"), "L. filter policies");
    for (port, step) in steps {
        let said = lines.iter().find_map(|l| l.strip_prefix(&format!("client {port}: "))).unwrap();
        let result = &record.outcome(step)["result"][0];
        match said.strip_prefix("answer from ") {
            None => assert!(result["text"].is_null(), "{port}: {result}"),
            Some(answer) => {
                let found =
                    format!("{}: {}", result["from"].as_str().unwrap(), result["text"].as_str().unwrap());
                assert!(found.starts_with(answer), "{port}: {found}, not {answer}");
            }
        }
    }
}
