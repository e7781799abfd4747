//! Names in simulated time: the stub resolver, dig and nslookup, CoreDNS's plugins.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod coredns;
mod resolver;
mod stream;
mod tools;

use packet::{DnsData, DnsName, DnsRecord, dns_type};
use sim::operator::CommandOutput;
use sim::programs::dns_server::{DnsServer, ServerBlock, Table, ptr};
use sim::programs::{Daemon, Program, shell};
use sim::{HostSpec, LinkSpec, Scenario, StepOutcome, Stimulus};
use std::net::Ipv4Addr;
use std::rc::Rc;
use userland::ip::parse_ip;

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 53);
pub(crate) const MANY: Ipv4Addr = Ipv4Addr::new(10, 244, 2, 1);
pub(crate) const MOST: Ipv4Addr = Ipv4Addr::new(10, 244, 3, 1);
pub(crate) const RESOLV: &str = "nameserver 10.0.0.53\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn host(name: &str, ip: &[&str]) -> HostSpec {
    let ip = ip.iter().map(|line| parse_ip(&words(&format!("ip {line}"))).unwrap().command).collect();
    HostSpec { name: name.to_owned(), ip, ..HostSpec::default() }
}

/// What the tests' zone has: all that a cluster's has.
pub(crate) fn table() -> Table {
    let text = "web.default.svc.cluster.local A 10.96.0.80\n\
                two.default.svc.cluster.local A 10.244.1.2\n\
                two.default.svc.cluster.local A 10.244.1.3\n\
                six.default.svc.cluster.local AAAA fd00::80\n\
                text.cluster.local TXT v=1 two words\n\
                alias.cluster.local CNAME web.default.svc.cluster.local\n";
    // More addresses than a datagram without EDNS holds, and than one of dig's.
    let many = |name: &str, n: u32, from: Ipv4Addr| {
        let addr = |i| Ipv4Addr::from_bits(from.to_bits() + i);
        (0..n).map(|i| format!("{name}.default.svc.cluster.local A {}\n", addr(i))).collect::<String>()
    };
    let many = many("many", 40, MANY) + &many("most", 90, MOST);
    let mut table = Table {
        pods_insecure: true,
        ..Table::parse("cluster.local", 30, &(text.to_owned() + &many)).unwrap()
    };
    let name = |text: &str| DnsName::new(text).unwrap();
    let target = name("web.default.svc.cluster.local");
    let data = DnsData::Srv(0, 100, 80, target.clone());
    let owner = name("_http._tcp.web.default.svc.cluster.local");
    table.records.push(DnsRecord { name: owner, kind: dns_type::SRV, class: 1, ttl: 30, data });
    table.zones.push("in-addr.arpa".to_owned());
    table.records.extend(ptr([10, 96, 0, 80].into(), &target, 30));
    table
}

/// A block that answers from the table.
pub(crate) fn block() -> ServerBlock {
    ServerBlock {
        zones: vec![String::new()],
        errors: true,
        tables: vec![Rc::new(table())],
        ..ServerBlock::default()
    }
}

pub(crate) fn coredns(block: ServerBlock) -> Daemon {
    Daemon::new(DnsServer::new((Ipv4Addr::UNSPECIFIED, 53), vec![block]))
}

/// A client and a server on one wire; the server's programs, and what the client runs.
pub(crate) fn scenario(daemons: Vec<Daemon>, commands: &[&str]) -> Scenario {
    let mut client = host("client", &["addr add 10.0.0.1/24 dev eth0"]);
    client.files = vec![("/etc/resolv.conf".to_owned(), RESOLV.to_owned())];
    let mut server = host("server", &["addr add 10.0.0.53/24 dev eth0", "addr add 10.0.0.54/24 dev eth0"]);
    server.daemons = daemons;
    let end = |host: &str| (host.to_owned(), "eth0".to_owned());
    let link = LinkSpec::Veth { a: end("client"), b: end("server"), a_mac: None, b_mac: None };
    let command =
        |line: &&str| Stimulus::Command { shell, host: "client".to_owned(), argv: words(line), stdin: None };
    let stimuli = commands.iter().map(command).collect();
    Scenario { hosts: vec![client, server], links: vec![link], stimuli, ..Scenario::default() }
}

/// Runs the commands and gives what they print.
pub(crate) fn outputs(scenario: &Scenario) -> Vec<CommandOutput> {
    let run = scenario.run().unwrap();
    let output = |outcome: StepOutcome| match outcome {
        StepOutcome::Command(output) => output,
        other => panic!("{other:?}"),
    };
    run.steps.into_iter().map(|s| output(s.outcome)).collect()
}

/// One command against one server.
pub(crate) fn run(daemon: impl Program + 'static, command: &str) -> CommandOutput {
    outputs(&scenario(vec![Daemon::new(daemon)], &[command])).remove(0)
}
