//! dig and nslookup, held against those of BIND 9.18: what they print of the same answers.
//!
//! `data/dns/record.py` makes the recording. BIND 9.16 prints the same but for what [`older`] takes away.

use crate::{block, coredns, outputs, scenario, table};
use packet::{Dns, DnsName, dns_type, rcode};

/// The lookups: name and type.
const LOOKUPS: &[(&str, u16)] = &[
    ("web.default.svc.cluster.local", dns_type::A),
    ("two.default.svc.cluster.local", dns_type::A),
    ("six.default.svc.cluster.local", dns_type::AAAA),
    ("six.default.svc.cluster.local", dns_type::A),
    ("web.default.svc.cluster.local", dns_type::AAAA),
    ("two.default.svc.cluster.local", dns_type::AAAA),
    ("alias.cluster.local", dns_type::AAAA),
    ("many.default.svc.cluster.local", dns_type::A),
    ("many.default.svc.cluster.local", dns_type::AAAA),
    ("most.default.svc.cluster.local", dns_type::A),
    ("text.cluster.local", dns_type::TXT),
    ("alias.cluster.local", dns_type::A),
    ("_http._tcp.web.default.svc.cluster.local", dns_type::SRV),
    ("80.0.96.10.in-addr.arpa", dns_type::PTR),
    ("nosuch.default.svc.cluster.local", dns_type::A),
    ("nosuch.default.svc.cluster.local", dns_type::AAAA),
];

#[test]
fn the_answers_are_those_that_bind_was_shown() {
    let mut made = String::new();
    for (name, kind) in LOOKUPS {
        let answer = table().answer(&Dns::query(0, DnsName::new(name).unwrap(), *kind)).unwrap();
        let hex: String = answer.to_bytes().iter().map(|b| format!("{b:02x}")).collect();
        made += &format!("{name} {kind} {hex}\n");
    }
    let fails =
        Dns { rcode: rcode::SERVFAIL, ..Dns::query(0, DnsName::new("example.com").unwrap(), 1).answer() };
    let hex: String = fails.to_bytes().iter().map(|b| format!("{b:02x}")).collect();
    made += &format!("example.com 1 {hex}\n");
    if let Ok(path) = std::env::var("WRITE_ANSWERS") {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(made, include_str!("../data/dns/answers.txt"));
}

/// What is different from run to run, and what only BIND 9.18 prints.
fn older(line: &str) -> Option<String> {
    if line.starts_with("; <<>> DiG ") {
        return Some("; <<>> DiG VERSION".to_owned());
    }
    if [";; Got recursion not available from ", ";; Got SERVFAIL reply from "]
        .iter()
        .any(|h| line.starts_with(h))
    {
        return None;
    }
    let masks = [(";; Query time:", " 0 msec"), (";; WHEN:", " DATE"), (";; MSG SIZE", "  rcvd: N")];
    for (head, tail) in masks {
        if line.starts_with(head) {
            return Some(format!("{head}{tail}"));
        }
    }
    if let Some(id) = line.find(", id: ") {
        return Some(format!("{}, id: N", &line[..id]));
    }
    Some(line.replace(" (UDP)", "").replace(" (TCP)", ""))
}

#[test]
fn dig_and_nslookup_print_what_bind_prints() {
    let recorded = include_str!("../data/dns/printed.txt");
    let mut wrong = String::new();
    for session in recorded.split("$ ").skip(1) {
        let (command, text) = session.split_once('\n').unwrap();
        let (text, status) = text.rsplit_once("[exit ").unwrap();
        let output = outputs(&scenario(vec![coredns(block())], &[command])).remove(0);
        let theirs: Vec<String> = text.lines().filter_map(older).collect();
        let ours: Vec<String> = output.stdout.iter().filter_map(|l| older(l)).collect();
        let same_end = status.trim_end().trim_end_matches(']') == output.status.to_string();
        if theirs != ours || !same_end {
            let at =
                theirs.iter().zip(&ours).position(|(a, b)| a != b).unwrap_or(theirs.len().min(ours.len()));
            wrong += &format!(
                "$ {command}, line {at}\n  theirs {:?}\n  ours   {:?}\n",
                theirs.get(at),
                ours.get(at)
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A name with two addresses: nc tries one after the other, and tells of each.
#[test]
fn nc_tries_every_address_of_a_name() {
    let out = outputs(&scenario(vec![coredns(block())], &["nc -vz -w 1 two 80"])).remove(0);
    assert_eq!((out.status, out.stderr.len()), (1, 2), "{:?}", out.stderr);
    for address in ["10.244.1.2", "10.244.1.3"] {
        let head = format!("nc: connect to two ({address}) port 80 (tcp) ");
        assert_eq!(out.stderr.iter().filter(|l| l.starts_with(&head)).count(), 1, "{:?}", out.stderr);
    }
}
