//! DNS over TCP: who asks so, what is cut before, how a server speaks.

use crate::{block, coredns, outputs, run, scenario};
use kernel::event::{TapDir, What};
use packet::{Dns, L4, TcpFlags, dns_type};
use sim::programs::Daemon;
use sim::programs::dns_server::{DnsServer, Forward, ServerBlock, Table};
use sim::{AppEvent, Scenario, Seen};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// What the client has sent to port 53, in order.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    /// A question: its type.
    Udp(u16),
    /// A SYN.
    Syn,
    /// A segment with these questions.
    Tcp(Vec<u16>),
}

fn kind(message: &[u8]) -> u16 {
    Dns::parse(message).unwrap().questions[0].kind
}

fn sent(scenario: &Scenario, to: Ipv4Addr) -> Vec<Sent> {
    let run = scenario.run().unwrap();
    let client = run.world.host_by_name("client").unwrap();
    let mut out = Vec::new();
    for entry in run.world.log().entries().iter().filter(|e| e.host == client) {
        let Some(What::Tap { dir: TapDir::Out, frame, .. }) = entry.what() else { continue };
        match frame.ip().filter(|ip| ip.dst == to).map(|ip| &ip.l4) {
            Some(L4::Udp(u)) if u.dport == 53 => out.push(Sent::Udp(kind(&u.payload))),
            Some(L4::Tcp(t)) if t.dport == 53 && t.flags.has(TcpFlags::SYN) => out.push(Sent::Syn),
            Some(L4::Tcp(t)) if t.dport == 53 && !t.payload.is_empty() => {
                let (mut rest, mut kinds) = (t.payload.as_slice(), Vec::new());
                while let [high, low, tail @ ..] = rest {
                    let (message, tail) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
                    kinds.push(kind(message));
                    rest = tail;
                }
                out.push(Sent::Tcp(kinds));
            }
            _ => {}
        }
    }
    out
}

/// What ping says once it has the address, to which there is no way.
const KNOWN: &str = "ping: connect: Network is unreachable";

fn server() -> Ipv4Addr {
    crate::SERVER
}

/// A client with these options that runs one command.
fn with_options(options: &str, command: &str) -> Scenario {
    let mut scenario = scenario(vec![coredns(block())], &[command]);
    scenario.hosts[0].files[0].1 += &format!("options {options}\n");
    scenario
}

#[test]
fn use_vc_asks_both_questions_in_one_segment_of_one_connection() {
    let scenario = with_options("use-vc", "ping -c 1 -W 1 web");
    assert_eq!(sent(&scenario, server()), [Sent::Syn, Sent::Tcp(vec![dns_type::A, dns_type::AAAA])]);
    assert_eq!(outputs(&scenario)[0].stderr, [KNOWN]);
}

#[test]
fn each_name_of_the_search_list_has_a_connection_of_its_own() {
    let scenario = with_options("use-vc", "ping -c 1 -W 1 nosuch.svc");
    let syns = sent(&scenario, server()).into_iter().filter(|s| *s == Sent::Syn).count();
    assert_eq!(syns, 4);
}

/// As glibc 2.36 does.
#[test]
fn who_is_refused_over_tcp_passes_over_the_search_list() {
    let mut scenario = with_options("use-vc", "ping -c 1 web");
    let nobodys = ServerBlock { zones: vec!["example.com".to_owned()], ..block() };
    scenario.hosts[1].daemons = vec![coredns(nobodys)];
    let syns = |s: &Scenario| sent(s, server()).into_iter().filter(|s| *s == Sent::Syn).count();
    assert_eq!(syns(&scenario), 2);
    assert_eq!(outputs(&scenario)[0].stderr, ["ping: web: Name or service not known"]);
    // Given with enough dots, it was asked for first.
    scenario.hosts[0].files[0].1 = scenario.hosts[0].files[0].1.replace("ndots:5", "ndots:0");
    assert_eq!(syns(&scenario), 2);
}

#[test]
fn an_answer_that_was_cut_is_asked_for_again_over_tcp() {
    let scenario = scenario(vec![coredns(block())], &["ping -c 1 -W 1 many"]);
    let both = vec![dns_type::A, dns_type::AAAA];
    let expected = [Sent::Udp(dns_type::A), Sent::Udp(dns_type::AAAA), Sent::Syn, Sent::Tcp(both)];
    assert_eq!(sent(&scenario, server()), expected);
    assert_eq!(outputs(&scenario)[0].stderr, [KNOWN]);
}

#[test]
fn no_aaaa_asks_for_a_alone() {
    assert_eq!(sent(&with_options("no-aaaa", "ping -c 1 -W 1 web"), server()), [Sent::Udp(dns_type::A)]);
    let both = "use-vc no-aaaa";
    assert_eq!(
        sent(&with_options(both, "ping -c 1 -W 1 web"), server()),
        [Sent::Syn, Sent::Tcp(vec![dns_type::A])]
    );
}

#[test]
fn rotate_asks_the_next_server_for_the_next_name() {
    let other = Ipv4Addr::new(10, 0, 0, 54);
    let mut scenario = scenario(vec![coredns(block())], &["ping -c 1 -W 1 nosuch.svc"]);
    scenario.hosts[0].files[0].1 += &format!("nameserver {other}\noptions rotate\n");
    // Three names that nobody has, in turns, and one for which both fail, twice.
    let mut asked = [sent(&scenario, server()).len(), sent(&scenario, other).len()];
    asked.sort_unstable();
    assert_eq!(asked, [2 + 4, 4 + 4]);
    scenario.hosts[0].files[0].1 = scenario.hosts[0].files[0].1.replace(" rotate", "");
    assert_eq!([sent(&scenario, server()).len(), sent(&scenario, other).len()], [6 + 4, 4]);
}

#[test]
fn a_port_where_nobody_listens_is_noticed_at_once_over_tcp_too() {
    let mut scenario = scenario(Vec::new(), &["time ping -c 1 web", "dig +tcp web.", "nslookup -vc web."]);
    scenario.hosts[0].files[0].1 += "options use-vc\n";
    let out = outputs(&scenario);
    assert_eq!(out[0].stderr[0], "ping: web: Temporary failure in name resolution");
    assert!(out[0].stderr[2].starts_with("real\t0m0.0"), "{:?}", out[0].stderr);
    let refused = ";; Connection to 10.0.0.53#53(10.0.0.53) for web. failed: connection refused.";
    assert_eq!((out[1].stdout.as_slice(), out[1].status), ([refused.to_owned()].as_slice(), 9));
    assert_eq!((out[2].stdout[0].as_str(), out[2].status), (refused, 1));
}

#[test]
fn dig_waits_ten_seconds_for_each_try_over_tcp() {
    let mut scenario = scenario(vec![coredns(block())], &["time dig +tcp +tries=2 web"]);
    let rules = "*filter\n:INPUT ACCEPT\n-A INPUT -p tcp --dport 53 -j DROP\nCOMMIT\n";
    scenario.hosts[1].iptables = Some(rules.to_owned());
    let out = outputs(&scenario).remove(0);
    assert!(out.stdout.iter().any(|l| l == ";; connection timed out; no servers could be reached"));
    assert!(out.stderr[1].starts_with("real\t0m20.0"), "{:?}", out.stderr);
}

#[test]
fn who_says_nothing_is_left_after_three_seconds() {
    let server = DnsServer::new((Ipv4Addr::UNSPECIFIED, 53), vec![block()]);
    let out = run(server, "time nc 10.0.0.53 53");
    assert!(out.stderr[1].starts_with("real\t0m3.0"), "{:?}", out.stderr);
}

#[test]
fn what_comes_over_tcp_is_sent_on_over_tcp() {
    let to = Ipv4Addr::new(10, 0, 0, 54);
    let table = Table::parse("", 300, "example.com A 192.0.2.1\n").unwrap();
    let upstream = ServerBlock {
        zones: vec![String::new()],
        tables: vec![Rc::new(table)],
        log: true,
        ..ServerBlock::default()
    };
    let forward = vec![Forward { to: vec![(to, 53)], ..Forward::default() }];
    let front = ServerBlock { forward, ..block() };
    let daemon = |addr, block| Daemon::new(DnsServer::new((addr, 53), vec![block]));
    let daemons = vec![daemon(server(), front), daemon(to, upstream)];
    let scenario = scenario(daemons, &["dig +tcp +noedns +short example.com"]);
    assert_eq!(outputs(&scenario)[0].stdout, ["192.0.2.1"]);
    let run = scenario.run().unwrap();
    let asked = run.world.log().entries().iter().any(|e| match &*e.seen {
        Seen::App(AppEvent::Printed { line, .. }) => {
            line.contains("A IN example.com. tcp 29 false 65535\" NOERROR qr,aa,rd 56 ")
        }
        _ => false,
    });
    assert!(asked);
}
