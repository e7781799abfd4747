//! `ip`: what its words mean.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

use kernel::route::{FibTable, RouteKind, RouteQuery, Scope};
use userland::ip::*;

fn words(line: &str) -> Vec<&str> {
    line.split(' ').filter(|w| !w.is_empty()).collect()
}

#[track_caller]
fn ip(line: &str) -> IpCommand {
    match parse_ip(&words(line)) {
        Ok(ip) => ip.command,
        Err(d) => panic!("{}", d.render(line)),
    }
}

#[track_caller]
fn ip_refuses(line: &str, token: &str, message: &str, help: &str) {
    let d = parse_ip(&words(line)).expect_err(line);
    assert_eq!((d.token.as_str(), d.message.as_str(), d.help.as_str()), (token, message, help), "{line}");
    let at = line.rfind(token).map(|i| i as u32 + 1);
    assert_eq!(Some(d.span.col), at, "{line}");
}

fn route(dst: &str) -> RouteSpec {
    RouteSpec::to(dst.parse().unwrap())
}

/// A listing of this device, or of all.
fn chosen(dev: Option<&str>) -> userland::ip::LinkSelect {
    userland::ip::LinkSelect { dev: dev.map(str::to_owned), ..Default::default() }
}

#[test]
fn addresses() {
    let spec = AddrSpec::new("10.244.1.1/24".parse().unwrap(), "cni0");
    for line in [
        "ip addr add 10.244.1.1/24 dev cni0",
        "ip a a 10.244.1.1/24 dev cni0",
        "ip address add dev cni0 10.244.1.1/24",
    ] {
        assert_eq!(ip(line), IpCommand::Addr(AddrCommand::Add(spec.clone())), "{line}");
    }
    assert_eq!(ip("ip addr del 10.244.1.1/24 dev cni0"), IpCommand::Addr(AddrCommand::Del(spec.clone())));
    let host =
        AddrSpec { addr: "10.96.0.10/32".parse().unwrap(), whole: false, scope: Some(Scope::Host), ..spec };
    assert_eq!(ip("ip addr add 10.96.0.10 dev cni0 scope host"), IpCommand::Addr(AddrCommand::Add(host)));
    assert_eq!(ip("ip addr flush dev eth0"), IpCommand::Addr(AddrCommand::Flush { dev: "eth0".to_owned() }));
    for (line, dev) in [
        ("ip a", None),
        ("ip addr show", None),
        ("ip a s eth0", Some("eth0")),
        ("ip addr show dev lo", Some("lo")),
    ] {
        assert_eq!(ip(line), IpCommand::Addr(AddrCommand::Show(chosen(dev))), "{line}");
    }
    let format = parse_ip(&words("ip -br -4 addr")).unwrap().format;
    assert_eq!(format, IpFormat { brief: true, v4: true, ..IpFormat::default() });
}

#[test]
fn routes() {
    let via = route("0.0.0.0/0").via([10, 0, 0, 1].into());
    assert_eq!(ip("ip route add default via 10.0.0.1"), IpCommand::Route(RouteCommand::Add(via.clone())));
    let mut full = RouteSpec {
        kind: Some(RouteKind::Unicast),
        src: Some([10, 0, 0, 2].into()),
        metric: Some(100),
        scope: Some(Scope::Link),
        table: Some(FibTable::MAIN),
        ..route("10.9.0.0/16").via([10, 0, 0, 1].into()).dev("eth0")
    };
    full.hop.onlink = true;
    let line = "ip route replace unicast 10.9/16 via 10.0.0.1 dev eth0 src 10.0.0.2 metric 100 scope link table main onlink";
    assert_eq!(ip(line), IpCommand::Route(RouteCommand::Replace(full)));
    for (word, kind) in [
        ("blackhole", RouteKind::Blackhole),
        ("unreachable", RouteKind::Unreachable),
        ("prohibit", RouteKind::Prohibit),
        ("throw", RouteKind::Throw),
    ] {
        let spec = RouteSpec { kind: Some(kind), ..route("10.66.0.0/16") };
        assert_eq!(
            ip(&format!("ip route add {word} 10.66.0.0/16")),
            IpCommand::Route(RouteCommand::Add(spec))
        );
    }
    assert_eq!(ip("ip r d default"), IpCommand::Route(RouteCommand::Del(route("0.0.0.0/0"))));
    assert_eq!(ip("ip route"), IpCommand::Route(RouteCommand::Show(RouteFilter::default())));
    let local =
        RouteFilter { table: Some(FibTable::LOCAL), dev: Some("lo".to_owned()), ..RouteFilter::default() };
    assert_eq!(ip("ip route show table local dev lo"), IpCommand::Route(RouteCommand::Show(local)));
    let get = RouteQuery {
        from: Some([10, 0, 0, 1].into()),
        iif: Some("eth0".to_owned()),
        mark: 0x4000,
        ..RouteQuery::to([10, 0, 0, 9].into())
    };
    let line = "ip route get 10.0.0.9 from 10.0.0.1 iif eth0 mark 0x4000";
    assert_eq!(ip(line), IpCommand::Route(RouteCommand::Get(get)));
    let get = RouteQuery {
        tos: 0x10,
        ipproto: packet::Protocol::TCP,
        sport: 5000,
        dport: 80,
        ..RouteQuery::to([10, 0, 0, 9].into())
    };
    let line = "ip route get 10.0.0.9 tos 0x10 ipproto tcp sport 5000 dport 80";
    assert_eq!(ip(line), IpCommand::Route(RouteCommand::Get(get)));
}

#[test]
fn neighbours() {
    let spec = NeighSpec {
        addr: [10, 0, 0, 9].into(),
        lladdr: Some("02:00:00:00:00:09".parse().unwrap()),
        dev: "eth0".to_owned(),
        nud: NudWord::Permanent,
    };
    let line = "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0";
    assert_eq!(ip(line), IpCommand::Neigh(NeighCommand::Add(spec.clone())));
    let line = "ip n replace 10.0.0.9 dev eth0 lladdr 02:00:00:00:00:09 nud stale";
    assert_eq!(
        ip(line),
        IpCommand::Neigh(NeighCommand::Replace(NeighSpec { nud: NudWord::Stale, ..spec.clone() }))
    );
    let del = NeighSpec { lladdr: None, ..spec };
    assert_eq!(ip("ip neigh del 10.0.0.9 dev eth0"), IpCommand::Neigh(NeighCommand::Del(del)));
    assert_eq!(
        ip("ip neigh flush dev eth0"),
        IpCommand::Neigh(NeighCommand::Flush { dev: Some("eth0".to_owned()) })
    );
    assert_eq!(ip("ip neigh flush all"), IpCommand::Neigh(NeighCommand::Flush { dev: None }));
    assert_eq!(ip("ip neighbour"), IpCommand::Neigh(NeighCommand::Show(NeighFilter::default())));
}

#[test]
fn links() {
    let set = |line: &str, changes: Vec<LinkChange>| {
        assert_eq!(ip(line), IpCommand::Link(LinkCommand::Set { dev: "eth0".to_owned(), changes }), "{line}");
    };
    set("ip link set eth0 up", vec![LinkChange::Up]);
    set(
        "ip link set dev eth0 down promisc on mtu 1450",
        vec![LinkChange::Down, LinkChange::Promisc(true), LinkChange::Mtu(1450)],
    );
    set("ip l set eth0 master cni0", vec![LinkChange::Master("cni0".to_owned())]);
    set("ip link set eth0 nomaster", vec![LinkChange::NoMaster]);
    set(
        "ip link set eth0 address 02:00:00:00:00:01",
        vec![LinkChange::Address("02:00:00:00:00:01".parse().unwrap())],
    );
    set("ip link set eth0 type bridge_slave hairpin on", vec![LinkChange::Port(PortOption::Hairpin, true)]);
    let add = |line: &str, name: &str, address: Option<&str>, kind: LinkKind| {
        let link =
            NewLink { name: name.to_owned(), address: address.map(|a| a.parse().unwrap()), mtu: None, kind };
        assert_eq!(ip(line), IpCommand::Link(LinkCommand::Add(link)), "{line}");
    };
    add("ip link add cni0 type bridge", "cni0", None, LinkKind::Bridge(Vec::new()));
    add(
        "ip link add name d0 address 02:00:00:00:00:01 type dummy",
        "d0",
        Some("02:00:00:00:00:01"),
        LinkKind::Dummy,
    );
    let veth = LinkKind::Veth { peer: Some("v1".to_owned()), peer_address: None };
    add("ip link add v0 type veth peer name v1", "v0", None, veth.clone());
    add("ip link add v0 type veth peer v1", "v0", None, veth);
    assert_eq!(ip("ip link del v0"), IpCommand::Link(LinkCommand::Del { dev: "v0".to_owned() }));
    assert_eq!(ip("ip link show v0"), IpCommand::Link(LinkCommand::Show(chosen(Some("v0")))));
    assert_eq!(ip("ip link"), IpCommand::Link(LinkCommand::Show(chosen(None))));
}

#[test]
fn ip_refuses_what_it_does_not_know() {
    let objects = "expected one of address, addr, link, neighbor, neighbour, neigh, route, rule, tunnel";
    ip_refuses("ip foo", "foo", "unknown word \"foo\"", objects);
    ip_refuses("ip nexthop add id 1 dev eth0", "nexthop", "\"nexthop\" is not modelled", objects);
    ip_refuses(
        "ip",
        "ip",
        "the command ends too early",
        "expected an object such as addr, link, neigh or route after ip",
    );
    let options = "expected one of -4, -br, -c, -d, -j, -o, -s, -V, or an object such as addr or route";
    ip_refuses("ip -6 route", "-6", "option \"-6\" is not modelled", options);
    ip_refuses(
        "ip addr add 10.0.0.1/33 dev eth0",
        "10.0.0.1/33",
        "\"33\" is not a prefix length",
        "expected a number from 0 to 32 after the slash",
    );
    ip_refuses("ip addr add 10.0.0.1/24", "10.0.0.1/24", "no device", "expected dev DEVICE");
    ip_refuses("ip addr add dev eth0", "eth0", "no address", "expected ADDRESS/LENGTH such as 10.0.0.1/24");
    ip_refuses(
        "ip addr add 10.0.0.1/24 peer 10.0.0.2 dev eth0",
        "peer",
        "\"peer\" is not modelled",
        "expected one of dev, scope, broadcast, noprefixroute, metric, label",
    );
    ip_refuses(
        "ip addr add fd00::1/64 dev eth0",
        "fd00::1/64",
        "\"fd00::1\" is an IPv6 address",
        "expected an IPv4 address",
    );
    let words = "expected one of via, dev, src, metric, scope, table, proto, onlink, mtu, nexthop";
    ip_refuses(
        "ip route add default via 10.0.0.1 advmss 1400",
        "advmss",
        "\"advmss\" is not modelled",
        words,
    );
    ip_refuses("ip route add default via 10.0.0.1 foo", "foo", "unknown word \"foo\"", words);
    ip_refuses(
        "ip route add default via",
        "via",
        "the command ends too early",
        "expected an address after via",
    );
    ip_refuses(
        "ip route add default table foo",
        "foo",
        "\"foo\" is not a table",
        "expected local, main, default or a number from 1 to 4294967295",
    );
    ip_refuses(
        "ip route add 10.0.0.1/8 dev eth0",
        "10.0.0.1/8",
        "\"10.0.0.1/8\" has bits behind its prefix",
        "expected 10.0.0.0/8, the network of it",
    );
    ip_refuses(
        "ip route flush",
        "flush",
        "flush without a selection",
        "expected a prefix, dev DEVICE or table main",
    );
    ip_refuses(
        "ip neigh add 10.0.0.9 lladdr 02:00 dev eth0",
        "02:00",
        "\"02:00\" is not a MAC address",
        "expected a MAC address such as 02:00:00:00:01:01",
    );
    ip_refuses(
        "ip neigh add 10.0.0.9 dev eth0 nud failed",
        "failed",
        "an entry cannot be set to failed by hand here",
        "expected one of permanent, reachable, stale, noarp",
    );
    ip_refuses(
        "ip link set eth0 promisc maybe",
        "maybe",
        "unknown word \"maybe\"",
        "expected one of on, off",
    );
    ip_refuses(
        "ip link add v0 type macvlan",
        "macvlan",
        "\"macvlan\" is not modelled",
        "expected one of veth, bridge, dummy, vxlan, ipip",
    );
    ip_refuses(
        "ip link add v0",
        "v0",
        "a device without a type",
        "expected type veth or bridge or dummy or vxlan or ipip",
    );
    ip_refuses(
        "ip link set averyveryverylongname up",
        "averyveryverylongname",
        "\"averyveryverylongname\" is not the name of a device",
        "expected 1 to 15 characters without slash and blank",
    );
}

#[test]
fn batches_name_the_line() {
    let text = "# a node\nlink set eth0 up\n\naddr add 10.0.0.1/24 dev eth0\nroute add foo\n  neigh add 10.0.0.2 dev\n";
    let (commands, diagnostics) = parse_ip_batch(text);
    assert_eq!(commands.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 4]);
    let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "line 5: \"foo\" is a name, not an address: expected an IPv4 address such as 10.0.0.1 (names are not looked up)",
            "line 6: the command ends too early: expected the name of a device after dev",
        ]
    );
}
