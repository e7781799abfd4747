//! IPv6 in the rule engine: tables of ip6tables walked by packets, conntrack, NAT in both directions, and what REJECT sends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use ipnet::Ipv6Net;
use kernel::dev::DevKind;
use kernel::event::{Event, What};
use kernel::netfilter::conntrack::CtState;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::{LoadedTable, RuleSet, TableId};
use kernel::{Chance, Cx, DevId, Ids, Instant, Netns, NetnsId, PacketId, Skb, SkbOwner};
use packet::{Family, Icmp6, IcmpBody, Ip, L4, Mac, Tcp, TcpFlags, TcpOptions, Udp, icmp6_type};
use std::net::IpAddr;
use userland::iptables::{RestoreOptions, apply_restore};

/// A router with fd00:1::fe on the inside and fd00:2::fe on the outside.
struct Router {
    ns: Netns,
    inside: DevId,
    outside: DevId,
    chance: Chance,
    ids: Ids,
    log: Vec<Event>,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Router {
    fn new(rules: &str) -> Router {
        let mut ns = Netns::new(NetnsId(0), "router");
        let mut device = |name: &str, n: u8, addr: &str| {
            let dev = ns.add_device(name, Mac([2, 0, 0, 0, 0, n]), DevKind::Veth);
            ns.set_up(dev, true);
            ns.add_addr6(dev, addr.parse::<Ipv6Net>().unwrap());
            dev
        };
        let (inside, outside) = (device("in0", 1, "fd00:1::fe/64"), device("out0", 2, "fd00:2::fe/64"));
        let empty = |table| LoadedTable::new(RuleSet::empty_of(Family::V6, table));
        let options = RestoreOptions { family: Family::V6, ..RestoreOptions::default() };
        for table in apply_restore(&empty, rules, options).unwrap_or_else(|e| panic!("{}", e[0])) {
            ns.load_table_with_state(table.load()).unwrap();
        }
        Router { ns, inside, outside, chance: Chance::new(1, 1), ids: Ids::default(), log: Vec::new() }
    }

    fn hook(
        &mut self,
        hook: InetHook,
        skb: Skb,
        indev: Option<DevId>,
        outdev: Option<DevId>,
        explains: bool,
    ) -> Option<Skb> {
        let mut out = Vec::new();
        let mut cx = Cx {
            now: Instant(1),
            netns: NetnsId(0),
            rng: &mut self.chance,
            ids: &mut self.ids,
            log: explains.then_some(&mut self.log),
            out: &mut out,
        };
        self.ns.run_hook(hook, skb, indev, outdev, &mut cx).ok()
    }

    /// Forwards a packet from one side to the other.
    fn forward(&mut self, packet: Ip, from_inside: bool) -> Option<Skb> {
        let (indev, outdev) = match from_inside {
            true => (self.inside, self.outside),
            false => (self.outside, self.inside),
        };
        let skb = Skb::local(PacketId(7), packet, SkbOwner::None);
        let skb = self.hook(InetHook::PreRouting, skb, Some(indev), None, true)?;
        let skb = self.hook(InetHook::Forward, skb, Some(indev), Some(outdev), true)?;
        self.hook(InetHook::PostRouting, skb, Some(indev), Some(outdev), true)
    }

    /// What the router itself has made.
    fn answers(&self) -> Vec<Ip> {
        let made = self.log.iter().filter_map(|e| match &e.what {
            What::Created { frame, .. } => frame.ip().cloned(),
            _ => None,
        });
        made.collect()
    }

    fn packets(&self, table: TableId, chain: &str, rule: usize) -> (u64, u64) {
        let loaded = self.ns.table_of(Family::V6, table).unwrap();
        let chain = loaded.rules.chain(chain).unwrap();
        let counters = loaded.state.counters(usize::from(chain.0), rule - 1);
        (counters.packets, counters.bytes)
    }
}

fn tcp(src: (&str, u16), dst: (&str, u16), flags: TcpFlags, (seq, ack): (u32, u32)) -> Ip {
    let segment = Tcp {
        sport: src.1,
        dport: dst.1,
        seq,
        ack,
        flags,
        window: 64240,
        options: TcpOptions::default(),
        payload: Vec::new(),
        checksum_ok: true,
    };
    Ip::new(ip(src.0), ip(dst.0), L4::Tcp(segment))
}

fn udp(src: (&str, u16), dst: (&str, u16)) -> Ip {
    let datagram = Udp { sport: src.1, dport: dst.1, checksum_ok: true, payload: vec![0; 10].into() };
    Ip::new(ip(src.0), ip(dst.0), L4::Udp(datagram))
}

fn icmp(src: &str, dst: &str, kind: u8, code: u8, body: IcmpBody) -> Ip {
    Ip::new(ip(src), ip(dst), L4::Icmp6(Icmp6 { kind, code, checksum_ok: true, body }))
}

fn echo(src: &str, dst: &str, kind: u8) -> Ip {
    icmp(src, dst, kind, 0, IcmpBody::Query { id: 9, seq: 1, payload: vec![0; 8] })
}

/// Addresses and ports: `SRC SPORT DST DPORT`.
fn ends(skb: &Skb) -> String {
    let ip = skb.ip().unwrap();
    let (sport, dport) = ip.ports().unwrap_or_default();
    format!("{} {sport} {} {dport}", ip.src, ip.dst)
}

const NAT: &str = "\
*nat
-A PREROUTING -d fd00:9::1 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00:2::10]:8080
-A PREROUTING -d fd00:9::1 -p ipv6-icmp -j DNAT --to-destination fd00:2::10
-A PREROUTING -d fd00:9::1 -p udp -j DNAT --to-destination fd00:2::10
-A POSTROUTING -o out0 -j MASQUERADE
COMMIT
";

#[test]
fn a_connection_is_translated_in_both_directions() {
    let mut r = Router::new(NAT);
    let syn = tcp(("fd00:1::5", 4000), ("fd00:9::1", 80), TcpFlags::SYN, (100, 0));
    let out = r.forward(syn, true).unwrap();
    assert_eq!(ends(&out), "fd00:2::fe 4000 fd00:2::10 8080");
    assert_eq!(out.ct.state(), CtState::New);
    let back = tcp(("fd00:2::10", 8080), ("fd00:2::fe", 4000), TcpFlags::SYN | TcpFlags::ACK, (500, 101));
    let back = r.forward(back, false).unwrap();
    assert_eq!(ends(&back), "fd00:9::1 80 fd00:1::5 4000");
    assert_eq!(back.ct.state(), CtState::Established);
    // Only the first packet asks the table: 60 bytes with the header of IPv6.
    assert_eq!(r.packets(TableId::Nat, "PREROUTING", 1), (1, 60));
    let row = r.ns.ct.rows(Instant(1)).remove(0);
    assert_eq!(format!("{:?}", row.orig.src()), "fd00:1::5");
    assert_eq!(row.reply.src(), ip("fd00:2::10"));
}

#[test]
fn a_ping_is_translated_in_both_directions() {
    let mut r = Router::new(NAT);
    let out = r.forward(echo("fd00:1::5", "fd00:9::1", icmp6_type::ECHO_REQUEST), true).unwrap();
    assert_eq!(ends(&out), "fd00:2::fe 0 fd00:2::10 0");
    let back = r.forward(echo("fd00:2::10", "fd00:2::fe", icmp6_type::ECHO_REPLY), false).unwrap();
    assert_eq!(ends(&back), "fd00:9::1 0 fd00:1::5 0");
}

#[test]
fn an_error_is_translated_outside_and_inside() {
    let mut r = Router::new(NAT);
    let out = r.forward(udp(("fd00:1::5", 4000), ("fd00:9::1", 53)), true).unwrap();
    assert_eq!(ends(&out), "fd00:2::fe 4000 fd00:2::10 53");
    let quoted = out.ip().unwrap().clone();
    let body = IcmpBody::Error { gateway: None, mtu: 0, inner: Box::new(quoted), quoted: None };
    let error =
        r.forward(icmp("fd00:2::10", "fd00:2::fe", icmp6_type::DEST_UNREACH, 4, body), false).unwrap();
    assert_eq!(error.ct.state(), CtState::Related);
    assert_eq!(ends(&error), "fd00:9::1 0 fd00:1::5 0");
    let L4::Icmp6(message) = &error.ip().unwrap().l4 else { panic!("no ICMPv6") };
    let inner = message.inner().unwrap();
    assert_eq!((inner.src, inner.dst, inner.ports()), (ip("fd00:1::5"), ip("fd00:9::1"), Some((4000, 53))));
}

#[test]
fn neighbour_discovery_is_not_tracked() {
    let mut r = Router::new("*filter\n-A INPUT -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n");
    for kind in [icmp6_type::ROUTER_SOLICITATION, 134, 135, 136] {
        let message = icmp("fe80::1", "ff02::1", kind, 0, IcmpBody::Raw(vec![0; 20]));
        let skb = Skb::local(PacketId(1), message, SkbOwner::None);
        let skb = r.hook(InetHook::PreRouting, skb, Some(r.inside), None, true).unwrap();
        assert_eq!(skb.ct.state(), CtState::Untracked, "{kind}");
    }
    let redirect = icmp("fe80::1", "fd00:1::fe", icmp6_type::REDIRECT, 0, IcmpBody::Raw(vec![0; 36]));
    let skb = Skb::local(PacketId(1), redirect, SkbOwner::None);
    let skb = r.hook(InetHook::PreRouting, skb, Some(r.inside), None, true).unwrap();
    assert_eq!(skb.ct.state(), CtState::Invalid);
}

/// Lines of Linux 6.18, whose flow labels are those of the real senders: here they are 0.
#[test]
fn log_writes_the_lines_of_linux() {
    let src = "SRC=fd00:0001:0000:0000:0000:0000:0000:0005";
    let dst = "DST=fd00:0001:0000:0000:0000:0000:0000:00fe";
    let mac = "MAC=02:00:00:00:00:fe:02:00:00:00:00:05:86:dd";
    let back = "SRC=fd00:0001:0000:0000:0000:0000:0000:00fe DST=fd00:0001:0000:0000:0000:0000:0000:0005";
    let quoted = format!("[{back} LEN=58 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=4096 DPT=4000 LEN=18 ]");
    let error = |kind, code, mtu| {
        let inner = Box::new(udp(("fd00:1::fe", 4096), ("fd00:1::5", 4000)));
        icmp(
            "fd00:1::5",
            "fd00:1::fe",
            kind,
            code,
            IcmpBody::Error { gateway: None, mtu, inner, quoted: None },
        )
    };
    let datagram = |port| udp(("fd00:1::5", 4000), ("fd00:1::fe", port));
    let sctp = Ip::new(ip("fd00:1::5"), ip("fd00:1::fe"), L4::Other(packet::Protocol::SCTP, vec![0; 20]));
    for (packet, options, line) in [
        (
            datagram(1000),
            "",
            format!(
                "{mac} {src} {dst} LEN=58 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=4000 DPT=1000 LEN=18 "
            ),
        ),
        (
            datagram(1001),
            "--log-macdecode",
            format!(
                "MACSRC=02:00:00:00:00:05 MACDST=02:00:00:00:00:fe MACPROTO=86dd {src} {dst} LEN=58 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=4000 DPT=1001 LEN=18 "
            ),
        ),
        (sctp, "", format!("{mac} {src} {dst} LEN=60 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=132 ")),
        (
            echo("fd00:1::5", "fd00:1::fe", icmp6_type::ECHO_REQUEST),
            "",
            format!(
                "{mac} {src} {dst} LEN=56 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=ICMPv6 TYPE=128 CODE=0 ID=9 SEQ=1 "
            ),
        ),
        (
            error(icmp6_type::DEST_UNREACH, 4, 0),
            "",
            format!(
                "{mac} {src} {dst} LEN=106 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=ICMPv6 TYPE=1 CODE=4 {quoted} "
            ),
        ),
        (
            error(icmp6_type::PACKET_TOO_BIG, 0, 1280),
            "",
            format!(
                "{mac} {src} {dst} LEN=106 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=ICMPv6 TYPE=2 CODE=0 {quoted} MTU=1280 "
            ),
        ),
    ] {
        let mut r = Router::new(&format!("*filter\n-A INPUT -j LOG --log-prefix ZZ {options}\nCOMMIT\n"));
        let mut skb = Skb::local(PacketId(7), packet, SkbOwner::None);
        let frame = skb.frame_mut();
        (frame.src, frame.dst) = (Mac([2, 0, 0, 0, 0, 5]), Mac([2, 0, 0, 0, 0, 0xfe]));
        r.hook(InetHook::LocalIn, skb, Some(r.inside), None, true).unwrap();
        let lines = r.log.iter().filter_map(|e| match &e.what {
            What::KernelLog(line) => Some(line.as_str()),
            _ => None,
        });
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines, [format!("ZZIN=in0 OUT= {line}")]);
    }
}

/// The one answer that a rule has sent to a packet from the inside.
fn rejected(rule: &str, packet: Ip) -> Option<Ip> {
    let mut r = Router::new(&format!("*filter\n-A FORWARD {rule}\nCOMMIT\n"));
    assert!(r.forward(packet, true).is_none(), "{rule}");
    let mut answers = r.answers();
    assert!(answers.len() < 2, "{rule}");
    answers.pop()
}

#[test]
fn reject_answers_with_the_code_that_it_is_told() {
    for (with, code) in [
        ("", 4),
        ("--reject-with icmp6-no-route", 0),
        ("--reject-with icmp6-adm-prohibited", 1),
        ("--reject-with icmp6-addr-unreachable", 3),
        ("--reject-with icmp6-port-unreachable", 4),
        ("--reject-with icmp6-policy-fail", 5),
        ("--reject-with icmp6-reject-route", 6),
    ] {
        let packet = udp(("fd00:1::5", 4000), ("fd00:9::1", 53));
        let answer = rejected(&format!("-j REJECT {with}"), packet.clone()).unwrap();
        assert_eq!((answer.src, answer.dst), (ip("fd00:1::fe"), ip("fd00:1::5")), "{with}");
        let L4::Icmp6(message) = &answer.l4 else { panic!("no ICMPv6") };
        assert_eq!((message.kind, message.code), (icmp6_type::DEST_UNREACH, code), "{with}");
        assert_eq!(message.inner(), Some(&packet), "{with}");
    }
}

/// As a client behind a router of Linux 6.18 sees it: from which address, and how long.
#[test]
fn the_answer_comes_from_who_was_asked_and_is_no_longer_than_1280() {
    let mut r = Router::new("*filter\n-A INPUT -j REJECT\n-A FORWARD -j REJECT\nCOMMIT\n");
    for dst in ["fd00:2::fe", "fd00:1::fe"] {
        let skb = Skb::local(PacketId(7), udp(("fd00:1::5", 4000), (dst, 1004)), SkbOwner::None);
        let skb = r.hook(InetHook::PreRouting, skb, Some(r.inside), None, true).unwrap();
        assert!(r.hook(InetHook::LocalIn, skb, Some(r.inside), None, true).is_none());
        assert_eq!(r.answers().last().map(|a| a.src), Some(ip(dst)));
    }
    for (payload, len) in [(10, 66 + 40), (1400, 1280)] {
        let datagram = Udp { sport: 1, dport: 2, checksum_ok: true, payload: vec![0; payload].into() };
        let packet = Ip::new(ip("fd00:1::5"), ip("fd00:2::10"), L4::Udp(datagram));
        assert!(r.forward(packet, true).is_none());
        assert_eq!(r.answers().last().map(|a| (a.src, a.total_len())), Some((ip("fd00:1::fe"), len)));
    }
}

#[test]
fn reject_answers_a_segment_with_a_reset() {
    let syn = tcp(("fd00:1::5", 4000), ("fd00:9::1", 80), TcpFlags::SYN, (100, 0));
    let answer = rejected("-p tcp -j REJECT --reject-with tcp-reset", syn).unwrap();
    assert_eq!((answer.src, answer.dst), (ip("fd00:9::1"), ip("fd00:1::5")));
    let reset = answer.tcp().unwrap();
    assert_eq!((reset.sport, reset.dport, reset.ack), (80, 4000, 101));
    assert_eq!(reset.flags, TcpFlags::RST | TcpFlags::ACK);
}

#[test]
fn reject_does_not_answer_errors_nor_what_no_host_has_sent() {
    let inner = Box::new(udp(("fd00:1::5", 1), ("fd00:9::1", 2)));
    let body = IcmpBody::Error { gateway: None, mtu: 0, inner, quoted: None };
    for packet in [
        icmp("fd00:1::5", "fd00:9::1", icmp6_type::TIME_EXCEEDED, 0, body),
        udp(("::", 1), ("fd00:9::1", 2)),
        udp(("ff02::5", 1), ("fd00:9::1", 2)),
        udp(("fd00:1::5", 1), ("ff0e::1", 2)),
    ] {
        assert_eq!(rejected("-j REJECT", packet), None);
    }
    let damaged = L4::Udp(Udp { sport: 1, dport: 2, checksum_ok: false, payload: Vec::new().into() });
    assert_eq!(rejected("-j REJECT", Ip::new(ip("fd00:1::5"), ip("fd00:9::1"), damaged)), None);
}

#[test]
fn rules_see_what_they_ask_for() {
    let ping = || echo("fd00:1::5", "fd00:9::1", icmp6_type::ECHO_REQUEST);
    let datagram = || udp(("fd00:1::5", 4000), ("fd00:9::1", 53));
    for (rule, packet, matches) in [
        ("-s fd00:1::/64", datagram(), true),
        ("! -s fd00:1::/64", datagram(), false),
        ("-s fd00:1::5/ffff:ffff::ffff", datagram(), true),
        ("-s fd00:1::6/ffff:ffff::ffff", datagram(), false),
        ("-d fd00:9::1", datagram(), true),
        ("-p udp -m udp --dport 53", datagram(), true),
        ("-p udp -m udp --sport 53", datagram(), false),
        ("-p udp -m multiport --ports 1,53", datagram(), true),
        ("-p ipv6-icmp -m icmp6 --icmpv6-type echo-request", ping(), true),
        ("-p ipv6-icmp -m icmp6 --icmpv6-type 128/1", ping(), false),
        ("-p ipv6-icmp -m icmp6 ! --icmpv6-type 129", ping(), true),
        ("-p icmp", ping(), false),
        ("-m length --length 58", datagram(), true),
        ("-m addrtype --src-type UNICAST", datagram(), true),
        ("-m addrtype --dst-type LOCAL", datagram(), false),
        ("-m addrtype --dst-type LOCAL", udp(("fd00:1::5", 1), ("fd00:2::fe", 2)), true),
        ("-m addrtype --dst-type LOCAL", udp(("fd00:1::5", 1), ("::1", 2)), true),
        ("-m addrtype --dst-type MULTICAST", udp(("fd00:1::5", 1), ("ff02::1", 2)), true),
        // Both kinds must be true of an address, and none is both.
        ("-m addrtype --dst-type UNICAST,MULTICAST", datagram(), false),
        ("-m conntrack --ctstate NEW --ctorigsrc fd00:1::/64", datagram(), true),
        ("-m conntrack --ctorigdst fd00:1::/64", datagram(), false),
        ("-m mac --mac-source 02:00:00:00:00:01", datagram(), false),
        ("-m recent --name a --set", datagram(), true),
        ("-m recent --name a --rcheck", datagram(), false),
        ("-m statistic --mode random --probability 1", datagram(), true),
        ("-m comment --comment x -m mark --mark 0", datagram(), true),
        ("-i in0 -o out0", datagram(), true),
        ("-i in1", datagram(), false),
    ] {
        let mut r = Router::new(&format!("*filter\n-A FORWARD {rule} -j DROP\nCOMMIT\n"));
        assert_eq!(r.forward(packet, true).is_none(), matches, "{rule}");
    }
}

#[test]
fn the_log_changes_nothing() {
    for explains in [true, false] {
        let mut r = Router::new(NAT);
        let skb = Skb::local(PacketId(1), udp(("fd00:1::5", 4000), ("fd00:9::1", 53)), SkbOwner::None);
        let skb = r.hook(InetHook::PreRouting, skb, Some(r.inside), None, explains).unwrap();
        assert_eq!(ends(&skb), "fd00:1::5 4000 fd00:2::10 53", "{explains}");
    }
}

#[test]
fn tables_of_the_families_are_apart() {
    let mut r = Router::new("*filter\n-A FORWARD -j DROP\nCOMMIT\n");
    assert!(r.ns.table(TableId::Filter).is_none());
    let v4 = Ip::new(ip("10.0.0.1"), ip("10.0.0.2"), udp(("::1", 1), ("::1", 2)).l4);
    assert!(r.forward(v4, true).is_some());
    assert!(r.forward(udp(("fd00:1::5", 1), ("fd00:9::1", 2)), true).is_none());
}

/// Asked of Linux 6.18: which address of a range a flow gets. Source, destination, range (1 to 3 below), address.
const RANGES: [(&str, &str, usize, &str); 18] = [
    ("fd00:7::1", "fd00:9::1", 1, "fd00:8::51"),
    ("fd00:7::1", "fd00:9::1", 2, "fd00:8:2:a117:5222:e5c6:94c7:c794"),
    ("fd00:7::1", "fd00:9::1", 3, "fd00:8::ea"),
    ("fd00:7::1", "fd00:9::2", 1, "fd00:8::b2"),
    ("fd00:7::1", "fd00:9::2", 2, "fd00:8:5:fbf:1245:7fc8:da3a:3ada"),
    ("fd00:7::1", "fd00:9::2", 3, "fd00:8::ea"),
    ("fd00:7::1", "fd00:9::abcd:7", 1, "fd00:8::d1"),
    ("fd00:7::1", "fd00:9::abcd:7", 2, "fd00:8:5:d3a3:6e23:60c8:a643:43a6"),
    ("fd00:7::1", "fd00:9::abcd:7", 3, "fd00:8::ea"),
    ("fd00:7::2:5", "fd00:9::1", 1, "fd00:8::57"),
    ("fd00:7::2:5", "fd00:9::1", 2, "fd00:8:2:ca8e:c2a6:fcae:6c5a:5a6c"),
    ("fd00:7::2:5", "fd00:9::1", 3, "fd00:8::a3"),
    ("fd00:7::2:5", "fd00:9::2", 1, "fd00:8::7f"),
    ("fd00:7::2:5", "fd00:9::2", 2, "fd00:8:3:cb53:24f3:7221:581:8105"),
    ("fd00:7::2:5", "fd00:9::2", 3, "fd00:8::a3"),
    ("fd00:7::2:5", "fd00:9::abcd:7", 1, "fd00:8::44"),
    ("fd00:7::2:5", "fd00:9::abcd:7", 2, "fd00:8:2:4fda:edb6:c585:6873:736a"),
    ("fd00:7::2:5", "fd00:9::abcd:7", 3, "fd00:8::a3"),
];

#[test]
fn an_address_of_a_range_is_chosen_as_linux_does() {
    let ranges = ["fd00:8::10-fd00:8::ff", "fd00:8:1::10-fd00:8:7::ff", "fd00:8::10-fd00:8::ff --persistent"];
    for (src, dst, range, addr) in RANGES {
        let range = ranges[range - 1];
        let mut r = Router::new(&format!("*nat\n-A PREROUTING -j DNAT --to-destination {range}\nCOMMIT\n"));
        let skb = Skb::local(PacketId(1), udp((src, 4000), (dst, 53)), SkbOwner::None);
        let skb = r.hook(InetHook::PreRouting, skb, Some(r.inside), None, false).unwrap();
        assert_eq!(skb.ip().unwrap().dst, ip(addr), "{src} {dst} {range}");
    }
}

#[test]
fn an_error_is_read_back_from_its_bytes() {
    let inner = Box::new(udp(("fd00:1::5", 4000), ("fd00:9::1", 53)));
    let len = inner.total_len();
    let body = IcmpBody::Error { gateway: None, mtu: 1280, inner, quoted: u16::try_from(len).ok() };
    let error = icmp("fd00:2::10", "fd00:1::5", icmp6_type::PACKET_TOO_BIG, 0, body);
    let bytes = error.payload_bytes();
    assert_eq!(error.whole(bytes), error);
}
