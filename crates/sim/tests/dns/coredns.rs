//! CoreDNS's plugins.

use crate::{block, coredns, outputs, scenario};
use kernel::SocketId;
use kernel::socket::Received;
use packet::Dns;
use sim::programs::dns_server::{DnsServer, Forward, ServerBlock, Table};
use sim::programs::{Daemon, Program, Run};
use sim::{AppEvent, Scenario, Seen};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// What the server has printed.
fn log(scenario: &Scenario) -> Vec<String> {
    let run = scenario.run().unwrap();
    let server = run.world.host_by_name("server").unwrap();
    let lines =
        run.world.log().entries().iter().filter(|e| e.host == server).filter_map(|e| match &*e.seen {
            Seen::App(AppEvent::Printed { line, .. }) => Some(line.clone()),
            _ => None,
        });
    lines.collect()
}

fn forward_to(to: Ipv4Addr) -> Vec<Forward> {
    vec![Forward { zone: String::new(), except: Vec::new(), to: vec![(to, 53)] }]
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

/// plugin/forward: several in one block, each for a zone of its own; `except` leaves names to whoever comes behind.
#[test]
fn the_first_forward_that_takes_a_name_sends_it_on() {
    let away =
        Forward { zone: "com".to_owned(), except: vec!["example.com".to_owned()], ..Forward::default() };
    let mut forward = forward_to(Ipv4Addr::new(10, 0, 0, 54));
    forward.insert(0, away);
    let only_com = ServerBlock { forward: forward[..1].to_vec(), ..block() };
    let both = ServerBlock { forward, ..block() };
    for (block, wanted) in [(both, "NOERROR"), (only_com, "SERVFAIL")] {
        let out = outputs(&scenario(vec![cluster(block), upstream()], &["dig example.com"]));
        assert!(out[0].stdout[4].contains(wanted), "{wanted}: {:?}", out[0].stdout);
    }
}

/// plugin/cache, `disable`: answers below a zone are not kept, so each question goes upstream.
#[test]
fn what_the_cache_is_told_not_to_keep_is_asked_for_again() {
    let forward = forward_to(Ipv4Addr::new(10, 0, 0, 54));
    let asked = |uncached: Vec<(bool, String)>| {
        let block = ServerBlock { cache: Some(30), uncached, forward: forward.clone(), ..block() };
        let scenario = scenario(vec![cluster(block), upstream()], &["dig example.com"; 3]);
        let run = scenario.run().unwrap();
        let log = run.world.log().entries().iter().filter_map(|e| e.what());
        log.filter(|w| matches!(w, kernel::event::What::Tap { .. })).count()
    };
    let kept = asked(Vec::new());
    assert_eq!(asked(vec![(true, String::new()), (false, "example.org".to_owned())]), kept);
    assert!(asked(vec![(false, "com".to_owned())]) > kept);
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

/// The sockets that the cluster's server asks the one upstream from, query by query, and how many it has in the end.
fn sockets_upstream(lines: &[&str], pauses: &[u64]) -> (Vec<u16>, usize) {
    let table = Table::parse("", 300, "example.com A 192.0.2.1\nexample.org A 192.0.2.2\n").unwrap();
    let logs = ServerBlock {
        tables: vec![Rc::new(table)],
        zones: vec![String::new()],
        log: true,
        ..Default::default()
    };
    let upstream = Daemon::new(DnsServer::new((Ipv4Addr::new(10, 0, 0, 54), 53), vec![logs]));
    let forward = ServerBlock { forward: forward_to(Ipv4Addr::new(10, 0, 0, 54)), ..block() };
    let mut scenario = scenario(vec![cluster(forward), upstream], lines);
    for (at, ms) in pauses.iter().enumerate() {
        scenario.stimuli.insert(2 * at + 1, sim::Stimulus::Sleep { ms: *ms });
    }
    let port = |line: &String| {
        let from = line.strip_prefix("[INFO] 10.0.0.53:")?;
        from.split(' ').next()?.parse::<u16>().ok()
    };
    let run = scenario.run().unwrap();
    let server = run.world.host(run.world.host_by_name("server").unwrap()).unwrap();
    let open = server.sockets.iter().filter(|(_, s)| match s {
        kernel::socket::Socket::Udp(u) => u.remote.is_some(),
        kernel::socket::Socket::Tcp(t) => {
            t.remote.0 == Ipv4Addr::new(10, 0, 0, 54) && t.status.name() == "ESTAB"
        }
        _ => false,
    });
    (log(&scenario).iter().filter_map(port).collect(), open.count())
}

/// plugin/pkg/proxy/persistent.go: the socket used last is taken again within ten seconds.
#[test]
fn a_socket_to_the_server_upstream_is_used_again() {
    let (ports, open) = sockets_upstream(&["dig example.com", "dig example.org"], &[9_000]);
    assert_eq!((ports.len(), ports[0], open), (2, ports[1], 1));
}

#[test]
fn a_socket_that_nobody_has_used_for_ten_seconds_is_not() {
    let (ports, _) = sockets_upstream(&["dig example.com", "dig example.org"], &[10_500]);
    assert_eq!(ports.len(), 2);
    assert_ne!(ports[0], ports[1]);
}

#[test]
fn sockets_upstream_are_closed_some_ten_to_twenty_seconds_after_their_last_use() {
    let after = |ms: u64| sockets_upstream(&["dig example.com"], &[ms]).1;
    assert_eq!((after(8_000), after(20_500)), (1, 0));
}

#[test]
fn a_connection_upstream_is_used_again() {
    let tcp = ["dig +tcp +short example.com", "dig +tcp +short example.org"];
    let (ports, open) = sockets_upstream(&tcp, &[3_000]);
    assert_eq!((ports.len(), ports[0], open), (2, ports[1], 1));
}

/// A server that closes each connection with its answer; it counts the connections.
#[derive(Clone, Debug)]
struct Closes(Option<SocketId>, Vec<SocketId>);

impl Program for Closes {
    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let listener = *self.0.get_or_insert_with(|| {
            let bind = (Ipv4Addr::new(10, 0, 0, 54), 53);
            let socket = run.kernel(|ns, _| ns.tcp_listen(bind)).unwrap().unwrap();
            run.own(socket);
            socket
        });
        while let Some(Some(socket)) = run.kernel(|ns, _| ns.tcp_accept(listener)) {
            run.own(socket);
            run.print("a connection");
            self.1.push(socket);
        }
        let table = Table::parse("", 300, "example.com A 192.0.2.1\n").unwrap();
        self.1.retain(|socket| {
            let Some(Received::Data(data)) = run.kernel(|ns, _| ns.tcp_recv(*socket)) else { return true };
            let answer = table.answer(&Dns::parse(&data[2..]).unwrap()).unwrap().to_bytes();
            let framed = [&(answer.len() as u16).to_be_bytes(), &answer[..]].concat();
            run.kernel(|ns, kcx| {
                let _ = ns.tcp_send(*socket, &framed, kcx);
                ns.tcp_close(*socket, kcx);
            });
            false
        });
        None
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }
}

/// plugin/forward, `ErrCachedClosed`: the same server is asked again by a new connection, at once.
#[test]
fn a_connection_that_the_server_has_closed_meanwhile_is_replaced() {
    let forward = ServerBlock { forward: forward_to(Ipv4Addr::new(10, 0, 0, 54)), ..block() };
    let lines = ["dig +tcp +short example.com", "time dig +tcp +short example.com"];
    let scenario = scenario(vec![cluster(forward), Daemon::new(Closes(None, Vec::new()))], &lines);
    let out = outputs(&scenario);
    assert_eq!(
        (&out[0].stdout, &out[1].stdout),
        (&vec!["192.0.2.1".to_owned()], &vec!["192.0.2.1".to_owned()])
    );
    assert!(out[1].stderr[1].starts_with("real\t0m0.0"), "{:?}", out[1].stderr);
    assert_eq!(log(&scenario).iter().filter(|l| *l == "a connection").count(), 2);
}
