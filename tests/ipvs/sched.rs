//! Fact V6: which server each scheduler picks, in the order that a Linux 6.1 showed (`data/ipvs/V6a.txt`, `hash.txt`).

use crate::lab::{Lab, block, transcript};

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
