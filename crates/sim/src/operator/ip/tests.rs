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
