//! `ip -s`: devices count what ip(8) of iproute2 6.1 counted on Linux 6.18.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sim::operator::CommandOutput;
use sim::programs::shell;
use sim::{BridgePort, HostSpec, LinkSpec, Scenario, ServerMode, ServerSpec, StepOutcome, Stimulus};
use std::net::Ipv4Addr;
use userland::ip::parse_ip;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// A box that takes datagrams on port 9 and says nothing.
fn host(name: &str, lines: &[&str]) -> HostSpec {
    let sink =
        ServerSpec { tcp: false, bind: (Ipv4Addr::UNSPECIFIED, 9), mode: ServerMode::Sink, closes: false };
    HostSpec {
        name: name.to_owned(),
        ip: lines.iter().map(|line| parse_ip(&words(line)).unwrap().command).collect(),
        servers: vec![sink],
        ..HostSpec::default()
    }
}

fn command(host: &str, line: &str) -> Stimulus {
    Stimulus::Command { shell, host: host.to_owned(), argv: words(line), stdin: None }
}

fn send(host: &str, dst: &str, bytes: usize) -> Stimulus {
    Stimulus::Udp {
        host: host.to_owned(),
        src: (Ipv4Addr::UNSPECIFIED, 5000),
        dst: (dst.parse().unwrap(), 9),
        payload: vec![b'x'; bytes],
        connect: false,
        count: 1,
        ttl: None,
        reply: false,
        timeout_ms: 10,
        linger_ms: 0,
    }
}

/// What a word of a part's title does.
fn done(what: &str) -> Stimulus {
    match words(what).iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["send", host, dst, bytes] => send(host, dst, bytes.parse().unwrap()),
        ["mtu", host, dev, mtu] => command(host, &format!("ip link set {dev} mtu {mtu}")),
        [state @ ("up" | "down"), host, dev] => command(host, &format!("ip link set {dev} {state}")),
        _ => panic!("{what}"),
    }
}

fn outputs(hosts: Vec<HostSpec>, links: Vec<LinkSpec>, stimuli: Vec<Stimulus>) -> Vec<CommandOutput> {
    let scenario = Scenario { hosts, links, stimuli, settle_ms: 5 };
    let steps = scenario.run().unwrap().steps.into_iter();
    let output = |s: sim::StepRecord| match s.outcome {
        StepOutcome::Command(output) => Some(output),
        _ => None,
    };
    steps.filter_map(output).collect()
}

fn veth() -> LinkSpec {
    let end = |host: &str, dev: &str| (host.to_owned(), dev.to_owned());
    LinkSpec::Veth { a: end("a", "va"), b: end("b", "pa"), a_mac: None, b_mac: None }
}

fn recorded() -> (Vec<HostSpec>, Vec<LinkSpec>) {
    let a = host(
        "a",
        &["ip addr add 10.0.0.1/24 dev br0", "ip neigh add 10.0.0.2 lladdr 02:00:00:00:02:01 dev br0"],
    );
    let b = host(
        "b",
        &["ip addr add 10.0.0.2/24 dev pa", "ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:10 dev pa"],
    );
    let bridge = LinkSpec::Bridge {
        host: "a".to_owned(),
        name: "br0".to_owned(),
        mac: Some("02:00:00:00:00:10".parse().unwrap()),
        ports: vec![BridgePort { dev: "va".to_owned(), hairpin: false }],
        promisc: false,
    };
    (vec![a, b], vec![veth(), bridge])
}

#[test]
fn devices_count_what_those_of_linux_count() {
    let (mut stimuli, mut wanted) = (Vec::new(), Vec::<(String, Vec<&str>)>::new());
    for line in include_str!("data/link-stats.txt").lines().filter(|l| !l.starts_with('#')) {
        if let Some(title) = line.strip_prefix("== ") {
            stimuli.extend(title.split("; ").map(done));
        } else if let Some((host, line)) = line.strip_prefix("$ ").and_then(|l| l.split_once(": ")) {
            stimuli.push(command(host, line));
            wanted.push((line.to_owned(), Vec::new()));
        } else {
            wanted.last_mut().unwrap().1.push(line);
        }
    }
    let (hosts, links) = recorded();
    let outputs = outputs(hosts, links, stimuli);
    let shown: Vec<&CommandOutput> = outputs.iter().filter(|o| !o.stdout.is_empty()).collect();
    assert_eq!(shown.len(), wanted.len());
    for ((line, want), got) in wanted.iter().zip(shown) {
        assert_eq!(got.stdout[got.stdout.len() - 4..], want[..], "{line}: {got:?}");
    }
}

#[test]
fn a_veth_whose_other_end_is_down_drops_what_it_is_given() {
    let a = host(
        "a",
        &["ip addr add 10.0.0.1/24 dev va", "ip neigh add 10.0.0.2 lladdr 02:00:00:00:02:01 dev va"],
    );
    let stimuli = vec![
        done("down b pa"),
        send("a", "10.0.0.2", 100),
        command("a", "ip -s link show va"),
        command("b", "ip -s link show pa"),
    ];
    let outputs = outputs(vec![a, host("b", &["ip addr add 10.0.0.2/24 dev pa"])], vec![veth()], stimuli);
    // Recorded as the others.
    let none = "             0       0      0       0       0       0 ";
    let dropped = "             0       0      0       1       0       0 ";
    assert_eq!((outputs[1].stdout[3].as_str(), outputs[1].stdout[5].as_str()), (none, dropped));
    assert_eq!((outputs[2].stdout[3].as_str(), outputs[2].stdout[5].as_str()), (none, none));
}

#[test]
fn figures_stand_in_json_behind_the_addresses() {
    let (hosts, links) = recorded();
    let stimuli = vec![
        send("b", "10.0.0.1", 7),
        command("a", "ip -s -j addr show br0"),
        command("a", "ip -j -s link show lo"),
    ];
    let outputs = outputs(hosts, links, stimuli);
    // As iproute2 has it.
    let stats = |rx: &str| {
        format!(
            "\"stats64\":{{\"rx\":{{{rx},\"errors\":0,\"dropped\":0,\"over_errors\":0,\"multicast\":0}},\
             \"tx\":{{\"bytes\":0,\"packets\":0,\"errors\":0,\"dropped\":0,\"carrier_errors\":0,\"collisions\":0}}}}}}]"
        )
    };
    assert!(
        outputs[0].stdout[0].ends_with(&format!("}}],{}", stats("\"bytes\":35,\"packets\":1"))),
        "{outputs:?}"
    );
    assert!(outputs[1].stdout[0].ends_with(&stats("\"bytes\":0,\"packets\":0")), "{outputs:?}");
}

#[test]
fn what_has_no_figures_says_so() {
    let (hosts, links) = recorded();
    let lines =
        ["ip -s neigh", "ip -s -s link", "ip -s route", "ip -s -br link", "ip -s -o addr", "ip -s rule"];
    let stimuli = lines.iter().map(|line| command("a", line)).collect();
    let outputs = outputs(hosts, links, stimuli);
    assert!(outputs[0].stderr.join(" ").contains("-s of neighbours is not modelled"), "{:?}", outputs[0]);
    assert!(outputs[1].stderr.join(" ").contains("a second -s is not modelled"), "{:?}", outputs[1]);
    for output in &outputs[2..] {
        assert!(output.status == 0 && !output.stdout.iter().any(|l| l.contains("RX:")), "{output:?}");
    }
}
