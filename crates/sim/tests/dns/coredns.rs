//! CoreDNS's plugins.

use crate::{block, coredns, outputs, scenario};
use sim::programs::Daemon;
use sim::programs::dns_server::{DnsServer, Forward, ServerBlock, Table};
use sim::{AppEvent, Scenario, Seen};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// What the server has printed.
fn log(scenario: &Scenario) -> Vec<String> {
    let run = scenario.run().unwrap();
    let server = run.world.host_by_name("server").unwrap();
    let lines = run.world.log().entries().iter().filter(|e| e.host == server).filter_map(|e| match &e.seen {
        Seen::App(AppEvent::Printed { line, .. }) => Some(line.clone()),
        _ => None,
    });
    lines.collect()
}

fn forward_to(to: Ipv4Addr) -> Option<Forward> {
    Some(Forward { zone: String::new(), to: vec![(to, 53)] })
}

/// A server of the world outside, on the other address.
fn upstream() -> Daemon {
    let table = Table::parse("", 300, "example.com A 192.0.2.1\n").unwrap();
    let block =
        ServerBlock { zones: vec![String::new()], tables: vec![Rc::new(table)], ..ServerBlock::default() };
    Daemon::new(DnsServer::new((Ipv4Addr::new(10, 0, 0, 54), 53), vec![block]))
}

fn cluster(block: ServerBlock) -> Daemon {
    Daemon::new(DnsServer::new((Ipv4Addr::new(10, 0, 0, 53), 53), vec![block]))
}

#[test]
fn without_forward_a_foreign_name_fails_and_is_logged() {
    let block = ServerBlock { detects_loop: true, ..block() };
    let scenario = scenario(vec![coredns(block)], &["nslookup engineerbetter.com.", "nslookup web"]);
    let out = outputs(&scenario);
    assert_eq!(out[0].stdout[3], "** server can't find engineerbetter.com: SERVFAIL");
    assert_eq!(out[1].stdout[3..5], ["Name:\tweb.default.svc.cluster.local", "Address: 10.96.0.80"]);
    let log = log(&scenario);
    let said = "[ERROR] plugin/errors: 2 engineerbetter.com. A: plugin/loop: no next plugin found";
    assert!(log.iter().any(|l| l == said), "{log:#?}");
}

#[test]
fn a_foreign_name_is_asked_for_upstream() {
    let block = ServerBlock { forward: forward_to(Ipv4Addr::new(10, 0, 0, 54)), ..block() };
    let out = outputs(&scenario(
        vec![cluster(block), upstream()],
        &["dig +short example.com", "dig +short nosuch.com"],
    ));
    assert_eq!(out[0].stdout, ["192.0.2.1"]);
    assert!(out[1].stdout.is_empty());
}

#[test]
fn an_upstream_that_says_nothing_is_logged() {
    let block = ServerBlock { forward: forward_to(Ipv4Addr::new(10, 0, 0, 1)), ..block() };
    let mut scenario = scenario(vec![cluster(block)], &["dig +tries=1 +time=10 example.com"]);
    // The client drops what comes to it, as a network does that leads nowhere.
    let rules = "*filter\n:INPUT ACCEPT\n-A INPUT -p udp --dport 53 -j DROP\nCOMMIT\n";
    scenario.hosts[0].iptables = Some(rules.to_owned());
    assert!(
        outputs(&scenario)[0].stdout[4].contains("status: SERVFAIL"),
        "{:?}",
        outputs(&scenario)[0].stdout
    );
    let log = log(&scenario);
    let last = log.last().unwrap();
    assert!(last.starts_with("[ERROR] plugin/errors: 2 example.com. A: read udp 10.0.0.53:"), "{last}");
    assert!(last.ends_with("->10.0.0.1:53: i/o timeout"), "{last}");
}

#[test]
fn a_server_that_asks_itself_finds_out() {
    let forward = forward_to(Ipv4Addr::LOCALHOST);
    let block = ServerBlock { detects_loop: true, forward, ..block() };
    let log = log(&scenario(vec![coredns(block)], &["dig +tries=1 +time=1 web"]));
    let fatal = log.iter().find(|l| l.starts_with("[FATAL] plugin/loop: Loop (127.0.0.1:")).unwrap();
    assert!(
        fatal
            .contains("-> :53) detected for zone \".\", see https://coredns.io/plugins/loop#troubleshooting")
    );
}

#[test]
fn what_is_kept_is_not_asked_for_again_and_grows_old() {
    let block = ServerBlock {
        cache: Some(30),
        forward: forward_to(Ipv4Addr::new(10, 0, 0, 54)),
        log: true,
        ..block()
    };
    let mut scenario = scenario(vec![cluster(block), upstream()], &["dig example.com"; 2]);
    scenario.stimuli.insert(1, sim::Stimulus::Sleep { ms: 10_000 });
    let run = scenario.run().unwrap();
    let ttl = |step: usize| match &run.steps[step].outcome {
        sim::StepOutcome::Command(out) => {
            let line = out.stdout.iter().find(|l| l.starts_with("example.com.")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((ttl(0), ttl(2)), (300, 290));
}

#[test]
fn addresses_change_places() {
    let block = ServerBlock { loadbalance: true, ..block() };
    let out = outputs(&scenario(vec![coredns(block)], &["dig +short two.default.svc.cluster.local"; 12]));
    let firsts: Vec<&str> = out.iter().map(|o| o.stdout[0].as_str()).collect();
    assert!(firsts.contains(&"10.244.1.2") && firsts.contains(&"10.244.1.3"), "{firsts:?}");
}

#[test]
fn a_name_of_no_zone_is_refused() {
    let block = ServerBlock { zones: vec!["cluster.local".to_owned()], ..block() };
    let out = outputs(&scenario(vec![coredns(block)], &["dig example.com"]));
    assert!(out[0].stdout.iter().any(|l| l.contains("status: REFUSED")), "{:?}", out[0].stdout);
}
