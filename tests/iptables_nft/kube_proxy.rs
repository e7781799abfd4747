//! kube-proxy's rules of mode iptables, by iptables-legacy and by iptables-nft: the same rules are read back, and packets go the
//! same way.

use cluster::kube_proxy::{Case, Family, iptables_jumps};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kube-proxy/cases");
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.join("iptables.txt").exists());
    all.sort();
    all
}

/// The kernel's jumps and kube-proxy's rules, as one text; without the counters of nfacct, which nobody has made.
fn rules(case: &Path) -> String {
    let input = std::fs::read_to_string(case.join("input.yaml")).unwrap();
    let config = Case::read(&input).unwrap().config;
    let text = std::fs::read_to_string(case.join("iptables.txt")).unwrap();
    let mut jumps: Vec<(String, String)> = Vec::new();
    for line in iptables_jumps(&config, Family::V4).lines().filter(|l| !l.contains(" -N ")) {
        let (table, rule) = line.strip_prefix("-t ").unwrap().split_once(' ').unwrap();
        jumps.push((table.to_owned(), rule.to_owned()));
    }
    let (mut out, mut table) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
        }
        if line == "COMMIT" {
            jumps.iter().filter(|(t, _)| *t == table).for_each(|(_, rule)| out += &format!("{rule}\n"));
        }
        let words: Vec<&str> = line.split(' ').collect();
        let at = words.windows(2).position(|w| w == ["-m", "nfacct"]);
        out += &match at {
            Some(at) => [&words[..at], &words[at + 4..]].concat().join(" "),
            None => line.to_owned(),
        };
        out.push('\n');
    }
    out
}

/// Addresses and ports that rules ask for.
fn asked(rules: &str) -> Vec<(String, u16, bool)> {
    let word = |line: &str, option: &str| {
        let mut words = line.split(' ').skip_while(|w| *w != option).skip(1);
        words.next().map(|w| w.trim_end_matches("/32").to_owned())
    };
    let mut out: Vec<(String, u16, bool)> = rules
        .lines()
        .filter_map(|l| {
            let port = word(l, "--dport")?.parse().ok()?;
            let to = word(l, "-d").unwrap_or_else(|| "10.0.0.1".to_owned());
            to.parse::<std::net::Ipv4Addr>().ok()?;
            Some((to, port, l.contains("-p tcp")))
        })
        .collect();
    out.sort();
    out.dedup();
    out.truncate(40);
    out
}

/// What a box did with packets from outside and of its own, and its rules at the end.
fn run(rules: &str, backend: &str) -> Value {
    let mut stimuli = Vec::new();
    for (n, (dst, port, tcp)) in asked(rules).into_iter().enumerate() {
        let proto = if tcp { "tcp" } else { "udp" };
        let packet = |src: &str| json!({ "proto": proto, "src": src, "dst": dst, "sport": 2000 + n, "dport": port, "flags": "S", "seq": 1 });
        for (host, src) in [("client", "10.0.0.2"), ("node", "10.0.0.1")] {
            stimuli.push(json!({ "do": "raw", "host": host, "pkt": packet(src) }));
        }
    }
    for table in ["filter", "nat"] {
        stimuli.push(json!({ "do": "cmd", "host": "node", "argv": ["iptables", "-t", table, "-vS"] }));
    }
    let node = json!({
        "addrs": { "eth0": ["10.0.0.1/24"] }, "routes": ["default via 10.0.0.2"],
        "neigh": ["10.0.0.2 lladdr 02:00:00:00:02:01 dev eth0"],
        "sysctl": { "net.ipv4.ip_forward": 1, "net.ipv4.icmp_ratelimit": 0, "net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.eth0.send_redirects": 0 },
        "iptables": rules, "backend": backend, "trace": false, "ct_probe": true,
    });
    let client = json!({
        "addrs": { "eth0": ["10.0.0.2/24"] }, "routes": ["default via 10.0.0.1"],
        "neigh": ["10.0.0.1 lladdr 02:00:00:00:01:01 dev eth0"],
    });
    let document = json!({
        "name": "k", "settle_ms": 1, "stimuli": stimuli, "hosts": { "node": node, "client": client },
        "links": [{ "type": "veth", "a": "node:eth0", "b": "client:eth0" }],
    });
    let mut record = nflab::replay(&document).unwrap_or_else(|e| panic!("{backend}: {e}"));
    record["final"] = Value::Null;
    for line in record["steps"].as_array_mut().unwrap().iter_mut().flat_map(lines) {
        // Policies of iptables-nft begin to count with the restore, and so do not those of chains that it does not name.
        if line.starts_with("-P ") {
            let words: Vec<&str> = line.split(' ').take(3).collect();
            *line = words.join(" ");
        }
    }
    record
}

/// What a step's command printed, to be changed.
fn lines(step: &mut Value) -> Vec<&mut String> {
    let lines = step["outcome"].get_mut("stdout").and_then(Value::as_array_mut);
    let texts = lines.into_iter().flatten().filter_map(|l| match l {
        Value::String(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

#[test]
fn kube_proxys_rules_judge_packets_as_by_legacy() {
    let (mut packets, mut rules_seen) = (0, 0);
    for case in cases().iter() {
        let text = rules(case);
        packets += 2 * asked(&text).len();
        rules_seen += text.lines().filter(|l| l.starts_with("-A ")).count();
        let (legacy, nft) = (run(&text, "legacy"), run(&text, "nft"));
        let steps = |record: &Value| record["steps"].as_array().unwrap().clone();
        for (a, b) in steps(&legacy).iter().zip(&steps(&nft)) {
            assert_eq!(a, b, "{}", case.display());
        }
    }
    assert!(packets > 300 && rules_seen > 500, "{packets} packets, {rules_seen} rules");
}
