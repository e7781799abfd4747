//! The views of a small world: a node with a bridge, a client and a server on it, and a service address.

use super::*;
use crate::{BridgePort, HostSpec, LinkSpec, Run, Scenario, ServerMode, ServerSpec, Stimulus};
use kernel::NetnsId;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::TableId;
use std::net::Ipv4Addr;

const RULES: &str = "*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:SERVICES - [0:0]
-A PREROUTING -j SERVICES
-A SERVICES -d 10.96.0.9/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 10.1.0.9:53
-A SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.1.0.3:80
COMMIT
";

fn ip(line: &str) -> userland::ip::IpCommand {
    let argv: Vec<&str> = std::iter::once("ip").chain(line.split_whitespace()).collect();
    userland::ip::parse_ip(&argv).unwrap().command
}

fn host(name: &str, dev: &str, addr: &str) -> HostSpec {
    HostSpec {
        name: name.to_owned(),
        ip: vec![ip(&format!("addr add {addr} dev {dev}"))],
        ..HostSpec::default()
    }
}

fn veth(node_dev: &str, pod: &str) -> LinkSpec {
    let end = |h: &str, d: &str| (h.to_owned(), d.to_owned());
    LinkSpec::Veth { a: end("node", node_dev), b: end(pod, "eth0"), a_mac: None, b_mac: None }
}

pub(super) fn run(br_netfilter: bool) -> Run {
    let mut node = host("node", "br0", "10.1.0.1/24");
    let sysctl = |key: &str, value| (format!("net.ipv4.{key}"), value);
    node.sysctl = vec![
        sysctl("ip_forward", 1),
        sysctl("conf.all.send_redirects", 0),
        sysctl("conf.br0.send_redirects", 0),
    ];
    node.iptables = Some(RULES.to_owned());
    node.modules.br_netfilter = br_netfilter;
    let mut client = host("client", "eth0", "10.1.0.2/24");
    client.ip.push(ip("route add default via 10.1.0.1"));
    let mut server = host("server", "eth0", "10.1.0.3/24");
    server.ip.push(ip("route add default via 10.1.0.1"));
    server.servers = vec![ServerSpec {
        tcp: true,
        bind: (Ipv4Addr::UNSPECIFIED, 80),
        mode: ServerMode::Echo,
        closes: false,
    }];
    let port = |dev: &str| BridgePort { dev: dev.to_owned(), hairpin: false };
    let scenario = Scenario {
        hosts: vec![node, client, server],
        links: vec![
            veth("v1", "client"),
            veth("v2", "server"),
            LinkSpec::Bridge {
                host: "node".to_owned(),
                name: "br0".to_owned(),
                mac: None,
                ports: vec![port("v1"), port("v2")],
                promisc: false,
            },
        ],
        stimuli: vec![Stimulus::Tcp {
            host: "client".to_owned(),
            src: (Ipv4Addr::UNSPECIFIED, 0),
            dst: (Ipv4Addr::new(10, 96, 0, 1), 80),
            request: b"hello".to_vec(),
            close: crate::CloseHow::Client,
            timeout_ms: 500,
        }],
        settle_ms: 0,
    };
    scenario.run().unwrap()
}

const NODE: NetnsId = NetnsId(0);
pub(super) const CLIENT: NetnsId = NetnsId(1);

fn find<'a>(story: &'a Story, title: &str) -> &'a Step {
    let titles: Vec<&str> = story.steps.iter().map(|s| s.title.as_str()).collect();
    story
        .steps
        .iter()
        .find(|s| s.title.contains(title))
        .unwrap_or_else(|| panic!("no {title:?} in {titles:#?}"))
}

#[test]
fn steps_end_at_rising_events_and_every_event_has_one() {
    let run = run(false);
    let story = Story::new(&run.world);
    assert!(story.steps.is_sorted_by_key(|s| s.event));
    for (i, s) in story.steps.iter().enumerate() {
        assert_eq!(story.step_at(s.event), i, "{}", s.title);
        assert!(s.skipped.iter().all(|e| *e < s.event));
    }
    assert_eq!(story.step_at(EventId(u32::MAX)), story.steps.len() - 1);
}

#[test]
fn a_rule_says_what_matched_and_what_did_not() {
    let run = run(false);
    let story = Story::new(&run.world);
    let step = find(&story, "DNAT --to-destination 10.1.0.3:80");
    assert_eq!((step.note.as_str(), step.area), ("rule 2", Area::Table(TableId::Nat)));
    assert_eq!(step.chain.as_deref(), Some("SERVICES"));
    assert_eq!(step.section, "PREROUTING · in br0");
    assert_eq!(step.spot, Some(Spot::Fn(InetHook::PreRouting, Area::Table(TableId::Nat))));
    let why = why(&run.world, step);
    let tokens: Vec<_> = why.tokens.iter().map(|t| (t.text.as_str(), t.ok, t.seen.as_str())).collect();
    assert_eq!(tokens[0], ("-d 10.96.0.1/32", Some(true), "10.96.0.1"));
    assert_eq!(tokens[1], ("-p tcp", Some(true), "tcp"));
    assert_eq!(tokens[2], ("-m tcp --dport 80", Some(true), "80"));
    let [skipped] = why.skipped.as_slice() else { panic!("{:?}", why.skipped) };
    assert_eq!((skipped.n, skipped.token.text.as_str()), (1, "-d 10.96.0.9/32"));
    assert_eq!((skipped.token.ok, skipped.token.seen.as_str()), (Some(false), "10.96.0.1"));
    assert_eq!(skipped.target, "DNAT --to-destination 10.1.0.9:53");
}

#[test]
fn nat_shows_what_it_changed() {
    let run = run(false);
    let story = Story::new(&run.world);
    let step = find(&story, "DNAT: destination 10.96.0.1:80 → 10.1.0.3:80");
    let (before, after) = why(&run.world, step).change.unwrap();
    let changed: Vec<String> = diff(Some(&before), &after)
        .into_iter()
        .flat_map(|(layer, fields)| {
            fields.into_iter().filter(|(_, was)| was.is_some()).map(move |(f, _)| (layer, f))
        })
        .map(|(layer, f)| format!("{layer} {}", f.name))
        .collect();
    assert_eq!(changed, ["IPv4 destination"]);
}

#[test]
fn without_br_netfilter_the_reply_is_answered_by_a_reset() {
    let run = run(false);
    let story = Story::new(&run.world);
    let reset = story.packets.iter().find(|p| p.flow == Flow::Reset).unwrap();
    assert_eq!((reset.host, reset.label.as_str()), (CLIENT, "RST"));
    assert_eq!(story.packet(reset.parent.unwrap()).unwrap().label, "SYN-ACK");
    let alert = &story.alerts[0];
    assert_eq!(
        alert.text,
        "client sends a RST to 10.1.0.3:80. It had called 10.96.0.1:80: no socket of client waits for 10.1.0.3:80."
    );
    assert_eq!(story.steps[alert.step].packet, Some(reset.id));
    let printed: Vec<&str> = story.terminal.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(printed, ["curl http://10.96.0.1/", "connect() timed out after 0.5 s"]);
    let cut = find(&story, "PREROUTING not called: br_netfilter is not loaded");
    assert_eq!(cut.spot, Some(Spot::Call(InetHook::PreRouting)));
}

#[test]
fn with_br_netfilter_the_reply_is_translated_back() {
    let run = run(true);
    let story = Story::new(&run.world);
    assert!(story.packets.iter().all(|p| p.flow != Flow::Reset));
    find(&story, "br_netfilter lends the frame to PREROUTING");
    find(&story, "DNAT undone: source 10.1.0.3:80 → 10.96.0.1:80");
    assert_eq!(story.terminal.last().unwrap().tone, Tone::Strong);
    assert!(story.alerts.is_empty(), "{:?}", story.alerts);
}

#[test]
fn conntrack_is_shown_as_it_stood() {
    let run = run(false);
    let story = Story::new(&run.world);
    let new = find(&story, "new connection");
    let [entry] = &conntrack_at(&run.world, NODE, new.event)[..] else { panic!() };
    assert!(!entry.confirmed);
    assert!(entry.words.iter().all(|w| !w.nat));
    let confirmed = find(&story, "confirmed: the entry");
    let [entry] = &conntrack_at(&run.world, NODE, confirmed.event)[..] else { panic!() };
    assert!(entry.confirmed);
    let port = entry.line().split("sport=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(
        entry.line(),
        format!(
            "tcp      6 120 SYN_SENT src=10.1.0.2 dst=10.96.0.1 sport={port} dport=80 [UNREPLIED] \
             src=10.1.0.3 dst=10.1.0.2 sport=80 dport={port} mark=0 use=1"
        )
    );
    let nat: Vec<&str> = entry.words.iter().filter(|w| w.nat).map(|w| w.text.as_str()).collect();
    assert_eq!(nat, ["dst=10.96.0.1", "src=10.1.0.3"]);
    // At the end as the kernel itself would list it.
    let last = EventId(u32::MAX);
    let end = conntrack_at(&run.world, NODE, last);
    let rows = run.world.host(NODE).unwrap().ct.rows(run.world.now());
    assert_eq!(end.len(), rows.len());
}

#[test]
fn the_capture_is_what_tcpdump_prints() {
    let run = run(false);
    let lines = capture(&run.world);
    let syn = lines.iter().find(|l| l.host == NODE && !l.noise).unwrap();
    let line = syn.line();
    assert!(line.contains(" v1    P   ifindex "), "{line}");
    assert!(line.contains(" ethertype IPv4 (0x0800), length 80: 10.1.0.2."), "{line}");
    assert!(line.contains(" > 10.96.0.1.80: Flags [S], seq "), "{line}");
    assert!(line.contains(", options [mss 1460,sackOK,TS val "), "{line}");
    assert!(line.ends_with("ecr 0,nop,wscale 10], length 0"), "{line}");
    assert!(
        lines
            .iter()
            .any(|l| l.text.contains("ARP (0x0806), length 48: Request who-has 10.1.0.1 tell 10.1.0.2"))
    );
    assert!(lines.iter().any(|l| l.text.contains("length 60") && l.text.contains("Flags [R], seq ")));
}

#[test]
fn visits_count_walks_not_rules() {
    let run = run(false);
    let story = Story::new(&run.world);
    let syn = story.packets.iter().find(|p| p.label == "SYN").unwrap();
    let seen = visits(&run.world, NODE, syn.id, EventId(u32::MAX));
    let times = |spot| seen.iter().find(|v| v.spot == spot).map_or(0, |v| v.times);
    assert_eq!(times(Spot::Fn(InetHook::PreRouting, Area::Table(TableId::Nat))), 1);
    assert_eq!(times(Spot::Fn(InetHook::PreRouting, Area::Conntrack)), 1);
    assert_eq!(times(Spot::Fn(InetHook::PostRouting, Area::Conntrack)), 1);
    assert_eq!(times(Spot::Hook(InetHook::LocalIn)), 0);
    assert_eq!(times(Spot::Route), 1);
    let ns = run.world.host(NODE).unwrap();
    let letters: Vec<&str> = registered(ns, InetHook::PreRouting).iter().map(|b| b.letter).collect();
    assert_eq!(letters, ["D", "C", "N"]);
}

#[test]
fn rules_are_counted_up_to_the_cursor() {
    let run = run(false);
    let lines = rule_lines(run.world.host(NODE).unwrap());
    assert_eq!(lines.first().map(|l| l.text.as_str()), Some("*nat"));
    let dnat = lines.iter().find(|l| l.text.contains("10.1.0.3:80")).unwrap();
    let (chain, n) = dnat.at.clone().unwrap();
    let key = (TableId::Nat, chain, n);
    assert_eq!(rule_hits(&run.world, NODE, EventId(0)).get(&key), None);
    assert_eq!(rule_hits(&run.world, NODE, EventId(u32::MAX)).get(&key), Some(&1));
}

#[test]
fn boxes_have_roles_and_packets_have_ways() {
    let run = run(false);
    let story = Story::new(&run.world);
    assert_eq!(story.topology.role(NODE), Role::Node);
    assert!(matches!(story.topology.role(CLIENT), Role::Pod { node: NODE, .. }));
    assert_eq!(story.topology.links.len(), 2);
    let syn = story.packets.iter().find(|p| p.label == "SYN").unwrap();
    let way: Vec<&Hop> = story.hops.iter().filter(|h| h.packet == syn.id).collect();
    assert_eq!(way.first().unwrap().from, Place::Stack(CLIENT));
    assert_eq!(way.last().unwrap().to, Place::Stack(NetnsId(2)));
    assert!(way.windows(2).all(|w| w[0].event <= w[1].event));
}

#[test]
fn a_walk_shows_jumps_failed_rules_and_those_not_reached() {
    let run = run(false);
    let story = Story::new(&run.world);
    let syn = story.packets.iter().find(|p| p.label == "SYN").unwrap();
    let passes = passes(&run.world, NODE, syn.id, InetHook::PreRouting);
    let [pass] = passes.as_slice() else { panic!("{passes:?}") };
    let [walk] = pass.walks.as_slice() else { panic!("{pass:?}") };
    let lines: Vec<String> = walk
        .lines
        .iter()
        .map(|l| match l {
            WalkLine::Chain { depth, name, rules } => format!("{depth} {name} {rules}"),
            WalkLine::Asked { depth, n, event, matched } => {
                let asked = rule_asked(&run.world, *event).unwrap();
                assert_eq!((asked.n, asked.matched), (*n, *matched));
                format!(
                    "{depth} rule {n} {matched} {}",
                    asked.tokens.iter().filter(|t| t.ok == Some(false)).count()
                )
            }
            WalkLine::End { depth, text, .. } => format!("{depth} {text}"),
            WalkLine::Rest { depth, chain, from, count } => format!("{depth} {chain} {from}+{count}"),
        })
        .collect();
    assert_eq!(
        lines,
        ["0 PREROUTING 1", "0 rule 1 true 0", "1 SERVICES 2", "1 rule 1 false 1", "1 rule 2 true 0"]
    );
    let ns = run.world.host(NODE).unwrap();
    assert_eq!(unentered(ns, walk), []);
    assert_eq!(rest(ns, walk.of, "SERVICES", 2, 9).len(), 1);
}

#[test]
fn packets_are_counted_at_each_place() {
    let run = run(false);
    let story = Story::new(&run.world);
    let syn = story.packets.iter().find(|p| p.label == "SYN").unwrap();
    let end = EventId(u32::MAX);
    let times = |seen: Vec<Visit>, spot| seen.iter().find(|v| v.spot == spot).map_or(0, |v| v.times);
    let one = times(visits(&run.world, NODE, syn.id, end), Spot::Hook(InetHook::PreRouting));
    let all = times(met(&run.world, NODE, end), Spot::Hook(InetHook::PreRouting));
    assert!(one == 1 && all > one, "{one} of {all}");
    let way = trail(&run.world, NODE, syn.id, end);
    let at = |spot| way.iter().position(|s| *s == spot);
    assert!(at(Spot::Hook(InetHook::PreRouting)) < at(Spot::Route));
}
