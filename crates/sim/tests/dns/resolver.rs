//! The stub resolver: whom it asks, what it believes, how long it waits.

use crate::{SERVER, block, coredns, outputs, run, scenario, table};
use kernel::SocketId;
use kernel::event::{TapDir, What};
use packet::{Dns, L4, dns_type, rcode};
use sim::Scenario;
use sim::programs::{Daemon, Program, Run};
use std::net::Ipv4Addr;

/// How a server of a test answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// Not at all.
    Silent,
    /// From its other address.
    FromElsewhere,
    /// SERVFAIL.
    Fails,
}

#[derive(Clone, Debug)]
struct Odd(How, Option<SocketId>);

impl Program for Odd {
    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let socket = *self.1.get_or_insert_with(|| {
            let bind = (Ipv4Addr::UNSPECIFIED, 53);
            let socket = run.kernel(|ns, kcx| ns.udp_bind(bind, kcx)).unwrap().unwrap();
            run.own(socket);
            socket
        });
        while let Some(Some(d)) = run.kernel(|ns, _| ns.udp_recv(socket)) {
            let query = Dns::parse(&d.payload).unwrap();
            let (from, answer) = match self.0 {
                How::Silent => continue,
                How::FromElsewhere => (Ipv4Addr::new(10, 0, 0, 54), table().answer(&query).unwrap()),
                How::Fails => (d.to, Dns { rcode: rcode::SERVFAIL, ..query.answer() }),
            };
            let bytes = answer.to_bytes();
            run.kernel(|ns, kcx| ns.udp_send(socket, Some(d.from), Some(from), bytes, kcx));
        }
        None
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }
}

/// The questions that the client has sent, in order: name, type, and its port.
fn asked(scenario: &Scenario) -> Vec<(String, u16, u16)> {
    let run = scenario.run().unwrap();
    let client = run.world.host_by_name("client").unwrap();
    let mut out = Vec::new();
    for entry in run.world.log().entries().iter().filter(|e| e.host == client) {
        if let Some(What::Tap { dir: TapDir::Out, frame, .. }) = entry.what()
            && let Some(L4::Udp(u)) = frame.ip().map(|ip| &ip.l4)
            && u.dport == 53
        {
            let question = Dns::parse(&u.payload).unwrap().questions.remove(0);
            out.push((question.name.as_str().to_owned(), question.kind, u.sport));
        }
    }
    out
}

#[test]
fn a_and_aaaa_leave_one_socket_for_each_name_of_the_search_list() {
    let asked = asked(&scenario(vec![coredns(block())], &["ping -c 1 -W 1 nosuch"]));
    let names =
        ["nosuch.default.svc.cluster.local", "nosuch.svc.cluster.local", "nosuch.cluster.local", "nosuch"];
    // The block has no zone for the last name: it fails, and is asked for again.
    assert_eq!(asked.len(), 10, "{asked:?}");
    for (pair, name) in asked.chunks(2).zip(names) {
        assert_eq!((pair[0].0.as_str(), pair[0].1), (name, dns_type::A));
        assert_eq!((pair[1].0.as_str(), pair[1].1), (name, dns_type::AAAA));
        assert_eq!(pair[0].2, pair[1].2, "one socket");
    }
}

#[test]
fn the_second_question_leaves_another_socket_if_that_is_asked_for() {
    for (options, one_socket) in [("single-request", true), ("single-request-reopen", false)] {
        let mut scenario = scenario(vec![coredns(block())], &["ping -c 1 -W 1 web"]);
        scenario.hosts[0].files[0].1 += &format!("options {options}\n");
        let asked = asked(&scenario);
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].2 == asked[1].2, one_socket, "{options}");
    }
}

#[test]
fn a_silent_server_costs_ten_seconds() {
    let output = run(Odd(How::Silent, None), "time curl http://web/");
    assert_eq!(output.status, 6);
    assert_eq!(output.stderr[0], "curl: (6) Could not resolve host: web");
    assert!(output.stderr[2].starts_with("real\t0m10.0"), "{:?}", output.stderr);
}

#[test]
fn what_resolv_conf_says_of_time_is_heeded() {
    let mut scenario = scenario(vec![Daemon::new(Odd(How::Silent, None))], &["time curl http://web/"]);
    scenario.hosts[0].files[0].1 += "options timeout:1 attempts:3\n";
    assert!(outputs(&scenario)[0].stderr[2].starts_with("real\t0m3.0"));
}

#[test]
fn an_answer_from_elsewhere_is_not_believed() {
    let output = run(Odd(How::FromElsewhere, None), "curl -sS http://web/");
    assert_eq!(output.stderr, ["curl: (6) Could not resolve host: web"]);
}

#[test]
fn nslookup_says_that_an_answer_came_from_elsewhere() {
    let output = run(Odd(How::FromElsewhere, None), "nslookup web");
    let said = ";; reply from unexpected source: 10.0.0.54#53, expected 10.0.0.53#53";
    assert_eq!(output.stdout[..3], [said; 3]);
    assert_eq!(output.stdout[3], ";; connection timed out; no servers could be reached");
    assert_eq!(output.status, 1);
}

#[test]
fn a_port_where_nobody_listens_is_noticed_at_once() {
    let scenario = scenario(Vec::new(), &["time ping -c 1 web"]);
    let output = &outputs(&scenario)[0];
    assert_eq!(output.stderr[0], "ping: web: Temporary failure in name resolution");
    assert!(output.stderr[2].starts_with("real\t0m0.0"), "{:?}", output.stderr);
}

#[test]
fn servfail_leads_to_the_next_name_and_in_the_end_to_nothing() {
    let output = run(Odd(How::Fails, None), "nslookup web");
    assert_eq!(output.stdout[3], "** server can't find web.default.svc.cluster.local: SERVFAIL");
    let output = run(Odd(How::Fails, None), "ping -c 1 web");
    assert_eq!(output.stderr, ["ping: web: Temporary failure in name resolution"]);
}

#[test]
fn hosts_come_before_servers() {
    let mut scenario = scenario(Vec::new(), &["ping -c 1 -q dns"]);
    scenario.hosts[0].files.push(("/etc/hosts".to_owned(), format!("{SERVER} dns\n")));
    assert_eq!(outputs(&scenario)[0].stdout[0], "PING dns (10.0.0.53) 56(84) bytes of data.");
}
