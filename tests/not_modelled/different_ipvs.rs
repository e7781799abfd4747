//! "Different from Linux": IPVS and modules. Each test says what Linux does.

use crate::{Pair, printed};
use kernel::event::What;
use serde_json::json;

/// A pair with a virtual server in `a` whose real server is `b`.
fn service() -> Pair {
    let mut pair = Pair::new();
    pair.cmd("ipvsadm -A -u 10.0.0.1:1000 -s rr");
    pair.cmd("ipvsadm -a -u 10.0.0.1:1000 -r 10.0.0.2:53 -m");
    pair
}

/// A datagram to the virtual server, from `b`.
fn ask(pair: &mut Pair, sport: u16) -> usize {
    let src = format!("10.0.0.2:{sport}");
    pair.then(json!({ "do": "udp", "host": "b", "src": src, "dst": "10.0.0.1:1000", "reply": false }))
}

/// Linux lists its hash table, whose seed is random.
#[test]
fn connections_are_listed_by_client() {
    let mut pair = service();
    for port in [4003, 4001, 4002] {
        ask(&mut pair, port);
    }
    let list = pair.cmd("ipvsadm -Lnc");
    let lines = pair.run().printed(list);
    let clients: Vec<&str> = lines[2..].iter().map(|l| l.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(clients, ["10.0.0.2:4001", "10.0.0.2:4002", "10.0.0.2:4003"]);
}

/// Linux lists virtual servers by a hash of protocol, address and port.
#[test]
fn services_are_listed_by_age() {
    let mut pair = Pair::new();
    for port in [30, 10, 20] {
        pair.cmd(&format!("ipvsadm -A -u 10.0.0.1:{port} -s rr"));
    }
    let list = pair.cmd("ipvsadm -Ln --nosort");
    let lines = pair.run().printed(list);
    let ports: Vec<&str> =
        lines.iter().filter(|l| l.starts_with("UDP")).map(|l| l.split(' ').nth(2).unwrap()).collect();
    assert_eq!(ports, ["10.0.0.1:30", "10.0.0.1:10", "10.0.0.1:20"]);
}

/// Linux adds up each processor's counters every two seconds.
#[test]
fn statistics_do_not_lag() {
    let mut pair = service();
    ask(&mut pair, 4000);
    let list = pair.cmd("ipvsadm -Ln --stats");
    let lines = pair.run().printed(list);
    let service = lines.iter().find(|l| l.starts_with("UDP")).unwrap();
    assert_eq!(service.split_whitespace().nth(2), Some("1"), "{service}");
}

/// Linux looks every minute and gives up servers that have been idle for two: two to four minutes (`IP_VS_DEST_TRASH_PERIOD`).
#[test]
fn deleted_servers_are_forgotten_after_two_minutes() {
    let idle = |ms: u64| {
        let mut pair = service();
        pair.cmd("ipvsadm --set 0 0 1");
        ask(&mut pair, 4000);
        pair.sleep(2000);
        pair.cmd("ipvsadm -d -u 10.0.0.1:1000 -r 10.0.0.2:53");
        pair.sleep(ms);
        pair.cmd("ipvsadm -a -u 10.0.0.1:1000 -r 10.0.0.2:53 -m");
        let list = pair.cmd("ipvsadm -Ln --stats");
        let lines = pair.run().printed(list);
        lines.last().unwrap().split_whitespace().nth(2).unwrap().to_owned()
    };
    assert_eq!((idle(115_000), idle(125_000)), ("1".to_owned(), "0".to_owned()));
}

/// Linux drops every second packet at `drop_packet` 3 with `am_droprate` 2, sends to real caches itself, and so on.
#[test]
fn strategies_against_overload_do_nothing() {
    let mut pair = service();
    for (name, value) in
        [("drop_packet", 3), ("am_droprate", 2), ("drop_entry", 3), ("cache_bypass", 1), ("sync_ports", 2)]
    {
        let set = pair.cmd(&format!("sysctl -w net.ipv4.vs.{name}={value}"));
        assert_eq!(pair.run().printed(set), [format!("net.ipv4.vs.{name} = {value}")]);
    }
    let steps: Vec<usize> = (4000..4008).map(|port| ask(&mut pair, port)).collect();
    let done = pair.run();
    assert!(steps.iter().all(|s| done.packets("a", *s, true).len() == 1));
}

/// Linux has `net.ipv4.vs.sync_threshold`, two numbers.
#[test]
fn sync_threshold_is_not_there() {
    assert_eq!(printed("sysctl net.ipv4.vs.sync_threshold").last().unwrap(), "[rc=1]");
}

/// Linux's connections end by timers of their own, and the entry of conntrack with them.
#[test]
fn connections_of_ipvs_end_when_somebody_looks() {
    let mut pair = service();
    pair.cmd("iptables -A INPUT -m conntrack --ctstate INVALID");
    pair.cmd("sysctl -w net.ipv4.vs.conntrack=1");
    pair.cmd("ipvsadm --set 0 0 1");
    ask(&mut pair, 4000);
    let rest = pair.then(json!({ "do": "sleep", "ms": 5000 }));
    let done = pair.run();
    // The entry's end is told when the pause is over, 4 seconds late.
    let ends: Vec<u64> = done
        .entries("a", rest)
        .filter(|e| matches!(e.what(), Some(What::CtEvent(_))))
        .map(|e| e.at.0)
        .collect();
    assert_eq!(ends.len(), 1);
    assert!(ends[0] >= 5_000_000, "{ends:?}");
}

/// On Linux they come and go with the module ip_vs.
#[test]
fn settings_of_ipvs_are_there_before_it() {
    assert_eq!(printed("sysctl net.ipv4.vs.conntrack"), ["net.ipv4.vs.conntrack = 0"]);
}

/// On Linux ip_vs_ftp reads the control connection of a virtual server on port 21, and turns conntrack on.
#[test]
fn ipvs_has_no_ftp() {
    let mut pair = Pair::new();
    pair.cmd("ipvsadm -A -t 10.0.0.1:21 -s rr");
    let load = pair.cmd("modprobe ip_vs_ftp");
    let done = pair.run();
    assert_eq!(done.printed(load).last().unwrap(), "[rc=1]");
    let hooks = format!("{:?}", done.host("a").hooks());
    assert!(hooks.contains("IpvsIn") && !hooks.contains("ConntrackIn"), "{hooks}");
}

/// Linux lists nf_conntrack, nf_nat, ip_tables, each match and target, and whatever the hardware needs.
#[test]
fn lsmod_lists_helpers_ipvs_and_br_netfilter() {
    let mut pair =
        Pair::with_rules("*nat\n-A POSTROUTING -m conntrack --ctstate NEW -j MASQUERADE\nCOMMIT\n");
    let list = pair.cmd("lsmod");
    let lines = pair.run().printed(list);
    let mut names: Vec<&str> = lines[1..].iter().map(|l| l.split(' ').next().unwrap()).collect();
    names.sort_unstable();
    let expected = ["br_netfilter", "nf_conntrack_ftp", "nf_conntrack_tftp", "nf_nat_ftp", "nf_nat_tftp"];
    assert_eq!(names, expected);
}

/// Sizes differ from kernel to kernel.
#[test]
fn modules_have_the_sizes_of_debians_6_1() {
    for kernel in ["3.10", "6.18"] {
        let mut pair = Pair::new();
        pair.set("a", "kernel", json!(kernel));
        let list = pair.cmd("lsmod");
        let lines = pair.run().printed(list);
        assert!(lines.contains(&"br_netfilter           36864  0".to_owned()), "{lines:?}");
    }
}

/// Linux writes `Bridge firewalling registered`, `IPVS: [rr] scheduler registered.` and the like (recorded).
#[test]
fn modules_come_in_silence() {
    let mut pair = Pair::new();
    pair.cmd("rmmod br_netfilter");
    pair.cmd("modprobe br_netfilter");
    pair.cmd("modprobe ip_vs_rr");
    assert_eq!(pair.run().kernel_log("a"), Vec::<String>::new());
}

/// Where bridge is a module that nobody else needs, modprobe removes it with br_netfilter, and every bridge with it.
#[test]
fn bridges_outlive_br_netfilter() {
    let mut pair = Pair::new();
    pair.cmd("ip link add br0 type bridge");
    let gone = pair.cmd("modprobe -r br_netfilter");
    let show = pair.cmd("ip -br link show br0");
    let done = pair.run();
    assert_eq!((done.printed(gone).len(), done.printed(show).len()), (0, 1));
}

/// Before Linux 3.18 this was part of the bridge, and its settings were always there.
#[test]
fn br_netfilter_is_a_module_in_3_10_too() {
    let mut pair = Pair::new();
    pair.set("a", "kernel", json!("3.10"));
    pair.cmd("rmmod br_netfilter");
    let get = pair.cmd("sysctl net.bridge.bridge-nf-call-iptables");
    assert_eq!(pair.run().printed(get).last().unwrap(), "[rc=1]");
}

/// On Linux they let iptables see what is inside PPPoE and VLAN frames.
#[test]
fn pppoe_and_vlan_settings_of_the_bridge_do_nothing() {
    for name in ["filter-pppoe-tagged", "filter-vlan-tagged", "pass-vlan-input-dev"] {
        let set = printed(&format!("sysctl -w net.bridge.bridge-nf-{name}=1"));
        assert_eq!(set, [format!("net.bridge.bridge-nf-{name} = 1")]);
    }
    // There are no such frames.
    let vlan = printed("ip link add link eth0 name eth0.5 type vlan id 5");
    assert_ne!(vlan.last().map(String::as_str), None);
}
