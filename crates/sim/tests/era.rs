//! What the kernel's version decides.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kernel::netfilter::conntrack::{Helper, Row, TcpState, status};
use kernel::socket::Errno;
use kernel::{Era, Modules, Switch};
use sim::{CloseHow, HostSpec, LinkSpec, Run, Scenario, ServerMode, ServerSpec, Stimulus};
use std::net::Ipv4Addr;
use userland::ip::parse_ip;

fn host(name: &str, ip: &[&str]) -> HostSpec {
    let ip = ip.iter().map(|line| {
        let argv: Vec<&str> = std::iter::once("ip").chain(line.split(' ')).collect();
        parse_ip(&argv).unwrap().command
    });
    HostSpec { name: name.to_owned(), ip: ip.collect(), ..HostSpec::default() }
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// A client and a server with these rules.
fn run(era: Era, rules: &str, stimuli: Vec<Stimulus>) -> Run {
    let mut server = host("server", &["addr add 10.0.0.1/24 dev eth0", "link set eth0 up"]);
    server.era = era;
    server.modules = Modules { nf_conntrack_tftp: true, nf_nat_tftp: true, ..Modules::default() };
    server.iptables = Some(rules.to_owned());
    let listen = |port, mode| ServerSpec { tcp: false, bind: (SERVER, port), mode, closes: false };
    server.servers = vec![
        listen(53, ServerMode::Echo),
        ServerSpec { tcp: true, bind: (SERVER, 80), mode: ServerMode::Echo, closes: false },
        listen(69, ServerMode::Tftp { data: (Ipv4Addr::UNSPECIFIED, 40000), retransmit_ms: 0 }),
    ];
    let end = |name: &str| (name.to_owned(), "eth0".to_owned());
    let scenario = Scenario {
        hosts: vec![host("client", &["addr add 10.0.0.2/24 dev eth0", "link set eth0 up"]), server],
        links: vec![LinkSpec::Veth { a: end("client"), b: end("server"), a_mac: None, b_mac: None }],
        stimuli,
        settle_ms: 40,
    };
    scenario.run().unwrap()
}

const TRACKS: &str = "*filter\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n";

fn udp(count: usize) -> Stimulus {
    Stimulus::Udp {
        host: "client".to_owned(),
        src: (CLIENT, 5000),
        dst: (SERVER, 53),
        payload: b"x".to_vec(),
        connect: true,
        count,
        ttl: None,
        reply: true,
        timeout_ms: 300,
        linger_ms: 0,
    }
}

fn rows(run: &Run) -> Vec<Row> {
    let server = run.world.host_by_name("server").unwrap();
    run.world.host(server).unwrap().ct.rows(run.world.now())
}

#[test]
fn a_udp_stream_begins_at_once_on_old_kernels_and_after_two_seconds_on_new_ones() {
    for era in Era::ALL {
        let (assured, left) = if era < Era::V5_15 { (true, 179) } else { (false, 29) };
        let row = rows(&run(era, TRACKS, vec![udp(2)]))[0];
        assert_eq!((row.status & status::ASSURED != 0, row.timeout), (assured, left), "{}", era.name());
    }
}

#[test]
fn helpers_are_assigned_by_port_only_on_the_oldest_kernel() {
    for era in Era::ALL {
        let helper = (era == Era::V3_10).then_some(Helper::TFTP);
        let get = Stimulus::Tftp {
            host: "client".to_owned(),
            src: (CLIENT, 6000),
            dst: (SERVER, 69),
            file: "f-10".to_owned(),
            strict: false,
            retransmit_ms: 0,
            timeout_ms: 300,
        };
        let row = rows(&run(era, TRACKS, vec![get])).into_iter().find(|r| r.orig.dport() == 69).unwrap();
        assert_eq!(row.helper, helper, "{}", era.name());
    }
}

#[test]
fn conntrack_runs_without_a_rule_only_on_the_oldest_kernel() {
    for era in Era::ALL {
        let entries = usize::from(era == Era::V3_10);
        let run = run(era, "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n", vec![udp(1)]);
        assert_eq!(rows(&run).len(), entries, "{}", era.name());
    }
}

#[test]
fn the_sysctl_of_the_helpers_is_gone_from_new_kernels() {
    for era in Era::ALL {
        let known = era < Era::V6_1;
        let mut run = run(era, TRACKS, Vec::new());
        let server = run.world.host_by_name("server").unwrap();
        let set = run.world.host_mut(server).unwrap().sysctl_set("net.netfilter.nf_conntrack_helper", 1);
        assert_eq!(set.is_ok(), known, "{}", era.name());
    }
}

/// A TCP client that waits so long for its connection.
fn tcp(timeout_ms: u64) -> Stimulus {
    Stimulus::Tcp {
        host: "client".to_owned(),
        src: (CLIENT, 5000),
        dst: (SERVER, 80),
        request: b"GET".to_vec(),
        close: CloseHow::Client,
        timeout_ms,
    }
}

#[test]
fn a_repeated_syn_renews_the_time_out_on_old_kernels_only() {
    let rules =
        "*raw\n-A OUTPUT -p tcp -j DROP\nCOMMIT\n*filter\n-A INPUT -m conntrack --ctstate NEW\nCOMMIT\n";
    for era in Era::ALL {
        let renewed = era < Era::V5_15;
        // The first SYN and its repetition after a second; nothing answers.
        let row = rows(&run(era, rules, vec![tcp(1900)]))[0];
        assert_eq!(row.timeout > 118, renewed, "{}: {} s", era.name(), row.timeout);
    }
}

#[test]
fn a_reset_by_reject_closes_the_flow_on_new_kernels_only() {
    let rules = "*filter\n-A INPUT -p tcp --dport 80 --tcp-flags PSH PSH -j REJECT --reject-with tcp-reset\n\
                 -A INPUT -m conntrack --ctstate NEW\nCOMMIT\n";
    for era in Era::ALL {
        let state = if era < Era::V6_18 { TcpState::Established } else { TcpState::Close };
        let row = rows(&run(era, rules, vec![tcp(300)]))[0];
        assert_eq!(row.tcp.unwrap().state, state, "{}", era.name());
    }
}

#[test]
fn a_source_that_is_not_the_hosts_own_is_unreachable_on_new_kernels() {
    for era in Era::ALL {
        let errno = if era < Era::V6_18 { Errno::EINVAL } else { Errno::ENETUNREACH };
        let mut run = run(era, TRACKS, Vec::new());
        let server = run.world.host_by_name("server").unwrap();
        let sent = run.world.with(server, |ns, cx| {
            let socket = ns.udp_bind((SERVER, 7), cx)?;
            ns.udp_send(socket, Some((CLIENT, 7)), Some(Ipv4Addr::new(10, 0, 0, 255)), Vec::new(), cx)
        });
        assert_eq!(sent, Some(Err(errno)), "{}", era.name());
    }
}

/// Nothing is said of a kernel that the table of differences does not hold against something, and each name stands once.
#[test]
fn every_difference_has_a_name_of_its_own_and_two_sides() {
    let names: Vec<&str> = Switch::ALL.iter().map(|s| s.difference().name).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len());
    for switch in Switch::ALL {
        let d = switch.difference();
        assert!(Era::V3_10.version() < d.since && d.since <= Era::V6_18.version(), "{}", d.name);
        assert_eq!((d.says(Era::V3_10), d.says(Era::V6_18)), (d.before, d.after), "{}", d.name);
    }
}

#[test]
fn an_entry_leaves_the_table_with_its_timer_on_old_kernels_and_with_a_scan_on_new_ones() {
    let count = |era| {
        let stimuli = vec![udp(1), Stimulus::Sleep { ms: 31_000 }];
        let run = run(era, TRACKS, stimuli);
        let host = run.world.host_by_name("server").unwrap();
        run.world.host(host).unwrap().ct.count()
    };
    assert_eq!((count(Era::V3_10), count(Era::V6_18)), (0, 1));
}

/// A UDP flow from this port, with so many packets that it is ASSURED on an old kernel.
fn flow(port: u16) -> Stimulus {
    let mut flow = udp(3);
    if let Stimulus::Udp { src, .. } = &mut flow {
        src.1 = port;
    }
    flow
}

#[test]
fn the_line_of_a_full_table_has_the_modules_name_once_on_old_kernels() {
    let limits = Stimulus::ConntrackLimits { max: Some(2), buckets: None, expect_max: None };
    let run = run(Era::V3_10, TRACKS, vec![limits, flow(6001), flow(6002), flow(6003)]);
    let lines = run.world.log().entries().iter().filter_map(|e| match e.what()? {
        kernel::event::What::KernelLog(line) => Some(line.as_str()),
        _ => None,
    });
    assert_eq!(lines.collect::<Vec<_>>().first(), Some(&"nf_conntrack: table full, dropping packet"));
}
