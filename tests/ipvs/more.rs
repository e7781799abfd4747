//! What Linux 6.1 does where FINDINGS say little: ICMP errors through IPVS, a real server on the director, direct routing,
//! firewall marks, persistence on every port, thresholds (`data/ipvs/more.txt`).

use crate::lab::{Lab, Record, block, transcript};
use crate::v1::same;
use crate::walk;
use serde_json::{Value, json};

const RULES: &str = "*filter\n-A INPUT -m conntrack --ctstate INVALID -j LOG\nCOMMIT\n\
                     *mangle\n-A PREROUTING -d 10.96.0.50 -j MARK --set-mark 7\nCOMMIT\n";

fn lab(traced: Option<&str>) -> Lab {
    let raw =
        traced.map(|p| format!("*raw\n-A PREROUTING -p {p} -j TRACE\n-A OUTPUT -p {p} -j TRACE\nCOMMIT\n"));
    let mut lab = Lab::new();
    lab.host("node1", "iptables", json!(format!("{RULES}{}", raw.unwrap_or_default())));
    lab.host("node1", "trace", json!(false));
    lab.host("node1", "servers", json!([{"proto": "udp", "bind": "0.0.0.0:8080"}]));
    let mut ip = vec!["link add kube-ipvs0 type dummy".to_owned()];
    ip.extend([10, 50, 60].map(|n| format!("addr add 10.96.0.{n}/32 dev kube-ipvs0")));
    lab.host("node1", "ip", json!(ip));
    lab
}

/// A virtual server at 10.96.0.10 with one real server.
fn serve(lab: &mut Lab, port: u16, server: &str) {
    lab.cmd(&format!("ipvsadm -A -u 10.96.0.10:{port} -s rr"));
    lab.cmd(&format!("ipvsadm -a -u 10.96.0.10:{port} -r {server} -m"));
}

fn walked(lab: &Lab, steps: &[usize]) -> (Vec<String>, Record) {
    let scenario = nflab::scenario::parse(&lab.scenario).unwrap();
    let run = scenario.run().unwrap();
    let record = Record(nflab::record::record(&lab.scenario, &scenario, &run));
    let of = |s: &usize| walk::lines(&run, "node1", run.steps[*s].first.index(), run.steps[*s].end.index());
    (steps.iter().flat_map(of).collect(), record)
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// The connections that are listed, without the time that is left.
fn conns(lines: &[String], of: &str) -> Vec<String> {
    let is_conn = |l: &&String| l.contains(of) && ["UDP", "TCP", "IP "].iter().any(|p| l.starts_with(p));
    let known = lines.iter().filter(is_conn).filter(|l| l.as_bytes().get(6) == Some(&b':'));
    sorted(known.map(|l| format!("{}{}", &l[..4], &l[9..])).collect())
}

#[test]
fn an_icmp_error_of_a_real_server_comes_from_the_virtual_server() {
    let mut lab = lab(Some("icmp"));
    lab.cmd("sysctl -w net.ipv4.vs.conntrack=1");
    serve(&mut lab, 5000, "10.244.1.11:9999");
    let step = lab.flow("client", false, "0.0.0.0:49000", "10.96.0.10:5000");
    let (found, _) = walked(&lab, &[step]);
    same("server", &found, &walk::expected(&block(&transcript("more"), "server: an ICMP error")));
}

#[test]
fn an_icmp_error_of_a_client_goes_on_to_the_real_server() {
    let mut lab = lab(Some("icmp"));
    lab.cmd("sysctl -w net.ipv4.vs.conntrack=1");
    serve(&mut lab, 5001, "10.244.1.11:8080");
    // A datagram of nobody: its answer finds no socket.
    let pkt =
        json!({"proto": "udp", "src": "192.168.1.100", "dst": "10.96.0.10", "sport": 49100, "dport": 5001});
    let step = lab.then(json!({"do": "raw", "host": "client", "pkt": pkt}));
    let (found, _) = walked(&lab, &[step]);
    let expected = walk::expected(&block(&transcript("more"), "client: an ICMP error"));
    let expected: Vec<String> = expected.iter().map(|l| l.replace(":9998>", ":8080>")).collect();
    same("client", &found, &expected);
}

#[test]
fn errors_are_counted_as_packets_and_do_not_renew_the_connection() {
    for conntrack in [0, 1] {
        let mut lab = lab(None);
        lab.cmd(&format!("sysctl -w net.ipv4.vs.conntrack={conntrack}"));
        serve(&mut lab, 2001, "10.244.1.11:9999");
        lab.then(json!({
            "do": "udp", "host": "client", "src": "0.0.0.0:43000", "dst": "10.96.0.10:2001", "payload": "hello"
        }));
        let list = lab.cmd("ipvsadm -Ln --stats -u 10.96.0.10:2001");
        let title = format!("ICMP of a real server without a listener, vs.conntrack={conntrack}");
        let lines = block(&transcript("more"), &title);
        let expected: Vec<String> = lines[lines.len() - 3..]
            .iter()
            .map(|l| l.replace("10.96.0.10:2004", "10.96.0.10:2001"))
            .collect();
        assert_eq!(lab.run().printed(list)[2..], expected[..2], "{title}");
    }
}

#[test]
fn a_real_server_on_the_director_gets_the_packet_in_the_same_hook() {
    let mut lab = lab(Some("udp"));
    lab.cmd("sysctl -w net.ipv4.vs.conntrack=1");
    serve(&mut lab, 5002, "192.168.1.11:8080");
    let outside = lab.flow("client", false, "0.0.0.0:49200", "10.96.0.10:5002");
    let own = lab.flow("node1", false, "0.0.0.0:49300", "10.96.0.10:5002");
    let lines = block(&transcript("more"), "local: a real server");
    let second = lines.iter().position(|l| l.starts_with("client 49300")).unwrap();
    let (found, record) = walked(&lab, &[outside]);
    same("local", &found, &walk::expected(&lines[..second]));
    // The server there answers from the address that its route gives, ours from the one that was asked: only the request.
    let (mut found, _) = walked(&lab, &[own]);
    let mut expected = walk::expected(&lines[second..]);
    for lines in [&mut found, &mut expected] {
        let end = lines.iter().position(|l| l == "ct_confirm @INPUT").unwrap();
        lines.truncate(end + 1);
    }
    same("local, own", &found, &expected);
    assert_eq!(record.outcome(outside)["result"][0]["from"], "10.96.0.10:5002");
}

#[test]
fn direct_routing_changes_only_the_frame() {
    let mut lab = lab(None);
    lab.host("podb", "ip", json!(["addr add 10.96.0.10/32 dev lo"]));
    for kind in ["-u", "-t"] {
        lab.cmd(&format!("ipvsadm -A {kind} 10.96.0.10:8080 -s rr"));
        lab.cmd(&format!("ipvsadm -a {kind} 10.96.0.10:8080 -r 10.244.1.11 -g"));
    }
    let udp = lab.flow("client", false, "192.168.1.100:44200", "10.96.0.10:8080");
    let tcp = lab.flow("client", true, "192.168.1.100:44300", "10.96.0.10:8080");
    let list = lab.cmd("ipvsadm -Lnc");
    let stats = lab.cmd("ipvsadm -Ln --stats -u 10.96.0.10:8080");
    let record = lab.run();
    // An answer from the virtual address comes from an address of the director: a martian.
    assert_eq!((record.picked(udp), record.picked(tcp)), ("-", "-"));
    let expected = conns(&block(&transcript("more"), "direct routing"), ":8080 ");
    let found = conns(&record.printed(list), ":8080 ");
    assert!(found.iter().all(|l| expected.contains(l)) && found.len() == 2, "{found:?} {expected:?}");
    assert_eq!(
        record.printed(stats)[3],
        "  -> 10.244.1.11:8080                    1        1        0       29        0"
    );
    // The frame to the pod still bears the virtual address, and one hop less.
    let wire = &record.0["steps"][udp]["ns"]["podb"]["wire"];
    let seen = wire.as_array().unwrap().iter().map(Value::to_string).find(|l| l.contains(">10.96.0.10:8080"));
    assert!(seen.is_some_and(|l| l.contains("\"ttl\":63")), "{wire}");
}

#[test]
fn a_virtual_server_for_a_mark_takes_every_protocol_and_port() {
    let mut lab = lab(None);
    lab.cmd("ipvsadm -A -f 7 -s rr");
    for last in [11, 12, 13] {
        lab.cmd(&format!("ipvsadm -a -f 7 -r 10.244.1.{last}:0 -m"));
    }
    let mut steps = Vec::new();
    let mut flows = |lab: &mut Lab, tcp: bool, port: u16, n: u16| {
        let all = (port..port + n)
            .map(|p| lab.flow("client", tcp, &format!("192.168.1.100:{p}"), "10.96.0.50:8080"));
        steps.push(all.collect::<Vec<usize>>());
    };
    flows(&mut lab, false, 44400, 4);
    flows(&mut lab, true, 44500, 2);
    let first = lab.cmd("ipvsadm -Lnc");
    lab.cmd("ipvsadm -E -f 7 -s rr -p 60");
    flows(&mut lab, false, 44600, 3);
    flows(&mut lab, true, 44700, 2);
    let second = lab.cmd("ipvsadm -Lnc");
    let third = lab.cmd("ipvsadm -Ln -f 7 --persistent-conn");
    let record = lab.run();
    let lines = block(&transcript("more"), "firewall mark");
    let picks: Vec<String> =
        steps.iter().map(|s| s.iter().map(|s| record.picked(*s)).collect::<Vec<_>>().join(" ")).collect();
    let is_pick = |l: &&String| !l.is_empty() && l.split(' ').all(|w| matches!(w, "A" | "B" | "C" | "-"));
    assert_eq!(picks.iter().collect::<Vec<_>>(), lines.iter().filter(is_pick).collect::<Vec<_>>());
    let plain = conns(&lines, ":44").into_iter().filter(|l| l.contains(":444") || l.contains(":445"));
    assert_eq!(conns(&record.printed(first), ":44"), plain.collect::<Vec<_>>());
    let persistent = |lines: &[String]| {
        let keep = |l: &String| l.contains("0.0.0.7") || l.contains(":446") || l.contains(":447");
        conns(lines, "192.168").into_iter().filter(keep).collect::<Vec<_>>()
    };
    assert_eq!(persistent(&record.printed(second)), persistent(&lines));
    let listed = lines.iter().position(|l| l.starts_with("Prot")).unwrap();
    assert_eq!(record.printed(third), lines[listed..listed + 6]);
}

#[test]
fn a_persistent_virtual_server_on_port_0_takes_every_port() {
    let mut lab = lab(None);
    lab.cmd("ipvsadm -A -u 10.96.0.60:0 -s rr -p 60");
    for last in [11, 12, 13] {
        lab.cmd(&format!("ipvsadm -a -u 10.96.0.60:0 -r 10.244.1.{last}:0 -m"));
    }
    let flows: Vec<usize> = (44800..44803)
        .map(|p| lab.flow("client", false, &format!("192.168.1.100:{p}"), "10.96.0.60:8080"))
        .collect();
    lab.flow("client", false, "192.168.1.100:44900", "10.96.0.60:8081");
    let list = lab.cmd("ipvsadm -Lnc");
    let record = lab.run();
    let lines = block(&transcript("more"), "persistence on every port");
    let picks: Vec<&str> = flows.iter().map(|s| record.picked(*s)).collect();
    assert_eq!(picks.join(" "), lines[0]);
    assert_eq!(conns(&record.printed(list), "10.96.0.60"), conns(&lines, "10.96.0.60"));
}

#[test]
fn a_server_with_as_many_connections_as_its_threshold_takes_no_more() {
    let mut lab = lab(None);
    lab.cmd("ipvsadm --set 0 0 3");
    lab.cmd("ipvsadm -A -u 10.96.0.10:3000 -s rr");
    lab.cmd("ipvsadm -a -u 10.96.0.10:3000 -r 10.244.1.11:8080 -m -x 2");
    lab.cmd("ipvsadm -a -u 10.96.0.10:3000 -r 10.244.1.12:8080 -m -x 4 -y 2");
    let run = |lab: &mut Lab, port: u16, n: u16| -> Vec<usize> {
        (port..port + n)
            .map(|p| lab.flow("client", false, &format!("192.168.1.100:{p}"), "10.96.0.10:3000"))
            .collect()
    };
    let first = run(&mut lab, 45000, 8);
    lab.sleep(5);
    let second = run(&mut lab, 45100, 4);
    let log = lab.cmd("dmesg");
    let record = lab.run();
    let picks = |steps: &[usize]| steps.iter().map(|s| record.picked(*s)).collect::<Vec<_>>().join(" ");
    let lines = block(&transcript("more"), "thresholds: A -x 2, B -x 4 -y 2");
    assert_eq!(picks(&first), lines[0]);
    assert!(lines.contains(&picks(&second)), "{}", picks(&second));
    let said = "IPVS: rr: UDP 10.96.0.10:3000 - no destination available";
    assert!(record.printed(log).iter().any(|l| l.ends_with(said)) && lines.iter().any(|l| l.ends_with(said)));
}
