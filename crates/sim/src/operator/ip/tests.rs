use super::super::command;
use crate::world::World;
use kernel::NetnsId;

fn ip(world: &mut World, host: NetnsId, line: &str) -> Vec<String> {
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let out = command(world, host, &argv, None).unwrap();
    assert_eq!(out.stderr, Vec::<String>::new(), "{line}");
    out.stdout
}

/// A bridge with a veth, whose other end has two addresses of one network.
fn world() -> (World, NetnsId) {
    let mut world = World::new(0);
    let host = world.add_host("box");
    for line in [
        "ip link add br0 address 46:00:1d:41:a2:13 type bridge",
        "ip link add v0 address 46:00:1d:41:a2:14 type veth peer name v1 address f2:27:ff:b0:be:04",
        "ip link set v0 master br0",
        "ip link set br0 up",
        "ip link set v0 up",
        "ip link set v1 up",
        "ip addr add 10.0.0.1/24 dev br0",
        "ip addr add 10.9.0.2/16 dev v1",
        "ip addr add 10.9.0.3/16 dev v1",
    ] {
        ip(&mut world, host, line);
    }
    (world, host)
}

/// As iproute2 6.1 prints it on Linux 6.18, without IPv6.
#[test]
fn devices_are_shown_as_the_real_tool_does() {
    let (mut world, host) = world();
    assert_eq!(
        ip(&mut world, host, "ip addr show"),
        [
            "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000",
            "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00",
            "    inet 127.0.0.1/8 scope host lo",
            "       valid_lft forever preferred_lft forever",
            "2: br0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000",
            "    link/ether 46:00:1d:41:a2:13 brd ff:ff:ff:ff:ff:ff",
            "    inet 10.0.0.1/24 scope global br0",
            "       valid_lft forever preferred_lft forever",
            "3: v1@v0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000",
            "    link/ether f2:27:ff:b0:be:04 brd ff:ff:ff:ff:ff:ff",
            "    inet 10.9.0.2/16 scope global v1",
            "       valid_lft forever preferred_lft forever",
            "    inet 10.9.0.3/16 scope global secondary v1",
            "       valid_lft forever preferred_lft forever",
            "4: v0@v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br0 state UP group default qlen 1000",
            "    link/ether 46:00:1d:41:a2:14 brd ff:ff:ff:ff:ff:ff",
        ]
    );
    assert_eq!(
        ip(&mut world, host, "ip link show dev v1"),
        [
            "3: v1@v0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000",
            "    link/ether f2:27:ff:b0:be:04 brd ff:ff:ff:ff:ff:ff",
        ]
    );
    assert_eq!(
        ip(&mut world, host, "ip -br addr show dev v1"),
        ["v1@v0            UP             10.9.0.2/16 10.9.0.3/16 "]
    );
}

/// iproute2 says nothing of a queue that holds nothing.
#[test]
fn the_length_of_a_queue_is_shown_if_there_is_one() {
    let (mut world, host) = world();
    for (line, end, json) in [
        ("ip link set br0 txqueuelen 0", " group default ", None),
        ("ip link set br0 txqlen 50", " group default qlen 50", Some("\"txqlen\":50,")),
        ("ip link set br0 qlen 1000", " group default qlen 1000", Some("\"txqlen\":1000,")),
    ] {
        ip(&mut world, host, line);
        let shown = ip(&mut world, host, "ip addr show dev br0").remove(0);
        assert!(shown.ends_with(end), "{line}: {shown}");
        let shown = ip(&mut world, host, "ip -j addr show dev br0").join("");
        assert_eq!(shown.contains("txqlen"), json.is_some(), "{shown}");
        assert!(json.is_none_or(|json| shown.contains(json)), "{shown}");
    }
}

/// Asked of Linux 6.18: a bridge has the smallest MTU of its ports until it is given one of its own.
#[test]
fn a_bridge_follows_the_mtu_of_its_ports() {
    let mut world = World::new(0);
    let host = world.add_host("box");
    for (line, mtu) in [
        ("ip link add br0 type bridge", 1500),
        ("ip link add v0 type veth peer name v1", 1500),
        ("ip link add v2 type veth peer name v3", 1500),
        ("ip link set v0 mtu 1400", 1500),
        ("ip link set v0 master br0", 1400),
        ("ip link set v2 master br0", 1400),
        ("ip link set v2 mtu 1300", 1300),
        ("ip link set v2 nomaster", 1400),
        ("ip link set v0 mtu 9000", 9000),
        ("ip link del v0", 1500),
        ("ip link set v2 master br0", 1300),
        ("ip link set br0 mtu 1450", 1450),
        ("ip link set v2 mtu 1200", 1450),
        ("ip link set v2 nomaster", 1450),
    ] {
        ip(&mut world, host, line);
        let shown = ip(&mut world, host, "ip link show dev br0").remove(0);
        assert!(shown.contains(&format!(" mtu {mtu} ")), "{line}: {shown}");
    }
}

#[test]
fn a_veth_whose_other_end_is_down_has_no_carrier() {
    let (mut world, host) = world();
    ip(&mut world, host, "ip link set v1 down");
    ip(&mut world, host, "ip link set v0 promisc on");
    assert_eq!(
        ip(&mut world, host, "ip link show dev v0")[0],
        "4: v0@v1: <NO-CARRIER,BROADCAST,MULTICAST,PROMISC,UP,M-DOWN> mtu 1500 qdisc noqueue master br0 \
         state LOWERLAYERDOWN mode DEFAULT group default qlen 1000"
    );
}

/// Linux 6.18: a bridge that never had a port does not know of a carrier, and has one; then a port has to forward.
#[test]
fn a_bridge_has_the_carrier_of_its_ports() {
    let (mut world, host) = world();
    ip(&mut world, host, "ip link add br1 type bridge");
    ip(&mut world, host, "ip addr add 10.1.0.1/24 dev br1");
    for (line, state, port, linkdown) in [
        ("ip link set br1 up", "UNKNOWN", "forwarding", false),
        ("ip link set v0 master br1", "UP", "forwarding", false),
        ("ip link set v1 down", "DOWN", "disabled", true),
        ("ip link set v1 up", "UP", "forwarding", false),
        ("ip link set v0 down", "DOWN", "disabled", true),
        ("ip link set v0 up", "UP", "forwarding", false),
        ("ip link set v0 nomaster", "DOWN", "", true),
        ("ip link set v0 master br0", "DOWN", "forwarding", true),
    ] {
        ip(&mut world, host, line);
        let shown = ip(&mut world, host, "ip link show dev br1").remove(0);
        assert!(shown.contains(&format!(" state {state} ")), "{line}: {shown}");
        let flags = if state == "DOWN" {
            "<NO-CARRIER,BROADCAST,MULTICAST,UP>"
        } else {
            "<BROADCAST,MULTICAST,UP,LOWER_UP>"
        };
        assert!(shown.contains(flags), "{line}: {shown}");
        let ports = ip(&mut world, host, "bridge link show dev v0");
        let shows = ports.first().is_some_and(|l| l.contains(&format!(" state {port} ")));
        assert_eq!(shows, !port.is_empty(), "{line}: {ports:?}");
        let route = ip(&mut world, host, "ip route show dev br1").remove(0);
        assert_eq!(route.contains("src 10.1.0.1 linkdown "), linkdown, "{line}: {route}");
        let json = ip(&mut world, host, "ip -j route show dev br1").remove(0);
        assert_eq!(json.contains(r#""flags":["linkdown"]"#), linkdown, "{line}: {json}");
    }
}

/// What Linux 6.18 showed after each line: the lowest address of its ports, none without any, and from then on its own.
#[test]
fn a_bridge_takes_the_lowest_address_of_its_ports() {
    let mut world = World::new(0);
    let host = world.add_host("box");
    ip(&mut world, host, "ip link add br0 type bridge");
    for port in ["pa", "pb", "pc"] {
        ip(&mut world, host, &format!("ip link add {port} type veth peer name {port}x"));
    }
    for (line, address) in [
        ("ip link set pa address 02:00:00:00:00:50 master br0", "50"),
        ("ip link set pb address 02:00:00:00:00:40 master br0", "40"),
        ("ip link set pc address 02:00:00:00:00:60 master br0", "40"),
        ("ip link set pb address 02:00:00:00:00:70", "50"),
        ("ip link set pb address 02:00:00:00:00:10", "10"),
        ("ip link set pb nomaster", "50"),
        ("ip link set pc address 02:00:00:00:00:05", "05"),
        ("ip link del pc", "50"),
        ("ip link set pa nomaster", "00"),
        ("ip link set pa master br0", "50"),
        ("ip link set br0 address 02:00:00:00:00:99", "99"),
        ("ip link set pb master br0", "99"),
        ("ip link set pa nomaster", "99"),
    ] {
        ip(&mut world, host, line);
        let shown = ip(&mut world, host, "ip link show dev br0").remove(1);
        let first = if address == "00" { "00" } else { "02" };
        assert_eq!(
            shown,
            format!("    link/ether {first}:00:00:00:00:{address} brd ff:ff:ff:ff:ff:ff"),
            "{line}"
        );
    }
}

/// What Linux 6.18 showed after each line: one entry for an address that the bridge and a port have.
#[test]
fn the_fdb_holds_an_address_once() {
    let mut world = World::new(0);
    let host = world.add_host("box");
    ip(&mut world, host, "ip link add br0 type bridge");
    ip(&mut world, host, "ip link add p0 address 02:00:00:00:00:50 type veth peer name p1");
    ip(&mut world, host, "ip link add q0 address 02:00:00:00:00:40 type veth peer name q1");
    let (p0, q0) =
        ("02:00:00:00:00:50 dev p0 master br0 permanent", "02:00:00:00:00:40 dev q0 master br0 permanent");
    let br0 = "02:00:00:00:00:50 dev br0 master br0 permanent";
    for (line, entries) in [
        ("ip link set p0 master br0", vec![p0]),
        ("ip link set q0 master br0", vec![p0, q0]),
        ("ip link set q0 nomaster", vec![p0]),
        ("ip link set br0 address 02:00:00:00:00:50", vec![p0]),
        ("ip link set p0 nomaster", vec![br0]),
    ] {
        ip(&mut world, host, line);
        let mut shown = ip(&mut world, host, "bridge fdb show br br0");
        shown.retain(|l| l.starts_with("02:"));
        shown.sort_by_key(|l| !l.contains(":50 "));
        assert_eq!(shown, entries, "{line}");
    }
}

/// Linux 6.18: also those entered for ever, and those of a bridge whose address changes with its ports.
#[test]
fn with_another_address_a_device_has_no_neighbours() {
    let (mut world, host) = world();
    ip(&mut world, host, "ip link add br1 type bridge");
    ip(&mut world, host, "ip addr add 10.1.0.1/24 dev br1");
    ip(&mut world, host, "ip link set br1 up");
    ip(&mut world, host, "ip neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 dev br1 nud permanent");
    ip(&mut world, host, "ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev v1 nud permanent");
    ip(&mut world, host, "ip link set v0 master br1");
    assert_eq!(ip(&mut world, host, "ip neigh").len(), 1);
    ip(&mut world, host, "ip link set v1 address 02:00:00:00:00:77");
    assert_eq!(ip(&mut world, host, "ip neigh"), Vec::<String>::new());
}

/// Linux 6.18: an address that it made up itself is not part of a bridge's identifier.
#[test]
fn a_new_bridge_has_no_identifier() {
    let (mut world, host) = world();
    ip(&mut world, host, "ip link add br1 type bridge");
    let id = |world: &mut World, dev: &str| {
        let shown = ip(world, host, &format!("ip -d link show dev {dev}")).join(" ");
        shown.split("bridge_id ").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned)
    };
    assert_eq!(id(&mut world, "br1").as_deref(), Some("8000.0:0:0:0:0:0"));
    assert_eq!(id(&mut world, "br0").as_deref(), Some("8000.46:0:1d:41:a2:13"));
}

/// Linux 6.18: all ways of a route, or the only one; an address of the box itself is there all the same.
#[test]
fn routes_say_that_their_link_is_down() {
    let (mut world, host) = world();
    ip(&mut world, host, "ip route add 7.0.0.0/8 via 9.9.9.9 dev v1 onlink metric 5");
    ip(&mut world, host, "ip route add 8.0.0.0/8 nexthop via 10.9.0.7 dev v1 nexthop via 10.0.0.8 dev br0");
    let two = |world: &mut World| ip(world, host, "ip route show 8.0.0.0/8").join("");
    ip(&mut world, host, "ip link set v0 nomaster");
    assert_eq!(
        two(&mut world),
        "8.0.0.0/8 \tnexthop via 10.9.0.7 dev v1 weight 1 \tnexthop via 10.0.0.8 dev br0 weight 1 linkdown "
    );
    ip(&mut world, host, "ip link set v0 down");
    assert_eq!(
        two(&mut world),
        "8.0.0.0/8 linkdown \tnexthop via 10.9.0.7 dev v1 weight 1 linkdown \tnexthop via 10.0.0.8 dev br0 weight 1 linkdown "
    );
    assert_eq!(
        ip(&mut world, host, "ip route show 7.0.0.0/8"),
        ["7.0.0.0/8 via 9.9.9.9 dev v1 metric 5 onlink linkdown "]
    );
    let local = ip(&mut world, host, "ip route show table local dev v1").join("|");
    assert!(local.starts_with("local 10.9.0.2 proto kernel scope host src 10.9.0.2 |"), "{local}");
    assert!(local.ends_with("scope link src 10.9.0.2 linkdown "), "{local}");
}

/// Linux 6.18: what was learned behind a port, and the neighbours of its bridge, go with the carrier.
#[test]
fn neighbours_go_with_the_carrier() {
    let (mut world, host) = world();
    for line in [
        "ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev br0 nud permanent",
        "ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev br0 nud stale",
        "bridge fdb add 02:00:00:00:00:08 dev v0 master dynamic",
        "ip link set v1 down",
    ] {
        ip(&mut world, host, line);
    }
    assert_eq!(ip(&mut world, host, "ip neigh"), ["10.0.0.7 dev br0 lladdr 02:00:00:00:00:07 PERMANENT "]);
    let fdb = ip(&mut world, host, "bridge fdb show br br0");
    assert!(fdb.iter().all(|l| !l.starts_with("02:00:00:00:00:08")), "{fdb:?}");
}

/// As iproute2 6.1 says it on Linux 6.18.
#[test]
fn an_address_has_a_label() {
    let (mut world, host) = world();
    ip(&mut world, host, "ip addr add 10.3.0.1/24 dev v1 label v1:vip");
    let shown = |world: &mut World, line: &str| ip(world, host, line).join("|");
    assert!(shown(&mut world, "ip -o addr show dev v1").contains(" inet 10.3.0.1/24 scope global v1:vip\\ "));
    assert!(shown(&mut world, "ip -j addr show dev v1").contains(r#""scope":"global","label":"v1:vip","#));
    for (line, said) in [
        (
            "ip addr add 10.4.0.1/24 dev v1 label v1:toolongname12",
            "Error: Attribute failed policy validation.",
        ),
        ("ip addr del 10.3.0.1/24 dev v1 label v1:2", "Error: ipv4: Address not found."),
        ("ip addr del 10.3.0.1/24 dev v1 label v1:vip", ""),
    ] {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let out = command(&mut world, host, &argv, None).unwrap();
        assert_eq!((out.stderr.join("|").as_str(), out.status), (said, if said.is_empty() { 0 } else { 2 }));
    }
}

#[test]
fn the_other_end_in_another_box_is_shown_by_its_number() {
    let mut world = World::new(0);
    let (a, b) = (world.add_host("a"), world.add_host("b"));
    let devs = [a, b].map(|host| {
        let ns = world.host_mut(host).unwrap();
        let dev = ns.add_device("eth0", packet::Mac([2, 0, 0, 0, 0, 1]), kernel::dev::DevKind::Veth);
        ns.set_up(dev, true);
        (host, dev)
    });
    world.connect(devs[0], devs[1]);
    let lines = ip(&mut world, a, "ip link show dev eth0");
    assert!(lines[0].starts_with("2: eth0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> "), "{lines:?}");
    assert_eq!(lines[1], "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff link-netnsid 0");
    // bridge looks the number up here, and may find another device.
    ip(&mut world, a, "ip link add br0 type bridge");
    ip(&mut world, a, "ip link set eth0 master br0");
    let port = |world: &mut World| ip(world, a, "bridge link").remove(0);
    assert!(port(&mut world).starts_with("2: eth0@eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> "));
    ip(&mut world, b, "ip link add x0 type veth peer name x1");
    let far = world.host_mut(b).unwrap().add_device("far", packet::Mac::ZERO, kernel::dev::DevKind::Veth);
    let near = world.host_mut(a).unwrap().add_device("near", packet::Mac::ZERO, kernel::dev::DevKind::Veth);
    world.connect((a, near), (b, far));
    ip(&mut world, a, "ip link set near master br0");
    assert!(ip(&mut world, a, "bridge link").remove(1).starts_with("4: near@if5: <BROADCAST,MULTICAST> "));
    ip(&mut world, a, "ip link add y0 type veth peer name y1");
    assert!(
        ip(&mut world, a, "bridge link").remove(1).starts_with("4: near@y1: <BROADCAST,MULTICAST,M-DOWN> ")
    );
}

/// As iproute2 6.1 prints it on Linux 6.18.
#[test]
fn neighbours_are_chosen_by_prefix_and_state() {
    let (mut world, host) = world();
    ip(&mut world, host, "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev br0");
    ip(&mut world, host, "ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:19 dev v1 nud stale");
    let old = "10.0.0.9 dev br0 lladdr 02:00:00:00:00:09 PERMANENT ";
    let far = "10.9.0.9 dev v1 lladdr 02:00:00:00:00:19 STALE ";
    for (line, shown) in [
        ("ip neigh show 10.0.0.9", vec![old]),
        ("ip neigh show to 10.9.0.0/16", vec![far]),
        ("ip neigh show 10.0.0.1", vec![]),
        ("ip neigh show nud stale nud reachable", vec![far]),
        ("ip neigh show nud all", vec![old, far]),
        ("ip neigh show dev v1 nud permanent", vec![]),
    ] {
        assert_eq!(ip(&mut world, host, line), shown, "{line}");
    }
}

/// As on Linux 6.18: of a device whose addresses are asked for by prefix nothing is told of the link layer.
#[test]
fn prefixes_choose_addresses_and_routes() {
    let (mut world, host) = world();
    let shown = ip(&mut world, host, "ip addr show to 10.0.0.0/24");
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert_eq!(shown[1], "    inet 10.0.0.1/24 scope global br0");
    let route = ["10.0.0.0/24 dev br0 proto kernel scope link src 10.0.0.1 "];
    for line in [
        "ip route show to match 10.0.0.7",
        "ip route show match 10.0.0.7",
        "ip route show to exact 10.0.0.0/24",
    ] {
        assert_eq!(ip(&mut world, host, line), route, "{line}");
    }
}

/// As iproute2 6.1 and Linux 6.18 answer.
#[test]
fn one_neighbour_and_rules_of_one_preference_are_asked_for() {
    let (mut world, host) = world();
    let mut said = |line: &str| {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let out = command(&mut world, host, &argv, None).unwrap();
        (out.status, [out.stdout, out.stderr].concat().join("|"))
    };
    said("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev br0");
    let entry = "10.0.0.9 dev br0 lladdr 02:00:00:00:00:09 PERMANENT ";
    assert_eq!(said("ip neigh get 10.0.0.9 dev br0"), (0, entry.to_owned()));
    assert_eq!(said("ip -j neigh get to 10.0.0.9 dev br0"), (0, entry.to_owned()));
    assert_eq!(said("ip neigh get 10.0.0.8 dev br0"), (2, "Error: Neighbour entry not found.".to_owned()));
    assert_eq!(said("ip neigh get 10.0.0.9 dev no"), (1, "Cannot find device \"no\"".to_owned()));
    for (words, listed) in [
        ("pref 32766", "32766:\tfrom all lookup main"),
        ("preference 0", "0:\tfrom all lookup local"),
        ("priority 0 table local", "0:\tfrom all lookup local"),
        ("table local pref 1", ""),
        ("pref 7", ""),
    ] {
        assert_eq!(said(&format!("ip rule show {words}")), (0, listed.to_owned()), "{words}");
    }
}

/// Asked of Linux 6.18: what a new rule does not ask for may be anything in the one that is there, for addresses and types of service.
#[test]
fn a_rule_is_there_if_another_asks_for_as_much() {
    for (first, second, there) in [
        ("from 10.1.0.1 lookup 100", "lookup 100", true),
        ("lookup 100", "from 10.1.0.1 lookup 100", false),
        ("from 10.1.0.0/16 to 10.2.0.0/16 lookup 100", "from 10.1.0.0/16 lookup 100", true),
        ("from 10.1.0.0/16 lookup 100", "from 10.1.0.1 lookup 100", false),
        ("from 10.1.0.0/16 lookup 100", "not from 10.1.0.0/16 lookup 100", true),
        ("tos 0x10 lookup 100", "lookup 100", true),
        ("fwmark 1 lookup 100", "lookup 100", false),
        ("iif lo lookup 100", "lookup 100", false),
        ("from 10.1.0.1 lookup 100", "lookup 101", false),
        ("from 10.1.0.1 blackhole", "prohibit", false),
        ("from 10.1.0.1 blackhole", "blackhole", true),
        ("goto 2000", "goto 3000", true),
    ] {
        let (mut world, host) = world();
        ip(&mut world, host, &format!("ip rule add pref 1000 {first}"));
        let argv: Vec<String> =
            format!("ip rule add pref 1000 {second}").split(' ').map(str::to_owned).collect();
        let out = command(&mut world, host, &argv, None).unwrap();
        assert_eq!(out.stderr == ["RTNETLINK answers: File exists"], there, "{first}; {second}: {out:?}");
    }
}

/// Linux 6.18: a source may be this host's by a route alone, also of what goes to all.
#[test]
fn a_source_that_a_route_makes_local_has_a_device() {
    let (mut world, host) = world();
    ip(&mut world, host, "ip route add local 10.0.0.9 dev lo");
    let shown = ip(&mut world, host, "ip route get 255.255.255.255 from 10.0.0.9").remove(0);
    assert!(shown.starts_with("broadcast 255.255.255.255 from 10.0.0.9 dev lo "), "{shown}");
}
