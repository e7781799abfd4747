//! Fact V6: which server each scheduler picks, in the order that a Linux 6.1 showed (`data/ipvs/V6a.txt`, `hash.txt`).

use crate::lab::{Lab, PODS, Record, block, transcript};
use serde_json::json;

const ADDRS: [(&str, &str); 4] =
    [("A", "10.244.1.11"), ("B", "10.244.1.12"), ("C", "10.244.1.13"), ("D", "10.244.1.14")];

fn addr(letter: &str) -> &'static str {
    ADDRS.iter().find(|(l, _)| *l == letter).unwrap().1
}

/// What is expected of a step.
enum Expect {
    Picks(Vec<usize>),
    Listing(usize),
}

/// Plays a block of a transcript. The virtual server is the one that the block made; `weights` are those of its servers A, B,
/// C (or of the letters given). `script`: `run N`, `list`, `add D`, `del B`, `edit A 2`, `service OPTIONS`, `flow KIND`.
fn play(text: &str, title: &str, weights: &str, script: &str, base: u16) {
    let lines = block(text, title);
    let made =
        lines.iter().find_map(|l| l.strip_prefix("$ ipvsadm -A ")).unwrap_or("-u 10.96.0.10:1005 -s rr");
    let words: Vec<&str> = made.split(' ').collect();
    let (kind, virt, tcp) = (words[0], words[1], words[0] == "-t");
    let mut lab = Lab::new();
    lab.cmd(&format!("ipvsadm -A {made}"));
    for (i, w) in weights.split(' ').enumerate() {
        let (letter, weight) = w.split_once('=').unwrap_or((ADDRS[i].0, w));
        lab.cmd(&format!("ipvsadm -a {kind} {virt} -r {}:8080 -m -w {weight}", addr(letter)));
    }
    let mut port = base;
    let mut expects = Vec::new();
    for step in script.split("; ") {
        let words: Vec<&str> = step.split(' ').collect();
        match words.as_slice() {
            ["run", n] => {
                let flows = (0..n.parse().unwrap()).map(|_| {
                    port += 1;
                    lab.flow("client", tcp, &format!("192.168.1.100:{}", port - 1), virt)
                });
                expects.push(Expect::Picks(flows.collect()));
            }
            ["list"] => expects.push(Expect::Listing(lab.cmd(&format!("ipvsadm -Ln {kind} {virt}")))),
            ["add", letter] => {
                lab.cmd(&format!("ipvsadm -a {kind} {virt} -r {}:8080 -m", addr(letter)));
            }
            ["del", letter] => {
                lab.cmd(&format!("ipvsadm -d {kind} {virt} -r {}:8080", addr(letter)));
            }
            ["edit", letter, weight] => {
                lab.cmd(&format!("ipvsadm -e {kind} {virt} -r {}:8080 -m -w {weight}", addr(letter)));
            }
            ["service", options @ ..] => {
                lab.cmd(&format!("ipvsadm -E {kind} {virt} {}", options.join(" ")));
            }
            ["again"] => {
                lab.cmd(&format!("ipvsadm -D {kind} {virt}"));
                lab.cmd(&format!("ipvsadm -A {made}"));
                for letter in ["A", "B", "C"] {
                    lab.cmd(&format!("ipvsadm -a {kind} {virt} -r {}:8080 -m", addr(letter)));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let record = lab.run();
    let mut rest = lines.iter().filter(|l| !l.starts_with("$ ") && !l.starts_with("--- ") && !l.is_empty());
    for expect in expects {
        match expect {
            Expect::Picks(steps) => {
                let found: Vec<&str> = steps.iter().map(|s| record.picked(*s)).collect();
                let line = rest.by_ref().next().unwrap();
                let line = line.strip_prefix("picks: ").or(line.strip_prefix("picked ")).unwrap_or(line);
                assert_eq!(found.join(" "), line, "{title}");
            }
            Expect::Listing(step) => {
                for found in record.printed(step).iter().skip(2) {
                    assert_eq!(Some(found), rest.by_ref().next(), "{title}");
                }
            }
        }
    }
}

#[test]
fn v6_rr_walks_the_list_from_the_newest_server_and_keeps_its_place() {
    let text = transcript("V6a");
    for (title, weights, script) in [
        ("rr, weights 1 1 1, UDP", "1 1 1", "run 12; run 12; list"),
        ("rr, TCP, connections closed", "1 1 1", "run 12; list"),
        ("rr, weights 3 1 1", "3 1 1", "run 12"),
        ("rr, weights 1 0 1", "1 0 1", "run 12"),
        ("rr, added in the order C, A, B", "C=1 A=1 B=1", "run 12; list"),
        ("rr: add D after 4 picks", "1 1 1", "run 4; add D; run 8"),
        ("rr: delete B after 4 picks", "1 1 1", "run 4; del B; run 6"),
        ("rr: delete C after 4 picks", "1 1 1", "run 4; del C; run 6"),
        ("rr: edit a server", "1 1 1", "run 4; edit A 2; run 4; service -s rr; run 4"),
    ] {
        play(&text, title, weights, script, 20050);
    }
}

#[test]
fn v6_wrr_begins_where_the_first_added_server_has_left_it() {
    let text = transcript("V6a");
    for (title, weights, script) in [
        ("wrr, weights 1 1 1", "1 1 1", "run 12"),
        ("wrr, weights 3 2 1", "3 2 1", "run 18"),
        ("wrr, weights 1 2 3", "1 2 3", "run 18"),
        ("wrr, weights 4 3 2", "4 3 2", "run 18"),
        ("wrr, weights 5 1 1", "5 1 1", "run 14"),
        ("wrr, weights 2 2 2", "2 2 2", "run 12"),
        ("wrr, weights 100 50 50", "100 50 50", "run 12"),
        ("wrr, weights 0 2 1", "0 2 1", "run 12"),
        ("wrr 3 2 1, edit B to 4", "3 2 1", "run 5; edit B 4; run 14"),
    ] {
        play(&text, title, weights, script, 20050);
    }
}

#[test]
fn v6_lc_and_wlc_count_all_connections_sed_and_nq_only_active_ones() {
    let text = transcript("V6a");
    for (title, weights, script) in [
        ("lc, UDP", "1 1 1", "run 12; list"),
        ("lc, TCP kept open", "1 1 1", "run 12; list"),
        ("lc: C has weight 0", "1 1 0", "run 6; list; edit C 1; run 8; list"),
        ("wlc (ipvsadm's default)", "1 1 1", "run 12"),
        ("wlc, weights 3 2 1", "3 2 1", "run 12; list"),
        ("sed, weights 3 2 1", "3 2 1", "run 12; list"),
        ("nq, weights 3 2 1", "3 2 1", "run 12; list"),
    ] {
        play(&text, title, weights, script, 20050);
    }
}

#[test]
fn v6_a_server_that_is_deleted_and_added_again_has_its_counters_back() {
    let text = transcript("V6a");
    play(
        &text,
        "a deleted and re-added server",
        "1 1 1",
        "run 6; list; del C; add C; list; again; list",
        20050,
    );
}

#[test]
fn v6_sh_hashes_the_client_and_with_sh_port_its_port() {
    let text = transcript("V6a");
    play(&text, "sh, weights 1 1 1: one source", "1 1 1", "run 12", 20050);
    play(&text, "sh with -b sh-port", "1 1 1", "run 24", 22700);
}

/// Nine clients, each with two flows: `192.168.1.100: A A`.
fn nine_clients(title: &str, scheduler: &str, weights: &str) {
    let mut lab = Lab::new();
    let addrs: Vec<String> = (100..109).map(|n| format!("192.168.1.{n}/24")).collect();
    lab.host("client", "addrs", json!({"eth0": addrs}));
    lab.cmd(&format!("ipvsadm -A -u 10.96.0.10:1029 -s {scheduler}"));
    for (letter, weight) in ["A", "B", "C"].into_iter().zip(weights.split(' ')) {
        lab.cmd(&format!("ipvsadm -a -u 10.96.0.10:1029 -r {}:8080 -m -w {weight}", addr(letter)));
    }
    let lines = block(&transcript("V6a"), title);
    let clients: Vec<(&str, &str)> =
        lines.iter().filter(|l| l.starts_with("192.168.1.")).filter_map(|l| l.split_once(": ")).collect();
    assert_eq!(clients.len(), 9, "{title}");
    let flows: Vec<[usize; 2]> = (20_000..)
        .step_by(50)
        .zip(&clients)
        .map(|(port, (client, _))| {
            [0, 1].map(|n| lab.flow("client", false, &format!("{client}:{}", port + n), "10.96.0.10:1029"))
        })
        .collect();
    let record = lab.run();
    for ((client, picks), steps) in clients.iter().zip(flows) {
        assert_eq!(steps.map(|s| record.picked(s)).join(" "), *picks, "{title}, {client}");
    }
}

#[test]
fn v6_sh_and_mh_send_each_of_nine_clients_to_its_server() {
    nine_clients("sh: sources 192.168.1.100..108", "sh", "1 1 1");
    nine_clients("sh, weights 3 2 1", "sh", "3 2 1");
    nine_clients("mh (Maglev), weights 1 1 1", "mh", "1 1 1");
    play(&transcript("V6a"), "mh (Maglev), weights 1 1 1", "1 1 1", "run 12", 20050);
}

#[test]
fn v6_dh_has_one_server_for_one_virtual_address() {
    play(&transcript("V6a"), "dh", "1 1 1", "run 6", 20050);
}

/// A server whose weight is 0 is no server to sh: who hashes to it is refused, unless `sh-fallback` looks for another.
#[test]
fn v6_sh_refuses_where_the_hashed_server_has_weight_0_unless_it_may_fall_back() {
    let lines = block(&transcript("V6a"), "sh, weight 0 on the hashed server");
    let picks: Vec<&str> =
        lines.iter().filter_map(|l| l.strip_prefix("picks: ").or(l.strip_prefix("picked "))).collect();
    let [first, refused, others] = picks[..] else { panic!("{picks:?}") };
    let mut lab = Lab::new();
    lab.cmd("ipvsadm -A -u 10.96.0.10:1032 -s sh");
    for letter in ["A", "B", "C"] {
        lab.cmd(&format!("ipvsadm -a -u 10.96.0.10:1032 -r {}:8080 -m", addr(letter)));
    }
    let flow = |lab: &mut Lab, n: u16| -> Vec<usize> {
        let src = |i: u16| format!("192.168.1.100:{}", 23_000 + 10 * n + i);
        (0..n).map(|i| lab.flow("client", false, &src(i), "10.96.0.10:1032")).collect()
    };
    let one = flow(&mut lab, 1);
    lab.cmd(&format!("ipvsadm -e -u 10.96.0.10:1032 -r {}:8080 -m -w 0", addr(first)));
    let two = flow(&mut lab, 2);
    let error = lab.then(json!({
        "do": "udp", "host": "client", "src": "192.168.1.100:23009", "dst": "10.96.0.10:1032"
    }));
    lab.cmd("ipvsadm -E -u 10.96.0.10:1032 -s sh -b sh-fallback");
    let three = flow(&mut lab, 3);
    let record = lab.run();
    let found = |steps: &[usize]| steps.iter().map(|s| record.picked(*s)).collect::<Vec<_>>().join(" ");
    assert_eq!([found(&one), found(&two), found(&three)], [first, refused, others]);
    refused_by(&record, error, &lines);
}

/// The client was told what the first line about an error says: type, code, and from whom.
fn refused_by(record: &Record, step: usize, lines: &[String]) {
    let line = lines.iter().find(|l| l.starts_with("client: ICMP type ")).unwrap();
    let result = &record.outcome(step)["result"][0];
    let icmp = &result["icmp"][0];
    let said = format!(
        "client: ICMP type {} code {} from {} about",
        icmp["type"],
        icmp["code"],
        icmp["from"].as_str().unwrap_or("-")
    );
    assert!(line.starts_with(&said), "{line}, not {said}");
    assert!(line.ends_with(&format!("(errno {})", result["error"].as_str().unwrap())), "{line}");
}

#[test]
fn v6_without_a_server_the_virtual_address_says_port_unreachable_and_the_kernel_logs_it() {
    let lines = block(&transcript("V6a"), "all servers weight 0 / no servers");
    let mut lab = Lab::new();
    for (kind, port) in [("-u", 1035), ("-t", 1036)] {
        lab.cmd(&format!("ipvsadm -A {kind} 10.96.0.10:{port} -s rr"));
        for letter in ["A", "B", "C"] {
            lab.cmd(&format!("ipvsadm -a {kind} 10.96.0.10:{port} -r {}:8080 -m -w 0", addr(letter)));
        }
    }
    lab.cmd("ipvsadm -A -u 10.96.0.10:1037 -s rr");
    let mut ask = |kind: &str, port: u16| {
        let dst = format!("10.96.0.10:{port}");
        lab.then(json!({ "do": kind, "host": "client", "src": "0.0.0.0:35483", "dst": dst }))
    };
    let (weightless, tcp, none) = (ask("udp", 1035), ask("tcp", 1036), ask("udp", 1037));
    let log = lab.cmd("dmesg");
    let record = lab.run();
    refused_by(&record, weightless, &lines);
    assert_eq!(record.outcome(tcp)["connect"], "ECONNREFUSED");
    let last: Vec<String> = lines.iter().filter(|l| l.contains(":1037 ")).cloned().collect();
    refused_by(&record, none, &last);
    let said = |lines: &[String]| -> Vec<String> {
        let all = lines.iter().filter_map(|l| l.split_once("] ")).map(|(_, text)| text.to_owned());
        all.filter(|l| l.contains("no destination available")).collect()
    };
    assert_eq!(said(&record.printed(log)), said(&lines));
}

/// The message that there is no server is one of those of which ten are printed in five seconds (`IP_VS_ERR_RL`).
#[test]
fn v6_the_message_about_no_server_is_held_back() {
    let mut lab = Lab::new();
    lab.cmd("ipvsadm -A -u 10.96.0.10:1037 -s rr");
    for port in 30_000..30_015 {
        lab.then(json!({
            "do": "udp", "host": "client", "src": format!("0.0.0.0:{port}"), "dst": "10.96.0.10:1037", "reply": false
        }));
    }
    lab.sleep(6);
    lab.flow("client", false, "0.0.0.0:31000", "10.96.0.10:1037");
    let log = lab.cmd("dmesg");
    let lines = lab.run().printed(log);
    assert_eq!(lines.len(), 12, "{lines:?}");
    assert!(lines[10].ends_with("net_ratelimit: 5 callbacks suppressed"), "{}", lines[10]);
}

#[test]
fn v6_a_scheduler_that_does_not_exist() {
    let lines = block(&transcript("V6a"), "unknown scheduler");
    let mut lab = Lab::new();
    let step = lab.cmd(lines[0].strip_prefix("$ ").unwrap());
    assert_eq!(lab.run().printed(step), lines[1..3]);
}

/// Connections that stay open: an active one counts 256 times an inactive one, so each server gets as many.
#[test]
fn v6_lc_counts_sessions_that_stay_open() {
    let lines = block(&transcript("V6a"), "lc with live TCP sessions");
    let mut lab = Lab::new();
    for (pod, ..) in PODS {
        let hold = json!([{"proto": "tcp", "bind": "0.0.0.0:7777"}]);
        lab.host(pod, "servers", hold);
    }
    lab.cmd("ipvsadm -A -t 10.96.0.10:1027 -s lc");
    for letter in ["A", "B", "C"] {
        lab.cmd(&format!("ipvsadm -a -t 10.96.0.10:1027 -r {}:7777 -m", addr(letter)));
    }
    let steps: Vec<usize> = (0..12)
        .map(|n| {
            lab.then(json!({
                "do": "tcp", "host": "client", "src": format!("192.168.1.100:{}", 33_000 + n),
                "dst": "10.96.0.10:1027", "request": "x", "hold": true
            }))
        })
        .collect();
    let list = lab.cmd("ipvsadm -Ln -t 10.96.0.10:1027");
    let record = lab.run();
    let found: Vec<&str> = steps.iter().map(|s| record.picked(*s)).collect();
    let picks = lines.iter().find_map(|l| l.strip_prefix("picks: ")).unwrap();
    assert_eq!(found.join(" "), picks);
    let listed = lines.iter().skip_while(|l| !l.starts_with("TCP ")).filter(|l| !l.is_empty());
    assert_eq!(record.printed(list)[2..], listed.cloned().collect::<Vec<_>>());
}

/// Every block of V6a has a test here.
#[test]
fn v6a_is_replayed_as_a_whole() {
    let source = include_str!("sched.rs");
    let text = transcript("V6a");
    let titles = text.lines().filter_map(|l| l.strip_prefix("=== ")).skip(1);
    let absent: Vec<&str> = titles
        .filter(|t| {
            let known = |l: &str| {
                let quoted = l.split('"').skip(1).step_by(2);
                quoted.filter(|q| q.len() > 1).any(|q| t.starts_with(q))
            };
            !source.lines().any(known)
        })
        .collect();
    assert!(absent.is_empty(), "{absent:?}");
}

/// The picks of twenty clients, or of ports from `base` on, one virtual server after the other (`hash.txt`).
fn clients(text: &str) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    let (mut made, mut weights) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ipvsadm -A ") {
            made = command.to_owned();
        } else if let Some(w) = line.strip_prefix("weights ") {
            weights = w.to_owned();
        } else if let Some(picks) = line.strip_prefix("picks: ") {
            out.push((made.clone(), weights.clone(), picks.to_owned()));
        }
    }
    out
}

#[test]
fn v6_mh_and_sh_by_clients_ports_and_weights() {
    let text = transcript("hash");
    let text = block(&text, "mh, sh and dh by weights").join("\n");
    let all = clients(&text);
    assert_eq!(all.len(), 10);
    for (i, (made, weights, picks)) in all.iter().enumerate() {
        let virt = made.split(' ').nth(1).unwrap();
        let mut lab = Lab::new();
        let addrs: Vec<String> = (100..120).map(|n| format!("192.168.1.{n}/24")).collect();
        lab.host("client", "addrs", serde_json::json!({"eth0": addrs}));
        lab.cmd(&format!("ipvsadm -A {made}"));
        for (letter, weight) in ["A", "B", "C"].into_iter().zip(weights.split(' ')) {
            lab.cmd(&format!("ipvsadm -a -u {virt} -r {}:8080 -m -w {weight}", addr(letter)));
        }
        // The fifth and the sixth are one virtual server, whose server B was set to 0, then with mh-fallback.
        if weights == "1 2 1" {
            lab.cmd(&format!("ipvsadm -e -u {virt} -r {}:8080 -m -w 0", addr("B")));
        }
        if i == 5 {
            lab.cmd(&format!("ipvsadm -E -u {virt} -s mh -b mh-fallback"));
        }
        let ports = made.contains("-port").then_some(if made.contains("mh") { 40000 } else { 41000 });
        let steps: Vec<usize> = (0..20)
            .map(|n| match ports {
                Some(base) => lab.flow("client", false, &format!("192.168.1.100:{}", base + n), virt),
                None => lab.flow("client", false, &format!("192.168.1.{}:30000", 100 + n), virt),
            })
            .collect();
        let record = lab.run();
        let found: Vec<&str> = steps.iter().map(|s| record.picked(*s)).collect();
        assert_eq!(found.join(" "), *picks, "{made}, weights {weights}");
    }
}

#[test]
fn v6_dh_hashes_the_virtual_address() {
    let text = transcript("hash");
    let lines = block(&text, "dh: several virtual addresses");
    let wanted: Vec<(&str, &str)> = lines.iter().filter_map(|l| l.split_once(' ')).collect();
    assert_eq!(wanted.len(), 6);
    let mut lab = Lab::new();
    let mut ip = vec!["link add kube-ipvs0 type dummy".to_owned()];
    ip.extend((31..37).map(|n| format!("addr add 10.96.0.{n}/32 dev kube-ipvs0")));
    lab.host("node1", "ip", serde_json::json!(ip));
    let mut steps = Vec::new();
    for (virt, _) in &wanted {
        lab.cmd(&format!("ipvsadm -A -u {virt} -s dh"));
        for letter in ["A", "B", "C"] {
            lab.cmd(&format!("ipvsadm -a -u {virt} -r {}:8080 -m", addr(letter)));
        }
        steps.push(lab.flow("client", false, "192.168.1.100:42000", virt));
    }
    let record = lab.run();
    let found: Vec<(&str, &str)> =
        wanted.iter().zip(&steps).map(|((virt, _), s)| (*virt, record.picked(*s))).collect();
    assert_eq!(found, wanted);
}
