//! A box that nobody watches passes over rules that a packet cannot match; one whose log is kept looks at every rule.
//! Both must end in the same state, whatever the rules are.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::dev::DevKind;
use kernel::neigh::Nud;
use kernel::netfilter::conntrack::Row;
use kernel::netfilter::xtables::{Counters, RuleStates, TableId};
use kernel::{Chance, Cx, DevId, Event, Ids, Instant, NetnsId, Output, PacketId};
use packet::{
    Fragment, Frame, Icmp, IcmpBody, Ip, L4, Mac, Payload, Protocol, Tcp, TcpFlags, TcpOptions, Udp,
};
use proptest::prelude::*;
use proptest::sample::select;
use sim::World;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use userland::iptables::{ParsedTable, parse_restore};

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// User-defined chains; a rule leads only to a later one.
const CHAINS: [&str; 3] = ["A", "B", "C"];

/// The part of a rule before its target; most of it is what the index looks at, in places where it must not always.
fn conditions() -> impl Strategy<Value = String> {
    let address = |o: &'static str| {
        select(vec![
            "",
            "",
            "10.9.0.1",
            "10.9.0.2",
            "10.9.0.3",
            "! 10.9.0.1",
            "10.9.0.0/30",
            "10.9.0.1/255.0.0.255",
        ])
        .prop_map(move |a| match a.strip_prefix("! ") {
            _ if a.is_empty() => String::new(),
            Some(a) => format!(" ! {o} {a}"),
            None => format!(" {o} {a}"),
        })
    };
    let device = select(vec!["", "", "", " -i eth0", " -i eth1", " ! -i eth0", " -i eth+"]);
    let early = select(vec![
        "",
        "",
        "",
        " -m comment --comment x",
        " -m mark --mark 1",
        " -m recent --name r --set",
        " -m recent --name r --update --hitcount 2",
        " -m recent --name r --remove",
        " -m statistic --mode nth --every 3 --packet 1",
        " -m statistic --mode random --probability 0.5",
        " -m conntrack --ctstate NEW",
    ]);
    let protocol = select(vec![
        "",
        " -p udp",
        " -p udp -m udp --dport 1",
        " -p udp -m udp --dport 2",
        " -p udp -m udp --dport 3",
        " -p udp -m udp --dport 1:2",
        " -p udp -m udp ! --dport 1",
        " -p udp -m udp --sport 1 --dport 2",
        " -p udp -m multiport --dports 1,3",
        " -p tcp -m tcp --dport 1",
        " -p tcp -m tcp --dport 2 --syn",
        " -p tcp -m recent --name s --set -m tcp --dport 2",
        " -p udp -m statistic --mode nth --every 2 --packet 0 -m udp --dport 2",
        " -p icmp -m icmp --icmp-type 8",
        " ! -p udp",
        " -p 47",
    ]);
    let late = select(vec![
        "",
        "",
        " -m statistic --mode nth --every 2 --packet 0",
        " -m recent --name t --set",
        " -f",
        " ! -f",
    ]);
    (address("-d"), address("-s"), device, early, protocol, late)
        .prop_map(|(d, s, i, e, p, l)| format!("{d}{s}{i}{e}{p}{l}"))
}

/// A rule of the chain with this place: 0 is a built-in one.
fn rule(chain: usize) -> impl Strategy<Value = String> {
    let mut targets: Vec<String> =
        ["", "", " -j ACCEPT", " -j DROP", " -j RETURN", " -j MARK --set-mark 1"].map(String::from).to_vec();
    for later in CHAINS.iter().skip(chain) {
        targets.extend([format!(" -j {later}"), format!(" -g {later}")]);
    }
    let name = chain.checked_sub(1).and_then(|i| CHAINS.get(i)).copied().unwrap_or("FORWARD");
    (conditions(), select(targets)).prop_map(move |(c, t)| format!("-A {name}{c}{t}\n"))
}

/// Tables mangle and filter with long chains.
fn rules() -> impl Strategy<Value = String> {
    let table = || {
        (0..=CHAINS.len())
            .map(|c| prop::collection::vec(rule(c), 0..40).prop_map(|r| r.concat()))
            .collect::<Vec<_>>()
    };
    (table(), table()).prop_map(|(mangle, filter)| {
        let body =
            |name: &str, rules: Vec<String>| format!("*{name}\n:A -\n:B -\n:C -\n{}COMMIT\n", rules.concat());
        body("mangle", mangle) + &body("filter", filter)
    })
}

fn packets() -> impl Strategy<Value = Vec<Ip>> {
    let addr = || (1u8..5).prop_map(|n| IpAddr::V4(Ipv4Addr::new(10, 9, 0, n)));
    let l4 = (0u8..9, 1u16..4, 1u16..4).prop_map(|(kind, sport, dport)| match kind {
        0..=2 => L4::Udp(Udp { sport, dport, checksum_ok: true, payload: Vec::new().into() }),
        3 | 4 => L4::Tcp(Tcp {
            sport,
            dport,
            flags: if kind == 3 { TcpFlags::SYN } else { TcpFlags::ACK },
            seq: 1,
            ack: 1,
            window: 1000,
            options: TcpOptions::default(),
            checksum_ok: true,
            payload: Vec::new(),
        }),
        5 => L4::Icmp(Icmp {
            kind: 8,
            code: 0,
            checksum_ok: true,
            body: IcmpBody::Query { id: sport, seq: 1, payload: Vec::new() },
        }),
        6 => L4::Other(Protocol(47), vec![0; 4]),
        // Half a header: a match may drop it.
        7 => L4::Other(Protocol::TCP, vec![0, 1, 0, 2, 0, 0]),
        _ => L4::Other(Protocol::UDP, vec![0, 1, 0, 2, 0, 0]),
    });
    let offset = select(vec![0u16, 0, 0, 0, 0, 0, 8]);
    let ip = (addr(), addr(), l4, offset).prop_map(|(src, dst, l4, offset)| {
        let mut ip = Ip::new(src, dst, l4);
        ip.frag = Fragment { offset, ..Fragment::default() };
        ip
    });
    prop::collection::vec(ip, 1..40)
}

/// What is left when all packets have passed.
#[derive(Debug, PartialEq)]
struct End {
    out: Vec<Option<(DevId, Rc<Frame>)>>,
    state: Vec<(RuleStates, Vec<Counters>)>,
    flows: Vec<Row>,
    events: u64,
    draw: PacketId,
}

fn run(text: &str, packets: &[Ip], quiet: bool) -> End {
    let mut world = World::new(1);
    let host = world.add_host("box");
    let ns = world.host_mut(host).unwrap();
    let dev = ns.add_device("eth0", OWN, DevKind::Veth);
    ns.set_up(dev, true);
    for n in 1..5 {
        ns.neigh.set(dev, Ipv4Addr::new(10, 9, 0, n), Mac([2, 0, 0, 0, 1, n]), Nud::Permanent, Instant(0));
    }
    for command in ["ip addr add 10.9.0.254/24 dev eth0", "sysctl -w net.ipv4.ip_forward=1"] {
        let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
        assert_eq!(sim::operator::command(&mut world, host, &argv, None).unwrap().status, 0, "{command}");
    }
    let mut ns = world.host(host).unwrap().clone();
    for table in parse_restore(text).unwrap_or_else(|e| panic!("{}\n{text}", e[0])) {
        ns.load_table_with_state(ParsedTable::load(table)).unwrap();
    }
    let (mut rng, mut ids, mut events, mut left) =
        (Chance::new(1, 1), Ids::default(), Vec::<Event>::new(), Vec::new());
    let mut out = Vec::new();
    for (n, ip) in (1u64..).zip(packets) {
        let frame =
            Rc::new(Frame { src: Mac([2, 0, 0, 0, 0, 9]), dst: OWN, payload: Payload::Ip(ip.clone()) });
        let id = ids.packet();
        let mut cx = Cx {
            now: Instant(n * 1000),
            netns: NetnsId(0),
            rng: &mut rng,
            ids: &mut ids,
            log: (!quiet).then_some(&mut events),
            out: &mut left,
        };
        ns.receive(dev, id, frame, &mut cx);
        out.extend(left.drain(..).map(|o| match o {
            Output::Transmit { dev, frame, .. } => Some((dev, frame)),
            _ => None,
        }));
    }
    let state =
        [TableId::Mangle, TableId::Filter].map(|t| ns.table(t).map(|t| (t.state.clone(), t.policy.clone())));
    End {
        out,
        state: state.into_iter().flatten().collect(),
        flows: ns.ct.rows(Instant(0)),
        events: ids.events(),
        draw: PacketId(rng.next_u32()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_that_passes_over_rules_ends_as_one_rule_by_rule(text in rules(), packets in packets()) {
        prop_assert_eq!(run(&text, &packets, true), run(&text, &packets, false));
    }
}
